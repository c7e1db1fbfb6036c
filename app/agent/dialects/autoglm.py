"""AutoGLM-Phone's dialect: `<think>...</think><answer>do(action="Tap", element=[x,y])</answer>`.

The texts match the model's training to the letter. The first user turn is the goal and the current
app; each later turn is a heading and the current app. The picture comes before the text and leaves
the conversation once its turn is answered, so that a request holds exactly one picture.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from app.agent.actions import Finish
from app.agent.dialects.autoglm_reply import (
    MAX_REPLY,
    THOUSANDTHS,
    parse_reply,
    plain_text,
    rest_behind,
    split_thinking,
)
from app.agent.dialects.base import Conversation, Part
from app.agent.dialects.space import PictureRule, Size, Space, pixels_of
from app.agent.dialects.syntax import CallError
from app.agent.dialects.thought import ThoughtStream
from app.agent.dialects.thought_limit import with_limit
from app.agent.ports import Message
from app.agent.step import Decision
from app.errors import PolicyError, ReplyTruncated, ReplyUnparseable

RECORD_HEADING = "** Done so far **"
_THOUGHT_ENDS = ("</think>", "<answer>", "do(action", "finish(message")
_TAGS = ("</think>", "<answer>")
_LONGEST_TAG = 8
_CLOSES = ")）}"
"""The characters that end a call. Only one of these, or one of the two characters after it, can
complete the action of a partial reply."""
_GLM4V = PictureRule(cell=28, min_cells=8, max_cells=4096)
"""From llama.cpp's clip.cpp, Glm4v."""
LOOKS_FREE = 200_000
"""Characters of a reply that may be examined regardless of its length."""
LOOKS_A_CHARACTER = 8
"""Additional characters that may be examined per character of the reply, before it is complete."""


@dataclass(frozen=True)
class AutoGlm:
    """See `Dialect`. Nothing here depends on the size of AutoGLM: GLM-4.1V and other models speak
    it too if they are prompted with this protocol.

    With `pixels` the model gives places in pixels of the picture that it was sent.
    """

    name: str = "autoglm"
    prompt: str = "autoglm"
    pictures: int = 1
    pixels: bool = False

    def user_text(self, goal: str, app: str, told: str = "", *, first: bool) -> str:
        """The protocol has no place for `told`; it becomes a paragraph before the text."""
        info = screen_info(app)
        text = f"{goal}\n\n{info}" if first else f"** Screen Info **\n\n{info}"
        return f"{told}\n\n{text}" if told else text

    def assistant_text(self, thought: str, answer: str) -> str:
        """Writes each tag exactly once."""
        return f"<think>{thought}</think><answer>{answer}</answer>"

    def messages(
        self, conversation: Conversation, text: str, picture: Part | None
    ) -> list[Message]:
        messages: list[Message] = []
        if conversation.system:
            messages.append({"role": "system", "content": conversation.system})
        for number, exchange in enumerate(conversation.past):
            user = exchange.user if number else _recorded(exchange.user, conversation.record)
            messages.append({"role": "user", "content": [_text_part(user)]})
            messages.append({"role": "assistant", "content": exchange.assistant})
        asked = [_text_part(text)] if picture is None else [picture, _text_part(text)]
        messages.append({"role": "user", "content": asked})
        return messages

    def reading(self, sent: Size | None = None) -> AutoGlmReading:
        return AutoGlmReading(self._space(sent))

    def read(self, text: str, *, truncated: bool = False, sent: Size | None = None) -> Decision:
        return parse_reply(text, truncated=truncated, space=self._space(sent))

    def _space(self, sent: Size | None) -> Space:
        return pixels_of(sent) if self.pixels else THOUSANDTHS

    def words(self, reply: str) -> str:
        """A model that knows only its protocol may answer with `finish`. Nothing in the reply is
        executed, so a reply full of broken calls may be cut at its last tag."""
        try:
            action = parse_reply(reply).action
        except (PolicyError, ReplyTruncated):
            try:
                return plain_text(split_thinking(reply)[1])
            except CallError:
                return plain_text(reply.rpartition("</think>")[2])
        return action.message if isinstance(action, Finish) else action.describe()

    def misread(self, reason: str) -> str:
        return (
            f"Your last answer could not be used: {reason}. "
            "Answer with exactly one do(...) or finish(...)."
        )

    def grammar(self, max_thought: int = 0) -> str:
        path = resources.files("app.agent") / "dialects" / "autoglm.gbnf"
        return with_limit(path.read_text(encoding="utf-8"), max_thought)

    def image_tokens(self, width: int, height: int) -> int:
        """1080x2400 gives 3354."""
        return _GLM4V.tokens(width, height)

    def sent_size(self, width: int, height: int) -> Size:
        """The phone's own pixels, as in training. The engine rounds the sides to whole cells, which
        moves no place by more than a thousandth."""
        return width, height


class AutoGlmReading:
    """See `Reading`.

    The whole reply is examined only after a character that can end an action, and only as often as
    keeps the cost linear. In a reply full of such characters the end may be found a little late,
    but at the last character of the reply at the latest.
    """

    def __init__(self, space: Space = THOUSANDTHS) -> None:
        self._space = space
        self._shown = ThoughtStream("<think>", _THOUGHT_ENDS)
        self._reasoning: list[str] = []
        self._answer: list[str] = []
        self._length = 0
        self._tail = ""
        """The last few characters of the answer."""
        self._tagged = False
        self._thinks_again = False
        self._over_at = -1
        self._only_reasoned = False
        self.examined = 0
        """Characters examined for the action so far."""

    @property
    def text(self) -> str:
        answer = "".join(self._answer)
        if self._only_reasoned:
            return "".join(self._reasoning)
        if self._reasoning:
            # All of it is thought, whatever tags it contains.
            return f"<think>{plain_text(''.join(self._reasoning))}</think>{answer}"
        return answer

    @property
    def over(self) -> bool:
        return self._over_at >= 0

    @property
    def behind(self) -> int:
        return self._length - self._over_at if self.over else 0

    @property
    def closed(self) -> bool:
        try:
            self._decision(truncated=True)
        except (PolicyError, ReplyTruncated):
            return False
        return True

    def feed(self, piece: str, *, reasoning: bool = False) -> str:
        (self._reasoning if reasoning else self._answer).append(piece)
        self._length += len(piece)
        if self.over:
            pass
        elif self._length > MAX_REPLY:
            self._over_at = self._length  # it will be rejected whatever follows
        elif self._may_be_over(piece, reasoning):
            self._look()
        return piece if reasoning else self._shown.feed(piece)

    def decision(self, *, truncated: bool = False) -> Decision:
        """A reply that is reasoning throughout is read if it ends with its action."""
        if self._reasoning and not truncated and not "".join(self._answer).strip():
            reasoned = "".join(self._reasoning)
            decision = parse_reply(reasoned, space=self._space)
            behind = reasoned.rpartition(decision.answer)[2]
            if re.search(r"\w", plain_text(behind)):
                raise ReplyUnparseable("the reply goes on behind its action")
            self._only_reasoned = True
            return decision
        return self._decision(truncated=truncated)

    def _decision(self, *, truncated: bool) -> Decision:
        return parse_reply(self.text, truncated=truncated, space=self._space)

    def _may_be_over(self, piece: str, reasoning: bool) -> bool:
        if reasoning:
            return bool(self._tail)
        recent = self._tail + piece
        self._tail = recent[-_LONGEST_TAG:]
        self._tagged = self._tagged or any(tag in recent for tag in _TAGS)
        if not self._tagged and not self._reasoning:
            return False
        # A thought that begins after the action delays the point at which the action is known to be
        # complete.
        self._thinks_again = self._thinks_again or "<think>" in recent
        newest = recent[-len(piece) - 3 :]
        return self._thinks_again or any(character in newest for character in _CLOSES)

    def _look(self) -> None:
        if self.examined > LOOKS_FREE + LOOKS_A_CHARACTER * self._length:
            return
        self.examined += self._length
        rest = rest_behind(self.text)
        if rest is not None:
            self._over_at = self._length - rest


def screen_info(app: str) -> str:
    return json.dumps({"current_app": app}, ensure_ascii=False)


def _text_part(text: str) -> Part:
    return {"type": "text", "text": text}


def _recorded(first: str, record: Sequence[str]) -> str:
    return "\n".join([first, "", RECORD_HEADING, *record]) if record else first


AUTOGLM = AutoGlm()
