"""Who may import whom: the parts stay apart, and foreign libraries stay behind one door each."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOUNDATION = {
    "access_tokens",
    "background",
    "data_folder",
    "errors",
    "events",
    "glimpses",
    "http_client",
    "log",
    "orphan",
    "private",
    "proxies",
    "request_body",
    "settings",
    "visible",
    "__version__",
}
"""What every part may use; it uses nothing but itself."""

PARTS: dict[str, set[str]] = {
    # the three that touch the outside world know nothing of each other
    "adb": set(),
    "llm": set(),
    "virtual_phone": set(),
    # the spine: cli -> main -> models -> api -> tasks -> agent
    "agent": set(),
    "tasks": {"agent"},
    "api": {"agent.screen", "tasks"},
    "wiring": {"agent", "llm", "tasks"},
    "models": {"api.upstream", "wiring", "llm", "tasks"},
    "main": {"adb", "api", "llm", "models", "tasks"},
    "serving": {"api.connection", "main"},
    # what stands on it
    "client": set(),
    "doctor": {"adb", "llm", "main", "serving"},
    "bench": {"adb", "agent", "wiring", "demo", "llm", "tasks", "virtual_phone"},
    "demo": {"client", "serving", "virtual_phone.apps"},
    "cli": {
        "adb",
        "agent.prompt",
        "bench",
        "client",
        "demo",
        "doctor",
        "llm",
        "serving",
        "virtual_phone.main",
    },
    "__main__": {"cli.main"},
}
FOREIGN: dict[str, set[str]] = {
    "ppadb": {"adb/connection.py"},
    "PIL": {"adb/screen.py", "bench/reference.py", "bench/report.py", "virtual_phone/"},
    "font_roboto": {"virtual_phone/"},
    "sqlalchemy": {
        "tasks/database.py",
        "tasks/migrations/",
        "tasks/schedules.py",
        "tasks/store.py",
        "tasks/webhooks.py",
    },
    "alembic": {"tasks/database.py", "tasks/migrations/"},
    "apscheduler": {"tasks/cron.py", "tasks/schedules.py"},
    "limits": {"api/limits.py"},
    "mcp": {"api/mcp.py"},
    "fastapi": {"api/", "main.py", "serving.py"},
    "starlette": {"api/", "virtual_phone/control.py"},
    "uvicorn": {"api/connection.py", "serving.py", "virtual_phone/control.py"},
    "typer": {"cli/"},
    "rich": {"cli/"},
    "huggingface_hub": {"llm/hub.py"},
    "httpx2": {"llm/hub.py"},
    "filelock": {"data_folder.py", "llm/catalogue.py"},
    "xllamacpp": {"llm/embedded.py"},
    "platformdirs": {"settings/sections.py"},
    "gguf": {"llm/family.py"},
    "prometheus_client": {
        "api/operations.py",
        "bench/overhead.py",
        "main.py",
        "tasks/metrics.py",
    },
    "numpy": {"bench/reference.py", "llm/family.py"},
    "adbutils": set(),  # its wheel holds the adb program; its code is never run
}
NOT_SHIPPED = {"tests", "training", "torch", "pytest", "transformers"}
RUN_BY_ANOTHER_PYTHON = "bench/reference.py"
"""By one that has torch, and not phonepilot."""


def imports(path: Path) -> set[str]:
    """The full dotted names that a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides what is imported"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


MODULES = {
    str(path.relative_to(ROOT / "app")): imports(path) for path in (ROOT / "app").rglob("*.py")
}


def part(module: str) -> str:
    return module.partition("/")[0].removesuffix(".py")


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_part_imports_only_what_it_may(module: str) -> None:
    own = part(module)
    if own == "__init__":
        assert not MODULES[module]
        return
    allowed = FOUNDATION | ({own} if own in PARTS else set()) | PARTS.get(own, set())
    for name in MODULES[module]:
        package, _, inside = name.partition(".")
        if package == "app" and inside:
            assert any(inside == a or inside.startswith(f"{a}.") for a in allowed), (
                f"app/{module} imports {name}; it may import {sorted(allowed)}"
            )


def test_every_part_has_its_rule() -> None:
    parts = {part(module) for module in MODULES} - {"__init__"}
    assert parts == set(PARTS) | (FOUNDATION - {"__version__"})


def test_the_rules_are_no_wider_than_the_code() -> None:
    used: dict[str, set[str]] = defaultdict(set)
    for module, names in MODULES.items():
        for name in names:
            if name.startswith("app."):
                used[part(module)].add(name.removeprefix("app."))
    for own, allowed in PARTS.items():
        for other in allowed:
            assert any(n == other or n.startswith(f"{other}.") for n in used[own]), (
                f"{own} may import {other} and does not"
            )


def test_the_parts_have_no_circle() -> None:
    def reach(own: str, path: tuple[str, ...]) -> None:
        assert own not in path, " -> ".join((*path, own))
        for other in PARTS[own]:
            reach(other.partition(".")[0], (*path, own))

    for own in PARTS:
        reach(own, ())


@pytest.mark.parametrize("library", FOREIGN)
def test_a_foreign_library_stays_behind_its_door(library: str) -> None:
    doors = FOREIGN[library]
    users = {m for m, names in MODULES.items() if library in {n.split(".")[0] for n in names}}
    assert {m for m in users if not any(m == d or m.startswith(d) for d in doors)} == set()
    assert all(any(m == d or m.startswith(d) for m in users) for d in doors)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_the_package_imports_nothing_that_is_not_installed_with_it(module: str) -> None:
    if module == RUN_BY_ANOTHER_PYTHON:
        assert not any(name.startswith("app") for name in MODULES[module])
        return
    assert not NOT_SHIPPED & {name.split(".")[0] for name in MODULES[module]}


def test_the_embedded_engine_imports_nothing_of_ours() -> None:
    """It is started as a file in a process that an assertion in llama.cpp may kill."""
    assert not any(name.startswith("app") for name in MODULES["llm/embedded.py"])


def test_only_the_dialects_know_how_a_model_writes() -> None:
    for module, names in MODULES.items():
        if not module.startswith("agent/dialects/"):
            inside = {n for n in names if n.startswith("app.agent.dialects.")}
            open_to_all = (
                "app.agent.dialects.base.",
                "app.agent.dialects.dialect_named",
                "app.agent.dialects.thought_limit.",
            )
            assert all(name.startswith(open_to_all) for name in inside), module


def test_the_agent_sees_phones_and_models_only_through_its_ports() -> None:
    outside = {"ppadb", "PIL", "httpx", "subprocess", "socket"}
    for module, names in MODULES.items():
        if part(module) == "agent":
            assert not outside & {name.split(".")[0] for name in names}, module
