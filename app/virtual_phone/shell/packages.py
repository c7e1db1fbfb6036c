"""`pm` and `cmd package`: installed apps, the activities that start them, and installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.virtual_phone.quirks import WORK_PROFILE
from app.virtual_phone.shell.call import Call
from app.virtual_phone.shell.install import install

if TYPE_CHECKING:
    from app.virtual_phone.apps.app import Badge
    from app.virtual_phone.phone import Phone

_MATCH = "priority=0 preferredOrder=0 match=0x108000 specificIndex=-1 isDefault=true"
_VALUE_OPTIONS = frozenset({"-a", "-c", "-d", "-t", "--user", "--query-flags"})
_MAIN = "android.intent.action.MAIN"
_WORK_USER = "10"
WORK_ONLY = "org.phonepilot.work"
"""A package that only the work profile has; the person cannot start it."""


def component(package: Badge) -> str:
    """`package/.Activity`: the short form that Android prints."""
    activity = package.activity.removeprefix(package.package)
    return f"{package.package}/{activity}"


def find_package(phone: Phone, name: str) -> Badge | None:
    return next((package for package in phone.packages if package.package == name), None)


def _is_system(package: Badge) -> bool:
    return package.package.startswith("com.android.")


def _list_packages(call: Call, args: list[str]) -> int:
    """`list packages [-3|-s] [--user ID] [FILTER]`; keyboards are packages too.

    Without a user, the packages of all users are listed, each once.
    """
    _, names = _intent(args)
    wanted = set(names)
    user = args[args.index("--user") + 1] if "--user" in args[:-1] else "all"
    apps: dict[str, bool] = {}
    if user != _WORK_USER:
        apps |= {ime.partition("/")[0]: False for ime in call.phone.state.ime.available}
        apps |= dict.fromkeys(call.phone.state.installed, False)
        apps |= {package.package: _is_system(package) for package in call.phone.packages}
    if user in (_WORK_USER, "all") and (shared := call.phone.quirks.get(WORK_PROFILE)):
        apps |= {WORK_ONLY: False, shared: apps.get(shared, False)}
    for name, system in sorted(apps.items()):
        if ("-3" in args and system) or ("-s" in args and not system):
            continue
        if all(part in name for part in wanted):
            call.out(f"package:{name}")
    return 0


def _intent(args: list[str]) -> tuple[str | None, list[str]]:
    """Return action and bare names in the arguments of resolve-activity or query-activities."""
    action, names = None, []
    pending = iter(args)
    for arg in pending:
        if arg in _VALUE_OPTIONS:
            value = next(pending, None)
            action = value if arg == "-a" else action
        elif not arg.startswith("-"):
            names.append(arg)
    return action, names


def _resolve_activity(call: Call, args: list[str]) -> int:
    _, names = _intent(args)
    package = find_package(call.phone, names[-1]) if names else None
    if package is None:
        call.out("No activity found")
        return 0
    call.out(_MATCH)
    call.out(component(package))
    return 0


def _query_activities(call: Call, args: list[str]) -> int:
    action, names = _intent(args)
    found = [
        package
        for package in call.phone.packages
        if action in (None, _MAIN) and (not names or package.package in names)
    ]
    if not found:
        call.out("No activities found")
        return 0
    call.out(f"{len(found)} activities found:")
    for position, package in enumerate(found):
        call.out(f"  Activity #{position}:")
        call.out(f"    {_MATCH}")
        call.out(f"    {component(package)}")
    return 0


def _list_users(call: Call) -> int:
    call.out("Users:")
    call.out("\tUserInfo{0:Owner:4c13} running")
    if call.phone.quirks.get(WORK_PROFILE):
        call.out(f"\tUserInfo{{{_WORK_USER}:Work profile:1030}} running")
    return 0


def user_of(phone: Phone) -> str:
    """The user (`u0`) whose app is in front, in the form of `dumpsys`."""
    return f"u{_WORK_USER if phone.foreground.package == phone.quirks.get(WORK_PROFILE) else 0}"


async def pm(call: Call) -> int:
    if call.args[:1] == ["install"]:
        return await install(call, call.args[1:])
    if call.args[:2] == ["list", "users"]:
        return _list_users(call)
    if call.args[:2] == ["list", "packages"]:
        return _list_packages(call, call.args[2:])
    if call.args[:1] == ["resolve-activity"]:
        return _resolve_activity(call, call.args[1:])
    if call.args[:1] == ["query-activities"]:
        return _query_activities(call, call.args[1:])
    return call.fail(f"Unknown command: {' '.join(call.args[:1])}", 255)


async def cmd(call: Call) -> int:
    if not call.args:
        return call.fail("cmd: No service specified; use -l to list all services", 20)
    if call.args[0] != "package":
        return call.fail(f"cmd: Can't find service: {call.args[0]}", 20)
    call.args = call.args[1:]
    return await pm(call)


COMMANDS = {"pm": pm, "cmd": cmd}
