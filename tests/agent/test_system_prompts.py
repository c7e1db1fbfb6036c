"""System prompts, ours and those that people bring."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.agent.prompt import (
    import_prompt,
    imported,
    load_prompt,
    read_prompt,
    remove_prompt,
    shipped,
)
from app.cli.main import app
from app.errors import ConfigError, InputError

DAY = date(2026, 11, 20)
UPSTREAM = '''
from datetime import datetime
today = datetime.today()
formatted_date = today.strftime("%Y")
SYSTEM_PROMPT = (
    "今天的日期是: "
    + formatted_date
    + """
你是一个专家 {think} `\\\\n` {action}
"""
)
'''


@pytest.mark.parametrize("name", ["autoglm", "general"])
@pytest.mark.parametrize(
    ("lang", "day"), [("en", "2026-11-20, Friday"), ("zh", "2026年11月20日 星期五")]
)
def test_our_prompts_name_the_day_and_every_action(name: str, lang: str, day: str) -> None:
    text = load_prompt(name, lang, DAY)
    assert day in text
    actions = ["Launch", "Tap", "Type", "Type_Name", "Swipe", "Long Press", "Double Tap", "Back"]
    actions += ["Home", "Wait", "Note", "Call_API", "Interact", "Take_over"]
    for action in actions:
        assert f'do(action="{action}"' in text, action
    assert 'finish(message="' in text


def test_a_text_runs_byte_for_byte_but_for_the_day(tmp_path: Path) -> None:
    source = tmp_path / "mine.txt"
    source.write_bytes(b"\r\n  Heute: {date}.\t{think} {action}\r\n\n")
    import_prompt(source, "autoglm", "en", tmp_path / "own")
    text = load_prompt("autoglm", "en", DAY, tmp_path / "own")
    assert text == "\r\n  Heute: 2026-11-20, Friday.\t{think} {action}\r\n\n"
    assert imported(tmp_path / "own") == ["autoglm.en"]
    assert load_prompt("autoglm", "zh", DAY, tmp_path / "own") == load_prompt("autoglm", "zh", DAY)


def test_the_makers_python_file_is_read_and_not_run(tmp_path: Path) -> None:
    source = tmp_path / "prompts_zh.py"
    source.write_text("raise SystemExit\n" + UPSTREAM)
    text = import_prompt(source, "autoglm", "zh", tmp_path / "own")
    assert text == "今天的日期是: {date}\n你是一个专家 {think} `\\n` {action}\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.py", b"SYSTEM_PROMPT = open('/etc/passwd').read()"),
        ("a.py", b"SYSTEM_PROMPT = ("),
        ("a.py", b"OTHER = 'x'"),
        ("a.txt", b" \n"),
        ("a.txt", b"\xff\xfe"),
        ("a.txt", b"x" * 100_001),
    ],
)
def test_what_is_no_prompt_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    source = tmp_path / name
    source.write_bytes(content)
    with pytest.raises(InputError):
        import_prompt(source, "autoglm", "zh", tmp_path / "own")
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize("name", ["../evil", "", "A", "a/b", "x" * 65, ".hidden"])
def test_a_name_is_never_a_path(tmp_path: Path, name: str) -> None:
    source = tmp_path / "mine.txt"
    source.write_text("text")
    with pytest.raises(InputError):
        import_prompt(source, name, "en", tmp_path / "own")
    with pytest.raises(ConfigError):
        read_prompt(name, "en", tmp_path)
    with pytest.raises(InputError):
        remove_prompt(name, "en", tmp_path)


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHONEPILOT_SERVICE__DATA_DIR", str(tmp_path / "data"))
    source = tmp_path / "prompts_zh.py"
    source.write_text(UPSTREAM)

    def run(*argv: str) -> str:
        done = CliRunner().invoke(app, ["prompts", *argv])
        assert done.exit_code == 0, done.output
        return done.output

    assert "Imported autoglm.zh" in run("import", str(source))
    assert "你是一个专家" in run("show", "autoglm", "--lang", "zh")
    assert '"prompt": "autoglm.zh", "imported": true' in " ".join(run("list", "--json").split())
    run("remove", "autoglm")
    assert "你是一个专家" not in run("show", "autoglm", "--lang", "zh")
    assert "autoglm.zh" in shipped()
