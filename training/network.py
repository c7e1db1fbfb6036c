"""The demo model: a small Glm4v, and a forward pass that reads one image for several questions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from transformers import Glm4vConfig, Glm4vForConditionalGeneration
from transformers.models.glm4v.modeling_glm4v import apply_rotary_pos_emb_vision

from training.screens import CELL_CLASSES, COLUMNS, IMAGE_HEIGHT, IMAGE_TOKENS, IMAGE_WIDTH, ROWS

PATCH, MERGE, TEMPORAL = 14, 2, 2
GRID_H, GRID_W = IMAGE_HEIGHT // PATCH, IMAGE_WIDTH // PATCH
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""The preprocessing constants of the GLM-4V family (those of CLIP)."""


def build(vocabulary: int, tokens: dict[str, int]) -> Glm4vForConditionalGeneration:
    """A fresh model. The text part is 256 wide, so that k-quants (blocks of 256) apply."""
    config = Glm4vConfig(
        text_config={
            "vocab_size": vocabulary,
            "hidden_size": 256,
            "intermediate_size": 1024,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 16384,
            "rope_theta": 10000.0,
            "partial_rotary_factor": 0.5,
            "rope_scaling": {"rope_type": "default", "mrope_section": [4, 6, 6]},
            "pad_token_id": tokens["<|endoftext|>"],
            "eos_token_id": [tokens["<|endoftext|>"], tokens["<|user|>"]],
        },
        vision_config={
            "depth": 4,
            "hidden_size": 256,
            "num_heads": 4,
            "image_size": 560,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": TEMPORAL,
            "out_hidden_size": 256,
            "intermediate_size": 512,
        },
        image_token_id=tokens["<|image|>"],
        image_start_token_id=tokens["<|begin_of_image|>"],
        image_end_token_id=tokens["<|end_of_image|>"],
        video_token_id=tokens["<|video|>"],
        video_start_token_id=tokens["<|begin_of_video|>"],
        video_end_token_id=tokens["<|end_of_video|>"],
    )
    return Glm4vForConditionalGeneration(config)


@dataclass(frozen=True)
class Batch:
    """Screens and the questions about them.

    pixels: uint8 (screens, height, width, 3). cells: int64 (screens, rows, columns).
    screen: int64 (questions,), the screen that each question is about. tokens: int64
    (questions, length), padded on the right. image_at: int64 (questions,), where the image
    tokens begin. weight: float (questions, length), the loss weight of predicting that token.
    """

    pixels: torch.Tensor
    cells: torch.Tensor
    screen: torch.Tensor
    tokens: torch.Tensor
    image_at: torch.Tensor
    weight: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        return Batch(
            *(getattr(self, f).to(device, non_blocking=True) for f in self.__annotations__)
        )


class Trainee(nn.Module):
    """The model with the heads of the second loss, which are thrown away after training."""

    def __init__(self, model: Glm4vForConditionalGeneration) -> None:
        super().__init__()
        self.model = model
        width = model.config.vision_config.out_hidden_size
        self.kind_head = nn.Linear(width, len(CELL_CLASSES))
        self.row_head = nn.Linear(width, ROWS)
        self.column_head = nn.Linear(width, COLUMNS)
        grid = torch.tensor([[1, GRID_H, GRID_W]])
        _, positions = model.model.visual.rot_pos_emb(grid)
        self.register_buffer("grid", grid, persistent=False)
        self.register_buffer("patch_positions", positions, persistent=False)

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(reply loss, cell loss, share of replies that are right to the last token)."""
        seen = self.see(batch.pixels)
        hidden = self.read(seen[batch.screen], batch.tokens, batch.image_at)
        asked = batch.weight[:, 1:] > 0
        targets, weight = batch.tokens[:, 1:][asked], batch.weight[:, 1:][asked]
        logits = self.model.lm_head(hidden[:, :-1][asked]).float()
        losses = F.cross_entropy(logits, targets, reduction="none")
        reply_loss = (losses * weight).sum() / weight.sum()
        wrong = torch.zeros(len(asked), device=asked.device)
        wrong.index_add_(0, asked.nonzero()[:, 0], (logits.argmax(-1) != targets).float())
        right = (wrong == 0).float().mean()
        return reply_loss, self._cell_loss(seen, batch.cells), right

    def _cell_loss(self, seen: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
        kinds = self.kind_head(seen).flatten(0, 1).float()
        loss = F.cross_entropy(kinds, cells.flatten())
        device, count = cells.device, len(cells)
        rows = torch.arange(ROWS, device=device).repeat_interleave(COLUMNS).repeat(count)
        columns = torch.arange(COLUMNS, device=device).repeat(ROWS * count)
        loss = loss + 0.1 * F.cross_entropy(self.row_head(seen).flatten(0, 1).float(), rows)
        return loss + 0.1 * F.cross_entropy(self.column_head(seen).flatten(0, 1).float(), columns)

    def see(self, pixels: torch.Tensor) -> torch.Tensor:
        """Vision tokens (screens, rows * columns, width).

        The same computation as transformers' Glm4vVisionModel.forward, for images of one size:
        attention runs over the batch at once instead of image by image.
        """
        visual, count = self.model.model.visual, len(pixels)
        hidden = visual.patch_embed(patches(pixels))
        hidden = visual.post_conv_layernorm(hidden).view(count, GRID_H * GRID_W, -1)
        rotary, _ = visual.rot_pos_emb(self.grid)
        angles = torch.cat((rotary, rotary), dim=-1).to(pixels.device)
        cos, sin = angles.cos(), angles.sin()
        zero = torch.zeros_like(hidden[0])
        hidden = hidden + visual.embeddings(
            zero,
            [GRID_H * GRID_W],
            self.grid,
            self.patch_positions[:, 0],
            self.patch_positions[:, 1],
        )
        for block in visual.blocks:
            hidden = hidden + _attend(block.attn, block.norm1(hidden), cos, sin)
            hidden = hidden + block.mlp(block.norm2(hidden))
        hidden = visual.post_layernorm(hidden)
        hidden = hidden.view(-1, MERGE, MERGE, hidden.shape[-1]).permute(0, 3, 1, 2)
        hidden = visual.downsample(hidden).flatten(1)
        return visual.merger(hidden).view(count, IMAGE_TOKENS, -1)

    def read(
        self, seen: torch.Tensor, tokens: torch.Tensor, image_at: torch.Tensor
    ) -> torch.Tensor:
        """Hidden states (questions, length, width). Padding on the right is hidden by causality."""
        language = self.model.model.language_model
        embedded = language.embed_tokens(tokens)
        slots = image_at[:, None] + torch.arange(IMAGE_TOKENS, device=tokens.device)
        index = slots[..., None].expand(-1, -1, embedded.shape[-1])
        embedded = embedded.scatter(1, index, seen.to(embedded.dtype))
        positions = rope_positions(tokens.shape[1], image_at)
        everything = torch.ones_like(tokens)  # no mask at all is taken for packed sequences
        return language(
            inputs_embeds=embedded,
            attention_mask=everything,
            position_ids=positions,
            use_cache=False,
        )[0]


def patches(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 (n, height, width, 3) to normalised patches in the order of Glm4vImageProcessor."""
    mean = torch.tensor(MEAN, device=pixels.device)
    std = torch.tensor(STD, device=pixels.device)
    images = ((pixels.float() / 255 - mean) / std).permute(0, 3, 1, 2)
    count = len(images)
    blocks = images.view(
        count, 3, GRID_H // MERGE, MERGE, PATCH, GRID_W // MERGE, MERGE, PATCH
    ).permute(0, 2, 5, 3, 6, 1, 4, 7)
    flat = blocks.reshape(count * GRID_H * GRID_W, 3, 1, PATCH, PATCH)
    return flat.expand(-1, -1, TEMPORAL, -1, -1).reshape(len(flat), -1)


def _attend(
    attention: nn.Module, hidden: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
) -> torch.Tensor:
    count, length, _ = hidden.shape
    qkv = attention.qkv(hidden).view(count, length, 3, attention.num_heads, -1)
    query, key, value = qkv.permute(2, 0, 1, 3, 4).unbind(0)
    shape = query.shape
    query, key = apply_rotary_pos_emb_vision(
        query.flatten(0, 1), key.flatten(0, 1), cos.repeat(count, 1), sin.repeat(count, 1)
    )
    query, key = query.view(shape).to(value.dtype), key.view(shape).to(value.dtype)
    mixed = F.scaled_dot_product_attention(
        query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
    )
    return attention.proj(mixed.transpose(1, 2).reshape(count, length, -1))


def rope_positions(length: int, image_at: torch.Tensor) -> torch.Tensor:
    """m-rope positions (3, questions, length): time, row, column, as get_rope_index gives them."""
    device = image_at.device
    index = torch.arange(length, device=device).expand(len(image_at), -1)
    start = image_at[:, None]
    inside = (index >= start) & (index < start + IMAGE_TOKENS)
    after = index >= start + IMAGE_TOKENS
    offset = index - start
    text = torch.where(after, index - IMAGE_TOKENS + max(ROWS, COLUMNS), index)
    time = torch.where(inside, start, text)
    row = torch.where(inside, start + offset // COLUMNS, text)
    column = torch.where(inside, start + offset % COLUMNS, text)
    return torch.stack([time, row, column])
