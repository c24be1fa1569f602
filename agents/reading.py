"""Values read back from a text: Python's literals, and the Gemma models' own. Nothing is evaluated.

JSON's constants and Python's are both read in either, for models mix them. What is no value is a ParseError, whatever the text.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from typing import Any, NoReturn

from .errors import ParseError
from .notation import BARE, FUNCTION

MAX_DEPTH = 64
"""Most levels of lists and objects."""

_CONSTANTS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_WORD = re.compile(r"[A-Za-z]+")
_SPACE = re.compile(r"\s*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_NAME = re.compile(r"[^\W\d]\w*")
_FUNCTION = re.compile(FUNCTION)
_BARE = re.compile(BARE)
_QUOTED = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"' + "|" + r"'([^'\\]*(?:\\.[^'\\]*)*)'", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPED = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "b": "\b",
    "f": "\f",
    "a": "\a",
    "v": "\v",
    "\n": "",
    '"': '"',
    "'": "'",
    "\\": "\\",
}


class Reader(ABC):
    """A place in a text, which moves on with everything that is read.

    Attributes:
        text: all of it.
        at: where the rest begins.
    """

    def __init__(self, text: str, at: int) -> None:
        self.text, self.at = text, at
        self._depth = 0

    @abstractmethod
    def string(self) -> str | None:
        """The string that begins here; None where none begins."""

    @abstractmethod
    def key(self) -> str:
        """The name of a member of an object."""

    def value(self) -> Any:
        """The value that begins here, behind spaces."""
        if self.accept("{"):
            return self._members({}, "}")
        if self.accept("["):
            return self._members([], "]")
        text = self.string()
        if text is not None:
            return text
        if (found := _NUMBER.match(self.text, self.at)) is not None:
            self.at = found.end()
            return self._number(found)
        found = _WORD.match(self.text, self.at)
        if found is None or found[0] not in _CONSTANTS:
            self.refuse("a value should begin here")
        self.at = found.end()
        return _CONSTANTS[found[0]]

    def _number(self, found: re.Match[str]) -> int | float:
        try:
            number = float(found[0]) if found[1] or found[2] else int(found[0])
        except ValueError:  # thousands of digits
            number = math.inf
        if not math.isfinite(number):
            self.refuse("the number is too large")
        return number

    def _members(self, into: Any, end: str) -> Any:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self.refuse("the values are nested too deeply")
        while not self.accept(end):
            if into:
                self.expect(",")
            if isinstance(into, dict):
                name = self.key()
                self.expect(":")
                into[name] = self.value()
            else:
                into.append(self.value())
        self._depth -= 1
        return into

    def accept(self, text: str) -> bool:
        """Whether this text comes next, behind spaces; if so it is passed."""
        self.at = _SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]
        if not self.text.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    def expect(self, text: str) -> None:
        """Pass this text."""
        if not self.accept(text):
            self.refuse(f"{text!r} should stand here")

    def refuse(self, problem: str) -> NoReturn:
        """ParseError that shows the place."""
        rest = " ".join(self.text[self.at : self.at + 400].split())
        raise ParseError(f"{problem}, received {rest if len(rest) <= 80 else rest[:79] + '…'!r}")


class MarkedReader(Reader):
    """Reads what `MarkedNotation` writes.

    Args:
        quote: what stands around strings.
    """

    def __init__(self, text: str, at: int, quote: str) -> None:
        super().__init__(text, at)
        self._quote = quote

    def string(self) -> str | None:
        if not self.accept(self._quote):
            return None
        end = self.text.find(self._quote, self.at)
        if end < 0:
            self.refuse("a string does not end")
        start, self.at = self.at, end + len(self._quote)
        return self.text[start:end]

    def key(self) -> str:
        text = self.string()
        if text is not None:
            return text
        found = _BARE.match(self.text, self.at)
        if found is None:
            self.refuse("a name should stand here")
        self.at = found.end()
        return found[0]


class PythonReader(Reader):
    """Reads what `PythonNotation` writes, and strings in either quotes with any of Python's escapes but names of characters."""

    def string(self) -> str | None:
        self.accept("")
        found = _QUOTED.match(self.text, self.at)
        if found is None:
            return None
        text = _ESCAPE.sub(self._unescaped, found[1] if found[1] is not None else found[2])
        try:
            # Characters may be spelt as two halves, as JSON does.
            text = text.encode("utf-16", "surrogatepass").decode("utf-16") if "\\" in found[0] else text
        except UnicodeDecodeError:
            self.refuse("a string holds half a character")
        self.at = found.end()
        return text

    def _unescaped(self, found: re.Match[str]) -> str:
        escape = found[1]
        if escape in _ESCAPED:
            return _ESCAPED[escape]
        hexes = escape[1:] if escape[0] in "uUx" else ""
        octal = escape if escape[0] in "01234567" else ""
        if not hexes and not octal:
            return found[0]  # Python leaves what is no escape as it is
        code = int(hexes, 16) if hexes else int(octal, 8)
        if code > 0x10FFFF:
            self.refuse("a string holds what is no character")
        return chr(code)

    def key(self) -> str:
        text = self.string()
        if text is None:
            self.refuse("a name in quotes should stand here")
        return text

    def function(self) -> str:
        """The name of a function: dotted identifiers, or a string."""
        text = self.string()
        if text is not None:
            return text
        found = _FUNCTION.match(self.text, self.at)
        if found is None:
            self.refuse("the name of a function should stand here")
        self.at = found.end()
        return found[0]

    def arguments(self) -> dict[str, Any]:
        """Arguments by keyword, with their brackets; those that are no identifiers in `**{…}`."""
        arguments: dict[str, Any] = {}
        self.expect("(")
        first = True
        while not self.accept(")"):
            if not first:
                self.expect(",")
            first = False
            if self.accept("**"):
                more = self.value()
                if not isinstance(more, dict):
                    self.refuse("an object should follow **")
                arguments |= more
                continue
            self.accept("")
            found = _NAME.match(self.text, self.at)
            if found is None:
                self.refuse("an argument is written name=value")
            self.at = found.end()
            self.expect("=")
            arguments[found[0]] = self.value()
        return arguments
