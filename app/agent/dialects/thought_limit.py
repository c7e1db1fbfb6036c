"""A limit on the length of the thought, as part of a dialect's grammar.

Grammars count characters, so the limit is in characters. llama.cpp turns `x{0,n}` into n rules and
refuses more than 2000, so the thought is built of blocks with an exact number of characters, each
followed by the next block or by a shorter rest. At any place only two readings are open, whatever
the limit.
"""

from __future__ import annotations

import re

BLOCK = 100
"""Characters of a block."""
MOST = 100_000
"""The longest limit, in characters: a thousand rules."""
_THOUGHT = re.compile(r"^thought ::= (?P<unit>\(.+\))(?P<times>[*+])$", re.MULTILINE)


def with_limit(grammar: str, characters: int) -> str:
    """The grammar with at most `characters` of thought; unchanged for 0.

    Where the grammar joins a character such as `<` with what follows it, these count as one.
    """
    if not characters:
        return grammar
    found = _THOUGHT.search(grammar)
    if found is None:
        raise ValueError("the grammar has no rule `thought ::= ( ... )*`")
    least = 1 if found["times"] == "+" else 0
    blocks, rest = divmod(min(characters, MOST), BLOCK)
    rules = [f"thought-char ::= {found['unit']}", f"thought-0 ::= {_between(0, rest)}"]
    if blocks:
        rules += [
            f"thought-block ::= thought-char{{{BLOCK}}}",
            f"thought-rest ::= {_between(0, BLOCK - 1)}",
        ]
    for number in range(1, blocks + 1):
        rules.append(f"thought-{number} ::= thought-block thought-{number - 1} | thought-rest")
    last = f"thought-{blocks}"
    if least:  # the same with one character before it
        last = _at_least_one(blocks, rest)
    rules.append(f"thought ::= {last}")
    return grammar[: found.start()] + "\n".join(rules) + grammar[found.end() :]


def _between(least: int, most: int) -> str:
    return f"thought-char{{{least},{most}}}" if most else '""'


def _at_least_one(blocks: int, rest: int) -> str:
    if not blocks:
        return _between(1, rest)
    return f"thought-block thought-{blocks - 1} | {_between(1, BLOCK - 1)}"
