"""Writes a tiny random GLM-4V model: a valid GGUF pair that llama.cpp loads in well under a second.

The weights are noise, so the replies are noise too; what the tests need is a real engine that
loads, looks at an image, streams tokens and can be stopped. Tensor and key names are those that
llama.cpp reads for the text arch `glm4` and the projector `glm4v`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

EMBED = 64
HEADS = 2
HEAD_DIM = EMBED // HEADS
FFN = 128
PATCH = 14
IMAGE = 112
CONTEXT = 32768

SPECIALS = (
    "<|endoftext|>",
    "[gMASK]",
    "<sop>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|begin_of_image|>",
    "<|end_of_image|>",
    "<|image|>",
)
CHAT_TEMPLATE = (
    "[gMASK]<sop>{% for m in messages %}<|{{ m.role }}|>\n"
    "{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for part in m.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


@dataclass(frozen=True)
class ModelPair:
    model: Path
    mmproj: Path


def write_pair(folder: Path, seed: int = 1) -> ModelPair:
    """Write `tiny.gguf` and `tiny-mmproj.gguf` into `folder`."""
    rng = np.random.default_rng(seed)
    pair = ModelPair(folder / "tiny.gguf", folder / "tiny-mmproj.gguf")
    _write_text(pair.model, rng)
    _write_vision(pair.mmproj, rng)
    return pair


def _noise(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return (rng.standard_normal(shape) * 0.05).astype(np.float32)


def _ones(*shape: int) -> np.ndarray:
    return np.ones(shape, dtype=np.float32)


def _byte_tokens() -> list[str]:
    """The 256 byte symbols of the GPT-2 byte-level vocabulary, in byte order.

    Printable bytes stand for themselves; the others are shifted to code points from 256 on.
    """
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    shifted = iter(range(256, 512))
    return [chr(byte if byte in printable else next(shifted)) for byte in range(256)]


def _write_text(path: Path, rng: np.random.Generator) -> None:
    tokens = [*_byte_tokens(), *SPECIALS]
    end = tokens.index("<|endoftext|>")
    writer = gguf.GGUFWriter(path, "glm4")
    writer.add_name("tiny-glm4v")
    writer.add_block_count(1)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(EMBED)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(HEAD_DIM // 2)
    writer.add_rope_dimension_sections([2, 3, 3, 0])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("glm4")
    writer.add_token_list(tokens)
    normal, control = int(gguf.TokenType.NORMAL), int(gguf.TokenType.CONTROL)
    writer.add_token_types([normal] * 256 + [control] * len(SPECIALS))
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(end)
    writer.add_eot_token_id(tokens.index("<|user|>"))
    writer.add_unk_token_id(end)
    writer.add_chat_template(CHAT_TEMPLATE)

    writer.add_tensor("token_embd.weight", _noise(rng, len(tokens), EMBED))
    writer.add_tensor("output_norm.weight", _ones(EMBED))
    output = _noise(rng, len(tokens), EMBED)
    # Only plain ASCII letters and space may win: a reply is then valid text of max_tokens tokens.
    letters = {ord(char) for char in "abcdefghijklmnopqrstuvwxyz"}
    for token in range(len(tokens)):
        if token not in letters:
            output[token] *= 0.0
    writer.add_tensor("output.weight", output)
    for name, array in {
        "attn_norm": _ones(EMBED),
        "attn_q": _noise(rng, HEADS * HEAD_DIM, EMBED),
        "attn_k": _noise(rng, HEAD_DIM, EMBED),
        "attn_v": _noise(rng, HEAD_DIM, EMBED),
        "attn_output": _noise(rng, EMBED, HEADS * HEAD_DIM),
        "post_attention_norm": _ones(EMBED),
        "ffn_norm": _ones(EMBED),
        "ffn_up": _noise(rng, 2 * FFN, EMBED),
        "ffn_down": _noise(rng, EMBED, FFN),
        "post_ffw_norm": _ones(EMBED),
    }.items():
        writer.add_tensor(f"blk.0.{name}.weight", array)
    _finish(writer)


def _write_vision(path: Path, rng: np.random.Generator) -> None:
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type(gguf.GGUFType.MMPROJ)
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("glm4v")
    writer.add_vision_projection_dim(EMBED)
    writer.add_vision_image_size(IMAGE)
    writer.add_vision_patch_size(PATCH)
    writer.add_vision_embedding_length(EMBED)
    writer.add_vision_feed_forward_length(FFN)
    writer.add_vision_block_count(1)
    writer.add_vision_head_count(HEADS)
    writer.add_vision_attention_layernorm_eps(1e-5)
    writer.add_vision_image_mean([0.48145466, 0.4578275, 0.40821073])
    writer.add_vision_image_std([0.26862954, 0.26130258, 0.27577711])
    writer.add_vision_use_silu(True)

    positions = (IMAGE // PATCH) ** 2
    for name, array in {
        "v.patch_embd.weight": _noise(rng, EMBED, 3, PATCH, PATCH),
        "v.patch_embd.weight.1": _noise(rng, EMBED, 3, PATCH, PATCH),
        "v.patch_embd.bias": _noise(rng, EMBED),
        "v.norm_embd.weight": _ones(EMBED),
        "v.position_embd.weight": _noise(rng, positions, EMBED),
        "v.blk.0.ln1.weight": _ones(EMBED),
        "v.blk.0.attn_qkv.weight": _noise(rng, 3 * EMBED, EMBED),
        "v.blk.0.attn_out.weight": _noise(rng, EMBED, EMBED),
        "v.blk.0.ln2.weight": _ones(EMBED),
        "v.blk.0.ffn_gate.weight": _noise(rng, FFN, EMBED),
        "v.blk.0.ffn_up.weight": _noise(rng, FFN, EMBED),
        "v.blk.0.ffn_down.weight": _noise(rng, EMBED, FFN),
        "v.post_ln.weight": _ones(EMBED),
        "mm.patch_merger.weight": _noise(rng, EMBED, EMBED, 2, 2),
        "mm.patch_merger.bias": _noise(rng, EMBED),
        "mm.model.fc.weight": _noise(rng, EMBED, EMBED),
        "mm.post_norm.weight": _ones(EMBED),
        "mm.post_norm.bias": _noise(rng, EMBED),
        "mm.gate.weight": _noise(rng, FFN, EMBED),
        "mm.up.weight": _noise(rng, FFN, EMBED),
        "mm.down.weight": _noise(rng, EMBED, FFN),
    }.items():
        writer.add_tensor(name, array)
    _finish(writer)


def _finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
