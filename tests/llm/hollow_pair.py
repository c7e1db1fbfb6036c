"""A GGUF pair with the shapes of AutoGLM-Phone-9B and no data: sparse files that take no room.

For what is decided by a file's header alone. The numbers are those of `Glm4vConfig`'s defaults.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

from tests.llm.tiny_glm4v import ModelPair

LAYERS, WIDTH, FFN, WORDS, HEADS, KV_HEADS, HEAD = 40, 4096, 13696, 151552, 32, 2, 128
VISION_LAYERS, VISION_WIDTH, VISION_FFN = 24, 1536, 4096
_Q4_K, _F16 = gguf.GGMLQuantizationType.Q4_K, gguf.GGMLQuantizationType.F16
_Q5_0 = gguf.GGMLQuantizationType.Q5_0


def write_hollow_pair(folder: Path) -> ModelPair:
    """Write `hollow.gguf` and `hollow-mmproj.gguf` into `folder`."""
    text = gguf.GGUFWriter(folder / "hollow.gguf", "glm4")
    text.add_block_count(LAYERS)
    text.add_embedding_length(WIDTH)
    text.add_head_count(HEADS)
    text.add_head_count_kv(KV_HEADS)
    text.add_key_length(HEAD)
    text.add_value_length(HEAD)
    text.add_rope_dimension_sections([8, 12, 12, 0])
    _add(text, "token_embd.weight", (WORDS, WIDTH), _Q4_K)
    _add(text, "output.weight", (WORDS, WIDTH), _Q4_K)
    for layer in range(LAYERS):
        for name, shape, kind in (
            ("attn_q", (HEADS * HEAD, WIDTH), _Q4_K),
            ("attn_k", (KV_HEADS * HEAD, WIDTH), _Q4_K),
            ("attn_v", (KV_HEADS * HEAD, WIDTH), _Q4_K),
            ("attn_output", (WIDTH, HEADS * HEAD), _Q4_K),
            ("ffn_up", (2 * FFN, WIDTH), _Q4_K),
            ("ffn_down", (WIDTH, FFN), _Q5_0),
        ):
            _add(text, f"blk.{layer}.{name}.weight", shape, kind)
    vision = gguf.GGUFWriter(folder / "hollow-mmproj.gguf", "clip")
    vision.add_clip_projector_type("glm4v")
    vision.add_vision_embedding_length(VISION_WIDTH)
    vision.add_vision_projection_dim(WIDTH)
    for layer in range(VISION_LAYERS):
        for name, shape in (
            ("attn_qkv", (3 * VISION_WIDTH, VISION_WIDTH)),
            ("attn_out", (VISION_WIDTH, VISION_WIDTH)),
            ("ffn_gate", (VISION_FFN, VISION_WIDTH)),
            ("ffn_up", (VISION_FFN, VISION_WIDTH)),
            ("ffn_down", (VISION_WIDTH, VISION_FFN)),
        ):
            _add(vision, f"v.blk.{layer}.{name}.weight", shape, _F16)
    for name in ("gate", "up"):
        _add(vision, f"mm.{name}.weight", (FFN, WIDTH), _F16)
    _add(vision, "mm.down.weight", (WIDTH, FFN), _F16)
    return ModelPair(_finish(text), _finish(vision))


def _add(
    writer: gguf.GGUFWriter, name: str, shape: tuple[int, int], kind: gguf.GGMLQuantizationType
) -> None:
    rows = gguf.quant_shape_to_byte_shape(shape, kind)
    writer.add_tensor_info(name, rows, np.dtype(np.uint8), int(np.prod(rows)), raw_dtype=kind)


def _finish(writer: gguf.GGUFWriter) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    path = writer.path
    assert path is not None
    data = sum(
        gguf.GGUFWriter.ggml_pad(info.nbytes, writer.data_alignment)
        for info in writer.tensors[0].values()
    )
    with path.open("r+b") as file:
        begin = gguf.GGUFWriter.ggml_pad(file.seek(0, 2), writer.data_alignment)
        file.truncate(begin + data)
    return path
