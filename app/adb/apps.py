"""Finds apps by the names people use, and starts them.

No shell command returns an app's label, so names come from a table (`configs/apps.toml` and the
operator's own); besides them, a package name or its last part works.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from app.adb import parse
from app.adb.connection import Deadline
from app.adb.shell import Completed, Shell
from app.errors import AppNotFound, CommandFailed, InputError

_PACKAGE = re.compile(r"[A-Za-z]\w*(\.\w+)+", re.ASCII)
MAX_URL = 2000
_URL = re.compile(r"https?://[^\s\x00-\x20\x7f-\x9f\\\"<>^`{|}]+", re.IGNORECASE)
_LAUNCHER = ("-a", "android.intent.action.MAIN", "-c", "android.intent.category.LAUNCHER")
_MISSPELT = 0.85
"""How similar a word must be to stand for another: `Setings`, but not `Notes` for `Votes`."""
_START_FAILURES = ("Error type", "Error:", "Permission Denial", "SecurityException")


def is_package(name: str) -> bool:
    """Whether `name` has the form of a package and is safe to pass to commands."""
    return _PACKAGE.fullmatch(name) is not None


class AppTable:
    """Looks apps up by name, alias or package, ignoring case and surrounding spaces.

    A word may mean several packages ("Clock" from different makers): the first one that is
    installed is used, in the order of the table.
    """

    def __init__(self, apps: Iterable[tuple[str, Sequence[str], str]] = ()) -> None:
        self._packages: dict[str, list[str]] = {}
        self._labels: dict[str, str] = {}
        for name, aliases, package in apps:
            self._labels.setdefault(package, name)
            for word in dict.fromkeys(map(_key, (name, *aliases, package))):
                self._packages.setdefault(word, []).append(package)

    def packages(self, name: str) -> tuple[str, ...]:
        """Return the packages that `name` may mean, best first."""
        return tuple(self._packages.get(_key(name), ()))

    def label(self, package: str) -> str | None:
        """Return the table's name for a package."""
        return self._labels.get(package)

    def similar(self, name: str) -> list[str]:
        """Return up to three names that `name` may have meant."""
        return difflib.get_close_matches(_key(name), self._packages, 3)

    def misspelt(self, name: str) -> tuple[str, ...]:
        """Return the packages that `name` means if it is close to the words of only one app."""
        words = difflib.get_close_matches(_key(name), self._packages, 5, _MISSPELT)
        meant = {self.packages(word) for word in words}
        return meant.pop() if len(meant) == 1 else ()


def _key(name: str) -> str:
    return " ".join(name.casefold().split())


def find(shell: Shell, table: AppTable, name: str, deadline: Deadline) -> str:
    """Return the package that `name` means on this phone.

    Tries, in this order: the table's names and aliases; a package; the last part of exactly one
    installed package; a word close to exactly one app of the table or installed package. Raises
    AppNotFound with suggestions.
    """
    known = table.packages(name)
    if len(known) == 1:
        return known[0]
    if not known and is_package(name.strip()):
        return name.strip()
    listed = shell.run(["pm", "list", "packages"], deadline=deadline).check("listing apps")
    installed = [package for package in parse.packages(listed.text) if is_package(package)]
    for package in known:
        if package in installed:
            return package
    if known:
        raise AppNotFound(f"{name} is not installed on the phone")
    last_parts: dict[str, list[str]] = {}
    for package in installed:
        last_parts.setdefault(package.casefold().rpartition(".")[2], []).append(package)
    word = _key(name).replace(" ", "")
    found = last_parts.get(word, [])
    if len(found) == 1:
        return found[0]
    if not found:
        close = difflib.get_close_matches(word, last_parts, 2, _MISSPELT)
        guesses = {package for package in table.misspelt(name) if package in installed}
        guesses |= {package for part in close for package in last_parts[part]}
        if len(guesses) == 1:
            return guesses.pop()
    similar = ", ".join(dict.fromkeys([*table.similar(name), *found[:3]]))
    raise AppNotFound(
        f"no app is known as {name!r}",
        f"Did you mean: {similar}?" if similar else "Add it to the app table, or open it by hand.",
    )


def launch(shell: Shell, package: str, deadline: Deadline) -> None:
    """Start an app or bring it to the front.

    Raises AppNotFound if it is not installed, CommandFailed if the phone does not start it.
    """
    if not is_package(package):
        raise AppNotFound(f"{package!r} is not a package name")
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
    fallback = _monkey(shell, package, deadline)
    if fallback.exit_code == 0 and "No activities found" not in fallback.text + fallback.error_text:
        return
    reason = (started or fallback).error_text or (started or fallback).text.strip()
    raise CommandFailed(f"{package} did not start: {reason[:200]}", fallback.exit_code, reason)


def _monkey(shell: Shell, package: str, deadline: Deadline) -> Completed:
    """Start an app with monkey, which leaves auto-rotate switched on, and restore that setting."""
    setting = ["system", "accelerometer_rotation"]
    before = shell.run(["settings", "get", *setting], deadline=deadline).text.strip()
    monkey = ["monkey", "-p", package, "-c", "android.intent.category.LAUNCHER", "1"]
    result = shell.run(monkey, deadline=deadline)
    if before == "0":
        shell.run(["settings", "put", *setting, "0"], deadline=deadline).check("restoring rotation")
    return result


def stop(shell: Shell, package: str, deadline: Deadline) -> None:
    """Stop an app and its services. Raises AppNotFound for an invalid name, CommandFailed."""
    if not is_package(package):
        raise AppNotFound(f"{package!r} is not a package name")
    shell.run(["am", "force-stop", package], deadline=deadline).check("stopping the app")


def web_address(url: str) -> str:
    """Return the address unchanged; raises InputError unless it is a plain http or https URL.

    Other schemes (`intent:`, `file:`, `tel:`, ...) could start more than a page.
    """
    if len(url) > MAX_URL or not _URL.fullmatch(url):
        raise InputError("not an http or https address", "Give it as https://host/path.")
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid or parts.username is not None or parts.password is not None:
        raise InputError("the address has no valid host", "Give it as https://host/path.")
    return url


def open_url(shell: Shell, url: str, deadline: Deadline) -> None:
    """Open a web page in the phone's default browser.

    Raises InputError for another scheme, CommandFailed if nothing on the phone opens it.
    """
    view = ["am", "start", "-W", "-a", "android.intent.action.VIEW", "-d", web_address(url)]
    result = shell.run(view, deadline=deadline)
    if not _has_started(result):
        reason = result.error_text or result.text.strip()
        raise CommandFailed("no app opens the page", result.exit_code, reason[:400])


def _has_started(result: Completed) -> bool:
    said = result.text + result.error_text
    return result.exit_code == 0 and not any(failure in said for failure in _START_FAILURES)
