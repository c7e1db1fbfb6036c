"""Apps by the names people use, and starting them.

No shell command tells an app's label, so names come from a table (`configs/apps.toml` and the
operator's own); beyond it a package name, or its last part, is understood.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from app.adb import parse
from app.adb.connection import Deadline
from app.adb.shell import Completed, Shell
from app.errors import AppNotFound, CommandFailed

_PACKAGE = re.compile(r"[A-Za-z]\w*(\.\w+)+", re.ASCII)
_LAUNCHER = ("-a", "android.intent.action.MAIN", "-c", "android.intent.category.LAUNCHER")
_START_FAILURES = ("Error type", "Error:", "Permission Denial", "SecurityException")


def is_package(name: str) -> bool:
    """Whether `name` has the form of a package and is safe to pass to commands."""
    return _PACKAGE.fullmatch(name) is not None


class AppTable:
    """Looks apps up by name, alias or package, whatever the case and the spaces around.

    A word may mean several packages ("Clock" of one maker or another): then the first one that is
    installed is meant, in the order of the table.
    """

    def __init__(self, apps: Iterable[tuple[str, Sequence[str], str]] = ()) -> None:
        self._packages: dict[str, list[str]] = {}
        self._labels: dict[str, str] = {}
        for name, aliases, package in apps:
            self._labels.setdefault(package, name)
            for word in dict.fromkeys(map(_key, (name, *aliases, package))):
                self._packages.setdefault(word, []).append(package)

    def packages(self, name: str) -> tuple[str, ...]:
        """The packages that `name` may mean, best first."""
        return tuple(self._packages.get(_key(name), ()))

    def label(self, package: str) -> str | None:
        """The name of a package of the table."""
        return self._labels.get(package)

    def similar(self, name: str) -> list[str]:
        """Up to three names that `name` may have meant."""
        return difflib.get_close_matches(_key(name), self._packages, 3)


def _key(name: str) -> str:
    return " ".join(name.casefold().split())


def find(shell: Shell, table: AppTable, name: str, deadline: Deadline) -> str:
    """The package that `name` means on this phone; raises AppNotFound."""
    known = table.packages(name)
    if len(known) == 1:
        return known[0]
    if not known and is_package(name.strip()):
        return name.strip()
    listed = shell.run(["pm", "list", "packages"], deadline=deadline).check("listing apps")
    installed = parse.packages(listed.text)
    for package in known:
        if package in installed:
            return package
    if known:
        raise AppNotFound(f"{name} is not installed on the phone")
    word = _key(name).replace(" ", "")
    found = [
        package
        for package in installed
        if is_package(package) and package.casefold().rpartition(".")[2] == word
    ]
    if len(found) == 1:
        return found[0]
    similar = ", ".join(table.similar(name))
    raise AppNotFound(
        f"no app is known as {name!r}",
        f"Did you mean: {similar}?" if similar else "Add it to the app table, or open it by hand.",
    )


def launch(shell: Shell, package: str, deadline: Deadline) -> None:
    """Start an app or bring it to the front.

    Raises AppNotFound when it is not installed, CommandFailed when the phone will not start it.
    """
    if not is_package(package):
        raise AppNotFound(f"{package!r} is no package name")
    resolve = ["cmd", "package", "resolve-activity", "--brief", *_LAUNCHER, package]
    component = parse.resolved_activity(shell.run(resolve, deadline=deadline).text)
    started: Completed | None = None
    if component is not None and component.package == package:
        started = shell.run(["am", "start", "-W", "-n", str(component)], deadline=deadline)
        if _has_started(started):
            return
    listed = shell.run(["pm", "list", "packages", package], deadline=deadline).text
    if package not in parse.packages(listed):
        raise AppNotFound(f"{package} is not installed on the phone")
    # Last, because monkey leaves auto-rotate switched on.
    monkey = ["monkey", "-p", package, "-c", "android.intent.category.LAUNCHER", "1"]
    fallback = shell.run(monkey, deadline=deadline)
    if fallback.exit_code == 0 and "No activities found" not in fallback.text + fallback.error_text:
        return
    reason = (started or fallback).error_text or (started or fallback).text.strip()
    raise CommandFailed(f"{package} did not start: {reason[:200]}", fallback.exit_code, reason)


def _has_started(result: Completed) -> bool:
    said = result.text + result.error_text
    return result.exit_code == 0 and not any(failure in said for failure in _START_FAILURES)
