"""`dumpsys window` and `dumpsys activity`: what is in front, in the form of each Android version.

To Android 9 the focus stands among the windows (`dumpsys window windows`), from 10 on among the
displays; `mResumedActivity:` gave way to `topResumedActivity=` (AOSP `DisplayContent.dump`,
`ActivityStack.dump`, `RootWindowContainer.dumpActivities`, `KeyguardStateMonitor.dump`; the keys
that Appium's `app-commands` and `lockmgmt` and adbutils' `shell` look for).
"""

from __future__ import annotations

from app.virtual_phone.shell.call import Call
from app.virtual_phone.shell.packages import component, user_of
from app.virtual_phone.shell.versions import version


def _record(call: Call) -> str:
    name = component(call.phone.foreground)
    return f"ActivityRecord{{5f1c6ee {user_of(call.phone)} {name} t57}}"


def _focus(call: Call) -> str:
    phone = call.phone
    if phone.keyguard.showing or not phone.state.power.awake:
        cover = "StatusBar" if version(phone) <= 10 else "NotificationShade"
        return f"Window{{8a0f1c2 u0 {cover}}}"
    package = phone.foreground
    activity = package.activity
    full = activity if not activity.startswith(".") else package.package + activity
    return f"Window{{41b3757 {user_of(phone)} {package.package}/{full}}}"


def _focus_lines(call: Call) -> list[str]:
    app = _record(call)
    if version(call.phone) <= 9:
        token = f"Token{{7d0c3e1 {app}}}"
        app = f"AppWindowToken{{3c5e0b2 token={token}}}"
    return [f"  mCurrentFocus={_focus(call)}", f"  mFocusedApp={app}"]


def _windows(call: Call) -> list[str]:
    lines = [
        "WINDOW MANAGER WINDOWS (dumpsys window windows)",
        f"  Window #0 {_focus(call)}:",
        "    mDisplayId=0 mSession=Session{6a4b1d 1234:u0a10085}",
    ]
    return lines + _focus_lines(call) if version(call.phone) <= 9 else lines


def _displays(call: Call) -> list[str]:
    panel, android = call.phone.panel, version(call.phone)
    natural, current = ("{}x{}".format(*size) for size in (panel.natural_size, panel.size))
    physical = "{}x{}".format(*panel.physical_size)
    base = "" if natural == physical else f" base={natural} {panel.density}dpi"
    organized = " (organized)" if android >= 12 else ""
    rotation = f"ROTATION_{panel.rotation}"
    lines = [
        "WINDOW MANAGER DISPLAY CONTENTS (dumpsys window displays)",
        f"  Display: mDisplayId=0{organized}",
        f"    init={physical} {panel.physical_density}dpi{base} cur={current} app={current}",
    ]
    if android <= 9:
        return [*lines, f"    mRotation={panel.rotation // 90} mAltOrientation=false"]
    lines.append(f"    mDisplayRotation={rotation} mCurrentRotation={rotation}")
    return [*lines, *_focus_lines(call), "  mLastFocus=null"]


def _policy(call: Call) -> list[str]:
    on = "ON" if call.phone.state.power.awake else "OFF"
    android, locked = version(call.phone), str(call.phone.keyguard.showing).lower()
    lines = [
        "WINDOW MANAGER POLICY STATE (dumpsys window policy)",
        f"    screenState=SCREEN_STATE_{on}",
    ]
    if android <= 9 or android == 14:
        lines.append(
            f"    mShowingLockscreen={locked} mDreamingLockscreen=false mInputRestricted={locked}"
        )
    if android != 14 and android >= 10:
        lines += [
            "    KeyguardServiceDelegate",
            f"      showing={locked}",
            f"      inputRestricted={locked}",
            "      KeyguardStateMonitor",
            f"        mIsShowing={locked}",
            "        mSimSecure=false",
            f"        mInputRestricted={locked}",
        ]
    return lines


def window(call: Call) -> list[str]:
    """`dumpsys window [windows|displays|policy]`; on Android 14 here, all but the windows."""
    if version(call.phone) == 14:
        return _displays(call) + _policy(call)
    sections = {"displays": _displays, "policy": _policy, "windows": _windows}
    wanted = call.args[1] if len(call.args) > 1 else ""
    return [
        line for name, dump in sections.items() if wanted in ("", name, "-a") for line in dump(call)
    ]


def activity(call: Call) -> list[str]:
    """`dumpsys activity activities`. Nothing is resumed behind a lock screen."""
    android, record = version(call.phone), _record(call)
    package = call.phone.foreground.package
    head = [
        "ACTIVITY MANAGER ACTIVITIES (dumpsys activity activities)",
        "Display #0 (activities from top to bottom):",
    ]
    if android <= 10:
        head += [
            "  Stack #1: type=standard mode=fullscreen",
            f"    * TaskRecord{{9d1f2a3 #57 A={package} U=0 StackId=1 sz=1}}",
            f"        Run #0: {record}",
        ]
    else:
        head.append(f"  * Task{{9d1f2a3 #57 type=standard A=10085:{package}}}")
    paused = f"    mLastPausedActivity: {record}"
    if call.phone.keyguard.showing:
        return [*head, paused, "  ResumedActivity: null"]
    if android <= 9:
        return [*head, f"    mResumedActivity: {record}", paused]
    if android == 10:
        return [*head, f"    mResumedActivity: {record}", paused, f"  ResumedActivity: {record}"]
    return [*head, f"    topResumedActivity={record}", paused, f"  ResumedActivity: {record}"]
