"""What the label under the finger says: one of the lists, "OK" to something, or something else."""

from __future__ import annotations

from collections.abc import Sequence

from app.agent.guard.grammar import AFTER_CJK, NOT_CJK, PLACES, UNSPACED
from app.agent.guard.phrases import Entry, Phrases
from app.agent.guard.tokens import normalise, words

MAX_LABEL = 200
"""Characters of a label that are looked at; a button says less."""
_LINES = 3
_SHORT = 8
"""Characters of a label that is a button's, in Chinese, Japanese or Korean."""

_AGREEING = frozenset(
    "ok okay yes confirm continue agree accept proceed submit apply done approve finish "
    "ja bestatigen fortfahren akzeptieren zustimmen annehmen fertig absenden "
    "oui confirmer continuer accepter valider terminer "
    "si aceptar confirmar continuar "
    "sim aceitar concluir "
    "确定 确认 是 同意 继续 提交 完成 下一步确认 好 好的 "
    "はい 確認 確定 同意する 同意 続行 続ける 完了 "
    "예 네 확인 동의 계속 완료 계속하기".split()
)
_TAILS = frozenset(
    "now and the all with using for of by jetzt und mit maintenant avec ahora con agora com "
    "eur usd gbp chf jpy krw cny rmb brl r euro euros dollar dollars 元 円 원 "
    "paypal google apple samsung card visa mastercard amazon klarna alipay wechat upi pix "
    "button schaltflache taste bouton boton botao 按 钮 ボ タ ン 버 튼".split()
)
"""What may follow on a button and changes nothing: Pay now, Pay with PayPal, Pay 12 EUR."""


class Label:
    """A text under the finger, read once."""

    def __init__(self, text: str, phrases: Phrases) -> None:
        self._phrases = phrases
        lines = [words(normalise(line)) for line in text[:MAX_LABEL].split("\n")[:_LINES]]
        self._lines = [line for line in lines if line]
        self.digits = bool(self._lines) and all(len(w) == 1 and w.isdigit() for w in self._lines[0])

    @property
    def known(self) -> bool:
        """Whether it says anything: an icon or an arrow does not."""
        return bool(self._lines)

    @property
    def agrees(self) -> bool:
        """Whether it says yes to what stands elsewhere: OK, Confirm, Continue."""
        first = self._lines[0] if self._lines else []
        if not first:
            return False
        short = len(first) <= 3 and first[0].isascii()
        return "".join(first) in _AGREEING or (short and first[0] in _AGREEING)

    def entry_of(self, owner: str, *, loose: bool) -> Entry | None:
        """The entry of one list that the label is; `loose` in apps where it may say more."""
        for line in self._lines:
            for match in self._phrases.at(line, 0):
                if match.entry.owner != owner or match.form == "s":
                    continue
                rest = line[match.end :]
                if rest and rest[0] in PLACES:
                    continue
                if loose if match.open_end else _only_tails(rest):
                    return match.entry
            if entry := self._unspaced(line, owner):
                return entry
        return None

    def _unspaced(self, line: Sequence[str], owner: str) -> Entry | None:
        """The entry that a short label in a script without spaces contains."""
        if len(line) > _SHORT or line[0][0] < "\u2e80":
            return None
        text = "".join(line)
        for match in self._phrases.find(line):
            before, after = text[: match.start], text[match.end :]
            said = match.entry.owner == owner and match.entry.language in UNSPACED
            if said and not (before.endswith(NOT_CJK) or after.startswith(AFTER_CJK)):
                return match.entry
        return None

    def field_of(self, owner: str) -> Entry | None:
        """The entry of one list of fields that it names: "Enter your password"."""
        for line in self._lines:
            for match in self._phrases.find(line[:12]):
                if match.entry.owner == owner:
                    return match.entry
        return None


def _only_tails(rest: Sequence[str]) -> bool:
    return all(word in _TAILS or word[0].isdigit() for word in rest)
