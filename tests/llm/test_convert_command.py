"""Converting and quantising: the steps in order, what is left behind, each failure explained."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from typer.testing import CliRunner, Result

from app.cli.main import app
from app.errors import AppError, InputError, ModelError
from app.settings import load_settings
from tests.llm.scripted_llama_cpp import Scripted, write_scripted
from tests.llm.tiny_glm4v import ModelPair

DEADLINE_S = 20.0


@pytest.fixture
def scripted(tmp_path: Path, tiny_pair: ModelPair) -> Scripted:
    return write_scripted(tmp_path, tiny_pair)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def arguments(scripted: Scripted, *more: str) -> list[str]:
    model, llama_cpp = str(scripted.checkpoint), str(scripted.folder)
    return ["convert", "--model-path", model, "--llama-cpp-path", llama_cpp, *more]


def models(*words: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, ["models", *words], env=env)


def convert(scripted: Scripted, output: Path, *more: str) -> Result:
    return models(*arguments(scripted, "--output-path", str(output), *more))


def error(done: Result) -> AppError:
    assert isinstance(done.exception, AppError), done.output
    return done.exception


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_a_checkpoint_becomes_a_pair(scripted: Scripted, out: Path, tiny_pair: ModelPair) -> None:
    done = convert(scripted, out / "Tiny-Q4_K_M.gguf", "--quantize", "q4_k_m", "--json")
    assert done.exit_code == 0, done.output
    files = json.loads(done.stdout)["files"]
    assert [Path(file["path"]).name for file in files] == [
        "Tiny-Q4_K_M.gguf",
        "mmproj-Tiny-f16.gguf",
    ]
    assert names(out) == {"Tiny-Q4_K_M.gguf", "mmproj-Tiny-f16.gguf"}
    assert (out / "mmproj-Tiny-f16.gguf").read_bytes() == tiny_pair.mmproj.read_bytes()
    model = scripted.checkpoint
    assert scripted.calls() == [
        f"convert {model} --mmproj --outtype f16 --outfile {out}/mmproj-Tiny-f16.gguf.part",
        f"convert {model} --outtype bf16 --outfile {out}/Tiny-BF16.half.gguf.part",
        f"quantize --dry-run {out}/Tiny-BF16.half.gguf Q4_K_M",
        f"quantize {out}/Tiny-BF16.half.gguf {out}/Tiny-Q4_K_M.gguf.part Q4_K_M",
    ]


def test_both_at_eight_bits_and_the_halves_kept(scripted: Scripted, out: Path) -> None:
    options = ("--quantize", "Q8_0", "--mmproj", "q8_0", "--keep")
    assert convert(scripted, out / "t.gguf", *options).exit_code == 0
    assert names(out) == {
        "t.gguf",
        "t-BF16.gguf",
        "mmproj-t-f16.gguf",
        "mmproj-t-q8_0.gguf",
    }


def test_what_an_earlier_run_made_is_used_and_left(scripted: Scripted, out: Path) -> None:
    assert convert(scripted, out / "t-BF16.gguf", "--quantize", "bf16").exit_code == 0
    options = ("--quantize", "q8_0", "--mmproj", "q8_0")
    assert convert(scripted, out / "t-Q8_0.gguf", *options).exit_code == 0
    assert names(out) == {
        "t-BF16.gguf",
        "t-Q8_0.gguf",
        "mmproj-t-f16.gguf",
        "mmproj-t-q8_0.gguf",
    }
    assert sum(call.startswith("convert") for call in scripted.calls()) == 2


def test_sixteen_bits_need_no_quantiser(scripted: Scripted, out: Path) -> None:
    shutil.rmtree(scripted.folder / "build")
    assert convert(scripted, out / "t.gguf", "--quantize", "bf16").exit_code == 0
    assert names(out) == {"t.gguf", "mmproj-t-f16.gguf"}


def test_a_run_that_broke_off_goes_on_with_the_finished_half(scripted: Scripted, out: Path) -> None:
    scripted.fail(quantising="late")
    assert "the disk is full" in error(convert(scripted, out / "t.gguf")).message
    assert names(out) == {"t-BF16.half.gguf", "mmproj-t-f16.gguf"}
    (scripted.folder / "fault").unlink()
    assert convert(scripted, out / "t.gguf").exit_code == 0
    assert sum(call.startswith("convert") for call in scripted.calls()) == 2


@pytest.mark.parametrize("change", ["cut", "older"])
def test_a_half_that_is_cut_or_older_than_the_checkpoint_is_made_again(
    scripted: Scripted, out: Path, change: str
) -> None:
    scripted.fail(quantising="late")
    error(convert(scripted, out / "t.gguf"))
    half = out / "t-BF16.half.gguf"
    if change == "cut":
        half.write_bytes(half.read_bytes()[:-50_000])
    else:
        os.utime(half, (1, 1))
    scripted.fail()
    os.utime(scripted.checkpoint / "fault", (1, 1))
    assert convert(scripted, out / "t.gguf").exit_code == 0
    assert sum("--outtype bf16" in call for call in scripted.calls()) == 2


def test_a_half_with_another_tokenizer_is_made_again(scripted: Scripted, out: Path) -> None:
    for pre in ("glm4", "glm4", "llama-bpe"):  # what is written is always glm4's
        options = ("--pre-tokenizer", pre, "--keep")
        assert convert(scripted, out / "t.gguf", *options).exit_code == 0
    assert sum("--outtype bf16" in call for call in scripted.calls()) == 2


def test_a_name_puts_the_pair_where_a_pull_would(scripted: Scripted, tmp_path: Path) -> None:
    env = {"PHONEPILOT_SERVICE__DATA_DIR": str(tmp_path)}
    done = models(*arguments(scripted, "--name", "autoglm-phone-9b"), env=env)
    assert done.exit_code == 0, done.output
    assert models("verify", "autoglm-phone-9b", env=env).exit_code == 0
    engine = load_settings(("rtx-4060-8gb",), environ=env).engine
    folder = tmp_path / "models" / "autoglm-phone-9b"
    assert engine.model == folder / "autoglm-phone-9b-Q4_K_S.gguf"
    assert engine.mmproj == folder / "mmproj-autoglm-phone-9b-f16.gguf"
    assert names(folder) == {engine.model.name, engine.mmproj.name, "pulled.toml"}


def test_a_blind_model_has_no_projector(scripted: Scripted, out: Path) -> None:
    config = scripted.checkpoint / "config.json"
    config.write_text('{"architectures": ["GlmForCausalLM"]}', encoding="utf-8")
    assert convert(scripted, out / "t.gguf").exit_code == 0
    assert names(out) == {"t.gguf"}
    done = models(*arguments(scripted, "--name", "glm-edge-v-2b"))
    assert "blind" in error(done).message


CONVERTING = {
    "import": ("lacks the package torch_is_not_here", "--python"),
    "architecture": ("cannot convert Glm4vForConditionalGeneration", "newer llama.cpp"),
    "tokenizer": ("does not know this tokenizer", "--pre-tokenizer glm4"),
    "arguments": ("does not understand us", "checkouts of late 2026"),
    "disk": ("the disk is full", "Make room"),
    "memory": ("ran out of memory", "swap"),
    "odd": ("ended with 3: ERROR: the moon is full", ""),
    "short": ("ended with 0", ""),
}


@pytest.mark.parametrize(("fault", "said"), CONVERTING.items(), ids=CONVERTING)
def test_what_goes_wrong_while_converting(
    scripted: Scripted, out: Path, fault: str, said: tuple[str, str]
) -> None:
    scripted.fail(converting=fault)
    caught = error(convert(scripted, out / "t.gguf"))
    assert isinstance(caught, ModelError)
    assert said[0] in caught.message
    assert said[1] in caught.hint
    # A tokenizer is asked for after the projector is done.
    assert names(out) == ({"mmproj-t-f16.gguf"} if fault == "tokenizer" else set())
    assert fault == "memory" or caught.log_tail


@pytest.mark.parametrize(
    ("fault", "said"),
    [("type", "does not know Q4_K_S"), ("requantize", "quantised already"), ("late", "Make room")],
)
def test_what_goes_wrong_while_quantising(
    scripted: Scripted, out: Path, fault: str, said: str
) -> None:
    scripted.fail(quantising=fault)
    assert said in error(convert(scripted, out / "t.gguf")).hint
    assert names(out) == {"t-BF16.half.gguf", "mmproj-t-f16.gguf"}


def test_a_tokenizer_can_be_named(scripted: Scripted, out: Path) -> None:
    scripted.fail(converting="tokenizer")
    assert convert(scripted, out / "t.gguf", "--pre-tokenizer", "glm4").exit_code == 0
    assert (scripted.folder / "pre").read_text(encoding="utf-8") == "glm4"


def test_a_disk_that_is_too_small_is_told_first(
    scripted: Scripted, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage(NamedTuple):
        total: int = 1 << 30
        used: int = 1 << 30
        free: int = 1000

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage())
    assert "MiB free" in error(convert(scripted, out / "t.gguf")).message
    assert scripted.calls() == []


def test_room_for_all_that_comes_is_asked_for_before_the_long_part(
    scripted: Scripted, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the 16 bits alone there is room, for the result beside them there is not."""
    weights = scripted.checkpoint / "model.safetensors"
    with weights.open("wb") as file:
        file.truncate(1 << 30)
    free = (1 << 30) + (200 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": free}))
    assert "1337 MiB" in error(convert(scripted, out / "t.gguf")).message
    assert scripted.calls() == []
    assert convert(scripted, out / "t.gguf", "--quantize", "bf16").exit_code == 0


def test_a_dry_run_tells_the_sizes_and_writes_nothing(scripted: Scripted, out: Path) -> None:
    with (scripted.checkpoint / "model.safetensors").open("wb") as file:
        file.truncate(1 << 30)
    done = convert(scripted, out / "t.gguf", "--dry-run", "--quantize", "q4_0", "--json")
    told = json.loads(done.stdout)
    assert (told["model"] >> 20, told["half"] >> 20) == (296, 1024)
    assert told["total"] == told["model"] + told["projector"] + told["half"]
    assert "about 296 MiB" in convert(scripted, out / "t", "--dry-run", "--quantize", "q4_0").stdout
    assert not out.exists()
    assert scripted.calls() == []


DOCKER = """#!/usr/bin/env python3
# Runs what a container would, with the image's folder taken for the checkout in DOCKER_APP.
import os, sys
words = sys.argv[1:]
assert words[:3] == ["run", "--rm", "--init"], words
assert words[words.index("--network") + 1] == "none"
assert words[words.index("--user") + 1] == f"{os.getuid()}:{os.getgid()}"
seen = [words[at + 1].split(":")[0] for at, word in enumerate(words) if word == "--volume"]
at = words.index("--entrypoint")
assert "convert" not in str(words) or os.environ["DOCKER_SEES"] in seen, seen
program = [words[at + 1], *words[at + 3 :]]
assert words[at + 2] == "llama.cpp:full"
for word in program:
    if word.endswith((".gguf", ".part")):
        assert os.path.dirname(word) in seen, (word, seen)
checkout = os.environ["DOCKER_APP"]
places = {"/app/llama-quantize": checkout + "/build/bin/llama-quantize"}
program = [places.get(w, w.replace("/app", checkout, 1) if w.startswith("/app") else w)
           for w in program]
os.execvp(program[0], program)
"""


def test_the_tools_of_the_full_image(
    scripted: Scripted, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["convert", "--model-path", str(scripted.checkpoint), "--output-path"]
    words += [str(out / "t-Q4_0.gguf"), "--quantize", "q4_0", "--llama-cpp-image", "llama.cpp:full"]
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}")
    assert "docker was not found" in error(models(*words)).message
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "docker").write_text(DOCKER, encoding="utf-8")
    (programs / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{Path(sys.executable).parent}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_APP", str(scripted.folder))
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    (scripted.checkpoint / "model.safetensors").rename(blobs / "0123")
    (scripted.checkpoint / "model.safetensors").symlink_to(blobs / "0123")
    monkeypatch.setenv("DOCKER_SEES", str(blobs))
    done = models(*words)
    assert done.exit_code == 0, done.exception
    assert names(out) == {"t-Q4_0.gguf", "mmproj-t-f16.gguf"}
    whole = ["quantise", str(out / "mmproj-t-f16.gguf"), "--to", "q8_0"]
    assert models(*whole, "--llama-cpp-image", "llama.cpp:full").exit_code == 0
    assert "mmproj-t-Q8_0.gguf" in names(out)


def test_the_text_part_alone(scripted: Scripted, out: Path) -> None:
    assert convert(scripted, out / "t.gguf", "--mmproj", "none").exit_code == 0
    assert names(out) == {"t.gguf"}
    by_name = models(*arguments(scripted, "--name", "glm-4.6v-flash", "--mmproj", "none"))
    assert "would be blind" in error(by_name).message


def test_the_eyes_of_glm_edge_v_are_not_blamed_on_an_old_converter(
    scripted: Scripted, out: Path
) -> None:
    config = scripted.checkpoint / "config.json"
    told = json.loads(config.read_text(encoding="utf-8")) | {"architectures": ["GlmForCausalLM"]}
    config.write_text(json.dumps(told), encoding="utf-8")
    scripted.fail(converting="architecture")
    refused = error(convert(scripted, out / "t.gguf"))
    assert "the eyes of GLM-Edge-V" in refused.message
    assert "--mmproj none" in refused.hint


def test_what_is_needed_is_asked_for(scripted: Scripted, out: Path) -> None:
    output = ("--output-path", str(out / "t.gguf"))
    model = ("convert", "--model-path", str(scripted.checkpoint))
    env = {"LLAMA_CPP_PATH": "", "PATH": str(out)}
    assert "git clone" in error(models(*model, *output, env=env)).hint
    odd = ("--llama-cpp-path", str(scripted.checkpoint))
    assert "no checkout" in error(models(*model, *output, *odd, env=env)).message
    shutil.rmtree(scripted.folder / "build")
    done = models(*arguments(scripted, *output), env=env)
    assert "llama-quantize was not found" in error(done).message
    assert "either" in error(models(*arguments(scripted))).message
    env = {"LLAMA_CPP_PATH": str(scripted.folder)}
    assert models(*model, *output, "--quantize", "f16", env=env).exit_code == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: shutil.rmtree(folder), "is not a folder"),
        (lambda folder: (folder / "config.json").unlink(), "cannot be read"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "config.json").write_text("[]"), "no JSON object"),
        (lambda folder: (folder / "model.safetensors").unlink(), "holds no weights"),
        (
            lambda folder: (folder / "tokenizer_config.json").write_text(
                '{"auto_map": {"AutoTokenizer": ["evil.Tokenizer", null]}}'
            ),
            "Python code of its own",
        ),
    ],
)
def test_what_is_no_checkpoint_is_refused(
    scripted: Scripted, out: Path, change: object, said: str
) -> None:
    assert callable(change)
    change(scripted.checkpoint)
    caught = error(convert(scripted, out / "t.gguf"))
    assert isinstance(caught, InputError)
    assert said in caught.message
    assert scripted.calls() == []


@pytest.mark.parametrize("name", ["{0}.gguf", "-x.gguf", "x", "a b.gguf", "x\n.gguf"])
def test_odd_names_are_refused(scripted: Scripted, out: Path, name: str) -> None:
    assert "no name for a GGUF file" in error(convert(scripted, out / name)).message


def test_a_name_that_says_something_else_is_refused(scripted: Scripted, out: Path) -> None:
    caught = error(convert(scripted, out / "t-Q8_0.gguf"))
    assert "says Q8_0 and would be Q4_K_S" in caught.message
    assert scripted.calls() == []


@pytest.mark.parametrize("options", [("--quantize", "q9"), ("--mmproj", "q4_k_s")])
def test_unknown_types_are_refused(scripted: Scripted, out: Path, options: tuple[str]) -> None:
    assert "is no quantisation" in error(convert(scripted, out / "t.gguf", *options)).message
    assert scripted.calls() == []


def test_quantising_one_file(scripted: Scripted, tmp_path: Path, tiny_pair: ModelPair) -> None:
    source = tmp_path / "mmproj-Tiny-f16.gguf"
    shutil.copy(tiny_pair.mmproj, source)
    words = ("quantise", str(source), "--to", "q8_0", "--llama-cpp-path", str(scripted.folder))
    assert models(*words).exit_code == 0
    assert (tmp_path / "mmproj-Tiny-Q8_0.gguf").is_file()
    assert "already exists" in error(models(*words)).message


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_converter_ends_with_us(scripted: Scripted, out: Path, number: signal.Signals) -> None:
    scripted.fail(converting="hang")
    words = arguments(scripted, "--output-path", str(out / "t.gguf"))
    ours = subprocess.Popen(
        [sys.executable, "-m", "app", "models", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + DEADLINE_S
    pid = scripted.folder / "pid"
    while not (pid.exists() and pid.read_text(encoding="utf-8")):
        assert time.monotonic() < deadline
        assert ours.poll() is None
        time.sleep(0.01)
    converter = psutil.Process(int(pid.read_text(encoding="utf-8")))
    ours.send_signal(number)
    ours.wait(DEADLINE_S)
    converter.wait(DEADLINE_S)
    assert not [name for name in names(out) if name.endswith(".gguf")]
