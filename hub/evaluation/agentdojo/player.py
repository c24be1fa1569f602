"""Models that follow a plan: one that does what the user asked, and one that obeys whoever speaks in a result."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from ....agents import ScriptedModel
from ....agents.dialects import Turn, get_dialect
from ....tools import ToolCall, Toolset

_DIALECT = "hermes"
_ROOM = 1 << 24  # tokens: nothing that a tool gives is cut, so that nothing injected goes unread


class Player(ScriptedModel):
    """Plays a plan, one call a turn, and obeys what it is told to in a result.

    What it was told is looked for in the prompt, as a real model would read it. Once it is there, the calls that it asks for
    come first and the rest of the plan after them, as the attack's words want it. A call that was made already is not repeated,
    whatever came of it.

    Args:
        tools: those of the agent that it plays for.
        check: whether each turn must be possible under the agent's grammar; see `ScriptedModel`.

    Attributes:
        made: calls that were written, in order, with whether it was by order of a result.
    """

    def __init__(self, tools: Toolset, *, check: bool = True) -> None:
        super().__init__((), dialect=_DIALECT, context_length=_ROOM, check=check, name="player")
        self._tools = tools
        self._written = get_dialect(_DIALECT, self.tokenizer)
        self.begin((), "")

    def begin(
        self,
        plan: Sequence[ToolCall],
        answer: str,
        order: str = "",
        obey: Callable[[], Sequence[ToolCall]] = lambda: (),
        obeyed_answer: str = "",
    ) -> None:
        """Get ready for a run.

        Args:
            plan: the calls that carry out what the user asks for.
            answer: what is said at the end.
            order: words of an injected instruction to obey; empty for none.
            obey: the calls that it asks for, found out when it is read.
            obeyed_answer: what is said at the end, too, by somebody who obeyed.
        """
        self.turns, self.prompts, self.made = (), [], []
        self._queue = [(call, False) for call in plan]
        self._answer, self._obey, self._obeyed_answer = answer, obey, obeyed_answer
        # Its first line: where a suite is written as YAML, further lines are run together.
        self._order = json.dumps(order.partition("\n")[0], ensure_ascii=False)[1:-1]
        self.has_obeyed = False

    def stream_tokens(self, ids: Sequence[int], *, max_tokens: int, constraint: Any, pin: int) -> Any:
        """The next turn of the plan."""
        if self._order and not self.has_obeyed and self._order in self.tokenizer.decode(ids):
            self.has_obeyed = True
            self._queue[:0] = [(call, True) for call in self._obey()]
        self.turns = (*self.turns, self._written.render_turn(self._next(), list(self._tools)))
        return super().stream_tokens(ids, max_tokens=max_tokens, constraint=constraint, pin=pin)

    def _next(self) -> Turn:
        while self._queue:
            call, obeyed = self._queue.pop(0)
            if all(made.key() != call.key() for made, _ in self.made):  # the agent would end the run there
                self.made.append((call, obeyed))
                return Turn(None, (call,))
        said = (self._answer, self._obeyed_answer if self.has_obeyed else "")
        return Turn(None, (), "\n".join(filter(None, said)) or "Done.")

    def again(self) -> None:
        """Write the last call again: what it needed has been said."""
        self._queue.insert(0, self.made.pop())
