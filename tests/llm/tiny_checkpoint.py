"""Writes tiny random checkpoints as transformers saves them.

`python tiny_checkpoint.py KIND FOLDER`, by a Python with torch and transformers, which the rest of
the tests does not need. KIND is glm4v (the family of AutoGLM-Phone-9B), glm4v_moe (GLM-4.5V), glm
(the chat models of GLM-Edge) or glm_edge_v (the same with eyes, of which only names are right).
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    Glm4vConfig,
    Glm4vForConditionalGeneration,
    Glm4vMoeConfig,
    Glm4vMoeForConditionalGeneration,
    GlmConfig,
    GlmForCausalLM,
)

SPECIALS = [
    "<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>",
    "<|assistant|>", "<|observation|>", "<|begin_of_image|>", "<|end_of_image|>",
    "<|begin_of_video|>", "<|end_of_video|>", "<|image|>", "<|video|>",
]  # fmt: skip
TEMPLATE = (
    "[gMASK]<sop>{% for m in messages %}<|{{ m.role }}|>\n"
    "{% if m.content is string %}{{ m.content }}{% else %}{% for part in m.content %}"
    "{% if part.type == 'text' %}{{ part.text }}{% else %}"
    "<|begin_of_image|><|image|><|end_of_image|>{% endif %}{% endfor %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
WIDTH, HEADS, HEAD = 256, 2, 128


def write_tokenizer(folder: Path) -> dict[str, int]:
    """A byte-level BPE of single bytes with GLM's special tokens; their numbers.

    One pair is merged, because llama.cpp refuses a tokenizer without merges.
    """
    words = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "he"]
    tokenizer = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, [("h", "e")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in SPECIALS])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "additional_special_tokens": SPECIALS,
        "chat_template": TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return {name: tokenizer.token_to_id(name) for name in SPECIALS}


def text_part(tokens: dict[str, int]) -> dict[str, Any]:
    return {
        "vocab_size": len(tokens) + 257,
        "hidden_size": WIDTH,
        "intermediate_size": 512,
        "num_hidden_layers": 2,
        "num_attention_heads": HEADS,
        "num_key_value_heads": 1,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": False,
        "pad_token_id": tokens["<|endoftext|>"],
        "eos_token_id": [tokens[name] for name in ("<|endoftext|>", "<|user|>")],
    }


def vision_part() -> dict[str, Any]:
    return {
        "depth": 2,
        "hidden_size": WIDTH,
        "num_heads": HEADS,
        "image_size": 112,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "out_hidden_size": WIDTH,
        "intermediate_size": 512,
    }


def build(kind: str, tokens: dict[str, int]) -> torch.nn.Module:
    images = {
        "image_token_id": tokens["<|image|>"],
        "video_token_id": tokens["<|video|>"],
        "image_start_token_id": tokens["<|begin_of_image|>"],
        "image_end_token_id": tokens["<|end_of_image|>"],
        "video_start_token_id": tokens["<|begin_of_video|>"],
        "video_end_token_id": tokens["<|end_of_video|>"],
    }
    rope = {"rope_type": "default", "mrope_section": [8, 12, 12]}
    text = text_part(tokens)
    if kind == "glm4v":
        text |= {"rope_scaling": rope, "partial_rotary_factor": 0.5, "head_dim": HEAD}
        config = Glm4vConfig(text_config=text, vision_config=vision_part(), **images)
        return Glm4vForConditionalGeneration(config)
    if kind == "glm4v_moe":
        text |= {
            "rope_scaling": rope,
            "partial_rotary_factor": 0.5,
            "head_dim": HEAD,
            "moe_intermediate_size": 256,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "n_shared_experts": 1,
            "first_k_dense_replace": 1,
            "n_group": 1,
            "topk_group": 1,
        }
        config = Glm4vMoeConfig(text_config=text, vision_config=vision_part(), **images)
        return Glm4vMoeForConditionalGeneration(config)
    return GlmForCausalLM(GlmConfig(**text, head_dim=HEAD))


def add_eyes(folder: Path) -> None:
    """What makes a GLM-Edge-V of a GLM-Edge: more tensors and a `vision_config`."""
    weights = load_file(folder / "model.safetensors")
    patches = "model.vision.vit.model.vision_model.embeddings.patch_embedding.weight"
    weights[patches] = torch.zeros(64, 3, 14, 14, dtype=torch.bfloat16)
    weights["model.vision.adapter.boi"] = torch.zeros(1, 1, WIDTH, dtype=torch.bfloat16)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["vision_config"] = {"model_type": "siglip_vision_model", "hidden_size": 64}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def main() -> None:
    kind, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    model = build(kind, write_tokenizer(folder)).to(torch.bfloat16)
    model.save_pretrained(folder, safe_serialization=True)
    if kind == "glm_edge_v":
        add_eyes(folder)
    preprocessor = {
        "size": {"shortest_edge": 12544, "longest_edge": 9633792},
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "image_processor_type": "Glm4vImageProcessor",
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor), encoding="utf-8")


if __name__ == "__main__":
    main()
