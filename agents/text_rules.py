"""Regular expressions for the text between the quotes of a string: any text, lengths, `pattern` and `format`.

`pattern` speaks of the decoded string and is Python's `re.search` to the validator; the grammar needs an expression for
the encoded text that llguidance (Rust syntax, whole match) reads. The pattern is therefore parsed with Python's own
parser and written anew, character class by character class. What has no counterpart (look-around, back references) is
refused. What a character is written as is a `Spelling`: with JSON's short escapes (not \\uXXXX, which could spell half a
character), or as it is. Control characters without a short escape are not written either way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

# The parser behind `re`; public under this name until 3.10 and unchanged since.
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]

Ranges = tuple[tuple[int, int], ...]

_LAST = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)
_ESCAPES = {0x22: '"', 0x5C: "\\", 0x08: "b", 0x0C: "f", 0x0A: "n", 0x0D: "r", 0x09: "t"}

MAX_LENGTH = 100_000
"""Longest `maxLength` written out; larger ones are cut to it, which only narrows what is generated."""


class UnsupportedPattern(ValueError):
    """A pattern that cannot be written as a grammar terminal; the message says why."""


@dataclass(frozen=True)
class Spelling:
    """How the characters of a string stand between its quotes.

    Attributes:
        character: expression of any one of them.
        forbidden: those that do not stand there as they are.
        escaped: whether there are short escapes.
    """

    character: str
    forbidden: Ranges
    escaped: bool

    @property
    def text(self) -> str:
        """Any text."""
        return f"{self.character}*"

    def length(self, least: int, most: int | None) -> str:
        """Texts of `least` to `most` characters (code points)."""
        upper = "" if most is None else str(min(most, MAX_LENGTH))
        return f"{self.character}{{{least},{upper}}}"

    def pattern(self, text: str) -> str | None:
        """Texts in which Python's `re.search` finds the pattern; None when there are none.

        Raises:
            UnsupportedPattern: The pattern is not one of Python's, or needs more than a regular language.
        """
        try:
            parsed = _parser.parse(text)
        except (re.error, OverflowError, RecursionError) as error:
            raise UnsupportedPattern(f"Python's re does not read it ({error})") from error
        flags = parsed.state.flags
        if flags & (re.MULTILINE | re.LOCALE):
            raise UnsupportedPattern("its flags are not supported")
        found = []
        for sequence, at_start, at_end in _alternatives(list(parsed), False, False):
            body = _sequence(sequence, flags, self._characters)
            if body is not None:
                found.append(("" if at_start else self.text) + _group(body) + ("" if at_end else self.text))
        return f"(?:{'|'.join(found)})" if found else None

    def _characters(self, ranges: Ranges) -> str | None:
        """Expression for one character of the set as it is written; None for the empty set."""
        plain = _complement(_union([*_complement(ranges), *self.forbidden, _SURROGATES]))
        parts = []
        if plain:
            parts.append("[" + "".join(_code(lo) if lo == hi else f"{_code(lo)}-{_code(hi)}" for lo, hi in plain) + "]")
        if self.escaped:
            short = [escape for code, escape in _ESCAPES.items() if any(lo <= code <= hi for lo, hi in ranges)]
            parts += [f"\\\\{_code(ord(escape))}" for escape in short]
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"


ESCAPED = Spelling(r'(?:[^"\\\x00-\x1F\x7F]|\\["\\bfnrt])', ((0, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0x7F, 0x7F)), escaped=True)
"""As in JSON, which Python reads the same way."""

RAW = Spelling(r"[^\x00-\x07\x0B\x0E-\x1F\x7F]", ((0, 0x07), (0x0B, 0x0B), (0x0E, 0x1F), (0x7F, 0x7F)), escaped=False)
"""As they are."""

_Write = Callable[[Ranges], str | None]


def _alternatives(sequence: list, at_start: bool, at_end: bool) -> Iterable[tuple[list, bool, bool]]:
    """The outermost alternatives of a pattern, without the anchors at their ends."""
    sequence = list(sequence)
    while sequence and sequence[0][0] is sre.AT and sequence[0][1] in (sre.AT_BEGINNING, sre.AT_BEGINNING_STRING):
        sequence, at_start = sequence[1:], True
    while sequence and sequence[-1][0] is sre.AT and sequence[-1][1] in (sre.AT_END, sre.AT_END_STRING):
        sequence, at_end = sequence[:-1], True
    if len(sequence) == 1:
        op, argument = sequence[0]
        if op is sre.BRANCH:
            for branch in argument[1]:
                yield from _alternatives(list(branch), at_start, at_end)
            return
        if op is sre.SUBPATTERN and not argument[1] and not argument[2]:
            yield from _alternatives(list(argument[3]), at_start, at_end)
            return
    yield sequence, at_start, at_end


def _sequence(items: Iterable, flags: int, write: _Write) -> str | None:
    """Expression for a sequence; None when nothing matches it."""
    parts = []
    for op, argument in items:
        part = _item(op, argument, flags, write)
        if part is None:
            return None
        parts.append(part)
    return "".join(parts)


def _item(op: object, argument: object, flags: int, write: _Write) -> str | None:
    match op:
        case sre.LITERAL:
            return write(_cased(((argument, argument),), flags))
        case sre.NOT_LITERAL:
            return write(_negated(((argument, argument),), flags))
        case sre.ANY:
            return write(((0, _LAST),) if flags & re.DOTALL else _complement(((0x0A, 0x0A),)))
        case sre.IN:
            return write(_class(argument, flags))
        case sre.BRANCH:
            found = [part for branch in argument[1] if (part := _sequence(branch, flags, write)) is not None]
            return f"(?:{'|'.join(found)})" if found else None
        case sre.SUBPATTERN:
            _, added, removed, inner = argument
            kept = flags & ~re.UNICODE if added & re.ASCII else flags
            part = _sequence(inner, (kept | added) & ~removed, write)
            return None if part is None else _group(part)
        case sre.MAX_REPEAT | sre.MIN_REPEAT:
            least, most, inner = argument
            part = _sequence(inner, flags, write)
            if part is None:
                return "" if least == 0 else None
            upper = "" if most is sre.MAXREPEAT else str(most)
            return f"(?:{part}){{{least},{upper}}}"
        case sre.AT:
            raise UnsupportedPattern("anchors and word boundaries are supported at its two ends only")
        case sre.ASSERT | sre.ASSERT_NOT:
            raise UnsupportedPattern("it looks ahead or behind")
        case sre.GROUPREF | sre.GROUPREF_EXISTS:
            raise UnsupportedPattern("it refers back to a group")
        case _:
            raise UnsupportedPattern(f"it uses {str(op).lower().replace('_', ' ')}")


def _class(members: Iterable, flags: int) -> Ranges:
    members = list(members)
    negated = bool(members) and members[0][0] is sre.NEGATE
    ranges: list[tuple[int, int]] = []
    for op, argument in members[negated:]:
        if op is sre.LITERAL:
            ranges.append((argument, argument))
        elif op is sre.RANGE:
            ranges.append(argument)
        elif op is sre.CATEGORY:
            # Inside a negation the class must be complete; outside, ASCII digits are all that anybody means.
            ranges.extend(_category(argument, ascii_digits=not negated))
        else:
            raise UnsupportedPattern(f"it uses {str(op).lower().replace('_', ' ')}")
    return _negated(tuple(ranges), flags) if negated else _cased(_union(ranges), flags)


def _category(category: object, ascii_digits: bool) -> Ranges:
    match category:
        case sre.CATEGORY_DIGIT:
            return ((0x30, 0x39),) if ascii_digits else _python_class("digit")
        case sre.CATEGORY_SPACE:
            return _python_class("space")
        case sre.CATEGORY_WORD:
            return _python_class("word")
        case sre.CATEGORY_NOT_DIGIT:
            return _complement(_python_class("digit"))
        case sre.CATEGORY_NOT_SPACE:
            return _complement(_python_class("space"))
        case sre.CATEGORY_NOT_WORD:
            return _complement(_python_class("word"))
    raise UnsupportedPattern(f"it uses the class {category}")


@lru_cache(maxsize=3)
def _python_class(name: str) -> Ranges:
    """What Python's \\d, \\s and \\w match without the flag (?a); `_cased` cuts a class down for patterns that have it."""
    tests = {"digit": str.isdecimal, "space": str.isspace, "word": lambda c: c.isalnum() or c == "_"}
    found = tests[name]
    # Unicode has no letters, digits or spaces beyond its fourth plane.
    return _union([(code, code) for code in range(0x40000) if found(chr(code))])


def _cased(ranges: Ranges, flags: int) -> Ranges:
    """The class under the flags: both cases of ASCII letters with (?i), nothing beyond ASCII with (?a)."""
    if flags & re.ASCII and not flags & re.UNICODE:
        ranges = _intersect_ascii(ranges)
    if not flags & re.IGNORECASE:
        return ranges
    both = list(ranges)
    for shift, first, last in ((32, 0x41, 0x5A), (-32, 0x61, 0x7A)):
        both += [(max(lo, first) + shift, min(hi, last) + shift) for lo, hi in ranges if lo <= last and hi >= first]
    return _union(both)


def _negated(ranges: Ranges, flags: int) -> Ranges:
    if flags & re.IGNORECASE:
        # (?i)[^k] also leaves out the Kelvin sign, and so on: only ASCII is sure.
        return _intersect_ascii(_complement(_cased(_union(ranges), flags & ~re.ASCII)))
    return _complement(_union(ranges))


def _intersect_ascii(ranges: Ranges) -> Ranges:
    return tuple((lo, min(hi, 0x7F)) for lo, hi in ranges if lo <= 0x7F)


def _union(ranges: Iterable[tuple[int, int]]) -> Ranges:
    merged: list[tuple[int, int]] = []
    for lo, hi in sorted(ranges):
        if merged and lo <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(hi, merged[-1][1]))
        else:
            merged.append((lo, hi))
    return tuple(merged)


def _complement(ranges: Ranges) -> Ranges:
    out, start = [], 0
    for lo, hi in ranges:
        if start < lo:
            out.append((start, lo - 1))
        start = hi + 1
    if start <= _LAST:
        out.append((start, _LAST))
    return tuple(out)


def _code(code: int) -> str:
    return chr(code) if chr(code).isascii() and chr(code).isalnum() else f"\\x{{{code:X}}}"


def _group(expression: str) -> str:
    return f"(?:{expression})"


def _formats() -> dict[str, str]:
    hour, sixty = "(?:[01][0-9]|2[0-3])", "[0-5][0-9]"
    zone = f"(?:Z|[+-]{hour}:{sixty})"
    time = rf"{hour}:{sixty}:{sixty}(?:\.[0-9]{{1,6}})?{zone}"
    # Years 0001 … 9999, months with their days, the leap day in leap years only.
    year = "(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
    leap = "(?:(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)-02-29)"
    days = "(?:0[1-9]|1[0-9]|2[0-8])"
    month_days = f"(?:(?:0[1-9]|1[0-2])-{days}|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    date = f"(?:{year}-{month_days}|{leap})"
    clock = "(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)"
    calendar = "(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)"
    label = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    hostname = rf"{label}(?:\.{label}){{0,7}}"
    byte = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
    hexes = "[0-9a-fA-F]{1,4}"
    # All eight groups, or k groups, "::" and at most 7 − k more.
    short = [
        (f"{hexes}(?::{hexes}){{{k - 1}}}" if k else "") + "::" + (f"(?:{hexes}(?::{hexes}){{0,{6 - k}}})?" if k < 7 else "")
        for k in range(8)
    ]
    atom = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,32}"
    email = rf"{atom}(?:\.{atom})?@{label}(?:\.{label}){{1,7}}"
    uri_character = r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})"
    return {
        "date": date,
        "time": time,
        "date-time": f"{date}T{time}",
        "duration": f"P(?:{calendar}(?:T{clock})?|T{clock}|[0-9]+W)",
        "email": email,
        "idn-email": email,
        "hostname": hostname,
        "ipv4": rf"{byte}(?:\.{byte}){{3}}",
        "ipv6": f"(?:{hexes}(?::{hexes}){{7}}|{'|'.join(short)})",
        "uuid": "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
        "uri": f"[A-Za-z][A-Za-z0-9+.-]{{0,19}}:{uri_character}+",
    }


FORMATS: dict[str, str] = {name: f"(?:{expression})" for name, expression in _formats().items()}
"""Expressions of the formats that are kept; JSON Schema leaves `format` an annotation, so others are not restricted. No
character of them needs an escape."""
