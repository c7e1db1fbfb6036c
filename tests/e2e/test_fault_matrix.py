"""Each row of the fault matrix through the whole service: nothing hangs, repeats or pretends."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread

import psutil
import pytest

from tests.e2e.conftest import Stack, service_process, wait_until_ready
from tests.e2e.fault_rows import (
    LAUNCHED,
    MID_TASK_ROWS,
    ROWS,
    SERVER_KILLED,
    TAPPED,
    THINKING,
    TURNED,
    TYPING_ROWS,
    MidTaskRow,
    Row,
    TypingRow,
)
from tests.e2e.scripted_engine import ScriptedEngine, scripted_engine
from tests.phones import ROOT, PhoneProcess, phone_process

SWITCH, SWITCH_IN_LANDSCAPE = [880, 273], [577, 273]
"""Where Settings has the Bluetooth switch, upright and with the upright screen in the middle of one
that lies on its side, in thousandths."""
PATIENCE_S = 30.0
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


def kill_adb_server(service: Stack) -> None:
    """End the service's own adb server at once, as a crash would."""
    children = psutil.Process(service.process.pid).children(recursive=True)
    (server,) = [child for child in children if Path(child.exe()).name == "adb"]
    server.kill()
    # Its guard has to collect it, which ends what psutil can see.
    psutil.wait_procs([server], timeout=PATIENCE_S)


@contextmanager
def when_bluetooth_is_on(phone: PhoneProcess, then: Callable[[], None]) -> Iterator[Event]:
    """Call `then`, from a thread, once a tap has switched Bluetooth on; the event tells it has."""
    over, called = Event(), Event()

    def watch() -> None:
        while not phone.state()["settings"]["bluetooth"]:
            if over.wait(0.001):
                return
        then()
        called.set()

    thread = Thread(target=watch)
    thread.start()
    try:
        yield called
    finally:
        over.set()
        thread.join(PATIENCE_S)


@pytest.mark.parametrize("row", MID_TASK_ROWS, ids=lambda row: f"{row.fault}, {row.moment}")
def test_what_happens_in_the_middle_of_a_task(
    scripted_stack: tuple[Stack, ScriptedEngine], row: MidTaskRow
) -> None:
    stack, engine = scripted_stack
    phone = stack.phone
    phone.reset(7)
    stack.post("/devices/connect", {"address": phone.serial}).raise_for_status()
    before, seen = phone.state(), len(phone.events())
    assert not before["settings"]["bluetooth"]
    lies = row.fault == TURNED
    killed: Event | None = None

    def tap() -> str:
        if row.moment == THINKING and len(engine.requests) == 2:
            kill_adb_server(stack)
        return f'do(action="Tap", element={SWITCH_IN_LANDSCAPE if lies else SWITCH})'

    def launch() -> str:
        if row.moment == LAUNCHED:
            phone.change_quirks({"rotation": "90" if lies else None})
        return 'do(action="Launch", app="Settings")'

    def tap_until_it_is_on() -> str:
        on = phone.state()["settings"]["bluetooth"]
        if on and killed is not None:
            assert killed.wait(PATIENCE_S)
        return 'finish(message="Bluetooth is on.")' if on else tap()

    engine.requests.clear()
    engine.replies = [launch, tap, tap_until_it_is_on, tap_until_it_is_on]
    if row.fault not in (TURNED, SERVER_KILLED):
        phone.change_quirks({"rotation": "90"})
    begun = time.monotonic()
    with ExitStack() as around:
        around.callback(phone.change_quirks, {"rotation": None})
        if row.moment == TAPPED:
            killing = when_bluetooth_is_on(phone, lambda: kill_adb_server(stack))
            killed = around.enter_context(killing)
        task = stack.run("Turn on Bluetooth", device=phone.serial)
    assert (task["status"], task["stop_reason"]) == ("succeeded", "finished"), task
    assert time.monotonic() - begun < PATIENCE_S
    if row.moment == THINKING:
        assert engine.told()[-2].startswith("The phone dropped off during the last action")
    before["settings"]["bluetooth"] = True
    after = phone.state()
    assert {k: after[k] for k in after if k != "ui"} == {k: before[k] for k in before if k != "ui"}
    taps = [event["spot"] for event in phone.events()[seen:] if event["kind"] == "tap"]
    assert taps == ["switch:Bluetooth"]


@pytest.mark.parametrize(
    "row", TYPING_ROWS, ids=lambda row: f"{row.fault}, {'ASCII' if row.text.isascii() else 'any'}"
)
def test_a_text_arrives_once_or_the_model_is_told(
    scripted_stack: tuple[Stack, ScriptedEngine], row: TypingRow
) -> None:
    stack, engine = scripted_stack
    stack.phone.reset(7)
    stack.post("/devices/connect", {"address": stack.phone.serial}).raise_for_status()
    keyboard = stack.phone.state()["ime"]["current"]
    drops = {name: at for name, _, at in (q.partition("=") for q in row.quirks) if "drop" in name}

    def type_it() -> str:
        stack.phone.change_quirks(drops)  # taps would have used them up
        return f'do(action="Type", text={json.dumps(row.text)})'

    engine.requests.clear()
    engine.replies = [
        'do(action="Launch", app="Notes")',
        f'do(action="Tap", element={NEW_NOTE})',
        f'do(action="Tap", element={NOTE_BODY})',
        type_it,
        'finish(message="Typed.")',
    ]
    with stack.phone.quirks(*(q for q in row.quirks if q.partition("=")[0] not in drops)):
        task = stack.run("Write a note", device=stack.phone.serial)
    assert task["status"] == "succeeded", task
    state = stack.phone.state()
    body = state["ui"]["drafts"].get("notes.body", "")
    assert body == (row.text if row.arrives else "")
    if row.told:
        assert engine.told()[-1].startswith(row.told)
    else:
        assert "failed" not in engine.told()[-1]
    assert state["ime"]["current"] == keyboard, "the person's own keyboard is back"


def test_the_page_shows_the_rows_that_are_tested() -> None:
    page = PAGE.read_text(encoding="utf-8")
    lines = [row.markdown() for rows in (ROWS, MID_TASK_ROWS, TYPING_ROWS) for row in rows]
    missing = [line for line in lines if line not in page]
    assert not missing, "add to docs/measurements/fault-matrix.md:\n" + "\n".join(missing)
