"""Quantities in other units than they were said in ("1.5 km" is 1500 m, 68 °F are 20 °C), and units in other spellings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isclose, pi

from .quantities import Reading
from .wording import Span, lowered, phrase

# dimension: size of each unit in the first one, and its spellings; a plural s may follow each word of four letters or more
_TABLE = """
length: 1 m meter metre; 1e-9 nm nanometer nanometre; 1e-6 micrometer micron; 1e-3 mm millimeter millimetre;
  1e-2 cm centimeter centimetre; 1e3 km kms kilometer kilometre; 0.0254 in inch inches; 0.3048 ft foot feet; 0.9144 yd yds yard;
  1609.344 mi mile; 1852 nmi nautical-mile; 9.4607e15 ly light-year lightyear; 1.495978707e11 au astronomical-unit
mass: 1 kg kgs kilogram kilo; 1e-6 mg milligram; 1e-9 mcg microgram; 1e-3 g gram gramme; 1e3 t ton tonne metric-ton;
  0.45359237 lb lbs pound; 0.028349523125 oz ounce; 6.35029318 st stone
volume: 1 l liter litre; 1e-3 ml milliliter millilitre cc; 1e-2 cl centiliter centilitre; 1e-1 dl deciliter decilitre;
  1e3 m³ m^3 m3 cubic-meter cubic-metre; 3.785411784 gal gallon; 0.946352946 qt quart; 0.473176473 pt pint; 0.2365882365 cup;
  0.01478676478125 tbsp tablespoon; 0.00492892159375 tsp teaspoon; 0.0295735295625 fl-oz fluid-ounce; 1e-3 cm³ cm^3 cm3
temperature: 1 k kelvin; 1 c °c celsius centigrade degrees-celsius degree-celsius; 1 f °f fahrenheit degrees-fahrenheit
speed: 1 m/s mps meters-per-second metres-per-second; 0.277777777777777778 km/h kmh kph kmph kilometers-per-hour
  kilometres-per-hour kilometers-an-hour; 0.44704 mph mi/h miles-per-hour miles-an-hour; 0.514444444444 kn knot;
  0.3048 ft/s feet-per-second; 1000 km/s kilometers-per-second
area: 1 m² m^2 m2 sqm sq-m square-meter square-metre; 1e-4 cm² cm^2 cm2 square-centimeter; 1e6 km² km^2 km2 square-kilometer;
  0.09290304 ft² ft^2 sqft sq-ft square-foot square-feet; 4046.8564224 acre; 1e4 ha hectare; 2589988.110336 square-mile sq-mi;
  0.83612736 square-yard
angle: 1 rad radian; 0.017453292519943295 deg ° degree
power: 1 w watt; 1e3 kw kilowatt; 1e6 mw megawatt; 745.6998715822702 hp horsepower
energy: 1 j joule; 1e3 kj kilojoule; 3.6e6 kwh kilowatt-hour; 4.184 cal calorie; 4184 kcal kilocalorie; 1.602176634e-19 ev
pressure: 1 pa pascal; 1e3 kpa kilopascal; 1e5 bar; 100 mbar millibar hpa; 101325 atm atmosphere; 6894.757293168 psi
data: 1 byte; 1e3 kb kilobyte; 1e6 mb megabyte; 1e9 gb gigabyte; 1e12 tb terabyte; 1024 kib kibibyte; 1048576 mib mebibyte;
  1073741824 gib gibibyte; 0.125 bit
binary: 1 byte; 1024 kb kilobyte; 1048576 mb megabyte; 1073741824 gb gigabyte; 1099511627776 tb terabyte
frequency: 1 hz hertz; 1e3 khz kilohertz; 1e6 mhz megahertz; 1e9 ghz gigahertz
money: 1 dollar usd $ buck; 1 euro eur €; 1 pound gbp £; 0.01 cent penny pence ¢
time: 1 s sec second; 60 min minute; 3600 h hr hour; 86400 day; 604800 week; 1e-3 ms millisecond; 1e-6 microsecond
"""
_PREFIXES = {"T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3, "c": 1e-2, "m": 1e-3, "n": 1e-9, "p": 1e-12}
_PREFIXES |= dict.fromkeys("µμu", 1e-6)
_SYMBOL = re.compile(r"\s*([TGMkcmµμunp])(Hz|Pa|Wh|eV|mol|ohm|[HFVAWJCTNΩSLlgsmb])(?![A-Za-z/²³^])")
_MONEY_SIGNS = "$€£"
_METRIC = frozenset(("m", "km", "cm", "mm", "kg", "g", "mg", "l", "ml", "c", "km/h", "m/s", "m²", "km²", "ha"))
_IMPERIAL = frozenset(("in", "ft", "yd", "mi", "lb", "oz", "st", "gal", "qt", "pt", "f", "mph", "ft²", "acre"))
_EXACT = 1e-9
_WRITTEN_DOWN = 2.5e-3  # relative: what may be lost when a converted quantity is rounded


@dataclass(frozen=True, slots=True)
class _Unit:
    name: str
    dimension: str
    size: float


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with a unit, or with several of one kind ("5 ft 10 in").

    Attributes:
        size: in the first unit of its dimension.
        start, end: where it stands.
    """

    size: float
    dimension: str
    start: int
    end: int


_SPELT: dict[str, list[_Unit]] = {}
_SPELLINGS: dict[str, tuple[str, ...]] = {}
_SIZES: dict[str, list[float]] = {}

for _line in _TABLE.strip().replace("\n  ", " ").splitlines():
    _dimension, _units = _line.split(": ", 1)
    for _entry in _units.split(";"):
        _size, *_written = _entry.split()
        _plain = [word.replace("-", " ") for word in _written]
        _plain += [f"{word}s" for word in _plain if (word.isalpha() and len(word) > 2) or " " in word]
        _name = _written[0]
        _SIZES.setdefault(_dimension, []).append(float(_size))
        _SPELLINGS[_name] = (*_SPELLINGS.get(_name, ()), *_plain)
        for _spelling in _plain:
            _SPELT.setdefault(_spelling, []).append(_Unit(_name, _dimension, float(_size)))
_UNIT = re.compile(r"[\s\-]*(" + "|".join(re.escape(word) for word in sorted(_SPELT, key=len, reverse=True)) + r")(?![a-z])")
_SYMBOLS = {"'": "ft", "′": "ft", '"': "in", "″": "in"}
_MARK = re.compile(r"\s*(['′\"″])")


def quantities(text: str, low: str, read: Iterable[Reading]) -> Iterator[Quantity]:
    """Every number of a text that a unit follows, and those of several units as a whole.

    Args:
        text, low: as it is, and in lower case (`wording.lowered`).
        read: its numbers (`quantities.numbers`).
    """
    last: dict[str, Quantity] = {}
    size: dict[str, float] = {}
    for reading in sorted({r for r in read if r.rule in ("", "number word", "fraction")}, key=lambda r: (r.end, r.start)):
        for unit, end in _units_behind(text, low, reading):
            found = Quantity(_based(reading.value, unit), unit.dimension, reading.start, end)
            yield found
            before = last.get(unit.dimension)
            joined = before is not None and low[before.end : found.start].strip(" ,") in ("", "and")
            if joined and unit.size < size[unit.dimension] and before is not None:
                found = Quantity(before.size + found.size, unit.dimension, before.start, end)
                yield found
            last[unit.dimension], size[unit.dimension] = found, unit.size
        if reading.start and low[reading.start - 1] in _MONEY_SIGNS:
            yield Quantity(reading.value, "money", reading.start - 1, reading.end)
        symbol = _SYMBOL.match(text, reading.end)
        if symbol is not None:
            yield Quantity(reading.value * _PREFIXES[symbol[1]], symbol[2], reading.start, symbol.end())


def _units_behind(text: str, low: str, reading: Reading) -> Iterator[tuple[_Unit, int]]:
    sign = _UNIT.match(low, reading.end)
    mark = _MARK.match(text, reading.end)
    if sign is not None:
        yield from ((unit, sign.end()) for unit in _SPELT[sign[1]])
    elif mark is not None and reading.rule == "":
        yield from ((unit, mark.end()) for unit in _SPELT[_SYMBOLS[mark[1]]])


def _based(value: float, unit: _Unit) -> float:
    if unit.name == "c":
        return value + 273.15
    return (value - 32) / 1.8 + 273.15 if unit.name == "f" else value * unit.size


def conversions(found: Iterable[Quantity]) -> Iterator[Reading]:
    """The quantities in the other units of their dimension."""
    for q in found:
        for size in _SIZES.get(q.dimension, (1.0,)):
            if q.dimension != "temperature":
                yield Reading(q.size / size, q.start, q.end, "unit")
        if q.dimension == "temperature":
            yield from (Reading(abs(value), q.start, q.end, "unit") for value in _degrees(q.size))
        elif q.dimension == "angle":
            yield Reading(q.size / pi, q.start, q.end, "unit")


def _degrees(kelvin: float) -> tuple[float, ...]:
    """°C, °F and K."""
    return round(kelvin - 273.15, 9), round((kelvin - 273.15) * 1.8 + 32, 9), kelvin


def is_rounded(value: float, exact: float) -> bool:
    """Whether a converted quantity may be written down as this value."""
    if isclose(value, exact, rel_tol=_EXACT):
        return True
    if not isclose(value, exact, rel_tol=_WRITTEN_DOWN):
        return False
    return any(isclose(value, round(exact, places), rel_tol=_EXACT) for places in range(7))


def quantity(value: str, read: Iterable[Reading], said: Iterable[Quantity]) -> Span | None:
    """Where the quantity that a value spells out ("5 km") was said, in whatever unit."""
    low = lowered(value.strip())
    wanted = [q for q in quantities(value.strip(), low, read) if (q.start, q.end) == (0, len(low))]
    for q in said:
        for w in wanted:
            if q.dimension == w.dimension and is_rounded(w.size, q.size):
                return q.start, q.end
    return None


def unit(value: str, low: str) -> Span | None:
    """Where a unit, a quotient of units ("km/h") or a system of units ("metric") was said in another spelling."""
    low_value = lowered(value.strip())
    names = {"metric": _METRIC, "imperial": _IMPERIAL}.get(low_value) or {u.name for u in _SPELT.get(low_value, ())}
    if not names and low_value.count("/") == 1:
        sides = [unit(side, low) for side in low_value.split("/")]
        if None not in sides:
            places = [side for side in sides if side is not None]
            return min(start for start, _ in places), max(end for _, end in places)
    return next((at for name in sorted(names) for word in _SPELLINGS[name] if (at := _spelt(word, low)) is not None), None)


def _spelt(word: str, low: str) -> Span | None:
    if len(word) > 2 or not word.isalpha():
        return phrase(word, low)
    found = re.search(rf"\d\s?{re.escape(word)}(?![a-z])", low)  # "in" and "m" are words of their own, too
    return found.span() if found else None
