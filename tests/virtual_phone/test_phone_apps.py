"""Each app of the virtual phone does what its screen promises."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.virtual_phone.apps.calculator import evaluate
from app.virtual_phone.apps.settings import GROUPS, NETWORKS, SWITCHES, Slider, Switch
from app.virtual_phone.phone import KEY_BACK, KEY_HOME, Phone
from app.virtual_phone.state import Note
from tests.virtual_phone.touch import (
    CALCULATOR,
    CALENDAR,
    CLOCK,
    CONTACTS,
    GALLERY,
    MUSIC,
    NOTES,
    SETTINGS,
    names,
    opened,
    scroll_to,
    spot,
    tap,
    title,
)

SLIDERS = [item for _, items in GROUPS for item in items if isinstance(item, Slider)]

# -- Settings


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: switch.key)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_tap_anywhere_on_its_row_toggles_one_switch(switch: Switch, seed: int) -> None:
    phone = opened(SETTINGS, seed)
    for share in (0.1, 0.9):
        before = phone.state.lasting()
        row = scroll_to(phone, "switch", switch.title)
        assert row.value == ("on" if before["settings"][switch.key] else "off")
        phone.tap(row.rect.left + share * row.rect.width, row.rect.center[1])
        after = phone.state.lasting()
        assert after["settings"][switch.key] is not before["settings"][switch.key]
        before["settings"][switch.key] = after["settings"][switch.key]
        assert after == before


@pytest.mark.parametrize("slider", SLIDERS, ids=lambda slider: slider.key)
def test_sliders_follow_taps_and_drags(slider: Slider) -> None:
    phone = opened(SETTINGS)
    track = scroll_to(phone, "slider", slider.title).rect
    y = track.center[1]

    def level() -> int:
        return int(getattr(phone.state.settings, slider.key))

    phone.tap(track.left + 1, y)
    assert level() == 0
    phone.tap(track.right - 1, y)
    assert level() == slider.top
    phone.swipe(track.right - 40, y, track.center[0], y + 10, 300)
    assert level() == pytest.approx(slider.top / 2, abs=1)
    phone.swipe(track.center[0], y, 0, y, 300)
    assert level() == 0
    assert spot(phone, "slider", slider.title).value == "0"


def test_the_dark_theme_makes_the_screen_dark() -> None:
    phone = opened(SETTINGS)
    phone.state.settings.dark_theme = False
    phone.put_setting("secure", "ui_night_mode", "1")
    light = sum(phone.frame().resize((1, 1)).tobytes())
    scroll_to(phone, "switch", "Dark theme")
    tap(phone, "switch", "Dark theme")
    assert sum(phone.frame().resize((1, 1)).tobytes()) < light / 2


def test_the_pages_behind_settings_open_and_close() -> None:
    phone = opened(SETTINGS, seed=12)
    scroll_to(phone, "link", "Saved networks")
    tap(phone, "link", "Saved networks")
    assert names(phone, "row") == list(NETWORKS)
    tap(phone, "button", "Navigate up")
    scroll_to(phone, "link", "About phone")
    tap(phone, "link", "About phone")
    assert spot(phone, "row", "Build number").value == "VP1A.000012"
    phone.press_key(KEY_BACK)
    assert title(phone) == "Settings"


# -- Notes


def test_a_new_note_stands_first_once_it_is_left() -> None:
    phone = opened(NOTES)
    before = list(phone.state.notes)
    tap(phone, "button", "New note")
    phone.type_text("Errands")
    tap(phone, "field", "notes.body")
    phone.type_text("Post\nBank")
    tap(phone, "button", "Save")
    new = phone.state.notes[0]
    assert (new.title, new.body) == ("Errands", "Post\nBank")
    assert phone.state.notes[1:] == before
    assert new.id not in {note.id for note in before}
    assert names(phone, "link")[0] == "Errands"


def test_a_new_note_without_text_is_not_kept() -> None:
    phone = opened(NOTES)
    before = phone.state.lasting()
    tap(phone, "button", "New note")
    tap(phone, "button", "Navigate up")
    assert phone.state.lasting() == before


def test_editing_keeps_the_note_and_its_place() -> None:
    phone = opened(NOTES)
    before = phone.state.notes[1].model_copy()
    others = [note for note in phone.state.notes if note.id != before.id]
    tap(phone, "link", before.title)
    tap(phone, "field", "notes.title")
    phone.type_text(" 2")
    phone.press_key(KEY_BACK)
    phone.press_key(KEY_BACK)
    assert phone.state.notes[1] == Note(id=before.id, title=before.title + " 2", body=before.body)
    assert [note for note in phone.state.notes if note.id != before.id] == others


def test_looking_at_a_note_changes_nothing() -> None:
    phone = opened(NOTES)
    before = phone.state.lasting()
    tap(phone, "link", phone.state.notes[0].title)
    phone.press_key(KEY_BACK)
    assert phone.state.lasting() == before


def test_an_unsaved_draft_outlives_a_visit_to_the_home_screen() -> None:
    phone = opened(NOTES)
    tap(phone, "button", "New note")
    phone.type_text("half a thou")
    phone.press_key(KEY_HOME)
    phone.launch(NOTES)
    tap(phone, "field", "notes.title")
    phone.type_text("ght")
    tap(phone, "button", "Save")
    assert phone.state.notes[0].title == "half a thought"


def test_an_unsaved_draft_ends_with_its_app() -> None:
    phone = opened(NOTES)
    before = phone.state.lasting()
    tap(phone, "button", "New note")
    phone.type_text("gone")
    phone.force_stop(NOTES)
    phone.launch(NOTES)
    assert title(phone) == "Notes"
    assert phone.state.lasting() == before
    tap(phone, "button", "New note")
    assert spot(phone, "field", "notes.title").value == "focused"
    tap(phone, "button", "Save")
    assert phone.state.lasting() == before


def test_deleting_asks_first() -> None:
    phone = opened(NOTES)
    note = phone.state.notes[0]
    tap(phone, "link", note.title)
    tap(phone, "button", "Delete")
    assert names(phone, "dialog") == ["Delete this note?"]
    assert note in phone.state.notes
    tap(phone, "button", "Delete")
    assert title(phone) == "Notes"
    assert note.id not in {kept.id for kept in phone.state.notes}


@pytest.mark.parametrize("way", ["Cancel", "back", "shade"])
def test_the_question_can_be_left_without_deleting(way: str) -> None:
    phone = opened(NOTES)
    before = phone.state.lasting()
    tap(phone, "link", phone.state.notes[0].title)
    tap(phone, "button", "Delete")
    match way:
        case "back":
            phone.press_key(KEY_BACK)
        case "shade":
            phone.tap(540, 300)
        case _:
            tap(phone, "button", way)
    assert names(phone, "dialog") == []
    assert title(phone) == "Edit note"
    assert phone.state.lasting() == before


def test_nothing_under_the_question_can_be_touched() -> None:
    phone = opened(NOTES)
    tap(phone, "link", phone.state.notes[0].title)
    tap(phone, "button", "Delete")
    phone.tap(*spot(phone, "field", "notes.title").rect.center)
    assert not phone.keyboard_shown


def test_a_list_without_notes_says_so() -> None:
    phone = Phone(7)
    phone.state.notes = []
    phone.launch(NOTES)
    assert names(phone, "text") == ["No notes yet. Tap + to write one."]


# -- Calculator


def press(phone: Phone, keys: str) -> str:
    for key in keys:
        tap(phone, "button", key)
    return phone.ui.calculator


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        ("12+3=", "15"),
        ("2+3×4=", "14"),
        ("9÷3-1=", "2"),
        ("0.1+0.2=", "0.3"),
        ("10÷4=", "2.5"),
        ("1÷0=", "Error"),
        ("0÷0=", "Error"),
        ("5+=", "Error"),
        ("=", ""),
        ("12⌫3=", "13"),
        ("99C4=", "4"),
        ("3-5=", "-2"),
        ("3-5=+7=", "5"),
        ("1÷0=7=", "Error"),
        ("1.2.3.4=", "Error"),
        ("5.+.5=", "5.5"),
    ],
)
def test_the_calculator_calculates(keys: str, shown: str) -> None:
    assert press(opened(CALCULATOR), keys) == shown


def test_the_display_has_an_end() -> None:
    phone = opened(CALCULATOR)
    assert press(phone, "9" * 30) == "9" * 24


@given(st.lists(st.integers(0, 9999), min_size=1, max_size=6), st.data())
def test_sums_and_products_are_exact(numbers: list[int], data: st.DataObject) -> None:
    signs = [data.draw(st.sampled_from("+-×")) for _ in numbers[1:]]
    shown = str(numbers[0]) + "".join(s + str(n) for s, n in zip(signs, numbers[1:], strict=True))
    expected = eval(shown.replace("×", "*"))
    assert Decimal(evaluate(shown)) == expected


@given(st.text("0123456789.+-×÷", max_size=24))
def test_any_keys_give_a_number_or_an_error(keys: str) -> None:
    shown = evaluate(keys)
    assert shown in ("", "Error") or Decimal(shown).is_finite()
    assert "E" not in shown.removeprefix("E")


# -- the others


def test_an_alarm_has_a_switch() -> None:
    phone = opened(CLOCK)
    alarm = phone.state.alarms[0]
    before = alarm.on
    tap(phone, "switch", alarm.time)
    assert alarm.on is not before


def test_the_stopwatch_starts_and_pauses() -> None:
    phone = opened(CLOCK)
    scroll_to(phone, "button", "Start")
    tap(phone, "button", "Start")
    assert phone.ui.stopwatch_running
    tap(phone, "button", "Pause")
    assert not phone.ui.stopwatch_running


def test_a_contact_opens_its_card() -> None:
    phone = opened(CONTACTS)
    contact = phone.state.contacts[2]
    tap(phone, "link", contact.name)
    assert names(phone, "text") == [contact.name]
    assert spot(phone, "row", "Mobile").value == contact.phone


def test_a_day_shows_its_events() -> None:
    phone = opened(CALENDAR)
    event = phone.state.calendar[0]
    tap(phone, "button", str(event.day))
    assert title(phone) == f"{event.day} November"
    assert event.title in names(phone, "row")
    phone.press_key(KEY_BACK)
    free = next(d for d in range(1, 31) if d not in {e.day for e in phone.state.calendar})
    tap(phone, "button", str(free))
    assert names(phone, "text") == ["Nothing on this day."]


def test_the_player_plays_the_chosen_track_and_goes_round() -> None:
    phone = opened(MUSIC)
    music = phone.state.music
    tap(phone, "link", music.tracks[1])
    assert (music.track, music.playing) == (1, True)
    tap(phone, "button", "Pause")
    assert not music.playing
    for _ in range(2):
        tap(phone, "button", "Previous")
    assert music.track == len(music.tracks) - 1
    tap(phone, "button", "Next")
    assert music.track == 0


def test_a_picture_opens_large() -> None:
    phone = opened(GALLERY)
    tap(phone, "tile", "Picture 5")
    assert title(phone) == "Picture"
    assert len(names(phone, "picture")) == 1
    tap(phone, "button", "Navigate up")
    assert title(phone) == "Gallery"
