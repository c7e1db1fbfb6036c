"""A guard that ends a child process when its parent dies, even if the parent is killed by SIGKILL.

`guard_command(argv)` returns the command line of a small process that runs `argv` as its child:

    process = subprocess.Popen(guard_command(argv), stdin=subprocess.PIPE)

The parent keeps the write end of the guard's stdin and never writes to it. When the parent dies in
any way, or closes that pipe, the guard reads end of file, asks the child's whole process group to
end, and kills what is left after `GRACE_S`. So on every platform, a guarded child is stopped by
closing stdin and waiting. SIGTERM and SIGINT sent to the guard are forwarded to the child, stdout
and stderr are inherited from the guard, and the guard ends with the child's exit code (128 + n for
signal n, 127 if the program does not exist, 126 if it may not be executed).

The guard runs as a plain script using only the standard library: it starts in about 15 ms and does
not depend on the working directory.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

GRACE_S = 5.0
"""Seconds between asking the child's group to end and killing it."""

PID_LINE = "phonepilot-child-pid "
"""Prefix of the line in which a guard reports the process id of its child."""
_REPORT_PID = "--report-pid"

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_FORWARDED = (signal.SIGTERM, signal.SIGINT)


def guard_command(argv: Sequence[str], *, report_pid: bool = False) -> list[str]:
    """Return the command line that runs `argv` under a guard; start it with `stdin=PIPE`.

    With `report_pid` the guard writes one line to stdout once the child runs: `PID_LINE` and the
    child's process id.
    """
    options = [_REPORT_PID] if report_pid else []
    return [sys.executable, "-I", "-S", str(Path(__file__).resolve()), *options, "--", *argv]


def _die_with_guard() -> Callable[[], None] | None:
    """Return what the child runs before exec so that Linux kills it if the guard itself is killed.

    Running Python between fork and exec is safe here only because the guard still has one thread.
    """
    if sys.platform != "linux":
        return None
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _start(argv: Sequence[str]) -> subprocess.Popen[bytes]:
    if sys.platform == "win32":
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
        )
    return subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, process_group=0, preexec_fn=_die_with_guard()
    )


def _signal_group(child: subprocess.Popen[bytes], number: int) -> None:
    if sys.platform == "win32":
        subprocess.run(
            ["taskkill", "/T", "/F", "/PID", str(child.pid)], capture_output=True, check=False
        )
        return
    # macOS returns EPERM for a group that contains only zombies.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def _end_with_parent(child: subprocess.Popen[bytes]) -> None:
    """Wait for end of file on stdin, then end the child; runs in a separate thread."""
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    if child.poll() is not None:
        return
    _signal_group(child, signal.SIGTERM)
    try:
        child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        _signal_group(child, getattr(signal, "SIGKILL", signal.SIGTERM))


def _run(argv: Sequence[str], *, report_pid: bool) -> int:
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def forward(number: int, _frame: object) -> None:
        if child is None:
            early.append(number)  # arrived before the child was started
        else:
            _signal_group(child, number)

    for number in _FORWARDED:
        signal.signal(number, forward)
    if sys.platform != "win32":
        # Leave the parent's group: a kill of that whole group must leave the guard to clean up.
        with contextlib.suppress(PermissionError):
            os.setpgid(0, 0)
    try:
        child = _start(argv)
    except FileNotFoundError:
        print(f"{argv[0]}: not found", file=sys.stderr)
        return 127
    except OSError as exc:
        print(f"{argv[0]}: {exc.strerror}", file=sys.stderr)
        return 126
    for received in early:
        _signal_group(child, received)
    if report_pid:
        # One write, because the child writes to the same pipe.
        os.write(1, f"{PID_LINE}{child.pid}\n".encode())
    threading.Thread(target=_end_with_parent, args=(child,), daemon=True).start()
    code = child.wait()
    if sys.platform != "win32":
        _signal_group(child, signal.SIGKILL)  # grandchildren that stayed in the group
    return code if code >= 0 else 128 - code


def main(argv: Sequence[str]) -> int:
    """Run `[--report-pid] -- command...` and return the exit code."""
    report_pid = list(argv[:1]) == [_REPORT_PID]
    rest = argv[1:] if report_pid else argv
    if len(rest) < 2 or rest[0] != "--":
        print(f"usage: orphan.py [{_REPORT_PID}] -- command [argument...]", file=sys.stderr)
        return 2
    return _run(rest[1:], report_pid=report_pid)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    # The reading thread may be in os.read(0); a normal exit would wait for stdin's lock.
    os._exit(code)
