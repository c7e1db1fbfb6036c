"""The smallest APKs: a zip with a binary manifest that names a package, written from the layout."""

from __future__ import annotations

import io
import struct
import zipfile

ADB_KEYBOARD_PACKAGE = "com.android.adbkeyboard"


def manifest(package: str, *, utf8: bool = False, element: str = "manifest") -> bytes:
    """AndroidManifest.xml in Android's binary XML, with one element."""
    words = [element, "package", package, "versionName", "1.0"]
    if utf8:
        data = [_lengths(len(w), len(w.encode())) + w.encode() + b"\0" for w in words]
    else:
        data = [struct.pack("<H", len(w)) + w.encode("utf-16-le") + b"\0\0" for w in words]
    offsets = [sum(map(len, data[:number])) for number in range(len(data))]
    body = b"".join(data)
    body += b"\0" * (-len(body) % 4)
    head = struct.pack("<5I", len(words), 0, 0x100 * utf8, 28 + 4 * len(words), 0)
    pool = _chunk(0x0001, 28, head + struct.pack(f"<{len(words)}I", *offsets) + body)
    nobody = 0xFFFFFFFF
    attributes = b"".join(
        struct.pack("<3IHBBI", nobody, key, value, 8, 0, 3, value)
        for key, value in ((3, 4), (1, 2))
    )
    node = struct.pack("<4I6H", 1, nobody, nobody, 0, 20, 20, 2, 0, 0, 0)
    return _chunk(0x0003, 8, pool + _chunk(0x0102, 16, node + attributes))


def _chunk(kind: int, header: int, body: bytes) -> bytes:
    return struct.pack("<HHI", kind, header, 8 + len(body)) + body


def _lengths(*lengths: int) -> bytes:
    return b"".join(
        bytes([length]) if length < 0x80 else bytes([0x80 | length >> 8, length & 0xFF])
        for length in lengths
    )


def apk(package: str = ADB_KEYBOARD_PACKAGE, *, ballast: int = 0) -> bytes:
    """An APK, larger by so many bytes that do not shrink."""
    return archive({"AndroidManifest.xml": manifest(package), "classes.dex": bytes(ballast)})


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as written:
        for name, data in files.items():
            written.writestr(name, data)
    return buffer.getvalue()
