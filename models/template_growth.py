"""What single operations of a template may grow to: paid for before they are carried out.

Python carries each of them out in one go, however large its result is: `"{:>9999999999}".format(1)`, `"x"|center(10 ** 10)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from operator import length_hint
from typing import Any

from markupsafe import Markup

from .errors import ChatTemplateError
from .template_meter import BITS, Meter

WIDTH = 10_000
LONG_NUMBER = re.compile(r"\d{5}")
_LONG_WIDTH = re.compile(r"[%)][#0\- +]*\d*\.?\d{5}")  # what stands in parentheses may have parentheses in it
_STAR = re.compile(r"%[#0\- +]*(?:\d*\.)?\*")


def check_format(meter: Meter, text: str, values: Any) -> None:
    """Pay for `text % values`."""
    if _STAR.search(text) or _LONG_WIDTH.search(text):
        raise ChatTemplateError(f"the chat template formats to a width of '*', or of {WIDTH} characters or more")
    meter.write(len(text) + text.count("%") * (meter.weigh(values) + WIDTH))


def joinable(meter: Meter, separator: str, values: Iterable[Any]) -> list[Any]:
    found = list(values)
    meter.made(found)
    meter.write(meter.weigh(found) + len(separator) * len(found))
    return found


def whole(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _padded(meter: Meter, text: Any, width: Any = 0, *_: Any, **named: Any) -> None:
    meter.write(whole(named.get("width", width)))


def _tabbed(meter: Meter, text: str, size: Any = 8, **named: Any) -> None:
    meter.write(text.count("\t") * whole(named.get("tabsize", size)))


def _replaced(meter: Meter, text: Any, old: Any = "", new: Any = "", *_: Any, **named: Any) -> None:
    text, old, new = (meter.text(value) for value in (text, named.get("old", old), named.get("new", new)))
    growth = 6 if isinstance(text, Markup) else 1  # what is put into escaped text is escaped
    meter.write(text.count(old) * max(0, growth * len(new) - len(old)))


def _split(meter: Meter, text: str, separator: Any = None, *_: Any, **named: Any) -> None:
    separator = named.get("sep", separator)
    meter.spend(text.count(separator) if isinstance(separator, str) and separator else len(text) // 4)


def _from_behind(meter: Meter, text: str, part: Any = None, *rest: Any, **named: Any) -> None:
    # Python's search from behind looks at every character for every other in the worst case
    part = named.get("sep", part)
    meter.spend(len(text) * len(part) // 1000 if isinstance(part, str) else 0)
    _split(meter, text, part)


def _indented(meter: Meter, text: Any, width: Any = 4, *_: Any, **named: Any) -> None:
    width = named.get("width", width)
    each = len(width) if isinstance(width, str) else whole(width)
    lines = meter.text(text).splitlines()
    meter.spend(len(lines))
    meter.write((len(lines) + 1) * each)


def _counted(meter: Meter, value: Any, count: Any = 0, *_: Any, **named: Any) -> None:
    for number in (count, *named.values()):
        meter.spend(whole(number))


def _numeral(meter: Meter, value: Any, *_: Any, **__: Any) -> None:
    if isinstance(value, str) and len(value) > BITS:
        raise ChatTemplateError(f"the chat template reads a number of {len(value)} characters")


def _rounded(meter: Meter, value: Any, precision: Any = 0, *_: Any, **named: Any) -> None:
    if isinstance(precision := named.get("precision", precision), int) and abs(precision) > 300:
        raise ChatTemplateError(f"the chat template rounds to {precision} digits")


def _sorted(meter: Meter, value: Any, *_: Any, **__: Any) -> None:
    meter.spend(length_hint(value) + meter.weigh(value) // 8)


def _formatted(meter: Meter, value: Any, *args: Any, **named: Any) -> None:
    check_format(meter, meter.text(value), named or args)


def _joined(meter: Meter, value: Any, separator: Any = "", *_: Any, **named: Any) -> None:
    meter.write(meter.weigh(value) + len(meter.text(named.get("d", separator))) * length_hint(value))


METHODS: dict[str, Callable[..., None]] = {
    **dict.fromkeys(("center", "ljust", "rjust", "zfill"), _padded),
    **dict.fromkeys(("split", "splitlines"), _split),
    **dict.fromkeys(("rfind", "rindex", "rsplit", "rpartition"), _from_behind),
    "expandtabs": _tabbed,
    "replace": _replaced,
}
FILTERS: dict[str, Callable[..., None]] = {
    **dict.fromkeys(("batch", "slice"), _counted),
    **dict.fromkeys(("int", "float"), _numeral),
    **dict.fromkeys(("sort", "unique", "groupby", "dictsort", "min", "max", "wordcount", "title", "e", "escape"), _sorted),
    "center": _padded,
    "format": _formatted,
    "indent": _indented,
    "join": _joined,
    "replace": _replaced,
    "round": _rounded,
}
