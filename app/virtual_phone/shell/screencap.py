"""`screencap`: the screen as raw pixels or PNG (AOSP `frameworks/base/cmds/screencap`)."""

from __future__ import annotations

import io
import struct

from app.virtual_phone.shell.call import Call

DISPLAY_ID = "4619827677550801152"
_RAW_HEADER = struct.Struct("<4I")
_RGBA_8888, _SRGB = 1, 1
_USAGE = """usage: screencap [-p] [-d display-id] [FILENAME]
   -p: save the file as a png.
   -d: specify the display id to capture.
If FILENAME ends with .png it will be saved as a png.
If FILENAME is not given, the results will be printed to stdout."""


def screencap(call: Call) -> int:
    as_png, target = False, None
    args = iter(call.args)
    for arg in args:
        if arg == "-p":
            as_png = True
        elif arg == "-d":
            display = next(args, "")
            if display != DISPLAY_ID:
                return call.fail(f"Display Id '{display}' is not valid.")
        elif arg.startswith("-"):
            return call.fail(_USAGE)
        else:
            target = arg
    image = call.phone.frame()
    if as_png or (target or "").endswith(".png"):
        buffer = io.BytesIO()
        image.save(buffer, "PNG", compress_level=1)
        data = buffer.getvalue()
    else:
        header = _RAW_HEADER.pack(image.width, image.height, _RGBA_8888, _SRGB)
        data = header + image.convert("RGBA").tobytes()
    if target is None:
        call.out_bytes(data)
        return 0
    try:
        call.files.write(target, data)
    except OSError as exc:
        return call.fail(f"Error opening file: {target} ({exc.strerror})")
    return 0


COMMANDS = {"screencap": screencap}
