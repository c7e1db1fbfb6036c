"""argv arrives on the phone as it is, and results come back whole."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adb.connection import Deadline, ExactClient
from app.adb.server import AdbServer
from app.adb.shell import MAX_COMMAND, Completed, Shell, command_line
from app.errors import (
    AnswerTooLarge,
    CommandFailed,
    DeviceNotFound,
    DeviceTimeout,
    InputError,
    InputRefused,
)
from tests.phones import PhoneProcess

HOSTILE = st.text(
    st.one_of(
        st.sampled_from("'\"\\$`;&|<>(){}[]*?!#~%\n\t\r -=é微\U0001f600"),
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
    ),
    max_size=60,
)


@contextlib.contextmanager
def scripted_server(*answers: bytes) -> Iterator[ExactClient]:
    """Sends the next of the answers to each connection, whatever is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for text in answers:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.sendall(text)
                    while connection.recv(4096):
                        pass

        thread = threading.Thread(target=answer)
        thread.start()
        yield ExactClient("127.0.0.1", listener.getsockname()[1])
        thread.join(5)


@pytest.fixture(scope="module")
def shell(adb_server: AdbServer, virtual_phone: PhoneProcess) -> Iterator[Shell]:
    client = adb_server.client()
    client.query(f"host:connect:{virtual_phone.serial}", Deadline(10))
    yield Shell(client, virtual_phone.serial)
    client.query(f"host:disconnect:{virtual_phone.serial}", Deadline(10))


@pytest.fixture(scope="module")
def old_shell(shell: Shell) -> Shell:
    """The same phone, taken for one without shell_v2."""
    old = Shell(shell.client, shell.serial)
    old._features = frozenset({"cmd"})
    return old


def test_stdout_stderr_and_exit_code(shell: Shell) -> None:
    result = shell.run(["ls", "/nope"], deadline=Deadline(5))
    assert (result.stdout, result.exit_code) == (b"", 1)
    assert result.stderr == b"ls: /nope: No such file or directory\n"
    assert shell.run(["foo"], deadline=Deadline(5)).exit_code == 127


def test_exit_codes_without_shell_v2(old_shell: Shell) -> None:
    assert old_shell.run(["echo", "hi"], deadline=Deadline(5)) == Completed(b"hi\n", b"", 0)
    result = old_shell.run(["foo"], deadline=Deadline(5))
    assert result.exit_code == 127
    assert b"not found" in result.stdout


def test_commands_stop_at_the_first_failure(shell: Shell) -> None:
    result = shell.run(["echo", "1"], ["false"], ["echo", "2"], deadline=Deadline(5))
    assert (result.text, result.exit_code) == ("1\n", 1)


def test_ten_megabytes_arrive_whole_by_both_ways(shell: Shell, old_shell: Shell) -> None:
    framed = shell.run(["screencap"], deadline=Deadline(20))
    assert len(framed.stdout) == 16 + 1080 * 2400 * 4
    assert old_shell.run(["screencap"], deadline=Deadline(20)).stdout == framed.stdout


@settings(max_examples=60)
@given(st.lists(HOSTILE, min_size=1, max_size=4))
def test_hostile_arguments_arrive_byte_for_byte(shell: Shell, args: list[str]) -> None:
    result = shell.run(["echo", "-n", "--", *args], deadline=Deadline(10))
    assert result.stderr == b""
    assert result.stdout == " ".join(["--", *args]).encode()


def test_a_command_that_hangs(shell: Shell) -> None:
    with pytest.raises(DeviceTimeout):
        shell.run(["sleep", "60"], deadline=Deadline(0.3))


@pytest.mark.parametrize("argv", [[], [""], ["echo", "a\0b"], ["echo", "\ud800"]])
def test_what_cannot_be_a_command(argv: list[str]) -> None:
    with pytest.raises(InputError):
        command_line(argv)


def test_the_longest_command(shell: Shell) -> None:
    room = MAX_COMMAND - len("echo -n ")
    assert len(shell.run(["echo", "-n", "x" * room], deadline=Deadline(10)).stdout) == room
    with pytest.raises(InputError, match="bytes"):
        shell.run(["echo", "-n", "x" * (room + 1)], deadline=Deadline(10))


def test_an_unknown_device(shell: Shell) -> None:
    with pytest.raises(DeviceNotFound):
        Shell(shell.client, "nope").run(["echo"], deadline=Deadline(5))


def test_refused_input_is_told_whatever_the_exit_code() -> None:
    text = (
        b"java.lang.SecurityException: Injecting input events requires the caller "
        b"to have the INJECT_EVENTS permission."
    )
    for result in (Completed(b"", text, 255), Completed(text, b"", 0)):
        with pytest.raises(InputRefused):
            result.check("tap")


def test_a_failed_command_keeps_its_words() -> None:
    with pytest.raises(CommandFailed, match="exit code 3: first line") as caught:
        Completed(b"", b"first line\nsecond\n", 3).check("tap")
    assert (caught.value.exit_code, caught.value.stderr) == (3, "first line\nsecond")


@pytest.mark.parametrize("way", ["framed", "marked"])
def test_an_answer_without_end_is_not_read_to_its_end(
    shell: Shell, old_shell: Shell, virtual_phone: PhoneProcess, way: str
) -> None:
    line = shell if way == "framed" else old_shell
    with virtual_phone.quirks("endless=getprop"):
        with pytest.raises(AnswerTooLarge):
            line.run(["getprop"], deadline=Deadline(20), limit=2**20)
        assert line.run(["echo", "hi"], deadline=Deadline(5)).text == "hi\n"


def test_a_frame_that_says_it_is_huge_is_not_read() -> None:
    answers = (b"OKAY0008shell_v2", b"OKAYOKAY" + b"\x01" + b"\xff" * 4 + b"x" * 1000)
    for limit in (2**24, 2**31):
        with scripted_server(*answers) as client, pytest.raises(AnswerTooLarge):
            Shell(client, "phone").run(["getprop"], deadline=Deadline(5), limit=limit)
