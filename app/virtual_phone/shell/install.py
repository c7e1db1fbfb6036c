"""`pm install`: an APK from a file, or streamed after the command as `adb install` does.

Responses: AOSP `PackageManagerShellCommand.runInstall`. An installed app is a name in the list of
packages, without a screen; only ADBKeyboard has an effect.
"""

from __future__ import annotations

import zlib

from app.virtual_phone.apk import BadApk, package_name
from app.virtual_phone.quirks import NO_INSTALL
from app.virtual_phone.shell.call import Call

_WITH_VALUE = frozenset({"-i", "-S", "--user", "--abi", "--install-location", "--installer"})
_MOST = 512 * 1024 * 1024


async def install(call: Call, args: list[str]) -> int:
    path, size = None, None
    pending = iter(args)
    for arg in pending:
        if arg in _WITH_VALUE:
            value = next(pending, None)
            if value is None:
                return call.fail(f'Error: Argument expected after "{arg}"')
            size = value if arg == "-S" else size
        elif not arg.startswith("-"):
            path = arg
    if size is not None and path in (None, "-"):
        data = await _streamed(call, size)
    else:
        data = _from_file(call, path)
    return 1 if data is None else _install(call, data)


async def _streamed(call: Call, size: str) -> bytes | None:
    if call.receive is None or not (size.isascii() and size.isdecimal()) or int(size) > _MOST:
        call.fail(f"Error: must be able to read an APK of {size} bytes from the input")
        return None
    return await call.receive(int(size))


def _from_file(call: Call, path: str | None) -> bytes | None:
    if path is None:
        call.fail("Error: must either specify a package size or an APK file")
        return None
    try:
        return call.files.read(path)
    except OSError:
        call.fail(f"Error: Unable to open file: {path}")
        return None


def _install(call: Call, data: bytes) -> int:
    if call.phone.quirks.get(NO_INSTALL):
        return _failure(call, "INSTALL_FAILED_USER_RESTRICTED", "Install canceled by user")
    try:
        name = package_name(data)
    except BadApk as exc:
        file = f"/data/app/vmdl{zlib.crc32(data)}.tmp/base.apk"
        return _failure(call, exc.code, exc.reason.format(file))
    if name in {package.package for package in call.phone.packages}:
        reason = f"Existing package {name} signatures do not match newer version; ignoring!"
        return _failure(call, "INSTALL_FAILED_UPDATE_INCOMPATIBLE", reason)
    call.phone.install(name)
    call.out("Success")
    return 0


def _failure(call: Call, code: str, reason: str) -> int:
    call.out(f"Failure [{code}: {reason}]")
    return 1
