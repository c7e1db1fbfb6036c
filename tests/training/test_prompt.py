"""The prompt that the demo model was trained on is the one that the engine makes."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import httpx
import pytest
from PIL import Image

from app.agent.dialects.autoglm import AUTOGLM
from app.agent.history import History
from app.http_client import bearer
from app.llm.address import server_root
from app.llm.engine import Engine
from app.settings import load_settings
from training.prompt import prompt_text
from training.screens import IMAGE_HEIGHT, IMAGE_TOKENS, IMAGE_WIDTH, system_prompt

IMAGE = "<|begin_of_image|>" + "<|image|>" * IMAGE_TOKENS + "<|end_of_image|>"


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    settings = load_settings(("demo",), {"engine.kind": "embedded", "engine.threads": 1})
    engine = Engine(settings.engine)
    url, access = await engine.ensure_ready(), bearer(engine.api_key())
    async with httpx.AsyncClient(
        base_url=server_root(url), headers=access, trust_env=False, timeout=60
    ) as http:
        yield http
    await engine.aclose()


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (IMAGE_WIDTH, IMAGE_HEIGHT), (30, 90, 160)).save(buffer, "PNG")
    return buffer.getvalue()


def conversation(turns: int) -> tuple[History, str]:
    history = History(AUTOGLM, system_prompt(), "Turn on Bluetooth")
    for number in range(turns):
        text = history.pending_text(f"App {number}")
        history.answered(text, AUTOGLM.assistant_text(f"Thought {number}.", 'do(action="Home")'))
    return history, history.pending_text("Settings")


async def test_the_engine_renders_what_the_model_was_trained_on(http: httpx.AsyncClient) -> None:
    marker = (await http.get("/props")).json().get("media_marker") or "<__media__>"
    for turns in (0, 1, 5):
        history, text = conversation(turns)
        body = {"messages": history.messages(text, png())}
        answer = (await http.post("/apply-template", json=body)).raise_for_status().json()
        assert answer["prompt"].count(marker) == 1
        trained = prompt_text(
            system_prompt(),
            [(turn.user, turn.assistant) for turn in history.exchanges],
            text,
            IMAGE_TOKENS,
        )
        assert answer["prompt"].replace(marker, IMAGE) == trained


async def test_the_engine_makes_as_many_image_tokens_as_in_training(
    http: httpx.AsyncClient,
) -> None:
    history, text = conversation(0)
    request = {"messages": history.messages(text, png()), "max_tokens": 1}
    without = {"messages": [{"role": "system", "content": system_prompt()}, *plain(text)]}
    counts = []
    for body in (request, without | {"max_tokens": 1}):
        answer = (await http.post("/v1/chat/completions", json=body)).raise_for_status()
        counts.append(answer.json()["usage"]["prompt_tokens"])
    assert counts[0] - counts[1] == IMAGE_TOKENS + 2  # and one token before and after them


def plain(text: str) -> list[dict[str, object]]:
    return [{"role": "user", "content": [{"type": "text", "text": text}]}]
