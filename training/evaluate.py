"""Measure the demo model through the whole product, on phones that it was not trained on.

`python -m training.evaluate` starts virtual phone, adb server, engine and service as the demo does,
gives goals over HTTP and judges each task by the phone's state: the goal must be reached, nothing
else may have changed, and the service must say "succeeded".
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import platform
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.demo.judge import AppExpected, Expected, SwitchExpected
from app.demo.scenario import Stage, engine_ready, stage
from app.virtual_phone.apps.catalogue import APPS
from app.virtual_phone.apps.settings import SWITCHES
from training.goals import open_goal, switch_goal

KINDS = ("switch", "already so", "open app")


@dataclass(frozen=True)
class Trial:
    """One task: `kind` of goal, and what came of it."""

    kind: str
    seed: int
    goal: str
    right: bool
    verdict: str
    status: str
    steps: int
    seconds: float


def plan(switches: int, already: int, apps: int, first_seed: int) -> Iterator[tuple[str, int]]:
    kinds = ["switch"] * switches + ["already so"] * already + ["open app"] * apps
    return zip(kinds, range(first_seed, first_seed + len(kinds)), strict=True)


def choose_goal(kind: str, seed: int, state: dict[str, Any]) -> tuple[str, Expected]:
    """A goal for the phone of `seed`, and what must be true afterwards."""
    choose = random.Random(f"evaluate {seed}")
    if kind == "open app":
        others = [package for package in APPS if package != state["ui"]["foreground"]]
        goal = open_goal(choose, choose.choice(others))
        return goal.text, AppExpected(goal.package, goal.label)
    switch = choose.choice(SWITCHES)
    now = bool(state["settings"][switch.key])
    wanted = switch_goal(choose, switch.key, now if kind == "already so" else not now)
    return wanted.text, SwitchExpected(wanted.key, wanted.title, wanted.want)


async def trial(scene: Stage, kind: str, seed: int) -> Trial:
    await scene.phone.reset(seed, scatter=True)
    before = await scene.phone.state()
    goal, expected = choose_goal(kind, seed, before)
    begun = time.monotonic()
    created = await scene.service.post("/tasks", {"goal": goal})
    task: dict[str, Any] = {}
    async for name, data in scene.service.events(created["id"]):
        if name == "end":
            task = data
    seconds = time.monotonic() - begun
    verdict = expected.judge(before, await scene.phone.state())
    right = verdict.right and task["status"] == "succeeded"
    return Trial(
        kind, seed, goal, right, verdict.reason, task["status"], task["steps"], round(seconds, 2)
    )


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson's score interval)."""
    z = 1.96
    share = right / count
    middle = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return (middle - spread) / scale, (middle + spread) / scale


def table(trials: list[Trial]) -> str:
    lines = [
        "| goals | right | share | 95% interval | steps, mean | seconds a step, median |",
        "|---|---|---|---|---|---|",
    ]
    for kind in (*KINDS, "all"):
        group = [t for t in trials if kind in (t.kind, "all")]
        if not group:
            continue
        right = sum(t.right for t in group)
        low, high = wilson(right, len(group))
        steps = statistics.mean(t.steps for t in group)
        pace = statistics.median(t.seconds / max(t.steps, 1) for t in group)
        lines.append(
            f"| {kind} | {right} of {len(group)} | {right / len(group):.1%} "
            f"| {low:.1%} to {high:.1%} | {steps:.1f} | {pace:.2f} |"
        )
    return "\n".join(lines)


async def measure(arguments: argparse.Namespace) -> list[Trial]:
    trials = []
    async with stage(0, 0) as scene:
        engine = await engine_ready(scene.service)
        print(f"engine {engine['kind']}, model {Path(engine['model']).name}")
        chosen = plan(arguments.switch, arguments.already, arguments.open, arguments.first_seed)
        for kind, seed in chosen:
            result = await trial(scene, kind, seed)
            trials.append(result)
            mark = "right" if result.right else "WRONG"
            print(
                f"{len(trials):4} {mark} {kind:<10} seed {seed} {result.steps} steps "
                f"{result.seconds:5.1f} s  {result.goal!r}: {result.verdict}",
                flush=True,
            )
    return trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--switch", type=int, default=100, help="goals that flip a switch")
    parser.add_argument("--already", type=int, default=50, help="goals that are already so")
    parser.add_argument("--open", type=int, default=50, help="goals that open an app")
    parser.add_argument("--first-seed", type=int, default=5000)
    parser.add_argument("--json", type=Path, help="write every trial to this file")
    arguments = parser.parse_args()
    trials = asyncio.run(measure(arguments))
    print(f"\n{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {platform.python_version()}\n")
    print(table(trials))
    if arguments.json:
        text = json.dumps([asdict(t) for t in trials], ensure_ascii=False, indent=1)
        arguments.json.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
