"""The dashboard in a real browser, over the real service, engine, adb server and virtual phone."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Route,
    async_playwright,
    expect,
)

from tests.e2e.conftest import Stack

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
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
async def browser() -> AsyncIterator[Browser]:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert program, "install chromium to run the tests of the dashboard"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        await browser.close()


@pytest.fixture
async def visit(browser: Browser, stack: Stack) -> AsyncIterator[Visit]:
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


async def test_a_goal_is_typed_and_its_steps_are_watched(visit: Visit) -> None:
    page, stack = visit.page, visit.stack
    assert stack.phone.state()["settings"]["bluetooth"] is False
    await visit.open()
    await expect(page.get_by_text("Engine ready")).to_be_visible()
    await expect(visit.phone.get_by_alt_text("The phone’s screen now")).to_be_visible()

    await visit.run("Turn on Bluetooth")

    await expect(page.get_by_role("button", name="Stop")).to_be_visible()
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
        frame = await picture.bounding_box()
        dot = await scope.locator(".mark .dot").bounding_box()
        assert frame and dot
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
    broken: list[str] = []

    async def break_once(route: Route) -> None:
        if broken:
            return await route.continue_()
        broken.append(route.request.url)
        await route.fulfill(status=503)

    await page.route("**/events", break_once)
    task = stack.post("/tasks", {"goal": "Turn on Bluetooth"}).raise_for_status().json()
    await visit.open()
    await expect(visit.verdict("succeeded")).to_be_visible(timeout=TASK_MS)
    assert page.url.endswith(f"#/tasks/{task['id']}")
    assert broken
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
