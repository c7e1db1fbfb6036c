"""Checks everything that phonepilot needs: what is wrong, and how to fix it.

Everything is tried the way the service would do it, and undone: an adb server that had to be
started is stopped again, no engine is loaded, nothing is written.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import platform
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx

from app.access_tokens import Tokens
from app.adb.directory import READY
from app.adb.fleet import Fleet
from app.adb.routes import Phone
from app.adb.server import AdbServer, find_binary
from app.data_folder import owner_of
from app.errors import AppError, ConfigError, DeviceNotFound
from app.http_client import IDENTITY, read_whole
from app.llm import launch
from app.llm.address import api_base
from app.llm.describe import SCREEN
from app.llm.gguf import PROJECTOR, check_gguf, read_header
from app.llm.gpu import find_gpus
from app.llm.memory import image_tokens
from app.llm.offload import listed_devices
from app.llm.parts import first_part, model_size, read_model
from app.llm.readiness import check_remote
from app.llm.status import EngineKind
from app.main import check_access, needs_token
from app.serving import open_socket
from app.settings import AdbSettings, EngineSettings, ServiceSettings, Settings
from app.visible import one_line

Status = Literal["ok", "warning", "problem"]

PYTHON = (3, 11)
PROGRAM_S = 20.0
HTTP_S = 2.0
MAX_HEALTH_BYTES = MAX_OUTPUT_BYTES = 65_536
GIB = 1024**3
STEP_TOKENS = 2000
"""Of a step besides its picture: the longest system prompt has about 1500, a reply about 150."""
FREE_WANTED = 1 * GIB
FREE_NEEDED = GIB // 10


@dataclass(frozen=True)
class Check:
    """The result of one check. With "problem" no task can run; the hint says what to do."""

    name: str
    status: Status
    message: str
    hint: str = ""


async def examine(settings: Settings) -> list[Check]:
    """Check everything that a task needs, in the order in which it is needed."""
    return [
        check_python(sys.version_info[:3]),
        *await check_phones(settings.adb),
        *await check_engine(settings.engine),
        check_disk(settings.service.data_dir),
        check_owner(settings.service.data_dir),
        await check_port(settings.service),
        check_tokens(settings),
    ]


def _problem(name: str, error: AppError) -> Check:
    return Check(name, "problem", error.message, error.hint)


# -- Python


def check_python(version: tuple[int, ...]) -> Check:
    said = f"Python {'.'.join(map(str, version))} on {platform.system()} {platform.machine()}"
    if version < PYTHON:
        needed = ".".join(map(str, PYTHON))
        return Check("python", "problem", said, f"Install Python {needed} or newer.")
    return Check("python", "ok", said)


# -- adb and phones


async def check_phones(settings: AdbSettings) -> list[Check]:
    """Check the adb server, started temporarily if none runs, and the phones behind it."""
    server = AdbServer(
        settings.server_host,
        settings.server_port,
        binary=settings.binary,
        private=settings.private,
    )
    try:
        client = await server.start()
    except AppError as exc:
        return [_problem("adb", exc)]
    try:
        if server.owned:
            said = f"{find_binary(settings.binary)} starts a server of our own"
        else:
            said = f"a server runs at {server.host}:{server.port}"
        async with Fleet(client) as fleet:
            return [Check("adb", "ok", said), *await check_devices(fleet, server.usb_wait_s)]
    finally:
        await server.stop()


async def check_devices(fleet: Fleet, wait_s: float = 0.0) -> list[Check]:
    """Check each phone that the adb server knows, by a screenshot over its best route.

    Waits up to `wait_s` for a phone to appear: a server finds those on USB only after its start.
    """
    try:
        await fleet.wait_for_any(wait_s)
        phones = await fleet.phones()
    except AppError as exc:
        return [_problem("device", exc)]
    if not phones:
        return [_problem("device", DeviceNotFound("no phone is connected"))]
    ready = [phone for phone in phones if phone.state == READY]
    checks = [await _check_device(fleet, phone, other_ready=bool(ready)) for phone in phones]
    if len(ready) > 1:
        names = ", ".join(phone.serial for phone in ready)
        hint = "Name one with every task: its `device`."
        checks.append(Check("device", "warning", f"{len(ready)} are ready: {names}", hint))
    return checks


async def _check_device(fleet: Fleet, phone: Phone, *, other_ready: bool) -> Check:
    try:
        device = await fleet.get(phone.serial)
    except AppError as exc:
        # One unusable phone is not a problem while another one is usable.
        return Check("device", "warning" if other_ready else "problem", exc.message, exc.hint)
    try:
        frame = await device.screenshot()
    except AppError as exc:
        return _problem("device", exc)
    said = (
        f"{phone.serial} ({phone.model or 'unknown model'}), {frame.width} x {frame.height} pixels"
    )
    if len(phone.routes) > 1:
        said += f", also reached as {', '.join(route.serial for route in phone.routes[1:])}"
    if frame.is_black():
        hint = "Wake it up, and close apps that forbid screenshots."
        return Check("device", "warning", f"{said}, but its screen is black", hint)
    return Check("device", "ok", said)


# -- engine and model


async def check_engine(settings: EngineSettings) -> list[Check]:
    """Check the engine that would be used, and the files that it would load."""
    try:
        kind = launch.choose_kind(settings)
        if kind is EngineKind.REMOTE:
            key = settings.api_key.get_secret_value()
            await check_remote(api_base(settings.url), key, settings.alias)
            return [Check("engine", "ok", f"remote, answers at {settings.url}")]
    except AppError as exc:
        return [_problem("engine", exc)]
    find: Callable[[EngineSettings], Awaitable[list[Check]]]
    find = _check_llama_server if kind is EngineKind.LLAMA_SERVER else _check_embedded
    checks = [*await find(settings), *await asyncio.to_thread(check_models, settings)]
    checks += check_slots(settings)
    if settings.port:
        try:
            launch.claim_port(settings.port)
        except AppError as exc:
            checks.append(_problem("engine port", exc))
    return checks


async def _check_llama_server(settings: EngineSettings) -> list[Check]:
    binary = launch.find_binary(settings)
    assert binary is not None  # choose_kind() ensures it
    code, output = await _run(binary, "--version")
    if code != 0:
        hint = "Install llama.cpp again, or use engine.kind = 'embedded'."
        return [Check("engine", "problem", f"{binary} does not run: {_last_line(output)}", hint)]
    version = next((line for line in output.splitlines() if "version" in line), "")
    return [Check("engine", "ok", f"{binary} {version}".rstrip()), *await _check_gpus(binary)]


async def _check_gpus(binary: str) -> list[Check]:
    """Check that a llama-server sees the GPUs of this computer."""
    _, output = await _run(binary, "--list-devices")
    devices = listed_devices(output)
    if devices is None:
        return []
    if devices:
        seen = ", ".join(f"{d.name} ({d.description}, {d.free_mib} MiB free)" for d in devices)
        return [Check("gpu", "ok", seen)]
    if unused := await find_gpus():
        said = f"this llama-server does not see {', '.join(gpu.name for gpu in unused)}"
        hint = "Its model would run on the CPU: install a build of llama.cpp with CUDA or Vulkan."
        return [Check("gpu", "warning", said, hint)]
    return [Check("gpu", "ok", "none: the model runs on the CPU")]


async def _check_embedded(settings: EngineSettings) -> list[Check]:
    if importlib.util.find_spec("xllamacpp") is None:
        hint = "Install it with `pip install xllamacpp`, or install llama.cpp's llama-server."
        return [Check("engine", "problem", "the wheel xllamacpp is not installed", hint)]
    # In a separate process: a wheel for another processor crashes the process that imports it.
    code, output = await _run(sys.executable, "-P", "-c", "import xllamacpp")
    if code != 0:
        hint = "Read the message: on Linux it is often a missing library, e.g. libgomp1."
        said = f"xllamacpp cannot be loaded: {_last_line(output) or f'exit code {code}'}"
        return [Check("engine", "problem", said, hint)]
    return [Check("engine", "ok", "embedded: llama.cpp in the wheel xllamacpp, on the CPU")]


async def _run(*argv: str) -> tuple[int, str]:
    """Return (exit code, output) of a program that ends by itself; -1 if it takes too long."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as exc:
        return -1, str(exc)
    try:
        async with asyncio.timeout(PROGRAM_S):
            output = await _said(process)
    except TimeoutError:
        return -1, f"no end within {PROGRAM_S:g} s"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output.decode("utf-8", "replace")


async def _said(process: asyncio.subprocess.Process) -> bytes:
    """Return a program's output; only the end of it if it is too long."""
    assert process.stdout is not None
    said = b""
    while chunk := await process.stdout.read(MAX_OUTPUT_BYTES):
        said = (said + chunk)[-MAX_OUTPUT_BYTES:]
    await process.wait()
    return said


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""


def check_slots(settings: EngineSettings) -> list[Check]:
    """Check that a step fits into the part of the context that each of several slots has."""
    if settings.parallel == 1:
        return []
    part = settings.context // settings.parallel
    picture = image_tokens(*SCREEN, settings.image_max_tokens)
    said = f"{settings.parallel} slots of {part} tokens each"
    if part >= picture + STEP_TOKENS:
        return [Check("slots", "ok", said)]
    hint = (
        f"A screenshot of {SCREEN[0]}x{SCREEN[1]} takes {picture} tokens, the text of a step up to "
        f"{STEP_TOKENS}. Raise engine.context, or lower engine.parallel or engine.image_max_tokens."
    )
    return [Check("slots", "warning", f"{said} are too few for a step", hint)]


def check_models(settings: EngineSettings) -> list[Check]:
    """Check that the model and its projector exist, are GGUF files, and belong together."""
    if settings.model is None and (missing := settings.missing_model):
        said = f"{missing.name} is not installed"
        return [Check("model", "problem", said, f"Get it: {missing.command}.")]
    if settings.model is None:
        hint = "Set engine.model and engine.mmproj, or try the shipped model: --config demo."
        return [Check("model", "problem", "no model is configured", hint)]
    checks = [_check_file("model", settings.model)]
    if settings.mmproj is None:
        hint = "Set engine.mmproj to the model's vision projector."
        checks.append(Check("projector", "problem", "none: the model would be blind", hint))
    else:
        checks.append(_check_file("projector", settings.mmproj))
        if all(check.status == "ok" for check in checks):
            checks += _check_pair(settings.model, settings.mmproj)
    return checks


def _check_file(name: str, path: Path) -> Check:
    is_model = name == "model"
    try:
        path = first_part(path) if is_model else path
        check_gguf(path, "engine.model" if is_model else "engine.mmproj")
        header = read_model(path) if is_model else read_header(path)
        size = model_size(path) if is_model else path.stat().st_size
    except AppError as exc:
        return _problem(name, exc)
    if is_model is (header.architecture == PROJECTOR):
        what = "a vision projector, not a model" if is_model else "no vision projector"
        hint = "Check engine.model and engine.mmproj: they may be swapped."
        return Check(name, "problem", f"{path} is {what}", hint)
    said = f"{path} ({one_line(header.architecture, 40)}, {size / 1e6:.0f} MB)"
    if header.unknown_types:
        hint = "Its types of tensors are newer than phonepilot; the engine may know them."
        return Check(name, "warning", f"{said}: {', '.join(header.unknown_types)}", hint)
    return Check(name, "ok", said)


def _check_pair(model: Path, mmproj: Path) -> list[Check]:
    text, vision = read_model(model).metadata, read_header(mmproj).metadata
    wide = text.get(f"{text.get('general.architecture')}.embedding_length")
    projected = vision.get("clip.vision.projection_dim")
    if wide == projected or None in (wide, projected):
        return []
    said = f"the model is {wide} wide and the projector {projected}: they may be no pair"
    return [Check("projector", "warning", said, "Take both files from the same place.")]


# -- disk and ports


def check_disk(data_dir: Path) -> Check:
    """Check the space for the database and the screenshots, in the folder or where it would be."""
    folder = data_dir.absolute()
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        hint = "Set service.data_dir to a folder of your own."
        return Check("disk", "problem", f"{data_dir} cannot be written", hint)
    free = shutil.disk_usage(folder).free
    said = f"{free / GIB:.1f} GiB free for {data_dir}"
    hint = "Make room, set service.data_dir elsewhere, or service.keep_screenshots = false."
    if free < FREE_NEEDED:
        return Check("disk", "problem", said, hint)
    if free < FREE_WANTED:
        return Check("disk", "warning", said, hint)
    return Check("disk", "ok", said)


def check_owner(data_dir: Path) -> Check:
    """Check whether a service already uses the data folder."""
    if busy := owner_of(data_dir):
        return Check("data folder", "warning", busy.message, busy.hint)
    return Check("data folder", "ok", "no service uses it now")


def check_tokens(settings: Settings) -> Check:
    """Check that a service that others can reach has a token."""
    try:
        check_access(settings)
    except ConfigError as exc:
        return _problem("access", exc)
    if not needs_token(settings.service):
        return Check("access", "ok", "this computer only, no token needed")
    return Check("access", "ok", f"{len(Tokens(settings.tokens_file).all())} tokens")


async def check_port(settings: ServiceSettings) -> Check:
    """Check the service's port: free, or used by a phonepilot that is already running."""
    if settings.port and (version := await _phonepilot_at(settings)):
        return Check("port", "ok", f"{settings.port}: phonepilot {version} already runs there")
    try:
        open_socket(settings.host, settings.port).close()
    except ConfigError as exc:
        return _problem("port", exc)
    return Check("port", "ok", f"{settings.port or 'any'} is free on {settings.host}")


async def _phonepilot_at(settings: ServiceSettings) -> str | None:
    """Return the version of the phonepilot that answers at the address, or None."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    try:
        async with httpx.AsyncClient(timeout=HTTP_S, trust_env=False) as http:
            url = f"http://{host}:{settings.port}/healthz"
            async with asyncio.timeout(HTTP_S), http.stream("GET", url, headers=IDENTITY) as said:
                answer = json.loads(await read_whole(said, MAX_HEALTH_BYTES))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError, TimeoutError):
        return None
    version = answer.get("version") if isinstance(answer, dict) else None
    return version if isinstance(version, str) else None
