"""The hosts that people use, imitated on a loopback port: the path, the key, the fields that they
refuse, the way their streams differ, and what they answer when something is wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

KEY = "sk-of-this-test"
LASTING = ("key", "money", "model", "rate", "content", "long")
"""What can be wrong for good."""
SINGLE = (
    "rate",
    "busy",
    "cut",
    "half a chunk",
    "reset",
    "error inside the stream",
    "error as finish reason",
)
"""What can go wrong once."""

Body = Mapping[str, Any]
Answer = tuple[int, Any]


def openai(message: str, code: object = None, kind: str = "") -> dict[str, Any]:
    return {"error": {"message": message, "code": code, "type": kind, "param": None}}


GENERIC: dict[str, Answer] = {
    "key": (401, openai("Incorrect API key provided", "invalid_api_key")),
    "money": (402, openai("Insufficient credits", 402)),
    "model": (404, openai("The model does not exist", "model_not_found")),
    "rate": (429, openai("Rate limit reached", "rate_limit_exceeded")),
    "content": (400, openai("flagged by the content policy", "content_policy_violation")),
    "long": (400, openai("too long", "context_length_exceeded")),
}
BIGMODEL: dict[str, Answer] = {
    "key": (401, openai("身份验证失败", "1000")),
    "money": (429, openai("您的账户已欠费，请充值后重试", "1113")),
    "model": (400, openai("模型不存在", "1211")),
    "rate": (429, openai("您的账户已达到速率限制", "1302")),
    "content": (400, openai("系统检测到输入内容敏感", "1301")),
    "long": (400, openai("Prompt 超长", "1261")),
}
NOVITA: dict[str, Answer] = {
    "key": (403, {"code": 403, "reason": "INVALID_API_KEY", "message": "invalid"}),
    "money": (403, {"code": 403, "reason": "NOT_ENOUGH_BALANCE", "message": "not enough balance"}),
    "model": (404, {"code": 404, "reason": "MODEL_NOT_FOUND", "message": "no such"}),
    "rate": (429, {"code": 429, "reason": "RATE_LIMIT_EXCEEDED", "message": "slow down"}),
}
ARK: dict[str, Answer] = {
    "key": (401, openai("The API key doesn't exist", "AuthenticationError")),
    "money": (403, openai("your account has an overdue balance", "AccountOverdueError")),
    "model": (404, openai("no endpoint", "InvalidEndpointOrModel.NotFound")),
    "rate": (429, openai("slow", "RateLimitExceeded.EndpointRPMExceeded")),
    "content": (400, openai("may contain sensitive information", "InputImageRiskDetection")),
}
DASHSCOPE: dict[str, Answer] = {
    "key": (401, openai("Incorrect API key", "InvalidApiKey")),
    "money": (400, openai("Access denied, your account is in arrears", "Arrearage")),
    "rate": (429, openai("Requests rate limit exceeded", "Throttling.RateQuota")),
    "content": (400, openai("inappropriate content", "DataInspectionFailed")),
    "long": (400, openai("Range of input length should be [1, 30720]", "InvalidParameter")),
}
GEMINI: dict[str, Answer] = {
    "key": (400, [openai("API key not valid. Please pass a valid API key.", 400)]),
    "rate": (429, [openai("You exceeded your current quota", 429)]),
}
STEPFUN: dict[str, Answer] = {
    "content": (451, openai("The content is blocked", None, "censorship_block")),
}
OPENAI: dict[str, Answer] = {"money": (429, openai("no quota", "insufficient_quota"))}


@dataclass(frozen=True)
class Host:
    """One host. `models` is the status of its list of models, `refuses` are fields that get a 400,
    `wants` those that must be there. `reasoning` is the field of its thoughts; `done` says that its
    streams end with [DONE], `usage` that they count, `comments` that they hold comments, and
    `tools` that it makes tool calls of what looks like one."""

    path: str
    model: str
    key: bool = True
    models: int = 200
    refuses: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()
    reasoning: str = "reasoning_content"
    done: bool = True
    usage: bool = True
    comments: bool = False
    tools: bool = False
    errors: Mapping[str, Answer] = field(default_factory=dict)

    def error(self, what: str) -> Answer:
        return {**GENERIC, **self.errors}[what]


HOSTS = {
    "host-bigmodel": Host("/api/paas/v4", "autoglm-phone", models=404, errors=BIGMODEL),
    "host-zai": Host("/api/paas/v4", "autoglm-phone-multilingual", models=405, errors=BIGMODEL),
    "host-modelscope": Host("/v1", "ZhipuAI/AutoGLM-Phone-9B"),
    "host-novita": Host(
        "/openai", "zai-org/autoglm-phone-9b-multilingual", usage=False, errors=NOVITA
    ),
    "host-parasail": Host("/v1", "parasail-auto-glm-9b-multilingual"),
    "host-ark": Host(
        "/api/v3", "doubao-seed-1-8-251228", models=403, refuses=("frequency_penalty",), errors=ARK
    ),
    "host-dashscope": Host(
        "/compatible-mode/v1",
        "qwen3-vl-plus",
        refuses=("frequency_penalty",),
        wants=("enable_thinking", "vl_high_resolution_images"),
        errors=DASHSCOPE,
    ),
    "host-siliconflow": Host("/v1", "Qwen/Qwen3-VL-8B-Instruct", tools=True),
    "host-stepfun": Host("/v1", "step-3", errors=STEPFUN),
    "host-openrouter": Host(
        "/api/v1", "qwen/qwen3-vl-8b-instruct", reasoning="reasoning", comments=True
    ),
    "host-openai": Host(
        "/v1",
        "gpt-5",
        refuses=("max_tokens", "temperature", "top_p", "frequency_penalty"),
        wants=("max_completion_tokens",),
        errors=OPENAI,
    ),
    "host-gemini": Host(
        "/v1beta/openai",
        "gemini-3.5-flash",
        refuses=("frequency_penalty",),
        done=False,
        errors=GEMINI,
    ),
    "host-vllm": Host("/v1", "autoglm-phone-9b", key=False, reasoning="reasoning"),
    "host-lm-studio": Host("/v1", "qwen/qwen3-vl-8b", key=False),
    "host-ollama": Host("/v1", "qwen3-vl:8b", key=False, tools=True),
}


@dataclass
class Imitation:
    """A running imitation. `replies` are said one after the other; `faults` are taken from first,
    one for a request; `lasting` is what is wrong with every request."""

    host: Host
    port: int = 0
    replies: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    lasting: str = ""
    retry_after: str = ""
    bodies: list[Body] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What a request had that this host does not expect."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.host.path}"

    def check(self, target: str, key: str, body: Body) -> None:
        """Note what is wrong with a chat request."""
        host = self.host
        said = {
            f"asked {target}": target != f"{host.path}/chat/completions",
            f"the key is {key!r}": key != (f"Bearer {KEY}" if host.key else ""),
            f"the model is {body.get('model')!r}": body.get("model") != host.model,
            "a field is null": None in body.values(),
            "a field that it refuses": bool(set(host.refuses) & set(body)),
            "a field that it wants is missing": not set(host.wants) <= set(body),
            "a picture without its kind": "data:image;base64" in json.dumps(body),
            "no stream": body.get("stream") is not True,
        }
        self.wrong += [problem for problem, is_so in said.items() if is_so]


@asynccontextmanager
async def imitation(name: str) -> AsyncIterator[Imitation]:
    """Run one of HOSTS on a loopback port."""
    host = Imitation(HOSTS[name])

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await _exchange(host, reader, writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has closed the connection
        finally:
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0, limit=1 << 24)
    async with server:
        host.port = server.sockets[0].getsockname()[1]
        yield host


async def _exchange(
    host: Imitation, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    """Answer one request; returns whether the connection stays."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    method, target, _ = lines[0].split(" ")
    fields = {
        name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])
    }
    body = json.loads(await reader.readexactly(int(fields.get("content-length", 0))) or b"{}")
    if method == "GET":
        wanted = target == f"{host.host.path}/models"
        status = host.host.models if wanted else 404
        _document(writer, status, {"data": [{"id": host.host.model}]} if status == 200 else {})
        return True
    host.bodies.append(body)
    host.check(target, fields.get("authorization", ""), body)
    if host.lasting:
        _document(writer, *host.host.error(host.lasting), host.retry_after)
        return True
    fault = host.faults.pop(0) if host.faults else ""
    if fault in LASTING:
        _document(writer, *host.host.error(fault), host.retry_after)
        return True
    if fault == "busy":
        _document(writer, 503, openai("no capacity"))
        return True
    return _stream(host, writer, fault)


def _document(writer: asyncio.StreamWriter, status: int, body: Any, retry_after: str = "") -> None:
    said = json.dumps(body, ensure_ascii=False).encode()
    more = f"Retry-After: {retry_after}\r\n" if retry_after else ""
    writer.write(
        f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{more}"
        f"Content-Length: {len(said)}\r\n\r\n".encode()
        + said
    )


def _stream(imitated: Imitation, writer: asyncio.StreamWriter, fault: str) -> bool:
    host = imitated.host
    events = [_delta({"role": "assistant", "content": None}), _delta({host.reasoning: "Hm."})]
    if fault in ("cut", "reset"):
        # In the middle of a line, or of the HTTP body.
        writer.write(
            _HEAD + _chunk("".join(events)[:-9]) + (b"0\r\n\r\n" if fault == "cut" else b"")
        )
        return False
    if fault == "half a chunk":
        events.append('data: {"choices":[{"index":0,"del\n\n')
    elif fault == "error inside the stream":
        events.append(f"data: {json.dumps(openai('Provider disconnected', 502))}\n\n")
    elif fault == "error as finish reason":
        events.append(_delta({}, "error"))
    else:
        events += _reply(host, imitated.replies.pop(0))
    if host.comments:
        events = [part for event in events for part in (": PROCESSING\n\n", event)]
    writer.write(_HEAD + b"".join(map(_chunk, events)) + b"0\r\n\r\n")
    return True


def _reply(host: Host, text: str) -> list[str]:
    before, called, call = text.partition("<tool_call>")
    if host.tools and called:
        function = json.loads(call.partition("</tool_call>")[0])
        written = json.dumps(function["arguments"])
        calls = [{"index": 0, "id": "c", "function": {"name": function["name"], "arguments": ""}}]
        events = [_delta({"content": before}), _delta({"tool_calls": calls})]
        for at in range(0, len(written), 9):
            piece = {"index": 0, "function": {"arguments": written[at : at + 9]}}
            events.append(_delta({"tool_calls": [piece]}))
        events.append(_delta({}, "tool_calls"))
    else:
        events = [_delta({"content": text[at : at + 20]}) for at in range(0, len(text), 20)]
        events.append(_delta({"content": None}, "stop"))
    if host.usage:
        usage = {"prompt_tokens": 3000, "completion_tokens": 60}
        events.append(f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n")
    return [*events, "data: [DONE]\n\n"] if host.done else events


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def _delta(delta: dict[str, Any], finish_reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return f"data: {json.dumps({'choices': [choice]})}\n\n"


def _chunk(text: str) -> bytes:
    data = text.encode()
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"
