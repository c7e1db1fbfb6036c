"""All apps of the virtual phone, by package."""

from __future__ import annotations

from app.virtual_phone.apps.app import App
from app.virtual_phone.apps.calculator import CalculatorApp
from app.virtual_phone.apps.calendar import CalendarApp
from app.virtual_phone.apps.clock import ClockApp
from app.virtual_phone.apps.contacts import ContactsApp
from app.virtual_phone.apps.gallery import GalleryApp
from app.virtual_phone.apps.music import MusicApp
from app.virtual_phone.apps.notes import NotesApp
from app.virtual_phone.apps.settings import SettingsApp

_ALL: tuple[App, ...] = (
    SettingsApp(),
    NotesApp(),
    ClockApp(),
    CalculatorApp(),
    ContactsApp(),
    CalendarApp(),
    MusicApp(),
    GalleryApp(),
)
APPS: dict[str, App] = {app.badge.package: app for app in _ALL}
