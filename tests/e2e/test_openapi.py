"""The service keeps to its own description: whatever is sent, no fault and nothing undescribed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.adb.address import is_address
from app.api.examples import ANSWERS, REQUESTS
from scripts.api_page import render
from tests.e2e.conftest import Stack, service_process, wait_until_ready
from tests.phones import ROOT, phone_process

STREAMS = ("/tasks/{task_id}/events", "/devices/events", "/devices/{serial}/stream")
"""They end with their task or their phone, not by themselves; other tests follow them."""
EXAMPLES = int(os.environ.get("PHONEPILOT_TEST_REQUESTS", "15"))
"""Requests for each route, and as many wrong ones."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service of its own: the requests restart its engine and queue many tasks."""
    folder = tmp_path_factory.mktemp("described")
    with phone_process() as phone, service_process(folder) as (url, process):
        wait_until_ready(url)
        stack = Stack(url, phone, process, folder)
        stack.post("/devices/connect", {"address": phone.serial}).raise_for_status()
        yield stack


@pytest.fixture(scope="module")
def document(described: Stack) -> dict[str, Any]:
    return described.get("/openapi.json")


@pytest.mark.timeout(600)
def test_whatever_is_sent_is_answered_as_described(
    described: Stack, document: dict[str, Any], subtests: pytest.Subtests
) -> None:
    schema = schemathesis.openapi.from_dict(document).exclude(path=list(STREAMS))
    schema.config.update(base_url=described.url)
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            with subtests.test(operation=operation.label, mode=mode.value):
                send(operation.as_strategy(generation_mode=mode))


def send(cases: SearchStrategy[Any]) -> None:
    @given(cases)
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    def holds(case: Any) -> None:
        _stay_here(case)
        answer = case.call(timeout=60)
        checks = list(CHECKS)
        if case.path.startswith("/v1/") and '"src":"phonepilot"' not in answer.text:
            checks.remove(not_a_server_error)  # the engine's own answer, passed on as it is
        case.validate_response(answer, checks=checks)

    with suppress(Unsatisfiable):  # nothing can be wrong with a request that takes nothing
        holds()


def _stay_here(case: Any) -> None:
    """A test connects to no computer of the network."""
    body = case.body
    if isinstance(body, dict) and is_address(str(body.get("address"))):
        case.body = body | {"address": "127.0.0.1:1"}  # the example is left as it is


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_route_has_examples_that_fit(document: dict[str, Any]) -> None:
    seen: set[str] = set()
    for name, operation in operations(document):
        bodies = operation.get("requestBody", {}).get("content", {})
        answers = {
            kind: content
            for status, answer in operation["responses"].items()
            if status.startswith("2")
            for kind, content in answer.get("content", {}).items()
        }
        assert operation.get("summary"), name
        for kind, content in (*bodies.items(), *answers.items()):
            assert "example" in content, (name, kind)
            if kind == "application/json" and "schema" in content:
                rules = {**content["schema"], "components": document["components"]}
                jsonschema.Draft202012Validator(rules).validate(content["example"])
        seen.add(name)
    assert set(REQUESTS) <= seen
    assert set(ANSWERS) <= seen


def test_examples_are_what_the_service_says(described: Stack) -> None:
    """The names in an answer are those of its example, which no schema of `/engine` would show."""
    for name in ("GET /engine", "GET /readyz", "GET /healthz"):
        path = name.partition(" ")[2]
        told = httpx.get(described.url + path, trust_env=False).json()
        assert set(ANSWERS[name]) <= set(told), name
    task = described.run("Turn on Bluetooth")
    assert set(task) == set(ANSWERS["POST /tasks"])
    step = described.get(f"/tasks/{task['id']}/steps")["steps"][0]
    assert set(step) == set(ANSWERS["GET /tasks/{task_id}/steps"]["steps"][0])
    json.dumps(ANSWERS)


def test_the_page_about_the_api_is_that_of_the_service(document: dict[str, Any]) -> None:
    page = ROOT / "docs" / "api.md"
    again = "python scripts/api_page.py http://127.0.0.1:8770/openapi.json > docs/api.md"
    assert page.read_text(encoding="utf-8") == render(document), f"make it anew: {again}"
