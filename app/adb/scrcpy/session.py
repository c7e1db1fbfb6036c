"""One running scrcpy server on a phone, and its control socket.

The server is a program that the phone runs as its shell user. It injects touches and keys in
milliseconds, where Android's `input` takes tenths of a second. It acknowledges nothing. So each
gesture ends with a character that no key map has: the server handles messages in order and prints a
warning with the character's number (`Controller.injectText`), which proves that all before it was
handled. A refusal of the phone to inject is printed before it (`InputManager.injectInputEvent`).

A session is not bound to a call: two threads read the control socket and the program's output. It
ends when either ends, when the phone is gone, when `close` is called, or after IDLE_S without use.
"""

from __future__ import annotations

import logging
import re
import secrets
import struct
import threading
import time
from collections import deque
from collections.abc import Callable

from app.adb.connection import Deadline
from app.adb.push import push
from app.adb.scrcpy import messages
from app.adb.scrcpy.jar import VERSION
from app.adb.shell import SHELL_V2, Shell, command_line
from app.adb.stream import Stream, StreamEnded
from app.errors import DeviceDisconnected, DeviceError, DeviceTimeout

log = logging.getLogger(__name__)

PATH = f"/data/local/tmp/phonepilot-scrcpy-{VERSION}.jar"
"""The server on the phone. It stays there: 91 kB, of the same content for every phonepilot."""
IDLE_S = 300.0
_START_S = 12.0
"""Starting the Java machine takes a second, on old phones several."""
_RETRY_S = 0.05
_NAME_BYTES = 64
_FRAME = struct.Struct("<BI")
_STDOUT, _STDERR, _EXIT = 1, 2, 3
_MAX_FRAME = 2**20
_MAX_LINE = 4096
_KEPT_LINES = 20
_ECHO = re.compile(r"^\[server\] WARN: Could not inject char u\+([0-9a-f]{4})$")
_FIRST_ECHO, _ECHOES = 0xE000, 0x600
"""Characters of the private use area; the part from U+EF00 on has names in Android's key maps."""
_REFUSED = "INJECT_EVENTS"


class Unavailable(Exception):
    """scrcpy cannot be used on this phone now; `reason` says why, for the person."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Session:
    """A running server. Blocking and thread-safe; one gesture at a time is the caller's job."""

    def __init__(self, shell: Shell, jar: bytes, clock: Callable[[], float] = time.monotonic):
        """Start the server `jar` on the phone. Raises Unavailable, and DeviceError if the phone is
        gone."""
        self.serial = shell.serial
        self._clock = clock
        self._news = threading.Condition()
        self._ended = ""
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._echoed: set[int] = set()
        self._echoes = 0
        self._sequence = 0
        self._acknowledged = 0
        self._clipboard: str | None = None
        self._refusals = 0
        self.gesturing = threading.Lock()
        """Held by whoever uses the one finger, the keys or the clipboard."""
        self.began = self._used = clock()
        self._streams: list[Stream] = []
        deadline = Deadline(_START_S)
        if SHELL_V2 not in shell.features(deadline):
            raise Unavailable("this phone's Android is older than 7")
        push(shell, PATH, jar, deadline)
        self._control = self._start(shell, deadline)
        self._streams.append(self._control)
        self._thread("control", self._read_control)
        try:
            self.confirm(deadline)
        except (StreamEnded, DeviceTimeout):
            self._end("it did not confirm in time")
            raise Unavailable(f"scrcpy ended at once: {self._ended}") from None

    # -- starting

    def _start(self, shell: Shell, deadline: Deadline) -> Stream:
        scid = f"{secrets.randbits(31):08x}"
        options = {
            "scid": scid,
            "log_level": "info",
            "video": "false",
            "audio": "false",
            "tunnel_forward": "true",
            "clipboard_autosync": "false",
            "power_on": "false",
            "cleanup": "false",
        }
        server = ["app_process", "/", "com.genymobile.scrcpy.Server", VERSION]
        line = command_line([*server, *(f"{name}={value}" for name, value in options.items())])
        service = f"shell,v2,raw:CLASSPATH={PATH} {line}"
        output = Stream.open(shell.client, shell.serial, service, deadline)
        self._streams.append(output)
        program = self._thread("output", lambda: self._read_output(output))
        try:
            return self._connect(shell, f"localabstract:scrcpy_{scid}", deadline, program)
        except BaseException:
            output.close()
            raise

    def _connect(
        self, shell: Shell, service: str, deadline: Deadline, program: threading.Thread
    ) -> Stream:
        """Open the control socket as soon as the server listens; read its greeting."""
        while True:
            try:
                stream = Stream.open(shell.client, shell.serial, service, deadline)
                break
            except DeviceDisconnected as exc:  # nobody listens yet
                if not program.is_alive():
                    raise Unavailable(f"scrcpy did not start: {self._ended}") from exc
                if deadline.left() < 2 * _RETRY_S:
                    raise Unavailable("scrcpy did not start in time") from exc
                deadline.pause(_RETRY_S)
        try:
            stream.exactly(1 + _NAME_BYTES, deadline)  # a zero, and the phone's name
        except (StreamEnded, DeviceError) as exc:
            stream.release()
            raise Unavailable(f"scrcpy did not greet: {self._ended}") from exc
        return stream

    def _thread(self, what: str, work: Callable[[], None]) -> threading.Thread:
        # Daemons: they wait for a phone, which must not hold up the end of the program.
        thread = threading.Thread(target=work, name=f"scrcpy {what} {self.serial}", daemon=True)
        thread.start()
        return thread

    # -- reading

    def _read_control(self) -> None:
        parser = messages.DeviceMessages()
        reason = "the phone closed the control socket"
        try:
            while (data := self._control.read()) != b"":
                if data is None:
                    if self._clock() - self._used > IDLE_S:
                        reason = "it was idle"
                        return
                    continue
                for message in parser.feed(data):
                    self._take(message)
        except messages.UnknownMessage as exc:
            reason = f"the phone sent {exc}"
        finally:
            self._end(reason)
            self._control.release()

    def _take(self, message: messages.DeviceMessage) -> None:
        with self._news:
            if isinstance(message, messages.ClipboardText):
                self._clipboard = message.text
            else:
                self._acknowledged = max(self._acknowledged, message.sequence)
            self._news.notify_all()

    def _read_output(self, output: Stream) -> None:
        """Read what the server prints, always: a full pipe would stop it."""
        frames, text = b"", {_STDOUT: "", _STDERR: ""}
        reason = "the phone closed the connection"
        try:
            while (data := output.read()) != b"":
                if data is None:
                    if self._ended:
                        return
                    continue
                frames += data
                while len(frames) >= _FRAME.size:
                    kind, length = _FRAME.unpack_from(frames)
                    if length > _MAX_FRAME:
                        reason = "the phone sent a frame that is too large"
                        return
                    if len(frames) < _FRAME.size + length:
                        break
                    part = frames[_FRAME.size : _FRAME.size + length]
                    frames = frames[_FRAME.size + length :]
                    if kind == _EXIT:
                        reason = self._last_words(part[0] if part else 255)
                        return
                    if kind in text:
                        text[kind] = self._print(text[kind] + part.decode("utf-8", "replace"))
        finally:
            self._end(reason)
            output.release()

    def _print(self, text: str) -> str:
        """Take whole lines, and return the rest."""
        *lines, rest = text.split("\n")
        for line in lines:
            self._line(line[:_MAX_LINE].rstrip("\r"))
        return rest[:_MAX_LINE]

    def _line(self, line: str) -> None:
        echo = _ECHO.match(line)
        with self._news:
            if echo:
                self._echoed.add(int(echo[1], 16))
            elif line.startswith("[server] ERROR: ") and _REFUSED in line:
                self._refusals += 1
            self._news.notify_all()
        if not echo:
            self._lines.append(line)
            log.debug("scrcpy on %s: %r", self.serial, line)

    def _last_words(self, code: int) -> str:
        said = next((line for line in reversed(self._lines) if "ERROR" in line), "")
        said = said or (self._lines[-1] if self._lines else "")
        return said.removeprefix("[server] ERROR: ")[:200] or f"exit code {code}"

    def _end(self, reason: str) -> None:
        with self._news:
            self._ended = self._ended or reason
            self._news.notify_all()
        for stream in self._streams:
            stream.close()

    # -- using

    @property
    def ended(self) -> str:
        """Why it has ended; empty while it runs."""
        return self._ended

    @property
    def refusals(self) -> int:
        """How often the phone has said that it refuses injected input; at most once in 3 s."""
        return self._refusals

    def send(self, *parts: bytes) -> None:
        """Send messages. Raises StreamEnded if the session has ended; then it is unknown whether
        they arrived."""
        self._used = self._clock()
        self._control.write(b"".join(parts))

    def confirm(self, deadline: Deadline, seconds: float = 3.0) -> None:
        """Wait until the phone has handled everything sent so far.

        Raises StreamEnded if it does not say so within `seconds`; the session ends then. Raises
        DeviceTimeout at the deadline.
        """
        with self._news:
            code = _FIRST_ECHO + self._echoes % _ECHOES
            self._echoes += 1
            self._echoed.discard(code)
        self.send(messages.text(chr(code)))
        if not self._await(lambda: code in self._echoed, deadline, seconds):
            self._end(f"it did not confirm within {seconds:g} s")
            raise StreamEnded
        with self._news:
            self._echoed.discard(code)

    def clipboard(self, deadline: Deadline, seconds: float = 0.3) -> str | None:
        """Return the text in the phone's clipboard; None if it is empty or has no text, for which
        the phone sends nothing: `seconds` after it has handled the question.

        Raises StreamEnded, DeviceTimeout.
        """
        with self._news:
            self._clipboard = None
        self.send(messages.get_clipboard())
        self.confirm(deadline)
        self._await(lambda: self._clipboard is not None, deadline, seconds)
        return self._clipboard

    def set_clipboard(self, text: str, deadline: Deadline, seconds: float = 3.0) -> None:
        """Have the clipboard set, and return when that is handled, though it may have failed.

        Raises StreamEnded, also if it is not handled within `seconds`; DeviceTimeout.
        """
        with self._news:
            self._sequence += 1
            sequence = self._sequence
        self.send(messages.set_clipboard(sequence, text))
        if not self._await(lambda: self._acknowledged >= sequence, deadline, seconds):
            self._end("it did not acknowledge the clipboard")
            raise StreamEnded

    def _await(self, come: Callable[[], bool], deadline: Deadline, seconds: float) -> bool:
        """Wait until `come`; False after `seconds`. Raises StreamEnded, DeviceTimeout."""
        end = self._clock() + seconds
        with self._news:
            while not come():
                if self._ended:
                    raise StreamEnded
                left = min(end - self._clock(), deadline.left())
                if end <= self._clock():
                    return False
                # In slices: another thread may abandon the deadline.
                self._news.wait(min(left, 0.1))
        return True

    def close(self) -> None:
        """End the server; returns at once."""
        self._end("it was closed")
