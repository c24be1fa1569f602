"""Tables of vectors by index, and their use as an output head."""

from __future__ import annotations

from .. import ops
from ..backend import Array
from ..module import ArraySpec, Module


class Embedding(Module):
    """Rows of a table by index: int32 [...] -> [..., width]; weight [count, width], possibly quantised."""

    def __init__(self, count: int, width: int):
        self.weight = ArraySpec((count, width))

    def __call__(self, ids: Array) -> Array:
        return ops.take(self.weight, ids)


class ReversibleEmbedding(Embedding):
    """An embedding that with ``reverse=True`` projects hidden states to the vocabulary (Press and Wolf 2017).

    Args:
        count: rows of the table (V).
        width: model width (D).
        tied: project with the table itself; otherwise with a second matrix `reverse_weight` [V, D].
        soft_cap: bound of the projected logits, ``cap · tanh(logits / cap)`` (Gemma 2); None for no bound.
        reverse_dtype: element type of the reverse product; None for that of the hidden states.
    """

    def __init__(
        self,
        count: int,
        width: int,
        tied: bool = True,
        soft_cap: float | None = None,
        reverse_dtype: str | None = None,
    ):
        super().__init__(count, width)
        self.reverse_weight = None if tied else ArraySpec((count, width))
        self.soft_cap = soft_cap
        self.reverse_dtype = reverse_dtype

    def __call__(self, x: Array, reverse: bool = False) -> Array:
        """ids int32 [...] -> [..., D]; or, reversed, hidden states [..., D] -> logits [..., V]."""
        if not reverse:
            return super().__call__(x)
        weight = self.weight if self.reverse_weight is None else self.reverse_weight
        if self.reverse_dtype is not None:
            x = ops.cast(x, self.reverse_dtype)
            if not isinstance(weight, Module):  # a quantised table is unpacked to float32 by the product
                weight = ops.cast(weight, self.reverse_dtype)
        logits = ops.linear(x, weight)
        return logits if self.soft_cap is None else ops.soft_cap(logits, self.soft_cap)
