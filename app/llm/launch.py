"""From settings to an engine that answers: find it, check its files, start it, wait for ready."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from app.errors import EngineStartFailed
from app.llm.address import api_base
from app.llm.command import (
    KEY_VARIABLE,
    LOOPBACK,
    URL_LINE,
    Command,
    embedded_command,
    llama_server_command,
    supported_flags,
    traces,
)
from app.llm.cores import engine_threads
from app.llm.failure import OUT_OF_MEMORY, diagnose
from app.llm.files import check_files
from app.llm.log import LogRing
from app.llm.offload import Offload
from app.llm.process import EngineProcess
from app.llm.readiness import check_remote, until_ready
from app.llm.self_test import self_test, wanted
from app.llm.status import EngineKind
from app.settings import EngineSettings

BINARY = "llama-server"
HELP_TIMEOUT_S = 10.0
_LAST_WORDS_S = 2.0
"""For the end of a process whose request just broke off."""


_help_texts: dict[tuple[str, int], str] = {}
"""By program and time of its last change: what it said to --help."""


@dataclass(frozen=True)
class Running:
    """An engine that is ready. `url` is the base of its API, `process` is None for a remote one;
    `key` is what it asks for."""

    url: str
    process: EngineProcess | None
    key: str = field(repr=False)


def find_binary(settings: EngineSettings) -> str | None:
    """The llama-server to run, or None. Raises `EngineStartFailed` when a configured one is not
    there: falling back would hide the mistake."""
    if not settings.binary:
        return shutil.which(BINARY)
    found = shutil.which(settings.binary)
    if found is None:
        raise EngineStartFailed(
            f"engine.binary is not a program: {settings.binary}",
            "Give the path of llama-server, or leave it empty to search PATH.",
        )
    return found


def choose_kind(settings: EngineSettings) -> EngineKind:
    """What `kind = "auto"` means here: remote with a URL, llama-server when found, else embedded.

    Raises `EngineStartFailed` when the configured kind lacks what it needs.
    """
    if settings.kind == "auto":
        if settings.url:
            return EngineKind.REMOTE
        return EngineKind.LLAMA_SERVER if find_binary(settings) else EngineKind.EMBEDDED
    kind = EngineKind(settings.kind)
    if kind is EngineKind.REMOTE and not settings.url:
        raise EngineStartFailed("engine.kind is remote but engine.url is empty", "Set engine.url.")
    if kind is EngineKind.LLAMA_SERVER and find_binary(settings) is None:
        raise EngineStartFailed(
            "llama-server was not found",
            "Install llama.cpp, set engine.binary, or use engine.kind = 'embedded'.",
        )
    return kind


async def bring_up(
    settings: EngineSettings,
    kind: EngineKind,
    log: LogRing,
    on_line: Callable[[str], None],
    offload: Offload,
) -> Running:
    """Start an engine of `kind` and wait until it is ready; `on_line` gets each line that it logs,
    and so does `offload`.

    Raises an `EngineError`; whatever was started is stopped before that, and on cancellation too.
    """
    if kind is EngineKind.REMOTE:
        remote = api_base(settings.url)
        key = settings.api_key.get_secret_value()
        await check_remote(remote, key, settings.alias)
        return Running(remote, None, key)
    if settings.model is None and (missing := settings.missing_model):
        raise EngineStartFailed(
            f"the model {missing.name} is not installed",
            f"Get it: {missing.command}.",
            reason="model_not_installed",
        )
    await asyncio.to_thread(check_files, settings.model, settings.mmproj)
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    if kind is EngineKind.LLAMA_SERVER:
        port = claim_port(settings.port)
        command = await _llama_server(settings, port)
        url.set_result(api_base(f"http://{LOOPBACK}:{port}"))
    else:
        command = embedded_command(settings, threads=engine_threads(settings.threads))
    for warning in command.warnings:
        log.note(warning)

    def watch_for_url(line: str) -> None:
        on_line(line)
        offload.read(line)
        # Not always at the start of a line: the engine's own log goes to the same pipe.
        _, found, address = line.partition(URL_LINE)
        if found and not url.done():
            url.set_result(api_base(address))

    # Each start has a key of its own, so that no other program on this machine can use the engine.
    key = secrets.token_hex(32)
    access = {KEY_VARIABLE: key}
    process = await EngineProcess.start(command.argv, log, watch_for_url, access)
    try:
        address = await _ready_url(settings, process, url, key, log, offload)
        return Running(address, process, key)
    except BaseException:  # cancellation included: no process may stay behind
        await process.stop(settings.stop_timeout_s)
        raise


def claim_port(port: int) -> int:
    """`port` when it is free, or any free one for 0. Raises `EngineStartFailed`.

    A taken port must be found out before the start: whoever listens there might answer `/health`
    in place of our engine. Somebody may still come in between; the engine then cannot bind.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as exc:
            raise EngineStartFailed(
                f"port {port} is in use",
                "Set engine.port = 0 for any free port.",
                reason="port_taken",
            ) from exc
        claimed: int = probe.getsockname()[1]
        return claimed


async def _llama_server(settings: EngineSettings, port: int) -> Command:
    binary = find_binary(settings)
    assert binary is not None  # choose_kind() saw to it
    help_text = await _help_text(binary)
    return llama_server_command(
        settings,
        binary=binary,
        port=port,
        threads=engine_threads(settings.threads),
        supported=supported_flags(help_text),
        trace=traces(help_text),
    )


async def _help_text(binary: str) -> str:
    """What `binary --help` prints; empty when it cannot be had in time. Asked once, until the
    program is another one."""
    stamp = (binary, (await asyncio.to_thread(Path(binary).stat)).st_mtime_ns)
    if stamp not in _help_texts:
        text = await _ask_for_help(binary)
        if not text:
            return ""
        _help_texts[stamp] = text
    return _help_texts[stamp]


async def _ask_for_help(binary: str) -> str:
    log = LogRing(kept=5000)
    process = await EngineProcess.start((binary, "--help"), log)
    try:
        async with asyncio.timeout(HELP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        return ""
    finally:
        await process.stop(0.1)
    return "\n".join(log.lines())


async def _ready_url(
    settings: EngineSettings,
    process: EngineProcess,
    url: asyncio.Future[str],
    key: str,
    log: LogRing,
    offload: Offload,
) -> str:
    """Whatever comes first: the engine is ready, it ends, or it says nothing for too long."""
    ready = asyncio.create_task(_tested_url(settings, url, key, log, offload))
    ended = asyncio.create_task(process.wait())
    try:
        while not (ready.done() or ended.done()):
            # A large model on a slow disk takes long and tells so: only silence is a bad sign.
            left = log.last_at + settings.start_timeout_s - time.monotonic()
            if left <= 0:
                raise EngineStartFailed(
                    f"the engine was not ready and said nothing for {settings.start_timeout_s:g} s",
                    "Raise engine.start_timeout_s if the disk is slow; GET /engine/log shows how "
                    "far it came.",
                    log_tail=log.lines(40),
                    reason="start_timeout",
                )
            await asyncio.wait({ready, ended}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if ready.done() and ready.exception() is None:
            return ready.result()
        # An engine that dies of a request breaks it off first: its end tells more.
        await asyncio.wait({ended}, timeout=0 if ended.done() else _LAST_WORDS_S)
        if ended.done():
            raise start_failure(log, ended.result())
        return ready.result()
    finally:
        for task in (ready, ended):
            task.cancel()
        await asyncio.wait({ready, ended})


async def _tested_url(
    settings: EngineSettings,
    url: asyncio.Future[str],
    key: str,
    log: LogRing,
    offload: Offload,
) -> str:
    base = await until_ready(url, key, vision=settings.mmproj is not None)
    if wanted(settings, on_gpu=offload.on_gpu):
        log.note("asking about a screenshot of real size")
        try:
            await self_test(base, key, settings.start_timeout_s)
        except EngineStartFailed as exc:
            cause = diagnose(log.engine_lines(), None)
            if cause.reason == OUT_OF_MEMORY:  # told in the log, and survived
                exc.message, exc.hint, exc.reason = cause.message, cause.hint, cause.reason
            raise
    return base


def start_failure(log: LogRing, exit_code: int) -> EngineStartFailed:
    """The error for an engine that ended by itself with `exit_code`."""
    failure = diagnose(log.engine_lines(), exit_code)
    return EngineStartFailed(
        failure.message,
        failure.hint,
        exit_code=exit_code,
        log_tail=log.lines(40),
        reason=failure.reason,
    )
