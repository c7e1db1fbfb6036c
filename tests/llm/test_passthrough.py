"""`/v1/*` over a real uvicorn: what goes through it and what does not."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import uvicorn
from fastapi import FastAPI, Response

from app.access_tokens import Tokens
from app.api import openai as openai_module
from app.api import relay as relay_module
from app.api import upstream as upstream_module
from app.api.access import Access
from app.api.limits import Rate
from app.api.openai import openai_routes
from app.api.ports import Engine as EnginePort
from app.api.upstream import Upstream
from app.errors import EngineStartFailed
from app.http_client import bearer
from app.llm.address import server_root
from app.llm.engine import Engine
from app.llm.slots import Calls
from app.llm.status import EngineState
from app.settings import EngineSettings
from tests.llm.scripted_server import Script, serve
from tests.llm.supervised import Supervised, image_message

SSE = b'data: {"choices": [] }\n\n: ping\r\n\r\ndata: \xe6\x89\x93\xe5\xbc\x80\n\ndata: [DONE]\n\n'
CHAT = "/v1/chat/completions"


@dataclass
class _Status:
    kind: str


class FixedEngine:
    """An engine at a given address, or one that never becomes ready."""

    def __init__(self, url: str = "", kind: str = "llama-server") -> None:
        self.url = url
        self.kind = kind
        self.error: EngineStartFailed | None = None

    async def ensure_ready(self) -> str:
        if self.error is not None:
            raise self.error
        if not self.url:
            await asyncio.Event().wait()
        return self.url

    async def restart(self) -> str:
        return await self.ensure_ready()

    async def check_pulse(self) -> bool:
        return True

    def log_lines(self, n: int | None = None) -> list[str]:
        return []

    def status(self) -> _Status:
        return _Status(self.kind)


@asynccontextmanager
async def service(
    engine: EnginePort,
    upstream: Upstream | None = None,
    *,
    tokens: Tokens | None = None,
    **options: Any,
) -> AsyncIterator[httpx.AsyncClient]:
    """The upstream on a real port, and a client for it; with `tokens` only for who has one."""
    if isinstance(engine, Engine):
        options.setdefault("api_key", engine.api_key)
    upstream = upstream or Upstream(engine, Calls(0), **options)
    app = FastAPI()
    app.include_router(openai_routes(upstream))
    if tokens is not None:
        app.add_middleware(Access, tokens=tokens, rate=Rate(""), login_page=Response)
    config = uvicorn.Config(app, port=0, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    started = asyncio.Event()
    startup = server.startup

    async def tell_startup(sockets: Any = None) -> None:
        await startup(sockets)
        started.set()

    server.startup = tell_startup  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve())
    await started.wait()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            yield client
    finally:
        await upstream.aclose()
        server.should_exit = True
        await task


async def test_the_openai_client_works(
    supervise: Callable[[EngineSettings], Supervised], real: EngineSettings
) -> None:
    engine = supervise(real).engine
    async with (
        service(engine) as http,
        openai.AsyncOpenAI(
            base_url=f"{str(http.base_url).rstrip('/')}/v1", api_key="ours"
        ) as client,
    ):
        models = await client.models.list()
        assert [model.id for model in models.data] == ["tiny"]
        messages: Any = [image_message("hello")]
        whole = await client.chat.completions.create(
            model="tiny", messages=messages, max_tokens=8, temperature=0
        )
        stream = await client.chat.completions.create(
            model="tiny", messages=messages, max_tokens=8, temperature=0, stream=True
        )
        pieces = [c.choices[0].delta.content or "" async for c in stream if c.choices]
        assert "".join(pieces) == whole.choices[0].message.content
        assert len([piece for piece in pieces if piece]) > 3
        assert whole.usage is not None
        assert whole.usage.completion_tokens == 8
        with pytest.raises(openai.BadRequestError) as caught:  # the engine's own words
            await client.chat.completions.create(model="tiny", messages=[], max_tokens=0, n=-1)
        assert "src" not in (caught.value.response.json()["error"])


async def test_the_engines_answer_is_the_same_directly_and_through_us(
    supervise: Callable[[EngineSettings], Supervised], real: EngineSettings
) -> None:
    engine = supervise(real).engine
    url = await engine.ensure_ready()
    async with service(engine) as http:
        for path, body in (
            (CHAT, b'{"messages": 5}'),
            (CHAT, b'{"messages":[{"role":"user","content":"x"}],"grammar":"root ::= ("}'),
        ):
            ours = await http.post(path, content=body)
            async with httpx.AsyncClient() as direct:
                theirs = await direct.post(
                    server_root(url) + path, content=body, headers=bearer(engine.api_key())
                )
            assert theirs.status_code >= 400
            assert ours.status_code == theirs.status_code
            assert ours.content == theirs.content
            assert ours.headers["content-type"] == theirs.headers["content-type"]


async def test_bodies_are_untouched_both_ways() -> None:
    body = b'{ "messages" : [ ] ,\n "x": 1.50, "a": "\xe6\x89\x93" }'
    async with (
        serve(Script([SSE[:9], SSE[9:41], SSE[41:]])) as engine,
        service(FixedEngine(f"{engine.url}/v1")) as http,
    ):
        answer = await http.post(f"{CHAT}?a=b%20c", content=body)
    assert answer.content == SSE
    assert answer.headers["content-type"] == "text/event-stream"
    assert engine.bodies == [body]
    assert engine.heads[0].startswith(f"POST {CHAT}?a=b%20c HTTP/1.1")


async def test_a_kept_connection_that_ended_meanwhile_is_replaced() -> None:
    async with (
        serve(Script([SSE], vanish=[2])) as engine,
        service(FixedEngine(f"{engine.url}/v1")) as http,
    ):
        for _ in range(2):
            answer = await http.post("/v1/chat/completions", json={"messages": []})
            assert (answer.status_code, answer.content) == (200, SSE)
    assert engine.connections == 2


async def test_chunks_come_as_they_are_written_and_leaving_ends_the_work() -> None:
    counted = list[tuple[str, Mapping[str, int]]]()
    async with (
        serve(Script([SSE[:24]], hang=True)) as engine,
        service(FixedEngine(f"{engine.url}/v1"), count=lambda *told: counted.append(told)) as http,
    ):
        async with http.stream("POST", CHAT, content=b"{}") as answer:
            first = await anext(answer.aiter_raw())
            assert first == SSE[:24]
            assert not engine.left.is_set()
        async with asyncio.timeout(5):
            await engine.left.wait()
    assert counted == [("local", {"events": 1})]


async def test_a_revoked_token_ends_the_work_and_the_stream(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = Tokens(tmp_path / "tokens.json")
    headers = {"Authorization": f"Bearer {tokens.create('me', ['run'])}"}
    async with (
        serve(Script([SSE[:24]], hang=True)) as engine,
        service(FixedEngine(f"{engine.url}/v1"), tokens=tokens) as http,
        http.stream("POST", CHAT, content=b"{}", headers=headers) as answer,
        asyncio.timeout(10),
    ):
        chunks = answer.aiter_raw()
        assert await anext(chunks) == SSE[:24]
        assert not engine.left.is_set()
        tokens.revoke("me")
        await engine.left.wait()
        assert [chunk async for chunk in chunks] == []  # and not a broken connection
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_token_that_is_revoked_before_the_first_byte_is_refused(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "tokens.json")
    headers = {"Authorization": f"Bearer {tokens.create('me', ['run'])}"}
    async with (
        serve(Script(silent=True)) as engine,
        service(FixedEngine(f"{engine.url}/v1"), tokens=tokens) as http,
        asyncio.timeout(10),
    ):
        call = asyncio.create_task(http.post(CHAT, content=b"{}", headers=headers, timeout=30))
        await engine.asked.wait()
        tokens.revoke("me")
        answer = await call
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "token_missing")
        await engine.left.wait()


async def test_leaving_before_the_first_byte_ends_the_work_too() -> None:
    async with (
        serve(Script(silent=True)) as engine,
        service(FixedEngine(f"{engine.url}/v1")) as http,
    ):
        call = asyncio.create_task(http.post(CHAT, content=b"{}", timeout=30))
        await engine.asked.wait()
        call.cancel()
        async with asyncio.timeout(5):
            await engine.left.wait()


async def test_a_client_that_takes_nothing_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay_module, "TAKE_S", 0.2)
    calls = Calls(1)
    async with serve(Script([bytes(2**16)] * 400)) as engine:
        fixed = FixedEngine(f"{engine.url}/v1")
        async with (
            service(fixed, Upstream(fixed, calls)) as http,
            http.stream("POST", CHAT, content=b"{}"),
            asyncio.timeout(10),
            calls.hold("another"),
        ):
            pass


async def test_leaving_amid_the_body_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    async with service(FixedEngine("http://127.0.0.1:1")) as http:
        port = http.base_url.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{{".encode())
        await writer.drain()
        await http.get("/v1/nothing")  # the other request is read by now
        writer.close()
        await http.get("/v1/nothing")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_headers_that_are_nobody_elses_business() -> None:
    extra = "Access-Control-Allow-Origin: *\r\nSet-Cookie: a=b\r\nX-Request-Id: 7\r\nServer: x\r\n"
    async with (
        serve(Script([b"{}"], content_type="application/json", headers=extra)) as engine,
        service(
            FixedEngine(f"{engine.url}/v1", kind="remote"), api_key=lambda: "sk-engine"
        ) as http,
    ):
        headers = {
            "authorization": "Bearer ours",
            "cookie": "session=1",
            "origin": "http://evil.example",
            "x-custom": "kept",
        }
        answer = await http.get("/v1/models", headers=headers)
    sent = engine.heads[0].lower()
    assert "authorization: bearer sk-engine" in sent
    assert "ours" not in sent
    assert "cookie" not in sent
    assert "evil" not in sent
    assert "x-custom: kept" in sent
    assert answer.headers["x-request-id"] == "7"
    assert answer.headers["server"] == "uvicorn"
    assert not {"access-control-allow-origin", "set-cookie"} & set(answer.headers)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/health"),
        ("GET", "/v1/chat/completions"),
        ("POST", "/v1/models"),
        ("POST", "/v1/../slots/0"),
        ("POST", "/v1/chat/completions/control"),
        ("DELETE", "/v1/models"),
    ],
)
async def test_other_routes_are_closed(method: str, path: str) -> None:
    async with serve(Script([b"{}"])) as engine, service(FixedEngine(f"{engine.url}/v1")) as http:
        answer = await http.request(method, path)
    assert answer.status_code in (404, 405)
    assert engine.requests == []


async def test_an_unknown_route_is_refused_in_openais_shape() -> None:
    async with service(FixedEngine("http://127.0.0.1:9")) as http:
        answer = await http.get("/v1/files")
    error = answer.json()["error"]
    assert answer.status_code == 404
    assert error["src"] == "phonepilot"
    assert (error["type"], error["code"]) == ("invalid_request_error", "not_found")
    assert "/v1/chat/completions" in error["message"]


@pytest.mark.parametrize(
    "content",
    [
        {
            "messages": [
                {"content": [{"type": "image_url", "image_url": {"url": "http://10.0.0.1"}}]}
            ]
        },
        {"messages": [{"content": [{"type": "image_url", "image_url": "https://x.example/a"}]}]},
        {"messages": [{"content": [{"type": "image_url", "image_url": {"url": "file:///etc/x"}}]}]},
        {"input": [{"content": [{"type": "input_image", "image_url": "HTTP://x.example"}]}]},
        {"messages": [{"content": [{"source": {"type": "url", "url": "http://x.example"}}]}]},
        {"messages": [{"content": [{"type": "video_url", "video_url": {"url": "http://x"}}]}]},
    ],
)
async def test_a_local_engine_is_not_made_to_fetch_addresses(content: dict[str, object]) -> None:
    async with serve(Script([b"{}"])) as engine:
        async with service(FixedEngine(f"{engine.url}/v1")) as http:
            answer = await http.post(CHAT, json=content)
        assert answer.status_code == 400
        assert "data: URLs" in answer.json()["error"]["message"]
        assert engine.requests == []
        async with service(FixedEngine(f"{engine.url}/v1", kind="remote")) as http:
            assert (await http.post(CHAT, json=content)).status_code == 200


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 100_000])
async def test_what_cannot_be_read_goes_no_further(body: bytes) -> None:
    async with serve(Script([b"{}"])) as engine, service(FixedEngine(f"{engine.url}/v1")) as http:
        answer = await http.post(CHAT, content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_request"
    assert engine.requests == []


async def test_a_large_body_is_checked_beside_everything_else_and_one_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, go_on, checked = threading.Event(), threading.Event(), list[int]()

    def check(body: bytes) -> str:
        checked.append(len(body))
        if len(body) > upstream_module.SMALL_BYTES:
            begun.set()
            assert go_on.wait(20)
        return ""

    monkeypatch.setattr(upstream_module, "complaint_about", check)
    large = [json.dumps({"prompt": letter * 2**20}).encode() for letter in "ab"]
    async with serve(Script([b"{}"])) as engine, service(FixedEngine(f"{engine.url}/v1")) as http:
        waiting = [asyncio.create_task(http.post(CHAT, content=body)) for body in large]
        async with asyncio.timeout(20):
            assert await asyncio.to_thread(begun.wait, 20)
            for _ in range(3):  # meanwhile
                assert (await http.post(CHAT, content=b"{}")).status_code == 200
            assert checked == [len(large[0]), 2, 2, 2]
            go_on.set()
            answers = await asyncio.gather(*waiting)
    assert [answer.status_code for answer in answers] == [200, 200]
    assert sorted(engine.bodies[-2:]) == large


async def test_a_large_body_is_sent_again_when_the_kept_connection_had_ended() -> None:
    body = json.dumps({"prompt": "a" * 2**21}).encode()
    async with (
        serve(Script([b"{}"], vanish=[2])) as engine,
        service(FixedEngine(f"{engine.url}/v1")) as http,
    ):
        for _ in range(2):
            assert (await http.post(CHAT, content=body)).status_code == 200
    assert engine.bodies == [body] * 3
    assert all("content-length" in head.lower() for head in engine.heads)


async def test_a_body_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_module, "MAX_BODY_BYTES", 100)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 10

    async with service(FixedEngine("http://127.0.0.1:9")) as http:
        told = await http.post(CHAT, content=b" " * 101)
        untold = await http.post(CHAT, content=chunks())
    assert [told.status_code, untold.status_code] == [413, 413]
    assert told.json()["error"]["code"] == "request_too_large"


async def test_an_engine_that_cannot_start() -> None:
    engine = FixedEngine()
    engine.error = EngineStartFailed("model file not found: x", "Check engine.model.")
    async with service(engine) as http:
        answer = await http.post(CHAT, content=b"{}")
    assert answer.status_code == 503
    assert answer.json() == {
        "error": {
            "message": "model file not found: x. Check engine.model.",
            "type": "server_error",
            "code": "engine_start_failed",
            "src": "phonepilot",
        }
    }


async def test_an_engine_that_takes_longer_to_start_than_a_request_waits() -> None:
    async with service(FixedEngine(), start_wait_s=0.05) as http:
        answer = await http.post(CHAT, content=b"{}")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["error"]["code"] == "engine_not_ready"


async def test_nobody_at_the_engines_address() -> None:
    async with serve(Script()) as engine:
        pass
    async with service(FixedEngine(f"{engine.url}/v1")) as http:
        answer = await http.post(CHAT, content=b"{}")
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "engine_unreachable"


async def test_an_engine_of_ours_that_only_pings_and_computes_no_more_is_ended(
    supervise: Callable[[EngineSettings], Supervised], fake: Callable[..., EngineSettings]
) -> None:
    supervised = supervise(fake("--fake-hang", request_timeout_s=0.5))
    engine = supervised.engine
    upstream = Upstream(engine, Calls(0), api_key=engine.api_key, idle_timeout_s=0.5)
    engine.before_stop(upstream.close_streams)
    async with service(engine, upstream) as http:
        answer = await http.post(CHAT, json={"stream": True})
    assert b'"code":"engine_hung"' in answer.content
    status = await supervised.reached(EngineState.FAILED)
    assert status.error is not None
    assert status.error.message == "the engine hung"


async def test_an_engine_of_ours_that_only_pings_but_computes_is_given_its_time(
    supervise: Callable[[EngineSettings], Supervised], fake: Callable[..., EngineSettings]
) -> None:
    engine = supervise(fake("--fake-slow", "1.0", request_timeout_s=5.0)).engine
    async with service(engine, idle_timeout_s=0.2) as http:
        answer = await http.post(CHAT, json={"stream": True})
    assert answer.content.endswith(b"data: [DONE]\n\n")
    assert engine.status().state is EngineState.READY


async def test_a_silent_engine() -> None:
    async with (
        serve(Script(silent=True)) as engine,
        service(FixedEngine(f"{engine.url}/v1", kind="remote"), idle_timeout_s=0.1) as http,
    ):
        answer = await http.post(CHAT, content=b"{}")
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "engine_timeout"


async def test_a_broken_stream_ends_with_an_error_event() -> None:
    async with (
        serve(Script([SSE[:24]], broken=True)) as engine,
        service(FixedEngine(f"{engine.url}/v1")) as http,
    ):
        answer = await http.post(CHAT, content=b"{}")
    assert answer.content.startswith(SSE[:24])
    event = answer.content[24:].decode()
    assert event.endswith("\n\n")
    error = json.loads(event.removeprefix("data: "))["error"]
    assert (error["code"], error["src"]) == ("engine_unreachable", "phonepilot")


async def test_a_broken_document_is_visibly_not_whole() -> None:
    async with (
        serve(Script([b'{"a":'], broken=True, content_type="application/json")) as engine,
        service(FixedEngine(f"{engine.url}/v1")) as http,
    ):
        with pytest.raises(httpx.RemoteProtocolError):
            await http.post(CHAT, content=b"{}")


async def test_stopping_the_engine_breaks_streams_off(
    supervise: Callable[[EngineSettings], Supervised], real: EngineSettings
) -> None:
    engine = supervise(real).engine
    upstream = Upstream(engine, Calls(0), api_key=engine.api_key)
    engine.before_stop(upstream.close_streams)
    body = {"messages": [image_message("go on")], "max_tokens": 30000, "stream": True}
    async with service(engine, upstream) as http, http.stream("POST", CHAT, json=body) as answer:
        chunks = answer.aiter_raw()
        first = await anext(chunks)
        await engine.stop()
        rest = b"".join([chunk async for chunk in chunks])
    assert b"delta" in first
    assert b'"src":"phonepilot"' in rest


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b'{"data": [{"id": "x", "about": "\\ud800"}]}', 502),
        (b'{"data": [{"id": "x", "price": NaN}]}', 502),
        (b'{"data": [{"id": "x", "price": 1e999}]}', 502),
        (b'{"data": [{"id": "x", "about": "\\ud83d\\udcf1"}]}', 200),
        (b'{"data": {"id": "x"}}', 404),
        (b"[" * 100_000, 502),
        (b"<html>", 502),
    ],
)
async def test_an_odd_list_of_models_is_no_fault_of_ours(said: bytes, status: int) -> None:
    async with (
        serve(Script([said], content_type="application/json")) as script,
        service(FixedEngine(await script.base_url(), "remote")) as client,
    ):
        answer = await client.get("/v1/models/x")
    assert answer.status_code == status
    assert status == 200 or answer.json()["error"]["src"] == "phonepilot"
