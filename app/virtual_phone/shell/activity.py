"""`am` and `monkey`: starting and stopping apps, and ADBKeyboard's broadcasts."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.virtual_phone.seeding import ADB_KEYBOARD
from app.virtual_phone.shell.call import Call
from app.virtual_phone.shell.packages import component, find_package

_FLAGS = frozenset({"-W", "-S", "-D", "-N"})
_EXTRAS_WITH_VALUE = frozenset({"--es", "-e", "--ei", "--ez", "--el", "--ef", "--eia", "--esa"})
_MONKEY_NOTHING = 252


@dataclass(slots=True)
class _Intent:
    action: str | None = None
    data: str | None = None
    component: str | None = None
    package: str | None = None
    extras: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        pairs = (("act", self.action), ("dat", self.data), ("cmp", self.component))
        shown = [f"{key}={value}" for key, value in pairs if value]
        return "Intent { " + " ".join(shown + ["(has extras)"] * bool(self.extras)) + " }"


def _parse(args: list[str]) -> _Intent:
    """Parse the arguments. Raises ValueError with the message of Android's exception."""
    intent = _Intent()
    pending = iter(args)
    for arg in pending:
        if arg in _FLAGS:
            intent.flags.add(arg)
        elif arg in _EXTRAS_WITH_VALUE:
            key = _value(arg, pending)
            intent.extras[key] = _value(key, pending)
        elif arg.startswith("-"):
            value = _value(arg, pending)
            match arg:
                case "-a":
                    intent.action = value
                case "-d":
                    intent.data = value
                case "-n":
                    intent.component = value
                case "-p":
                    intent.package = value
                case "-c" | "-f" | "-t" | "--user" | "--display" | "--windowingMode":
                    pass  # accepted, without effect here
                case _:
                    raise ValueError(f"Unknown option: {arg}")
        elif "/" in arg and "://" not in arg:
            intent.component = arg
        elif ":" in arg:
            intent.data = arg
        else:
            intent.package = arg
    return intent


def _value(option: str, pending: Iterator[str]) -> str:
    value = next(pending, None)
    if value is None:
        raise ValueError(f'Argument expected after "{option}"')
    return value


def am(call: Call) -> int:
    if not call.args:
        return call.fail("Activity manager (activity) commands: start broadcast force-stop", 255)
    try:
        if call.args[0] in ("start", "start-activity"):
            return _start(call, _parse(call.args[1:]))
        if call.args[0] == "broadcast":
            return _broadcast(call, _parse(call.args[1:]))
    except ValueError as exc:
        return call.fail(
            f"\nException occurred while executing '{call.args[0]}':\n"
            f"java.lang.IllegalArgumentException: {exc}",
            255,
        )
    if call.args[0] == "force-stop" and len(call.args) > 1:
        call.phone.force_stop(call.args[-1])
        return 0
    return call.fail(f"Unknown command: {call.args[0]}", 255)


def _start(call: Call, intent: _Intent) -> int:
    call.out(f"Starting: {intent}")
    if intent.component is not None:
        return _start_component(call, intent)
    # No app of this phone handles a VIEW of an address: like a phone without a browser.
    if intent.data is None and intent.package and call.phone.launch(intent.package):
        return _report(call, intent)
    return call.fail(f"Error: Activity not started, unable to resolve {intent}")


def _start_component(call: Call, intent: _Intent) -> int:
    name, _, activity = (intent.component or "").partition("/")
    package = find_package(call.phone, name)
    short = activity.removeprefix(name)
    if package is None or component(package) != f"{name}/{short}":
        full = name + short if short.startswith(".") else short
        return call.fail(f"Error type 3\nError: Activity class {{{name}/{full}}} does not exist.")
    if call.phone.foreground.package == name:
        call.fail("Warning: Activity not started, its current task has been brought to the front")
    call.phone.launch(name)
    return _report(call, intent)


def _report(call: Call, intent: _Intent) -> int:
    if "-W" in intent.flags:
        call.out("Status: ok")
        call.out("LaunchState: WARM")
        call.out(f"Activity: {component(call.phone.foreground)}")
        call.out("TotalTime: 84")
        call.out("WaitTime: 86")
        call.out("Complete")
    return 0


def _broadcast(call: Call, intent: _Intent) -> int:
    """Deliver a broadcast. The response is the same whether or not anything listened."""
    call.out(f"Broadcasting: {intent}")
    phone = call.phone
    listening = phone.adb_keyboard.hears(phone.state.ime) and not phone.keyguard.showing
    if listening and intent.package in (None, ADB_KEYBOARD.partition("/")[0]):
        message = intent.extras.get("msg", "")
        if intent.action == "ADB_INPUT_B64":
            _type(call, _decoded(message))
        elif intent.action == "ADB_INPUT_TEXT":
            _type(call, message)
        elif intent.action == "ADB_CLEAR_TEXT":
            phone.clear_text()
    call.out("Broadcast completed: result=0")
    return 0


def _decoded(message: str) -> str | None:
    try:
        return base64.b64decode(message, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None  # the keyboard logs it and types nothing


def _type(call: Call, text: str | None) -> None:
    def type_text() -> int:
        if text is not None:
            call.phone.type_text(text)
        return 0

    call.touch(type_text)


def monkey(call: Call) -> int:
    name = call.args[call.args.index("-p") + 1] if "-p" in call.args[:-1] else ""
    # monkey freezes the rotation while it runs and thaws it afterwards: auto-rotate ends up on.
    call.phone.put_setting("system", "accelerometer_rotation", "1")
    if find_package(call.phone, name) is None or not call.phone.launch(name):
        return call.fail("** No activities found to run, monkey aborted.", _MONKEY_NOTHING)
    call.out("Events injected: 1")
    call.out("## Network stats: elapsed time=12ms (0ms mobile, 0ms wifi, 12ms not connected)")
    return 0


COMMANDS = {"am": am, "monkey": monkey}
