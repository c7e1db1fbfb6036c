"""Runs a command line as the phone's `sh -c` would."""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.virtual_phone.filesystem import FileTree
from app.virtual_phone.quirks import ENDLESS, SLOW_SHELL
from app.virtual_phone.shell import syntax
from app.virtual_phone.shell.call import (
    STDERR,
    STDOUT,
    Call,
    CommandTable,
    LinkDrop,
    Output,
    encode,
)

if TYPE_CHECKING:
    from app.virtual_phone.phone import Phone

Emit = Callable[[int, bytes], Awaitable[None]]
_NOT_FOUND, _SYNTAX_ERROR = 127, 2


@dataclass(frozen=True, slots=True)
class Result:
    """All output in the order written, and the exit code (0 to 255).

    With `dropped`, the link is closed after this output, and the exit code is never sent. With
    `endless`, the output continues forever.
    """

    output: Output
    exit_code: int
    dropped: bool = False
    endless: bool = False

    @property
    def stdout(self) -> bytes:
        return b"".join(data for kind, data in self.output if kind == STDOUT)

    @property
    def stderr(self) -> bytes:
        return b"".join(data for kind, data in self.output if kind == STDERR)


class Shell:
    """One shell process with its own variables; phone and files are shared."""

    def __init__(
        self,
        phone: Phone,
        files: FileTree,
        commands: CommandTable,
        receive: Callable[[int], Awaitable[bytes]] | None = None,
        emit: Emit | None = None,
    ) -> None:
        self._phone = phone
        self._files = files
        self._commands = commands
        self._receive = receive
        self._emit = emit
        self._variables: dict[str, str] = {"HOME": "/", "USER": "shell"}
        self._status = 0
        self._exited = False
        self._dropped = False

    async def run(self, text: str) -> Result:
        """Run a command line and log it as a `shell` event of the phone.

        The event has the exit code and `ms`, the milliseconds that the command itself took.
        """
        begun = time.perf_counter()
        await asyncio.sleep(self._phone.quirks.get(SLOW_SHELL) or 0)
        output: Output = []
        if not text.strip():
            output.append((STDERR, b"an interactive shell is not available; give a command\n"))
            self._status = 1
        else:
            try:
                await self._run_list(syntax.parse(text), output)
            except syntax.ShellSyntaxError as exc:
                output.append((STDERR, f"/system/bin/sh: syntax error: {exc}\n".encode()))
                self._status = _SYNTAX_ERROR
        command = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        took = round((time.perf_counter() - begun) * 1000, 3)
        self._phone.log("shell", command=command, exit_code=self._status, ms=took)
        endless = self._phone.quirks.get(ENDLESS)
        return Result(output, self._status, self._dropped, endless in re.findall(r"[a-z]+", text))

    async def _run_list(self, pipelines: list[syntax.Pipeline], output: Output) -> None:
        for pipeline in pipelines:
            if pipeline.condition == "&&" and self._status != 0:
                continue
            if pipeline.condition == "||" and self._status == 0:
                continue
            stdin = b""
            for position, command in enumerate(pipeline.commands, start=1):
                alone = len(pipeline.commands) == 1 and not command.redirections
                written = await self._run_command(command, stdin, self._emit if alone else None)
                if position < len(pipeline.commands):
                    stdin = b"".join(data for kind, data in written if kind == STDOUT)
                    written = [piece for piece in written if piece[0] == STDERR]
                output.extend(written)
            if self._exited:
                return

    async def _run_command(
        self, command: syntax.Command, stdin: bytes, emit: Emit | None
    ) -> Output:
        name, *args = [self._expand(word) for word in command.words]
        output: Output = []
        try:
            for redirection in command.redirections:
                if redirection.operator == "<":
                    stdin = self._files.read(self._expand(redirection.target))
            self._status = await self._execute(name, args, stdin, output, emit)
            if command.merge == "2>&1":
                output = [(STDOUT, data) for _, data in output]
            elif command.merge == ">&2":
                output = [(STDERR, data) for _, data in output]
            for redirection in command.redirections:
                output = self._redirect(redirection, output)
        except LinkDrop:
            self._dropped = self._exited = True
        except OSError as exc:
            # As in sh, if a file cannot be opened, the command fails.
            message = f"/system/bin/sh: can't open {exc.filename}: {exc.strerror}\n"
            output = [(STDERR, encode(message))]
            self._status = 1
        return output

    async def _execute(
        self, name: str, args: list[str], stdin: bytes, output: Output, emit: Emit | None
    ) -> int:
        given: dict[str, str] = {}
        while (assigned := name.partition("="))[1] and assigned[0].isidentifier():
            given[assigned[0]] = assigned[2]
            if not args:
                self._variables |= given
                return 0
            name, *args = args
        if name == "export":
            for pair in args:
                variable, _, value = pair.partition("=")
                self._variables[variable] = value
            return 0
        if name == "exit":
            self._exited = True
            return int(args[0]) & 0xFF if args and args[0].isdecimal() else self._status
        name = name.removeprefix("/system/bin/") if name != "/system/bin/" else name
        command = self._commands.get(name)
        if command is None:
            message = f"/system/bin/sh: {name}: inaccessible or not found\n"
            output.append((STDERR, encode(message)))
            return _NOT_FOUND
        environment = self._variables | given
        call = Call(
            self._phone, self._files, name, args, stdin, output, self._receive, emit, environment
        )
        result = command(call)
        return (await result if inspect.isawaitable(result) else result) & 0xFF

    def _expand(self, word: syntax.Word) -> str:
        return "".join(part if isinstance(part, str) else self._value(part.name) for part in word)

    def _value(self, name: str) -> str:
        return str(self._status) if name == "?" else self._variables.get(name, "")

    def _redirect(self, redirection: syntax.Redirection, output: Output) -> Output:
        if redirection.operator == "<":
            return output
        kind = STDERR if redirection.operator.startswith("2") else STDOUT
        target = self._expand(redirection.target)
        data = b"".join(data for piece, data in output if piece == kind)
        if target != "/dev/null":
            append = redirection.operator.endswith(">>")
            (self._files.append if append else self._files.write)(target, data)
        return [piece for piece in output if piece[0] != kind]
