"""`screencap`: the screen as raw pixels or PNG (AOSP `frameworks/base/cmds/screencap`).

Raw output begins with u32 width, height and format, and since Android 9 the colour space. With two
displays and no `-d`, AOSP uses the first one it finds, whether or not it is on, and warns on
stderr: the warning precedes the picture if both descriptors are one stream.
"""

from __future__ import annotations

import asyncio
import io
import struct

from PIL import Image

from app.virtual_phone.quirks import DROP_SCREENCAP, SLOW_SCREENCAP
from app.virtual_phone.secure_window import capture
from app.virtual_phone.shell.call import Call, LinkDrop
from app.virtual_phone.shell.displays import displays
from app.virtual_phone.shell.versions import version

_RAW_HEADER = struct.Struct("<4I")
_OLD_HEADER = struct.Struct("<3I")
_RGBA_8888, _SRGB = 1, 1
_USAGE = """usage: screencap [-p] [-d display-id] [FILENAME]
   -p: save the file as a png.
   -d: specify the display id to capture.
If FILENAME ends with .png it will be saved as a png.
If FILENAME is not given, the results will be printed to stdout."""
_TWO_DISPLAYS = """[Warning] Multiple displays were found, but no display id was specified! \
Defaulting to the first display found, which may not be the one wanted.
A display id can be specified with the [-d display-id] option.
See "dumpsys SurfaceFlinger --display-id" for valid display ids."""


async def screencap(call: Call) -> int:
    as_png, target = False, None
    known = displays(call.phone)
    display = known[0]
    chosen = False
    args = iter(call.args)
    for arg in args:
        if arg == "-p":
            as_png = True
        elif arg == "-d":
            name = next(args, "")
            found = next((display for display in known if display.id == name), None)
            if found is None:
                return call.fail(f"Display Id '{name}' is not valid.")
            display, chosen = found, True
        elif arg.startswith("-"):
            return call.fail(_USAGE)
        else:
            target = arg
    if len(known) > 1 and not chosen:
        call.fail(_TWO_DISPLAYS)
    await asyncio.sleep(call.phone.quirks.get(SLOW_SCREENCAP) or 0)
    image = capture(call.phone) if display.on else Image.new("RGB", display.size)
    data = _encode(call, image, as_png or (target or "").endswith(".png"))
    if target is None:
        if call.phone.quirks.take(DROP_SCREENCAP):
            call.out_bytes(data[: len(data) // 2])
            raise LinkDrop
        call.out_bytes(data)
        return 0
    try:
        call.files.write(target, data)
    except OSError as exc:
        return call.fail(f"Error opening file: {target} ({exc.strerror})")
    return 0


def _encode(call: Call, image: Image.Image, as_png: bool) -> bytes:
    if as_png:
        buffer = io.BytesIO()
        image.save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()
    header = _RAW_HEADER.pack(image.width, image.height, _RGBA_8888, _SRGB)
    if version(call.phone) < 9:
        header = header[: _OLD_HEADER.size]
    return header + image.convert("RGBA").tobytes()


COMMANDS = {"screencap": screencap}
