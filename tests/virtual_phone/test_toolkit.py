"""Widgets: what is drawn is what can be touched, and the text fits where it is drawn."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.virtual_phone.display import (
    ACCENTS,
    HEIGHT,
    NAVIGATION_BAR,
    WIDTH,
    Canvas,
    Rect,
    rounded_mask,
    theme,
)
from app.virtual_phone.lettering import font, shorten, wrap, wrap_end
from app.virtual_phone.toolkit.controls import Field, Key, KeyGrid, Tile, TileGrid
from app.virtual_phone.toolkit.rows import Header, LinkRow, Paragraph, SliderRow, SwitchRow
from app.virtual_phone.toolkit.scene import Scene, Widget
from app.virtual_phone.toolkit.screen import IconButton, Question, Screen

BOTTOM = HEIGHT - NAVIGATION_BAR


def nothing(*_: object) -> None:
    """A touch without an effect."""


def new_scene(font_scale: float = 1.0, *, dark: bool = False) -> Scene:
    return Scene(Canvas(Image.new("RGB", (WIDTH, HEIGHT)), theme(dark, 0), font_scale))


def touch(scene: Scene, x: float, y: float) -> None:
    """A tap as the phone passes it on: to the topmost spot that takes one."""
    for spot in scene.at(x, y):
        if spot.on_tap:
            spot.on_tap(x, y)
            return


def column(widgets: list[Widget], **options: object) -> Scene:
    scene = new_scene()
    Screen("Title", widgets, **options).paint(scene, BOTTOM)  # type: ignore[arg-type]
    return scene


# -- scenes


def test_the_topmost_spot_comes_first() -> None:
    scene = new_scene()
    scene.add("a", "below", Rect(0, 0, 100, 100))
    scene.add("a", "above", Rect(50, 50, 100, 100))
    assert [s.name for s in scene.at(60, 60)] == ["above", "below"]
    assert [s.name for s in scene.at(10, 10)] == ["below"]
    assert scene.at(100, 50) == []


def test_find_gives_the_topmost_of_that_name() -> None:
    scene = new_scene()
    scene.add("button", "Delete", Rect(0, 0, 10, 10))
    scene.add("button", "Delete", Rect(20, 20, 30, 30))
    found = scene.find("button", "Delete")
    assert found is not None
    assert found.rect.left == 20
    assert scene.find("link", "Delete") is None


def test_a_clip_cuts_spots_and_drops_those_outside() -> None:
    scene = new_scene()
    scene.clip = Rect(0, 100, WIDTH, 200)
    scene.add("row", "half", Rect(0, 50, WIDTH, 150))
    scene.add("row", "gone", Rect(0, 0, WIDTH, 100))
    assert [(s.name, s.rect) for s in scene.spots] == [("half", Rect(0, 100, WIDTH, 150))]


# -- screens


def test_rows_lie_below_each_other_without_gaps() -> None:
    rows: list[Widget] = [LinkRow(f"Row {n}", nothing) for n in range(4)]
    links = [s.rect for s in column(rows).spots if s.kind == "link"]
    assert len(links) == 4
    assert all(a.bottom == b.top for a, b in zip(links, links[1:], strict=False))


def test_a_row_under_the_title_bar_cannot_be_touched_through_it() -> None:
    tapped: list[str] = []
    rows: list[Widget] = [
        LinkRow(f"Row {n}", lambda n=n: tapped.append(str(n)))  # type: ignore[misc]
        for n in range(30)
    ]
    scene = column(rows, scroll=100)
    touch(scene, 540, 250)
    assert tapped == []
    touch(scene, 540, 290)
    assert tapped == ["0"]


@pytest.mark.parametrize("scroll", [0, 500, 10**6])
def test_the_scroll_range_ends_with_the_last_row_in_view(scroll: int) -> None:
    rows: list[Widget] = [LinkRow(f"Row {n}", nothing) for n in range(30)]
    scene = column(rows, scroll=scroll)
    assert scene.scroll_range > 0
    last = scene.find("link", "Row 29")
    assert (last is not None) is (scroll > scene.scroll_range)
    if last:
        assert last.rect.height == 176
        assert last.rect.bottom <= BOTTOM


def test_a_footer_stays_above_the_bar_and_shortens_the_list() -> None:
    rows: list[Widget] = [LinkRow(f"Row {n}", nothing) for n in range(30)]
    plain = column(rows).scroll_range
    scene = column(rows, footer=[KeyGrid(((Key("Play", nothing),),))])
    play = scene.find("button", "Play")
    assert play is not None
    assert play.rect.bottom <= BOTTOM
    assert scene.scroll_range > plain
    assert all(s.rect.bottom <= play.rect.top for s in scene.spots if s.kind == "link")


def test_the_floating_button_wins_over_the_list_below_it() -> None:
    tapped: list[str] = []
    rows: list[Widget] = [LinkRow(f"Row {n}", lambda: tapped.append("row")) for n in range(30)]
    scene = column(rows, fab=IconButton("New", "plus", lambda: tapped.append("new")))
    found = scene.find("button", "New")
    assert found is not None
    touch(scene, *found.rect.center)
    assert tapped == ["new"]


def test_the_buttons_of_a_title_bar_do_not_overlap() -> None:
    scene = column(
        [],
        back=nothing,
        buttons=(IconButton("Delete", "trash", nothing), IconButton("Save", "check", nothing)),
    )
    spots = [s for s in scene.spots if s.kind in ("button", "title")]
    assert [s.name for s in sorted(spots, key=lambda s: s.rect.left)] == [
        "Navigate up", "Title", "Delete", "Save",
    ]  # fmt: skip
    edges = sorted((s.rect.left, s.rect.right) for s in spots)
    assert all(a[1] <= b[0] for a, b in zip(edges, edges[1:], strict=False))


@pytest.mark.parametrize(
    ("x", "y", "pressed"), [(540, 200, ["cancel"]), (540, 1000, [])], ids=["beside", "on the text"]
)
def test_a_question_takes_every_touch(x: int, y: int, pressed: list[str]) -> None:
    heard: list[str] = []
    question = Question(
        "Sure?", "Yes", lambda: heard.append("confirm"), lambda: heard.append("cancel")
    )
    scene = new_scene()
    LinkRow("Row", lambda: heard.append("row")).paint(scene, Rect(0, 100, WIDTH, 1300))
    question.paint(scene)
    touch(scene, x, y)
    assert heard == pressed
    for name in ("Yes", "Cancel"):
        button = scene.find("button", name)
        assert button is not None
        touch(scene, *button.rect.center)
    assert heard[-2:] == ["confirm", "cancel"]


# -- widgets


@pytest.mark.parametrize("on", [True, False])
def test_a_switch_shows_its_state_in_pixels(on: bool) -> None:
    scene, rect = new_scene(), Rect(0, 300, WIDTH, 476)
    SwitchRow("Wi-Fi", on, nothing).paint(scene, rect)
    knob, other = WIDTH - 64 - 36, WIDTH - 64 - 124 + 36
    accent = ACCENTS[0]
    y = rect.center[1]
    seen = scene.canvas.image.getpixel((other if on else knob, y))
    assert (seen == accent) is on
    assert scene.spots[0].value == ("on" if on else "off")


@pytest.mark.parametrize(("x", "level"), [(0, 0), (184, 0), (600, 52), (1016, 100), (1079, 100)])
def test_a_slider_sets_the_level_under_the_finger(x: int, level: int) -> None:
    levels: list[int] = []
    scene = new_scene()
    SliderRow("Brightness", 50, 100, levels.append).paint(scene, Rect(0, 300, WIDTH, 508))
    slider = scene.find("slider", "Brightness")
    assert slider is not None
    assert slider.on_swipe is not None
    slider.on_swipe(x, 400)
    assert levels == [pytest.approx(level, abs=2)]


def test_the_keys_of_a_grid_share_the_width_by_span() -> None:
    scene = new_scene()
    grid = KeyGrid(((Key("a", nothing), Key("wide", nothing, span=3)), (Key("b", nothing),)))
    grid.paint(scene, Rect(0, 0, WIDTH, grid.height(scene.canvas)))
    boxes = {s.name: s.rect for s in scene.spots}
    assert boxes["wide"].width == pytest.approx(3 * boxes["a"].width + 2 * grid.gap, abs=2)
    assert boxes["b"].top > boxes["a"].bottom
    assert max(box.right for box in boxes.values()) <= WIDTH - grid.gap + 1


def test_tiles_fill_their_grid() -> None:
    scene = new_scene()
    tiles = tuple(Tile(str(n), ACCENTS[0], "sun", nothing) for n in range(7))
    grid = TileGrid(tiles, columns=3)
    height = grid.height(scene.canvas)
    grid.paint(scene, Rect(0, 0, WIDTH, height))
    assert [s.rect.top for s in scene.spots].count(grid.gap) == 3
    assert max(s.rect.bottom for s in scene.spots) == height - grid.gap
    assert max(s.rect.right for s in scene.spots) <= WIDTH


def test_a_field_shows_its_hint_until_there_is_text() -> None:
    frames = []
    for text in ("", "abc"):
        scene = new_scene()
        field = Field("f", text, "Hint", nothing, focused=False)
        field.paint(scene, Rect(0, 100, WIDTH, 300))
        frames.append(scene.canvas.image.tobytes())
        assert scene.spots[0].value == ""
    assert frames[0] != frames[1]


def test_a_long_text_makes_a_paragraph_higher() -> None:
    canvas = new_scene().canvas
    one = Paragraph("word").height(canvas)
    assert Paragraph("word " * 60).height(canvas) > 3 * one


def test_larger_fonts_need_more_room() -> None:
    text = Paragraph("word " * 40)
    assert text.height(new_scene(1.15).canvas) > text.height(new_scene(0.9).canvas)
    assert Header("Display").height(new_scene().canvas) > 0


# -- text and shapes


@given(st.text(min_size=1, max_size=80), st.integers(120, 900))
def test_shortened_text_fits_and_is_a_beginning(text: str, width: int) -> None:
    face = font(48)
    text = text.replace("\n", " ").replace("\r", " ")
    short = shorten(text, face, width)
    assert face.getlength(short) <= width
    assert short == text or text.startswith(short[:-1])


@given(st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=120))
def test_wrapped_lines_fit_and_lose_only_spaces(text: str) -> None:
    face = font(48)
    lines = wrap(text, face, 400)
    assert all(face.getlength(line) <= 400 for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_wrapping_keeps_paragraphs() -> None:
    assert wrap("a\n\nb c", font(48), 400) == ["a", "", "b c"]


@given(st.text(st.sampled_from("ab mW.\n"), max_size=200), st.integers(1, 9))
def test_the_end_of_a_text_is_wrapped_alike(text: str, count: int) -> None:
    assert wrap_end(text, font(48), 300, count) == wrap(text, font(48), 300)[-count:]


@pytest.mark.parametrize("text", ["x" * 20_000, "微" * 20_000, "word " * 4_000, "a\n" * 10_000])
def test_a_long_text_is_drawn_at_once(text: str) -> None:
    field = Field("f", text, "Hint", nothing, focused=True, lines=8)
    begun = time.monotonic()
    field.paint(new_scene(), Rect(0, 100, WIDTH, 900))
    assert time.monotonic() - begun < 1  # it was minutes when every prefix was measured


def test_corners_are_round_and_smooth() -> None:
    mask = rounded_mask(80, 40, 20)
    assert mask.size == (80, 40)
    assert mask.getpixel((0, 0)) == 0
    assert mask.getpixel((40, 20)) == 255
    assert len(mask.getcolors() or ()) > 10


@pytest.mark.parametrize("accent", range(6))
@pytest.mark.parametrize("dark", [True, False])
def test_text_stands_out_from_its_background(accent: int, dark: bool) -> None:
    look = theme(dark, accent)
    for ink, ground in (
        (look.text, look.background),
        (look.text, look.surface),
        (look.on_accent, look.accent),
    ):
        assert abs(sum(ink) - sum(ground)) > 200
