"""A family that llama.cpp does not convert, from a checkpoint to GGUF and back."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from app.cli.main import app
from app.errors import InputError, ModelError
from app.llm.family import Family, families, family_of, write_family
from app.llm.gguf import read_header
from app.llm.safetensors import open_checkpoint

GOT = families()["GOTQwenForCausalLM"]
CONFIG = {
    "architectures": ["GOTQwenForCausalLM"],
    "num_hidden_layers": 2,
    "max_position_embeddings": 32768,
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1000000.0,
    "vocab_size": 32,
}
Arrays = dict[str, np.ndarray]


def layout(layers: int, blocks: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a GOT-OCR2 checkpoint; 24 layers and 12 blocks are the published one."""
    width, seen = 8, 4
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (32, width),
        "model.norm.weight": (width,),
        "lm_head.weight": (32, width),
        "model.mm_projector_vary.weight": (width, 16),
        "model.mm_projector_vary.bias": (width,),
    }
    for n in range(layers):
        at = f"model.layers.{n}"
        for name in ("q", "k", "v"):
            shapes[f"{at}.self_attn.{name}_proj.weight"] = (width, width)
            shapes[f"{at}.self_attn.{name}_proj.bias"] = (width,)
        shapes[f"{at}.self_attn.o_proj.weight"] = (width, width)
        for name, shape in (("gate", (16, width)), ("up", (16, width)), ("down", (width, 16))):
            shapes[f"{at}.mlp.{name}_proj.weight"] = shape
        for name in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"{at}.{name}.weight"] = (width,)
    tower = "model.vision_tower_high"
    shapes[f"{tower}.pos_embed"] = (1, 4, 4, seen)
    shapes[f"{tower}.patch_embed.proj.weight"] = (seen, 3, 2, 2)
    shapes[f"{tower}.patch_embed.proj.bias"] = (seen,)
    for n in range(blocks):
        at = f"{tower}.blocks.{n}"
        for name in ("norm1", "norm2", "attn.proj", "attn.qkv", "mlp.lin1", "mlp.lin2"):
            flat = name.startswith("norm")
            shapes[f"{at}.{name}.weight"] = (seen,) if flat else (seen, seen)
            shapes[f"{at}.{name}.bias"] = (seen,)
        shapes[f"{at}.attn.rel_pos_h"] = shapes[f"{at}.attn.rel_pos_w"] = (3, 2)
    shapes |= {f"{tower}.neck.{n}.weight": (seen, seen, 1, 1) for n in (0, 2)}
    for n in (1, 3):
        shapes |= {f"{tower}.neck.{n}.{part}": (seen,) for part in ("weight", "bias")}
    shapes |= {f"{tower}.net_{n}.weight": (seen, seen, 3, 3) for n in (2, 3)}
    return shapes


def write_safetensors(path: Path, arrays: Arrays) -> None:
    """BF16 is written for float32 arrays whose values have no more bits."""
    head, data = {}, b""
    for name, array in arrays.items():
        as_bf16 = array.dtype == np.float32 and len(array.shape) != 3
        raw = (array.view(np.uint32) >> 16).astype(np.uint16) if as_bf16 else array
        kind = "BF16" if as_bf16 else {"float16": "F16", "float32": "F32"}[str(array.dtype)]
        blob = raw.tobytes()
        places = [len(data), len(data) + len(blob)]
        head[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": places}
        data += blob
    text = json.dumps({"__metadata__": {"format": "pt"}, **head}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def noise(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """float32 values that BF16 holds exactly."""
    values = rng.standard_normal(shape).astype(np.float32)
    return (values.view(np.uint32) & 0xFFFF0000).view(np.float32)


@pytest.fixture
def checkpoint(tmp_path: Path) -> tuple[Path, Arrays]:
    """A GOT-OCR2 of two layers and one block, in two files."""
    rng = np.random.default_rng(1)
    arrays = {name: noise(shape, rng) for name, shape in layout(2, 1).items()}
    names = [*arrays]
    for number, part in enumerate((names[:20], names[20:])):
        path = tmp_path / f"model-0000{number}.safetensors"
        write_safetensors(path, {name: arrays[name] for name in part})
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path, arrays


def test_the_published_checkpoint_has_472_tensors_and_each_has_a_name() -> None:
    names = GOT.gguf_names(layout(24, 12))
    assert len(names) == len(set(names.values())) == 472
    assert names["model.layers.23.self_attn.q_proj.bias"] == "blk.23.attn_q.bias"
    assert names["model.vision_tower_high.blocks.11.attn.rel_pos_w"].startswith("v.sam.blk.11.")


def test_every_tensor_is_read_back_as_it_was(checkpoint: tuple[Path, Arrays]) -> None:
    folder, arrays = checkpoint
    target, told = folder / "got.gguf", list[tuple[int, int]]()
    family = family_of(folder)
    assert family == GOT
    write_family(folder, target, family, lambda done, count: told.append((done, count)))
    reader = gguf.GGUFReader(target)
    names = GOT.gguf_names(arrays)
    stored = {tensor.name: tensor for tensor in reader.tensors}
    assert stored.keys() == set(names.values())
    for old, array in arrays.items():
        tensor = stored[names[old]]
        flat = len(array.shape) == 1
        assert tensor.tensor_type.name == ("F32" if flat else "BF16")
        assert [int(side) for side in tensor.shape] == [*reversed(array.shape)]
        back = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(array.shape)
        np.testing.assert_array_equal(back, array)
    assert len(told) == len(arrays)
    assert told[-1][0] == told[-1][1] > 0
    header = read_header(target)
    assert header.architecture == "got-ocr2"
    assert header.number("block_count") == 2
    assert header.number("attention.head_count_kv") == 2
    assert sum(t.nbytes for t in header.tensors) < target.stat().st_size


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("lm_head.weight"), "lacks lm_head.weight"),
        (lambda arrays: arrays.update(extra=np.ones(2, np.float32)), "no tensor 'extra'"),
    ],
)
def test_a_checkpoint_that_is_not_quite_the_family_leaves_no_file(
    checkpoint: tuple[Path, Arrays], change: object, message: str
) -> None:
    folder, arrays = checkpoint
    change(arrays)  # type: ignore[operator]
    for path in folder.glob("*.safetensors"):
        path.unlink()
    write_safetensors(folder / "model.safetensors", arrays)
    with pytest.raises(InputError, match=message):
        write_family(folder, folder / "got.gguf", GOT, lambda done, count: None)
    assert not [path for path in folder.iterdir() if "gguf" in path.name]


def test_the_command_writes_it_and_says_that_nothing_runs_it(
    checkpoint: tuple[Path, Arrays],
) -> None:
    folder, _ = checkpoint
    target = folder / "got-bf16.gguf"
    argv = ["models", "convert", "--model-path", str(folder), "--output-path", str(target)]
    done = CliRunner().invoke(app, argv)
    assert done.exit_code == 0, done.output
    assert "no engine answers" in done.output
    assert read_header(target).architecture == "got-ocr2"


def test_the_command_promises_nothing_that_it_does_not_do(
    checkpoint: tuple[Path, Arrays], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = checkpoint
    argv = ["models", "convert", "--json", "--model-path", str(folder), "--output-path"]
    for more in ([str(folder / "got-Q4_K_S.gguf")], [str(folder / "got.gguf"), "--quantize=q8_0"]):
        refused = CliRunner().invoke(app, [*argv, *more]).exception
        assert isinstance(refused, InputError)
        assert "written in 16 bits" in refused.message
    target = folder / "new folder" / "got.gguf"
    done = CliRunner().invoke(app, [*argv, str(target)])
    told = json.loads(done.stdout)
    assert told == {
        "files": [{"path": str(target), "bytes": target.stat().st_size}],
        "runs": False,
    }
    full = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("app.llm.catalogue.shutil.disk_usage", lambda _: full)
    refused = CliRunner().invoke(app, [*argv, str(folder / "other.gguf")]).exception
    assert isinstance(refused, ModelError)
    assert not (folder / "other.gguf").exists()


def test_a_folder_of_another_family_is_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["Glm4vForConditionalGeneration"]}')
    assert family_of(tmp_path) is None
    with pytest.raises(InputError, match=r"config\.json"):
        family_of(tmp_path / "nowhere")


def test_two_tensors_never_become_one() -> None:
    family = GOT.model_copy(update={"tensors": {"a.{n}": "x", "b": "y"}})
    with pytest.raises(InputError, match="two tensors"):
        Family.model_validate(family.model_dump()).gguf_names(["a.1", "a.2", "b"])


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader_otherwise(noise: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        whole = json.dumps({"t": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
        for data in (noise, struct.pack("<Q", len(whole)) + whole + noise[:3]):
            path.write_bytes(data)
            with pytest.raises(InputError), open_checkpoint(Path(folder)):
                pass
