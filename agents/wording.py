"""Where words stand in a text, though case, spaces, punctuation, endings or order differ.

Every function hands back spans of the text: the first character and the one behind the last.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

Span = tuple[int, int]

_TOKEN = re.compile(r"[^\W_]+")
_SMALL_WORDS = "a about an and are at by for from her his in into is it its my of on or our per some that the this to with your"
_SMALL = frozenset(_SMALL_WORDS.split())
_PLURALS = "women/woman men/man children/child people/person feet/foot teeth/tooth geese/goose mice/mouse wives/wife lives/life"
_FURTHER = "leaves/leaf halves/half analyses/analysis criteria/criterion indices/index matrices/matrix vertices/vertex"
_IRREGULAR = dict(pair.split("/") for pair in [*_PLURALS.split(), *_FURTHER.split()])
_DECIMALS = re.compile(r"(?<=\d)[.,]\d")
_SHORTEST = 3  # letters of words whose order does not count: "x 3" is not "3 x"
_VOWEL = re.compile("[aeiouy]")


def lowered(text: str) -> str:
    """Lower case of the same length, so that places in it are places in the text."""
    if text.isascii():
        return text.lower()
    return "".join(low if len(low := character.lower()) == 1 else character for character in text)


def near(pattern: str) -> re.Pattern[str]:
    """A regular expression whose ``\\s*`` and ``\\s+`` are a few characters at most: long runs of spaces cost no time then."""
    return re.compile(pattern.replace(r"\s*", r"\s{0,4}").replace(r"\s+", r"\s{1,4}"))


def squashed(text: str) -> str:
    """Letters and digits only, without case."""
    return "".join(filter(str.isalnum, text.casefold()))


def squashed_places(text: str) -> list[int]:
    """For each character of `squashed(text)` the place in the text that it comes from."""
    return [at for at, character in enumerate(text) for folded in character.casefold() if folded.isalnum()]


def in_a_word(text: str, at: int) -> bool:
    """Whether this place, between two characters, is inside a word; the end of digits in front of a letter is not."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if not (before.isalnum() and after.isalnum()) or _is_unspaced(before) or _is_unspaced(after):
        return False
    return not (before.isdigit() and not after.isdigit())


def _is_unspaced(character: str) -> bool:
    """Whether it belongs to a script that is written without spaces between words (Thai to Khmer, Chinese, Japanese)."""
    code = ord(character)
    return 0x0E00 <= code <= 0x0EFF or 0x1000 <= code <= 0x109F or 0x1780 <= code <= 0x17FF or 0x2E80 <= code <= 0x9FFF


def exactly(value: str, text: str) -> Span | None:
    """Where the value stands to the letter, as words of its own: "12" does not stand in "12a", "A12" or "12.5"."""
    at = text.find(value) if value else -1
    while at >= 0:
        end = at + len(value)
        if not (_is_joined(text, at) or _is_joined(text, end) or _DECIMALS.match(text, end) or _is_decimals(text, at)):
            return at, end
        at = text.find(value, at + 1)
    return None


def _is_decimals(text: str, at: int) -> bool:
    """Whether digits that begin here stand behind the point or comma of a number."""
    return at > 1 and text[at - 1] in ".," and text[at - 2].isdigit() and text[at : at + 1].isdigit()


def _is_joined(text: str, at: int) -> bool:
    if not 0 < at < len(text) or not (text[at - 1].isalnum() and text[at].isalnum()):
        return False
    return not (_is_unspaced(text[at - 1]) or _is_unspaced(text[at]))


def phrase(value: str, low: str) -> Span | None:
    """Where a phrase in lower case stands in a lowered text, as words of its own."""
    at = low.find(value) if value else -1
    while at >= 0:
        end = at + len(value)
        if not (in_a_word(low, at) or in_a_word(low, end)):
            return at, end
        at = low.find(value, at + 1)
    return None


@lru_cache(maxsize=4096)
def stem(word: str) -> str:
    """An English word in lower case without its ending: "opens", "opened" and "opening" are "open"."""
    word = _IRREGULAR.get(word, word)
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        rest = word[: -len(ending)]
        if word.endswith(ending) and len(rest) > 2 and _VOWEL.search(rest):
            word = rest[:-1] if rest[-1] == rest[-2] and rest[-1] not in "lsz" else rest
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def tokens(low: str) -> list[tuple[str, int, int]]:
    """Stems of the words of a lowered text and where they stand."""
    return [(stem(found[0]), found.start(), found.end()) for found in _TOKEN.finditer(low)]


def inflected(value: str, said: list[tuple[str, int, int]]) -> Span | None:
    """Where all words of a value stand together, in any order, with any ending, and with small words in between.

    Args:
        said: the `tokens` of the text.
    """
    sought = [word for word, _, _ in tokens(lowered(value))]
    wanted = (set(sought) - _SMALL) or set(sought)
    if any(len(word) < _SHORTEST for word in wanted):
        return _in_a_row(sought, said)
    for first in (at for at, (word, _, _) in enumerate(said) if word in wanted):
        missing = set(wanted)
        for at in range(first, len(said)):
            word = said[at][0]
            if word not in wanted and word not in _SMALL:
                break
            missing.discard(word)
            if not missing:
                return said[first][1], said[at][2]
    return None


def _in_a_row(sought: list[str], said: list[tuple[str, int, int]]) -> Span | None:
    words = [word for word, _, _ in said]
    starts = (at for at in range(len(words)) if words[at : at + len(sought)] == sought)
    return next(((said[at][1], said[at + len(sought) - 1][2]) for at in starts), None)


def initials(value: str, text: str) -> Span | None:
    """Where capitalised words stand one behind the other that have the value's letters, all capitals, as initials."""
    letters = value.replace(".", "")
    if not (2 <= len(letters) <= 6 and letters.isascii() and letters.isalpha() and letters.isupper()):
        return None
    words = [found for found in _TOKEN.finditer(text) if found[0][0].isupper()]
    breaks = [n for n, (a, b) in enumerate(pairwise(words), 1) if not _is_close(text[a.end() : b.start()])]
    for begin, end in pairwise([0, *breaks, len(words)]):
        at = "".join(word[0][0] for word in words[begin:end]).find(letters)
        if at >= 0:
            return words[begin + at].start(), words[begin + at + len(letters) - 1].end()
    return None


def _is_close(between: str) -> bool:
    return between.strip(" .-&").casefold() in ("", "of", "of the", "and", "and the", "for")


def parts(value: str) -> Iterator[str]:
    """Parts of a value between commas."""
    return (part.strip(" .") for part in value.split(",") if part.strip(" ."))
