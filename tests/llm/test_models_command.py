"""`phonepilot models` on files that are here: list, show, verify, remove, and `model:NAME`."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import gguf
import pytest
from typer.testing import CliRunner, Result

from app.cli.main import app
from app.errors import AppError, ConfigError, EngineStartFailed
from app.llm.catalogue import measured, record
from app.llm.describe import FILE_TYPES, describe
from app.llm.files import check_files
from app.settings import PULLED_FILE, PulledModel, Settings, configs_folder, load_settings
from tests.llm.tiny_glm4v import ModelPair

NAME = "autoglm-phone-9b"
KNOWN = ["autoglm-phone-9b", "glm-4.1v-9b-thinking", "glm-4.6v-flash", "glm-edge-v-2b"]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHONEPILOT_SERVICE__DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def folder(data: Path, tiny_pair: ModelPair) -> Path:
    """A folder with the tiny pair, as a pull leaves it."""
    folder = data / "models" / NAME
    folder.mkdir(parents=True)
    for path in (tiny_pair.model, tiny_pair.mmproj):
        shutil.copy(path, folder)
    files = [
        measured(folder / path.name, lambda *_: None)
        for path in (tiny_pair.model, tiny_pair.mmproj)
    ]
    record(folder, PulledModel(model=files[0], mmproj=files[1]))
    return folder


def models(*arguments: str, says: str | None = None) -> Result:
    return CliRunner().invoke(app, ["models", *arguments], input=says)


def loaded(data: Path, *configs: str, **engine: object) -> Settings:
    overrides = {f"engine.{key}": value for key, value in engine.items()}
    return load_settings(configs, overrides, {"PHONEPILOT_SERVICE__DATA_DIR": str(data)})


def test_the_list_says_what_is_here_and_what_could_be(folder: Path) -> None:
    done = models("list", "--json")
    rows = {row["name"]: row for row in json.loads(done.stdout)["models"]}
    assert set(KNOWN) <= set(rows)
    assert rows[NAME]["here"] is True
    assert rows[NAME]["bytes"] == sum(path.stat().st_size for path in folder.glob("*.gguf"))
    assert rows["glm-4.6v-flash"]["here"] is False
    assert "can be pulled" in rows["glm-4.6v-flash"]["state"]
    assert "to be converted" in rows["glm-4.1v-9b-thinking"]["state"]
    assert "tiny.gguf" in models("list").stdout


def test_the_demo_model_is_here_from_the_start(data: Path) -> None:
    row = json.loads(models("list", "--json").stdout)["models"][0]
    assert (row["name"], row["here"], row["state"]) == ("demo", True, "comes with phonepilot")
    facts = json.loads(models("show", "demo", "--json").stdout)
    assert facts["pair"]["fits_together"] is True
    assert "right" in models("verify", "demo").stdout
    for command in (("pull", "demo"), ("remove", "demo", "--yes")):
        refused = models(*command).exception
        assert isinstance(refused, AppError)
        assert "comes with phonepilot" in refused.message
    chosen = loaded(data, model="model:demo").engine
    assert (chosen.model, chosen.mmproj) == (
        load_settings(("demo",), environ={}).engine.model,
        load_settings(("demo",), environ={}).engine.mmproj,
    )


def test_a_part_is_no_model(data: Path) -> None:
    folder = data / "models" / NAME
    folder.mkdir(parents=True)
    (folder / "x.gguf.0123.part").write_bytes(b"x" * (3 << 20))
    (row,) = (r for r in json.loads(models("list", "--json").stdout)["models"] if r["name"] == NAME)
    assert row["here"] is False
    assert "begun, 3 MiB" in row["state"]


def test_what_the_files_say(folder: Path) -> None:
    facts = json.loads(models("show", NAME, "--json").stdout)
    model, projector, pair = facts["model"], facts["projector"], facts["pair"]
    assert (model["architecture"], model["layers"]) == ("glm4", 1)
    assert model["context_length"] == 32768
    assert model["image_positions"] == [2, 3, 3, 0]
    assert model["special_tokens"]["eos"] == 256
    assert model["chat_template"].startswith("[gMASK]<sop>")
    assert model["tensor_types"] == {"F32": 13}
    assert model["bits_per_weight"] == 32
    assert (projector["projector"], projector["gives_width"]) == ("glm4v", 64)
    assert pair["fits_together"] is True
    assert 0 < pair["gpu_mib_least"] <= pair["gpu_mib_best"]
    text = models("show", str(folder / "tiny.gguf"), "--mmproj", str(folder / "tiny-mmproj.gguf"))
    assert "[2, 3, 3, 0]" in text.stdout


def test_the_demo_model_is_told_by_its_quantisation() -> None:
    demo = load_settings(("demo",), environ={}).engine
    assert demo.model is not None
    assert describe(demo.model)["quantisation"] == "Q4_K_S"


def test_the_names_of_file_types_are_those_of_gguf() -> None:
    theirs = {int(kind): kind.name for kind in gguf.LlamaFileType if kind.name != "GUESSED"}
    assert set(FILE_TYPES) >= set(theirs)
    for number, name in theirs.items():
        assert name in (f"MOSTLY_{FILE_TYPES[number]}", f"ALL_{FILE_TYPES[number]}")


def test_texts_in_a_file_cannot_steer_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    writer = gguf.GGUFWriter(path, "glm4\x1b]0;owned\x07")
    writer.add_name("[bold]\x1b[31mred[/] \x9b2J")
    writer.add_chat_template("one\x1b[2J\ntwo [link=http://evil]x[/link]\n" + "more\n" * 20)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    done = models("show", str(path))
    assert done.exit_code == 0, done.output
    assert not {"\x1b", "\x07", "\x9b"} & set(done.output)
    assert "[bold]" in done.output
    assert "[link=http://evil]" in done.output
    assert "and 16 more lines" in done.output


def test_a_pair_that_does_not_fit_is_told(folder: Path) -> None:
    done = models(
        "show", str(folder / "tiny.gguf"), "--mmproj", str(folder / "tiny.gguf"), "--json"
    )
    pair = json.loads(done.stdout)["pair"]
    assert pair["fits_together"] is False
    assert "not a vision projector" in pair["problem"]


def test_a_model_that_is_not_here_is_told_from_the_catalogue(data: Path) -> None:
    assert json.loads(models("show", "glm-4.6v-flash", "--json").stdout)["here"] is False
    assert "zai-org/GLM-4.6V-Flash" in models("show", "glm-4.6v-flash").stdout


def change(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: None, ""),
        (change, "checksum differs"),
        (lambda path: path.write_bytes(path.read_bytes()[:-5]), "bytes, not"),
        (Path.unlink, "cannot be read"),
    ],
    ids=["whole", "changed", "cut", "gone"],
)
def test_damage_is_found(folder: Path, damage: object, said: str) -> None:
    assert callable(damage)
    damage(folder / "tiny.gguf")
    done = models("verify", NAME, "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["right"]) == ((1, False) if said else (0, True))
    assert said in "".join(told["problems"])
    assert ("right" in models("verify", NAME).stdout) is not bool(said)


def test_only_what_is_here_can_be_verified_and_removed(data: Path) -> None:
    for command in (("verify", NAME), ("remove", NAME, "--yes"), ("verify", "nonsense")):
        done = models(*command)
        assert isinstance(done.exception, AppError)
        assert done.exit_code == 1


def test_removing_asks_first(folder: Path, data: Path) -> None:
    assert models("remove", NAME, says="n\n").exit_code == 1
    assert folder.is_dir()
    done = models("remove", NAME, "--yes", "--json")
    assert json.loads(done.stdout)["freed_bytes"] > 0
    assert not folder.exists()
    assert (data / "models").is_dir()


@pytest.mark.parametrize("name", ["..", "../..", "a/b", "/etc", "", ".", "A", "a\nb"])
def test_a_name_is_no_path(data: Path, name: str) -> None:
    (data / "models").mkdir()
    for command in ("remove", "verify"):
        done = models(command, name, "--yes") if command == "remove" else models(command, name)
        assert isinstance(done.exception, ConfigError)
    assert (data / "models").is_dir()


def test_without_a_repository_the_way_is_to_convert(data: Path) -> None:
    done = models("pull", NAME)
    assert isinstance(done.exception, AppError)
    assert "models convert" in done.exception.hint
    assert "zai-org/AutoGLM-Phone-9B" in done.exception.hint


@pytest.mark.parametrize("config", ["autoglm-phone-9b", "rtx-4060-8gb", "gpu-12gb", "gpu-24gb"])
def test_a_shipped_configuration_finds_the_files(folder: Path, data: Path, config: str) -> None:
    engine = loaded(data, config).engine
    assert (engine.model, engine.mmproj) == (folder / "tiny.gguf", folder / "tiny-mmproj.gguf")


def test_a_projector_of_ones_own_is_kept(folder: Path, data: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    engine = loaded(data, model=f"model:{NAME}", mmproj=str(own)).engine
    assert (engine.model, engine.mmproj) == (folder / "tiny.gguf", own)


def test_a_known_model_that_is_not_here_is_none(data: Path) -> None:
    engine = loaded(data, "autoglm-phone-9b").engine
    assert (engine.model, engine.mmproj) == (None, None)
    with pytest.raises(EngineStartFailed) as caught:
        check_files(engine.model, engine.mmproj)
    assert caught.value.reason == "no_model"


def test_an_unknown_name_is_refused(data: Path) -> None:
    with pytest.raises(ConfigError, match="unknown model") as caught:
        loaded(data, model="model:autoglm-phone-9")
    assert "autoglm-phone-9b" in caught.value.hint
    with pytest.raises(ConfigError, match="is not a model name"):
        loaded(data, model="model:../../etc")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[model]",
        "model = 1",
        'repository = ""\n[model]\nname = "../x.gguf"\nsize = 1\nsha256 = "' + "0" * 64 + '"',
    ],
)
def test_a_damaged_record_is_told(folder: Path, data: Path, text: str) -> None:
    (folder / PULLED_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=PULLED_FILE):
        loaded(data, "autoglm-phone-9b")


def test_every_shipped_configuration_of_a_local_engine_names_its_model(data: Path) -> None:
    hidden = {"default.toml", "apps.toml", "guard.toml", "models.toml"}
    for path in configs_folder().glob("*.toml"):
        if path.name in hidden:
            continue
        engine = tomllib.loads(path.read_text(encoding="utf-8"))["engine"]
        if engine.get("kind") == "remote":
            continue
        assert engine["model"].startswith(("model:", "package:")), path.name
        loaded(data, path.stem)
