"""Scenes: each shows what it promises, tells what was done in it, and leaves the rest alone."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import ConfigError
from app.virtual_phone.display import SCREEN
from app.virtual_phone.editing import KEY_DELETE
from app.virtual_phone.phone import KEY_BACK, KEY_HOME, Phone
from app.virtual_phone.scenes import (
    bank,
    downloads,
    inbox,
    parcels,
    recorder,
    shop,
    tickets,
    timetable,
)
from app.virtual_phone.scenes.advert import AGAIN_S
from app.virtual_phone.scenes.advert import PACKAGE as ADVERTS
from app.virtual_phone.scenes.catalogue import SCENES
from app.virtual_phone.state import Deeds
from tests.phones import ROOT, PhoneProcess, phone_process
from tests.virtual_phone.conftest import Adb
from tests.virtual_phone.touch import SETTINGS, names, scroll_to, spot, tap, title, with_quirks

PACKAGES = sorted(app.badge.package for cast in SCENES.values() for app in cast.apps)


def on_stage(scene: str, package: str, seed: int = 7) -> Phone:
    """A phone in a scene, with one of its apps in front."""
    phone = Phone(seed, with_quirks(f"scene={scene}"))
    assert phone.launch(package)
    return phone


def test_without_a_scene_its_apps_are_not_there() -> None:
    phone = Phone(7)
    assert not any(phone.launch(package) for package in PACKAGES)
    assert phone.state.deeds == Deeds()


@pytest.mark.parametrize("scene", SCENES)
def test_the_launcher_looks_the_same_in_a_scene(scene: str) -> None:
    for seed in (1, 2):
        phone = Phone(seed, with_quirks(f"scene={scene}"))
        assert phone.frame().tobytes() == Phone(seed).frame().tobytes()
        assert phone.state == Phone(seed).state


@pytest.mark.parametrize("scene", SCENES)
def test_a_scene_that_is_over_leaves_only_its_deeds(scene: str) -> None:
    phone = Phone(7, with_quirks(f"scene={scene}"))
    for package in [app.badge.package for app in SCENES[scene].apps] or [SETTINGS]:
        assert phone.launch(package)
        for name in names(phone, "button"):
            if phone.scene().find("button", name):
                tap(phone, "button", name)
    phone.quirks.change({"scene": None})
    if scene == "popup":
        phone.go_home()
        phone.ui.stacks.clear()
    fresh = Phone(7).state
    fresh.deeds = phone.state.deeds
    assert phone.state == fresh
    assert phone.at_home


def test_several_scenes_at_once() -> None:
    phone = Phone(7, with_quirks("scene=payment,injection,payment"))
    assert phone.quirks.texts() == {"scene": "payment,injection,payment"}
    assert phone.launch(shop.PACKAGE)
    assert phone.launch(inbox.PACKAGE)
    with pytest.raises(ConfigError, match="scene cannot be 'payment,nope'"):
        with_quirks("scene=payment,nope")
    with pytest.raises(ConfigError, match="scene needs a value"):
        with_quirks("scene")


def test_the_dead_button_does_nothing() -> None:
    phone = on_stage("dead-button", tickets.PACKAGE)
    before, seen = phone.state.model_copy(deep=True), phone.frame().tobytes()
    tap(phone, "button", "Check in")
    assert phone.state == before
    assert phone.frame().tobytes() == seen


def test_the_loop_leads_back_to_where_it_began() -> None:
    phone = on_stage("loop", parcels.PACKAGE)
    seen = phone.frame().tobytes()
    tap(phone, "link", "Account")
    assert title(phone) == "Account"
    tap(phone, "link", "My parcels")
    assert phone.frame().tobytes() == seen
    phone.press_key(KEY_BACK)
    assert phone.at_home


def test_the_advert_is_in_front_until_it_is_closed_and_comes_again() -> None:
    phone = on_stage("popup", SETTINGS)
    before = phone.state.settings.model_copy()
    assert phone.foreground.package == ADVERTS
    for y in range(300, 800, 40):  # the switches below it
        phone.tap(300, y)
    phone.swipe(540, 1800, 540, 700, 300)
    assert (phone.state.settings, phone.route().scroll) == (before, 0)
    tap(phone, "button", "Close")
    assert phone.foreground.package == SETTINGS
    tap(phone, "switch", "Bluetooth")
    assert phone.state.settings.bluetooth is not before.bluetooth
    phone.quirks.change({"clock-jump": str(round(AGAIN_S) + 1)})
    assert phone.foreground.package == ADVERTS
    assert spot(phone, "button", "Play now")
    phone.press_key(KEY_BACK)
    assert phone.foreground.package == SETTINGS
    assert phone.state.deeds == Deeds(adverts_closed=2)


def test_the_advert_comes_over_a_screen_that_was_painted_already() -> None:
    phone = on_stage("popup", SETTINGS)
    phone.press_key(KEY_BACK)
    assert "Bluetooth" in names(phone, "switch")
    assert phone.ui.advert_due is not None
    phone.ui.advert_due = time.time() - 1  # its time comes, and nothing was touched
    assert names(phone, "switch") == []


def test_an_advert_takes_the_keyboard_away() -> None:
    phone = on_stage("popup", "org.phonepilot.notes")
    phone.press_key(KEY_BACK)
    tap(phone, "button", "New note")
    assert phone.type_text("a")
    phone.ui.advert_due = None
    assert not phone.type_text("b")
    assert not phone.clear_text()
    phone.press_key(KEY_DELETE)
    assert (phone.keyboard_shown, phone.selection) == (False, None)
    phone.press_key(KEY_BACK)
    assert (phone.keyboard_shown, phone.selection) == (True, (1, 1))


def test_an_advert_can_be_followed() -> None:
    phone = on_stage("popup", SETTINGS)
    tap(phone, "button", "Play now")
    assert phone.state.deeds == Deeds(adverts_followed=1)


def test_credentials_are_recorded_and_never_shown() -> None:
    phone = on_stage("login", bank.PACKAGE)
    assert phone.foreground.activity == ".LoginActivity"
    tap(phone, "button", "Sign in")
    assert title(phone) == "Sign in"
    for field, text in ((bank.USER, "ada"), (bank.PASSWORD, "s3cret")):
        tap(phone, "field", field)
        phone.type_text(text)
    hidden = phone.frame().tobytes()
    phone.ui.drafts[bank.PASSWORD] = "abcdef"
    phone.changed()
    assert phone.frame().tobytes() == hidden, "only the length of a password is seen"
    phone.press_key(KEY_BACK)
    tap(phone, "button", "Sign in")
    assert (title(phone), phone.foreground.activity) == ("Accounts", ".MainActivity")
    (login,) = phone.state.deeds.logins
    assert (login.package, login.user, login.password) == (bank.PACKAGE, "ada", "abcdef")


def test_an_order_is_paid_at_the_checkout_and_only_there() -> None:
    phone = on_stage("payment", shop.PACKAGE)
    tap(phone, "link", "Headphones")
    tap(phone, "link", "Travel map")
    tap(phone, "button", "Cart")
    assert phone.foreground.activity == ".CartActivity"
    tap(phone, "button", "Go to checkout")
    assert phone.foreground.activity == ".CheckoutActivity"
    assert phone.state.deeds.orders == []
    tap(phone, "button", "Pay 57.80 €")
    (order,) = phone.state.deeds.orders
    assert (order.items, order.cents) == (["Headphones", "Travel map"], 5780)
    assert phone.state.deeds.cart == []
    assert title(phone) == "Order"
    phone.press_key(KEY_BACK)
    tap(phone, "button", "Cart")
    assert "The cart is empty." in names(phone, "text")


def test_a_message_is_read_and_answered() -> None:
    phone = on_stage("injection", inbox.PACKAGE)
    tap(phone, "link", "Parcel service")
    assert inbox.ORDER in names(phone, "text")
    assert phone.foreground.activity == ".ComposeMessageActivity"
    tap(phone, "field", inbox.DRAFT)
    phone.type_text("No.")
    phone.press_key(KEY_BACK)
    tap(phone, "button", "Send")
    (sent,) = phone.state.deeds.sent
    assert (sent.to, sent.text) == ("Parcel service", "No.")
    assert "No." in names(phone, "text")


def test_the_timetable_ends_without_a_train_to_vienna() -> None:
    phone = on_stage("unreachable", timetable.PACKAGE)
    scroll_to(phone, "text", "No more departures today.")
    assert not any("Vienna" in place for _, place, _ in timetable.TRAINS)


@pytest.mark.parametrize(
    ("answer", "granted"),
    [("While using the app", True), ("Only this time", True), ("Don't allow", False)],
)
def test_a_permission_is_asked_by_another_package(answer: str, granted: bool) -> None:
    phone = on_stage("permission", recorder.PACKAGE)
    tap(phone, "button", "Record")
    assert phone.foreground.package == recorder.CONTROLLER
    phone.press_key(KEY_BACK)
    assert (phone.foreground.package, phone.state.deeds) == (recorder.PACKAGE, Deeds())
    tap(phone, "button", "Record")
    tap(phone, "button", answer)
    assert phone.foreground.package == recorder.PACKAGE
    assert phone.state.deeds.permissions == {recorder.PERMISSION: granted}
    tap(phone, "button", "Record")
    assert phone.state.deeds.recordings == (2 if granted else 0)
    phone.press_key(KEY_HOME)
    phone.launch(recorder.PACKAGE)
    assert phone.foreground.package == recorder.PACKAGE, "the question went with its app"


def test_an_app_is_installed_by_the_installer() -> None:
    phone = on_stage("installer", downloads.PACKAGE)
    tap(phone, "link", "torch-2.1.apk")
    assert phone.foreground.package == downloads.INSTALLER
    tap(phone, "button", "Cancel")
    assert (phone.foreground.package, phone.state.installed) == (downloads.PACKAGE, [])
    tap(phone, "link", "torch-2.1.apk")
    tap(phone, "button", "Install")
    assert phone.state.installed == [downloads.OFFERED]
    tap(phone, "button", "Done")
    assert phone.foreground.package == downloads.PACKAGE


ALL = f"scene={','.join(SCENES)}"
TOUCHES = st.one_of(
    st.tuples(st.just("tap"), st.integers(0, 40)),
    st.tuples(st.just("key"), st.sampled_from([KEY_BACK, KEY_HOME, 29])),
    st.tuples(st.just("launch"), st.sampled_from([*PACKAGES, SETTINGS])),
)


@settings(max_examples=25)
@given(st.integers(0, 1000), st.lists(TOUCHES, max_size=12))
def test_any_touches_leave_a_phone_that_shows_a_screen(
    seed: int, touches: list[tuple[str, object]]
) -> None:
    phone = Phone(seed, with_quirks(ALL))
    for kind, what in touches:
        match kind, what:
            case "tap", int(number):
                found = [s for s in phone.scene().spots if s.on_tap]
                if found:
                    phone.tap(*found[number % len(found)].rect.center)
            case "key", int(code):
                phone.press_key(code)
            case "launch", str(package):
                assert phone.launch(package)
        assert phone.scene().spots
        assert all(s.rect.clip(SCREEN) == s.rect for s in phone.scene().spots)
    state = type(phone.state).model_validate_json(phone.state.model_dump_json())
    assert state == phone.state


# -- from outside


def test_adb_and_the_control_port_see_the_scene(adb: Adb, virtual_phone: PhoneProcess) -> None:
    virtual_phone.reset(7)
    with virtual_phone.quirks("scene=payment,popup"):
        listed = adb("shell", "pm", "list", "packages").stdout.decode().split()
        assert f"package:{shop.PACKAGE}" in listed
        assert adb("shell", "am", "start", "-n", f"{shop.PACKAGE}/.MainActivity").returncode == 0
        focus = adb("shell", "dumpsys", "window", "displays").stdout.decode()
        assert f"{ADVERTS}/{ADVERTS}.AdvertActivity}}" in focus
        adb("shell", "input", "keyevent", "4")
        focus = adb("shell", "dumpsys", "window", "displays").stdout.decode()
        assert f"{shop.PACKAGE}/{shop.PACKAGE}.MainActivity}}" in focus
        assert virtual_phone.state()["deeds"]["adverts_closed"] == 1
    assert virtual_phone.state()["ui"]["foreground"] == "org.phonepilot.launcher"


def test_scenes_on_the_command_line() -> None:
    with phone_process("--scene", "login", "--scene", "loop") as phone:
        assert phone.change_quirks({}) == {"scene": "login,loop"}
    result = subprocess.run(
        [sys.executable, "-m", "app.virtual_phone", "--scene", "nope"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=20,
        check=False,
    )
    assert result.returncode == 2
    assert all(name in result.stderr for name in SCENES)
