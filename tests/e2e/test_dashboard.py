"""The dashboard in a real browser, over the real service, engine, adb server and virtual phone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Route,
    expect,
)

from tests.e2e.conftest import Stack
from tests.e2e.layout import boxes
from tests.e2e.test_questions import (
    BLUETOOTH,
    DONE,
    OPEN_SETTINGS,
    SENSITIVE_TAP,
    TAP,
    Held,
    Scene,
    open_scene,
)
from tests.phones import phone_process

LOAD_MS = 10_000
TASK_MS = 45_000
HOSTILE = "<img src=x onerror=\"document.title='owned'\"> & <b>bold</b>"


@dataclass
class Visit:
    """A page showing the dashboard, and what went on in it."""

    page: Page
    stack: Stack
    complaints: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    async def open(self, path: str = "/") -> None:
        await self.page.goto(self.stack.url + path)

    async def run(self, goal: str) -> None:
        await self.page.get_by_label("What should the phone do?").fill(goal)
        await self.page.get_by_role("button", name="Run", exact=True).click()

    @property
    def phone(self) -> Locator:
        return self.page.get_by_label("Phone", exact=True)

    @property
    def steps(self) -> Locator:
        return self.page.get_by_role("list", name="Steps").get_by_role("listitem")

    def verdict(self, status: str) -> Locator:
        return self.page.locator(f".verdict[data-status={status}]")

    def note_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def note_request(self, request: Request) -> None:
        self.addresses.append(request.url)


@pytest.fixture
async def visit(browser: Browser, stack: Stack) -> AsyncIterator[Visit]:
    async with visiting(browser, stack) as visit:
        yield visit


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with open_scene(tmp_path_factory.mktemp("asking")) as scene:
        yield scene


@pytest.fixture
async def asked(browser: Browser, scene: Scene) -> AsyncIterator[Visit]:
    """A visit to a service whose model asks what the test wrote."""
    scene.stack.phone.reset(7)
    async with visiting(browser, scene.stack) as visit:
        yield visit


@asynccontextmanager
async def visiting(browser: Browser, stack: Stack) -> AsyncIterator[Visit]:
    page = await browser.new_page(viewport={"width": 1600, "height": 1000})
    page.set_default_timeout(LOAD_MS)
    visit = Visit(page, stack)
    page.on("console", visit.note_console)
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    page.on("request", visit.note_request)
    yield visit
    home = urlsplit(stack.url).netloc
    assert {urlsplit(url).netloc for url in visit.addresses if url.startswith("http")} <= {home}


async def answer(route: Route, status: int, body: Any) -> None:
    await route.fulfill(status=status, json=body)


def fault(code: str, message: str, hint: str) -> dict[str, dict[str, str]]:
    return {"error": {"code": code, "message": message, "hint": hint}}


async def test_the_page_of_the_api_has_every_route_and_asks_no_other_host(visit: Visit) -> None:
    page = visit.page
    await visit.open("/docs")  # visiting() looks at every address that is asked
    paths = visit.stack.get("/openapi.json")["paths"]
    await expect(page.locator("summary code").first).to_be_visible()
    shown = await page.locator("summary").all_text_contents()
    for path, methods in paths.items():
        for method in methods:
            assert any(text.startswith(f"{method.upper()}{path}") for text in shown), (method, path)
    await page.get_by_text("POST/tasks", exact=False).first.click()
    goal = page.get_by_role("cell", name="goal", exact=True).first
    await expect(goal).to_be_visible()
    await expect(page.get_by_text("Idempotency-Key".lower(), exact=True).first).to_be_visible()
    assert visit.complaints == []


def test_no_page_may_load_what_is_not_ours(stack: Stack) -> None:
    for path in ("/", "/docs", "/dashboard/docs.js"):
        policy = httpx.get(stack.url + path, trust_env=False).headers["content-security-policy"]
        assert policy.startswith("default-src 'self'")
    assert httpx.get(f"{stack.url}/redoc", trust_env=False).status_code == 404


async def test_a_goal_is_typed_and_its_steps_are_watched(visit: Visit) -> None:
    page, stack = visit.page, visit.stack
    assert stack.phone.state()["settings"]["bluetooth"] is False
    await visit.open()
    await expect(page.get_by_text("Engine ready")).to_be_visible()
    await expect(visit.phone.get_by_alt_text("The phone’s screen now")).to_be_visible()

    await visit.run("Turn on Bluetooth")

    await expect(visit.verdict("succeeded")).to_be_visible(timeout=TASK_MS)
    await expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    assert stack.phone.state()["settings"]["bluetooth"] is True
    task = stack.get("/tasks?limit=1")["tasks"][0]
    await expect(visit.verdict("succeeded")).to_contain_text(task["message"])
    steps = stack.get(f"/tasks/{task['id']}/steps")["steps"]
    await expect(visit.steps).to_have_count(len(steps))
    for number, step in enumerate(steps):
        await expect(visit.steps.nth(number)).to_contain_text(step["thought"])
        await expect(visit.steps.nth(number)).to_contain_text(step["summary"])
        await expect(visit.steps.nth(number).locator("img")).to_be_visible()
        tokens = visit.steps.nth(number).locator(".tokens")
        await expect(tokens).to_contain_text(f"{step['tokens']['prompt']} tokens in the request")
    assert page.url.endswith(f"#/tasks/{task['id']}")

    await the_marks_lie_where_the_tap_went(visit, steps)
    await the_arrow_keys_replay(visit, len(steps))
    await page.reload()
    await expect(visit.verdict("succeeded")).to_be_visible()
    await expect(visit.steps).to_have_count(len(steps))
    assert visit.complaints == []


async def the_marks_lie_where_the_tap_went(visit: Visit, steps: list[dict[str, Any]]) -> None:
    step = next(step for step in reversed(steps) if step["action"]["kind"] == "tap")
    await visit.page.get_by_role("button", name=f"Show step {step['number']}").click()
    card = visit.page.locator(f"[data-step='{step['number']}']")
    screen = visit.phone.get_by_alt_text(f"The phone’s screen at step {step['number']}")
    await expect(screen).to_be_visible()
    for picture, scope in ((screen, visit.phone), (card.locator("img"), card)):
        await expect(scope.locator(".mark")).to_have_attribute("data-kind", "tap")
        frame, dot = await boxes(picture, scope.locator(".mark .dot"))
        x = (dot["x"] + dot["width"] / 2 - frame["x"]) / frame["width"] * 1000
        y = (dot["y"] + dot["height"] / 2 - frame["y"]) / frame["height"] * 1000
        assert (x, y) == pytest.approx(step["action"]["element"], abs=6)


async def the_arrow_keys_replay(visit: Visit, count: int) -> None:
    page = visit.page
    await page.get_by_role("button", name=f"Show step {count}").click()
    for number in (count - 1, count):
        await page.keyboard.press("ArrowLeft" if number < count else "ArrowRight")
        await expect(visit.phone.get_by_text(f"Step {number} of {count}")).to_be_visible()
        name = f"The phone’s screen at step {number}"
        await expect(visit.phone.get_by_alt_text(name)).to_be_visible()


async def test_stop_ends_a_running_task(visit: Visit) -> None:
    page, stack = visit.page, visit.stack
    pressed = asyncio.Event()

    async def later(route: Route) -> None:
        await pressed.wait()
        await route.continue_()

    await page.route("**/cancel", later)
    await visit.open()
    with stack.phone.quirks("slow-shell=20"):  # the task is still at its first step when stopped
        await visit.run("Turn on Bluetooth")
        stop = page.get_by_role("button", name="Stop", exact=True)
        await stop.click(timeout=TASK_MS)
        await expect(page.get_by_role("button", name="Stopping …")).to_be_disabled()
        pressed.set()
        await expect(visit.verdict("cancelled")).to_be_visible()
    await expect(visit.verdict("cancelled")).to_contain_text("Stopped")
    task = stack.get(f"/tasks/{page.url.rpartition('/')[2]}")
    assert (task["status"], task["goal"]) == ("cancelled", "Turn on Bluetooth")
    assert stack.phone.state()["settings"]["bluetooth"] is False
    assert visit.complaints == []


async def test_a_task_started_elsewhere_is_followed_over_a_broken_connection(visit: Visit) -> None:
    page, stack = visit.page, visit.stack
    broken = asyncio.Event()

    async def break_once(route: Route) -> None:
        if broken.is_set():
            return await route.continue_()
        broken.set()
        await route.fulfill(status=503)

    await page.route("**/tasks/*/events", break_once)
    with stack.phone.quirks("slow-shell=8"):  # the task is at its first look until it is followed
        task = stack.post("/tasks", {"goal": "Turn on Bluetooth"}).raise_for_status().json()
        await visit.open()
        async with asyncio.timeout(TASK_MS / 1000):
            await broken.wait()
    await expect(visit.verdict("succeeded")).to_be_visible(timeout=TASK_MS)
    assert page.url.endswith(f"#/tasks/{task['id']}")
    steps = stack.get(f"/tasks/{task['id']}/steps")["steps"]
    await expect(visit.steps).to_have_count(len(steps))


async def test_an_empty_goal_is_refused_with_a_hint(visit: Visit) -> None:
    await visit.open()
    await visit.run("   ")
    problem = visit.page.locator("#goal-error")
    await expect(problem).to_contain_text("The goal is empty.")
    await expect(problem).to_contain_text("Say in plain words")
    await expect(visit.page.get_by_label("What should the phone do?")).to_be_focused()
    assert visit.complaints == []


async def test_a_phone_that_comes_is_seen_without_asking_for_the_list_again_and_again(
    visit: Visit,
) -> None:
    page, stack = visit.page, visit.stack
    asked: list[str] = []

    async def ask(route: Route) -> None:
        asked.append(route.request.url)
        await route.continue_()

    await page.route("**/devices", ask)
    polled = asyncio.Event()
    page.on("response", lambda answer: polled.set() if "/tasks?" in answer.url else None)
    await visit.open()
    await expect(visit.phone.get_by_alt_text("The phone’s screen now")).to_be_visible()
    before = len(asked)
    for _ in range(2):
        polled.clear()
        await asyncio.wait_for(polled.wait(), LOAD_MS / 1000)
    assert len(asked) == before, "the changes are told"
    with phone_process() as second:
        stack.post("/devices/connect", {"address": second.serial}).raise_for_status()
        await expect(page.locator(f"#device option[value='{second.serial}']")).to_have_count(1)
        stack.post(f"/devices/{second.serial}/disconnect").raise_for_status()
        await expect(page.locator("#device-picker")).to_be_hidden()
    assert visit.complaints == []


async def test_without_a_phone_the_page_says_what_to_do(visit: Visit) -> None:
    page = visit.page
    message, hint = "no phone is connected", "Connect one with a cable."
    await page.route("**/devices", lambda route: answer(route, 200, {"devices": []}))
    refusal = fault("device_not_found", message, hint)
    await page.route("**/tasks", lambda route: answer(route, 404, refusal))
    await visit.open()
    await expect(visit.phone.get_by_text("No phone connected")).to_be_visible()
    await visit.run("Turn on Bluetooth")
    problem = page.locator("#goal-error")
    await expect(problem).to_contain_text(message)
    await expect(problem).to_contain_text(hint)


async def test_an_engine_that_had_to_take_less_memory_says_so(visit: Visit) -> None:
    engine = {"state": "sleeping", "kind": "llama-server", "model": "m.gguf", "context": 16384}
    engine |= {"error": None, "stage": "", "adjusted": ["cache_type_k = q8_0"]}
    await visit.page.route("**/engine", lambda route: answer(route, 200, engine))
    await visit.open()
    await visit.page.get_by_text("Engine asleep").click()
    await expect(visit.page.get_by_text("cache_type_k = q8_0")).to_be_visible()


async def test_a_failed_engine_is_explained(visit: Visit) -> None:
    error = fault("engine_start_failed", "the model file is broken", "Pull it again.")["error"]
    engine = {"state": "failed", "kind": "embedded", "model": "demo", "context": 1, "error": error}
    await visit.page.route("**/engine", lambda route: answer(route, 200, engine))
    await visit.open()
    await expect(visit.page.get_by_text("Engine failed")).to_be_visible()
    await expect(visit.page.get_by_text("the model file is broken")).to_be_visible()
    await expect(visit.page.get_by_text("Pull it again.")).to_be_visible()


async def test_hostile_text_stays_text(visit: Visit) -> None:
    page = visit.page
    await visit.open()
    await visit.run(HOSTILE)
    await expect(page.get_by_role("heading", name=HOSTILE)).to_be_visible()
    await expect(page.locator(".verdict")).to_be_visible(timeout=TASK_MS)
    await expect(page.get_by_label("Recent tasks").get_by_text(HOSTILE).first).to_be_visible()
    assert await page.locator("img[src=x], b").count() == 0
    assert HOSTILE in await page.title()
    assert visit.complaints == []


async def test_hostile_replies_of_the_model_stay_text(visit: Visit) -> None:
    page = visit.page
    point = {"kind": HOSTILE, "element": [5, 5]}
    error = fault(HOSTILE, "message " + HOSTILE, "hint " + HOSTILE)["error"]
    when = "2026-01-01T00:00:00Z"
    task = dict.fromkeys(("goal", "device", "message"), HOSTILE) | {
        **{"id": "evil", "status": "failed", "stop_reason": HOSTILE, "error": error, "steps": 1},
        **dict.fromkeys(("created_at", "started_at", "ended_at"), when),
    }
    step = dict.fromkeys(("app", "thought", "summary", "raw"), HOSTILE) | {
        **{"number": 1, "width": 10, "height": 20, "error": error, "action": point},
        **{"timings_ms": {HOSTILE: 1}, "tokens": {}, "screenshot": "", "started_at": when},
    }
    await page.route("**/tasks/evil", lambda route: answer(route, 200, task))
    await page.route("**/tasks/evil/steps", lambda route: answer(route, 200, {"steps": [step]}))
    await page.route("**/tasks?*", lambda route: answer(route, 200, {"tasks": [task]}))
    await visit.open("/#/tasks/evil")
    await expect(visit.verdict("failed")).to_contain_text("message " + HOSTILE)
    await expect(visit.steps.nth(0).locator(".thought")).to_have_text(HOSTILE)
    await expect(visit.steps.nth(0).locator(".title")).to_have_text(HOSTILE)
    await expect(visit.steps.nth(0).locator(".app")).to_have_text(HOSTILE)
    assert await page.locator("img[src=x], b").count() == 0
    assert visit.complaints == []


async def test_a_confirmation_is_asked_where_it_would_touch_and_allowed(
    asked: Visit, scene: Scene
) -> None:
    page = asked.page
    task = scene.start(OPEN_SETTINGS, SENSITIVE_TAP, DONE)
    await asked.open()
    card = page.get_by_label("Question")
    await expect(
        card.get_by_role("heading", name='Tap at 880, 273 on "Bluetooth off" in Settings?')
    ).to_be_focused()
    await expect(page).to_have_title("(1) Waits for your OK: Turn on Bluetooth – phonepilot")
    await expect(page.get_by_role("status")).to_contain_text(
        'Tap at 880, 273 on "Bluetooth off" in Settings?'
    )
    await expect(card.get_by_role("timer")).to_have_text(re.compile(r"^(5:00|4:\d\d) left$"))
    await the_mark_lies_at(asked, BLUETOOTH)
    await expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    assert not scene.bluetooth()
    await page.keyboard.press("Tab")
    await expect(card.get_by_label("Or say what to do instead")).to_be_focused()
    await page.keyboard.press("Enter")  # in the empty field it decides nothing
    await page.keyboard.press("Tab")
    await expect(card.get_by_role("button", name="Allow")).to_be_focused()
    assert scene.stack.get(f"/tasks/{task}")["status"] == "needs_confirmation"
    await page.keyboard.press("Enter")
    await expect(asked.verdict("succeeded")).to_be_visible()
    await expect(card).to_be_hidden()
    await expect(page).to_have_title("Succeeded: Turn on Bluetooth – phonepilot")
    assert scene.bluetooth()
    assert asked.complaints == []


async def the_mark_lies_at(visit: Visit, place: list[int]) -> None:
    frame = visit.phone.get_by_alt_text("The phone’s screen now")
    await expect(frame).to_be_visible()
    dot = visit.phone.locator(".mark .dot")
    await expect(dot).to_have_count(1)
    box, spot = await boxes(frame, dot)
    x = (spot["x"] + spot["width"] / 2 - box["x"]) / box["width"] * 1000
    y = (spot["y"] + spot["height"] / 2 - box["y"]) / box["height"] * 1000
    assert (x, y) == pytest.approx(place, abs=6)


async def test_a_refusal_with_words_goes_to_the_model(asked: Visit, scene: Scene) -> None:
    page = asked.page
    scene.start(OPEN_SETTINGS, SENSITIVE_TAP, 'finish(message="Left as it was.")')
    await asked.open()
    await expect(page.get_by_role("button", name="Refuse and stop")).to_be_visible()
    await page.get_by_label("Or say what to do instead").fill("Leave it off")
    await expect(page.get_by_role("button", name="Allow")).to_be_disabled()
    await page.get_by_role("button", name="Refuse and go on").click()
    await expect(asked.verdict("succeeded")).to_contain_text("Left as it was.")
    assert scene.engine.told()[-1].startswith("The person does not want that: Leave it off")
    assert not scene.bluetooth()


async def test_each_kind_of_question_has_its_own_words(asked: Visit, scene: Scene) -> None:
    page = asked.page
    scene.start(
        'do(action="Interact", message="Which one?")',
        'do(action="Take_over", message="Please log in.")',
        DONE,
    )
    await asked.open()
    card = page.get_by_label("Question")
    answer = card.get_by_label("Your answer")
    await expect(answer).to_be_focused()
    await expect(card.get_by_role("button", name="Send")).to_be_disabled()
    await answer.fill("The second")
    await page.keyboard.press("Enter")
    await expect(card.get_by_role("heading", name="Please log in.")).to_be_focused()
    assert "The second" in scene.engine.told()[-1]
    # The person does it by hand, so the phone is shown as it is now.
    await expect(asked.phone.get_by_alt_text("The phone’s screen now")).to_be_visible()
    await card.get_by_role("button", name="Done").click()
    await expect(asked.verdict("succeeded")).to_be_visible()
    assert asked.complaints == []


async def test_a_question_answered_elsewhere_leaves_the_page(asked: Visit, scene: Scene) -> None:
    page = asked.page
    last = Held(DONE)
    task = scene.start(OPEN_SETTINGS, SENSITIVE_TAP, last)
    await asked.open()
    card = page.get_by_label("Question")
    await expect(card.get_by_role("heading")).to_be_focused()
    scene.reply(task, True).raise_for_status()
    await expect(card).to_be_hidden()
    await expect(page.locator(".task-goal")).to_be_focused()
    await expect(page).to_have_title("Running: Turn on Bluetooth – phonepilot")
    last.let.set()
    await expect(asked.verdict("succeeded")).to_be_visible()


async def test_a_page_that_is_opened_later_shows_only_the_open_question(
    asked: Visit, scene: Scene
) -> None:
    page = asked.page
    await page.add_init_script(
        """window.shown = [];
        const note = () => window.shown.push(document.querySelector('.question h3')?.textContent);
        new MutationObserver(note).observe(document, {childList: true, subtree: true});"""
    )
    task = scene.start(OPEN_SETTINGS, TAP, DONE, mode="step")
    first = scene.question(task, 1)["question"]["text"]
    scene.reply(task, True).raise_for_status()
    second = scene.question(task, 2)["question"]["text"]
    await asked.open()
    card = page.get_by_label("Question")
    await expect(card.get_by_role("heading", name=second)).to_be_focused()
    await card.get_by_role("button", name="Allow").click()
    await expect(asked.verdict("succeeded")).to_be_visible()  # all events have come
    shown = await page.evaluate("window.shown")
    assert second in shown and first not in shown


async def test_a_hostile_question_stays_text(asked: Visit, scene: Scene) -> None:
    hostile = HOSTILE.replace('"', "'")
    task = scene.start(f'do(action="Interact", message="{hostile}")')
    await asked.open()
    await expect(asked.page.get_by_label("Question").get_by_role("heading")).to_have_text(hostile)
    assert await asked.page.locator("img[src=x], b").count() == 0
    assert asked.complaints == []
    scene.say(task, "cancel")


async def test_a_question_does_not_take_what_is_typed_elsewhere(asked: Visit, scene: Scene) -> None:
    page = asked.page
    first = Held('do(action="Interact", message="Which one?")')
    task = scene.start(first)
    await asked.open()
    await expect(page.get_by_role("button", name="Stop")).to_be_visible()
    goal = page.get_by_label("What should the phone do?")
    await goal.fill("Open Cal")
    first.let.set()
    await expect(page.get_by_label("Question")).to_be_visible()
    await expect(goal).to_be_focused()
    scene.say(task, "cancel")


async def test_pause_and_resume(asked: Visit, scene: Scene) -> None:
    page = asked.page
    second = Held(TAP)
    scene.start(OPEN_SETTINGS, second, TAP, DONE)
    await asked.open()
    assert await asyncio.to_thread(second.asked.wait, LOAD_MS / 1000)
    await page.get_by_role("button", name="Pause").click()
    await expect(page.get_by_text("Paused: nothing is done on the phone.")).to_be_visible()
    await expect(asked.phone.get_by_alt_text("The phone’s screen now")).to_be_visible()
    second.let.set()
    await page.get_by_role("button", name="Resume").click()
    await expect(asked.verdict("succeeded")).to_be_visible()
    assert scene.bluetooth()


async def test_a_dry_run_is_run_for_real_and_gone_on_with(asked: Visit, scene: Scene) -> None:
    page = asked.page
    scene.engine.requests.clear()
    scene.engine.replies = [OPEN_SETTINGS]
    await asked.open()
    await page.get_by_text("Options").click()
    await page.get_by_label("How it goes").select_option("dry_run")
    await page.get_by_label("Only in these apps").fill("Settings, Notes")
    await expect(page.locator("#options-chosen")).to_have_text("dry run · only in Settings, Notes")
    await asked.run("Turn on Bluetooth")
    await expect(asked.verdict("cancelled")).to_contain_text("Dry run")
    await expect(asked.verdict("cancelled")).to_contain_text("Open the app 'Settings'")

    scene.engine.replies = [OPEN_SETTINGS, TAP, DONE]
    await page.get_by_role("button", name="Run for real").click()
    await expect(asked.verdict("succeeded")).to_be_visible()
    first = scene.stack.get("/tasks?limit=1")["tasks"][0]
    assert (first["mode"], first["allowed_apps"]) == ("auto", ["Settings", "Notes"])

    scene.engine.replies = ['do(action="Launch", app="Clock")', 'finish(message="Not allowed.")']
    await page.get_by_label("Go on with").fill("Now the clock")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Now the clock")).to_be_visible()
    await expect(asked.verdict("succeeded")).to_be_visible()
    await expect(asked.steps.nth(0).locator(".remark")).to_contain_text("not allowed")
    await expect(page.get_by_role("link", name="Goes on from an earlier task")).to_be_visible()
    task = scene.stack.get("/tasks?limit=1")["tasks"][0]
    assert (task["follows"], task["allowed_apps"]) == (first["id"], ["Settings", "Notes"])
    assert asked.complaints == []


async def test_on_a_narrow_page_the_question_leaves_the_phone_in_sight(
    asked: Visit, scene: Scene
) -> None:
    page = asked.page
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.emulate_media(reduced_motion="reduce")
    task = scene.start(OPEN_SETTINGS, SENSITIVE_TAP)
    await asked.open()
    card = page.get_by_label("Question")
    await expect(card.get_by_role("heading")).to_be_focused()
    dot = asked.phone.locator(".mark .dot")
    await expect(dot).to_be_in_viewport()
    spot, sheet = await boxes(dot, card)
    assert spot["y"] + spot["height"] < sheet["y"]
    assert sheet["y"] + sheet["height"] == pytest.approx(844, abs=1)
    scene.say(task, "cancel")
