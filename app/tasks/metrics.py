"""Prometheus metrics of tasks.

Names and labels are part of the API. Labels never contain text written by a person, a model or a
page.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram

from app.tasks.models import Step, Task

_PHASE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_TOKENS = ("prompt", "cached", "completion")


class TaskMetrics:
    """Updated by the runner and its recorders."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ended = Counter(
            "phonepilot_tasks_ended",
            "Tasks that have ended, by status and stop reason.",
            ["status", "reason"],
            registry=registry,
        )
        self._steps = Counter(
            "phonepilot_steps",
            "Steps that tasks have taken, by kind of action; none for a reply without one.",
            ["action"],
            registry=registry,
        )
        self._phases = Histogram(
            "phonepilot_step_phase_seconds",
            "How long each phase of a step took.",
            ["phase"],
            buckets=_PHASE_SECONDS,
            registry=registry,
        )
        self._tokens = Counter(
            "phonepilot_tokens",
            "Tokens of requests, of those the ones from the engine's cache, and of replies.",
            ["kind"],
            registry=registry,
        )

        self._passed = Counter(
            "phonepilot_passthrough_tokens",
            "Tokens asked for through /v1, by access token and kind; of a stream that told no "
            "count, as one that the client left, its events.",
            ["token", "kind"],
            registry=registry,
        )

    def passed(self, token: str, tokens: Mapping[str, int]) -> None:
        """Count passthrough tokens; `token` is an access token's name, chosen by the operator."""
        for kind, count in tokens.items():
            self._passed.labels(token, kind).inc(count)

    def ended(self, task: Task) -> None:
        self._ended.labels(task.status, task.stop_reason or "none").inc()

    def stepped(self, step: Step) -> None:
        self._steps.labels(str((step.action or {}).get("kind", "none"))).inc()
        for phase, milliseconds in step.timings_ms.items():
            self._phases.labels(phase).observe(milliseconds / 1000)
        for kind in _TOKENS:
            self._tokens.labels(kind).inc(step.tokens.get(kind, 0))
