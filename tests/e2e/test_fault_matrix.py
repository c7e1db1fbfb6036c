"""Each row of the fault matrix through the whole service: nothing hangs, repeats or pretends."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Stack, service_process, wait_until_ready
from tests.e2e.fault_rows import ROWS, TYPING_ROWS, Row, TypingRow
from tests.e2e.scripted_engine import ScriptedEngine, scripted_engine
from tests.phones import ROOT, phone_process

NEW_NOTE, NOTE_BODY = [859, 906], [500, 200]
"""Where Notes has its button, and the field of a note's text, in thousandths."""
PAGE = ROOT / "docs" / "measurements" / "fault-matrix.md"


@pytest.fixture(scope="module")
def faulty_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("matrix")
    config = folder / "matrix.toml"
    config.write_text("[adb]\nreturn_timeout_s = 10.0\n", encoding="utf-8")
    with (
        phone_process() as phone,
        service_process(folder, "-c", str(config)) as (url, process),
    ):
        wait_until_ready(url)
        yield Stack(url, phone, process)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "+".join(row.quirks))
def test_a_fault_ends_as_the_matrix_says(faulty_stack: Stack, row: Row) -> None:
    stack = faulty_stack
    stack.phone.reset(7)
    # Connected before the fault comes, as with a real phone; a phone that dropped is taken back.
    stack.post("/devices/connect", {"address": stack.phone.serial}).raise_for_status()
    before = stack.phone.state()
    seen = len(stack.phone.events())
    with stack.phone.quirks(*row.quirks):
        task = stack.run("Turn on Bluetooth", device=stack.phone.serial)
    code = task["error"]["code"] if task["error"] else None
    assert (task["status"], task["stop_reason"], code) == (row.status, row.reason, row.error)
    if row.error:
        assert task["error"]["hint"]
    after = stack.phone.state()
    if row.status == "succeeded":
        before["settings"]["bluetooth"] = True
    assert {k: after[k] for k in after if k != "ui"} == {k: before[k] for k in before if k != "ui"}
    switched = [
        event
        for event in stack.phone.events()[seen:]
        if event["kind"] == "tap" and event["spot"] == "switch:Bluetooth"
    ]
    assert len(switched) == (1 if row.status == "succeeded" else 0), "a tap was repeated"


@pytest.fixture(scope="module")
def scripted_stack(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Stack, ScriptedEngine]]:
    folder = tmp_path_factory.mktemp("typing")
    config = folder / "typing.toml"
    with scripted_engine() as engine, phone_process() as phone:
        config.write_text(
            f'[engine]\nurl = "{engine.url}"\n[profile]\nfeedback = true\n', encoding="utf-8"
        )
        with service_process(folder, "-c", str(config), kind="remote") as (url, process):
            yield Stack(url, phone, process), engine


@pytest.mark.parametrize(
    "row", TYPING_ROWS, ids=lambda row: f"{row.fault}, {'ASCII' if row.text.isascii() else 'any'}"
)
def test_a_text_arrives_or_the_model_is_told(
    scripted_stack: tuple[Stack, ScriptedEngine], row: TypingRow
) -> None:
    stack, engine = scripted_stack
    stack.phone.reset(7)
    stack.post("/devices/connect", {"address": stack.phone.serial}).raise_for_status()
    keyboard = stack.phone.state()["ime"]["current"]
    engine.requests.clear()
    engine.replies = [
        'do(action="Launch", app="Notes")',
        f'do(action="Tap", element={NEW_NOTE})',
        f'do(action="Tap", element={NOTE_BODY})',
        f'do(action="Type", text={json.dumps(row.text)})',
        'finish(message="Typed.")',
    ]
    with stack.phone.quirks(*row.quirks):
        task = stack.run("Write a note", device=stack.phone.serial)
    assert task["status"] == "succeeded", task
    state = stack.phone.state()
    body = state["ui"]["drafts"].get("notes.body", "")
    if row.arrives:
        assert body == row.text
        assert "failed" not in engine.told()[-1]
    else:
        assert body == ""
        assert engine.told()[-1].startswith("The last action failed: ")
    assert state["ime"]["current"] == keyboard, "the person's own keyboard is back"


def test_the_page_shows_the_rows_that_are_tested() -> None:
    page = PAGE.read_text(encoding="utf-8")
    missing = [row.markdown() for row in (*ROWS, *TYPING_ROWS) if row.markdown() not in page]
    assert not missing, "add to docs/measurements/fault-matrix.md:\n" + "\n".join(missing)
