"""Settings to command lines, and `--help` to flags: tables only."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from app.llm.command import (
    embedded_command,
    embedded_options,
    llama_server_command,
    supported_flags,
)
from app.llm.cores import engine_threads
from app.settings import EngineSettings
from tests.llm.fake_llama_server import HELP

MODEL = Path("/models/m.gguf")
MMPROJ = Path("/models/p.gguf")


def argv(settings: EngineSettings, help_text: str = "") -> list[str]:
    command = llama_server_command(
        settings, binary="llama-server", port=5, threads=3, supported=supported_flags(help_text)
    )
    return list(command.argv)


def value_of(arguments: list[str], flag: str) -> str:
    return arguments[arguments.index(flag) + 1]


def test_flags_are_read_from_help() -> None:
    flags = supported_flags(HELP)
    assert {"-h", "--help", "--usage", "-ngl", "--n-gpu-layers", "--mmproj"} <= flags
    assert "--not-a-flag" not in flags  # named in a description only
    assert supported_flags("not a help text at all") == frozenset()


def test_the_whole_default_command_line() -> None:
    settings = EngineSettings(model=MODEL, mmproj=MMPROJ)
    assert " ".join(argv(settings)) == (
        "llama-server --host 127.0.0.1 --port 5 --model /models/m.gguf --mmproj /models/p.gguf "
        "--ctx-size 16384 --parallel 1 --threads 3 --flash-attn auto --cache-type-k f16 "
        "--cache-type-v f16 --cache-ram 512 --reasoning-format none --metrics --no-ui "
        "--cors-origins localhost --sse-ping-interval 5 --log-colors off"
    )


@pytest.mark.parametrize(
    ("change", "flag", "value"),
    [
        ({"gpu_layers": 20}, "--gpu-layers", "20"),
        ({"gpu_layers": 0}, "--gpu-layers", "0"),
        ({"ubatch": 1024}, "--ubatch-size", "1024"),
        ({"speculation": "ngram"}, "--spec-type", "ngram-simple"),
        ({"speculation": "ngram"}, "--spec-ngram-simple-size-m", "4"),
        ({"gpu_layers": "all"}, "--gpu-layers", "all"),
        ({"fit_target": 256}, "--fit-target", "256"),
        ({"alias": "mine"}, "--alias", "mine"),
        ({"image_min_tokens": 64}, "--image-min-tokens", "64"),
        ({"image_max_tokens": 1024}, "--image-max-tokens", "1024"),
        ({"batch": 256}, "--batch-size", "256"),
        ({"cache_type_v": "q8_0"}, "--cache-type-v", "q8_0"),
        ({"flash_attention": "on"}, "--flash-attn", "on"),
        ({"cache_ram": 0}, "--cache-ram", "0"),
    ],
)
def test_each_setting_has_its_flag(change: dict[str, object], flag: str, value: str) -> None:
    settings = EngineSettings(model=MODEL).model_copy(update=change)
    assert value_of(argv(settings), flag) == value


def test_without_a_projector_no_flag_for_it() -> None:
    arguments = argv(EngineSettings(model=MODEL, mmproj_offload=False))
    assert "--mmproj" not in arguments
    assert "--no-mmproj-offload" in arguments


def test_slots_have_a_part_of_the_context_each() -> None:
    assert "--no-kv-unified" not in argv(EngineSettings(model=MODEL))
    assert "--no-kv-unified" in argv(EngineSettings(model=MODEL, parallel=2))


def test_options_that_were_removed_are_not_taken_for_known() -> None:
    help_text = (
        "-ub,   --ubatch-size N      physical maximum batch size\n"
        "--spec-draft-n-max N        number of tokens to draft\n"
        "--draft, --draft-max N      the argument has been removed. use\n"
        "                            --spec-draft-n-max\n"
        "--draft-min, --draft-n-min N  the argument has been removed.\n"
    )
    assert supported_flags(help_text) == {"-ub", "--ubatch-size", "--spec-draft-n-max"}
    settings = EngineSettings(model=MODEL, extra_args=("--draft-max", "4"))
    assert argv(settings, help_text)[-2:] == ["--spec-draft-n-max", "4"]


def test_extra_arguments_come_last_and_are_never_dropped() -> None:
    settings = EngineSettings(model=MODEL, extra_args=("--spec-type", "ngram-simple"))
    assert argv(settings, HELP)[-2:] == ["--spec-type", "ngram-simple"]


def test_what_the_binary_does_not_know_is_left_out_with_a_warning() -> None:
    command = llama_server_command(
        EngineSettings(model=MODEL),
        binary="old",
        port=1,
        threads=1,
        supported=supported_flags(HELP),
    )
    assert "--cache-ram" not in command.argv
    assert "512" not in command.argv
    assert any("--cache-ram 512" in warning for warning in command.warnings)
    assert "--ctx-size" in command.argv


def test_the_embedded_command_is_a_script_and_json() -> None:
    settings = EngineSettings(model=MODEL, mmproj=MMPROJ, gpu_layers=4, port=7)
    command = embedded_command(settings, threads=2)
    assert command.argv[0] == sys.executable
    assert command.argv[2].endswith("embedded.py")
    options = json.loads(command.argv[3])
    assert options == embedded_options(settings, threads=2)
    assert (options["model"], options["n_threads"], options["port"]) == (str(MODEL), 2, 7)
    assert options["n_gpu_layers"] == 4
    assert not command.warnings


def test_the_embedded_engine_says_what_it_ignores() -> None:
    settings = EngineSettings(model=MODEL, extra_args=("--x",))
    assert "extra_args" in embedded_command(settings, threads=1).warnings[0]


def test_threads_leave_a_core_to_the_rest() -> None:
    assert engine_threads(6) == 6
    assert 1 <= engine_threads(0) <= max(1, (os.cpu_count() or 1) - 1)


def test_a_flag_under_another_name_is_renamed_and_said() -> None:
    known = frozenset({"--n-gpu-layers", "--no-webui", "--load-mode", "--spec-draft-n-max"})
    settings = EngineSettings(
        model=Path("m.gguf"), gpu_layers=3, extra_args=("--no-mmap", "--draft-max", "4", "--own")
    )
    command = llama_server_command(
        settings, binary="llama-server", port=1, threads=1, supported=known
    )
    line = " ".join(command.argv)
    assert "--n-gpu-layers 3" in line
    assert "--no-webui" in line
    assert line.endswith("--load-mode none --spec-draft-n-max 4 --own")
    assert "this llama-server calls --no-mmap --load-mode none" in command.warnings
