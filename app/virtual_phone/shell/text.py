"""`echo`, `grep`, `head`, `date`, `true`, `false` and `sleep`."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime

from app.virtual_phone.shell.call import Call, Command, encode


def echo(call: Call) -> int:
    args = call.args
    newline = args[:1] != ["-n"]
    call.out_bytes(encode(" ".join(args if newline else args[1:])) + b"\n" * newline)
    return 0


def grep(call: Call) -> int:
    """`grep [-EFiv] PATTERN` on standard input; basic patterns are treated as extended ones."""
    letters = "".join(arg[1:] for arg in call.args if arg.startswith("-"))
    patterns = [arg for arg in call.args if not arg.startswith("-")]
    if len(patterns) != 1 or set(letters) - set("EFiv"):
        return call.fail("grep: one pattern, options of -EFiv, input from a pipe", 2)
    source = encode(patterns[0])
    try:
        pattern = re.compile(
            re.escape(source) if "F" in letters else source,
            re.IGNORECASE if "i" in letters else re.NOFLAG,
        )
    except re.error as exc:
        return call.fail(f"grep: bad pattern: {exc}", 2)
    found = False
    for line in call.stdin.splitlines():
        if (pattern.search(line) is not None) != ("v" in letters):
            found = True
            call.out_bytes(line + b"\n")
    return 0 if found else 1


def head(call: Call) -> int:
    digits = [arg.removeprefix("-n").lstrip("-") for arg in call.args]
    count = next((int(value) for value in digits if value.isdecimal()), 10)
    call.out_bytes(b"".join(call.stdin.splitlines(keepends=True)[:count]))
    return 0


def date(call: Call) -> int:
    """`date [+FORMAT]` of toybox, in UTC."""
    form = call.args[0] if call.args else "+%a %b %e %H:%M:%S UTC %Y"
    if not form.startswith("+"):
        return call.fail("date: can't set date: Permission denied")
    now = call.phone.now()
    form = form[1:].replace("%s", str(int(now)))
    call.out(datetime.fromtimestamp(now, UTC).strftime(form))
    return 0


async def sleep(call: Call) -> int:
    try:
        seconds = float(call.args[0])
    except (IndexError, ValueError):
        return call.fail("sleep: needs a number of seconds")
    await asyncio.sleep(min(max(seconds, 0.0), 3600.0))
    return 0


COMMANDS: dict[str, Command] = {
    "date": date,
    "echo": echo,
    "grep": grep,
    "head": head,
    "sleep": sleep,
    "true": lambda call: 0,
    ":": lambda call: 0,
    "false": lambda call: 1,
}
