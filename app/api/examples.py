"""Example requests and responses of the routes; a test checks them against the OpenAPI document."""

from __future__ import annotations

from typing import Any

_AT = "2026-11-27T09:30:00Z"
_SERIAL = "192.168.1.20:5555"
_TASK: dict[str, Any] = {
    "id": "99c153a7ed2bf3a2",
    "goal": "Turn on Bluetooth",
    "device": _SERIAL,
    "priority": 0,
    "status": "running",
    "stop_reason": None,
    "message": "",
    "error": None,
    "max_steps": 100,
    "timeout_s": 1800.0,
    "lang": "en",
    "profile": "autoglm-phone-9b",
    "confirm": "ask",
    "allowed_apps": [],
    "mode": "auto",
    "follows": None,
    "callback_url": None,
    "secret_fields": "password",
    "question": None,
    "created_at": _AT,
    "started_at": _AT,
    "ended_at": None,
    "steps": 1,
    "restarts": 0,
}
_QUEUED = {**_TASK, "status": "queued", "started_at": None, "steps": 0}
_ENDED = {
    **_TASK,
    "status": "succeeded",
    "stop_reason": "finished",
    "message": "Bluetooth is on.",
    "ended_at": "2026-11-27T09:30:12Z",
    "steps": 3,
}
_CANCELLED = {**_TASK, "status": "cancelled", "stop_reason": "cancelled", "message": "Cancelled."}
_STEP = {
    "number": 1,
    "app": "Home",
    "width": 1080,
    "height": 2400,
    "thought": "Settings is on this page.",
    "action": {"kind": "tap", "element": [380, 680], "message": ""},
    "summary": "Tap at 380, 680",
    "raw": '<think>Settings is on this page.</think><answer>do(action="Tap", element=[380,680])'
    "</answer>",
    "error": None,
    "remark": "",
    "means": "scrcpy",
    "started_at": _AT,
    "timings_ms": {"screenshot": 41.0, "request": 1900.5, "act": 8.6},
    "tokens": {"prompt": 3610, "cached": 240, "completion": 38},
    "screenshot": "/tasks/99c153a7ed2bf3a2/steps/1/screenshot",
}
_NEW_SCHEDULE = {
    "name": "nightly",
    "cron": "30 22 * * 1-5",
    "timezone": "Europe/Berlin",
    "task": {"goal": "Turn on Bluetooth"},
    "devices": [_SERIAL],
    "missed": "skip",
}
_SCHEDULE = {
    **_NEW_SCHEDULE,
    "enabled": True,
    "id": "b0f715fd70f1",
    "created_at": _AT,
    "armed_at": _AT,
    "last_run_at": None,
    "last_tasks": {},
    "last_error": None,
    "next_run_at": "2026-11-27T21:30:00Z",
}
_DEVICE = {
    "serial": _SERIAL,
    "state": "device",
    "model": "Pixel_8",
    "product": "shiba",
    "task": None,
    "routes": [{"serial": _SERIAL, "state": "device", "kind": "network", "stale": False}],
}
_ENGINE = {
    "state": "ready",
    "kind": "llama-server",
    "name": "autoglm-phone-9b",
    "model": "AutoGLM-Phone-9B-Q4_K_S.gguf",
    "context": 16384,
    "parallel": 1,
    "devices": [{"name": "CUDA0", "description": "NVIDIA GeForce RTX 4060", "free_mib": 7099}],
    "layers": {"offloaded": 41, "total": 41},
    "alternatives": [
        {"name": "engine", "kind": "llama-server", "state": "ready", "used": True, "error": None}
    ],
}
_CHAT = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 16}
_COMPLETION = {
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello!"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 8, "completion_tokens": 3, "total_tokens": 11},
}
_SSE = "id: 1\nevent: task\ndata: {...}\n\n"
_BYTES = "(binary)"

REQUESTS: dict[str, Any] = {
    "POST /tasks": {"goal": "Turn on Bluetooth"},
    "POST /tasks/{task_id}/reply": {"allow": True, "question": 1},
    "POST /schedules": _NEW_SCHEDULE,
    "PATCH /schedules/{schedule_id}": {"enabled": False},
    "POST /engine/model": {"name": "qwen3-vl-8b"},
    "POST /devices/connect": {"address": _SERIAL},
    "POST /devices/{serial}/input": {"kind": "tap", "x": 540, "y": 1200},
    "POST /v1/chat/completions": _CHAT,
    "POST /v1/completions": {"prompt": "Hello", "max_tokens": 16},
    "POST /v1/embeddings": {"input": "Hello"},
    "POST /v1/responses": {"input": "Hello", "max_output_tokens": 16},
    "POST /v1/messages": _CHAT,
}

ANSWERS: dict[str, Any] = {
    "GET /healthz": {"status": "ok", "version": "0.1.0"},
    "GET /readyz": {"status": "ready", "engine": "ready", "adb_server": "ok", "phones": "1"},
    "GET /metrics": "phonepilot_engine_ready 1.0\n",
    "POST /tasks": _QUEUED,
    "GET /tasks": {"tasks": [_TASK], "next": None},
    "GET /tasks/{task_id}": _ENDED,
    "POST /tasks/{task_id}/cancel": _CANCELLED,
    "POST /tasks/{task_id}/pause": {**_TASK, "status": "paused"},
    "POST /tasks/{task_id}/resume": _TASK,
    "POST /tasks/{task_id}/reply": _TASK,
    "GET /tasks/{task_id}/steps": {"steps": [_STEP]},
    "GET /tasks/{task_id}/steps/{number}/screenshot": _BYTES,
    "GET /tasks/{task_id}/export": _BYTES,
    "GET /tasks/{task_id}/events": _SSE,
    "GET /schedules": {"schedules": [_SCHEDULE]},
    "POST /schedules": _SCHEDULE,
    "GET /schedules/{schedule_id}": _SCHEDULE,
    "PATCH /schedules/{schedule_id}": {**_SCHEDULE, "enabled": False, "next_run_at": None},
    "POST /schedules/{schedule_id}/run": {
        **_SCHEDULE,
        "last_run_at": _AT,
        "last_tasks": {_SERIAL: "99c153a7ed2bf3a2"},
    },
    "GET /devices": {"devices": [_DEVICE]},
    "GET /devices/events": "event: change\ndata: {}\n\n",
    "POST /devices/connect": {"serial": _SERIAL},
    "GET /devices/{serial}/screen": _BYTES,
    "GET /devices/{serial}/stream": _BYTES,
    "GET /goals": {
        "any_goal": False,
        "known": [
            {
                "title": "Turn on or off",
                "things": ["Wi-Fi", "Bluetooth"],
                "example": "Turn on Wi-Fi",
            }
        ],
    },
    "GET /engine": _ENGINE,
    "POST /engine/restart": _ENGINE,
    "GET /engine/log": {"lines": ["main: server is listening on http://127.0.0.1:41231"]},
    "POST /engine/model": _ENGINE,
    "GET /v1/models/{model_id}": {"id": "autoglm-phone-9b", "object": "model"},
    "GET /v1/models": {"object": "list", "data": [{"id": "autoglm-phone-9b", "object": "model"}]},
    "POST /v1/chat/completions": _COMPLETION,
    "POST /v1/completions": {"choices": [{"index": 0, "text": ", world"}]},
    "POST /v1/embeddings": {"data": [{"index": 0, "embedding": [0.1, -0.2]}]},
    "POST /v1/responses": {"object": "response", "output": [], "status": "completed"},
    "POST /v1/messages": {"type": "message", "role": "assistant", "content": []},
}
