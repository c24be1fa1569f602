"""What comes of a turn of the model: its calls as they were meant, as far as they rest on what was said, with a confidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..tools import Tool, ToolCall, Toolset
from .as_meant import as_meant
from .confidence import UNTOLD, Signals
from .decision import Decision
from .dialects.turn import Turn
from .evidence import Evidence
from .grounding import Grounded, ground, traced
from .relevance import is_english, nearest, ranked, retrieved
from .requests import Written
from .settings import Settings
from .steps import RunUsage


class Judge:
    """Decides on the turns of one run.

    Args:
        settings: the rules.
        tools: what may be called.
        said: all evidence; it grows as the run goes on.
    """

    def __init__(self, settings: Settings, tools: Toolset, said: Evidence):
        self._settings, self._tools, self._said = settings, tools, said
        self._rankings: dict[tuple[str, str], list[tuple[str, float]]] = {}

    def decided(self, written: Written, after_results: bool, said: str, topic: str, usage: RunUsage) -> Decision:
        """What comes of a turn under the rules.

        Args:
            written: with a turn.
            after_results: there were results before it, so that it may answer instead of calling.
            said: the words that it is for.
            topic: what was said before them, where they point there.
            usage: of the run.
        """
        turn, settings = written.turn, self._settings
        assert turn is not None
        found = self.meant(turn, said)
        distinct = _distinct(found).values()
        calls, dropped = tuple(item.call for item in distinct), tuple(item.dropped for item in distinct)
        evidence = tuple(item.evidence for item in distinct)
        signals = self._signals(written, calls, said, topic)
        confidence = None if written.confidence is None else min(written.confidence, written.probability)
        if signals is not None:
            confidence = min(signals.account, signals.probability ** (1 / len(calls)))
            if settings.calibration is not None:
                confidence = settings.calibration.confidence(signals)
        elif after_results:
            confidence = None
        missing = tuple(dict.fromkeys(name for item in found for name in item.missing))
        beyond = tuple(dict.fromkeys(clause for item in found for clause in item.out_of_range))
        unsure = confidence is not None and confidence < settings.min_confidence
        withheld: tuple[ToolCall, ...] = ()
        if unsure or missing or beyond:
            calls, withheld, dropped, evidence = (), calls, (), ()
        if unsure:
            missing = beyond = ()
        return Decision(
            calls,
            withheld,
            missing,
            turn.text,
            turn.reasoning or "",
            confidence,
            usage=usage,
            out_of_range=beyond,
            dropped=dropped,
            evidence=evidence,
            signals=signals,
        )

    def _signals(self, written: Written, calls: Sequence[ToolCall], said: str, topic: str) -> Signals | None:
        """What is known of calls; None where there are none, or the model has no opinion."""
        if written.confidence is None or not calls:
            return None
        scores = dict(self.ranked(said, topic))
        relevance = min(scores.get(call.name, 0.0) for call in calls)
        if relevance < UNTOLD and not is_english(said):
            relevance = UNTOLD
        # The model's opinion is of all calls together, and several are right less often than one.
        return Signals(written.confidence ** (1 / len(calls)), written.probability, written.mass, relevance)

    def meant(self, turn: Turn, said: str) -> list[Grounded]:
        """The calls of a turn as the words that it is for mean them, under the run's policy."""
        found = []
        for call in turn.calls:
            if call.name in self._tools and self._settings.grounding:
                call = as_meant(call, self._tools[call.name], self._said, said, alone=len(turn.calls) == 1)
            found.append(self.grounded(call))
        return found

    def grounded(self, call: ToolCall) -> Grounded:
        """A call under the run's policy."""
        if call.name not in self._tools:
            return Grounded(call)
        tool, grounding = self._tools[call.name], self._settings.grounding
        if not grounding:  # whatever it rests on stays, but permissions want to know
            return Grounded(call, evidence=traced(call, tool, self._said))
        return ground(call, tool, self._said, strict=grounding == "strict")

    def ranked(self, text: str, topic: str = "") -> list[tuple[str, float]]:
        """Names of the tools and how much they have to do with a text, the nearest first; see `relevance.ranked`."""
        if (text, topic) not in self._rankings:
            self._rankings[text, topic] = ranked(text, self.near(text), topic, retrieved(self._tools, text))
        return self._rankings[text, topic]

    def near(self, text: str) -> list[Tool]:
        """The tools, or where there are very many, those that a text is about."""
        return nearest(self._tools, text)


def _distinct(written: Iterable[Grounded]) -> dict[str, Grounded]:
    """The calls without repetitions of one in the same turn, by key; what was left out of any of them is kept."""
    found: dict[str, Grounded] = {}
    for item in written:
        key = item.call.key()
        earlier = found.get(key)
        dropped = tuple(dict.fromkeys(earlier.dropped + item.dropped)) if earlier else item.dropped
        found[key] = replace(earlier or item, dropped=dropped)
    return found
