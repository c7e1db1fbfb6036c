"""`settings`, `wm`, `ime` and `getprop`: the phone's settings and properties."""

from __future__ import annotations

from typing import Any

from app.errors import ConfigError
from app.virtual_phone.quirk_values import Quirk
from app.virtual_phone.quirks import OVERRIDE_DENSITY, OVERRIDE_SIZE
from app.virtual_phone.shell.call import Call
from app.virtual_phone.shell.versions import SDK, version

_NAMESPACES = frozenset({"system", "secure", "global"})
_DEFAULT_IME = "default_input_method"
_OVERRIDES: dict[str, Quirk[Any]] = {"size": OVERRIDE_SIZE, "density": OVERRIDE_DENSITY}


def settings(call: Call) -> int:
    if len(call.args) < 3:
        return call.fail("Invalid arguments: settings get|put NAMESPACE KEY [VALUE]", 255)
    verb, namespace, key, *rest = call.args
    if namespace not in _NAMESPACES:
        return call.fail(f"Invalid namespace '{namespace}'", 255)
    if verb == "get" and not rest:
        value = call.phone.get_setting(namespace, key)
        call.out("null" if value is None else value)
        return 0
    if verb == "put" and rest:
        try:
            call.phone.put_setting(namespace, key, rest[0])
        except ValueError as exc:
            return call.fail(f"java.lang.IllegalArgumentException: {exc}", 255)
        return 0
    return call.fail(f"Invalid command: {verb}", 255)


def _override(call: Call, what: str, value: str) -> int:
    """`wm size WxH|reset` and `wm density DPI|reset`."""
    quirk = _OVERRIDES[what]
    try:
        call.phone.quirks.change({quirk.name: None if value == "reset" else value})
    except ConfigError:
        return call.fail(f"Error: bad {what} {value}", 255)
    return 0


def wm(call: Call) -> int:
    """`wm size|density|dismiss-keyguard` (AOSP `WindowManagerShellCommand`)."""
    panel = call.phone.panel
    if call.args == ["size"]:
        call.out("Physical size: {}x{}".format(*panel.physical_size))
        if panel.override_size:
            call.out("Override size: {}x{}".format(*panel.override_size))
        return 0
    if call.args == ["density"]:
        call.out(f"Physical density: {panel.physical_density}")
        if panel.override_density:
            call.out(f"Override density: {panel.override_density}")
        return 0
    if call.args == ["dismiss-keyguard"]:
        call.phone.keyguard.dismiss()
        return 0
    if len(call.args) == 2 and call.args[0] in _OVERRIDES:
        return _override(call, *call.args)
    return call.fail(f"Unknown command: {' '.join(call.args)}", 255)


def _ime_list(call: Call, options: list[str]) -> int:
    ime = call.phone.state.ime
    for name in ime.available if "-a" in options else ime.enabled:
        if "-s" in options:
            call.out(name)
        else:
            call.out(f"{name}:")
            call.out(f"  mId={name} mSettingsActivityName=null mIsVrOnly=false")
    return 0


def _ime_change(call: Call, verb: str, name: str) -> int:
    ime = call.phone.state.ime
    if name not in ime.available:
        if verb == "set":
            return call.fail(f"Unknown input method {name} cannot be selected for user #0", 255)
        return call.fail(f"Unknown input method {name} cannot be {verb}d for user #0", 255)
    if verb == "enable":
        already = "already" if name in ime.enabled else "now"
        if name not in ime.enabled:
            ime.enabled = [*ime.enabled, name]
        call.out(f"Input method {name}: {already} enabled for user #0")
    elif verb == "disable":
        ime.enabled = [other for other in ime.enabled if other != name]
        if ime.current == name and ime.enabled:
            call.phone.put_setting("secure", _DEFAULT_IME, ime.enabled[0])
        call.out(f"Input method {name}: now disabled for user #0")
    elif name not in ime.enabled:
        return call.fail(f"Input method {name} cannot be selected for user #0: not enabled", 255)
    else:
        call.phone.put_setting("secure", _DEFAULT_IME, name)
        call.out(f"Input method {name} selected for user #0")
    return 0


def ime(call: Call) -> int:
    match call.args:
        case ["list", *options]:
            return _ime_list(call, options)
        case ["enable" | "disable" | "set" as verb, name]:
            return _ime_change(call, verb, name)
        case ["reset"]:
            state = call.phone.state.ime
            state.enabled = state.available[:1]
            call.phone.put_setting("secure", _DEFAULT_IME, state.available[0])
            call.out("Reset current and enabled IMEs for user #0")
            call.out(f"  Newly selected IME for user #0: {state.current}")
            return 0
        case _:
            return call.fail("ime: unknown command; list, enable, disable, set, reset", 255)


PROPERTIES = {
    "ro.product.brand": "phonepilot",
    "ro.product.device": "vphone",
    "ro.product.locale": "en-US",
    "ro.product.manufacturer": "phonepilot",
    "ro.product.model": "Virtual_Phone",
    "ro.product.name": "vphone",
    "sys.boot_completed": "1",
}


def getprop(call: Call) -> int:
    android = version(call.phone)
    values = PROPERTIES | {
        "ro.build.version.release": str(android),
        "ro.build.version.sdk": str(SDK[android]),
        "ro.boot.serialno": call.phone.serial,
        "ro.serialno": call.phone.serial,
        "ro.sf.lcd_density": str(call.phone.panel.physical_density),
    }
    if not call.args:
        for name, value in sorted(values.items()):
            call.out(f"[{name}]: [{value}]")
        return 0
    call.out(values.get(call.args[0], call.args[1] if len(call.args) > 1 else ""))
    return 0


COMMANDS = {"settings": settings, "wm": wm, "ime": ime, "getprop": getprop}
