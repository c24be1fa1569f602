"""Recorded programs laid out in memory: `compile` of the NumPy backend where Numba is installed.

A function is recorded once for each set of shapes. Steps that depend on arguments only through NumPy come first, so that the
rest is one uninterrupted run of kernels; arrays whose values are no longer needed make room for later ones. Arguments that
may be consumed are written in place and handed back: as long as the same arrays come in again, nothing is laid out anew.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ...module import map_arrays, named_arrays
from . import blocks, elementwise, products  # noqa: F401  their kernels, by name
from .jit import ADDRESS
from .machine import MACHINE, WORDS
from .recorded import Buffer, Recorded, Recording, Step, address_of
from .recorder import RECORDER

_ALIGNMENT = 64  # bytes: a line of the cache


class CompiledFunction:
    """A function of arrays, recorded for each set of shapes that it is called with.

    What it hands back in place of a consumed argument is the same tree of the same arrays from call to call; it may be given
    to the next call, or be replaced by another tree, but not be changed.
    """

    def __init__(self, function: Callable[..., Any], module: Any, donate: Sequence[int]):
        self._function, self._module, self._donate = function, module, frozenset(donate)
        self._programs: dict[Any, _Program] = {}
        self._turn = threading.Lock()  # programs have memory of their own, which one call at a time may use
        self._last: dict[int, _Argument] = {}

    def __call__(self, *args: Any) -> Any:
        with self._turn:
            arguments = []
            for number, arg in enumerate(args):
                argument = self._last.get(number)
                if argument is None or not any(arg is tree for tree in argument.trees):
                    argument = _Argument(arg)
                arguments.append(argument)
            key = tuple(argument.signature for argument in arguments)
            program = self._programs.get(key)
            if program is None:
                program = self._programs[key] = _Program(self._function, self._module, args, self._donate)
            results, consumed = program(arguments)
            # A tree that came back is known again when it comes in; others may be written to by their owner
            self._last = {number: consumed[number] for number in self._donate if number in consumed}
            return results


class _Argument:
    """An argument taken apart: its arrays, and what a program depends on; `trees` hold these arrays, and are not changed."""

    __slots__ = ("arrays", "signature", "trees")

    def __init__(self, tree: Any):
        leaves = list(_leaves(tree))
        self.trees: list[Any] = []
        self.arrays = [x for x in leaves if _is_array(x)]
        self.signature = _Signature(tuple(map(_signature, leaves)))


class _Signature(tuple):
    """A tuple that computes its hash once."""

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            self._hash = super().__hash__()
            return self._hash


def _is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray | np.generic)


def _leaves(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        for child in node.values():
            yield from _leaves(child)
    elif isinstance(node, list | tuple):
        for child in node:
            yield from _leaves(child)
    else:
        yield node


def _signature(leaf: Any) -> Any:
    return (leaf.shape, leaf.dtype.num) if _is_array(leaf) else leaf


class _Program:
    """A function recorded for one set of shapes."""

    def __init__(self, function: Callable[..., Any], module: Any, args: Sequence[Any], donate: frozenset[int]):
        recording = Recording()
        self._fed: list[Recorded] = []  # copies of the arguments that stay the caller's
        self._owned: list[Recorded] = []  # arguments that are written in place
        self._donate = donate
        places: dict[tuple[int, str], Recorded] = {}
        symbolic = []
        for number, arg in enumerate(args):
            into = self._owned if number in donate else self._fed

            def place(array: np.ndarray, into: list[Recorded] = into, owned: bool = number in donate) -> Recorded:
                array = np.asarray(array)
                recorded = recording.new(array.shape, array.dtype, leaf=len(into) if owned else None)
                recorded.buffer.keep = True
                into.append(recorded)
                return recorded

            symbolic.append(_map(place, arg))
            if number in donate:
                places.update({(number, path): x for path, x in named_arrays(symbolic[-1]).items()})
        result = RECORDER.record(recording, function, module, *symbolic)
        self._result = result if isinstance(result, tuple) else (result,)
        self._is_tuple = isinstance(result, tuple)
        self._hand_back(recording, places)
        self._steps = _in_order(recording.steps)
        self._arena = np.empty(_lay_out(self._steps, [x.buffer for x in self._fed]) + _ALIGNMENT, np.uint8)
        self._start = -address_of(self._arena) % _ALIGNMENT
        self._views = [self._view(x) for x in self._fed]
        self._bound: dict[int, _Argument] | None = None
        self._parts = [_Kernels(part, self._address) if part[0].kernel else part for part in _alternating(self._steps)]

    def _hand_back(self, recording: Recording, places: dict[tuple[int, str], Recorded]) -> None:
        """Results that stand where an argument to be consumed stood are written into it."""
        by_path = {path: x for (_, path), x in places.items()}
        moves: list[tuple[Recorded, Recorded]] = []

        def handed(tree: Any) -> Any:
            if isinstance(tree, Recorded) or _is_array(tree):
                return RECORDER.record(recording, recording.of, tree)
            paths = iter(named_arrays(tree))

            def place(x: Any) -> Recorded:
                x, home = recording.of(x), by_path.get(next(paths))
                if home is None or (home.shape, home.dtype) != (x.shape, x.dtype) or not home.view.flags.c_contiguous:
                    return x
                if x.buffer is not home.buffer:
                    # what another argument holds is set aside first: that one may be written before this one is read
                    moves.append((recording.copy(x) if x.buffer.leaf is not None else x, home))
                return home

            return _map(place, tree)

        self._result = tuple(handed(part) for part in self._result)
        for x, home in moves:
            recording.copy(x, home)
            home.buffer.version += 1
        for part in self._result:
            for x in named_arrays(part).values() if not isinstance(part, Recorded) else [part]:
                x.buffer.keep = True

    def __call__(self, arguments: list[_Argument]) -> tuple[Any, dict[int, _Argument]]:
        """The results, and the consumed arguments that came back as they were, by their number."""
        consumed = {number: argument for number, argument in enumerate(arguments) if number in self._donate}
        fed = [x for number, argument in enumerate(arguments) if number not in self._donate for x in argument.arrays]
        if self._bound is None or any(argument is not self._bound[number] for number, argument in consumed.items()):
            self._bind(consumed)
        for view, x in zip(self._views, fed):
            view[...] = x
        for part in self._calls:
            if isinstance(part, np.ndarray):
                MACHINE.run(part)
            else:
                for call, inputs, out in part:
                    result = call(*inputs)
                    if result is not out:
                        out[...] = result
        results = tuple(x if done else self._read(part) for part, done, x in self._results)
        return results if self._is_tuple else results[0], self._handed_back

    def _bind(self, consumed: dict[int, _Argument]) -> None:
        """Work on the arrays of these arguments from now on."""
        owned = [x for argument in consumed.values() for x in argument.arrays]
        self._homes = [
            x if isinstance(x, np.ndarray) and x.flags.c_contiguous and x.flags.writeable else np.array(x) for x in owned
        ]
        self._bound = consumed if all(a is b for a, b in zip(owned, self._homes)) else None
        addresses = np.array([address_of(home) for home in self._homes], np.int64)
        self._calls: list[Any] = []
        for part in self._parts:
            if isinstance(part, _Kernels):
                self._calls.append(part.bind(addresses))
                continue
            views = [[self._view(x) if isinstance(x, Recorded) else x for x in (*step.inputs, step.out)] for step in part]
            self._calls.append([(step.call, inputs, out) for step, (*inputs, out) in zip(part, views)])
        self._results = []
        for part in self._result:
            values = self._read(part)
            done = all(any(x is home for home in self._homes) for x in _leaves(values) if _is_array(x))
            self._results.append((part, done, values if done else None))
        self._handed_back = {}
        for number, argument in consumed.items() if self._bound is not None else ():
            for _, done, tree in self._results:
                leaves = list(_leaves(tree)) if done else []
                if len(leaves) == len(argument.arrays) and all(a is b for a, b in zip(leaves, argument.arrays)):
                    argument.trees.append(tree)
                    self._handed_back[number] = argument

    def _address(self, buffer: Buffer) -> int:
        """Where a buffer lies; for an argument that is written in place, what counts from its beginning."""
        if buffer.array is not None:
            return buffer.base
        return 0 if buffer.leaf is not None else address_of(self._arena) + self._start + buffer.offset

    def _view(self, x: Recorded) -> np.ndarray:
        """The real array at the place of a recorded one."""
        if x.buffer.array is not None:
            return x.view
        if not x.size:
            return np.empty(x.shape, x.dtype)
        if x.buffer.leaf is not None:
            return np.ndarray(x.shape, x.dtype, self._homes[x.buffer.leaf].reshape(-1).view(np.uint8), x.offset, x.view.strides)
        return np.ndarray(x.shape, x.dtype, self._arena, self._start + x.buffer.offset + x.offset, x.view.strides)

    def _read(self, part: Any) -> Any:
        def value(x: Recorded) -> np.ndarray:
            home = None if x.buffer.leaf is None else self._homes[x.buffer.leaf]
            whole = home is not None and home.shape == x.shape and x.view.flags.c_contiguous
            return home if whole else np.array(self._view(x))  # the same object again and again: see `_bound`

        return value(part) if isinstance(part, Recorded) else _map(value, part)


class _Kernels:
    """Consecutive instructions for the machine."""

    def __init__(self, steps: list[Step], address: Callable[[Buffer], int]):
        self._rows = np.zeros((len(steps), WORDS), np.int64)
        open_places: list[tuple[int, int, int]] = []  # (place in the rows, argument, offset) of what lies in an argument
        for i, step in enumerate(steps):
            row = [ADDRESS[step.kernel], int(step.alone)]
            for value in step.args:
                if isinstance(value, tuple):
                    buffer, offset = value
                    if buffer.leaf is not None:
                        open_places.append((i * WORDS + len(row), buffer.leaf, offset))
                    value = address(buffer) + offset
                row.append(value)
            self._rows[i, : len(row)] = row
        self._open = np.array(open_places, np.int64).reshape(-1, 3).T

    def bind(self, addresses: np.ndarray) -> np.ndarray:
        """The instructions int64 [N, WORDS] for arguments that lie there."""
        places, leaves, offsets = self._open
        if places.size:
            self._rows.reshape(-1)[places] = addresses[leaves] + offsets
        return self._rows


def _alternating(steps: list[Step]) -> list[list[Step]]:
    """Runs of instructions and runs of calls of NumPy."""
    return [list(run) for _, run in itertools.groupby(steps, key=lambda step: step.kernel is None)]


def _map(fn: Callable[[Any], Any], tree: Any) -> Any:
    return fn(tree) if isinstance(tree, np.generic | np.ndarray | Recorded) else map_arrays(fn, tree)


def _in_order(steps: list[Step]) -> list[Step]:
    """Calls of NumPy that depend on no kernel come first; what nobody reads is left out."""
    needed: set[int] = set()
    kept: list[Step] = []
    for step in reversed(steps):
        wanted = any(b.keep or b.leaf is not None or id(b) in needed for b in step.writes)
        if wanted:
            needed.update(id(b) for b in step.reads)
            kept.append(step)
    kept.reverse()
    first, rest, touched = [], [], set()
    for step in kept:
        early = step.kernel is None and step.fresh and not any(id(b) in touched for b in (*step.reads, *step.writes))
        (first if early else rest).append(step)
        if not early:
            touched.update(id(b) for b in step.writes)
    return first + rest


def _lay_out(steps: list[Step], fed: list[Buffer]) -> int:
    """Gives every buffer of the arena its place, so that those in use at one time do not overlap; the size of the arena."""
    last: dict[int, int] = {}
    for i, step in enumerate(steps):
        for buffer in (*step.reads, *step.writes):
            last[id(buffer)] = len(steps) if buffer.keep else i
    free: list[tuple[int, int]] = []  # (offset, size), by offset
    end = 0

    def place(buffer: Buffer) -> None:
        nonlocal end
        size = -(-max(buffer.nbytes, 1) // _ALIGNMENT) * _ALIGNMENT
        fitting = [(room, offset) for offset, room in free if room >= size]
        if fitting:
            room, offset = min(fitting)
            free.remove((offset, room))
            if room > size:
                free.append((offset + size, room - size))
        else:
            offset, end = end, end + size
        buffer.offset = offset

    def release(buffer: Buffer) -> None:
        size = -(-max(buffer.nbytes, 1) // _ALIGNMENT) * _ALIGNMENT
        free.append((buffer.offset, size))
        free.sort()
        joined: list[tuple[int, int]] = []
        for offset, room in free:
            if joined and sum(joined[-1]) == offset:
                joined[-1] = (joined[-1][0], joined[-1][1] + room)
            else:
                joined.append((offset, room))
        free[:] = joined

    for buffer in fed:
        place(buffer)
    for i, step in enumerate(steps):
        used = {id(b): b for b in (*step.reads, *step.writes) if b.array is None and b.leaf is None}
        for buffer in used.values():
            if buffer.offset < 0:
                place(buffer)
        for key, buffer in used.items():
            if last[key] == i:
                release(buffer)
    return end
