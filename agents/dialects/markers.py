"""The markers of a dialect in the vocabulary of one tokenizer: tokens where it has them, ordinary text where it has not.

Text from outside is never rendered with a marker in it, neither one of the dialect's nor any other that the tokenizer knows:
in JSON the first character is written as an escape, in plain text a space goes behind it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..lark import literal
from .dialect import Vocabulary

# Where a marker of some tokenizer may begin: <…> or […] without spaces. Markers may overlap, so nothing is consumed.
_CANDIDATE = re.compile(r"(?=(<[^<>\s]{1,80}>|\[[^\[\]\s]{1,80}\]))[<\[]")
# Stand for marker tokens while a turn is read: lone surrogates, which no decoded text has in it.
_FIRST_STAND_IN = 0xDC00


class Markers:
    """Looks up, writes and guards the markers of one dialect.

    Args:
        texts: the dialect's markers.
        vocabulary: the model's tokenizer; without one every marker is ordinary text.
    """

    def __init__(self, texts: Iterable[str], vocabulary: Vocabulary | None) -> None:
        self.texts = tuple(sorted(texts, key=len, reverse=True))
        self._vocabulary = vocabulary
        self._ids = {text: number for text in self.texts if (number := self._id(text)) is not None}
        self._of_id = {number: text for text, number in self._ids.items()}
        self._stand_ins = {text: chr(_FIRST_STAND_IN + i) for i, text in enumerate(self._ids)}
        self._cut = re.compile("(" + "|".join(map(re.escape, self.texts)) + ")" if self.texts else "($^)")
        self.eos_ids = vocabulary.eos_ids if vocabulary is not None else ()

    def _id(self, text: str) -> int | None:
        try:
            return self._vocabulary.id_of(text) if self._vocabulary is not None else None
        except KeyError:
            return None

    def id(self, text: str) -> int | None:
        """Id of one of the dialect's markers; None where it is ordinary text."""
        return self._ids.get(text)

    def token_of(self, layout: str) -> int | None:
        """Id of the first marker in structural text that is a token; None without one."""
        return next((self._ids[part] for part in self._cut.split(layout) if part in self._ids), None)

    def ids(self, text: str) -> list[int]:
        """Ids of structural text."""
        return self._vocabulary.encode(text) if text and self._vocabulary is not None else []

    # -- writing ------------------------------------------------------------------------------------------------------

    def plain(self, text: str) -> str:
        """Text from outside with no marker in it; half characters become U+FFFD."""
        return self._without(_unicode(text), lambda character: character + " ")

    def json(self, value: Any, *, indent: int | None = None) -> str:
        """JSON from outside with no marker in it, with a space behind `,` and `:`, or with a line for each of them."""
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
        return self._without(_unicode(text), lambda character: f"\\u{ord(character):04x}")

    def _without(self, text: str, broken: Callable[[str], str]) -> str:
        own = self.texts

        def replace(found: re.Match[str]) -> str:
            candidate, first = found[1], found[0]
            is_marker = candidate in own or self._id(candidate) is not None
            return broken(first) if is_marker else first

        return _CANDIDATE.sub(replace, text)

    # -- grammar ------------------------------------------------------------------------------------------------------

    def lark(self, layout: str) -> str:
        """Structural text as Lark: marker tokens by id, the rest as strings."""
        parts = (part for part in self._cut.split(layout) if part)
        return " ".join(f"<[{self._ids[part]}]>" if part in self._ids else literal(part) for part in parts)

    def begins_with_token(self, layout: str) -> bool:
        """Whether structural text begins with a marker that is a token, which no other text can be taken for."""
        return any(layout.startswith(text) for text in self._ids)

    def text_token(self) -> str:
        """Lark for any token that is no marker; only for a tokenizer."""
        assert self._vocabulary is not None
        ids = sorted(self._vocabulary.special_ids | set(self.eos_ids))
        ranges: list[list[int]] = []
        for number in ids:
            if ranges and ranges[-1][1] == number - 1:
                ranges[-1][1] = number
            else:
                ranges.append([number, number])
        return "<[^" + ",".join(f"{a}-{b}" if a != b else f"{a}" for a, b in ranges) + "]>"

    # -- reading ------------------------------------------------------------------------------------------------------

    def spelt(self, layout: str, *, as_text: bool = False) -> str:
        """Structural text as it is found in what `decode` gives, or in text; markers stand apart from what is around them."""
        spelling = {} if as_text else self._stand_ins
        return self._cut.sub(lambda found: f" {spelling.get(found[0], found[0])} ", layout).strip()

    def decode(self, tokens: Sequence[int], decode: Callable[[Sequence[int]], str]) -> str:
        """Text of tokens with a stand-in for every marker token of the dialect: text never passes for one."""
        parts, start = [], 0
        for i, token in enumerate(tokens):
            if token in self._of_id:
                parts += [decode(tokens[start:i]), self._stand_ins[self._of_id[token]]]
                start = i + 1
        return "".join([*parts, decode(tokens[start:])])

    def shown(self, text: str) -> str:
        """Text with the markers themselves for their stand-ins."""
        for marker, stand_in in self._stand_ins.items():
            text = text.replace(stand_in, marker)
        return text

    def has_stand_in(self, text: str, but: str = "") -> bool:
        """Whether a marker token is in the text, other than this one."""
        return any(stand_in in text for marker, stand_in in self._stand_ins.items() if marker != but)


def _unicode(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
