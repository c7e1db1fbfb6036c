"""Models in several files: pulled, shown, checked and served as one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest
from typer.testing import CliRunner

from app.cli.main import app
from app.errors import EngineStartFailed, ModelError
from app.llm.catalogue import PART, place, remove, verify
from app.llm.command import embedded_options, llama_server_command
from app.llm.describe import describe
from app.llm.files import check_files
from app.llm.gguf import read_header
from app.llm.hub import HubFile, Listing
from app.llm.memory import shapes_of
from app.llm.parts import PartName, first_part, model_files, model_size, part_name, read_model
from app.llm.pull import choose, pull
from app.llm.status import EngineState
from app.settings import PULLED_FILE, EngineSettings, load_pulled, load_settings
from tests.llm.gguf_bytes import header, write_part
from tests.llm.hub_server import REPOSITORY, REVISION, Hub, hub_of
from tests.llm.supervised import Supervised
from tests.llm.tiny_glm4v import ModelPair

NAMES = tuple(f"Tiny-Q4_K_S-{number:05}-of-00003.gguf" for number in (1, 2, 3))
MMPROJ = "mmproj-Tiny-f16.gguf"
NAME = "glm-4.6v-flash"


def split(whole: Path, folder: Path, count: int = 3) -> tuple[Path, ...]:
    """The file in `count` parts, as llama.cpp's gguf-split writes them."""
    reader = gguf.GGUFReader(whole)
    architecture = str(reader.fields["general.architecture"].contents())
    share = -(-len(reader.tensors) // count)
    paths = tuple(folder / f"Tiny-Q4_K_S-{n + 1:05}-of-{count:05}.gguf" for n in range(count))
    for number, path in enumerate(paths):
        writer = gguf.GGUFWriter(path, architecture)
        for key, field in reader.fields.items() if number == 0 else ():
            if not key.startswith("GGUF.") and key != "general.architecture":
                kind = field.types[0]
                inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
                writer.add_key_value(key, field.contents(), kind, inner)
        writer.add_uint16("split.no", number)
        writer.add_uint16("split.count", count)
        writer.add_int32("split.tensors.count", len(reader.tensors))
        for tensor in reader.tensors[number * share : (number + 1) * share]:
            writer.add_tensor(tensor.name, np.array(tensor.data), raw_dtype=tensor.tensor_type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return paths


@pytest.fixture(scope="module")
def parts(tiny_pair: ModelPair, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return split(tiny_pair.model, tmp_path_factory.mktemp("parts"))


@pytest.mark.parametrize("number", [0, 1, 2])
async def test_any_part_of_a_model_is_served_as_the_whole(
    supervise: Callable[[EngineSettings], Supervised],
    real: EngineSettings,
    parts: tuple[Path, ...],
    number: int,
) -> None:
    supervised = supervise(real.model_copy(update={"model": parts[number]}))
    await supervised.engine.ensure_ready()
    assert supervised.engine.status().state is EngineState.READY


def test_the_engines_are_given_the_first_part() -> None:
    settings = EngineSettings(model=Path("/models") / NAMES[1])
    first = str(Path("/models") / NAMES[0])
    command = llama_server_command(settings, binary="llama-server", port=1, threads=1)
    assert command.argv[command.argv.index("--model") + 1] == first
    assert embedded_options(settings, threads=1)["model"] == first


def test_the_parts_have_together_what_the_whole_has(
    parts: tuple[Path, ...], tiny_pair: ModelPair
) -> None:
    whole, together = read_header(tiny_pair.model), read_model(parts[2])
    assert {(t.name, t.nbytes) for t in together.tensors} == {
        (t.name, t.nbytes) for t in whole.tensors
    }
    assert together.number("embedding_length") == whole.number("embedding_length")
    vision = read_header(tiny_pair.mmproj)
    assert shapes_of(together, vision) == shapes_of(whole, vision)
    check_files(parts[1], tiny_pair.mmproj)
    facts, of_whole = describe(parts[1]), describe(tiny_pair.model)
    assert facts["parts"] == 3
    assert facts["bytes"] == sum(part.stat().st_size for part in parts) == model_size(parts[0])
    assert facts["parameters"] == of_whole["parameters"]


def test_show_and_plan_take_any_part(parts: tuple[Path, ...], tiny_pair: ModelPair) -> None:
    shown = CliRunner().invoke(app, ["models", "show", str(parts[1]), "--mmproj",
                                     str(tiny_pair.mmproj)])  # fmt: skip
    assert shown.exit_code == 0, shown.output
    assert "parts" in shown.output
    environ = {"PHONEPILOT_ENGINE__MODEL": str(parts[2]),
               "PHONEPILOT_ENGINE__MMPROJ": str(tiny_pair.mmproj)}  # fmt: skip
    planned = CliRunner().invoke(app, ["engine", "plan", "--vram", "8GiB"], env=environ)
    assert planned.exit_code == 0, planned.output


@pytest.mark.parametrize("missing", [0, 1, 2])
@pytest.mark.parametrize("named", [0, 1, 2])
def test_a_missing_part_is_named(
    parts: tuple[Path, ...], tmp_path: Path, missing: int, named: int
) -> None:
    for number, part in enumerate(parts):
        if number != missing:
            shutil.copy(part, tmp_path)
    with pytest.raises(EngineStartFailed) as caught:
        check_files(tmp_path / parts[named].name, None)
    if missing == named == 0:
        assert caught.value.reason == "file_missing"
        return
    assert caught.value.reason == "part_missing"
    assert parts[missing].name in caught.value.message
    assert "one folder" in caught.value.hint


def test_parts_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    def write(number: int, *names: str, said: int = -1, count: int = 2, total: int = 2) -> None:
        path = tmp_path / f"m-{number + 1:05}-of-00002.gguf"
        write_part(path, number if said < 0 else said, count, names, total)

    def reason() -> str:
        with pytest.raises(EngineStartFailed) as caught:
            read_model(tmp_path / "m-00001-of-00002.gguf")
        return caught.value.reason

    write(0, "a")
    write(1, "b")
    assert len(read_model(tmp_path / "m-00002-of-00002.gguf").tensors) == 2
    write(1, "b", said=0)
    assert reason() == "parts_mismatch"
    write(1, "b", count=3)
    assert reason() == "parts_mismatch"
    write(1, "a")
    assert reason() == "parts_mismatch"
    write(1, "b", "c")
    assert reason() == "parts_mismatch"
    (tmp_path / "m-00002-of-00002.gguf").write_bytes(b"<html>")
    assert reason() == "not_gguf"


def test_a_part_under_another_name_is_explained(tmp_path: Path) -> None:
    write_part(tmp_path / "model.gguf", 0, 2, ["a"], 2)
    with pytest.raises(EngineStartFailed) as caught:
        read_model(tmp_path / "model.gguf")
    assert caught.value.reason == "part_misnamed"
    assert "NAME-00001-of-00002.gguf" in caught.value.hint
    odd = tmp_path / "odd.gguf"
    odd.write_bytes(header({"split.count": "many"}))
    with pytest.raises(EngineStartFailed, match="one of many parts"):
        read_model(odd)


def test_a_model_that_only_looks_split_is_explained(tiny_pair: ModelPair, tmp_path: Path) -> None:
    for name in NAMES:
        shutil.copy(tiny_pair.model, tmp_path / name)
    with pytest.raises(EngineStartFailed) as caught:
        check_files(tmp_path / NAMES[0], None)
    assert caught.value.reason == "parts_mismatch"


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("m-00002-of-00003.gguf", PartName("m", 2, 3)),
        ("a-b-00001-of-00001.gguf", PartName("a-b", 1, 1)),
        ("m-00004-of-00003.gguf", None),
        ("m-00000-of-00003.gguf", None),
        ("m-00001-of-99999.gguf", None),
        ("m-1-of-3.gguf", None),
        ("m.gguf", None),
        ("-00001-of-00003.gguf", None),
    ],
)
def test_names_of_parts(name: str, part: PartName | None) -> None:
    assert part_name(name) == part
    path = Path("/m") / name
    assert len(model_files(path)) == (part.count if part else 1)
    assert first_part(path).name == (part.of(1) if part else name)


# -- pulled


@pytest.fixture
def hub(parts: tuple[Path, ...], tiny_pair: ModelPair) -> Iterator[Hub]:
    files = {f"Q4_K_S/{part.name}": part.read_bytes() for part in parts}
    with hub_of(files | {MMPROJ: tiny_pair.mmproj.read_bytes()}) as hub:
        yield hub


def get(hub: Hub, folder: Path) -> None:
    pull(REPOSITORY, folder, lambda name, done, size: None, endpoint=hub.url)


def test_all_parts_are_pulled_verified_and_removed(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "models" / NAME
    get(hub, folder)
    assert {path.name for path in folder.iterdir()} == {*NAMES, MMPROJ, PULLED_FILE}
    pulled = load_pulled(tmp_path / "models", NAME)
    assert pulled is not None
    assert [file.name for file in pulled.files] == [*NAMES, MMPROJ]
    assert pulled.size == sum(len(data) for data in hub.files.values())
    found = place([], tmp_path / "models", NAME)
    assert verify(found, lambda name, done, size: None) == []
    environ = {"PHONEPILOT_SERVICE__DATA_DIR": str(tmp_path)}
    engine = load_settings((), {"engine.model": f"model:{NAME}"}, environ).engine
    assert engine.model == folder / NAMES[0]
    listed = CliRunner().invoke(app, ["models", "list"], env=environ | {"COLUMNS": "200"})
    assert "in 3 parts" in listed.output

    get(hub, folder)  # nothing is fetched again
    assert {len(hub.of(path)) for path in hub.files} == {1}
    (folder / NAMES[1]).write_bytes(bytes(pulled.parts[0].size))
    (folder / NAMES[2]).unlink()
    wrong = verify(found, lambda name, done, size: None)
    assert [NAMES[1] in wrong[0], NAMES[2] in wrong[1]] == [True, True]
    assert remove(found) > 0
    assert not folder.exists()


def test_a_broken_connection_is_resumed_in_its_part(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after = 70_000
    get(hub, tmp_path)
    assert (tmp_path / NAMES[0]).read_bytes() == hub.files[f"Q4_K_S/{NAMES[0]}"]
    assert not list(tmp_path.glob(f"*{PART}"))


def test_a_damaged_part_is_thrown_away_and_the_others_stay(hub: Hub, tmp_path: Path) -> None:
    hub.checksums[f"Q4_K_S/{NAMES[1]}"] = "0" * 64
    with pytest.raises(ModelError, match="is damaged"):
        get(hub, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {NAMES[0]}
    del hub.checksums[f"Q4_K_S/{NAMES[1]}"]
    get(hub, tmp_path)
    assert len(hub.of(f"Q4_K_S/{NAMES[0]}")) == 1


def test_the_disk_is_checked_for_all_parts(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = sum(len(data) for data in hub.files.values())
    usage = shutil.disk_usage(tmp_path)
    room = (64 << 20) + whole - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=room))
    with pytest.raises(ModelError, match="MiB free"):
        get(hub, tmp_path)
    assert not [seen for path in hub.files for seen in hub.of(path)]


def listing(*paths: str) -> Listing:
    return Listing(REPOSITORY, REVISION, tuple(HubFile(path, 1, "0" * 64) for path in paths))


def test_parts_are_chosen_together_and_one_file_rather_than_parts() -> None:
    found = listing(
        "big/x-Q8_0-00002-of-00002.gguf",
        "big/x-Q8_0-00001-of-00002.gguf",
        "x-Q4_K_S-00001-of-00002.gguf",
        "x-Q4_K_S-00002-of-00002.gguf",
        "y/x-Q4_K_S.gguf",
        "mmproj-x-f16.gguf",
    )
    model, _ = choose(found, "q8_0", None)
    assert [file.path for file in model] == [
        "big/x-Q8_0-00001-of-00002.gguf",
        "big/x-Q8_0-00002-of-00002.gguf",
    ]
    model, _ = choose(found, None, None)
    assert [file.path for file in model] == ["y/x-Q4_K_S.gguf"]


def test_parts_of_two_folders_are_no_model() -> None:
    found = listing("a/x-00001-of-00002.gguf", "b/x-00002-of-00002.gguf", "mmproj-x.gguf")
    with pytest.raises(ModelError, match="x-00002-of-00002.gguf is missing"):
        choose(found, None, None)


LLAMA_SERVER = os.environ.get("PHONEPILOT_TEST_LLAMA_SERVER", "")


@pytest.mark.skipif(not LLAMA_SERVER, reason="run by `make test-llama-server`")
def test_parts_are_quantised_to_one_file(parts: tuple[Path, ...], tmp_path: Path) -> None:
    target = tmp_path / "Tiny-Q8_0.gguf"
    done = CliRunner().invoke(
        app,
        ["models", "quantise", str(parts[1]), "--to", "q8_0", "--output-path", str(target),
         "--llama-cpp-path", str(Path(LLAMA_SERVER).parent)],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert describe(target)["quantisation"] == "Q8_0"
    assert len(read_header(target).tensors) == len(read_model(parts[0]).tensors)
