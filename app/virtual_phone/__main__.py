"""`python -m app.virtual_phone`: runs one phone as a child process of a test, a bench or the demo.

When it is ready, it prints one line of JSON, `{"adb": PORT, "control": PORT or null}`. With
`--exit-on-stdin-eof` it ends when its stdin closes, which happens however the parent ends.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import threading

from app.errors import ConfigError
from app.virtual_phone.main import DEFAULT_PORT, report, serve
from app.virtual_phone.quirks import QUIRKS, SCENE
from app.virtual_phone.scenes.catalogue import SCENES


def _quirk_list() -> str:
    return "; ".join(f"{q.name}: {q.meaning} ({q.values})" for q in QUIRKS.values())


def _scene_quirk(scenes: list[str]) -> list[str]:
    return [f"{SCENE.name}={','.join(scenes)}"] if scenes else []


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m app.virtual_phone")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="ADB port; 0 for any")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--control-port", type=int, default=0, help="HTTP port; 0 for any")
    parser.add_argument(
        "--token-env",
        metavar="NAME",
        help="environment variable with the control port's token; no control port without it",
    )
    parser.add_argument(
        "--quirk",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        dest="quirks",
        help="a trap of real phones; may be repeated. " + _quirk_list(),
    )
    parser.add_argument(
        "--unauthorized",
        action="append_const",
        const="unauthorized",
        dest="quirks",
        help="the same as --quirk unauthorized",
    )
    parser.add_argument(
        "--scene",
        action="append",
        default=[],
        choices=sorted(SCENES),
        dest="scenes",
        help="an app or a window on which a careless agent goes wrong; may be repeated, and is the "
        "same as --quirk scene=NAME,NAME",
    )
    parser.add_argument("--exit-on-stdin-eof", action="store_true")
    return parser.parse_args()


def _cancel_on_eof(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    with contextlib.suppress(RuntimeError):  # the loop may have ended by itself
        loop.call_soon_threadsafe(task.cancel)


async def _run(options: argparse.Namespace) -> None:
    token = os.environ.get(options.token_env, "") if options.token_env else ""
    if options.token_env and not token:
        raise ConfigError(
            f"environment variable {options.token_env} is empty", "Put a token in it."
        )
    task = asyncio.create_task(
        serve(
            options.port,
            options.seed,
            options.control_port,
            token,
            quirks=[*options.quirks, *_scene_quirk(options.scenes)],
        )
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, task.cancel)
    if options.exit_on_stdin_eof:
        threading.Thread(target=_cancel_on_eof, args=(loop, task), daemon=True).start()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def main() -> int:
    try:
        asyncio.run(_run(_arguments()))
    except ConfigError as exc:
        report(exc)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
