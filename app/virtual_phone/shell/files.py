"""`ls`, `cat`, `rm` and `mkdir` on the phone's file tree (toybox's messages)."""

from __future__ import annotations

import stat
from datetime import UTC, datetime

from app.virtual_phone.filesystem import Node
from app.virtual_phone.shell.call import Call


def _split(call: Call) -> tuple[set[str], list[str]]:
    """Split option letters and other arguments; `--` ends the options."""
    letters: set[str] = set()
    names: list[str] = []
    pending = iter(call.args)
    for arg in pending:
        if arg == "--":
            names.extend(pending)
        elif arg.startswith("-") and len(arg) > 1:
            letters.update(arg[1:])
        else:
            names.append(arg)
    return letters, names


def _long(name: str, node: Node) -> str:
    when = datetime.fromtimestamp(node.mtime, UTC).strftime("%Y-%m-%d %H:%M")
    return f"{stat.filemode(node.mode)} 1 shell sdcard_rw {node.size:>8} {when} {name}"


def ls(call: Call) -> int:
    letters, names = _split(call)
    code = 0
    for name in names or ["/"]:
        try:
            entries = call.files.list(name)
        except OSError as exc:
            code = call.fail(f"ls: {name}: {exc.strerror}")
            continue
        if "d" in letters:
            entries = [(name, call.files.stat(name))]
        for entry, node in entries:
            call.out(_long(entry, node) if "l" in letters else entry)
    return code


def cat(call: Call) -> int:
    _, names = _split(call)
    code = 0
    for name in names or ["-"]:
        try:
            call.out_bytes(call.stdin if name == "-" else call.files.read(name))
        except OSError as exc:
            code = call.fail(f"cat: {name}: {exc.strerror}")
    return code


def rm(call: Call) -> int:
    letters, names = _split(call)
    if not names:
        return 0 if "f" in letters else call.fail('rm: Needs 1 argument (see "rm --help")')
    code = 0
    for name in names:
        try:
            call.files.remove(name, recursive=bool(letters & {"r", "R"}))
        except FileNotFoundError as exc:
            if "f" not in letters:
                code = call.fail(f"rm: {name}: {exc.strerror}")
        except OSError as exc:
            code = call.fail(f"rm: {name}: {exc.strerror}")
    return code


def mkdir(call: Call) -> int:
    _, names = _split(call)
    code = 0
    for name in names:
        try:
            call.files.make_directory(name)
        except OSError as exc:
            code = call.fail(f"mkdir: '{name}': {exc.strerror}")
    return code


COMMANDS = {"ls": ls, "cat": cat, "rm": rm, "mkdir": mkdir}
