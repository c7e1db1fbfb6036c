"""The virtual phone behaves as a phone: fingers, keys, screens, seeds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.virtual_phone.apps import launcher
from app.virtual_phone.apps.catalogue import APPS
from app.virtual_phone.apps.settings import SWITCHES
from app.virtual_phone.display import SCREEN
from app.virtual_phone.editing import (
    KEY_CTRL_LEFT,
    KEY_DELETE,
    KEY_FORWARD_DELETE,
    KEY_MOVE_END,
)
from app.virtual_phone.phone import (
    KEY_BACK,
    KEY_ENTER,
    KEY_HOME,
    KEY_POWER,
    KEY_SLEEP,
    KEY_SPACE,
    KEY_WAKEUP,
    Phone,
)
from app.virtual_phone.seeding import ADB_KEYBOARD, LATIN_KEYBOARD, seeded_state
from tests.virtual_phone.touch import (
    CALCULATOR,
    NOTES,
    SETTINGS,
    names,
    opened,
    scroll_to,
    spot,
    tap,
    title,
    type_keys,
)

SEEDS = range(40)


def home_page_of(phone: Phone, package: str) -> int:
    return next(n for n, page in enumerate(phone.state.home) if package in page)


def two_pages() -> Phone:
    return next(phone for seed in SEEDS if len((phone := Phone(seed)).state.home) == 2)


# -- seeds


@pytest.mark.parametrize("seed", [0, 7, 2**40])
def test_the_same_seed_is_the_same_phone_to_the_pixel(seed: int) -> None:
    first, second = Phone(seed), Phone(seed)
    assert first.state == second.state
    assert first.frame().tobytes() == second.frame().tobytes()


def test_different_seeds_differ_in_what_a_model_must_not_rely_on() -> None:
    states = [seeded_state(seed) for seed in SEEDS]
    assert {state.look.font_scale for state in states} == {0.9, 1.0, 1.1, 1.15}
    assert {state.look.row_height for state in states} == {164, 176, 188, 200}
    assert {len(state.home) for state in states} == {1, 2}
    assert len({tuple(map(tuple, state.home)) for state in states}) == len(states)
    assert len({state.look.wallpaper for state in states}) == 6
    assert len({state.look.accent for state in states}) == 6
    assert len({tuple(note.title for note in state.notes) for state in states}) > 30
    for switch in SWITCHES:
        assert {getattr(state.settings, switch.key) for state in states} == {True, False}


@pytest.mark.parametrize("seed", SEEDS)
def test_every_app_has_one_icon(seed: int) -> None:
    icons = [package for page in seeded_state(seed).home for package in page if package]
    assert sorted(icons) == sorted(APPS)


def test_reset_is_the_same_as_a_new_phone() -> None:
    phone = opened(SETTINGS, seed=1)
    phone.reset(5)
    assert phone.state == Phone(5).state
    assert phone.frame().tobytes() == Phone(5).frame().tobytes()


def test_scatter_leaves_the_phone_anywhere_and_changes_at_most_the_music() -> None:
    phone, fronts, titles = Phone(0), set(), set()
    for seed in range(200):
        phone.reset(seed, scatter=True)
        again = Phone(0)
        again.reset(seed, scatter=True)
        assert phone.state == again.state
        fresh = seeded_state(seed)
        fresh.music = phone.state.music
        assert phone.state.lasting() == fresh.lasting()
        fronts.add(phone.foreground.package)
        titles.update(names(phone, "title"))
    assert fronts == {launcher.BADGE.package, *APPS}
    assert {"Settings", "About phone", "Edit note", "Contact"} <= titles


def test_lasting_leaves_out_where_the_person_is() -> None:
    phone = opened(NOTES)
    before = phone.state.lasting()
    assert "ui" not in before
    tap(phone, "button", "New note")
    phone.type_text("abc")
    assert phone.state.lasting() == before
    phone.press_key(KEY_BACK)
    phone.press_key(KEY_BACK)
    assert phone.state.lasting() != before


@pytest.mark.parametrize("seed", range(60))
def test_every_spot_lies_on_the_screen(seed: int) -> None:
    phone = Phone(0)
    phone.reset(seed, scatter=True)
    scene = phone.scene()
    assert scene.spots
    for found in scene.spots:
        assert found.rect.clip(SCREEN) == found.rect, found
        assert found.rect.width > 0
        assert found.rect.height > 0


# -- the launcher


@pytest.mark.parametrize("package", APPS)
def test_tapping_an_icon_opens_its_app(package: str) -> None:
    phone = Phone(3)
    for _ in range(home_page_of(phone, package)):
        phone.swipe(900, 1200, 200, 1200, 200)
    tap(phone, "icon", APPS[package].badge.label)
    assert phone.foreground.package == package


def test_the_home_pages_end_on_both_sides() -> None:
    phone = two_pages()
    pages = [names(phone, "home")[0]]
    for x1, x2 in ((900, 200), (900, 200), (200, 900), (200, 900)):
        phone.swipe(x1, 1200, x2, 1200, 200)
        pages.append(names(phone, "home")[0])
    first, second = "Home page 1 of 2", "Home page 2 of 2"
    assert pages == [first, second, second, first, first]


def test_a_short_swipe_does_not_turn_the_page() -> None:
    phone = two_pages()
    phone.swipe(600, 1200, 500, 1200, 200)
    assert phone.ui.home_page == 0


def test_home_returns_to_the_first_page() -> None:
    phone = two_pages()
    phone.swipe(900, 1200, 200, 1200, 200)
    phone.press_key(KEY_HOME)
    assert phone.ui.home_page == 0


def test_back_on_the_home_screen_does_nothing() -> None:
    phone = two_pages()
    phone.swipe(900, 1200, 200, 1200, 200)
    before = phone.state.model_copy(deep=True)
    phone.press_key(KEY_BACK)
    assert phone.state == before


# -- apps come and go


def test_an_app_returns_as_it_was_left() -> None:
    phone = opened(SETTINGS)
    phone.swipe(540, 1800, 540, 800, 300)
    scrolled = phone.ui.stacks[SETTINGS][-1].scroll
    assert scrolled > 0
    phone.press_key(KEY_HOME)
    assert phone.foreground.package == launcher.BADGE.package
    phone.launch(SETTINGS)
    assert phone.ui.stacks[SETTINGS][-1].scroll == scrolled


def test_force_stop_forgets_the_open_screens_and_goes_home() -> None:
    phone = opened(SETTINGS)
    scroll_to(phone, "link", "About phone")
    tap(phone, "link", "About phone")
    phone.force_stop(SETTINGS)
    assert phone.foreground.package == launcher.BADGE.package
    phone.launch(SETTINGS)
    assert title(phone) == "Settings"


def test_force_stop_in_the_background_changes_nothing_in_front() -> None:
    phone = opened(SETTINGS)
    phone.launch(NOTES)
    phone.force_stop(SETTINGS)
    assert phone.foreground.package == NOTES


def test_what_is_not_installed_does_not_open() -> None:
    phone = opened(NOTES)
    assert phone.launch("com.tencent.mm") is False
    assert phone.foreground.package == NOTES


def test_back_closes_keyboard_then_screen_then_app() -> None:
    phone = opened(NOTES)
    tap(phone, "button", "New note")
    phone.type_text("x")
    assert phone.keyboard_shown
    phone.press_key(KEY_BACK)
    assert not phone.keyboard_shown
    assert title(phone) == "Edit note"
    phone.press_key(KEY_BACK)
    assert title(phone) == "Notes"
    phone.press_key(KEY_BACK)
    assert phone.foreground.package == launcher.BADGE.package


def test_a_swipe_up_from_the_bottom_edge_goes_home() -> None:
    phone = opened(SETTINGS)
    phone.swipe(540, 2390, 540, 1500, 200)
    assert phone.foreground.package == launcher.BADGE.package


# -- scrolling


def test_scrolling_stops_at_both_ends() -> None:
    phone = opened(SETTINGS)
    for _ in range(10):
        phone.swipe(540, 1800, 540, 400, 300)
    end = phone.ui.stacks[SETTINGS][-1].scroll
    assert end == phone.scene().scroll_range > 0
    assert "About phone" in names(phone, "link")
    for _ in range(10):
        phone.swipe(540, 400, 540, 1800, 300)
    assert phone.ui.stacks[SETTINGS][-1].scroll == 0
    assert "Wi-Fi" in names(phone, "switch")


def test_the_list_follows_the_finger() -> None:
    phone = opened(SETTINGS)
    before = spot(phone, "switch", "Airplane mode").rect.top
    phone.swipe(540, 1800, 540, 1700, 300)
    assert spot(phone, "switch", "Airplane mode").rect.top == before - 100


def test_a_short_list_does_not_scroll() -> None:
    phone = opened(CALCULATOR)
    phone.swipe(540, 600, 540, 300, 300)
    assert phone.ui.stacks[CALCULATOR][-1].scroll == 0


def test_a_scroll_changes_no_switch() -> None:
    phone = opened(SETTINGS)
    before = phone.state.lasting()
    phone.swipe(954, 1800, 954, 500, 300)
    assert phone.state.lasting() == before


# -- touch


def test_a_swipe_on_the_spot_is_a_tap_when_short_and_a_press_when_long() -> None:
    phone = opened(SETTINGS)
    before = phone.state.settings.wifi
    x, y = spot(phone, "switch", "Wi-Fi").rect.center
    phone.swipe(x, y, x + 5, y, 80)
    assert phone.state.settings.wifi is not before
    phone.swipe(x, y, x, y, 800)  # rows of Settings have no long press
    assert phone.state.settings.wifi is not before


def test_a_tap_beside_everything_changes_nothing() -> None:
    phone = opened(SETTINGS)
    before = phone.state.model_copy(deep=True)
    phone.tap(540, 2399)
    phone.tap(-5, 5000)
    assert phone.state == before


def test_touches_are_logged_with_what_they_hit() -> None:
    phone = opened(SETTINGS)
    tap(phone, "switch", "Wi-Fi")
    assert phone.events[-1]["kind"] == "tap"
    assert phone.events[-1]["spot"] == "switch:Wi-Fi"


# -- keys and text


def test_the_keys_of_the_screen_keyboard_type() -> None:
    phone = opened(NOTES)
    tap(phone, "button", "New note")
    type_keys(phone, "Buy oats, now.")
    tap(phone, "key", "Backspace")
    assert phone.ui.drafts["notes.title"] == "Buy oats, now"


def test_shift_holds_for_one_letter() -> None:
    phone = opened(NOTES)
    tap(phone, "button", "New note")
    tap(phone, "key", "Shift")
    assert "Q" in names(phone, "key")
    tap(phone, "key", "Q")
    assert "q" in names(phone, "key")


def test_the_symbols_of_the_keyboard_stay_until_switched_back() -> None:
    phone = opened(NOTES)
    tap(phone, "button", "New note")
    tap(phone, "key", "?123")
    tap(phone, "key", "4")
    tap(phone, "key", "@")
    tap(phone, "key", "ABC")
    tap(phone, "key", "a")
    assert phone.ui.drafts["notes.title"] == "4@a"


def test_the_keyboard_covers_what_lies_below_it() -> None:
    phone = opened(NOTES)
    tap(phone, "button", "New note")
    keyboard = spot(phone, "keyboard", "keyboard")
    before = phone.state.model_copy(deep=True)
    phone.tap(3, keyboard.rect.top + 3)  # between the keys
    assert phone.state == before
    phone.press_key(KEY_BACK)
    assert names(phone, "keyboard") == []


def test_hardware_keys_type_into_the_field() -> None:
    phone = opened(NOTES)
    tap(phone, "button", "New note")
    for code in (29, 30, KEY_SPACE, 8, 55, KEY_DELETE, KEY_ENTER, 999):
        phone.press_key(code)
    assert phone.ui.drafts["notes.title"] == "ab 1\n"


def test_with_a_quirk_a_field_is_entered_before_its_text() -> None:
    phone = opened(NOTES)
    tap(phone, "button", "New note")
    phone.type_text("one\ntwo")
    assert phone.selection == (7, 7)
    phone.quirks.add("cursor-first")
    tap(phone, "field", "notes.title")
    assert phone.selection == (0, 0)
    phone.press_key(KEY_DELETE)
    phone.type_text("😀")
    assert (phone.ui.drafts["notes.title"], phone.selection) == ("😀one\ntwo", (2, 2))
    phone.press_key(KEY_MOVE_END)
    assert phone.selection == (5, 5)
    phone.press_key(KEY_FORWARD_DELETE)
    assert phone.ui.drafts["notes.title"] == "😀onetwo"
    phone.press_together([KEY_CTRL_LEFT, KEY_MOVE_END])
    phone.press_key(KEY_FORWARD_DELETE)
    phone.press_key(KEY_DELETE)
    assert (phone.ui.drafts["notes.title"], phone.selection) == ("😀onetw", (7, 7))


def test_a_full_field_keeps_what_stands_behind_the_cursor() -> None:
    phone = opened(NOTES)
    tap(phone, "button", "New note")
    phone.type_text("123456")
    phone.quirks.add("cursor-first")
    phone.quirks.add("max-length=8")
    tap(phone, "field", "notes.title")
    phone.type_text("abcd")
    assert phone.ui.drafts["notes.title"] == "ab123456"


def test_text_needs_a_field() -> None:
    phone = opened(NOTES)
    assert phone.type_text("lost") is False
    assert phone.clear_text() is False
    tap(phone, "button", "New note")
    assert phone.type_text("kept 😀") is True
    assert phone.ui.drafts["notes.title"] == "kept 😀"
    assert phone.clear_text() is True
    assert phone.ui.drafts["notes.title"] == ""


def test_the_adb_keyboard_shows_one_line_instead_of_keys() -> None:
    phone = opened(NOTES)
    phone.put_setting("secure", "default_input_method", ADB_KEYBOARD)
    tap(phone, "button", "New note")
    assert names(phone, "keyboard") == ["ADB Keyboard {ON}"]
    assert names(phone, "key") == []


# -- power


@pytest.mark.parametrize("code", [KEY_SLEEP, KEY_POWER])
def test_asleep_the_screen_is_black_and_takes_no_touch(code: int) -> None:
    phone = opened(SETTINGS)
    place = spot(phone, "switch", "Wi-Fi").rect.center
    before = phone.state.settings.wifi
    phone.press_key(code)
    assert phone.frame().getextrema() == ((0, 0), (0, 0), (0, 0))
    phone.tap(*place)
    phone.swipe(*place, *place, 50)
    phone.press_key(KEY_HOME)
    phone.press_key(KEY_WAKEUP)
    assert phone.state.settings.wifi is before
    assert title(phone) == "Settings"


def test_the_power_key_wakes_and_sleeps_but_wakeup_only_wakes() -> None:
    phone = Phone(0)
    awake = []
    for code in (KEY_POWER, KEY_POWER, KEY_WAKEUP, KEY_WAKEUP, KEY_SLEEP, KEY_SLEEP):
        phone.press_key(code)
        awake.append(phone.state.power.awake)
    assert awake == [False, True, True, True, False, False]


# -- frames


def test_a_frame_is_kept_until_something_happens() -> None:
    phone = opened(SETTINGS)
    frame = phone.frame()
    assert phone.frame() is frame
    tap(phone, "switch", "Wi-Fi")
    assert phone.frame() is not frame
    assert phone.frame().tobytes() != frame.tobytes()


# -- Android's settings tables


@pytest.mark.parametrize(
    ("namespace", "key", "field", "on", "off"),
    [
        ("global", "wifi_on", "wifi", "1", "0"),
        ("global", "bluetooth_on", "bluetooth", "1", "0"),
        ("global", "airplane_mode_on", "airplane_mode", "1", "0"),
        ("global", "mobile_data", "mobile_data", "1", "0"),
        ("global", "low_power", "battery_saver", "1", "0"),
        ("global", "zen_mode", "do_not_disturb", "1", "0"),
        ("secure", "location_mode", "location", "3", "0"),
        ("secure", "ui_night_mode", "dark_theme", "2", "1"),
        ("secure", "night_display_activated", "night_light", "1", "0"),
        ("system", "accelerometer_rotation", "auto_rotate", "1", "0"),
    ],
)
def test_a_switch_is_the_same_in_the_table_and_on_the_screen(
    namespace: str, key: str, field: str, on: str, off: str
) -> None:
    phone = opened(SETTINGS)
    name = next(switch.title for switch in SWITCHES if switch.key == field)
    for value, word in ((on, "on"), (off, "off"), (on, "on")):
        phone.put_setting(namespace, key, value)
        assert phone.get_setting(namespace, key) == value
        assert getattr(phone.state.settings, field) is (word == "on")
        assert scroll_to(phone, "switch", name).value == word


@pytest.mark.parametrize(
    ("key", "field", "good", "bad"),
    [
        ("screen_brightness", "brightness", "255", "256"),
        ("volume_music", "media_volume", "15", "16"),
        ("volume_ring", "ring_volume", "0", "-1"),
    ],
)
def test_levels_keep_their_range(key: str, field: str, good: str, bad: str) -> None:
    phone = Phone(0)
    phone.put_setting("system", key, good)
    assert phone.get_setting("system", key) == good == str(getattr(phone.state.settings, field))
    for value in (bad, "loud"):
        with pytest.raises(ValueError, match="."):
            phone.put_setting("system", key, value)
    assert phone.get_setting("system", key) == good


def test_input_methods_are_known_or_refused() -> None:
    phone = Phone(0)
    assert phone.get_setting("secure", "default_input_method") == LATIN_KEYBOARD
    assert phone.get_setting("secure", "enabled_input_methods") == (
        f"{LATIN_KEYBOARD}:{ADB_KEYBOARD}"
    )
    with pytest.raises(ValueError, match=r"org\.nobody"):
        phone.put_setting("secure", "default_input_method", "org.nobody/.Ime")


def test_other_keys_are_kept_as_they_are() -> None:
    phone = Phone(0)
    assert phone.get_setting("global", "http_proxy") is None
    phone.put_setting("global", "http_proxy", "localhost:1")
    assert phone.get_setting("global", "http_proxy") == "localhost:1"
    assert phone.get_setting("system", "http_proxy") is None


# -- nothing a finger does breaks the phone

COORDINATES = st.tuples(st.integers(0, 1079), st.integers(0, 2399))
TOUCHES = st.one_of(
    st.tuples(st.just("tap"), COORDINATES),
    st.tuples(st.just("swipe"), COORDINATES, COORDINATES, st.sampled_from([50, 300, 900])),
    st.tuples(st.just("key"), st.sampled_from([KEY_BACK, KEY_HOME, KEY_DELETE, 29, 8])),
    st.tuples(st.just("launch"), st.sampled_from(list(APPS))),
)


@settings(max_examples=25)
@given(st.integers(0, 1000), st.lists(TOUCHES, max_size=15))
def test_any_touches_leave_a_phone_that_shows_a_screen(
    seed: int, touches: list[tuple[Any, ...]]
) -> None:
    phone = Phone(seed)
    for kind, *arguments in touches:
        match kind, arguments:
            case "tap", [(x, y)]:
                phone.tap(x, y)
            case "swipe", [(x1, y1), (x2, y2), ms]:
                phone.swipe(x1, y1, x2, y2, ms)
            case "key", [code]:
                phone.press_key(code)
            case "launch", [package]:
                phone.launch(package)
        assert phone.scene().spots
    state = type(phone.state).model_validate_json(phone.state.model_dump_json())
    assert state == phone.state
