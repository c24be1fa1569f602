"""Which tools a run shows its model: all of them where they are few, or else those that its words are about."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from ..tools import Toolset
from .errors import UsageError
from .requests import Choose, Conversation, Said, Showed, Written

if TYPE_CHECKING:
    from .writer import Writer

SHOWN = 8
"""Tools that are shown, where they are too many to show all."""
FEW = 16
"""Tools that are all shown, if they take no more than `SHARE` of the model's context."""
SHARE = 1 / 2

_LONGEST_RESULTS = 20_000  # characters in which names of tools are looked for
_NAME = re.compile(r"[\w.:/-]*\w")


class Shortlist:
    """The tools of one run.

    What the user said in this run is ranked by; tools that were called stay, and one that a result names to the letter comes
    in. The ranking is a request (`Choose`), since an embedding may come out otherwise a second time.

    Args:
        tools: all there are.
        most: so many are chosen; None shows all.
    """

    def __init__(self, tools: Toolset, most: int | None):
        self._tools, self._most = tools, most
        self._ranked: tuple[str, ...] = ()
        self._text = ""

    def names(self, conversation: Conversation) -> Generator[Choose, Any, tuple[str, ...]]:
        """The names for the next turn, in the order of the tools, so that equal sets are equal prompts."""
        if self._most is None:
            return self._tools.names
        text = "\n".join(entry.text for entry in conversation if isinstance(entry, Said) and not entry.earlier)
        if text != self._text:
            self._ranked, _ = yield Choose(text, self._most)
            self._text = text
        chosen = {*self._ranked, *_called(conversation), *self._named(conversation)}
        return tuple(name for name in self._tools.names if name in chosen)

    def _named(self, conversation: Conversation) -> set[str]:
        shown = [entry for entry in conversation if isinstance(entry, Showed)]
        values = [result.value if result.ok else result.error for entry in shown for result in entry.results]
        found = (set(_NAME.findall(str(value)[:_LONGEST_RESULTS])) for value in values)
        named = [name for name in set().union(*found) if name in self._tools and not name.isalpha()]
        return set(sorted(named)[: self._most])


def _called(conversation: Conversation) -> set[str]:
    turns = (entry.turn for entry in conversation if isinstance(entry, Written))
    return {call.name for turn in turns if turn is not None for call in turn.calls}


def shown_at_most(writer: Writer, most: int | None) -> int | None:
    """How many tools a model is shown, where that is not all of them (None).

    Args:
        most: as the user wishes; None for the usual.

    Raises:
        UsageError: that is no number.
    """
    check_most(most)
    if most is not None:
        return most if most < len(writer.tools) else None
    few = len(writer.tools) <= FEW and len(writer.prefix(writer.tools.names)) <= SHARE * writer.model.context_length
    return None if few or len(writer.tools) < 2 else SHOWN


def check_most(most: object) -> None:
    """UsageError where that is no number of tools to show."""
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise UsageError(f"retrieve is a number of tools above 0, received {most!r}; leave it out for the usual")
