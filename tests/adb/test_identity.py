"""Which serials are one phone, also when phones lie, are silent, or change their addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adb.identity import Identities, kind_of
from app.adb.parse import DeviceRow
from app.adb.routes import phones
from app.errors import DeviceOffline

CABLE, WIFI, TLS = "R58M", "10.0.0.2:5555", "adb-R58M-1xygO9._adb-tls-connect._tcp"


class Phones:
    """What phones would tell; a serial that is not in `serials` cannot be asked."""

    def __init__(self) -> None:
        self.serials: dict[str, str] = {}
        self.asked: list[str] = []
        self.silent: set[str] = set()

    async def ask(self, serial: str) -> str:
        self.asked.append(serial)
        if serial in self.silent:
            await asyncio.Event().wait()
        if serial not in self.serials:
            raise DeviceOffline(f"device {serial} is offline")
        return self.serials[serial]


def rows(*serials: str, state: str = "device") -> list[DeviceRow]:
    return [DeviceRow(serial, state) for serial in serials]


async def learnt(
    told: dict[str, str], serials: Iterable[str] | None = None
) -> tuple[Identities, Phones]:
    world = Phones()
    world.serials = told
    identities = Identities(world.ask)
    serials = [*(serials or told)]
    identities.saw(rows(*serials))
    await identities.learn(serials)
    return identities, world


@pytest.mark.parametrize(
    ("serial", "kind"),
    [
        (CABLE, "usb"),
        ("emulator-5554", "emulator"),
        (WIFI, "network"),
        ("localhost:5555", "network"),
        ("[fe80::1]:5555", "network"),
        (TLS, "mdns"),
        ("adb-R58M-1xygO9._adb-tls-connect._tcp.", "mdns"),
        ("adb-R58M._adb._tcp", "mdns"),
    ],
)
def test_the_kind_of_a_route(serial: str, kind: str) -> None:
    assert kind_of(serial) == kind


async def test_three_routes_are_one_phone() -> None:
    identities, _ = await learnt({CABLE: "R58M", WIFI: "R58M", TLS: "R58M"})
    assert {identities.of(serial) for serial in (CABLE, WIFI, TLS)} == {"R58M"}


async def test_the_names_alone_say_it_where_no_phone_can_be_asked() -> None:
    identities, _ = await learnt({}, [CABLE, TLS, "adb-R58M._adb._tcp"])
    assert {identities.of(s) for s in (CABLE, TLS, "adb-R58M._adb._tcp")} == {"R58M"}


@pytest.mark.parametrize(
    "shared",
    ["", "unknown", "0", "null", "0000000000", "0123456789ABCDEF", "1234567890abcdef", "1234567890",
     "EMULATOR36X4X10X0", "EMULATOR30X1X5X0"],
)  # fmt: skip
async def test_what_many_devices_have_names_none(shared: str) -> None:
    identities, _ = await learnt({"emulator-5554": shared, "emulator-5556": shared, WIFI: shared})
    assert len({identities.of(s) for s in ("emulator-5554", "emulator-5556", WIFI)}) == 3


async def test_two_cables_are_two_phones() -> None:
    identities, _ = await learnt({"A": "same", "B": "same", WIFI: "same"})
    assert len({identities.of(serial) for serial in ("A", "B", WIFI)}) == 3


async def test_each_phone_is_asked_once_while_it_is_there() -> None:
    identities, world = await learnt({CABLE: "R58M", WIFI: "R58M"})
    for _ in range(3):
        identities.saw(rows(CABLE, WIFI))
        await identities.learn([CABLE, WIFI])
    assert sorted(world.asked) == sorted([CABLE, WIFI])


async def test_an_address_that_comes_back_may_be_another_phone() -> None:
    identities, world = await learnt({CABLE: "R58M", WIFI: "R58M"})
    identities.saw([*rows(CABLE), *rows(WIFI, state="offline")])
    assert identities.of(WIFI) == "R58M", "a dead route is still known for one of the phone"
    world.serials[WIFI] = "OTHER"
    identities.saw(rows(CABLE, WIFI))
    await identities.learn([CABLE, WIFI])
    assert identities.of(WIFI) == "OTHER"
    identities.saw(rows(CABLE))
    assert identities.of(WIFI) == WIFI, "the serial is gone"


async def test_a_silent_phone_holds_nobody_up_and_is_not_asked_at_each_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.adb.identity._ASK_S", 0.05)
    world = Phones()
    world.serials, world.silent = {CABLE: "R58M"}, {WIFI}
    identities = Identities(world.ask)
    identities.saw(rows(CABLE, WIFI))
    for _ in range(3):
        await identities.learn([CABLE, WIFI])
    assert sorted(world.asked) == sorted([CABLE, WIFI])
    assert (identities.of(CABLE), identities.of(WIFI)) == ("R58M", WIFI)
    await identities.learn([WIFI], insist=True)
    assert world.asked.count(WIFI) == 2
    identities.saw(rows(WIFI, state="offline"))
    identities.saw(rows(WIFI))
    world.silent.clear()
    world.serials[WIFI] = "R58M"
    await identities.learn([WIFI])
    assert identities.of(WIFI) == "R58M", "it came back and is asked again"


def identity_of_name(serial: str) -> str:
    return "R58M" if "R58M" in serial or serial == WIFI else serial


def test_a_phone_is_shown_by_its_cable() -> None:
    (phone,) = phones(rows(TLS, WIFI, CABLE), identity_of_name)
    assert (phone.serial, phone.state) == (CABLE, "device")
    assert [route.serial for route in phone.routes] == [CABLE, WIFI, TLS]
    assert not any(route.stale for route in phone.routes)


def test_a_route_that_is_left_over_is_shown_as_such() -> None:
    listed = [DeviceRow(CABLE, "offline", "Pixel", "p"), DeviceRow(WIFI, "device")]
    (phone,) = phones(listed, identity_of_name)
    assert (phone.serial, phone.state, phone.model) == (WIFI, "device", "Pixel")
    assert [(route.serial, route.stale) for route in phone.routes] == [(WIFI, False), (CABLE, True)]
    (away,) = phones(rows(CABLE, WIFI, state="offline"), identity_of_name)
    assert not any(route.stale for route in away.routes), "neither is better than the other"


@given(
    st.lists(
        st.tuples(
            st.sampled_from([CABLE, WIFI, TLS, "emulator-5554", "Q", "10.0.0.3:1"]),
            st.sampled_from(["device", "offline", "unauthorized", "no permissions"]),
        ),
        unique_by=lambda pair: pair[0],
    )
)
def test_no_row_is_lost_or_shown_twice(listed: list[tuple[str, str]]) -> None:
    found = phones([DeviceRow(*pair) for pair in listed], identity_of_name)
    shown = [(route.serial, route.state) for phone in found for route in phone.routes]
    assert sorted(shown) == sorted(listed)
    for phone in found:
        ready = any(route.state == "device" for route in phone.routes)
        assert (phone.state == "device") == ready
        assert (phone.serial, phone.state) == (phone.routes[0].serial, phone.routes[0].state)
