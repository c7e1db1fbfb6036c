"""Each way in which model files are wrong, with real engines: the reason, and what to do."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest

from app.errors import EngineStartFailed
from app.llm.client import ChatClient, Sampling
from app.llm.files import check_files
from app.llm.gguf import read_header
from app.llm.status import EngineState
from app.settings import EngineSettings
from tests.llm.supervised import Supervised, image_message
from tests.llm.tiny_glm4v import ModelPair, write_pair

Supervise = Callable[[EngineSettings], Supervised]
Change = Callable[[EngineSettings, Path], EngineSettings]


def with_file(key: str, write: Callable[[Path, Path], None]) -> Change:
    """Settings with one of the two files replaced by what `write(old, new)` makes of it."""

    def change(settings: EngineSettings, folder: Path) -> EngineSettings:
        new = folder / f"{key}.gguf"
        write(getattr(settings, key), new)
        return settings.model_copy(update={key: new})

    return change


def with_key(key: str, value: object) -> Change:
    return lambda settings, _: settings.model_copy(update={key: value})


def cut(share: float) -> Callable[[Path, Path], None]:
    def write(old: Path, new: Path) -> None:
        data = old.read_bytes()
        new.write_bytes(data[: int(len(data) * share)])

    return write


def rewritten(
    architecture: str = "", drop: str = "", texts: dict[str, str] | None = None
) -> Callable[[Path, Path], None]:
    """A copy with another architecture, without what begins with `drop`, with other texts."""

    def write(old: Path, new: Path) -> None:
        reader = gguf.GGUFReader(old)
        fields = reader.fields
        name = str(fields["general.architecture"].contents())
        writer = gguf.GGUFWriter(new, architecture or name)
        for key, field in fields.items():
            if key.startswith("GGUF.") or key == "general.architecture":
                continue
            if drop and key.endswith(drop):
                continue
            value = (texts or {}).get(key, field.contents())
            kind = field.types[0]
            inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(key.replace(name, architecture or name, 1), value, kind, inner)
        for tensor in reader.tensors:
            if not (drop and tensor.name == drop):
                writer.add_tensor(tensor.name, np.array(tensor.data))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    return write


def copied_from(other: str) -> Change:
    """The file of the other setting in place of the projector or the model."""

    def change(settings: EngineSettings, _: Path) -> EngineSettings:
        key = "mmproj" if other == "model" else "model"
        return settings.model_copy(update={key: getattr(settings, other)})

    return change


def other_pair(settings: EngineSettings, folder: Path) -> EngineSettings:
    """A projector whose vectors are wider than the model's."""
    assert settings.mmproj is not None
    write = rewritten()
    write(settings.mmproj, folder / "wide.gguf")
    data = (folder / "wide.gguf").read_bytes()
    key = b"clip.vision.projection_dim"
    at = data.index(key) + len(key) + 4
    (folder / "wide.gguf").write_bytes(data[:at] + (128).to_bytes(4, "little") + data[at + 4 :])
    return settings.model_copy(update={"mmproj": folder / "wide.gguf"})


def no_gguf(_: Path, new: Path) -> None:
    new.write_bytes(b"PK\3\4" * 50)


CASES: dict[str, tuple[Change, str, str]] = {
    "model missing": (with_key("model", Path("/nowhere/m.gguf")), "file_missing", "engine.model"),
    "projector missing": (
        with_key("mmproj", Path("/nowhere/p.gguf")),
        "file_missing",
        "engine.mmproj",
    ),
    "truncated data": (with_file("model", cut(0.6)), "file_truncated", "again"),
    "truncated head": (with_file("model", cut(0.01)), "file_truncated", "again"),
    "no GGUF": (
        with_file("model", no_gguf),
        "not_gguf",
        "Safetensors",
    ),
    "unknown architecture": (
        with_file("model", rewritten("zzz4")),
        "architecture_unknown",
        "newer llama-server",
    ),
    "projector as model": (copied_from("mmproj"), "files_swapped", "swap"),
    "model as projector": (copied_from("model"), "projector_unreadable", "mmproj-"),
    "wrong pair": (other_pair, "pair_mismatch", "same conversion"),
    "no image positions": (
        with_file("model", rewritten(drop="rope.dimension_sections")),
        "no_image_positions",
        "models convert",
    ),
    "projector of the old fork": (
        with_file("mmproj", rewritten(texts={"clip.projector_type": "internvl"})),
        "projector_damaged",
        "models convert",
    ),
    "projector without its gate": (
        with_file("mmproj", rewritten(drop="mm.gate.weight")),
        "projector_damaged",
        "models convert",
    ),
}


@pytest.mark.parametrize(("change", "reason", "hint"), CASES.values(), ids=CASES)
async def test_wrong_files_are_told_by_reason_and_remedy(
    supervise: Supervise,
    real: EngineSettings,
    tmp_path: Path,
    change: Change,
    reason: str,
    hint: str,
) -> None:
    supervised = supervise(change(real, tmp_path))
    with pytest.raises(EngineStartFailed) as caught:
        await supervised.engine.ensure_ready()
    assert (caught.value.reason, hint in caught.value.hint) == (reason, True), caught.value.hint
    fault = supervised.engine.status().error
    assert fault is not None
    assert fault.reason == reason


async def test_a_cache_type_that_the_model_cannot_have(
    supervise: Supervise, real: EngineSettings
) -> None:
    """q8_0 needs rows of 32 values, and V of any quantised type needs flash attention."""
    settings = real.model_copy(update={"cache_type_v": "q8_0", "flash_attention": "off"})
    with pytest.raises(EngineStartFailed) as caught:
        await supervise(settings).engine.ensure_ready()
    assert caught.value.reason == "context_impossible"


async def test_a_flag_that_nobody_knows(supervise: Supervise, real: EngineSettings) -> None:
    if real.kind == "embedded":
        pytest.skip("the embedded engine takes no flags")
    settings = real.model_copy(update={"extra_args": ("--no-such-flag",)})
    with pytest.raises(EngineStartFailed, match="no-such-flag") as caught:
        await supervise(settings).engine.ensure_ready()
    assert caught.value.reason == "argument_unknown"


@pytest.mark.parametrize(
    ("arguments", "reason", "code"),
    [(("--batch-size", "many"), "argument_unknown", 1), (("--batch-size", "0"), "assertion", 134)],
)
async def test_values_that_no_engine_can_work_with(
    supervise: Supervise,
    real: EngineSettings,
    arguments: tuple[str, ...],
    reason: str,
    code: int,
) -> None:
    if real.kind == "embedded":
        pytest.skip("the embedded engine takes no flags")
    settings = real.model_copy(update={"extra_args": arguments})
    with pytest.raises(EngineStartFailed) as caught:
        await supervise(settings).engine.ensure_ready()
    assert (caught.value.reason, caught.value.exit_code) == (reason, code)
    assert caught.value.hint


async def test_a_port_that_is_taken(supervise: Supervise, real: EngineSettings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = real.model_copy(update={"port": taken.getsockname()[1]})
        with pytest.raises(EngineStartFailed) as caught:
            await supervise(settings).engine.ensure_ready()
    assert caught.value.reason == "port_taken"


async def test_an_idle_model_is_let_go_of_and_taken_again(
    supervise: Supervise, real: EngineSettings
) -> None:
    supervised = supervise(real.model_copy(update={"idle_unload_s": 1}))
    await supervised.engine.ensure_ready()
    await supervised.reached(EngineState.SLEEPING)
    client = ChatClient(
        supervised.engine.ensure_ready, local=True, api_key=supervised.engine.api_key
    )
    sampling = Sampling(0.0, 1.0, 0.0, 4)
    async with asyncio.timeout(20):
        async with client.stream([image_message("Hello")], sampling=sampling) as reply:
            text = "".join([piece.text async for piece in reply])
    await client.aclose()
    assert text
    await supervised.reached(EngineState.READY)
    assert supervised.states[:3] == ["starting", "ready", "sleeping"]


def test_a_pair_that_fits_is_not_complained_about(tiny_pair: ModelPair, tmp_path: Path) -> None:
    check_files(tiny_pair.model, tiny_pair.mmproj)
    other = write_pair(tmp_path, seed=2)
    check_files(other.model, None)
    assert read_header(other.model).architecture == "glm4"
