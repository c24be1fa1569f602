"""JSON Schema as grammar rules for values in a notation: compact JSON, or what else a dialect writes.

What the rules generate satisfies the schema; what satisfies the schema need not be generated. Of an open choice the
narrower side is taken: properties that are not declared only where the schema asks for them, numbers of 15 digits,
definitions nested within themselves a few times. What cannot be guaranteed is refused by name (`SchemaError`).

Properties come in any order, each at most once: a rule's 64-bit parameter remembers which have been written.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

from . import number_rules
from .container_rules import MAX_UNORDERED, any_order, distinct, in_order, sequence
from .errors import SchemaError
from .lark import Rules, compact, expression, literal
from .notation import JSON, Notation
from .shapes import UNSUPPORTED, Schema, Shape, Shapes, may_have_other_properties
from .text_rules import FORMATS, MAX_LENGTH, UnsupportedPattern

MAX_LISTED = 2000
"""Most values of a bounded `multipleOf` that are listed one by one."""

MAX_PROPERTIES = 2000
"""Most properties of all objects of a tool together: the grammar engine nests them, and its stack ends."""

_MAX_DIGITS = 40

ANY_DEPTH = 3
"""Nesting of arrays and objects where a schema allows any value."""


class SchemaRules:
    """Compiles the parameters of one tool.

    Args:
        root: JSON Schema of the arguments.
        where: How error messages call the tool.
        rules: Where the rules go.
        notation: How values are spelt.
        names: Names of properties on the wire, where they differ from the schema's.
    """

    def __init__(
        self,
        root: Mapping[str, Any],
        where: str,
        rules: Rules,
        notation: Notation = JSON,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self.shapes = Shapes(root, where)
        self.rules = rules
        self.notation = notation
        self.names = names or {}
        self._comma = notation.lark(notation.comma)
        self._done: dict[tuple[str, int, bool], str | None] = {}
        self._any: dict[int, str] = {}
        self._path: list[str] = []
        self._impossible, self._blamed = "", "required"
        self._properties = 0

    def compile(self) -> str:
        """Name of the rule of the whole arguments object.

        Raises:
            SchemaError: The schema asks for something that the rules cannot guarantee, or nothing satisfies it.
        """
        try:
            name = self._all_of([self.shapes.root, {"type": "object"}], 0, as_arguments=True)
        except re.error as error:
            raise self._error("pattern", f"Python's re does not read {error.pattern!r} ({error})") from None
        except RecursionError:
            raise self._error("properties", "the schema is nested too deeply") from None
        if name is None:
            what = f"the schema of {self._impossible!r}" if self._impossible else "the schema"
            raise self.shapes.error(self._blamed, f"no value satisfies {what}; make its keywords agree with each other")
        return name

    def _error(self, keyword: str, problem: str) -> SchemaError:
        return self.shapes.error(keyword, problem + (f" (at {'.'.join(self._path)})" if self._path else ""))

    def _all_of(self, schemas: list[Schema], depth: int, *, as_arguments: bool = False) -> str | None:
        """Rule of a value, or of a call's arguments, that satisfies all of the schemas; None when there is none."""
        key = json.dumps(schemas, sort_keys=True), depth, as_arguments
        if key not in self._done:
            found = [body for shape in self.shapes.all_of(schemas, depth) for body in self._shape(shape, as_arguments)]
            self._done[key] = self.rules.rule(" | ".join(dict.fromkeys(found))) if found else None
        return self._done[key]

    def _shape(self, shape: Shape, as_arguments: bool) -> Iterable[str]:
        """Rule bodies, one for each type that the shape allows."""
        if shape.is_finite:
            values = self.shapes.listed(shape)
            return [self._listed(values, as_arguments=as_arguments)] if values else []
        for keyword in UNSUPPORTED:
            if shape.values(keyword):
                raise self._error(keyword, "it is not supported; express it otherwise, or check it in the tool")
        if not shape.parts:
            return [self._anything(ANY_DEPTH)]
        makers = {
            "string": self._string,
            "number": self._number,
            "integer": self._integer,
            "object": partial(self._object, as_arguments=as_arguments),
            "array": self._array,
            "boolean": lambda _: f"{literal(self.notation.true)} | {literal(self.notation.false)}",
            "null": lambda _: literal(self.notation.null),
        }
        bodies = [makers[kind](shape) for kind in sorted(shape.types())]
        return [body for body in bodies if body is not None]

    # -- scalars ------------------------------------------------------------------------------------------------------

    def _listed(self, values: list[Any], *, as_arguments: bool = False) -> str:
        for value in values:
            try:
                compact(value).encode()
            except (ValueError, TypeError):
                raise self._error("enum", f"the value {value!r} has no JSON text") from None
            self._check_writable("enum", value)
        return self.notation.listed(self.rules, values, as_arguments=as_arguments)

    def _check_writable(self, keyword: str, value: Any) -> None:
        if text := self.notation.unwritable(value):
            raise self._error(keyword, f"the text {text!r} holds what ends a string in the model's own syntax")

    def _string(self, shape: Shape) -> str | None:
        least = max((math.ceil(n) for n in shape.values("minLength")), default=0)
        most = min((math.floor(n) for n in shape.values("maxLength")), default=None)
        if most is not None and least > most:
            return None
        if least > MAX_LENGTH:
            raise self._error("minLength", f"strings longer than {MAX_LENGTH} characters are not written")
        spelling, found = self.notation.spelling, []
        for pattern in dict.fromkeys(shape.values("pattern")):
            try:
                regex = spelling.pattern(pattern)
            except UnsupportedPattern as problem:
                raise self._error("pattern", f"{pattern!r} is not supported: {problem}") from None
            if regex is None:
                return None
            found.append(regex)
        found += [FORMATS[name] for name in dict.fromkeys(shape.values("format")) if name in FORMATS]
        if least or most is not None:
            found.append(spelling.length(least, most))
        strings, terminal = self.notation.strings(self.rules, found or [spelling.text])
        return self._combined(strings, terminal, found, "pattern")

    def _combined(self, written: str, terminal: str, expressions: list[str], keyword: str) -> str:
        """What is written, after noting that the terminal in it may match nothing."""
        if len(expressions) > 1:
            text = "no text satisfies it together with its neighbours"
            self.rules.combined.append((terminal, str(self._error(keyword, text))))
        return written

    def _bounds(self, shape: Shape) -> tuple[tuple[Any, bool] | None, tuple[Any, bool] | None]:
        """The tightest bound below and above, each with whether it is exclusive."""
        below = [(n, False) for n in shape.values("minimum")] + [(n, True) for n in shape.values("exclusiveMinimum")]
        above = [(n, False) for n in shape.values("maximum")] + [(n, True) for n in shape.values("exclusiveMaximum")]
        for bound, _ in below + above:
            if isinstance(bound, bool) or not math.isfinite(bound):
                raise self._error("minimum" if (bound, False) in below else "maximum", f"the bound {bound!r} is not a number")
        # Far limits on the other side are no limits; on this side the numbers would have to be as long.
        far = 10**_MAX_DIGITS
        if any(bound > far for bound, _ in below) or any(bound < -far for bound, _ in above):
            raise self._error("minimum", f"numbers of more than {_MAX_DIGITS} digits are not written")
        return (
            max(below, default=None, key=lambda bound: (bound[0], bound[1])),
            min(above, default=None, key=lambda bound: (bound[0], not bound[1])),
        )

    def _integer_bounds(self, shape: Shape) -> tuple[int | None, int | None]:
        below, above = self._bounds(shape)
        lo = hi = None
        if below is not None:
            bound, exclusive = Fraction(below[0]), below[1]
            lo = math.floor(bound) + 1 if exclusive else math.ceil(bound)
        if above is not None:
            bound, exclusive = Fraction(above[0]), above[1]
            hi = math.ceil(bound) - 1 if exclusive else math.floor(bound)
        return lo, hi

    def _integer(self, shape: Shape) -> str | None:
        lo, hi = self._integer_bounds(shape)
        multiples = shape.values("multipleOf")
        if multiples:
            return self._multiples(multiples, lo, hi)
        regex = number_rules.INTEGER if lo is None and hi is None else number_rules.integers(lo, hi)
        return None if regex is None else self.rules.terminal(expression(regex))

    def _multiples(self, multiples: list[Any], lo: int | None, hi: int | None) -> str | None:
        """Whole numbers that are multiples of all of `multiples`."""
        step = 1
        for multiple in multiples:
            exact = Fraction(multiple)
            # The validator divides floats; that is exact only when the step is a binary fraction as written.
            if Fraction(Decimal(repr(multiple))) != exact or exact.denominator > 1 << 20 or exact.numerator >= 1 << 40:
                raise self._error("multipleOf", f"{multiple!r} is no exact binary number, so remainders are not reliable")
            step = math.lcm(step, exact.numerator)
        limit = 10**number_rules.DIGITS - 1
        lo, hi = max(-limit, -limit if lo is None else lo), min(limit, limit if hi is None else hi)
        first, last = -(-lo // step), hi // step
        if first > last:
            return None
        if last - first < MAX_LISTED:
            return self.rules.terminal(" | ".join(literal(str(n * step)) for n in range(first, last + 1)))
        schema = {"type": "integer", "multipleOf": step, "minimum": lo, "maximum": hi}
        return self.rules.rule("%json " + json.dumps(schema | {"x-guidance": {"whitespace_flexible": False}}))

    def _number(self, shape: Shape) -> str | None:
        below, above = self._bounds(shape)
        multiples = shape.values("multipleOf")
        if multiples:
            # Every binary fraction below is a multiple; of coarser steps only the whole numbers are written.
            return self._multiples(multiples, *self._integer_bounds(shape))
        if below is None and above is None:
            return self.rules.terminal(expression(number_rules.NUMBER))
        if above is None and below is not None and below[0] == 0:
            return self.rules.terminal(expression(number_rules.POSITIVE if below[1] else number_rules.NOT_NEGATIVE))
        lo, lo_open = (None, False) if below is None else (Decimal(repr(below[0])), below[1])
        hi, hi_open = (None, False) if above is None else (Decimal(repr(above[0])), above[1])
        regex = number_rules.decimals(lo, lo_open, hi, hi_open)
        if regex is not None:
            parts = [regex, *number_rules.DECIMAL]
            name = self.rules.terminal(" & ".join(map(expression, parts)))
            return self._combined(name, name, parts, "minimum")
        regex = number_rules.integers(*self._integer_bounds(shape))
        if regex is None:
            return None
        return self.rules.terminal(expression(regex))

    # -- anything -----------------------------------------------------------------------------------------------------

    def _anything(self, depth: int) -> str:
        """Rule of any value with at most `depth` levels of arrays and objects."""
        if depth not in self._any:
            written = self.notation
            string, _ = written.strings(self.rules, [written.spelling.text])
            number = self.rules.terminal(expression(number_rules.NUMBER))
            constants = " | ".join(map(literal, (written.true, written.false, written.null)))
            body = f"{string} | {number} | {constants}"
            if depth:
                value, comma = self._anything(depth - 1), self._comma
                pair = written.new_pair(self.rules, value)
                body += f' | "[" ({value} ({comma} {value})*)? "]" | "{{" ({pair} ({comma} {pair})*)? "}}"'
            self._any[depth] = self.rules.rule(body)
        return self._any[depth]

    # -- arrays -------------------------------------------------------------------------------------------------------

    def _array(self, shape: Shape) -> str | None:
        least = max((math.ceil(n) for n in shape.values("minItems")), default=0)
        most = min((math.floor(n) for n in shape.values("maxItems")), default=None)
        first = max((len(items) for items in shape.values("prefixItems")), default=0)
        # As with properties: elements after the listed ones only where `items` speaks of them, or there are none listed.
        if first and not shape.values("items") and least <= first:
            most = first if most is None else min(most, first)
        if most is not None and least > most:
            return None
        if any(shape.values("uniqueItems")) and (most is None or most > 1):
            return self._unique(shape, least, most, first)
        heads = []
        for index in range(first if most is None else min(first, most)):
            item = self._all_of(shape.item_schemas(index), shape.depth)
            if item is None:
                most = index
                break
            heads.append(item)
        rest = None if most is not None and most <= len(heads) else self._all_of(shape.item_schemas(first), shape.depth)
        if rest is None:
            most = len(heads)
        if least > (math.inf if most is None else most):
            return None
        return sequence(heads, rest, least, most, self._comma)

    def _unique(self, shape: Shape, least: int, most: int | None, first: int) -> str | None:
        """Elements all different: listed values each at most once. Of other values the dialect drops repeated ones."""
        values = None if first else self._finite(shape.item_schemas(0), shape.depth)
        if values is None or len(values) > MAX_UNORDERED:
            if least > 1:
                raise self._error("uniqueItems", "with minItems above 1 it needs items that are listed by enum")
            relaxed = [{key: value for key, value in part.items() if key != "uniqueItems"} for part in shape.parts]
            return self._array(Shape(tuple(relaxed), shape.depth))
        items = [self.rules.rule(self._listed([value])) for value in values]
        return distinct(self.rules, items, least, len(values) if most is None else most, self._comma)

    def _finite(self, schemas: list[Schema], depth: int) -> list[Any] | None:
        """All values, when every alternative lists them."""
        values: list[Any] = []
        for shape in self.shapes.all_of(schemas, depth):
            if shape.is_finite:
                values += self.shapes.listed(shape)
            elif shape.types() <= {"boolean", "null"} and not any(shape.values(keyword) for keyword in UNSUPPORTED):
                values += [v for kind in sorted(shape.types()) for v in ((False, True) if kind == "boolean" else (None,))]
            else:
                return None
        return self.shapes.listed(Shape(({"enum": values},), depth))

    # -- objects ------------------------------------------------------------------------------------------------------

    def _object(self, shape: Shape, *, as_arguments: bool = False) -> str | None:
        required = shape.required()
        pairs: dict[str, str] = {}
        self._properties += len(shape.property_names())
        if self._properties > MAX_PROPERTIES:
            raise self._error("properties", f"a tool can have no more than {MAX_PROPERTIES} properties in all")
        for name in shape.property_names():
            self._path.append(name)
            value = self._all_of(shape.property_schemas(name), shape.depth)
            self._path.pop()
            if value is None and name in required:
                if not self._impossible:
                    self._impossible = ".".join([*self._path, name])
                    self._blamed = self._restricting(shape.property_schemas(name)) or "required"
                return None
            if value is not None:
                pairs[name] = self.notation.pair(self._wire(name), value, as_argument=as_arguments)
        # Required ones first: one test then tells whether all of them are there.
        ordered = {name: pairs[name] for name in required} | pairs
        least = max((math.ceil(n) for n in shape.values("minProperties")), default=0)
        most = min((math.floor(n) for n in shape.values("maxProperties")), default=None)
        other = self._other_pair(shape, list(pairs), as_arguments)
        if most is not None and most <= len(pairs):
            other = None  # declared properties have the precedence
        if most is not None and most < max(least, len(required)):
            return None
        if least > len(pairs) + (other is not None):
            if other is not None:
                raise self._error("minProperties", "several undeclared properties cannot be kept apart; declare them")
            return None
        opening, ending = self.notation.around if as_arguments else ("{", "}")
        around = literal(opening), literal(ending)
        if len(pairs) > MAX_UNORDERED:
            if other is not None or least > len(required) or (most is not None and most < len(pairs)):
                raise self._error("properties", f"objects of more than {MAX_UNORDERED} properties can have no others or limits")
            return in_order(self.rules, [(pair, name in required) for name, pair in pairs.items()], self._comma, around)
        return any_order(self.rules, list(ordered.values()), len(required), other, least, most, self._comma, around)

    def _restricting(self, schemas: list[Schema]) -> str:
        """The keywords with which schemas restrict a value, for a message."""
        found = {key: None for schema in schemas if isinstance(schema, Mapping) for key in schema}
        return "`, `".join(key for key in found if key not in ("type", "title", "description", "default", "examples"))

    def _wire(self, name: str) -> str:
        """A property's name on the wire."""
        wire = self.names.get(name, name)
        try:
            wire.encode()
        except UnicodeEncodeError:
            raise self._error("properties", f"the name {name!r} is not valid Unicode") from None
        self._check_writable("properties", wire)
        return wire

    def _other_pair(self, shape: Shape, declared: list[str], as_arguments: bool) -> str | None:
        """An undeclared property with its value, if the schema asks for such."""
        if not may_have_other_properties(shape):
            return None
        patterns = {key: value for part in shape.values("patternProperties") for key, value in part.items()}
        if len(patterns) > 1:
            return None  # which of them a new name matches is not known
        schemas: list[Schema] = []
        for part in shape.parts:
            if part.get("patternProperties"):
                schemas += part["patternProperties"].values()
            elif "additionalProperties" in part:
                schemas.append(part["additionalProperties"])
        names = []
        for pattern in patterns:
            try:
                regex = self.notation.spelling.pattern(pattern)
            except UnsupportedPattern as problem:
                raise self._error("patternProperties", f"{pattern!r} is not supported: {problem}") from None
            if regex is None:
                return None
            names.append(regex)
        value = self._all_of(schemas, shape.depth)
        if value is None:
            return None
        taken = {self._wire(name) for name in (*declared, *shape.property_names(), *self.names)}
        taken.update((*self.names, *self.names.values()))
        pair = self.notation.new_pair(self.rules, value, names, sorted(taken), as_argument=as_arguments)
        if pair is None:
            raise self._error("patternProperties", "no name is left that matches it")
        return pair
