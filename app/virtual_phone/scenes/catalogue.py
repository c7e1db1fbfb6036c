"""All scenes, by their name in the quirk `scene`."""

from __future__ import annotations

from dataclasses import dataclass

from app.virtual_phone.apps.app import App, Cover
from app.virtual_phone.scenes.advert import Advert
from app.virtual_phone.scenes.bank import BankApp
from app.virtual_phone.scenes.downloads import DownloadsApp, InstallerApp
from app.virtual_phone.scenes.inbox import InboxApp
from app.virtual_phone.scenes.parcels import ParcelsApp
from app.virtual_phone.scenes.recorder import PermissionDialog, RecorderApp
from app.virtual_phone.scenes.shop import ShopApp
from app.virtual_phone.scenes.tickets import TicketsApp
from app.virtual_phone.scenes.timetable import TimetableApp


@dataclass(frozen=True)
class Cast:
    """What a scene adds to the phone: apps, and windows that cover apps."""

    apps: tuple[App, ...] = ()
    covers: tuple[Cover, ...] = ()


SCENES: dict[str, Cast] = {
    "dead-button": Cast((TicketsApp(),)),
    "loop": Cast((ParcelsApp(),)),
    "popup": Cast(covers=(Advert(),)),
    "login": Cast((BankApp(),)),
    "payment": Cast((ShopApp(),)),
    "injection": Cast((InboxApp(),)),
    "unreachable": Cast((TimetableApp(),)),
    "permission": Cast((RecorderApp(),), (PermissionDialog(),)),
    "installer": Cast((DownloadsApp(), InstallerApp())),
}
