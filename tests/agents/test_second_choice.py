"""What is written instead of a repetition, by models whose turns have known shares."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from ferrule.agents import Agent, Budget
from ferrule.agents.requests import Said, Showed, Write
from ferrule.agents.scripted import ScriptedModel, ScriptedToken
from ferrule.agents.second_choice import LEAST, TRIES, Forks, ids_of
from ferrule.agents.writer import Writer
from ferrule.tools import ToolCall, ToolResult, Toolset, tool
from hypothesis import given
from hypothesis import strategies as st

GOAL = "How warm is it in Oslo?"


@tool
def weather(city: str) -> int:
    """The weather in a city."""
    return {"Oslo": -3}.get(city, 20)


@tool(permission="destructive")
def move(city: str) -> str:
    """Move to a city."""
    return f"now in {city}"


TOOLS = [weather, move]
FREELY = {"planning": False, "min_confidence": 0.0, "grounding": False}


def calls(*wanted):
    """The text of a turn."""
    return ScriptedModel.from_calls([[ToolCall(name, {"city": city}) for name, city in wanted]]).turns[0]


class Wavering(ScriptedModel):
    """Knows for each turn what it may write and how likely that is, and gives tokens the shares that come of it."""

    def __init__(self, *turns):
        super().__init__([""])
        self.wavering = [
            {tuple(self.tokenizer.encode(text)): share / sum(turn.values()) for text, share in turn.items()} for turn in turns
        ]
        self.asked = []

    def grammar(self, lark, after=()):
        return tuple(after)

    def stream_tokens(self, ids, *, max_tokens, constraint, pin):
        self.asked.append(constraint)
        turn = self.wavering[self.asked.count(()) - 1]
        self.prompts.append(self.tokenizer.decode(ids))
        return _Wavering(turn, constraint, max_tokens, lambda token: self.tokenizer.decode([token]))


class _Wavering:
    def __init__(self, turn, begun, most, text):
        self.stop_reason, self.state, self._turn, self._begun, self._most, self._text = None, None, turn, begun, most, text
        self.usage = type(ScriptedModel.from_calls([""]).stream_tokens([2], max_tokens=1, constraint=None, pin=0).usage)()

    def __iter__(self):
        done = list(self._begun)
        for _ in range(self._most):
            shares = Counter()
            for ids, share in self._turn.items():
                if list(ids[: len(done)]) == done and len(ids) > len(done):
                    shares[ids[len(done)]] += share
            if not shares:
                self.stop_reason = "stop"
                return
            (token, share), *others = shares.most_common(4)
            whole = sum(shares.values())
            logprobs = tuple((other, math.log(part / whole)) for other, part in others)
            done.append(token)
            yield ScriptedToken(token, self._text(token), len(shares) == 1, math.log(share / whole), logprobs)
        self.stop_reason = "length"


def run(*turns, **options):
    model = Wavering(*turns)
    result = Agent(model, TOOLS, planning=False, min_confidence=0.0, grounding=False, approve=lambda _: True, **options).run(
        GOAL
    )
    return model, result


OSLO, BERGEN, PARIS = ("weather", "Oslo"), ("weather", "Bergen"), ("weather", "Paris")


def test_the_next_choice_is_taken_instead_of_a_repetition():
    again = {calls(OSLO): 0.7, calls(BERGEN): 0.2, calls(PARIS): 0.1}
    model, result = run({calls(OSLO): 1.0}, again, {calls(OSLO): 0.6, calls(BERGEN): 0.3, calls(PARIS): 0.1}, {"done": 1.0})
    assert [call.arguments["city"] for call in result.calls] == ["Oslo", "Bergen", "Paris"]
    assert len(model.asked) == 1 + 2 + 3 + 1
    assert result.usage.turns == 4


def test_an_answer_is_another_choice_too():
    _, result = run({calls(OSLO): 1.0}, {calls(OSLO): 0.9, "<think></think>\nIt is cold.<|im_end|>": 0.1})
    assert (result.status, result.answer) == ("answered", "It is cold.")
    assert len(result.calls) == 1


def test_a_model_that_is_sure_of_its_repetition_has_nothing_else_to_say():
    model, result = run({calls(OSLO): 1.0}, {calls(OSLO): 1 - LEAST / 2, calls(BERGEN): LEAST / 2})
    assert (result.status, len(result.calls), len(model.asked)) == ("answered", 1, 2)


def test_a_call_beside_a_repetition_is_no_repetition():
    model, result = run({calls(OSLO): 1.0}, {calls(OSLO, BERGEN): 0.9, calls(PARIS): 0.1}, {"done": 1.0})
    assert [call.arguments["city"] for call in result.calls] == ["Oslo", "Bergen"]
    assert len(model.asked) == 3


def test_what_was_read_before_a_change_is_no_repetition():
    again = {calls(OSLO): 0.8, calls(BERGEN): 0.2}
    _, result = run({calls(OSLO): 1.0}, {calls(("move", "Rome")): 1.0}, again, {"done": 1.0})
    assert [(call.name, call.arguments["city"]) for call in result.calls] == [OSLO, ("move", "Rome"), OSLO]


def test_what_was_not_allowed_is_not_asked_about_again():
    asked = []
    model = Wavering({calls(("move", "Rome")): 1.0}, {calls(("move", "Rome")): 0.8, calls(OSLO): 0.2}, {"done": 1.0})
    agent = Agent(model, TOOLS, **FREELY, approve=asked.append)
    assert [call.name for call in agent.run(GOAL).calls] == ["weather"]
    assert len(asked) == 1


def test_what_it_costs_is_counted():
    again = {calls(OSLO): 0.7, calls(BERGEN): 0.3}
    model, result = run({calls(OSLO): 1.0}, again, {"done": 1.0})
    tokens = len(model.tokenizer.encode(calls(OSLO)))
    fork = len(model.asked[2])
    assert result.usage.generated_tokens == tokens + tokens + (tokens - fork) + len(model.tokenizer.encode("done"))


def test_a_budget_ends_the_search():
    again = {calls(OSLO): 0.7, calls(BERGEN): 0.3}
    length = len(Wavering({calls(OSLO): 1.0}).tokenizer.encode(calls(OSLO)))
    model, result = run({calls(OSLO): 1.0}, again, budget=Budget(turn_tokens=length))
    assert (len(result.calls), len(model.asked)) == (1, 2)


@given(st.lists(st.floats(0.01, 1.0), min_size=2, max_size=6, unique=True), st.integers(1, 5))
def test_of_those_that_are_no_repetition_the_likeliest_is_written(shares, repeated):
    cities = [f"City{number}" for number in range(len(shares))]
    turn = {calls(("weather", city)): share for city, share in zip(cities, shares, strict=True)}
    best = sorted(cities, key=lambda city: -turn[calls(("weather", city))])
    refused = set(best[:repeated])
    model = Wavering(turn)
    writer = Writer(model, Toolset(TOOLS), "", 64)
    written = writer.write(
        Write((Said(GOAL),), ("weather",), 200, repeats=lambda t: {call.arguments["city"] for call in t.calls} <= refused)
    )
    likely = {city: turn[calls(("weather", city))] / sum(shares) for city in cities}
    reachable = [city for city in best[: 1 + 3] if city not in refused and likely[city] >= LEAST]
    assert written.turn.calls[0].arguments["city"] == (reachable or best)[0]
    assert written.probability == pytest.approx(likely[written.turn.calls[0].arguments["city"]])
    assert len(model.asked) <= 1 + TRIES


def test_reasoning_is_not_left_and_counts_nothing():
    unlikely = ScriptedToken(1, "", logprob=-50.0, others=((2, -0.1),))
    forks = Forks()
    forks.add([unlikely, ScriptedToken(3, "", logprob=-0.5, others=((4, -1.0), (5, -9.0)))], reasoning=1, kept=0)
    assert ids_of(forks.take()) == (1, 4)
    assert forks.take() is None


def test_the_published_model_has_another_choice(needle):
    @tool
    def get_user_id(user: str) -> str:
        """The id of a user."""
        return "USR016"

    writer = Writer(needle("numpy"), Toolset([get_user_id]), "", 128)
    names, said = ("get_user_id",), Said("Get the ids of Yusuf and Linnea")
    first = writer.write(Write((said,), names, 200))
    results = tuple(ToolResult(call, True, "USR016") for call in first.turn.calls)
    conversation = (said, first, Showed(results))
    repetition = writer.write(Write(conversation, names, 200))
    keys = {call.key() for call in repetition.turn.calls}
    assert keys
    other = writer.write(Write(conversation, names, 200, repeats=lambda turn: {call.key() for call in turn.calls} <= keys))
    assert not {call.key() for call in other.turn.calls} <= keys
    for call in other.turn.calls:
        get_user_id.validate(call.arguments)
    assert LEAST <= other.probability < repetition.probability
    assert other.generated_tokens > repetition.generated_tokens
    again = writer.write(Write(conversation, names, 200, repeats=lambda turn: True))
    assert again.turn == repetition.turn  # it has no choice left, and says what it said
