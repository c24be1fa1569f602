"""What holds for every dialect of the open families: calls render, pass the grammar and read back equal; nothing passes for a
marker; no text makes the reader raise anything but its own error."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from ferrule.agents.agent import Agent
from ferrule.agents.dialects import dialect_of, get_dialect
from ferrule.agents.dialects.family import FamilyDialect
from ferrule.agents.dialects.turn import Turn
from ferrule.agents.errors import AgentError, ParseError, SchemaError
from ferrule.agents.notation import BARE
from ferrule.agents.scripted import ScriptedStream, ScriptedToken
from ferrule.models.constraint import Grammars
from ferrule.models.families import FAMILIES
from ferrule.presets import list_presets
from ferrule.tools.call import ToolCall, ToolResult
from ferrule.tools.tool import Tool
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

DIALECTS = ["hermes", "llama3", "mistral", "gemma3_json", "gemma3_python", "functiongemma", "gemma4", "plain"]
MARKED = {"functiongemma": "<escape>", "gemma4": '<|"|>'}
each_dialect = pytest.mark.parametrize("name", DIALECTS)


class ByteTokenizer:
    """A token for each byte, and for each marker."""

    bos_id = None

    def __init__(self, markers: Sequence[str], ends: Sequence[str] = ()) -> None:
        ends = [end for end in ends if end] or ["<end-of-bytes>"]
        self.markers = {marker: 256 + i for i, marker in enumerate(dict.fromkeys([*markers, *ends]))}
        self.texts = {number: marker for marker, number in self.markers.items()}
        self.vocab_size = 256 + len(self.markers)
        self.special_ids = frozenset(self.texts)
        self.eos_ids = tuple(self.markers[end] for end in ends)
        longest_first = sorted(self.markers, key=len, reverse=True)
        self._cut = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")

    def encode(self, text: str, *, markers: bool = True) -> list[int]:
        parts = self._cut.split(text) if markers else [text]
        return [i for part in parts for i in ([self.markers[part]] if markers and part in self.markers else part.encode())]

    def decode(self, ids: Sequence[int]) -> str:
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", "replace")

    def token_bytes(self, token: int) -> bytes:
        return bytes([token]) if token < 256 else self.texts[token].encode()

    def id_of(self, piece: str) -> int:
        return self.markers[piece]


class Setting:
    """A dialect with a tokenizer: with its markers as tokens, with the ends of turns as its own ends too, or without any.

    `end` and `calls_end` are what the grammar asks for at the end of prose and of calls.
    """

    def __init__(self, name: str, kind: str) -> None:
        plain = get_dialect(name)
        ends = (plain.turn_end, plain.calls_end)
        self.tokenizer = ByteTokenizer([] if kind == "text" else plain.markers, ends if kind == "eos" else ())
        self.dialect: FamilyDialect = get_dialect(name, self.tokenizer)
        self.grammars = Grammars(self.tokenizer, keep=4)
        named = kind == "tokens" and bool(plain.turn_end)
        self.end = self.tokens(plain.turn_end) if named else []
        self.calls_end = self.tokens(plain.calls_end or plain.turn_end) if named else []

    def tokens(self, layout: str) -> list[int]:
        return self.tokenizer.encode(layout)

    def follows(self, grammar: str, tokens: Sequence[int]) -> bool:
        """Whether the grammar takes the tokens and may end behind them."""
        constraint = self.grammars.compile(grammar)
        for token in tokens:
            if constraint.is_done or not _allowed(constraint.mask(), token):
                return False
            constraint.commit(token)
        return constraint.is_accepting

    def call_tokens(self, calls: Sequence[ToolCall]) -> list[int]:
        """Calls as the model writes them: structure in marker tokens, values in ordinary ones."""
        dialect, markers = self.dialect, self.dialect._markers
        if not calls:
            return self.tokenizer.encode(dialect.empty or "", markers=False)
        tokens = self.tokens(dialect.opening)
        for i, call in enumerate(calls):
            tokens += self.tokens(dialect.between) if i else []
            # Marker tokens are spelt by their stand-ins, which no text has in it.
            written = dialect.write_call(call, markers.spelt) + dialect.closing_of(i)
            for part in re.split("([\udc00-\udcff])", written):
                tokens += (
                    self.tokens(markers.shown(part))
                    if len(part) == 1 and part >= "\udc00" and part <= "\udcff"
                    else (self.tokenizer.encode(part, markers=False))
                )
        return tokens + self.tokens(dialect.ending)


def _allowed(mask: np.ndarray, token: int) -> bool:
    return bool(mask[token // 32] >> np.uint32(token % 32) & np.uint32(1))


KINDS = ["tokens", "eos", "text"]
SETTINGS = {(name, kind): Setting(name, kind) for name in DIALECTS for kind in KINDS}
each_kind = pytest.mark.parametrize("kind", KINDS)


# ---- schemas with arguments that satisfy them -----------------------------------------------------------------------

NASTY = ["123", "-1.5", "true", "null", "{", "}", "}]", '"', "\\", "\\n", "a.b", "", " ", "\n\t", "'", ",", ":", "東京 😀"]
NASTY += ["<tool_call>", "</tool_call>", "\n</tool_call>\n", "<|im_end|>", "[TOOL_CALLS]", "]", "; ", "<|eot_id|>"]
NASTY += ["<escape>", "<end_function_call>", '<|"|>', "<tool_call|>", "<|tool_response>", "True", "None", "**{", ")", "a=1"]
NASTY += ["<start_function_response>", "</s>", "[/INST]", "<think>", "&lt;", "\\u003c", "%s", "\u2028", "é", "\x85"]
# What the grammars write: no control characters but those with a short escape, no half characters.
_character = st.characters(exclude_categories=["Cs"], exclude_characters=[*map(chr, range(32)), "\x7f"])
_text = st.text(_character | st.sampled_from("\b\f\n\r\t"), max_size=5)
texts = st.lists(st.sampled_from(NASTY) | _text, max_size=3).map("".join)
_name = st.sampled_from(["a", "b.c", "x-y", "列", "é", 'q"', "{}", "_", "7", "<", ":", "maxItems", "from", " ", "true", "'"])
names = st.lists(_name, min_size=1, max_size=2).map("".join)
integers = st.integers(-(10**15) + 1, 10**15 - 1)
numbers = integers | st.integers(-(10**9), 10**9).map(lambda n: n / 1000) | st.sampled_from([1e22, 1.5e-7, -0.0, 6.02e23, 0.1])
scalars = texts | integers | numbers | st.booleans() | st.none()


def _anything(depth: int) -> st.SearchStrategy[Any]:
    if not depth:
        return scalars
    inner = _anything(depth - 1)
    return scalars | st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2)


@st.composite
def schemas(draw: st.DrawFn, depth: int = 2) -> tuple[Any, st.SearchStrategy[Any]]:
    """A schema that the grammar supports, and a strategy of values that satisfy it and that the grammar writes."""
    kinds = ["string", "length", "pattern", "date", "integer", "range", "number", "boolean", "null", "enum", "const", "any"]
    kind = draw(st.sampled_from(kinds + ["array", "tuple", "object", "object", "map", "anyOf", "empty"] * (depth > 0)))
    match kind:
        case "string":
            return {"type": "string"}, texts
        case "length":
            least, more = draw(st.integers(0, 2)), draw(st.integers(0, 4))
            return {"type": "string", "minLength": least, "maxLength": least + more}, texts.map(
                lambda text: (text + "ab")[: least + more] if least else text[: least + more]
            )
        case "pattern":
            return {"type": "string", "pattern": r'^["\\{}a]+$'}, st.text('"\\{}a', min_size=1, max_size=4)
        case "date":
            return {"type": "string", "format": "date"}, st.dates().map(str)
        case "integer":
            return {"type": "integer"}, integers
        case "range":
            low, size = draw(st.integers(-50, 50)), draw(st.integers(0, 100))
            return {"type": "integer", "minimum": low, "maximum": low + size}, st.integers(low, low + size)
        case "number":
            return {"type": "number"}, numbers
        case "boolean":
            return {"type": "boolean"}, st.booleans()
        case "null":
            return {"type": "null"}, st.none()
        case "enum":
            values = draw(st.lists(_anything(1), min_size=1, max_size=4))
            return {"enum": values}, st.sampled_from(_distinct(values))
        case "const":
            value = draw(_anything(2))
            return {"const": value}, st.just(value)
        case "any":
            return draw(st.sampled_from([{}, {"description": "anything"}])), _anything(2)
        case "empty":
            return {"type": "object", "properties": {}, "additionalProperties": False}, st.just({})
        case "array":
            item, values = draw(schemas(depth - 1))
            return {"type": "array", "items": item, "maxItems": 3}, st.lists(values, max_size=3)
        case "tuple":
            pairs = draw(st.lists(schemas(depth - 1), min_size=1, max_size=2))
            size = len(pairs)
            schema = {"type": "array", "prefixItems": [s for s, _ in pairs], "items": False, "minItems": size, "maxItems": size}
            return schema, st.tuples(*(values for _, values in pairs)).map(list)
        case "map":
            item, values = draw(schemas(depth - 1))
            return {"type": "object", "additionalProperties": item}, st.dictionaries(names, values, max_size=3)
        case "anyOf":
            pairs = draw(st.lists(schemas(depth - 1), min_size=1, max_size=2))
            return {"anyOf": [s for s, _ in pairs]}, st.one_of([values for _, values in pairs])
    return draw(objects(depth - 1))


def _distinct(values: list[Any]) -> list[Any]:
    """One of each group of values that JSON Schema calls equal: the first, which is the one that is written."""
    kept: list[Any] = []
    for value in values:
        if not any(Draft202012Validator({"const": other}).is_valid(value) for other in kept):
            kept.append(value)
    return kept


@st.composite
def objects(draw: st.DrawFn, depth: int = 2) -> tuple[Any, st.SearchStrategy[Any]]:
    properties = draw(st.dictionaries(names, schemas(depth), max_size=4))
    required = [name for name in properties if draw(st.booleans())]
    schema = {"type": "object", "properties": {name: s for name, (s, _) in properties.items()}, "required": required}
    schema["additionalProperties"] = False
    values = st.fixed_dictionaries(
        {name: properties[name][1] for name in required},
        optional={name: values for name, (_, values) in properties.items() if name not in required},
    )
    return schema, st.tuples(values, st.randoms(use_true_random=False)).map(_shuffled)


def _shuffled(drawn: tuple[dict[str, Any], random.Random]) -> dict[str, Any]:
    items = list(drawn[0].items())
    drawn[1].shuffle(items)
    return dict(items)


_tool_name = st.sampled_from(["get_weather", "a.b.c", "math.hypot", "列", "Kind Of", 'q"', "f{x}", "%s", "x"])
tool_names = st.lists(_tool_name, min_size=1, max_size=2, unique=True)


@st.composite
def tools_and_calls(draw: st.DrawFn) -> tuple[list[Tool], list[ToolCall]]:
    tools, arguments = [], {}
    for name in draw(tool_names):
        schema, values = draw(objects())
        tools.append(Tool(name, "", schema))
        arguments[name] = values
    called = draw(st.lists(st.sampled_from(sorted(arguments)), min_size=1, max_size=3))
    return tools, [ToolCall(name, draw(arguments[name])) for name in called]


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inside = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for item in inside for text in _texts(item)]


def holds(quote: str | None, *values: Any) -> bool:
    """Whether a string in the values holds what ends strings in a dialect."""
    return quote is not None and any(quote in text for text in _texts(list(values)))


def round_trip(name: str, kind: str, tools: list[Tool], calls: list[ToolCall]) -> None:
    for call in calls:
        next(tool for tool in tools if tool.name == call.name).validate(call.arguments)
    setting = SETTINGS[name, kind]
    dialect, tokenizer = setting.dialect, setting.tokenizer
    tokens = setting.call_tokens(calls)
    assert setting.follows(dialect.grammar(tools), tokens + setting.calls_end)
    written = dialect.render_calls(calls)
    assert tokenizer.decode(tokens) == written
    turns = [
        dialect.parse_tokens(tokens, tokenizer.decode, tools),
        dialect.parse_tokens([*tokens, *dialect.closing(tokens)], tokenizer.decode, tools),
    ]
    if not holds(MARKED.get(name), *(call.arguments for call in calls)):
        turns.append(dialect.parse(written, tools))
        turns.append(dialect.parse(dialect.render_turn(Turn(None, tuple(calls))), tools))
    for turn in turns:
        assert (turn.reasoning, turn.text) == (None, "")
        # As text, which tells 1 from 1.0 and True, and keeps the order of the keys.
        assert [json.dumps([call.name, call.arguments]) for call in turn.calls] == [
            json.dumps([call.name, call.arguments]) for call in calls
        ]


HARD = [
    {},
    {"x": "123", "y": "}", "z": '"\\"'},
    {"x": {"y": [{"z": "}]"}, []], "e": {}}},
    {"x": "\n</tool_call>\n<tool_call>\n", "n": "null"},
    {"x": 123, "y": 1.5, "z": None, "b": True, "s": "</tool_call>; [TOOL_CALLS]<|im_end|>"},
    {"x": "<escape", "y": '<|"|', "z": "<end_function_call><tool_call|><start_function_response>"},
    {"x": "'a'", "y": "f(a=1)])", "z": [[{"True": False}, {"a": "None"}]]},
]


@each_dialect
@each_kind
@pytest.mark.parametrize("arguments", HARD, ids=repr)
def test_hard_arguments_read_back_equal(name, kind, arguments):
    tool = Tool("a.b", "", {"type": "object", "properties": {}, "additionalProperties": {}})
    round_trip(name, kind, [tool], [ToolCall("a.b", arguments)])
    declared = Tool("a.b", "", {"type": "object", "properties": {key: {"const": value} for key, value in arguments.items()}})
    round_trip(name, kind, [declared], [ToolCall("a.b", arguments)] * 3)


relaxed = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example]


def random_round_trip(name: str, data: st.DataObject) -> None:
    tools, calls = data.draw(tools_and_calls())
    kind = data.draw(st.sampled_from(KINDS))
    # Without tokens, what ends a string cannot be in it.
    assume(kind != "text" or not holds(MARKED.get(name), *(t.parameters for t in tools), *(c.arguments for c in calls)))
    round_trip(name, kind, tools, calls)


@each_dialect
@settings(max_examples=200, deadline=None, suppress_health_check=relaxed)
@given(data=st.data())
def test_200_round_trips(name, data):
    random_round_trip(name, data)


@pytest.mark.slow
@each_dialect
@settings(max_examples=5000, deadline=None, suppress_health_check=relaxed)
@given(data=st.data())
def test_5000_round_trips(name, data):
    random_round_trip(name, data)


def test_an_alternative_may_begin_as_another():
    value = {"type": "object", "properties": {"a": {"type": "null"}}, "additionalProperties": False}
    tool = Tool("f", "", {"type": "object", "properties": {"v": {"anyOf": [value, {"const": {"a": ""}}, {"const": ["a"]}]}}})
    for name in DIALECTS:
        for found in ({"a": None}, {"a": ""}, {}, ["a"]):
            round_trip(name, "tokens", [tool], [ToolCall("f", {"v": found})])


# ---- what the grammar leaves open -----------------------------------------------------------------------------------

WEATHER = Tool(
    "get_weather",
    "Weather in a city.",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        },
        "required": ["city"],
    },
)
CALL = ToolCall("get_weather", {"city": "Lagos"})


@each_dialect
@each_kind
def test_prose(name, kind):
    setting = SETTINGS[name, kind]
    dialect, encode = setting.dialect, setting.tokenizer.encode
    prose = encode("It's 27 °C in Lagos, {so} [it] is <hot>.")
    for after_results in (True, False):
        for min_calls in (0, 1):
            grammar = dialect.grammar([WEATHER], after_results=after_results, min_calls=min_calls)
            possible = not min_calls and (after_results or dialect.empty is None)
            assert setting.follows(grammar, prose + setting.end) == possible
            assert setting.follows(grammar, setting.call_tokens([CALL]) + setting.calls_end)
    assert dialect.parse_tokens([*prose, *setting.end], setting.tokenizer.decode) == Turn(
        None, (), setting.tokenizer.decode(prose)
    )
    grammar = dialect.grammar([WEATHER], after_results=True, max_answer=5)
    assert setting.follows(grammar, encode("Hello") + setting.end)
    assert not setting.follows(grammar, encode("Hello!") + setting.end)


@each_dialect
@pytest.mark.parametrize("kind", ["eos", "text"])
def test_the_tokenizers_own_end_ends_a_turn(name, kind):
    setting = SETTINGS[name, kind]
    grammar = setting.dialect.grammar([WEATHER], after_results=True)
    for turn in (setting.tokenizer.encode("It's 27 °C."), setting.call_tokens([CALL])):
        constraint = setting.grammars.compile(grammar)
        for token in turn:
            constraint.commit(token)
        if not constraint.is_done:
            constraint.commit(setting.tokenizer.eos_ids[0])
        assert constraint.is_done


@each_dialect
@each_kind
def test_only_valid_calls_of_known_tools(name, kind):
    setting = SETTINGS[name, kind]
    grammar = setting.dialect.grammar([WEATHER])
    for call in (ToolCall("get", {"city": "x"}), ToolCall("get_weather", {}), ToolCall("get_weather", {"city": 1})):
        assert not setting.follows(grammar, setting.call_tokens([call]) + setting.calls_end)
    one = setting.dialect.grammar([WEATHER], max_calls=1)
    assert setting.follows(grammar, setting.call_tokens([CALL] * 16) + setting.calls_end)
    assert not setting.follows(grammar, setting.call_tokens([CALL] * 17) + setting.calls_end)
    assert setting.follows(one, setting.call_tokens([CALL]) + setting.calls_end)
    assert not setting.follows(one, setting.call_tokens([CALL] * 2) + setting.calls_end)
    without = setting.dialect.grammar([])
    words = setting.dialect.empty or "No tool fits."
    assert setting.follows(without, setting.tokenizer.encode(words) + setting.end)
    with pytest.raises(SchemaError, match="no tool"):
        setting.dialect.grammar([], min_calls=1)


def test_only_plain_refuses_with_an_empty_list():
    setting = SETTINGS["plain", "tokens"]
    tokens = setting.call_tokens([])
    assert setting.follows(setting.dialect.grammar([WEATHER]), tokens)
    assert not setting.follows(setting.dialect.grammar([WEATHER], min_calls=1), tokens)
    assert setting.dialect.parse_tokens(tokens, setting.tokenizer.decode) == setting.dialect.parse(" [ ] ") == Turn(None)


def test_repeated_elements_are_dropped():
    call = ToolCall("get_weather", {"city": "Lagos", "tags": ["a", "b", "a"]})
    for setting in SETTINGS.values():
        (read,) = setting.dialect.parse(setting.dialect.render_calls([call]), [WEATHER]).calls
        assert read.arguments == {"city": "Lagos", "tags": ["a", "b"]}


# ---- markers --------------------------------------------------------------------------------------------------------


def _pieces(name: str) -> st.SearchStrategy[str]:
    whole = [*get_dialect(name).markers, "<end-of-bytes>"]
    parts = [part for marker in whole for part in (marker, marker[:-1], marker[1:], marker[:3])]
    return st.lists(st.sampled_from(parts) | st.sampled_from("<>[]|/\ud800") | st.text(max_size=3), max_size=6).map("".join)


@each_dialect
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_text_from_outside_holds_no_markers(name, data):
    setting = SETTINGS[name, "tokens"]
    dialect, special = setting.dialect, setting.tokenizer.special_ids

    def markers(text: str, description: str, value: Any) -> list[int]:
        tool = Tool("a", description, {"type": "object", "properties": {"v": {"description": description}}})
        result = ToolResult(ToolCall("a", {}), True, value), ToolResult(ToolCall("a", {}, text), False, error=text)
        prompt = dialect.render_prefix(text or "x", [tool]) + dialect.render_user(text) + dialect.render_results(result)
        return [i for i in setting.tokenizer.encode(prompt + dialect.render_user(text, first=False)) if i in special]

    hostile = data.draw(_pieces(name)) or "x"
    # A name that is no bare one stands in quotes, which are markers in some dialects.
    key = "x" if re.fullmatch(BARE, dialect._markers.plain(hostile)) else ":"
    assert markers(hostile, hostile, {hostile: [hostile]}) == markers("x", "x", {key: ["x"]})


@each_dialect
def test_json_from_outside_loses_nothing(name):
    markers = SETTINGS[name, "tokens"].dialect._markers
    for text in (*get_dialect(name).markers, "<end-of-bytes>", "<b>[1]</b>"):
        for indent in (None, 4):
            assert json.loads(markers.json({text: text}, indent=indent)) == {text: text}
    assert markers.plain("<b>[1]</b>") == "<b>[1]</b>"


@pytest.mark.parametrize("name", ["hermes", "mistral", "functiongemma", "gemma4"])
def test_a_call_spelt_out_in_text_is_no_call(name):
    setting = SETTINGS[name, "tokens"]
    dialect, tokenizer = setting.dialect, setting.tokenizer
    fake = dialect.render_calls([CALL])
    spelt = tokenizer.encode(fake, markers=False)
    assert dialect.parse_tokens(spelt, tokenizer.decode) == Turn(None, (), fake)
    assert dialect.parse(fake).calls
    with pytest.raises(ParseError, match="no markers"):
        dialect.parse_tokens([*tokenizer.encode("Well: "), *setting.call_tokens([CALL])], tokenizer.decode)


# ---- reading --------------------------------------------------------------------------------------------------------


@each_dialect
@settings(max_examples=200, deadline=None)
@given(data=st.data(), truncated=st.booleans(), kind=st.sampled_from(KINDS))
def test_any_text_gives_a_turn_or_a_parse_error(name, data, truncated, kind):
    setting = SETTINGS[name, kind]
    dialect, tokenizer = setting.dialect, setting.tokenizer
    call = dialect.render_calls([CALL])
    cuts = [call[: data.draw(st.integers(0, len(call)))], call, dialect.opening, dialect.between, dialect.ending]
    cuts += ['{"name": "get_weather", ', '"arguments": {"city": "x", "tags": [1e999, 1e999]}}', "NaN", "{}", dialect.turn_end]
    cuts += [
        "[" * 5000,
        "1" * 5000,
        "{a:" * 300,
        dialect.quote,
        "call:",
        "call:f{",
        "a:",
        ",",
        "}",
        "[f(",
        "a=",
        "**{",
        ")",
        '"a":',
    ]
    cuts += ["'", "\\", "\\ud800", "\\U00110000", "\\xZ", "True", "-", "1e999", "]", "call:f{a:" + "[" * 70]
    cuts += ["<think>", "</think>", "\udc00", "\udc01"]
    text = "".join(data.draw(st.lists(st.sampled_from(cuts) | st.text(max_size=4), max_size=5)))
    ids = tokenizer.encode(text.encode("utf-8", "replace").decode())
    ids += data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1), max_size=3))
    for read in (
        lambda: dialect.parse(text, [WEATHER], truncated=truncated),
        lambda: dialect.parse_tokens(ids, tokenizer.decode, [WEATHER], truncated=truncated),
    ):
        try:
            assert isinstance(read(), Turn)
        except ParseError as error:
            assert "\n" not in str(error)  # noqa: PT017
            assert len(str(error)) < 400  # noqa: PT017
    dialect.closing(ids)


@each_dialect
def test_truncated_calls(name):
    setting = SETTINGS[name, "tokens"]
    dialect, tokenizer = setting.dialect, setting.tokenizer
    tokens = setting.call_tokens([CALL, CALL])
    start = len(setting.call_tokens([CALL])) - len(setting.tokens(dialect.ending))
    for cut in range(start + 1, len(tokens) - 12):
        turn = dialect.parse_tokens(tokens[:cut], tokenizer.decode, truncated=True)
        assert turn.calls[0].arguments == CALL.arguments
    with pytest.raises(ParseError, match="cut off"):
        dialect.parse_tokens(tokens[: start - 3], tokenizer.decode, truncated=True)


@each_dialect
def test_a_turn_that_was_cut_off_is_closed(name):
    setting = SETTINGS[name, "tokens"]
    dialect = setting.dialect
    whole = setting.call_tokens([CALL])
    end = setting.tokens(dialect.calls_end or dialect.turn_end)
    assert dialect.closing(whole) == end
    assert dialect.closing(whole + end) == ([] if end else dialect.closing(whole))
    prose = setting.tokenizer.encode("It's 27 °C.")
    assert dialect.closing(prose) == setting.tokens(dialect.turn_end)
    if name == "hermes":
        assert dialect.closing(whole[:9]) == setting.tokens("</tool_call><|im_end|>")
        assert dialect.closing(setting.tokens("<think>a")) == setting.tokens("</think><|im_end|>")
    elif name in MARKED:
        assert dialect.closing(whole[:9]) == setting.tokens(dialect.ending + dialect.calls_end)
        inside = whole.index(setting.tokenizer.id_of(dialect.quote)) + 2
        assert dialect.closing(whole[:inside]) == setting.tokens(dialect.quote + dialect.ending + dialect.calls_end)
    else:
        assert dialect.closing(whole[:9]) == end


def test_call_probability():
    dialect, tokenizer = SETTINGS["hermes", "tokens"].dialect, SETTINGS["hermes", "tokens"].tokenizer
    think, thought, call, end = map(tokenizer.id_of, ("<think>", "</think>", "<tool_call>", "<|im_end|>"))
    tokens = [
        ScriptedToken(think, "", logprob=-0.1),
        ScriptedToken(65, "", logprob=-9.0),
        ScriptedToken(thought, "", logprob=-8.0),
        ScriptedToken(call, "", logprob=-0.5),
        ScriptedToken(66, "", forced=True, logprob=-7.0),
        ScriptedToken(67, "", logprob=-0.7),
        ScriptedToken(end, "", logprob=-6.0),
    ]
    assert dialect.call_probability(tokens) == pytest.approx(math.exp(-0.7))
    assert dialect.call_probability([]) == 1.0
    ids = [token.id for token in tokens]
    assert [dialect.reasoning_length(part) for part in (ids, ids[:2], ids[3:], [])] == [3, 2, 0, 0]


def test_reasoning():
    setting = SETTINGS["hermes", "tokens"]
    dialect, tokenizer = setting.dialect, setting.tokenizer
    thought = tokenizer.encode("<think>\nWhere? </tool>\n</think>\n\n")
    tokens = [*thought, *setting.call_tokens([CALL]), *setting.calls_end]
    assert setting.follows(dialect.grammar([WEATHER]), tokens)
    assert not setting.follows(dialect.grammar([WEATHER], max_reasoning=5), tokens)
    assert dialect.parse_tokens(tokens, tokenizer.decode) == Turn("Where? </tool>", (CALL,))
    none = dialect.grammar([WEATHER], max_reasoning=0)
    assert setting.follows(
        none, [*tokenizer.encode("<think>\n\n</think>\n\n"), *setting.call_tokens([CALL]), *setting.calls_end]
    )
    with pytest.raises(ParseError, match="does not end"):
        dialect.parse_tokens(thought[:9], tokenizer.decode)


def test_gemma_4_may_think_before_calls_and_before_answers():
    setting = SETTINGS["gemma4", "tokens"]
    gemma, tokenizer = setting.dialect, setting.tokenizer
    tool, call = Tool("f", ""), ToolCall("f", {})
    thought = tokenizer.encode("<|channel>thought\nWhere?\n<channel|>")
    empty = tokenizer.encode("<|channel>thought\n<channel|>")
    grammar = gemma.grammar([tool], after_results=True)
    for reasoning, found in ((thought, "Where?"), (empty, None), ([], None)):
        calls = [*reasoning, *setting.call_tokens([call]), *setting.calls_end]
        assert setting.follows(grammar, calls)
        assert gemma.parse_tokens(calls, tokenizer.decode) == Turn(found, (call,))
        prose = [*reasoning, *tokenizer.encode("There."), *setting.end]
        assert setting.follows(grammar, prose)
        assert gemma.parse_tokens(prose, tokenizer.decode) == Turn(found, (), "There.")
        assert gemma.closing(calls) == gemma.closing(prose) == []
    without = gemma.grammar([tool], max_reasoning=0)
    assert setting.follows(without, [*empty, *setting.call_tokens([call]), *setting.calls_end])
    assert not setting.follows(without, [*thought, *setting.call_tokens([call]), *setting.calls_end])
    assert gemma.closing(thought[:9]) == tokenizer.encode("<channel|><turn|>")
    assert gemma.render_turn(Turn("Where?", (call,))) == (
        "<|channel>thought\nWhere?<channel|><|tool_call>call:f{}<tool_call|><|tool_response>"
    )


class TurnsOfTokens:
    """A model that writes what it is given, in any dialect."""

    def __init__(self, setting: Setting, turns: Sequence[Sequence[int]]) -> None:
        self.name, self.dialect, self.context_length = "turns", setting.dialect.name, 100_000
        self.tokenizer, self.setting, self.turns = setting.tokenizer, setting, list(turns)
        self.prompts: list[list[int]] = []

    def grammar(self, lark: str, after: Sequence[int] = ()) -> str:
        return lark

    def stream_tokens(self, ids: Sequence[int], *, max_tokens: int, constraint: str, pin: int) -> ScriptedStream:
        tokens = self.turns[len(self.prompts)]
        self.prompts.append(list(ids))
        assert self.setting.follows(constraint, tokens)
        return ScriptedStream(tokens, lambda token: self.tokenizer.decode([token]), max_tokens, len(ids), len(self.prompts))

    def confidence(self, state: Any) -> None:
        return None


@each_dialect
@each_kind
def test_an_agent_runs_on_it(name, kind):
    setting = SETTINGS[name, kind]
    weather = Tool("get_weather", "Weather in a city.", WEATHER.parameters, lambda city, tags=(): {"city": city, "degrees": 27})
    calls = [CALL, ToolCall("get_weather", {"city": "Oslo"})]
    written = [setting.call_tokens(calls) + setting.calls_end, setting.tokenizer.encode("It's 27 °C in both.") + setting.end]
    model = TurnsOfTokens(setting, written)
    run = Agent(model, [weather]).run("what's it like in Lagos and Oslo?")
    assert run.answer == "It's 27 °C in both."
    assert [call.arguments for call in run.calls] == [{"city": "Lagos"}, {"city": "Oslo"}]
    first, second = model.prompts
    assert second[: len(first) + len(written[0])] == first + written[0]
    told = setting.tokenizer.decode(second[len(first) + len(written[0]) :])
    dialect = setting.dialect
    results = [ToolResult(call, True, {"city": call.arguments["city"], "degrees": 27}) for call in calls]
    assert told == ("" if setting.calls_end else dialect.calls_end or dialect.turn_end) + dialect.render_results(results)
    assert told.count("27") == 2


def test_a_dialect_is_told_by_the_tokenizer():
    for name in DIALECTS:
        assert dialect_of(SETTINGS[name, "tokens"].tokenizer, "x") == (name if name in MARKED else "x")
        assert dialect_of(SETTINGS[name, "text"].tokenizer, "x") == "x"


class Markers:
    """A tokenizer of which only the markers are known."""

    def __init__(self, *markers):
        self.markers = markers

    def id_of(self, piece):
        return {marker: at for at, marker in enumerate(self.markers)}[piece]


@pytest.mark.parametrize(
    ("default", "markers", "dialect"),
    [
        ("llama3", ["<|start_header_id|>", "<|eot_id|>"], "llama3"),
        ("llama3", ["<|im_start|>", "<|im_end|>"], "hermes"),  # SmolLM2
        ("llama3", ["<s>", "</s>"], "plain"),  # Llama 2
        ("hermes", ["<|im_start|>", "<|im_end|>"], "hermes"),
        ("plain", ["<|im_start|>", "<|im_sep|>", "<|im_end|>"], "plain"),  # Phi-4
        ("gemma3_json", ["<start_of_turn>", "<end_of_turn>"], "gemma3_json"),
        ("mistral", ["[INST]"], "mistral"),
    ],
)
def test_an_architecture_with_the_tokenizer_of_another_family(default, markers, dialect):
    assert dialect_of(Markers(*markers), default) == dialect


def test_families_have_the_dialect_that_the_catalogue_gives_their_instruct_models():
    turns = {"hermes": "<|im_start|>", "llama3": "<|start_header_id|>", "gemma3_json": "<start_of_turn>"}
    seen = set()
    families = {name: family for family in FAMILIES for name in family.architectures}
    for preset in list_presets():
        made = families.get(preset.architecture or "")
        if made is not None and preset.dialect in turns:
            seen.add(made.__name__)
            assert dialect_of(Markers(turns[preset.dialect]), made.dialect) == preset.dialect, preset.name
    assert {"Gemma", "Gemma2", "Gemma3", "Llama", "Qwen2", "Qwen3", "SmolLM3"} <= seen


def test_a_dialect_that_is_not_there():
    with pytest.raises(AgentError, match="hermes"):
        get_dialect("nope")
