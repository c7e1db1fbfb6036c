"""`dumpsys window|activity|input_method|power` in the form that Android 14 prints.

Only the sections and keys that programs look for are here, with the indentation and the noise
around them that a parser has to live with.
"""

from __future__ import annotations

from collections.abc import Callable

from app.virtual_phone.shell.call import Call
from app.virtual_phone.shell.packages import component


def _record(call: Call) -> str:
    return f"ActivityRecord{{5f1c6ee u0 {component(call.phone.foreground)} t57}}"


def _window(call: Call) -> list[str]:
    phone = call.phone
    package = phone.foreground
    activity = package.activity
    full = activity if not activity.startswith(".") else package.package + activity
    if phone.state.power.awake:
        focus = f"Window{{41b3757 u0 {package.package}/{full}}}"
    else:
        focus = "Window{8a0f1c2 u0 NotificationShade}"
    size = f"{phone.width}x{phone.height}"
    return [
        "WINDOW MANAGER DISPLAY CONTENTS (dumpsys window displays)",
        "  Display: mDisplayId=0 (organized)",
        f"    init={size} {phone.density}dpi cur={size} app={size}",
        "    mDisplayRotation=ROTATION_0 mCurrentRotation=ROTATION_0",
        f"  mCurrentFocus={focus}",
        f"  mFocusedApp={_record(call)}",
        "  mLastFocus=null",
        "WINDOW MANAGER POLICY STATE (dumpsys window policy)",
        f"    screenState={'SCREEN_STATE_ON' if phone.state.power.awake else 'SCREEN_STATE_OFF'}",
        "    mShowingLockscreen=false mDreamingLockscreen=false mInputRestricted=false",
    ]


def _activity(call: Call) -> list[str]:
    record = _record(call)
    return [
        "ACTIVITY MANAGER ACTIVITIES (dumpsys activity activities)",
        "Display #0 (activities from top to bottom):",
        f"  * Task{{9d1f2a3 #57 type=standard A=10085:{call.phone.foreground.package}}}",
        f"    topResumedActivity={record}",
        f"    mLastPausedActivity: {record}",
        f"  ResumedActivity: {record}",
    ]


def _input_method(call: Call) -> list[str]:
    shown = str(call.phone.keyboard_shown).lower()
    ime = call.phone.state.ime.current
    return [
        "Current Input Method Manager state:",
        "  Input Methods: mMethodMapUpdateCount=2",
        f"  mCurMethodId={ime}",
        f"  mCurId={ime} mHaveConnection=true mBoundToMethod=true mVisibleBound={shown}",
        f"  mShowRequested={shown} mShowExplicitlyRequested=false mShowForced=false"
        f" mInputShown={shown}",
    ]


def _power(call: Call) -> list[str]:
    awake = call.phone.state.power.awake
    return [
        "POWER MANAGER (dumpsys power)",
        "",
        "Power Manager State:",
        f"  mWakefulness={'Awake' if awake else 'Asleep'}",
        "  mWakefulnessChanging=false",
        f"Display Power: state={'ON' if awake else 'OFF'}",
    ]


_SERVICES: dict[str, Callable[[Call], list[str]]] = {
    "window": _window,
    "activity": _activity,
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
        # dumpsys itself succeeds when one service is missing.
        return call.fail(f"Can't find service: {' '.join(call.args[:1])}", 0)
    for line in service(call):
        call.out(line)
    return 0


COMMANDS = {"dumpsys": dumpsys}
