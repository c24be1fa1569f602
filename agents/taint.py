"""How closely words support a value, for whoever must know which of two people it comes from.

Evidence is generous: of text, spelling and endings do not count, and of numbers many things follow. That is right where the
user is the only one who has spoken. Once somebody else has, generosity is what an attacker needs: "mybank.com" is not what a
user means who says "my-bank.com", nor "new_password" the code of what they call new, nor 120 the amount because they spoke of
two hours. Then the user's words count for a sensitive value

- where they say it, as words of their own, but for case and spaces, or say the same in words, or as the date or time it is;
- where it follows from them by a rule (a duration, a unit, a code, a place, arithmetic) and nothing that somebody else wrote
  supports it at all;
- in no other case: not for letters out of longer words, parts of a longer address or number, other punctuation, other endings,
  initials, or "a" for 1.
"""

from __future__ import annotations

import re

from .arithmetic import PREFIX
from .wording import in_a_word

SAME = frozenset(("number word", "number", "date", "time"))
"""Rules that say the same in other words."""
_FOLLOWS = frozenset(("duration", "unit", "percentage", "fraction", "code", "operator", "nation", "place", "time zone"))
_JOINTS = r"[@./\\:_+%#&=?~-]"
_JOINED_BEFORE = re.compile(rf"\w{_JOINTS}+$")
_JOINED_AFTER = re.compile(rf"{_JOINTS}+\w")
_DIGITS_BEFORE = re.compile(r"\d\s+$")
_DIGITS_AFTER = re.compile(r"\s+\d")
_NEAR = 8  # characters beside a value in which joints are looked for


def says(value: object, text: str, rule: str) -> bool:
    """Whether words that support a value by this rule say it."""
    if rule in SAME or (rule == "" and not isinstance(value, str)):
        return True
    return isinstance(value, str) and rule in ("", "spelling") and _stands(value, text)


def follows(rule: str) -> bool:
    """Whether a rule makes one value of one thing said, though perhaps another than was meant."""
    return rule in _FOLLOWS or rule.startswith(PREFIX)


def _stands(value: str, text: str) -> bool:
    """Whether a text has a value as words of their own, but for case and spaces.

    "acme.com" does not stand in "bob@acme.com", nor "DE89 3704" in "DE89 3704 0044".
    """
    pattern = r"\s+".join(map(re.escape, value.split()))
    places = re.finditer(pattern, text, re.IGNORECASE) if pattern else ()
    return any(not (_goes_on(text, *found.span()) or _began_before(text, *found.span())) for found in places)


def _goes_on(text: str, start: int, end: int) -> bool:
    after = text[end : end + _NEAR]
    more = text[end - 1].isdigit() and _DIGITS_AFTER.match(after)
    return bool(more or _JOINED_AFTER.match(after)) or _is_inside(text, end)


def _began_before(text: str, start: int, end: int) -> bool:
    before = text[max(0, start - _NEAR) : start]
    more = text[start].isdigit() and _DIGITS_BEFORE.search(before)
    return bool(more or _JOINED_BEFORE.search(before)) or _is_inside(text, start)


def _is_inside(text: str, at: int) -> bool:
    return in_a_word(text, at) or (0 < at < len(text) and text[at - 1].isdigit() and text[at].isalpha())
