"""What a call needs to know and nobody said: which tool may tell it, and which value of a result it is.

A user says "text Mia", and the tool wants a telephone number; says "my dentist appointment", and the tool wants an event's id.
So a value that has to be looked up is recognised by its parameter (an id, a code, a number to reach somebody at), a tool that
reads and speaks of such values is found, and of what it gives the value is taken whose name fits, from the record that the
user's words are about.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..tools import Tool, ToolCall, ToolResult
from .coverage import salient
from .lark import compact
from .relevance import ALIKE, SMALL, meant, stems
from .retrieval import words
from .wording import Span, lowered, stem

_KEY_WORDS = "id identifier uuid key code symbol ticker iban sku handle ref reference phone telephone mobile email"
_KEYS = frozenset(_KEY_WORDS.split())
_KEYED = re.compile(
    r"\b(?:ids?|identifier|(?:\w+[- ])?(?:letter|digit) code|symbol|ticker|(?:phone|telephone|mobile) number|iata)\b",
    re.IGNORECASE,
)
_LOWEST = re.compile(
    r"\b(?:cheapest|lowest|least|smallest|fewest|earliest|first|next|soonest|shortest|nearest|closest|oldest|minimum|lightest)\b"
)
_HIGHEST = re.compile(
    r"\b(?:most\s+expensive|dearest|highest|largest|biggest|latest|last|newest|longest|maximum|best|greatest|heaviest|priciest)\b"
)
_FILLER_WORDS = """
a about again all also am an and any anything are as at back be by can could current currently do does everything find first
for from get give go has have her him his how i if in into is it its last latest let look make me mine most much my need
name named names new next now number of off on one only onto or order our out over please put right same see send set she
show so some such take tell than thank that the their them then there these they thing this those to today tomorrow two
three four five up upcoming us want was we what when where which who whose will with would you your called titled id price
time hundred thousand dollars
"""
_FILLER = frozenset(_FILLER_WORDS.split())
_PRICED = re.compile(r"\b(?:cheapest|most\s+expensive|dearest|priciest)\b")
_PRICES = frozenset(map(stem, ("price", "cost", "fare", "fee", "rate", "amount", "total")))
_VERBS_OF_READING = frozenset(("get", "find", "list", "search", "view"))
_MOST_SUBJECTS, _MOST_CHOICES = 6, 24
_LEAST_SUPPLY = 1.5  # score from which a tool may tell a value
_DEEPEST = 4  # levels of a schema that are read
Path = tuple[Any, ...]


def is_key(name: str, schema: Any) -> bool:
    """Whether a parameter takes what people do not say: an id, a code, a symbol, a telephone number."""
    if isinstance(schema, Mapping) and ("enum" in schema or "const" in schema):
        return False
    described = str(schema.get("description", "")) if isinstance(schema, Mapping) else ""
    return not _KEYS.isdisjoint(words(name)) or _KEYED.search(described) is not None


def looks_keyed(value: Any, text: str) -> bool:
    """Whether a value that was said may be a key: it has digits or an @, or stands in capitals in the text."""
    if not isinstance(value, str):
        return True
    shouted = value.isupper() and re.search(rf"\b{re.escape(value)}\b", text) is not None
    return shouted or "@" in value or any(character.isdigit() for character in value)


# -- who may tell it --------------------------------------------------------------------------------------------------


def suppliers(tool: Tool, parameter: str, tools: Iterable[Tool], text: str, known: Collection[str] = ()) -> list[str]:
    """Names of the tools that may tell a parameter's value, the likeliest first: they only read, and do not need it themselves.

    Args:
        tool, parameter: whose value it is.
        tools: to choose from.
        text: what the user wants.
        known: other parameters of the call, whose values may be passed on.
    """
    wanted = _about(tool, parameter)[:8]
    topic = {*stems(tool.name), *stems(tool.description), *stems(text)}
    scored = []
    for other in tools:
        properties, required = other.parameters.get("properties", {}), other.parameters.get("required", [])
        needs = [name for name in required if name not in known and is_key(name, properties.get(name))]
        if other.name == tool.name or other.permission != "read" or needs:
            continue
        names, told = set(stems(other.name)), {*stems(other.description), *stems(" ".join(_described(other.returns)))}
        score = sum(3.0 * (word in names) + (word in told) for word in wanted)
        score += 2.0 * (parameter in _names(other.returns))
        score += 1.0 * (len(required) == 1 and is_text(properties.get(required[0])))
        score += 0.5 * len((names & topic) - _VERBS_OF_READING) + 0.1 * len(told & topic)
        if score >= _LEAST_SUPPLY:
            scored.append((score, other.name))
    return [name for _, name in sorted(scored, key=lambda item: -item[0])]


def is_text(schema: Any) -> bool:
    """Whether a parameter takes free text."""
    return isinstance(schema, Mapping) and schema.get("type") == "string" and "enum" not in schema


def _about(tool: Tool, parameter: str) -> list[str]:
    """What a value is, in stems: of the parameter's name and description."""
    schema = tool.parameters.get("properties", {}).get(parameter, {})
    described = str(schema.get("description", "")) if isinstance(schema, Mapping) else ""
    return list(dict.fromkeys(word for word in [*stems(parameter), *stems(described)] if word not in SMALL))


def _names(schema: Any, depth: int = _DEEPEST) -> Iterator[str]:
    """Names of the properties of a schema, at any level."""
    if isinstance(schema, Mapping) and depth:
        for name, item in (schema.get("properties") or {}).items():
            yield name
            yield from _names(item, depth - 1)
        yield from _names(schema.get("items"), depth - 1)


def _described(schema: Any, depth: int = _DEEPEST) -> Iterator[str]:
    """The names of the properties of a schema and their descriptions, at any level."""
    if isinstance(schema, Mapping) and depth:
        for name, item in (schema.get("properties") or {}).items():
            yield name
            if isinstance(item, Mapping) and isinstance(item.get("description"), str):
                yield item["description"]
            yield from _described(item, depth - 1)
        yield from _described(schema.get("items"), depth - 1)


def subjects(text: str, used: Iterable[Span], tool: Tool) -> list[str]:
    """What a text is about besides the values that a call has taken up and the words of its tool; names come first.

    Args:
        text: a part of a goal.
        used: the characters of it that the call's values come from.
        tool: the one that is called.
    """
    taken = list(used)
    names = set(stems(tool.name))
    known = names | {word for group in ALIKE if not group.isdisjoint(names) for word in group}

    def is_taken(begin: int, end: int) -> bool:
        return any(begin < b and a < end for a, b in taken)

    said = [text[begin:end].strip("\"'“”‘’`") for begin, end in salient(text) if not is_taken(begin, end)]
    found = [_without_s(item) for item in said if not item[:1].isdigit()]
    runs: list[list[str]] = [[]]
    for word in re.finditer(r"[^\W_][\w'’-]*|[.,;:!?]", text):
        plain = _without_s(word[0].lower())
        filler = not plain[0].isalpha() or stem(plain) in known or plain in _FILLER or stem(plain) in _FILLER
        if filler or is_taken(*word.span()):
            runs.append([])
        else:
            runs[-1].append(_without_s(word[0]))
    phrases = [" ".join(run) for run in runs if run]
    found += [phrase for phrase in phrases if phrase.lower() not in {item.lower() for item in found}]
    found += [phrase[:-1] for phrase in phrases if phrase.endswith("s") and not phrase.endswith("ss")]
    return list(dict.fromkeys(item for item in found if item))[:_MOST_SUBJECTS]


def _without_s(word: str) -> str:
    return re.sub(r"['’]s$", "", word)


def singular(call: ToolCall) -> ToolCall | None:
    """The call with a search for several ("lamps") as one for one; None where there is none."""
    for name, value in call.arguments.items():
        if isinstance(value, str) and len(value) > 3 and value.endswith("s") and not value.endswith("ss"):
            return ToolCall(call.name, {**call.arguments, name: value[:-1]})
    return None


# -- which value it is ------------------------------------------------------------------------------------------------


def choices(tool: Tool, parameter: str, results: Sequence[Any], text: str) -> list[Any]:
    """Values of results that a parameter may take, those of the records that the text is about; the likeliest first."""
    schema = tool.parameters.get("properties", {}).get(parameter, {})
    wanted, name, spoken = set(_about(tool, parameter)), stems(parameter), set(stems(text))
    best: dict[str, tuple[float, int, Any]] = {}
    order = 0
    for result in results:
        for path, value in leaves(result):
            like = _likeness(stems(_key(path)), name, wanted) if _fits(value, schema) else 0.0
            if not like:
                continue
            order -= 1
            score = like + 3.0 * _overlap(_record(result, path), spoken)
            if repr(value) not in best or best[repr(value)][0] < score:
                best[repr(value)] = (score, order, value)
    found = sorted(best.values(), key=lambda item: item[:2], reverse=True)
    extreme = _extreme(results, lowered(text))
    if extreme is not None:
        found = [item for item in found if any(value == item[2] for _, value in leaves(extreme))] or found
    return [value for score, _, value in found if score >= found[0][0] - 1e-9][:_MOST_CHOICES]


def told(phrase: str, tool: Tool, results: Sequence[ToolResult], parameter: str = "") -> str | None:
    """What results say of what a phrase names ("the time of my next appointment"), as text; None where they name none of it.

    Args:
        phrase: what the user said.
        tool, parameter: what it is for; their own words name nothing.
        results: the earliest first.
    """
    spoken, own = meant(phrase), set(stems(tool.name))
    best: tuple[float, str] | None = None
    for at, result in enumerate(results):
        topic = set(stems(result.call.name)) - _VERBS_OF_READING
        extreme = _extreme([result.value], lowered(phrase))
        for path, value in leaves(result.value):
            key = stems(_key(path))
            named = sum(spoken.get(word, 0.0) for word in key if word not in own or len(key) > 1)
            if named < 0.5:
                continue
            score = 2 * named + 0.3 * len(topic & set(spoken)) + 0.5 * _overlap(_record(result.value, path), set(stems(phrase)))
            score += 1.5 * (_key(path).lower() == parameter.lower() and parameter.lower() in phrase.lower()) + 0.01 * at
            score += 1.0 * (extreme is not None and any(value == other for _, other in leaves(extreme)))
            if best is None or score > best[0]:
                best = (score, value if isinstance(value, str) else compact(value))
    return None if best is None else best[1]


def is_about(result: ToolResult, text: str) -> bool:
    """Whether a text speaks of what a result holds, or of what its tool is for ("my next appointment")."""
    spoken = set(meant(text))
    named = set(stems(result.call.name)) - _VERBS_OF_READING - SMALL
    return not named.isdisjoint(spoken) or _overlap(result.value, set(stems(text))) > 0


def numbers_in(value: Any) -> list[Any]:
    """Numbers of a result that are no keys."""
    return [item for path, item in leaves(value) if isinstance(item, int | float) and not is_key(_key(path), {})]


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Strings and numbers of a result with the names and places that lead to them."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from leaves(item, (*path, at))
    elif value is not None and not isinstance(value, bool):
        yield path, value


def _key(path: Path) -> str:
    return next((part for part in reversed(path) if isinstance(part, str)), "")


def _likeness(key: list[str], name: list[str], wanted: set[str]) -> float:
    """How much the name of a value is that of a parameter."""
    same_end = bool(key) and bool(name) and key[-1] == name[-1]
    return 2.0 * len(set(key) & set(name)) + len(set(key) & wanted) + 2.0 * same_end


def _extreme(results: Sequence[Any], low: str) -> Any:
    """The record that "the cheapest" and its like speak of."""
    lowest = _LOWEST.search(low) is not None
    if not lowest and _HIGHEST.search(low) is None:
        return None
    for result in reversed(results):
        for records in _lists(result):
            keys = [key for key in records[0] if not is_key(key, {}) and all(_is_number(record.get(key)) for record in records)]
            if _PRICED.search(low):
                keys.sort(key=lambda key: _PRICES.isdisjoint(stems(key)))
            if keys:
                return (min if lowest else max)(records, key=lambda record: record[keys[0]])
            return records[0 if lowest else -1]
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _lists(value: Any) -> Iterator[list[dict[str, Any]]]:
    """Lists of several objects."""
    if isinstance(value, list):
        if len(value) > 1 and all(isinstance(item, dict) for item in value):
            yield value
        for item in value:
            yield from _lists(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _lists(item)


def _record(result: Any, path: Path) -> Any:
    """The object of a list that a value stands in; None where there is no list."""
    value, record = result, None
    for part in path:
        if isinstance(value, list) and isinstance(value[part], dict):
            record = value[part]
        value = value[part]
    return record


def _overlap(record: Any, spoken: set[str]) -> int:
    """How many of the words that were said stand in a record."""
    said = {word for _, value in leaves(record) if isinstance(value, str) for word in stems(value)}
    return len((said & spoken) - SMALL)


def _fits(value: Any, schema: Any) -> bool:
    kinds = {"string": str, "integer": int, "number": (int, float)}
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    return kind is None or (isinstance(kind, str) and kind in kinds and isinstance(value, kinds[kind]))
