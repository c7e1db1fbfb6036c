"""The guard ends its child with the parent, whatever ends the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable

import psutil
import pytest

from app.orphan import guard_command

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
GRANDCHILD = "import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid, flush=True)"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code)]


def is_gone(pid: int) -> bool:
    """Wait until `pid` runs no more (a zombie runs no more)."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        process.wait(10)
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return True
    except psutil.TimeoutExpired:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    return True


@pytest.mark.parametrize("code", [0, 3, 255])
def test_forwards_the_exit_code(code: int) -> None:
    command = guard_command(python(f"raise SystemExit({code})"))
    with subprocess.Popen(command, stdin=subprocess.PIPE) as guard:
        assert guard.wait(10) == code


def test_passes_stdout_and_stderr_through() -> None:
    command = guard_command(python("import sys; print('out'); print('err', file=sys.stderr)"))
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as guard:
        assert guard.stdout is not None and guard.stderr is not None
        assert (guard.stdout.read().strip(), guard.stderr.read().strip()) == (b"out", b"err")


def test_a_missing_program_is_127() -> None:
    with subprocess.Popen(
        guard_command(["/no/such/program"]), stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as guard:
        assert guard.wait(10) == 127
        assert guard.stderr is not None
        assert b"/no/such/program: not found" in guard.stderr.read()


def start_sleeper() -> tuple[subprocess.Popen[bytes], int]:
    """A guarded process that reports its id and sleeps."""
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    guard = subprocess.Popen(
        guard_command(python(code)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert guard.stdout is not None
    return guard, int(guard.stdout.readline())


def close_stdin(guard: subprocess.Popen[bytes]) -> None:
    assert guard.stdin is not None
    guard.stdin.close()


@posix_only
@pytest.mark.parametrize(
    ("end", "code"),
    [
        (close_stdin, 128 + signal.SIGTERM),
        (lambda guard: guard.send_signal(signal.SIGTERM), 128 + signal.SIGTERM),
        (lambda guard: guard.send_signal(signal.SIGINT), 128 + signal.SIGINT),
    ],
    ids=["stdin closed", "SIGTERM", "SIGINT"],
)
def test_ends_the_child(end: Callable[[subprocess.Popen[bytes]], None], code: int) -> None:
    guard, child = start_sleeper()
    with guard:
        end(guard)
        assert guard.wait(10) == code
    assert is_gone(child)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG")
def test_a_killed_guard_takes_the_child_with_it() -> None:
    guard, child = start_sleeper()
    with guard:
        guard.kill()
    assert is_gone(child)


@posix_only
@pytest.mark.parametrize("whole_group", [False, True])
def test_a_parent_killed_with_its_group_leaves_nothing(whole_group: bool) -> None:
    code = f"""
        import subprocess, sys, time
        from app.orphan import guard_command
        inner = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
        guard = subprocess.Popen(
            guard_command([{sys.executable!r}, "-c", inner]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        print(guard.pid, int(guard.stdout.readline()), flush=True)
        time.sleep(60)
    """
    with subprocess.Popen(python(code), stdout=subprocess.PIPE, process_group=0) as parent:
        assert parent.stdout is not None
        guard_pid, child_pid = map(int, parent.stdout.readline().split())
        if whole_group:
            os.killpg(parent.pid, signal.SIGKILL)
        else:
            parent.kill()
    assert is_gone(child_pid)
    assert is_gone(guard_pid)


@posix_only
def test_grandchildren_in_the_group_end_too() -> None:
    with subprocess.Popen(
        guard_command(python(GRANDCHILD)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as guard:
        assert guard.stdout is not None
        grandchild = int(guard.stdout.readline())
        assert guard.wait(10) == 0
    assert is_gone(grandchild)
