"""The phone touched by hand in the dashboard: a real browser, service, adb server and phone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Request, expect

from tests.e2e.layout import boxes
from tests.e2e.test_dashboard import Visit, answer, fault, visiting
from tests.e2e.test_questions import (
    BLUETOOTH,
    DONE,
    NOTHING_THERE,
    PATIENCE_S,
    Held,
    Scene,
    open_scene,
)

TAKE_OVER = 'do(action="Take_over", message="Please log in.")'
QUESTION = 'do(action="Interact", message="Which one?")'
NEW_NOTE = [859, 906]
KEYS = {"Back": 4, "Home": 3, "Recents": 187}


@pytest.fixture(scope="module")
def shared_scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with open_scene(tmp_path_factory.mktemp("by-hand")) as scene:
        yield scene


@pytest.fixture
def scene(shared_scene: Scene) -> Iterator[Scene]:
    """The module's service, its phone as new; what a test leaves open is cancelled."""
    shared_scene.stack.phone.reset(7)
    shared_scene.seen = len(shared_scene.stack.phone.events())
    yield shared_scene
    for task in shared_scene.stack.get("/tasks")["tasks"]:
        if task["ended_at"] is None:
            shared_scene.say(task["id"], "cancel")


@pytest.fixture
async def hand(browser: Browser, scene: Scene) -> AsyncIterator[Hand]:
    async with visiting(browser, scene.stack) as visit:
        yield Hand(visit, scene)


class Hand:
    """A person before the page, with a mouse and a keyboard."""

    def __init__(self, visit: Visit, scene: Scene) -> None:
        self.visit, self.scene, self.page = visit, scene, visit.page

    async def open(self, app: str = "") -> None:
        """The page with the phone on it, which shows this app."""
        if app:
            self.input({"kind": "launch", "app": app})
        await self.visit.open()
        await self.sees_the_phone()

    def input(self, wanted: dict[str, Any]) -> None:
        path = f"/devices/{self.scene.stack.phone.serial}/input"
        self.scene.stack.post(path, wanted).raise_for_status()

    async def sees_the_phone(self) -> None:
        await expect(self.visit.phone.get_by_alt_text("The phone’s screen now")).to_be_visible()

    async def move(self, place: list[int], **options: Any) -> None:
        """To a place on the picture, in thousandths."""
        [box] = await boxes(self.visit.phone.locator(".screen"))
        right, down = place
        x, y = box["x"] + box["width"] * right / 1000, box["y"] + box["height"] * down / 1000
        await self.page.mouse.move(x, y, **options)

    async def tap(self, place: list[int]) -> None:
        await self.move(place)
        await self.page.mouse.down()
        await self.page.mouse.up()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until the phone is so."""
        end = time.monotonic() + PATIENCE_S
        while not await asyncio.to_thread(reached):
            assert time.monotonic() < end, self.scene.touches()

    async def is_out_of_reach(self) -> None:
        """A task works with the phone, and a click on it does nothing."""
        await expect(self.page.get_by_role("button", name="Pause")).to_be_visible()
        await expect(self.group.get_by_role("button")).to_have_count(0)
        await expect(self.text).to_be_hidden()
        await expect(self.visit.phone.locator(".screen")).to_have_css("cursor", "auto")
        await self.tap(BLUETOOTH)
        await expect(self.page.locator(".touch")).to_have_count(0)

    async def sees_other_pictures(self, count: int) -> None:
        picture = self.visit.phone.get_by_alt_text("The phone’s screen now")
        for _ in range(count):
            shown = await picture.get_attribute("src")
            assert shown
            await expect(picture).not_to_have_attribute("src", shown)

    def notes(self) -> list[str]:
        return [note["title"] for note in self.scene.stack.phone.state()["notes"]]

    def screens(self, package: str) -> list[dict[str, Any]]:
        """The app's screens that lie one over another."""
        return list(self.scene.stack.phone.state()["ui"]["stacks"][package])

    async def until_touched(self, times: int = 1) -> list[dict[str, Any]]:
        await self.until(lambda: len(self.scene.touches()) >= times)
        return self.scene.touches()

    @property
    def group(self) -> Locator:
        return self.page.get_by_role("group", name="By hand")

    @property
    def text(self) -> Locator:
        return self.page.get_by_label("Type on the phone")

    @property
    def send(self) -> Locator:
        return self.page.get_by_role("button", name="Send the text to the phone")


async def test_a_click_is_a_tap_at_that_place_and_is_seen_to_be_sent(hand: Hand) -> None:
    await hand.page.add_init_script(
        """window.touches = [];
        new MutationObserver((changes) => changes.flatMap((change) => [...change.addedNodes])
          .filter((node) => node.classList?.contains('touch'))
          .forEach((node) => window.touches.push(node.firstChild.dataset.kind)))
          .observe(document, {childList: true, subtree: true});"""
    )
    await hand.open("Settings")
    await hand.tap(BLUETOOTH)
    await hand.until(hand.scene.bluetooth)
    [touch] = hand.scene.touches()
    assert touch["spot"] == "switch:Bluetooth"
    x, y = BLUETOOTH
    assert (touch["x"], touch["y"]) == pytest.approx((x * 1.08, y * 2.4), abs=4)
    assert await hand.page.evaluate("window.touches") == ["tap"]
    await expect(hand.page.locator(".touch")).to_have_count(0)
    assert hand.visit.complaints == []


async def test_held_it_is_a_long_press_and_drawn_a_swipe(hand: Hand) -> None:
    await hand.open("Settings")
    await hand.move(NOTHING_THERE)
    await hand.page.mouse.down()
    [press] = await hand.until_touched()  # while the finger still lies there
    await hand.page.mouse.up()
    assert (press["x1"], press["y1"]) == (press["x2"], press["y2"])
    assert press["duration_ms"] == 800

    await hand.move([500, 700])
    await hand.page.mouse.down()
    await hand.move([500, 300], steps=4)
    await hand.page.mouse.up()
    _, swipe = await hand.until_touched(2)
    ends = [swipe[name] for name in ("x1", "y1", "x2", "y2")]
    assert ends == pytest.approx([540, 1680, 540, 720], abs=5)
    await hand.until(lambda: hand.screens("com.android.settings")[-1]["scroll"] > 0)
    assert len(hand.scene.touches()) == 2
    assert hand.visit.complaints == []


async def test_a_drag_out_of_the_picture_ends_at_its_edge(hand: Hand) -> None:
    await hand.open("Settings")
    await hand.move([500, 700])
    await hand.page.mouse.down()
    await hand.move([-200, 700], steps=4)
    await hand.page.mouse.up()
    [swipe] = await hand.until_touched()
    assert swipe["x2"] == 0


async def test_a_note_is_written_with_the_keyboard_and_the_buttons(hand: Hand) -> None:
    await hand.open("Notes")
    await hand.tap(NEW_NOTE)
    await hand.until(lambda: hand.scene.stack.phone.state()["ui"]["focus"] is not None)
    await expect(hand.send).to_be_disabled()
    await hand.text.fill("Milk & 6 eggs")
    await hand.page.keyboard.press("Enter")
    await expect(hand.text).to_have_value("")
    await hand.page.get_by_role("button", name="Back").click()  # the phone's keyboard goes
    await hand.page.get_by_role("button", name="Back").click()
    await hand.until(lambda: "Milk & 6 eggs" in hand.notes())
    assert hand.visit.complaints == []


async def test_the_buttons_are_reached_with_the_keyboard(hand: Hand) -> None:
    await hand.open("Settings")
    await hand.page.get_by_role("button", name="Back").focus()
    for times, name in enumerate(KEYS, 1):
        await expect(hand.page.get_by_role("button", name=name)).to_be_focused()
        await hand.page.keyboard.press("Enter")
        await hand.until_touched(times)
        await hand.page.keyboard.press("Tab")
    await expect(hand.text).to_be_focused()
    assert [touch["code"] for touch in hand.scene.touches()] == list(KEYS.values())


@pytest.mark.parametrize(("reply", "button"), [(TAKE_OVER, "Done"), (QUESTION, "Send")])
async def test_a_task_keeps_the_phone_to_itself_until_it_hands_over(
    hand: Hand, reply: str, button: str
) -> None:
    first, last = Held(reply), Held(DONE)
    hand.input({"kind": "launch", "app": "Settings"})
    hand.scene.start(first, last)
    await hand.visit.open()
    await hand.is_out_of_reach()

    first.let.set()
    await hand.sees_the_phone()
    await expect(hand.group.get_by_role("button", name="Home")).to_be_visible()
    await hand.tap(BLUETOOTH)
    await hand.until(hand.scene.bluetooth)
    assert len(hand.scene.touches()) == 1
    await hand.text.fill("kept")

    card = hand.page.get_by_label("Question")
    if button == "Send":
        await card.get_by_label("Your answer").fill("This one")
    await card.get_by_role("button", name=button).click()
    await hand.is_out_of_reach()
    last.let.set()
    await expect(hand.visit.verdict("succeeded")).to_be_visible()
    assert len(hand.scene.touches()) == 1
    await expect(hand.text).to_have_value("kept")
    assert hand.visit.complaints == []


async def test_a_paused_task_leaves_the_phone_to_the_person(hand: Hand) -> None:
    first = Held(DONE)
    hand.input({"kind": "launch", "app": "Settings"})
    hand.scene.start(first, DONE)  # it looks anew, and asks its model again
    await hand.visit.open()
    await hand.is_out_of_reach()
    await hand.page.get_by_role("button", name="Pause").click()
    await hand.sees_the_phone()
    await hand.tap(BLUETOOTH)
    await hand.until(hand.scene.bluetooth)
    first.let.set()
    await hand.page.get_by_role("button", name="Resume").click()
    await expect(hand.visit.verdict("succeeded")).to_be_visible()


async def test_what_is_refused_is_told_and_not_lost(hand: Hand) -> None:
    busy = fault("device_busy", "a task works with this phone", "Pause it first.")
    await hand.open("Notes")
    await hand.tap(NEW_NOTE)
    await hand.until(lambda: hand.scene.stack.phone.state()["ui"]["focus"] is not None)
    await hand.page.route("**/input", lambda route: answer(route, 409, busy))
    await hand.text.fill("Milk")
    await hand.send.click()
    problem = hand.group.get_by_role("alert")
    await expect(problem).to_contain_text("a task works with this phone")
    await expect(problem).to_contain_text("Pause it first.")
    await expect(hand.text).to_have_value("Milk")

    first = Held(DONE)
    task = hand.scene.start(first)
    await hand.is_out_of_reach()
    await expect(problem).to_be_visible()  # for it is still so
    await hand.page.unroute("**/input")
    hand.scene.say(task, "pause")
    first.let.set()
    await expect(problem).to_be_hidden()
    await hand.send.click()
    await expect(hand.text).to_have_value("")
    hand.scene.say(task, "cancel")
    assert "Milk" in hand.scene.stack.phone.state()["ui"]["drafts"].values()


async def test_after_a_touch_there_is_a_film_until_the_task_goes_on(hand: Hand) -> None:
    page, last = hand.page, Held(DONE)
    hand.input({"kind": "launch", "app": "Settings"})
    hand.scene.start(TAKE_OVER, last)
    await hand.visit.open()
    await hand.sees_the_phone()
    await page.route("**/screen?*", lambda route: route.abort())
    async with page.expect_request("**/stream?*") as film:
        await hand.tap(BLUETOOTH)
    await hand.sees_other_pictures(3)
    async with page.expect_event("requestfailed", is_film(await film.value)):
        await page.get_by_role("button", name="Done").click()
    await hand.is_out_of_reach()
    last.let.set()
    await expect(hand.visit.verdict("succeeded")).to_be_visible()


async def test_the_film_ends_when_the_page_is_hidden(hand: Hand) -> None:
    page = hand.page
    await hand.open("Settings")
    async with page.expect_request("**/stream?*") as film:
        await hand.tap(BLUETOOTH)
    await hand.sees_other_pictures(2)
    async with page.expect_event("requestfailed", is_film(await film.value)):
        await page.evaluate(
            """Object.defineProperty(document, 'hidden', {value: true});
            document.dispatchEvent(new Event('visibilitychange'));"""
        )


async def test_where_there_is_no_film_single_pictures_come(hand: Hand) -> None:
    await hand.page.route("**/stream?*", lambda route: route.fulfill(status=503))
    await hand.open("Settings")
    async with hand.page.expect_response("**/stream?*"):
        await hand.tap(BLUETOOTH)
    await hand.sees_other_pictures(2)
    await hand.until(hand.scene.bluetooth)


async def test_on_a_narrow_page_the_buttons_lie_between_phone_and_question(hand: Hand) -> None:
    await hand.page.set_viewport_size({"width": 390, "height": 844})
    await hand.page.emulate_media(reduced_motion="reduce")
    hand.input({"kind": "launch", "app": "Settings"})
    hand.scene.start(TAKE_OVER)
    await hand.visit.open()
    await expect(hand.page.get_by_role("heading", name="Please log in.")).to_be_focused()
    await expect(hand.text).to_be_in_viewport()
    await hand.sees_the_phone()
    bezel, question = hand.visit.phone.locator(".bezel"), hand.page.get_by_label("Question")
    phone, row, card = await boxes(bezel, hand.text, question)
    assert phone["y"] >= 0
    assert phone["y"] + phone["height"] <= row["y"]
    assert row["y"] + row["height"] <= card["y"]
    await hand.tap(BLUETOOTH)
    await hand.until(hand.scene.bluetooth)


def is_film(film: Request) -> Callable[[Request], bool]:
    return lambda request: request == film
