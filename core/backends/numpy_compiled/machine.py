"""Runs recorded programs of the NumPy backend: every thread goes through the instructions side by side.

An instruction is a row of WORDS 64-bit integers: the address of its kernel, 1 if one thread does it alone, then the kernel's
arguments. Threads wait for each other between instructions, spinning first and giving way soon: an instruction lasts
microseconds, less than it takes to put a thread to sleep.
"""

from __future__ import annotations

import ctypes
import os
import threading

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .jit import compiled

WORDS = 32  # of an instruction
HEAD = 2  # of which the kernel does not see
_SPINS = 2000  # looks at a word before a waiting thread gives way
_PATIENCE = 200_000  # looks for a new program before a thread goes to sleep: some tenths of a millisecond
_FOR_EVER = 1 << 62
_MOST_THREADS = 8  # further ones wait longer for each other than they work


# Words that the threads share, by their offset in bytes; those that are written often lie in cache lines of their own.
ROWS_AT, COUNT, GOAL, PARTS = 0, 8, 16, 24  # the program: its address and length, arrivals before it, threads that do it
PROGRAMS = 64  # how many programs there were
ARRIVED = 128  # arrivals of threads at the end of a step, over all programs
ASLEEP = 192  # and a line for every thread: whether it waits to be woken


def thread_count() -> int:
    """Threads that share a program: the processors that this process may use, or what OMP_NUM_THREADS says."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = int(wanted) if wanted.isdigit() and int(wanted) else usable
    return min(count, usable, _MOST_THREADS) if hasattr(os, "sched_yield") else 1


def _word(builder, address, offset):
    return builder.inttoptr(builder.add(address, ir.Constant(address.type, offset)), ir.IntType(64).as_pointer())


@intrinsic
def _call(typingctx, row, part, parts):
    """Call the kernel of an instruction."""

    def build(context, builder, signature, args):
        row, part, parts = args
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * 3)
        kernel = builder.inttoptr(builder.load(_word(builder, row, 0)), kind.as_pointer())
        builder.call(kernel, [builder.add(row, ir.Constant(row.type, 8 * HEAD)), part, parts])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), build


@intrinsic
def _load(typingctx, address):
    def build(context, builder, signature, args):
        return builder.load(_word(builder, args[0], 0))

    return types.int64(types.intp), build


@intrinsic
def _look(typingctx, address):
    """The word at an address, with everything that was written before it."""

    def build(context, builder, signature, args):
        return builder.load_atomic(_word(builder, args[0], 0), "seq_cst", 8)

    return types.int64(types.intp), build


def _update(operation: str):
    @intrinsic
    def update(typingctx, address, value):
        """Change the word at an address, for all threads to see; its value before."""

        def build(context, builder, signature, args):
            return builder.atomic_rmw(operation, _word(builder, args[0], 0), args[1], "seq_cst")

        return types.int64(types.intp, types.int64), build

    return update


_add, _exchange = _update("add"), _update("xchg")


@intrinsic
def _give_way(typingctx):
    """Let another thread have the processor."""

    def build(context, builder, signature, args):
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), build


@numba.njit(nogil=True)
def _wait(address, value, patience):
    """Until the word at an address is at least that value; False if it took too long."""
    looks = 0
    while _look(address) < value:
        looks += 1
        if looks % _SPINS == 0:
            if looks >= patience:
                return False
            _give_way()
    return True


@numba.njit(nogil=True)
def _go_through(state, part):
    """One thread's way through the program of `state`."""
    if part >= _load(state + PARTS):
        return
    rows, count, goal, parts = _load(state + ROWS_AT), _load(state + COUNT), _load(state + GOAL), _load(state + PARTS)
    alone_before = True
    for i in range(count):
        row = rows + i * WORDS * 8
        alone = _load(row + 8) != 0
        if parts > 1 and not (alone and alone_before):
            goal += parts
            _add(state + ARRIVED, 1)
            _wait(state + ARRIVED, goal, _FOR_EVER)
        if not alone:
            _call(row, part, parts)
        elif part == 0:
            _call(row, 0, 1)
        alone_before = alone
    if parts > 1:
        goal += parts
        _add(state + ARRIVED, 1)
        _wait(state + ARRIVED, goal, _FOR_EVER)


@compiled("void(intp)")
def _lead(state):
    """The calling thread's part."""
    _go_through(state, 0)


@compiled("intp(intp, intp)")
def _announce(state, parts):
    """There is a new program. Which threads wait to be woken, a bit for each."""
    _add(state + PROGRAMS, 1)
    sleeping = 0
    for part in range(1, parts):
        if _exchange(state + ASLEEP + 64 * part, 0):
            sleeping |= 1 << part
    return sleeping


@compiled("intp(intp, intp, intp)")
def _follow(state, part, done):
    """Another thread's part of program after program, the first `done` being over; how many are, when it may sleep."""
    while True:
        if not _wait(state + PROGRAMS, done + 1, _PATIENCE):
            _exchange(state + ASLEEP + 64 * part, 1)
            # A program may have been announced meanwhile, by somebody who saw this thread asleep and wakes it, or did not
            if _look(state + PROGRAMS) == done or not _exchange(state + ASLEEP + 64 * part, 0):
                return done
        _go_through(state, part)
        done += 1


_lead_native = ctypes.CFUNCTYPE(None, ctypes.c_ssize_t)(_lead.address)
_announce_native = ctypes.PYFUNCTYPE(ctypes.c_ssize_t, *(ctypes.c_ssize_t,) * 2)(_announce.address)
_follow_native = ctypes.CFUNCTYPE(ctypes.c_ssize_t, *(ctypes.c_ssize_t,) * 3)(_follow.address)


class Machine:
    """The threads of this process that run programs; one program at a time."""

    def __init__(self) -> None:
        self.parts = thread_count()
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)  # threads stay behind in the parent

    def _reset(self) -> None:
        self._turn = threading.Lock()
        memory = np.zeros((ASLEEP + 64 * _MOST_THREADS) // 8 + 8, np.int64)
        self._words = memory[-memory.ctypes.data % 64 // 8 :]
        self._state = self._words.ctypes.data
        self._starts: list[threading.Semaphore] = []

    def run(self, rows: np.ndarray) -> None:
        """Go through the instructions int64 [N, WORDS]."""
        with self._turn:
            while len(self._starts) < self.parts - 1:
                self._start_thread()
            # Arrivals go on from program to program: a thread may still be on its way out of the last one
            self._words[: PARTS // 8 + 1] = rows.ctypes.data, rows.shape[0], self._words[ARRIVED // 8], self.parts
            if self.parts > 1:
                sleeping = _announce_native(self._state, self.parts)
                for part, start in enumerate(self._starts, 1):
                    if sleeping >> part & 1:
                        start.release()
            _lead_native(self._state)

    def _start_thread(self) -> None:
        start = threading.Semaphore(0)
        self._starts.append(start)
        arguments = (self._state, len(self._starts), start, int(self._words[PROGRAMS // 8]))
        threading.Thread(target=self._work, args=arguments, name=f"ferrule-numpy-{len(self._starts)}", daemon=True).start()

    def _work(self, state: int, part: int, start: threading.Semaphore, done: int) -> None:
        while True:
            done = _follow_native(state, part, done)
            start.acquire()


MACHINE = Machine()
