"""Reads the package name of an APK from the binary AndroidManifest.xml in its zip archive.

Nothing is executed and no signature is checked: a zip with nothing but such a manifest counts as an
APK. Layout of the manifest: AOSP `androidfw/ResourceTypes.h` (ResChunk_header,
ResStringPool_header, ResXMLTree_node, ResXMLTree_attrExt).
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib

_MANIFEST = "AndroidManifest.xml"
_MAX_MANIFEST = 1024 * 1024
_CHUNK = struct.Struct("<HHI")  # type, header size, size with the header
_STRING_POOL, _XML, _START_ELEMENT = 0x0001, 0x0003, 0x0102
_UTF8 = 0x100
_NODE = 16  # chunk header, line number, comment
_NAME = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+", re.ASCII)


class BadApk(Exception):
    """The package manager's error (`code`) and its reason; `{}` in the text is the file."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def package_name(data: bytes) -> str:
    """Return the package name of an APK; raises BadApk."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            manifest = _manifest(archive)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as exc:
        reason = "Failed to parse {0}: Failed to load asset path {0}"
        raise BadApk("INSTALL_PARSE_FAILED_NOT_APK", reason) from exc
    try:
        name = _package(manifest)
    except (struct.error, IndexError, UnicodeDecodeError, ValueError) as exc:
        reason = "Failed to parse {0}: Corrupt XML binary file"
        raise BadApk("INSTALL_PARSE_FAILED_UNEXPECTED_EXCEPTION", reason) from exc
    if not _NAME.fullmatch(name):
        raise BadApk("INSTALL_PARSE_FAILED_BAD_PACKAGE_NAME", "Invalid manifest package")
    return name


def _manifest(archive: zipfile.ZipFile) -> bytes:
    try:
        info = archive.getinfo(_MANIFEST)
    except KeyError as exc:
        reason = "Failed to parse {0}: " + _MANIFEST
        raise BadApk("INSTALL_PARSE_FAILED_UNEXPECTED_EXCEPTION", reason) from exc
    with archive.open(info) as stream:
        return stream.read(_MAX_MANIFEST)


def _package(manifest: bytes) -> str:
    """Return the first element's `package`; raises ValueError, IndexError, struct.error."""
    kind, at, _ = _CHUNK.unpack_from(manifest)
    if kind != _XML:
        raise ValueError("no binary XML")
    strings: list[str] = []
    while True:
        kind, header, size = _CHUNK.unpack_from(manifest, at)
        chunk = manifest[at : at + size]
        if size < _CHUNK.size or len(chunk) < size:
            raise ValueError("a chunk is cut short")
        if kind == _STRING_POOL:
            strings = _strings(chunk, header)
        elif kind == _START_ELEMENT:
            return _attribute(chunk, strings, "manifest", "package")
        at += size


def _attribute(chunk: bytes, strings: list[str], element: str, name: str) -> str:
    # namespace, name, offset of the attributes, bytes per attribute, their number
    _, found, offset, step, count = struct.unpack_from("<IIHHH", chunk, _NODE)
    if strings[found] != element:
        raise ValueError(f"the first element is no {element}")
    key: int
    value: int
    for number in range(count):
        _, key, value = struct.unpack_from("<III", chunk, _NODE + offset + number * step)
        if strings[key] == name:
            return strings[value]
    raise ValueError(f"no {name}")


def _strings(chunk: bytes, header: int) -> list[str]:
    count, _, flags, start, _ = struct.unpack_from("<IIIII", chunk, _CHUNK.size)
    if count * 4 > len(chunk):
        raise ValueError("more strings than fit")
    offsets = struct.unpack_from(f"<{count}I", chunk, header)
    read = _utf8 if flags & _UTF8 else _utf16
    return [read(chunk, start + offset) for offset in offsets]


def _utf16(chunk: bytes, at: int) -> str:
    (length,) = struct.unpack_from("<H", chunk, at)
    at += 2
    if length & 0x8000:
        (low,) = struct.unpack_from("<H", chunk, at)
        length, at = (length & 0x7FFF) << 16 | low, at + 2
    return chunk[at : at + 2 * length].decode("utf-16-le")


def _utf8(chunk: bytes, at: int) -> str:
    """Read a string: its length in characters, then in bytes; two bytes each from 128 on."""
    at += 2 if chunk[at] & 0x80 else 1
    length = chunk[at]
    if length & 0x80:
        length, at = (length & 0x7F) << 8 | chunk[at + 1], at + 1
    return chunk[at + 1 : at + 1 + length].decode()
