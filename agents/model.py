"""What an agent asks of a model. `ferrule.models.LanguageModel` offers it; so does `ScriptedModel`, which needs no weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol


class TokenLike(Protocol):
    """See `ferrule.models.token_loop.Token`."""

    id: int
    text: str
    forced: bool
    logprob: float
    others: tuple[tuple[int, float], ...]


class StreamLike(Protocol):
    """Tokens as they are written; see `ferrule.models.token_loop.Stream`."""

    stop_reason: str | None
    usage: Any
    state: Any

    def __iter__(self) -> Iterator[TokenLike]: ...


class TokenizerLike(Protocol):
    bos_id: int | None

    def encode(self, text: str) -> list[int]: ...

    def decode(self, ids: Sequence[int]) -> str: ...


class AgentModel(Protocol):
    """A model that writes under a grammar.

    Attributes:
        name: for the log.
        dialect: name of the file in `dialects` that says how it is prompted.
        context_length: tokens that prompt and output may have together.
        one_at_a_time: whether it is good at one call and not at several steps; may be missing, which is no. An agent plans for
            such a model.

    A model may also have a `calibration`, a JSON object with the fields of a `Calibration` (`confidence.py`), and a `source`,
    one for the log that says where its weights came from ("preset", "backend") and has a "fingerprint": a run goes on with
    the same weights only.
    """

    name: str
    dialect: str
    context_length: int
    tokenizer: TokenizerLike

    def grammar(self, lark: str, after: Sequence[int] = ()) -> Any:
        """A constraint at the beginning of that grammar, or behind tokens that it begins with."""
        ...

    def stream_tokens(self, ids: Sequence[int], *, max_tokens: int, constraint: Any, pin: int) -> StreamLike:
        """At most that many tokens behind the prompt, under a constraint; the prompt's first `pin` tokens will come again."""
        ...

    def confidence(self, state: Any) -> float | None:
        """Probability that what was written is right, if the model has an opinion."""
        ...
