"""Paints the phone's state as a screen: lock screen, home, or an app with its keyboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from app.virtual_phone.apps import launcher
from app.virtual_phone.display import HEIGHT, NAVIGATION_BAR, WIDTH, Canvas, theme
from app.virtual_phone.seeding import ADB_KEYBOARD
from app.virtual_phone.toolkit.keyboard import AdbKeyboardBar, Keyboard
from app.virtual_phone.toolkit.scene import Scene
from app.virtual_phone.toolkit.screen import paint_navigation_bar, paint_status_bar

if TYPE_CHECKING:
    from app.virtual_phone.surface import Surface


def paint(phone: Surface) -> Scene:
    """Paint the current screen, with the spots that act on `phone`."""
    state = phone.state
    look = theme(state.settings.dark_theme, state.look.accent)
    image = Image.new("RGB", (WIDTH, HEIGHT))
    scene = Scene(Canvas(image, look, state.look.font_scale))
    if not state.power.awake:
        return scene
    if phone.keyguard.showing:
        phone.keyguard.paint(scene, state)
        paint_status_bar(scene, state, light=True)
        return scene
    home = phone.at_home
    if home:
        badges = {badge.package: badge for badge in phone.packages}
        launcher.paint_home(scene, phone, badges)
    else:
        _paint_app(scene, phone)
    paint_status_bar(scene, state, light=home)
    paint_navigation_bar(scene, light=home)
    return scene


def _paint_app(scene: Scene, phone: Surface) -> None:
    screen = phone.roster.apps[phone.ui.foreground].screen(phone, phone.route())
    keyboard = _keyboard(phone) if phone.keyboard_shown else None
    bottom = keyboard.rect().top if keyboard else HEIGHT - NAVIGATION_BAR
    screen.paint(scene, bottom)
    if keyboard:
        keyboard.paint(scene)
    if screen.question:
        screen.question.paint(scene)
    if cover := phone.covering:
        cover.paint(scene, phone)


def _keyboard(phone: Surface) -> Keyboard | AdbKeyboardBar:
    ui = phone.state.ui
    if phone.state.ime.current == ADB_KEYBOARD:
        return AdbKeyboardBar()

    def shift() -> None:
        ui.keyboard_shift = not ui.keyboard_shift

    def symbols() -> None:
        ui.keyboard_symbols = not ui.keyboard_symbols

    def type_key(character: str) -> None:
        phone.insert(character)
        ui.keyboard_shift = False

    return Keyboard(ui.keyboard_symbols, ui.keyboard_shift, type_key, phone.erase, shift, symbols)
