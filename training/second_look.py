"""Measure the second look (`agent.second_look = "fresh"`) with the demo model.

`python -m training.second_look` works on goals as `training.evaluate` chooses them, and after every
look at the screen asks the model anew, without its history, whether it would finish. The phone's
state says whether the goal is reached then. Two shares come of it: of the screens on which the goal
is not reached, how many a false "done" would be believed on; and of those on which the model says
so and it is, how many are doubted.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from app.adb.apps import AppTable
from app.adb.fleet import Fleet
from app.adb.server import AdbServer
from app.agent.actions import Finish
from app.agent.dialects.autoglm import AUTOGLM
from app.agent.history import History
from app.agent.loop import run_loop
from app.agent.outcome import Limits
from app.agent.policy import VisionPolicy
from app.agent.prompt import load_prompt
from app.agent.second_look import FreshLook
from app.agent.step import StepRecord
from app.demo.judge import Expected
from app.demo.phone_process import PhoneControl, phone_process
from app.llm.engine import Engine
from app.settings import load_apps, load_settings
from app.wiring import PhoneChat, engines_of, sampling_of
from training.evaluate import choose_goal, plan, wilson


@dataclass
class Looks:
    """Answers of the second look: on screens without and with the goal reached."""

    believed: list[bool] = field(default_factory=list)
    doubted: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


@dataclass
class Looking:
    """A recorder that takes the second look after each first one."""

    look: FreshLook
    phone: PhoneControl
    expected: Expected
    before: dict[str, Any]
    looks: Looks

    async def observed(self, step: StepRecord) -> None:
        pass

    def thought(self, number: int, text: str) -> None:
        pass

    async def decided(self, step: StepRecord) -> None:
        reached = self.expected.judge(self.before, await self.phone.state()).right
        claims = step.decision is not None and isinstance(step.decision.action, Finish)
        if reached and not claims:
            return  # the goal is so already, and the screen does not show it: nobody claims it
        begun = time.perf_counter()
        verdict = await self.look.look(step.observation, "Done.")
        self.looks.seconds.append(time.perf_counter() - begun)
        (self.looks.doubted if reached else self.looks.believed).append(
            verdict.reached is (not reached)
        )

    async def stepped(self, step: StepRecord) -> None:
        pass


async def measure(count: int, first_seed: int) -> Looks:
    looks = Looks()
    settings = load_settings(["demo"], {"engine.kind": "embedded"})
    size = (settings.profile.image_width, settings.profile.image_height)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        engine = Engine(settings.engine)
        stack.push_async_callback(engine.aclose)
        engines = engines_of(settings, engine)
        engine.before_stop(engines.members[0].client.close_streams)
        stack.push_async_callback(engines.aclose)
        chat = PhoneChat(engines, sampling_of(settings))
        phone = await stack.enter_async_context(phone_process(0))
        adb = AdbServer(private=True)
        stack.push_async_callback(adb.stop)
        table = AppTable((app.name, app.aliases, app.package) for app in load_apps(settings.apps))
        fleet = Fleet(await adb.start(), table, state_dir=folder)
        device = await fleet.connect(phone.serial)
        system = load_prompt("demo", "en", datetime.now(UTC).date())
        for kind, seed in plan(count // 2, count // 4, count // 4, first_seed):
            await phone.reset(seed, scatter=True)
            before = await phone.state()
            goal, expected = choose_goal(kind, seed, before)
            fresh = partial(_policy, chat, system, goal, size)
            policy, look = fresh(), FreshLook(fresh)
            recorder = Looking(look, phone, expected, before, looks)
            outcome = await run_loop(device, policy, recorder, Limits(20, 120))
            print(f"{kind:<10} seed {seed} {outcome.reason:<10} {goal!r}", flush=True)
    return looks


def _policy(chat: PhoneChat, system: str, goal: str, size: tuple[int, int]) -> VisionPolicy:
    return VisionPolicy(chat, History(AUTOGLM, system, goal), size, feedback=False)


def line(name: str, wrong: list[bool]) -> str:
    low, high = wilson(sum(wrong), len(wrong))
    return f"| {name} | {sum(wrong)} of {len(wrong)} | {low:.1%} to {high:.1%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="goals")
    parser.add_argument("--first-seed", type=int, default=40000)
    arguments = parser.parse_args()
    looks = asyncio.run(measure(arguments.count, arguments.first_seed))
    print(f"\n{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {platform.python_version()}\n")
    print("| second look | wrong | 95% interval |\n|---|---|---|")
    print(line("believes a false claim", looks.believed))
    print(line("doubts a true one", looks.doubted))
    print(f"\none look: {statistics.median(looks.seconds) * 1000:.0f} ms, median")


if __name__ == "__main__":
    main()
