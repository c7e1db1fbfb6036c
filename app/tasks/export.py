"""Writes a task as one zip file: a page that replays it, and its records for programs.

index.html        opens from the unpacked folder, without a server and without scripts
task.json         the task, as in GET /tasks/{id}
steps.jsonl       one step per line, as in GET /tasks/{id}/steps
chat.jsonl        one line per decided step: the turns that the model was given, for fine-tuning
screenshots/      N.jpg is what the model saw in step N
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import IO, Any

from app.agent.dialects.base import Conversation, Dialect, Exchange
from app.errors import PolicyError, ReplyTruncated
from app.tasks.models import Step, Task
from app.visible import visible

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #15181f; background: #f3f4f7; }
article { display: flex; gap: 1.2rem; background: #fff; border-radius: 14px; padding: 1rem;
          margin: 1rem 0; }
figure { position: relative; flex: none; margin: 0; }
figure img { display: block; width: 11rem; border-radius: 10px; }
figure b { position: absolute; width: 18px; height: 18px; margin: -9px; border-radius: 50%;
           border: 3px solid #ff6b13; box-sizing: border-box; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; color: #4c5361; }
.fault { color: #b3261e; }
@media (prefers-color-scheme: dark) { body { color: #e8eaf0; background: #0f1116; }
  article { background: #191c23; } pre { color: #a7aebb; } .fault { color: #ff9d94; } }
"""


def write_export(
    target: Path | IO[bytes],
    task: Task,
    steps: Sequence[Step],
    pictures: Mapping[int, Path],
    dialect: Dialect,
) -> None:
    """Write the zip file; `pictures` are the stored screenshots by step, `dialect` is the model's.
    A picture that is deleted meanwhile is left out. Raises OSError."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        there = {number for number, path in pictures.items() if _add(archive, number, path)}
        archive.writestr("task.json", task.model_dump_json(indent=1))
        archive.writestr("steps.jsonl", _lines(step.model_dump(mode="json") for step in steps))
        archive.writestr("chat.jsonl", _lines(_chat(task, steps, there, dialect)))
        archive.writestr("index.html", _page(task, steps, there))


def _add(archive: zipfile.ZipFile, number: int, path: Path) -> bool:
    """Add a screenshot to the archive; return False if it is missing."""
    try:
        jpeg = path.read_bytes()
    except FileNotFoundError:
        return False
    archive.writestr(_picture(number), jpeg, zipfile.ZIP_STORED)
    return True


def _lines(rows: Iterator[Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _picture(number: int) -> str:
    return f"screenshots/{number}.jpg"


def _chat(
    task: Task, steps: Sequence[Step], pictures: Collection[int], dialect: Dialect
) -> Iterator[dict[str, Any]]:
    """Yield each decision with all exchanges before it: the original texts, and one picture."""
    past: list[Exchange] = []
    for step in steps:
        try:
            decision = dialect.read(step.raw)
        except (PolicyError, ReplyTruncated):
            continue
        text = dialect.user_text(task.goal, step.app, first=not past)
        reply = dialect.assistant_text(decision.thought, decision.answer)
        kept = step.number in pictures
        picture = {"type": "image", "image": _picture(step.number)} if kept else None
        messages = dialect.messages(Conversation("", task.goal, past), text, picture)
        yield {"messages": [*messages, {"role": "assistant", "content": reply}]}
        past.append(Exchange(text, reply, step.summary))


def _page(task: Task, steps: Sequence[Step], pictures: Collection[int]) -> str:
    """Build the page. All texts are untrusted and escaped; there are no scripts, and the policy
    blocks them."""
    title = escape(task.goal)
    said = escape(f"{task.status}, {task.stop_reason or ''}: {task.message}")
    body = "".join(_article(step, step.number in pictures) for step in steps)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"<p>{said}</p><p>{escape(task.device)}, {escape(task.created_at.isoformat())}</p>"
        f"{body}</body></html>"
    )


def _article(step: Step, has_picture: bool) -> str:
    picture = ""
    if has_picture:
        picture = f'<figure><img src="{_picture(step.number)}" alt="Step {step.number}">'
        picture += "".join(_mark(step)) + "</figure>"
    fault = f'<p class="fault">{escape(step.error.message)}</p>' if step.error else ""
    remark = f"<p>{escape(step.remark)}</p>" if step.remark else ""
    return (
        f"<article>{picture}<div><h2>{step.number}. {escape(step.summary or 'No action')}</h2>"
        f"<p>{escape(step.thought)}</p>{fault}{remark}<pre>{escape(visible(step.raw))}</pre></div></article>"
    )


def _mark(step: Step) -> Iterator[str]:
    """Draw rings where the finger touched, in per cent of the picture."""
    for key in ("element", "start", "end"):
        point = (step.action or {}).get(key)
        if not isinstance(point, list | tuple) or len(point) != 2:
            continue
        x, y = point
        if isinstance(x, int | float) and isinstance(y, int | float):  # a row may be damaged
            x, y = x / 10, y / 10
            yield f'<b style="left:{x:.1f}%;top:{y:.1f}%"></b>'
