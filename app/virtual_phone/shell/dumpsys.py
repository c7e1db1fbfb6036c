"""`dumpsys window|activity|input_method|power|display|SurfaceFlinger`.

Only the sections and keys that programs look for are here, with the indentation and the surrounding
noise that a parser has to handle.
"""

from __future__ import annotations

from collections.abc import Callable

from app.virtual_phone.quirks import NO_CURSOR
from app.virtual_phone.shell import displays, windows
from app.virtual_phone.shell.call import Call
from app.virtual_phone.shell.versions import version


def _input_method(call: Call) -> list[str]:
    """The service's state, and the client state of the app whose field has the keyboard.

    Positions are UTF-16 code units (AOSP `InputMethodManager.doDump`).
    """
    shown = str(call.phone.keyboard_shown).lower()
    ime = call.phone.state.ime.current
    bound = str(call.phone.adb_keyboard.bound(call.phone.state.ime)).lower()
    return [
        "Current Input Method Manager state:",
        "  Input Methods: mMethodMapUpdateCount=2",
        f"  mCurMethodId={ime}",
        f"  mCurId={ime} mHaveConnection=true mBoundToMethod={bound} mVisibleBound={shown}",
        f"  mShowRequested={shown} mShowExplicitlyRequested=false mShowForced=false"
        f" mInputShown={shown}",
        *_client(call),
    ]


def _client(call: Call) -> list[str]:
    selection = call.phone.selection
    if selection is None:
        return []
    lines = [
        "Input method client state for android.view.inputmethod.InputMethodManager@9c1f2e4:",
        "  mActive=true mRestartOnNextWindowFocus=false mBindSequence=12",
        "  mServedConnecting=false",
        "  mCurrentTextBoxAttribute:",
        f"    inputType={'0x81' if call.phone.in_password else '0x1'} imeOptions=0x6"
        " privateImeOptions=null",
    ]
    if call.phone.quirks.get(NO_CURSOR) is None:
        lines.append(
            f"  mCursorSelStart={selection[0]} mCursorSelEnd={selection[1]}"
            " mCursorCandStart=-1 mCursorCandEnd=-1"
        )
    return lines


def _power(call: Call) -> list[str]:
    """Only Android 12 prints the name of a getter (AOSP `PowerManagerService.dumpInternal`)."""
    awake = call.phone.state.power.awake
    key = "getWakefulnessLocked()" if version(call.phone) == 12 else "mWakefulness"
    return [
        "POWER MANAGER (dumpsys power)",
        "",
        "Power Manager State:",
        f"  {key}={'Awake' if awake else 'Asleep'}",
        "  mWakefulnessChanging=false",
        f"Display Power: state={'ON' if awake else 'OFF'}",
    ]


_SERVICES: dict[str, Callable[[Call], list[str]]] = {
    "window": windows.window,
    "activity": windows.activity,
    "SurfaceFlinger": displays.surface_flinger,
    "display": displays.display,
    "input_method": _input_method,
    "power": _power,
}


def dumpsys(call: Call) -> int:
    if call.args[:1] == ["-l"]:
        call.out("Currently running services:")
        for name in sorted(_SERVICES):
            call.out(f"  {name}")
        return 0
    service = _SERVICES.get(call.args[0]) if call.args else None
    if service is None:
        # dumpsys itself succeeds if a service is missing.
        return call.fail(f"Can't find service: {' '.join(call.args[:1])}", 0)
    for line in service(call):
        call.out(line)
    return 0


COMMANDS = {"dumpsys": dumpsys}
