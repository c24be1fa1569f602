"""Rules of arrays and objects, put together from the rules of what they hold.

`comma` and `around` are Lark: what stands between the members, and before the first and behind the last of an object.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .lark import Rules

# Bits of a rule parameter: properties first, then a counter of the undeclared ones.
_BITS = 64
_COUNTER_BITS = 5
MAX_UNORDERED = _BITS - _COUNTER_BITS
"""Most properties of an object that may come in any order; beyond it they come in the schema's order."""


def sequence(heads: Sequence[str], rest: str | None, least: int, most: int | None, comma: str) -> str:
    """`[…]` with these first elements, then any number of `rest`, `least` to `most` in all."""
    count = len(heads)
    tail = ""
    if rest is not None and (most is None or most > max(count, 1)):
        # After the first element, listed or not, every one comes with its comma.
        before = max(count, 1)
        tail = f"({comma} {rest}){{{max(0, least - before)},{'' if most is None else most - before}}}"
    if not heads:
        if rest is None or most == 0:
            return '"[" "]"'
        inner = f"{rest} {tail}"
        return f'"[" {inner} "]"' if least else f'"[" ({inner})? "]"'
    # From the last element inwards: each may be left out together with all that follow it.
    inner = tail
    for index in range(count - 1, -1, -1):
        inner = f"{heads[index]} {inner}" if index == 0 else f"{comma} {heads[index]} {inner}"
        if index >= least:
            inner = f"({inner})?"
    return f'"[" {inner} "]"'


def distinct(rules: Rules, items: Sequence[str], least: int, most: int, comma: str) -> str | None:
    """`[…]` of `least` to `most` of these elements, each at most once, in any order."""
    most = min(most, len(items))
    if least > most:
        return None
    if most == 0:
        return '"[" "]"'
    flags = f"[0:{len(items)}]"

    def lines(item: str, after: str) -> Iterable[str]:
        yield _choice(item, [(f"{text} {after}::set_bit({i})", f"bit_clear({i})") for i, text in enumerate(items)])
        ends = [(f"{comma} {item}::_", f"bit_count_lt({flags}, {most})"), ('"]"', f"bit_count_ge({flags}, {least})")]
        yield _choice(after, ends)

    body = f'"[" {rules.parametric(lines)}::0'
    return body if least else f'"[" "]" | {body}'


def any_order(
    rules: Rules,
    pairs: Sequence[str],
    required: int,
    other: str | None,
    least: int,
    most: int | None,
    comma: str,
    around: tuple[str, str],
) -> str:
    """`{…}` with each of the pairs at most once, in any order.

    Args:
        rules: Where the rules go.
        pairs: names with their values, at most `MAX_UNORDERED`.
        required: How many of the pairs, from the first, must be there.
        other: A pair of any other name, which may come several times.
        least: Fewest properties; at most one more than there are pairs, and that one only with `other`.
        most: Most properties, or None; with `other` more than there are pairs.
        comma: See above.
        around: See above.
    """
    opening, ending = around
    count = len(pairs)
    flags, counter = f"[0:{count}]", f"[{count}:{count + _COUNTER_BITS}]"
    most_others = 2**_COUNTER_BITS - 1 if most is None else min(2**_COUNTER_BITS - 1, most - count)
    # Of the optional ones only so many that the required ones still fit in.
    optional, most_optional = f"[{required}:{count}]", count - required if most is None else min(count, most) - required
    room = f"bit_count_lt({optional}, {most_optional})"
    choices = []
    for i, pair in enumerate(pairs):
        may = f"and(bit_clear({i}), {room})" if i >= required and most_optional < count - required else f"bit_clear({i})"
        choices.append((f"{pair} %s::set_bit({i})", may))
    if other is not None:
        # Only after all the required ones, so that a model cannot put those off for ever.
        room_for_other = f"lt({counter}, {most_others})"
        if required:
            room_for_other = f"and(is_ones([0:{required}]), {room_for_other})"
        choices.append((f"{other} %s::incr({counter})", room_for_other))
    if not choices or most == 0:
        return f"{opening} {ending}"

    more = []  # something may follow
    if required:
        more.append(f"not(is_ones([0:{required}]))")
    if most_optional > 0:
        more.append(room)
    if other is not None:
        more.append(f"lt({counter}, {most_others})")
    enough = []  # nothing needs to follow; undeclared names may repeat each other, so they count once
    if least <= count:
        enough.append(f"bit_count_ge({flags}, {least})" if pairs else "true")
    if other is not None and least:
        one = f"gt({counter}, 0)"
        enough.append(f"and({one}, bit_count_ge({flags}, {least - 1}))" if least > 1 else one)
    end = _either(enough)
    if required:
        end = f"and(is_ones([0:{required}]), {end})" if least > required else f"is_ones([0:{required}])"

    def lines(item: str, after: str) -> Iterable[str]:
        yield _choice(item, [(body.replace("%s", after), condition) for body, condition in choices])
        yield _choice(after, [(f"{comma} {item}::_", _either(more)), (ending, end)])

    body = f"{opening} {rules.parametric(lines)}::0"
    return body if required or least else f"{opening} {ending} | {body}"


def in_order(rules: Rules, pairs: Sequence[tuple[str, bool]], comma: str, around: tuple[str, str]) -> str:
    """`{…}` with the pairs in their order; those that are not required (False) may be left out."""
    # From the end: what may follow when nothing has been written yet, and when something has.
    first = later = around[1]
    for pair, is_required in reversed(pairs):
        left_out = "" if is_required else f" | {first}", "" if is_required else f" | {later}"
        first, later = rules.rule(f"{pair} {later}{left_out[0]}"), rules.rule(f"{comma} {pair} {later}{left_out[1]}")
    return f"{around[0]} {first}"


def _choice(name: str, options: Sequence[tuple[str, str]]) -> str:
    """A rule with a parameter: bodies and the conditions under which they are possible."""
    return f"{name}::_: " + "\n  | ".join(f"{body} %if {condition}" for body, condition in options)


def _either(conditions: Sequence[str]) -> str:
    first, *rest = conditions
    return f"or({first}, {_either(rest)})" if rest else first
