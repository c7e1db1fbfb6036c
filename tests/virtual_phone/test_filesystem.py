"""The file tree: paths, aliases, and what the shell user may write."""

from __future__ import annotations

import errno

import pytest

from app.virtual_phone.filesystem import FileTree


@pytest.fixture
def files() -> FileTree:
    return FileTree(clock=lambda: 1_700_000_000.5)


def test_write_read_list(files: FileTree) -> None:
    files.write("/sdcard/new/x.bin", b"\0\xff")
    assert files.read("/storage/emulated/0/new/../new/x.bin") == b"\0\xff"
    ((name, node),) = files.list("/mnt/sdcard/new")
    assert (name, node.size, node.mtime) == ("x.bin", 2, 1_700_000_000)


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("/system/bin/sh", errno.EROFS),
        ("/x", errno.EACCES),
        ("/sdcard/../system/x", errno.EROFS),
        ("/sdcard", errno.EISDIR),
        ("/sdcardx/y", errno.EACCES),
        ("/storage/emulated/0/../../x", errno.EACCES),
    ],
)
def test_where_nothing_can_be_written(files: FileTree, path: str, number: int) -> None:
    with pytest.raises(OSError) as caught:
        files.write(path, b"")
    assert caught.value.errno == number


def test_a_file_is_no_directory(files: FileTree) -> None:
    files.write("/sdcard/x", b"")
    with pytest.raises(NotADirectoryError):
        files.write("/sdcard/x/y", b"")


def test_the_roots_stay(files: FileTree) -> None:
    with pytest.raises(PermissionError):
        files.remove("/sdcard", recursive=True)


def test_reset_forgets(files: FileTree) -> None:
    files.write("/data/local/tmp/x", b"")
    files.reset()
    with pytest.raises(FileNotFoundError):
        files.read("/data/local/tmp/x")
