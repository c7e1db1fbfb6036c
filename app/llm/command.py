"""Engine settings to a command line. Pure: nothing is started or read here.

llama-server's flags come and go between builds, and an unknown one ends it at once. So the flags
are checked against the `--help` text of the very binary that will run.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.llm.parts import first_part
from app.settings import EngineSettings

LOOPBACK = "127.0.0.1"
URL_LINE = "phonepilot-engine-url "
"""What comes before the URL in the line with which the embedded engine says that it is up."""

KEY_VARIABLE = "LLAMA_API_KEY"
"""The environment variable of the key that an engine asks for. Other users can read a command line,
but not the environment of a process."""

SSE_PING_S = 5
"""Seconds of silence after which the engine sends an SSE comment; also how long it may take to
notice that a client has gone."""

TRACE = "4"
"""llama-server's verbosity for the lines about devices and layers; the default, 3, leaves them out
since 2026."""

NGRAM = "ngram-simple"
"""llama.cpp's speculation without a second model: what followed the same tokens earlier in the
conversation becomes a draft (common/speculative.cpp). It needs no memory."""
NGRAM_LOOKUP, NGRAM_DRAFT = 4, 4
"""Tokens that must be the same, and tokens that are drafted. With llama.cpp's own 12 and 48 one in
eight drafted tokens was right, with these two in three (docs/measurements/taps.md)."""
_REMOVED = "the argument has been removed"
"""What --help says of options that end llama-server when they are given."""
_OPTION_LINE = re.compile(r"^(-{1,2}[a-zA-Z][\w-]*(?:,\s+-{1,2}[a-zA-Z][\w-]*)*)", re.MULTILINE)

# Without these the engine would run something else than what was configured: never dropped.
_ESSENTIAL = frozenset({"--host", "--port", "--model", "--mmproj", "--ctx-size", "--parallel"})


_OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "--gpu-layers": ("--n-gpu-layers",),
    "--no-ui": ("--no-webui",),
    "--no-webui": ("--no-ui",),
    "--mmap": ("--load-mode mmap",),
    "--no-mmap": ("--load-mode none",),
    "--mlock": ("--load-mode mlock",),
    "--draft-max": ("--spec-draft-n-max",),
    "--draft-min": ("--spec-draft-n-min",),
    "--spec-ngram-simple-size-n": ("--spec-ngram-size-n",),
    "--spec-ngram-simple-size-m": ("--spec-ngram-size-m",),
}
"""What the same was called before or is called since (llama.cpp's arg.cpp, December 2025 to October
2026); the first one that the binary knows is taken."""


@dataclass(frozen=True)
class Command:
    """A command line, and what had to be left out of it."""

    argv: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def supported_flags(help_text: str) -> frozenset[str]:
    """The flags that a `llama-server --help` text documents and that still work; empty if it
    documents none."""
    # Before the first option, then by turns the flags of an option and what is said of it.
    _, *parts = _OPTION_LINE.split(help_text)
    return frozenset(
        flag.strip()
        for flags, said in zip(parts[::2], parts[1::2], strict=True)
        if _REMOVED not in said
        for flag in flags.split(",")
    )


def traces(help_text: str) -> bool:
    """Whether this build knows the verbosity `TRACE`, by its help text."""
    return f"{TRACE}: trace" in help_text


def llama_server_command(
    settings: EngineSettings,
    *,
    binary: str,
    port: int,
    threads: int,
    supported: frozenset[str] = frozenset(),
    trace: bool = False,
) -> Command:
    """The llama-server command line for `settings`.

    A flag that is not in `supported` is replaced by its other name, or dropped, with a warning; an
    empty set means unknown, and then everything is passed. The person's own `extra_args` are
    renamed likewise and never dropped: a mistake in them is theirs to see. `trace` asks for the log
    lines about devices and layers (see `traces`).
    """
    argv = [binary]
    warnings = []
    for flag, value in _flags(settings, port, threads):
        said = flag if value is None else f"{flag} {value}"
        other = _renamed(flag, supported)
        if other:
            warnings.append(f"this llama-server calls {flag} {other}")
        elif supported and flag not in supported and flag not in _ESSENTIAL:
            warnings.append(f"this llama-server does not know {said}; started without it")
            continue
        argv += [*(other or flag).split(), *([value] if value is not None else [])]
    if trace:
        argv += ["--verbosity", TRACE]
    for argument in settings.extra_args:
        other = _renamed(argument, supported)
        if other:
            warnings.append(f"this llama-server calls {argument} {other}")
        argv += other.split() if other else [argument]
    return Command(tuple(argv), tuple(warnings))


def _renamed(flag: str, supported: frozenset[str]) -> str:
    """The name under which the binary knows a flag that it does not know as it is, or ""."""
    if not supported or flag in supported:
        return ""
    names = _OTHER_NAMES.get(flag, ())
    return next((name for name in names if name.split()[0] in supported), "")


def _flags(settings: EngineSettings, port: int, threads: int) -> Iterator[tuple[str, str | None]]:
    yield "--host", LOOPBACK
    yield "--port", str(port)
    if settings.model is not None:
        yield "--model", str(first_part(settings.model))
    if settings.mmproj is not None:
        yield "--mmproj", str(settings.mmproj)
    if settings.alias:
        yield "--alias", settings.alias
    yield "--ctx-size", str(settings.context)
    yield "--parallel", str(settings.parallel)
    if settings.parallel > 1:
        # With one buffer for all slots, a request clears the slots that are idle, whose phones then
        # have their whole prompt computed again; and several that are full fail together.
        yield "--no-kv-unified", None
    yield "--threads", str(threads)
    if settings.gpu_layers != "auto":  # unset lets --fit choose; a number switches that off
        yield "--gpu-layers", str(settings.gpu_layers)
    elif settings.fit_target:
        yield "--fit-target", str(settings.fit_target)
    yield "--flash-attn", settings.flash_attention
    yield "--cache-type-k", settings.cache_type_k
    yield "--cache-type-v", settings.cache_type_v
    yield "--cache-ram", str(settings.cache_ram)
    if not settings.mmproj_offload:
        yield "--no-mmproj-offload", None
    for flag, value in (
        ("--image-min-tokens", settings.image_min_tokens),
        ("--image-max-tokens", settings.image_max_tokens),
        ("--batch-size", settings.batch),
        ("--ubatch-size", settings.ubatch),
        ("--sleep-idle-seconds", settings.idle_unload_s),
    ):
        if value:  # 0 is the engine's default
            yield flag, str(value)
    if settings.speculation == "ngram":
        yield "--spec-type", NGRAM
        yield "--spec-ngram-simple-size-n", str(NGRAM_LOOKUP)
        yield "--spec-ngram-simple-size-m", str(NGRAM_DRAFT)
    yield "--reasoning-format", "none"  # the agent reads <think> itself
    yield "--metrics", None
    yield "--no-ui", None
    yield "--cors-origins", "localhost"  # the default lets any web page talk to the engine
    yield "--sse-ping-interval", str(SSE_PING_S)
    yield "--log-colors", "off"


def embedded_command(settings: EngineSettings, *, threads: int) -> Command:
    """The command line of the embedded engine: its script and one JSON argument.

    Started as a file with `-P`, so it neither depends on the working directory nor imports the
    rest of phonepilot into the process that may be killed by an assertion in llama.cpp.
    """
    warnings: tuple[str, ...] = ()
    if settings.extra_args:
        warnings = ("engine.extra_args are for llama-server; the embedded engine ignores them",)
    script = str(Path(__file__).with_name("embedded.py"))
    options = json.dumps(embedded_options(settings, threads=threads), separators=(",", ":"))
    return Command((sys.executable, "-P", script, options), warnings)


def embedded_options(settings: EngineSettings, *, threads: int) -> dict[str, Any]:
    """What `embedded.py` reads; the keys are xllamacpp's field names where it has one."""
    return {
        "model": str(first_part(settings.model)) if settings.model else "",
        "mmproj": str(settings.mmproj or ""),
        "model_alias": settings.alias,
        "n_ctx": settings.context,
        "n_parallel": settings.parallel,
        "n_batch": settings.batch,
        "n_ubatch": settings.ubatch,
        "ngram": [NGRAM_LOOKUP, NGRAM_DRAFT] if settings.speculation == "ngram" else [],
        "n_gpu_layers": {"auto": -1, "all": 999}.get(str(settings.gpu_layers), settings.gpu_layers),
        "n_threads": threads,
        "image_min_tokens": settings.image_min_tokens,
        "image_max_tokens": settings.image_max_tokens,
        "cache_type_k": settings.cache_type_k,
        "cache_type_v": settings.cache_type_v,
        "cache_ram_mib": settings.cache_ram,
        "flash_attention": settings.flash_attention,
        "mmproj_use_gpu": settings.mmproj_offload,
        "sleep_idle_seconds": settings.idle_unload_s or -1,
        "sse_ping_interval": SSE_PING_S,
        "url_line": URL_LINE,
        "hostname": LOOPBACK,
        "port": settings.port,
    }
