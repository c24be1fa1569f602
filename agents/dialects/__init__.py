"""How models are prompted for tools and how they write calls: one small file per dialect."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from ..errors import AgentError
from .dialect import Dialect, Vocabulary
from .functiongemma import FunctionGemmaDialect
from .gemma3_json import Gemma3JsonDialect
from .gemma3_python import Gemma3PythonDialect
from .gemma4 import Gemma4Dialect
from .hermes import HermesDialect
from .llama3 import Llama3Dialect
from .mistral import MistralDialect
from .needle import NeedleDialect
from .plain import PlainDialect
from .turn import Turn

_TOLD_BY_MARKERS = (FunctionGemmaDialect, Gemma4Dialect)
# What begins a turn: a tokenizer without it was made for another dialect than its model's architecture suggests
_FRAMES = {"hermes": "<|im_start|>", "llama3": "<|start_header_id|>", "gemma3_json": "<start_of_turn>"}
_FAMILIES = (
    *(HermesDialect, Llama3Dialect, MistralDialect, Gemma3JsonDialect, Gemma3PythonDialect),
    *(FunctionGemmaDialect, Gemma4Dialect, PlainDialect),
)
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


def dialect_of(vocabulary: Vocabulary, default: str) -> str:
    """Name of the dialect that a tokenizer was made for, by the marker of its calls or turns; else the default, its family's.

    FunctionGemma has the architecture of Gemma 3, which has no tokens for tools, and SmolLM2 that of Llama with the turns of
    ChatML: only the tokenizer tells them apart.
    """
    for dialect in _TOLD_BY_MARKERS:
        if _has(vocabulary, dialect.opening):
            return dialect.name
    if default not in _FRAMES or _has(vocabulary, _FRAMES[default]):
        return default
    return next((name for name, frame in _FRAMES.items() if _has(vocabulary, frame)), PlainDialect.name)


def _has(vocabulary: Vocabulary, marker: str) -> bool:
    with suppress(KeyError):
        vocabulary.id_of(marker)
        return True
    return False


__all__ = ["Dialect", "NeedleDialect", "Turn", "dialect_of", "get_dialect"]
