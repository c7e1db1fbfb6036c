"""The text around an image as the engine renders it: special tokens, chat template, one prompt."""

from __future__ import annotations

SPECIAL = (
    "<|endoftext|>",
    "[MASK]",
    "[gMASK]",
    "[sMASK]",
    "<sop>",
    "<eop>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|observation|>",
    "<|begin_of_image|>",
    "<|end_of_image|>",
    "<|image|>",
    "<|begin_of_video|>",
    "<|end_of_video|>",
    "<|video|>",
)
VISIBLE = ("<think>", "</think>", "<answer>", "</answer>")
"""Whole tokens that stay in the decoded text, since the agent reads them."""

# The text parts of a message are joined, its image comes as one marker in their place.
CHAT_TEMPLATE = """[gMASK]<sop>
{%- for m in messages -%}
{%- if m.role == 'system' %}<|system|>
{{ m.content }}
{%- elif m.role == 'user' %}<|user|>
{% if m.content is string %}{{ m.content }}{% else %}
{%- for part in m.content -%}
{%- if part.type == 'image' or part.type == 'image_url' -%}
<|begin_of_image|><|image|><|end_of_image|>
{%- elif part.type == 'text' -%}
{{ part.text }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- elif m.role == 'assistant' %}<|assistant|>
{{ m.content }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt %}<|assistant|>
{% endif -%}"""


def prompt_text(
    system: str, turns: list[tuple[str, str]], last_user: str, image_tokens: int
) -> str:
    """The chat template by hand: what the engine sees, the image as `image_tokens` tokens."""
    parts = [f"[gMASK]<sop><|system|>\n{system}"]
    for user, assistant in turns:
        parts.append(f"<|user|>\n{user}<|assistant|>\n{assistant}")
    image = "<|begin_of_image|>" + "<|image|>" * image_tokens + "<|end_of_image|>"
    parts.append(f"<|user|>\n{image}{last_user}<|assistant|>\n")
    return "".join(parts)
