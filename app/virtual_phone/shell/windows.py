"""`dumpsys window` and `dumpsys activity`: the app in front, in the form of each Android version.

Up to Android 9 the focus is among the windows (`dumpsys window windows`), from 10 on among the
displays; `mResumedActivity:` was replaced by `topResumedActivity=` (AOSP `DisplayContent.dump`,
`ActivityStack.dump`, `RootWindowContainer.dumpActivities`, `KeyguardStateMonitor.dump`; the keys
that Appium's `app-commands` and `lockmgmt` and adbutils' `shell` look for).
"""

from __future__ import annotations

from app.virtual_phone.secure_window import is_secret
from app.virtual_phone.shell.call import Call
from app.virtual_phone.shell.packages import component, user_of
from app.virtual_phone.shell.versions import version

_FLAGS = {
    "NOT_FOCUSABLE": 0x8,
    "TOUCHABLE_WHEN_WAKING": 0x40,
    "LAYOUT_IN_SCREEN": 0x100,
    "SECURE": 0x2000,
    "LAYOUT_INSET_DECOR": 0x10000,
    "WATCH_OUTSIDE_TOUCH": 0x40000,
    "SPLIT_TOUCH": 0x800000,
    "HARDWARE_ACCELERATED": 0x1000000,
    "DRAWS_SYSTEM_BAR_BACKGROUNDS": 0x80000000,
}
"""android.view.WindowManager.LayoutParams, by bit: printed in this order."""
_SHADE = (
    "NOT_FOCUSABLE",
    "TOUCHABLE_WHEN_WAKING",
    "WATCH_OUTSIDE_TOUCH",
    "SPLIT_TOUCH",
    "HARDWARE_ACCELERATED",
    "DRAWS_SYSTEM_BAR_BACKGROUNDS",
)
_APP = (
    "LAYOUT_IN_SCREEN",
    "SECURE",
    "LAYOUT_INSET_DECOR",
    "SPLIT_TOUCH",
    "HARDWARE_ACCELERATED",
    "DRAWS_SYSTEM_BAR_BACKGROUNDS",
)


def _record(call: Call) -> str:
    name = component(call.phone.foreground)
    return f"ActivityRecord{{5f1c6ee {user_of(call.phone)} {name} t57}}"


def _shade(call: Call) -> str:
    cover = "StatusBar" if version(call.phone) <= 10 else "NotificationShade"
    return f"Window{{8a0f1c2 u0 {cover}}}"


def _app(call: Call) -> str:
    package = call.phone.foreground
    activity = package.activity
    full = activity if not activity.startswith(".") else package.package + activity
    return f"Window{{41b3757 {user_of(call.phone)} {package.package}/{full}}}"


def _covered(call: Call) -> bool:
    return call.phone.keyguard.showing or not call.phone.state.power.awake


def _focus(call: Call) -> str:
    return _shade(call) if _covered(call) else _app(call)


def _focus_lines(call: Call) -> list[str]:
    app = _record(call)
    if version(call.phone) <= 9:
        token = f"Token{{7d0c3e1 {app}}}"
        app = f"AppWindowToken{{3c5e0b2 token={token}}}"
    return [f"  mCurrentFocus={_focus(call)}", f"  mFocusedApp={app}"]


def _attributes(call: Call, kind: str, flags: list[str]) -> list[str]:
    """`mAttrs` of a window: the flags as a number up to Android 8, by name from 9 on."""
    if version(call.phone) <= 8:
        number = sum(_FLAGS[name] for name in flags)
        return [f"    mAttrs=WM.LayoutParams{{(0,0)(fillxfill) sim=#20 {kind} fl=#{number:x}}}"]
    return [
        f"    mAttrs={{(0,0)(fillxfill) sim={{adjust=pan}} {kind} fmt=TRANSLUCENT",
        f"      fl={' '.join(flags)}",
        "      pfl=FORCE_DRAW_STATUS_BAR_BACKGROUND}",
    ]


def _windows(call: Call) -> list[str]:
    """From top to bottom: what covers the screen when it is locked, and the app in front."""
    named = version(call.phone) >= 9
    shade = [flag for flag in _SHADE if flag != "NOT_FOCUSABLE" or not _covered(call)]
    app = [flag for flag in _APP if flag != "SECURE" or is_secret(call.phone)]
    lines = [
        "WINDOW MANAGER WINDOWS (dumpsys window windows)",
        f"  Window #0 {_shade(call)}:",
        "    mDisplayId=0 mSession=Session{6a4b1d 1234:u0a10085}",
        *_attributes(call, "ty=STATUS_BAR" if named else "ty=2000", shade),
        f"  Window #1 {_app(call)}:",
        "    mDisplayId=0 mSession=Session{7c20e9 2210:u0a10112}",
        *_attributes(call, "ty=BASE_APPLICATION" if named else "ty=1", app),
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
    """`dumpsys window [windows|displays|policy]`."""
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
