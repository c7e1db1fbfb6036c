"""Compares an engine's computation with the checkpoint's: the same pictures and prompts in both.

The engine replies greedily and reports the probability of each token of its vocabulary;
transformers, run by a separate Python (`app/bench/reference.py`), reads that same reply after the
same picture and prompt. Differences come from quantising, or from a different computation.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import tempfile
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from app.agent.dialects import dialect_named
from app.agent.history import History
from app.agent.ports import Message
from app.agent.prompt import load_prompt
from app.bench.taps import FIRST_SEED
from app.bench.targets import targets
from app.errors import EngineRequestFailed, EngineUnreachable, ModelError
from app.http_client import bearer
from app.llm.address import server_root
from app.llm.checkpoint import Checkpoint
from app.llm.engine import Engine
from app.llm.log import LogRing
from app.llm.process import EngineProcess
from app.llm.refusal import refusal
from app.llm.tool import KILLED, LAST_LINES, Finished
from app.settings import EngineSettings, Settings

GOAL = 0.999
"""The correlation that a 16-bit file must reach; below it, something is computed differently."""
PICTURE = (532, 1204)
"""Pixels used if the profile uses the phone's own: a full screenshot takes minutes on a CPU. Whole
cells of 28, so that neither side resizes it: only the arithmetic is compared."""
REQUEST_S = 900.0
REFERENCE = Path(__file__).with_name("reference.py")
LINE = "phonepilot-agreement "
"""Prefix of each line of JSON that the reference prints."""
_ALL = 1 << 20
"""More tokens than any vocabulary has."""
_ASCII = "root ::= [ -~]+"
"""A grammar. llama.cpp reports nothing for tokens that are half a character, which an untrained
model may write; a grammar changes its choices, but not the probabilities that it reports."""
STOP_S = 1.0

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Agreement:
    """The agreement of one file: correlations of its first tokens and of all, the worst and the
    median, and the number of places where engine and checkpoint would choose the same token."""

    model: str
    replies: int
    tokens: int
    first_worst: float
    first_median: float
    worst: float
    median: float
    same: int

    @classmethod
    def of(cls, model: str, told: Sequence[dict[str, Any]]) -> Agreement:
        """Compute the agreement from what the reference reported for each reply."""
        first = [reply["correlations"][0] for reply in told]
        every = [each for reply in told for each in reply["correlations"]]
        return cls(
            model=model,
            replies=len(told),
            tokens=len(every),
            first_worst=round(min(first), 5),
            first_median=round(statistics.median(first), 5),
            worst=round(min(every), 5),
            median=round(statistics.median(every), 5),
            same=sum(reply["same"] for reply in told),
        )

    @property
    def reaches_goal(self) -> bool:
        return self.first_worst >= GOAL


@dataclass(frozen=True)
class Question:
    """A request of a task's first step; `image` is "" for a model without vision."""

    messages: list[Message]
    image: str


@dataclass(frozen=True)
class Reply:
    """The engine's reply: the prompt as rendered by its template, with `marker` in place of the
    picture; the tokens that it read and wrote; and the file with the log-probabilities, one row of
    32-bit floats per written token, NaN where none was reported."""

    prompt: str
    marker: str
    image: str
    read: int
    tokens: list[int]
    told: str


async def measure(
    settings: Settings,
    models: Sequence[Path],
    mmproj: Path | None,
    checkpoint: Checkpoint,
    python: str,
    *,
    count: int,
    tokens: int,
    half: bool = False,
    progress: Progress = lambda line: None,
) -> list[Agreement]:
    """Return one row per model, from `count` replies of at most `tokens` tokens each.

    `python` is a program with torch and transformers; `half` makes it compute in 16 bits. Raises
    EngineError, and ModelError if the checkpoint is unreadable or reads other tokens than the
    engine.
    """
    with tempfile.TemporaryDirectory(prefix="phonepilot-check-") as name:
        folder = Path(name)
        questions = list(_questions(settings, count, folder if mmproj else None))
        replies: list[Reply] = []
        for number, model in enumerate(models):
            engine = _plain(settings.engine, model, mmproj)
            own = folder / str(number)
            own.mkdir()
            replies += await _ask(engine, questions, tokens, own, progress)
        progress("the checkpoint reads the same")
        job = folder / "job.json"
        _write(job, checkpoint, replies, half)
        told = await _read_by_checkpoint(python, job, len(replies))
    for reply, found in zip(replies, told, strict=True):
        if reply.read != found["prompt_tokens"]:
            raise ModelError(
                f"the engine reads a prompt as {reply.read} tokens, the checkpoint as "
                f"{found['prompt_tokens']}",
                "Tokenizer or picture are not the checkpoint's: were the files made of it?",
            )
    return [
        Agreement.of(model.name, told[number * count : (number + 1) * count])
        for number, model in enumerate(models)
    ]


def _questions(settings: Settings, count: int, pictures: Path | None) -> Iterator[Question]:
    """Yield questions as at the start of tasks: the profile's prompt, a screen, and a goal."""
    profile, lang = settings.profile, settings.agent.lang
    today = datetime.now().astimezone().date()
    dialect = dialect_named(profile.dialect)
    name = profile.prompt or dialect.prompt
    history = History(dialect, load_prompt(name, lang, today, settings.prompts_dir), "")
    size = (profile.image_width, profile.image_height) if profile.image_width else PICTURE
    for number, shown in enumerate(targets(count, FIRST_SEED, profile.prompt)):
        text = dialect.user_text(shown.goal(profile.prompt), shown.app, first=True)
        png = shown.frame.scaled_png(*size)
        messages = history.messages(text, png)
        if pictures is None:
            yield Question([messages[0], {"role": "user", "content": text}], "")
            continue
        image = pictures / f"{number}.png"
        image.write_bytes(png)
        yield Question(messages, str(image))


def _plain(engine: EngineSettings, model: Path, mmproj: Path | None) -> EngineSettings:
    """Return the settings without what would change the picture or the numbers. On a CPU,
    llama.cpp's flash attention accumulates in 16 bits: 0.996 instead of 1.000 for a tiny random
    model at 3000 tokens."""
    changes = {
        "model": model,
        "mmproj": mmproj,
        "parallel": 1,
        "image_min_tokens": 0,
        "image_max_tokens": 0,
        "cache_type_k": "f16",
        "cache_type_v": "f16",
        "flash_attention": "off",
    }
    return engine.model_copy(update=changes)


async def _ask(
    settings: EngineSettings,
    questions: Sequence[Question],
    tokens: int,
    folder: Path,
    progress: Progress,
) -> list[Reply]:
    assert settings.model is not None
    engine = Engine(settings)
    replies = []
    try:
        url = await engine.ensure_ready()
        async with httpx.AsyncClient(
            base_url=server_root(url),
            headers=bearer(engine.api_key()),
            timeout=REQUEST_S,
            trust_env=False,
        ) as http:
            props = await _json(http, "GET", "/props")
            marker = str(props.get("media_marker") or "")
            for number, question in enumerate(questions, 1):
                progress(f"{settings.model.name}: question {number} of {len(questions)}")
                file = folder / f"{number}.f32"
                replies.append(await _reply(http, question, tokens, marker, file))
    finally:
        await engine.aclose()
    return replies


async def _reply(
    http: httpx.AsyncClient, question: Question, tokens: int, marker: str, file: Path
) -> Reply:
    messages = {"messages": question.messages}
    prompt = str((await _json(http, "POST", "/apply-template", messages)).get("prompt", ""))
    if question.image and (not marker or marker not in prompt):
        raise EngineRequestFailed(
            "the engine does not report where the picture is in its prompt",
            "This check needs a llama.cpp of 2026: engine.kind llama-server or embedded.",
        )
    body = messages | {
        "max_tokens": tokens,
        "temperature": 0.0,
        "logprobs": True,
        "top_logprobs": _ALL,
        "cache_prompt": False,
        "reasoning_format": "none",
    }
    answer = await _json(http, "POST", "/v1/chat/completions", body)
    if not _told_places(answer):
        answer = await _json(http, "POST", "/v1/chat/completions", body | {"grammar": _ASCII})
    return _kept(answer, prompt, marker if question.image else "", question.image, file)


def _kept(answer: dict[str, Any], prompt: str, marker: str, image: str, file: Path) -> Reply:
    """Return the response without the probabilities, which are written to `file`."""
    places = _told_places(answer)
    try:
        tokens = [int(place["id"]) for place in places]
        width = 1 + max(each["id"] for place in places for each in place["top_logprobs"])
        told = array("f", [math.nan]) * (width * len(places))
        for row, place in enumerate(places):
            for each in place["top_logprobs"]:
                told[row * width + each["id"]] = each["logprob"]
        read = int(answer["usage"]["prompt_tokens"])
    except (KeyError, TypeError, ValueError) as exc:
        raise EngineRequestFailed(
            "the engine does not report token probabilities",
            "This check needs a llama.cpp of 2026: engine.kind llama-server or embedded.",
        ) from exc
    file.write_bytes(told.tobytes())
    return Reply(prompt, marker, image, read, tokens, str(file))


def _told_places(answer: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        return list(answer["choices"][0]["logprobs"]["content"])
    except (KeyError, IndexError, TypeError):
        return []


async def _json(
    http: httpx.AsyncClient, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    try:
        answer = await http.request(method, path, json=body)
    except httpx.HTTPError as exc:
        raise EngineUnreachable(f"the connection to the engine broke: {exc!r}") from exc
    if not answer.is_success:
        raise refusal(answer.status_code, answer.content)
    try:
        found = answer.json()
    except ValueError as exc:
        raise EngineRequestFailed(f"{path} answers no JSON") from exc
    return found if isinstance(found, dict) else {}


def _write(job: Path, checkpoint: Checkpoint, replies: Sequence[Reply], half: bool) -> None:
    whole = {
        "checkpoint": str(checkpoint.folder),
        "half": half,
        "replies": [vars(reply) for reply in replies],
    }
    job.write_text(json.dumps(whole), encoding="utf-8")


async def _read_by_checkpoint(python: str, job: Path, count: int) -> list[dict[str, Any]]:
    """Return the reference's result for each of `count` replies; it ends if this is cancelled."""
    found: list[dict[str, Any]] = []

    def line(text: str) -> None:
        if text.startswith(LINE):
            found.append(json.loads(text.removeprefix(LINE)))

    log = LogRing()
    process = await EngineProcess.start([python, "-P", str(REFERENCE), str(job)], log, line)
    try:
        code = await process.wait()
    finally:
        await process.stop(STOP_S)
    if code or len(found) != count:
        raise _failure(Finished(code, log.lines(LAST_LINES)))
    return found


def _failure(done: Finished) -> ModelError:
    module = re.search(r"No module named '([\w.]+)'", done.text)
    hint = "Its last lines tell."
    if module:
        what = f"the Python for the checkpoint lacks the package {module[1]}"
        hint = "Give one that has torch, transformers and pillow with --python."
    elif done.code in (126, 127):
        what, hint = "the Python for the checkpoint cannot be run", "Give another with --python."
    elif done.code == KILLED:
        what = "the checkpoint does not fit into this computer's memory"
        hint = "It takes 4 bytes for each parameter, with --half 2."
    else:
        what = f"transformers cannot read the checkpoint: {done.last}"
    return ModelError(what, hint, log_tail=done.tail)
