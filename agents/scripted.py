"""A model that follows a script: an agent and its tools can be tested without weights.

>>> from ferrule.agents import Agent, ScriptedModel
>>> from ferrule.tools import ToolCall
>>> def add(a: int, b: int) -> int:
...     return a + b
>>> model = ScriptedModel.from_calls([[ToolCall("add", {"a": 2, "b": 3})], "That makes 5."])
>>> Agent(model, [add]).run("what is 2 + 3?").answer
'That makes 5.'
>>> "<tool_result>[5]</tool_result>" in model.prompts[1]
True
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..tools import Tool, ToolCall, Toolset
from .dialects import Dialect, Turn, get_dialect
from .errors import ScriptError

_FIRST_MARKER = 4  # as in Needle's vocabulary, whose dialect works with ids


class ScriptedTokenizer:
    """Markers, bytes, and every ASCII word, which gets an id when it is first met.

    Args:
        markers: of a dialect; with Needle's they and the bytes have their ids in its vocabulary.
    """

    bos_id: int | None = 2
    eos_ids = (1,)

    def __init__(self, markers: Sequence[str]) -> None:
        self._first_byte = _FIRST_MARKER + len(markers)
        self._pieces = [b""] * _FIRST_MARKER + [marker.encode() for marker in markers] + [bytes([i]) for i in range(256)]
        self._ids = {piece: i for i, piece in enumerate(self._pieces) if i >= _FIRST_MARKER}
        longest_first = sorted(markers, key=len, reverse=True)
        self._piece = re.compile("|".join([*map(re.escape, longest_first), "[A-Za-z0-9_]+", "."]), re.DOTALL)

    @property
    def special_ids(self) -> frozenset[int]:
        return frozenset(range(self._first_byte))

    def id_of(self, piece: str) -> int:
        """Id of a marker; KeyError when there is none of that name."""
        number = self._ids[piece.encode()]
        if number >= self._first_byte:
            raise KeyError(piece)
        return number

    @property
    def vocab_size(self) -> int:
        return len(self._pieces)

    def encode(self, text: str) -> list[int]:
        """Ids of `text`, without BOS; markers are recognised anywhere."""
        ids: list[int] = []
        for piece in self._piece.findall(text):
            data = piece.encode("utf-8", "replace")
            if data not in self._ids and piece.isascii():
                self._ids[data] = len(self._pieces)
                self._pieces.append(data)
            ids += [self._ids[data]] if data in self._ids else [self._first_byte + byte for byte in data]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of any list of ids; bytes that are not UTF-8 become U+FFFD."""
        return b"".join(self._pieces[i] for i in ids).decode("utf-8", "replace")

    def token_bytes(self, token: int) -> bytes:
        return self._pieces[token]


@dataclass(frozen=True)
class ScriptedToken:
    """See `ferrule.models.token_loop.Token`; a script is sure of itself."""

    id: int
    text: str
    forced: bool = False
    logprob: float = 0.0
    others: tuple[tuple[int, float], ...] = ()


@dataclass
class ScriptedUsage:
    """See `ferrule.models.token_loop.Usage`."""

    prompt_tokens: int = 0
    reused_tokens: int = 0
    generated_tokens: int = 0
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0


class ScriptedStream:
    """See `ferrule.models.token_loop.Stream`; its state is the number of the turn."""

    def __init__(self, ids: Sequence[int], text: Callable[[int], str], most: int, prompt_tokens: int, turn: int) -> None:
        self.stop_reason: str | None = None
        self.usage = ScriptedUsage(prompt_tokens=prompt_tokens)
        self.state = turn
        self._tokens = self._run(ids, text, most)

    def __iter__(self) -> Iterator[ScriptedToken]:
        return self._tokens

    def _run(self, ids: Sequence[int], text: Callable[[int], str], most: int) -> Iterator[ScriptedToken]:
        for token in ids[:most]:
            self.usage.generated_tokens += 1
            yield ScriptedToken(token, text(token))
        self.stop_reason = "stop" if most >= len(ids) else "length"


class ScriptedModel:
    """Offers `AgentModel` and writes the turns of a script, one each time it is asked, over all runs.

    Args:
        turns: what it writes, in that dialect; in Needle's
            ``'<think>…</think>\\n<tool_call>[{"name":"f","arguments":{}}]</tool_call><|im_end|>'``, or prose for the calls.
        dialect: how it is prompted for tools and writes calls; the name of a file in `agents/dialects`.
        confidence: what it claims of each turn, or of all of them; None for no opinion.
        context_length: tokens (words and other characters) that prompt and output may have together.
        check: whether a turn must be possible under the agent's grammar, as every turn of a real model is: known tools, valid
            arguments. Without, an agent can be shown turns that no real model gets past its grammar.

    Attributes:
        prompts: everything that stood before each turn, so that a test can look at what the model was told.

    Raises:
        ScriptError: (when run) the script is over, or a turn is not possible.
        AgentError: there is no such dialect.
    """

    def __init__(
        self,
        turns: Sequence[str],
        *,
        dialect: str = "needle",
        confidence: float | Sequence[float | None] | None = None,
        context_length: int = 8192,
        check: bool = True,
        name: str = "scripted",
    ) -> None:
        self.name = name
        self.context_length = context_length
        self.dialect = dialect
        self.tokenizer = ScriptedTokenizer(get_dialect(dialect).markers)
        self.turns = tuple(turns)
        self.prompts: list[str] = []
        self._confidence = confidence
        self._check = check

    @classmethod
    def from_calls(
        cls, turns: Iterable[Sequence[ToolCall] | str], *, tools: Iterable[Tool | Callable[..., Any]] = (), **options: Any
    ) -> ScriptedModel:
        """A script of calls and answers.

        Args:
            turns: for each turn the calls (none of them: no tool fits, where the dialect has a way to say so) or prose.
            tools: only needed for Needle, where names of tools or of parameters are not snake_case: it sees them that way.
            options: as in the class.
        """
        model = cls((), **options)
        written, known = get_dialect(model.dialect, model.tokenizer), list(Toolset(tools))
        model.turns = tuple(_written(turn, written, known) for turn in turns)
        return model

    def grammar(self, lark: str, after: Sequence[int] = ()) -> str | None:
        """The grammar itself, against which the next turn is checked, from its beginning."""
        return lark if self._check else None

    def stream_tokens(self, ids: Sequence[int], *, max_tokens: int, constraint: str | None, pin: int) -> ScriptedStream:
        """The next turn of the script, up to `max_tokens`.

        Raises:
            ScriptError: there is none, or the grammar does not allow it.
        """
        turn = len(self.prompts)
        if turn >= len(self.turns):
            written = f"{turn} turn{'s' * (turn != 1)}"
            raise ScriptError(
                f"the script is over: it has {written}, and the agent asks for one more; add what it should write"
            )
        self.prompts.append(self.tokenizer.decode(ids))
        tokens = self.tokenizer.encode(self.turns[turn])
        if constraint is not None:
            self._follow(constraint, tokens, turn)
        most = min(max_tokens, self.context_length - len(ids))
        return ScriptedStream(tokens, lambda token: self.tokenizer.decode([token]), most, len(ids), turn)

    def confidence(self, state: int) -> float | None:
        """What the script claims of that turn."""
        claimed = self._confidence
        return claimed if claimed is None or isinstance(claimed, int | float) else claimed[state]

    def _follow(self, lark: str, tokens: Sequence[int], turn: int) -> None:
        import llguidance

        tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(_Vocabulary(self.tokenizer)), slices=[])
        matcher = llguidance.LLMatcher(tokenizer, llguidance.LLMatcher.grammar_from_lark(lark), log_level=0)
        taken = matcher.try_consume_tokens(list(tokens))
        if taken == len(tokens) and matcher.is_accepting():
            return
        before, after = (" ".join(self.tokenizer.decode(part).split()) for part in (tokens[:taken], tokens[taken:]))
        received = f"then comes {after[:60]!r}" if after else "then it ends"
        raise ScriptError(
            f"turn {turn + 1} of the script is not possible under the agent's grammar: after {before[-60:]!r} {received}; "
            "mend the turn, or pass check=False to show the agent what no real model writes"
        )


class _Vocabulary:
    """What llguidance wants to know of a tokenizer."""

    def __init__(self, tokenizer: ScriptedTokenizer) -> None:
        self._encode = tokenizer.encode
        self.eos_token_id, self.bos_token_id = tokenizer.eos_ids[0], tokenizer.bos_id
        self.special_token_ids = sorted(tokenizer.special_ids)
        # Special tokens need a name of their own: they are written by id and never match text.
        special = [f"<[{i}]>".encode() for i in self.special_token_ids]
        self.tokens = special + [tokenizer.token_bytes(i) for i in range(len(special), tokenizer.vocab_size)]

    def __call__(self, text: str) -> list[int]:
        return self._encode(text)


def _written(turn: Sequence[ToolCall] | str, dialect: Dialect, tools: Sequence[Tool]) -> str:
    said = Turn(None, (), turn) if isinstance(turn, str) else Turn(None, tuple(turn))
    return dialect.render_turn(said, tools)
