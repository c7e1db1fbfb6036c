"""The command `phonepilot bench`."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.cli.options import Config, Json, pixels, run_to_end
from app.cli.phones import with_fleet
from app.cli.show import Terminal, print_json, shown

if TYPE_CHECKING:
    from app.adb.fleet import Fleet
    from app.bench.device import Row
    from app.bench.phases import Costs
    from app.bench.throughput import Throughput

bench_app = typer.Typer(help="Measure.", no_args_is_help=True, rich_markup_mode="markdown")


@bench_app.command("device", epilog="Example: `phonepilot bench device --serial R58M123 --json`")
def bench_device(
    serial: Annotated[str | None, typer.Option(help="Which phone, if several.")] = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help="Rounds of each operation.")] = 20,
    type_: Annotated[
        bool, typer.Option("--type", help="Type too, into the field that has the keyboard.")
    ] = False,
    control: Annotated[
        str | None,
        typer.Option(help="Control port of a virtual phone, http://...: tells its work apart."),
    ] = None,
    control_token_env: Annotated[
        str, typer.Option(metavar="NAME", help="Environment variable with its token.")
    ] = "PHONEPILOT_CONTROL_TOKEN",
    config: Config = None,
    json_: Json = False,
) -> None:
    """Measure how long a phone takes, and how long by spawning adb. Taps the status bar."""
    from dataclasses import asdict

    from app.settings import load_settings

    binary = load_settings(config or ()).adb.binary
    told = (control, os.environ.get(control_token_env, "")) if control else None

    async def work(fleet: Fleet) -> tuple[str, list[Row]]:
        return await _bench(fleet, binary, serial, count, type_, told)

    serial, rows = run_to_end(with_fleet(config, work))
    if json_:
        print_json({"serial": serial, "count": count, "rows": [asdict(row) for row in rows]})
        return
    terminal = Terminal()
    head = f"{'ms':<32}{'median':>9}{'p95':>9}{'spawned':>9}{'p95':>9}{'ratio':>8}"
    if control:
        head += f"{'phone':>9}{'p95':>9}{'overhead':>10}{'p95':>9}"
    terminal.say(f"[bold]{head}[/]")
    for row in rows:
        ours, spawned = row.ours, row.spawned
        line = (
            f"{row.name:<32}{ours.median_ms:>9.1f}{ours.p95_ms:>9.1f}"
            f"{spawned.median_ms:>9.1f}{spawned.p95_ms:>9.1f}{row.ratio:>8.2f}"
        )
        if row.phone and row.overhead:
            line += f"{row.phone.median_ms:>9.1f}{row.phone.p95_ms:>9.1f}"
            line += f"{row.overhead.median_ms:>10.1f}{row.overhead.p95_ms:>9.1f}"
        terminal.say(line)


async def _bench(
    fleet: Fleet,
    binary: str,
    serial: str | None,
    count: int,
    type_text: bool,
    control: tuple[str, str] | None,
) -> tuple[str, list[Row]]:
    from app.adb.server import find_binary
    from app.bench.device import WARNING, AdbProgram, PhoneWork, measure

    def tell(line: str) -> None:
        typer.echo(line, err=True)

    device = await fleet.choose(serial)
    tell(WARNING)
    adb = AdbProgram(find_binary(binary), *fleet.server_address, device.serial)
    async with contextlib.AsyncExitStack() as stack:
        work = await stack.enter_async_context(PhoneWork(*control)) if control else None
        rows = await measure(device, adb, count, type_text=type_text, work=work, progress=tell)
    return device.serial, rows


@bench_app.command(
    "overhead", epilog="Examples: `phonepilot bench overhead`, `phonepilot bench overhead --json`"
)
def bench_overhead(
    count: Annotated[int, typer.Option(min=1, max=1000, help="Steps of each kind.")] = 30,
    json_: Json = False,
) -> None:
    """Measure phonepilot's own share of a step, on a virtual phone with a stub engine."""
    from dataclasses import asdict

    from app.bench.overhead import measure

    kinds: tuple[Literal["tap", "type"], ...] = ("tap", "type")
    tables = {kind: run_to_end(measure(kind, count)) for kind in kinds}
    if json_:
        print_json(
            {"count": count, "rows": {k: [asdict(r) for r in rows] for k, rows in tables.items()}}
        )
        return
    terminal = Terminal()
    for kind, rows in tables.items():
        head = f"{'ms, ' + kind:<12}{'ours':>9}{'p95':>9}{'phone and engine':>19}{'p95':>9}"
        terminal.say(f"[bold]{head}[/]")
        for row in rows:
            ours, theirs = row.ours, row.theirs
            terminal.say(
                f"{row.name:<12}{ours.median_ms:>9.1f}{ours.p95_ms:>9.1f}"
                f"{theirs.median_ms:>19.1f}{theirs.p95_ms:>9.1f}"
            )


@bench_app.command(
    "taps",
    epilog="Examples: `phonepilot bench taps -c demo`, "
    "`phonepilot bench taps -c rtx-4060-8gb --count 200 --save misses`",
)
def bench_taps(
    config: Config = None,
    count: Annotated[int, typer.Option(min=1, max=10_000, help="Targets to ask for.")] = 50,
    save: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for pictures of what missed.")
    ] = None,
    json_: Json = False,
) -> None:
    """Measure how precisely a model taps: known places on drawn screens, requested as in a task."""
    from dataclasses import asdict

    from app.bench.taps import Figures, by_kind, measure, model_name
    from app.settings import load_settings

    settings = load_settings(config or ())

    def tell(line: str) -> None:
        typer.echo(line, err=True)

    answers = run_to_end(measure(settings, count, save=save, progress=tell))
    kinds = {**by_kind(answers), "all": Figures.of(answers)}
    if json_:
        figures = {kind: asdict(each) for kind, each in kinds.items()}
        rows = [asdict(answer) for answer in answers]
        print_json({"model": model_name(settings), "figures": figures, "rows": rows})
        return
    terminal = Terminal()
    names = ("asked", "hits", "unreadable", "no tap", "error", "p95", "bias x", "bias y", "ms")
    head = "".join(f"{name:>11}" for name in names)
    terminal.say(f"[bold]{'':<8}{head}[/]")
    for kind, each in kinds.items():
        cells = "".join(f"{'-' if value is None else value:>11}" for value in asdict(each).values())
        terminal.say(f"{kind:<8}{cells}")
    terminal.say("[dim]error and bias: thousandths of the screen; right and down are positive[/]")


@bench_app.command(
    "engine",
    epilog="Examples: `phonepilot bench engine -c demo`, "
    "`phonepilot bench engine -c rtx-4060-8gb --spec ngram`",
)
def bench_engine(
    config: Config = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help="Requests each way.")] = 20,
    tokens: Annotated[int, typer.Option(min=2, max=3000, help="Tokens of a reply at most.")] = 128,
    spec: Annotated[
        Literal["ngram"] | None,
        typer.Option(help="Measure without and with this speculation."),
    ] = None,
    screen: Annotated[
        str, typer.Option(help="Pixels of the phone whose steps are measured.")
    ] = "1080x2400",
    json_: Json = False,
) -> None:
    """Measure what a step costs by phase, and tokens per second through phonepilot's client and by
    raw calls with the same bytes. For a remote engine other than llama.cpp, only the step is
    measured."""
    from dataclasses import asdict

    from app.bench.phases import step_costs
    from app.bench.taps import model_name
    from app.bench.throughput import measure
    from app.errors import EngineRequestFailed
    from app.llm.launch import choose_kind
    from app.llm.status import EngineKind
    from app.settings import load_settings

    settings, why = load_settings(config or ()), ""
    ways: list[Throughput] = []
    try:
        ways = run_to_end(measure(settings, count, tokens, spec=spec is not None))
    except EngineRequestFailed as exc:  # one that counts no tokens, or refuses llama.cpp's fields
        if choose_kind(settings.engine) is not EngineKind.REMOTE:
            raise
        why = exc.message
    found = dict(zip(("plain", "ngram"), ways, strict=False))
    costs = run_to_end(step_costs(settings, pixels(screen), tokens))
    if json_:
        each: dict[str, object] = {name: asdict(one) for name, one in found.items()}
        each |= {"no_throughput": why} if why else {}
        steps = {"screen": screen, **asdict(costs)}
        print_json({"model": model_name(settings), "count": count, **each, "step": steps})
        return
    terminal = Terminal()
    head = f"{'tokens/s':<12}{'prompt':>10}{'raw':>10}{'ratio':>8}"
    if why:
        terminal.say(f"[dim]no tokens/s: {shown(why)}[/]")
    else:
        terminal.say(f"[bold]{head}{'reply':>10}{'raw':>10}{'ratio':>8}[/]")
    for name, one in found.items():
        terminal.say(
            f"{name:<12}{one.ours.prompt:>10.1f}{one.raw.prompt:>10.1f}{one.prompt_ratio:>8.3f}"
            f"{one.ours.generation:>10.1f}{one.raw.generation:>10.1f}{one.generation_ratio:>8.3f}"
        )
    if "ngram" in found:
        ours = found["ngram"].ours
        drafted, accepted = ours.drafted, ours.accepted
        gain = ours.generation / found["plain"].ours.generation
        terminal.say(
            f"[dim]ngram: {gain:.2f} times as fast; {accepted} of {drafted} drafted tokens taken[/]"
        )
    _say_costs(terminal, costs, screen)


def _say_costs(terminal: Terminal, costs: Costs, screen: str) -> None:
    head = f"{'ms of a step':<14}{'vision':>10}{'prompt':>10}{'decode':>10}{'together':>10}"
    terminal.say(f"\n[bold]{head}[/]")
    for name, step in (("first", costs.first), ("later", costs.later)):
        phases = (step.vision, step.prompt, step.decode)
        marks = {"measured": "", "computed": "~"}
        cells = "".join(
            f"{marks[phase.how] + format(phase.ms, '.1f') if phase.how in marks else '-':>10}"
            for phase in phases
        )
        terminal.say(f"{name:<14}{cells}{step.total_ms:>10.1f}")
        terminal.say(f"[dim]{'  tokens':<14}{''.join(f'{p.tokens:>10}' for p in phases)}[/]")
    terminal.say(
        f"[dim]screen {screen}; ~ is computed: a request with the picture less its tokens at the "
        "pace of text[/]"
    )


@bench_app.command(
    "load", epilog="Example: `phonepilot bench load --phones 1 --phones 32 --tasks 200`"
)
def bench_load(
    phones: Annotated[
        list[int] | None, typer.Option(min=1, max=256, help="How many; may be repeated.")
    ] = None,
    tasks: Annotated[int, typer.Option(min=1, max=10_000, help="Tasks in all.")] = 40,
    steps: Annotated[int, typer.Option(min=2, max=100, help="Steps of each task.")] = 10,
    json_: Json = False,
) -> None:
    """Measure the service's cost of a step when many virtual phones work at once."""
    from dataclasses import asdict

    from app.bench.load import measure

    def tell(line: str) -> None:
        typer.echo(line, err=True)

    rows = [run_to_end(measure(count, tasks, steps, tell)) for count in phones or [1, 8]]
    if json_:
        print_json({"rows": [asdict(row) for row in rows]})
        return
    terminal = Terminal()
    names = ("phones", "tasks", "steps", "s", "succeeded", "CPU ms/step", "MiB", "half", "end")
    terminal.say(f"[bold]{''.join(f'{name:>12}' for name in names)}[/]")
    for row in rows:
        terminal.say("".join(f"{value:>12}" for value in asdict(row).values()))


@bench_app.command("passthrough", epilog="Example: `phonepilot bench passthrough --streams 8`")
def bench_passthrough(
    streams: Annotated[int, typer.Option(min=1, max=64, help="Streams at once.")] = 8,
    count: Annotated[int, typer.Option(min=1, max=1000, help="Single calls each way.")] = 50,
    json_: Json = False,
) -> None:
    """Measure what /v1 adds to a direct call to the engine, a stub with realistic speed."""
    from dataclasses import asdict

    from app.bench.passthrough import measure

    found = run_to_end(measure(streams, count))
    if json_:
        print_json({"streams": streams, "count": count, **asdict(found)})
        return
    terminal = Terminal()
    terminal.say(f"[bold]{'':<28}{'direct':>10}{'through':>10}{'':>4}[/]")
    terminal.say(
        f"{'first byte, ms':<28}{found.first_direct:>10.2f}{found.first_through:>10.2f}"
        f"    {found.added_ms:+.2f} ms"
    )
    terminal.say(
        f"{f'tokens/s of {streams} streams':<28}{found.pace_direct:>10.1f}"
        f"{found.pace_through:>10.1f}    ratio {found.ratio:.3f}"
    )


@bench_app.command("reading", epilog="Example: `phonepilot bench reading --pieces 3000`")
def bench_reading(
    pieces: Annotated[int, typer.Option(min=8, max=50_000, help="Of the longest reply.")] = 3_000,
    dialect: Annotated[str, typer.Option(help="Of profile.dialect.")] = "autoglm",
    json_: Json = False,
) -> None:
    """Measure the cost of parsing a reply while it streams in, by its length."""
    from dataclasses import asdict

    from app.bench.reading import reading_costs

    rows = reading_costs(pieces, dialect)
    if json_:
        print_json({"rows": [asdict(row) for row in rows]})
        return
    terminal = Terminal()
    terminal.say(f"[bold]{'reply':<30}{'pieces':>8}{'characters':>12}{'ms':>9}{'worst ms':>10}[/]")
    for row in rows:
        terminal.say(
            f"{row.kind:<30}{row.pieces:>8}{row.characters:>12}"
            f"{row.total_ms:>9.1f}{row.worst_ms:>10.1f}"
        )


@bench_app.command("bodies", epilog="Example: `phonepilot bench bodies --mib 32`")
def bench_bodies(
    mib: Annotated[int, typer.Option(min=1, max=32, help="Of each body.")] = 32,
    json_: Json = False,
) -> None:
    """Measure what large requests to /v1 cost: how long others wait meanwhile, and memory."""
    from dataclasses import asdict

    from app.bench.bodies import measure

    rows = run_to_end(measure(mib))
    if json_:
        print_json({"rows": [asdict(row) for row in rows]})
        return
    terminal = Terminal()
    names = ("MiB", "status", "s", "waited ms", "memory MiB", "times")
    terminal.say(f"[bold]{'body':<20}{''.join(f'{name:>12}' for name in names)}[/]")
    for row in rows:
        kind, *values = asdict(row).values()
        terminal.say(f"{kind:<20}{''.join(f'{value:>12}' for value in values)}")


@bench_app.command(
    "watchers", epilog="Example: `phonepilot bench watchers --watchers 100 --followers 300`"
)
def bench_watchers(
    watchers: Annotated[
        int, typer.Option(min=0, max=1000, help="Streams of the screen, in four sizes.")
    ] = 100,
    followers: Annotated[
        int, typer.Option(min=0, max=2000, help="Streams of events, idle meanwhile.")
    ] = 300,
    steps: Annotated[int, typer.Option(min=5, max=100, help="Steps of each task.")] = 40,
    json_: Json = False,
) -> None:
    """Measure what many viewers cost a task: the time of its steps with and without them."""
    from dataclasses import asdict

    from app.bench.watchers import measure

    def tell(line: str) -> None:
        typer.echo(line, err=True)

    rows = run_to_end(measure(watchers, followers, steps, tell))
    if json_:
        print_json({"rows": [asdict(row) for row in rows]})
        return
    terminal = Terminal()
    names = ("watchers", "followers", "steps", "ms a step", "shots", "times")
    terminal.say(f"[bold]{''.join(f'{name:>12}' for name in names)}[/]")
    for row in rows:
        terminal.say("".join(f"{value:>12}" for value in asdict(row).values()))


@bench_app.command("backlog", epilog="Example: `phonepilot bench backlog --tasks 10000`")
def bench_backlog(
    tasks: Annotated[int, typer.Option(min=1, max=100_000, help="Tasks that wait.")] = 10_000,
    json_: Json = False,
) -> None:
    """Measure what a long queue costs the service at start and stop."""
    from dataclasses import asdict

    from app.bench.backlog import measure

    rows = [run_to_end(measure(waiting)) for waiting in (0, tasks)]
    if json_:
        print_json({"rows": [asdict(row) for row in rows]})
        return
    terminal = Terminal()
    names = ("waiting", "start, s", "submit, s", "stop, s")
    terminal.say(f"[bold]{''.join(f'{name:>12}' for name in names)}[/]")
    for row in rows:
        terminal.say("".join(f"{value:>12}" for value in asdict(row).values()))
