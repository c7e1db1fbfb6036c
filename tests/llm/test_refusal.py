"""What the refusals of the hosts that people use mean: each body in the form in which it comes."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import (
    ContextOverflow,
    EngineContentRefused,
    EngineError,
    EngineForbidden,
    EngineKeyRefused,
    EngineModelUnknown,
    EngineOverloaded,
    EngineRateLimited,
    EngineRequestFailed,
    EngineRequestTooLarge,
    EngineServerError,
    EngineUnpaid,
)
from app.llm.refusal import finish_error, refusal, retry_after, stream_error


def openai(message: str, code: object = None, kind: str = "", **more: object) -> dict[str, object]:
    return {"error": {"message": message, "code": code, "type": kind, **more}}


ROWS: list[tuple[str, int, object, type[EngineError]]] = [
    # BigModel and Z.ai: numbers as text
    ("bigmodel key", 401, openai("身份验证失败", "1000"), EngineKeyRefused),
    ("bigmodel money", 429, openai("您的账户已欠费，请充值后重试", "1113"), EngineUnpaid),
    ("bigmodel plan over", 429, openai("plan expired", "1309"), EngineUnpaid),
    ("bigmodel rate", 429, openai("too many requests", "1302"), EngineRateLimited),
    ("bigmodel quota", 429, openai("resets at 18:00", "1308"), EngineRateLimited),
    ("bigmodel busy", 429, openai("the model is busy", "1305"), EngineOverloaded),
    ("bigmodel model", 400, openai("模型不存在", "1211"), EngineModelUnknown),
    ("bigmodel right", 403, openai("no permission", "1220"), EngineForbidden),
    ("bigmodel content", 400, openai("unsafe", "1301"), EngineContentRefused),
    ("bigmodel long", 400, openai("Prompt exceeds max length", "1261"), ContextOverflow),
    ("bigmodel locked", 401, openai("the account is locked", "1112"), EngineForbidden),
    # Ark
    ("ark key", 401, openai("The API key is missing", "AuthenticationError"), EngineKeyRefused),
    ("ark money", 403, openai("has an overdue balance", "AccountOverdueError"), EngineUnpaid),
    ("ark rate", 429, openai("slow", "RateLimitExceeded.EndpointRPMExceeded"), EngineRateLimited),
    ("ark busy", 429, openai("busy", "ServerOverloaded"), EngineOverloaded),
    ("ark model", 404, openai("x", "InvalidEndpointOrModel.NotFound"), EngineModelUnknown),
    ("ark not open", 404, openai("not activated", "ModelNotOpen"), EngineForbidden),
    ("ark content", 400, openai("x", "InputImageRiskDetection"), EngineContentRefused),
    ("ark sensitive", 400, openai("x", "InputTextSensitiveContentDetected"), EngineContentRefused),
    # DashScope
    ("dashscope key", 401, openai("Incorrect API key", "InvalidApiKey"), EngineKeyRefused),
    ("dashscope money", 400, openai("Access denied", "Arrearage"), EngineUnpaid),
    ("dashscope rate", 429, openai("limit", "Throttling.RateQuota"), EngineRateLimited),
    (
        "dashscope long",
        400,
        openai("Range of input length should be [1, 30720]"),
        ContextOverflow,
    ),
    ("dashscope content", 400, openai("x", "DataInspectionFailed"), EngineContentRefused),
    ("dashscope own form", 400, {"code": "Arrearage", "message": "x"}, EngineUnpaid),
    # OpenRouter: numbers
    ("openrouter key", 401, openai("No auth credentials found", 401), EngineKeyRefused),
    ("openrouter money", 402, openai("Insufficient credits", 402), EngineUnpaid),
    ("openrouter content", 403, openai("flagged by moderation", 403), EngineContentRefused),
    ("openrouter busy", 503, openai("no provider", 503), EngineOverloaded),
    ("openrouter provider", 502, openai("Provider returned error", 502), EngineServerError),
    ("openrouter timeout", 408, openai("timed out", 408), EngineServerError),
    # Novita
    ("novita key", 403, {"reason": "INVALID_API_KEY", "message": "no"}, EngineKeyRefused),
    ("novita auth", 401, {"reason": "FAILED_TO_AUTH", "message": "no"}, EngineKeyRefused),
    (
        "novita money",
        403,
        {"code": 403, "reason": "NOT_ENOUGH_BALANCE", "message": "not enough balance"},
        EngineUnpaid,
    ),
    (
        "novita model",
        404,
        {"code": 404, "reason": "MODEL_NOT_FOUND", "message": "x"},
        EngineModelUnknown,
    ),
    # StepFun
    ("stepfun content", 451, openai("blocked"), EngineContentRefused),
    ("stepfun money", 402, openai("x", None, "quota"), EngineUnpaid),
    # OpenAI, and those who speak like it
    ("openai money", 429, openai("x", "insufficient_quota", "insufficient_quota"), EngineUnpaid),
    ("openai rate", 429, openai("Rate limit reached", "rate_limit_exceeded"), EngineRateLimited),
    ("openai long", 400, openai("x", "context_length_exceeded"), ContextOverflow),
    ("openai size", 413, openai("x"), EngineRequestTooLarge),
    ("openai model", 404, openai("x", "model_not_found"), EngineModelUnknown),
    (
        "openai field",
        400,
        openai("Unsupported parameter: 'max_tokens' is not supported with this model.", "x"),
        EngineRequestFailed,
    ),
    ("siliconflow model", 400, {"code": 20012, "message": "no model"}, EngineModelUnknown),
    ("siliconflow money", 403, {"code": 30001, "message": "account balance is low"}, EngineUnpaid),
    # Google sends a list
    (
        "gemini key",
        400,
        [openai("API key not valid. Please pass a valid API key.", 400, status="INVALID_ARGUMENT")],
        EngineKeyRefused,
    ),
    (
        "gemini rate",
        429,
        [openai("You exceeded your current quota", 429, status="RESOURCE_EXHAUSTED")],
        EngineRateLimited,
    ),
    # servers of one's own
    ("vllm long", 400, openai("maximum context length is 4096 tokens"), ContextOverflow),
    ("vllm model", 404, openai("The model `x` does not exist.", 404), EngineModelUnknown),
    ("ollama model", 404, openai('model "x" not found, try pulling it first'), EngineModelUnknown),
    ("ollama text", 404, {"error": "model 'x' not found"}, EngineModelUnknown),
    ("llama loads", 503, openai("Loading model", 503, "unavailable_error"), EngineOverloaded),
    ("llama long", 400, openai("x", 400, "exceed_context_size_error"), ContextOverflow),
    ("llama blind", 500, openai("image input is not supported", 500), EngineRequestFailed),
    ("modelscope model", 400, {"errors": {"message": "no such model: x"}}, EngineModelUnknown),
    ("fastapi key", 403, {"detail": "Invalid API key"}, EngineKeyRefused),
    ("nginx size", 413, "<html>", EngineRequestTooLarge),
    ("nginx gone", 502, "<html>", EngineServerError),
    ("anything", 403, {}, EngineForbidden),
    ("unknown", 418, {}, EngineRequestFailed),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "kind"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS]
)
def test_a_refusal_has_its_meaning(status: int, body: object, kind: type[EngineError]) -> None:
    error = refusal(status, json.dumps(body, ensure_ascii=False).encode())
    assert type(error) is kind
    assert error.message and error.hint
    if kind is EngineUnpaid:
        assert "key" not in error.hint
        assert not error.passing


def test_the_hosts_own_sentence_is_kept_within_bounds() -> None:
    said = openai("See the console. " + "x" * 100_000, "1302")
    message = refusal(429, json.dumps(said).encode()).message
    assert message.startswith("See the console. ")
    assert len(message) <= 2_000


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("20", 20.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("Mon, 30 Nov 2026 12:00:30 GMT", 30.0),
        ("Mon, 30 Nov 2026 11:00:00 GMT", 0.0),
        ("Monday", None),
        ("", None),
        ("-5", None),
        ("1" * 400, None),
        ("²", None),
    ],
)
def test_retry_after_is_read_in_both_forms(said: str, seconds: float | None) -> None:
    now = datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert retry_after({"retry-after": said}, now) == seconds


def test_only_a_refusal_that_passes_says_how_long_to_wait() -> None:
    headers = {"retry-after": "7"}
    assert refusal(429, b"{}", headers).wait_s == 7.0
    assert refusal(402, b"{}", headers).wait_s is None


@pytest.mark.parametrize(
    ("chunk", "kind"),
    [
        ({"error": {"code": 429, "message": "slow"}, "choices": []}, EngineRateLimited),
        ({"error": {"code": "502", "message": "x"}}, EngineServerError),
        ({"error": {"code": "1301", "message": "x"}}, EngineContentRefused),
        ({"error": "it broke"}, EngineServerError),
        ({"code": 403, "reason": "NOT_ENOUGH_BALANCE", "message": "x"}, EngineUnpaid),
        ({"error": None, "choices": []}, None),
        ({"choices": [], "code": 1, "message": "x"}, None),
    ],
)
def test_an_error_inside_a_stream(chunk: dict[str, object], kind: type[EngineError] | None) -> None:
    error = stream_error(chunk)
    assert (type(error) if error else None) is kind


def test_finish_reasons_that_are_no_end_of_a_reply() -> None:
    assert isinstance(finish_error("content_filter"), EngineContentRefused)
    assert isinstance(finish_error("sensitive"), EngineContentRefused)
    for reason in ("error", "network_error"):
        error = finish_error(reason)
        assert error is not None and error.passing
    assert all(finish_error(good) is None for good in ("stop", "length", "tool_calls", None))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "code", "type", "message", "param", "reason", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(st.integers(min_value=300, max_value=999), JSON, st.text(max_size=40))
def test_whatever_a_host_says_is_one_of_our_errors(status: int, body: object, wait: str) -> None:
    error = refusal(status, json.dumps(body).encode(), {"retry-after": wait})
    assert isinstance(error, EngineError)
    assert error.message
    if isinstance(body, dict):
        assert stream_error(body) is None or isinstance(stream_error(body), EngineError)
