"""`uiautomator dump`: the contents of the screen, as XML (AOSP `frameworks/base/cmds/uiautomator`).

The misspelt confirmation is AOSP's. A password field reports its dots, as on Android.
"""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from app.virtual_phone.display import HEIGHT, WIDTH
from app.virtual_phone.secure_window import is_secret
from app.virtual_phone.shell.call import Call
from app.virtual_phone.toolkit.scene import Spot

_DEFAULT = "/sdcard/window_dump.xml"
_TERMINAL = "/dev/tty"


def uiautomator(call: Call) -> int:
    if call.args[:1] != ["dump"]:
        return call.fail("Usage: uiautomator <subcommand> [options]")
    targets = [arg for arg in call.args[1:] if not arg.startswith("--")]
    target = targets[0] if targets else _DEFAULT
    document = _document(call)
    if target == _TERMINAL:
        call.out_bytes(document.encode())
    else:
        try:
            call.files.write(target, document.encode())
        except OSError as exc:
            return call.fail(f"ERROR: {exc.strerror}")
    call.out(f"UI hierchary dumped to: {target}")
    return 0


def _document(call: Call) -> str:
    width, height = call.phone.panel.size
    spots = [] if is_secret(call.phone) else call.phone.scene().spots
    nodes = "".join(
        _node(number, spot, call.phone.foreground.package, width / WIDTH, height / HEIGHT)
        for number, spot in enumerate(spots)
    )
    rotation = call.phone.panel.rotation // 90
    return (
        "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>"
        f'<hierarchy rotation="{rotation}">{nodes}</hierarchy>'
    )


def _node(number: int, spot: Spot, package: str, across: float, down: float) -> str:
    rect = spot.rect
    left, right = round(rect.left * across), round(rect.right * across)
    top, bottom = round(rect.top * down), round(rect.bottom * down)
    text = spot.text if spot.kind == "field" else spot.name
    fields = {
        "index": str(number),
        "text": text,
        "resource-id": "",
        "class": "android.widget.EditText" if spot.kind == "field" else "android.view.View",
        "package": package,
        "content-desc": spot.value if spot.kind != "field" else "",
        "clickable": _bool(spot.on_tap is not None),
        "focused": _bool(spot.kind == "field" and spot.value == "focused"),
        "password": _bool(spot.password),
        "bounds": f"[{left},{top}][{right},{bottom}]",
    }
    told = " ".join(f"{name}={quoteattr(_printable(value))}" for name, value in fields.items())
    return f"<node {told} />"


def _printable(text: str) -> str:
    """Replace what XML does not allow: other control characters, and lone surrogates."""
    kept = "".join(c if c in "\t\n\r" or ord(c) >= 32 else "." for c in text)
    return kept.encode("utf-8", "replace").decode()


def _bool(value: bool) -> str:
    return "true" if value else "false"


COMMANDS = {"uiautomator": uiautomator}
