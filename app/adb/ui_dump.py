"""Parses `uiautomator dump`: the texts on the screen and their places.

The phone takes a second for it, so it is used only where a picture is not enough.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree import ElementTree

from app.adb.connection import Deadline
from app.adb.shell import Shell
from app.errors import AnswerTooLarge, ScreenshotUnavailable

PATH = "/data/local/tmp/phonepilot-ui.xml"
"""A place that no app can read."""
MAX_DUMP = 2**22
"""Most bytes of a dump; that of a crowded page has some hundred thousand."""
_BOUNDS = re.compile(r"\[(-?\d{1,5}),(-?\d{1,5})\]\[(-?\d{1,5}),(-?\d{1,5})\]")


@dataclass(frozen=True, slots=True)
class ShownText:
    """A text on the screen, or a control without text that can be touched; `box` is left, top,
    right and bottom in pixels of a screenshot."""

    text: str
    box: tuple[int, int, int, int]
    password: bool
    focused: bool
    clickable: bool = False


def shown_texts(shell: Shell, deadline: Deadline) -> list[ShownText]:
    """Return every text, password field and clickable place on the screen.

    Raises ScreenshotUnavailable if the phone does not report them, for example during an animation.
    """
    commands = (["uiautomator", "dump", PATH], ["cat", PATH], ["rm", "-f", PATH])
    try:
        said = shell.run(*commands, deadline=deadline, limit=MAX_DUMP)
    except AnswerTooLarge as exc:
        raise ScreenshotUnavailable(f"no list of texts: {exc.message}", exc.hint) from exc
    start = said.text.find("<?xml")
    if said.exit_code != 0 or start < 0:
        raise ScreenshotUnavailable("the phone did not report the text on its screen")
    return parse(said.text[start:])


def parse(document: str) -> list[ShownText]:
    """Parse a dump. Raises ScreenshotUnavailable if it is not one."""
    end = document.rfind("</hierarchy>")
    if end < 0 or "<!DOCTYPE" in document:  # a dump has no DTD, so no entity can expand
        raise ScreenshotUnavailable("the phone's list of texts is incomplete")
    try:
        root = ElementTree.fromstring(document[: end + len("</hierarchy>")].encode())
    except ElementTree.ParseError as exc:
        raise ScreenshotUnavailable(f"the phone's list of texts is broken: {exc}") from exc
    found = []
    for node in root.iter("node"):
        bounds = _BOUNDS.fullmatch(node.get("bounds", ""))
        password = node.get("password") == "true"
        text = "\n".join(filter(None, (node.get("text"), node.get("content-desc"))))
        clickable = node.get("clickable") == "true"
        if bounds is None or not (text or password or clickable):
            continue
        left, top, right, bottom = map(int, bounds.groups())
        focused = node.get("focused") == "true"
        found.append(ShownText(text, (left, top, right, bottom), password, focused, clickable))
    return found
