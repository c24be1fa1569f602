"""The NumPy backend with compiled programs, where Numba is installed: one pass of kernels instead of a thousand small calls.

Outside of `compile` it is `NumpyBackend`. Numba is imported by the first call that needs it, never before.

recorded.py, recorder.py    what a function does becomes steps
layouts.py                  weights as kernels read them
program.py                  steps laid out in memory, and run
machine.py                  the threads that run them
jit.py, memory.py, tiles.py, elementwise.py, products.py, blocks.py    kernels
"""

from __future__ import annotations

import weakref

from ...quantized import CodebookArray
from ..numpy import NumpyBackend


class CompiledNumpyBackend(NumpyBackend):
    """See the module's docstring."""

    dynamic_shapes = False
    chunk_sizes = (1, 4, 16, 64)  # what larger ones compute leaves the processor's caches

    def __init__(self):
        self._unpacked: weakref.WeakKeyDictionary[CodebookArray, object] = weakref.WeakKeyDictionary()

    def keeps_packed(self):
        from .tiles import HAS_LOOKUP

        return HAS_LOOKUP

    def compile(self, fn, module, donate=()):
        from .program import CompiledFunction

        return CompiledFunction(fn, module, donate)

    def codebook_linear(self, x, weight, bias=None):
        if weight not in self._unpacked:  # a product outside of `compile`: likely one of many
            self._unpacked[weight] = weight.dequantize()
        return self.linear(x, self._unpacked[weight], bias)


BACKEND = CompiledNumpyBackend()
