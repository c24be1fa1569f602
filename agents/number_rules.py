"""Regular expressions for the text of JSON numbers within bounds.

A grammar sees text, a validator sees the Python number that the text is read as. The two agree only as long as
different texts are different numbers, so decimals have at most 15 significant digits (every such decimal has a double
of its own, in the same order) and no text becomes infinite.
"""

from __future__ import annotations

from decimal import Decimal

DIGITS = 15
"""Significant digits that a double always keeps."""

# Places after the point: with the leading 0 they are 15 digits.
_PLACES = DIGITS - 1
_GRID = 10**_PLACES

INTEGER = "-?(?:0|[1-9][0-9]{0,14})"
"""Any integer of at most 15 digits."""

_EXPONENT = "(?:[eE][+-]?[0-9]{1,2})?"
_POINT = r"(?:\.[0-9]{1,14})?"
NUMBER = INTEGER + _POINT + _EXPONENT
"""Any number; exponents of two digits keep it finite."""

NOT_NEGATIVE = "(?:0|[1-9][0-9]{0,14})" + _POINT + _EXPONENT
POSITIVE = r"(?:0\.[0-9]{0,13}[1-9]|[1-9][0-9]{0,14}(?:\.[0-9]{1,14})?)" + _EXPONENT

DECIMAL = (r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,14})?", r"-?[0-9.]{1,16}")
"""Two expressions that a decimal must both match: its form, and at most 15 digits in all."""


def integers(lo: int | None, hi: int | None) -> str | None:
    """Regular expression of integers lo … hi of at most 15 digits; where a bound has more, up to 1000 times that bound.

    None when there is no such integer.
    """
    least = 10**DIGITS - 1
    low_end = -max(least, 0 if hi is None else -1000 * hi)
    high_end = max(least, 0 if lo is None else 1000 * lo)
    lo = low_end if lo is None else max(lo, low_end)
    hi = high_end if hi is None else min(hi, high_end)
    if lo > hi:
        return None
    parts = []
    if lo < 0:
        parts.append(f"-(?:{_naturals(max(1, -hi), -lo)})")
    if hi >= 0:
        parts.append(_naturals(max(lo, 0), hi))
    return "|".join(parts)


def decimals(lo: Decimal | None, lo_open: bool, hi: Decimal | None, hi_open: bool) -> str | None:
    """Regular expression of the decimals between two bounds, to be combined with both of `DECIMAL`.

    Bounds are exact decimal values of what the schema says; `*_open` leaves the bound itself out. None when there is no
    decimal of 15 digits between them.
    """
    limit = 10 ** (DIGITS + _PLACES) - 1
    low = -limit if lo is None else max(-limit, _on_grid(lo, lo_open, up=True))
    high = limit if hi is None else min(limit, _on_grid(hi, hi_open, up=False))
    if low > high:
        return None
    parts = []
    if low < 0:
        parts.append(f"-(?:{_fractions(max(0, -high), -low)})")
    if high >= 0:
        parts.append(_fractions(max(low, 0), high))
    return "|".join(parts)


def _on_grid(bound: Decimal, is_open: bool, up: bool) -> int:
    """The bound in units of the last place, rounded inwards to 15 significant digits as well."""
    sign, digits, exponent = bound.as_tuple()
    assert isinstance(exponent, int)
    value = int("".join(map(str, digits))) * (-1 if sign else 1)
    cut = max(0, len(digits) - DIGITS)
    # A bound of 16 or 17 digits may be the double of a shorter decimal beside it: move inwards past that one.
    exact = True
    if cut:
        value, exact = _divide(value, 10**cut, up)
        exponent += cut
    if exponent >= -_PLACES:
        value *= 10 ** (exponent + _PLACES)
    else:
        value, on_grid = _divide(value, 10 ** (-exponent - _PLACES), up)
        exact = exact and on_grid
    if is_open and exact:
        value += 1 if up else -1
    return value


def _divide(value: int, by: int, up: bool) -> tuple[int, bool]:
    quotient, rest = divmod(value, by)
    return quotient + (1 if up and rest else 0), not rest


def _naturals(lo: int, hi: int) -> str:
    parts = []
    while lo <= hi:
        top = min(hi, 10 ** len(str(lo)) - 1)  # the largest of the same length
        parts.append(_same_length(str(lo), str(top)))
        lo = top + 1
    return "|".join(parts)


def _same_length(lo: str, hi: str) -> str:
    if not lo:
        return ""
    if lo[0] == hi[0]:
        return lo[0] + _group(_same_length(lo[1:], hi[1:]))
    rest = len(lo) - 1
    first, last = int(lo[0]), int(hi[0])
    parts = []
    if lo[1:].strip("0"):
        parts.append(lo[0] + _group(_same_length(lo[1:], "9" * rest)))
        first += 1
    if hi[1:].strip("9"):
        parts.append(hi[0] + _group(_same_length("0" * rest, hi[1:])))
        last -= 1
    if first <= last:
        parts.append(_digit(first, last) + _any(rest, rest))
    return "|".join(parts)


def _fractions(lo: int, hi: int) -> str:
    """Decimals lo … hi, given in units of the last place, both ≥ 0. An empty fraction after the point is possible."""
    lo_whole, lo_places = divmod(lo, _GRID)
    hi_whole, hi_places = divmod(hi, _GRID)
    lo_digits, hi_digits = f"{lo_places:0{_PLACES}d}", f"{hi_places:0{_PLACES}d}"
    if lo_whole == hi_whole:
        return f"{lo_whole}{_point(_between(lo_digits, hi_digits), lo_places == 0)}"
    parts = [
        f"{lo_whole}{_point(_at_least(lo_digits), lo_places == 0)}",
        f"{hi_whole}{_point(_at_most(hi_digits), True)}",
    ]
    if hi_whole - lo_whole > 1:
        parts.append(f"(?:{_naturals(lo_whole + 1, hi_whole - 1)}){_POINT}")
    return "|".join(parts)


def _point(fraction: str, may_be_missing: bool) -> str:
    return rf"(?:\.(?:{fraction}))" + ("?" if may_be_missing else "")


def _at_least(digits: str) -> str:
    """Digit strings that, padded with zeros, are at least `digits`; the empty one only when that is zero."""
    rest = len(digits) - 1
    if not digits.strip("0"):
        return _any(0, len(digits))
    first = int(digits[0])
    parts = [digits[0] + _group(_at_least(digits[1:]))]
    if first < 9:
        parts.append(_digit(first + 1, 9) + _any(0, rest))
    return "|".join(parts)


def _at_most(digits: str) -> str:
    """Digit strings that, padded with zeros, are at most `digits`; the empty one always."""
    rest = len(digits) - 1
    if not digits.strip("9"):
        return _any(0, len(digits))
    first = int(digits[0])
    parts = [digits[0] + _group(_at_most(digits[1:]))]
    if first > 0:
        parts.append(_digit(0, first - 1) + _any(0, rest))
    return f"(?:{'|'.join(parts)})?"


def _between(lo: str, hi: str) -> str:
    if not lo.strip("0"):
        return _at_most(hi)
    if not hi.strip("9"):
        return _at_least(lo)
    first, last, rest = int(lo[0]), int(hi[0]), len(lo) - 1
    if first == last:
        return lo[0] + _group(_between(lo[1:], hi[1:]))
    parts = [lo[0] + _group(_at_least(lo[1:])), hi[0] + _group(_at_most(hi[1:]))]
    if last - first > 1:
        parts.append(_digit(first + 1, last - 1) + _any(0, rest))
    return "|".join(parts)


def _digit(first: int, last: int) -> str:
    return str(first) if first == last else f"[{first}-{last}]"


def _any(least: int, most: int) -> str:
    return f"[0-9]{{{least},{most}}}" if most else ""


def _group(expression: str) -> str:
    return f"(?:{expression})" if "|" in expression else expression
