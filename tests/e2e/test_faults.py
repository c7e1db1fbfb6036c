"""Phones and engines that are missing or broken: typed errors with a hint, over HTTP."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import ServiceSettings
from tests.e2e.conftest import STOP_S, service_process
from tests.phones import phone_process


@contextmanager
def service(folder: Path, *lines: str) -> Iterator[httpx.Client]:
    """A client of a service with extra lines of configuration on top of the demo's."""
    config = folder / "extra.toml"
    config.write_text("\n".join(lines), encoding="utf-8")
    with (
        service_process(folder / "data", "-c", str(config)) as (url, _),
        httpx.Client(base_url=url, timeout=60, trust_env=False) as http,
    ):
        yield http


def test_no_phone_two_phones_and_one_that_was_not_allowed(tmp_path: Path) -> None:
    with service(tmp_path) as http, phone_process() as one, phone_process() as two:
        none = http.post("/tasks", json={"goal": "Open Calendar"})
        assert (none.status_code, none.json()["error"]["code"]) == (404, "device_not_found")
        assert "phonepilot phone" in none.json()["error"]["hint"]

        with phone_process("--unauthorized") as shy:
            asked = http.post("/devices/connect", json={"address": shy.serial})
            assert asked.json()["error"]["code"] == "device_unauthorized"
            assert "accept" in asked.json()["error"]["hint"]
            refused = http.post("/tasks", json={"goal": "Open Calendar"})
            assert refused.json()["error"]["code"] == "device_unauthorized"
            http.post(f"/devices/{shy.serial}/disconnect")

        for phone in (one, two):
            http.post("/devices/connect", json={"address": phone.serial}).raise_for_status()
        which = http.post("/tasks", json={"goal": "Open Calendar"})
        assert (which.status_code, which.json()["error"]["code"]) == (409, "device_not_chosen")
        assert one.serial in which.json()["error"]["message"]

        named = http.post(
            "/tasks", json={"goal": "Open Calendar", "device": two.serial}, params={"wait": 60}
        )
        assert named.json()["status"] == "succeeded"
        assert one.state()["ui"]["foreground"] == "org.phonepilot.launcher"
        assert two.state()["ui"]["foreground"] == "org.phonepilot.calendar"


def next_devices(events: Iterator[str], http: httpx.Client) -> list[dict[str, Any]]:
    """What GET /devices says after the next event of the stream."""
    while next(events) != "event: change":
        pass
    return list(http.get("/devices").json()["devices"])


def test_a_phone_by_two_names_is_one_and_changes_are_told(tmp_path: Path) -> None:
    with service_process(tmp_path) as (url, process), phone_process() as phone:
        names = [phone.serial, f"localhost:{phone.serial.rpartition(':')[2]}"]
        with (
            httpx.Client(base_url=url, timeout=60, trust_env=False) as http,
            http.stream("GET", "/devices/events") as stream,
        ):
            events = stream.iter_lines()
            assert next_devices(events, http) == []
            for name in names:
                http.post("/devices/connect", json={"address": name}).raise_for_status()
            while sum(len(device["routes"]) for device in next_devices(events, http)) < 2:
                pass
            (device,) = http.get("/devices").json()["devices"]
            assert device["serial"] == device["routes"][0]["serial"] == names[0]
            assert [route["serial"] for route in device["routes"]] == names
            assert {route["state"] for route in device["routes"]} == {"device"}

            held = http.post("/tasks", json={"goal": "Turn on Bluetooth", "device": names[1]})
            while (known := http.get(f"/tasks/{held.json()['id']}").json())["status"] == "queued":
                pass
            assert known["status"] == "running"
            (device,) = http.get("/devices").json()["devices"]
            assert (device["serial"], device["task"]) == (names[1], known["id"])

            # A task that runs would take its phone back.
            http.post(f"/tasks/{known['id']}/cancel").raise_for_status()
            for name in names:
                http.post(f"/devices/{name}/disconnect").raise_for_status()
            while next_devices(events, http):
                pass
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert not [
                line for line in events if line.startswith("event") and "change" not in line
            ]
        process.wait(STOP_S)
        assert time.monotonic() - begun < ServiceSettings().shutdown_s, (
            "an open stream held the service up"
        )


@pytest.mark.parametrize(
    ("content", "words"), [(None, "not found"), (b"garbage" * 100, "GGUF"), (b"GGUF", "")]
)
def test_a_model_that_cannot_be_loaded_says_why_and_the_log_is_at_hand(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    model = tmp_path / "model.gguf"
    if content is not None:
        model.write_bytes(content)
    with service(tmp_path, "[engine]", f'model = "{model}"') as http, phone_process() as phone:
        http.post("/devices/connect", json={"address": phone.serial}).raise_for_status()
        task = http.post("/tasks", json={"goal": "Open Calendar"}, params={"wait": 60}).json()
        assert (task["status"], task["stop_reason"]) == ("failed", "engine_lost")
        assert task["error"]["code"] == "engine_start_failed"
        assert words in task["error"]["message"] and task["error"]["hint"]
        engine = http.get("/engine").json()
        assert engine["state"] == "failed" and engine["error"]["message"]
        direct = http.post("/v1/chat/completions", json={"messages": []})
        assert direct.status_code == 503 and direct.json()["error"]["src"] == "phonepilot"


def test_a_phone_that_goes_away_ends_the_task_as_device_lost(tmp_path: Path) -> None:
    with service(tmp_path, "[adb]", "return_timeout_s = 1.0") as http:
        with phone_process() as phone:
            http.post("/devices/connect", json={"address": phone.serial}).raise_for_status()
            task = http.post("/tasks", json={"goal": "Turn on Bluetooth"}).json()
        ended = http.get(f"/tasks/{task['id']}/events").text
        assert "event: end" in ended
        found = http.get(f"/tasks/{task['id']}").json()
        assert (found["status"], found["stop_reason"]) == ("failed", "device_lost")


def test_what_was_left_too_long_ago_is_interrupted(tmp_path: Path) -> None:
    config = tmp_path / "never.toml"
    config.write_text("[agent]\nresume_within_s = 0\n", encoding="utf-8")
    with phone_process() as phone:
        with service_process(tmp_path) as (url, process):
            httpx.post(f"{url}/devices/connect", json={"address": phone.serial}, timeout=30)
            task = httpx.post(f"{url}/tasks", json={"goal": "Turn on Bluetooth"}).json()
            process.kill()
        with service_process(tmp_path, "-c", str(config)) as (url, _):
            found = httpx.get(f"{url}/tasks/{task['id']}").json()
            assert found["status"] == "interrupted" and found["message"]
