"""What phonepilot keeps is the user's alone: also with a loose umask, and what is there already."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.access_tokens import Tokens, webhook_secret
from app.adb.typing.saved_keyboard import SavedKeyboard
from app.agent.prompt import import_prompt
from app.data_folder import owned
from app.llm.catalogue import alone
from app.tasks.database import Database
from app.tasks.heartbeat import Heartbeat
from app.tasks.store import Store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="other rights there")


@pytest.fixture(autouse=True)
def loose_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    every = [folder, *folder.rglob("*")]
    return [str(path.relative_to(folder.parent)) for path in every if path.stat().st_mode & 0o077]


def fill(folder: Path) -> None:
    """Have every part write what it keeps in the data folder."""
    asyncio.run(fill_by_service(folder))
    Tokens(folder / "tokens.json").create("ann", ["read"])
    webhook_secret(folder / "webhook-secret")
    SavedKeyboard(folder, "127.0.0.1:5555").keep("org.keyboard/.Ime")
    source = folder.parent / "prompt.md"
    source.write_text("Do it.")
    source.chmod(0o600)
    import_prompt(source, "mine", "en", folder / "prompts")
    with alone(folder / "models" / "some-model"):
        pass


async def fill_by_service(folder: Path) -> None:
    database, beats = Database(folder), Heartbeat(folder)
    await Store(database).save_screenshot("99c1", 1, b"jpeg")
    await database.call(lambda connection: connection.exec_driver_sql("CREATE TABLE a (b)"))
    beats.start()
    async with asyncio.timeout(10):
        while beats.last() is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    beside = sorted(path.name for path in folder.glob("phonepilot.db*"))  # noqa: ASYNC240
    assert beside == ["phonepilot.db", "phonepilot.db-shm", "phonepilot.db-wal"]
    assert open_to_others(folder) == []
    await beats.close()
    await database.close()


def test_all_that_is_kept_is_the_users_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "phonepilot"
    with owned(folder):
        fill(folder)
        assert open_to_others(folder.parent) == []


def test_what_an_earlier_version_left_open_is_closed_at_the_start(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "phonepilot", tmp_path / "elsewhere"
    fill(folder)
    elsewhere.write_text("mine")
    elsewhere.chmod(0o644)
    (folder / "screenshots" / "link").symlink_to(elsewhere)
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    with owned(folder):
        assert open_to_others(folder) == ["phonepilot/screenshots/link"]
    assert elsewhere.stat().st_mode & 0o777 == 0o644


def test_a_folder_that_holds_other_things_too_is_not_closed(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    fill(folder)
    (folder / "photos").mkdir(0o755)
    folder.chmod(0o755)
    (folder / "phonepilot.db").chmod(0o644)
    with owned(folder):
        assert open_to_others(folder) == ["shared", "shared/photos"]
