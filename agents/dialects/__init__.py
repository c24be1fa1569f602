"""How models are prompted for tools and how they write calls: one small file per dialect."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import AgentError
from .dialect import Dialect, Vocabulary
from .gemma3_json import Gemma3JsonDialect
from .hermes import HermesDialect
from .llama3 import Llama3Dialect
from .mistral import MistralDialect
from .needle import NeedleDialect
from .plain import PlainDialect
from .turn import Turn

_FAMILIES = (HermesDialect, Llama3Dialect, MistralDialect, Gemma3JsonDialect, PlainDialect)
_DIALECTS: dict[str, Callable[[Vocabulary | None], Dialect]] = {
    # Needle has one tokenizer, whose ids its dialect knows.
    NeedleDialect.name: lambda vocabulary: NeedleDialect(),
    **{dialect.name: dialect for dialect in _FAMILIES},
}


def get_dialect(name: str, vocabulary: Vocabulary | None = None) -> Dialect:
    """The dialect of that name.

    Args:
        name: as in a model's `dialect`.
        vocabulary: the model's tokenizer, in which the dialect looks up its markers; without, they are ordinary text.

    Raises:
        AgentError: there is none.
    """
    if name not in _DIALECTS:
        raise AgentError(f"no dialect is called {name!r}; there are: {', '.join(_DIALECTS)}")
    return _DIALECTS[name](vocabulary)


__all__ = ["Dialect", "NeedleDialect", "Turn", "get_dialect"]
