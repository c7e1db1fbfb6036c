"""The command `phonepilot tasks`: shows the service's tasks, and controls them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from app.cli.options import SERVICE_URL, Json, Url, run_to_end
from app.cli.show import Terminal, print_json, question_lines, shown

tasks_app = typer.Typer(
    help="List tasks, answer their questions, pause, resume, cancel and delete them.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
TaskId = Annotated[str, typer.Argument(metavar="ID", help="As in `phonepilot tasks list`.")]


async def _get(url: str, path: str) -> dict[str, Any]:
    from app.client import ServiceClient

    async with ServiceClient(url) as service:
        return await service.get(path)


async def _post(url: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    from app.client import ServiceClient

    async with ServiceClient(url) as service:
        return await service.post(path, body)


async def _delete(url: str, path: str) -> None:
    from app.client import ServiceClient

    async with ServiceClient(url) as service:
        await service.delete(path)


def _path(task_id: str, *rest: str) -> str:
    return "/".join(["/tasks", quote(task_id, safe=""), *rest])


@tasks_app.command("list", epilog="Example: `phonepilot tasks list --limit 5`")
def list_tasks(
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many, newest first.")] = 20,
    url: Url = SERVICE_URL,
    json_: Json = False,
) -> None:
    """List the last tasks, newest first."""
    answer = run_to_end(_get(url, f"/tasks?limit={limit}"))
    if json_:
        print_json(answer)
        return
    terminal = Terminal()
    for task in answer["tasks"]:
        terminal.say(f"{shown(task['id'])}  {shown(task['status']):<19} {shown(task['goal'])}")
        if task["question"]:
            terminal.say(f"{'':>18}[yellow]?[/] {shown(task['question']['text'])}")
    if not answer["tasks"]:
        terminal.say("No task yet. Give one with `phonepilot run`.")


@tasks_app.command(epilog="Example: `phonepilot tasks show 0123456789abcdef --json`")
def show(task_id: TaskId, url: Url = SERVICE_URL, json_: Json = False) -> None:
    """Show a task with its steps and its open question."""
    task = run_to_end(_get(url, _path(task_id)))
    steps = run_to_end(_get(url, _path(task_id, "steps")))["steps"]
    if json_:
        print_json({**task, "steps": steps})
        return
    terminal = Terminal()
    terminal.say(f"[bold]{shown(task['goal'])}[/]")
    for step in steps:
        terminal.show_step(step)
    _say(task)


@tasks_app.command(
    epilog="Examples: `phonepilot tasks reply ID --allow`, "
    "`phonepilot tasks reply ID --refuse --text 'Take the other one'`"
)
def reply(
    task_id: TaskId,
    allow: Annotated[
        bool, typer.Option("--allow/--refuse", help="Yes, done, go on; or no.", show_default=False)
    ],
    text: Annotated[str, typer.Option(help="A word to the model, or the answer itself.")] = "",
    question: Annotated[
        int | None, typer.Option(help="Number of the question; refused if another one is open.")
    ] = None,
    url: Url = SERVICE_URL,
    json_: Json = False,
) -> None:
    """Answer a task's question."""
    body: dict[str, Any] = {"allow": allow, "text": text}
    if question is not None:
        body["question"] = question
    _tell(run_to_end(_post(url, _path(task_id, "reply"), body)), "Answered.", json_)


@tasks_app.command(epilog="Example: `phonepilot tasks pause ID`")
def pause(task_id: TaskId, url: Url = SERVICE_URL, json_: Json = False) -> None:
    """Pause a task; returns once nothing acts on its phone any more."""
    _tell(run_to_end(_post(url, _path(task_id, "pause"))), "Paused.", json_)


@tasks_app.command(epilog="Example: `phonepilot tasks resume ID`")
def resume(task_id: TaskId, url: Url = SERVICE_URL, json_: Json = False) -> None:
    """Resume a paused task; it looks at the screen again first."""
    _tell(run_to_end(_post(url, _path(task_id, "resume"))), "It goes on.", json_)


@tasks_app.command(epilog="Example: `phonepilot tasks cancel ID`")
def cancel(task_id: TaskId, url: Url = SERVICE_URL, json_: Json = False) -> None:
    """Cancel a task; returns once nothing acts on its phone any more."""
    _tell(run_to_end(_post(url, _path(task_id, "cancel"))), "Cancelled.", json_)


@tasks_app.command(epilog="Example: `phonepilot tasks delete ID`")
def delete(task_id: TaskId, url: Url = SERVICE_URL, json_: Json = False) -> None:
    """Delete an ended task with its steps and screenshots permanently."""
    run_to_end(_delete(url, _path(task_id)))
    if json_:
        print_json({"deleted": task_id})
    else:
        Terminal().say("Deleted.")


@tasks_app.command(epilog="Example: `phonepilot tasks export ID --output task.zip`")
def export(
    task_id: TaskId,
    output: Annotated[Path | None, typer.Option(help="Default: phonepilot-ID.zip, here.")] = None,
    url: Url = SERVICE_URL,
    json_: Json = False,
) -> None:
    """Save a task as one zip: records, screenshots, and a page that replays it."""
    target = output or Path(f"phonepilot-{Path(task_id).name}.zip")
    size = run_to_end(_download(url, _path(task_id, "export"), target))
    if json_:
        print_json({"file": str(target), "bytes": size})
    else:
        Terminal().say(f"{shown(str(target))}  {size / 1024:.0f} KiB")


async def _download(url: str, path: str, target: Path) -> int:
    from app.client import ServiceClient

    async with ServiceClient(url) as service:
        return await service.download(path, target)


def _tell(task: dict[str, Any], done: str, as_json: bool) -> None:
    if as_json:
        print_json(task)
    else:
        Terminal().say(done)


def _say(task: dict[str, Any]) -> None:
    terminal = Terminal()
    terminal.say(f"\n[bold]{shown(task['status'])}[/] {shown(task['message'])}")
    if task["error"] and task["error"]["hint"]:
        terminal.say(shown(task["error"]["hint"]))
    if question := task["question"]:
        for line in question_lines(question):
            terminal.say(line)
        terminal.say(f"  Answer: phonepilot tasks reply {shown(task['id'])} --allow or --refuse")
