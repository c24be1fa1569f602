"""Keys and values of past positions: one buffer per attention layer.

Two forms, chosen by the backend. Where shapes are fixed (JAX, TensorFlow), a buffer of S rows is a ring: position p lies at row
p mod S, and which position a row holds follows from the length alone. S is at least the window plus the largest chunk, so a
padded chunk only overwrites what no later query may see. Where shapes are dynamic (NumPy, PyTorch), rows are kept in order and
in place, the buffer grows by doubling, and rows that fell out of the window are dropped when it is full.
"""

from __future__ import annotations

from typing import Any

from ..core import Backend, ops
from ..core.backend import Array

MAX_CHUNK = 256  # the most tokens that one call may take where shapes are fixed
Buffer = dict[str, Any]  # "k" [B, S, K, C], "v" [B, S, K, Cv]; "start": position of row 0 (dynamic form only)


def new_buffer(
    backend: Backend, batch: int, rows: int, heads: int, key_dim: int, value_dim: int, dtype: str = "float32"
) -> Buffer:
    """An empty buffer of that many rows."""
    buffer: Buffer = {
        "k": backend.zeros((batch, rows, heads, key_dim), dtype),
        "v": backend.zeros((batch, rows, heads, value_dim), dtype),
    }
    if backend.dynamic_shapes:
        buffer["start"] = 0
    return buffer


def ring_rows(window: int, capacity: int) -> int:
    """Rows of a ring for a layer: enough that a padded chunk overwrites only what is out of the window."""
    return min(capacity, window + MAX_CHUNK) if window else capacity


def extend(buffer: Buffer | None, k: Array, v: Array, length: Array | int, window: int) -> tuple[Array, Array, Buffer | None]:
    """Write new rows behind the first `length` positions and hand back all rows that attention may look at.

    Args:
        buffer: may be consumed; go on with the one handed back. None for an encoder, which keeps nothing.
        k, v: [B, T, K, C] and [B, T, K, Cv].
        length: positions before these: an int (dynamic form) or an int32 scalar array (ring).
        window: positions that a query sees at most, 0 for all.

    Returns:
        keys [B, S, K, C], values [B, S, K, Cv], buffer. The positions of the rows are those of `row_positions`.
    """
    if buffer is None:
        return k, v, None
    new = k.shape[1]
    if "start" not in buffer:
        index = ops.remainder(ops.arange(new, like=k) + length, buffer["k"].shape[1])
        buffer = {"k": ops.write(buffer["k"], k, index), "v": ops.write(buffer["v"], v, index)}
        return buffer["k"], buffer["v"], buffer
    buffer = _make_room(buffer, new, length, window)
    first = length - buffer["start"]
    buffer["k"][:, first : first + new] = k
    buffer["v"][:, first : first + new] = v
    return buffer["k"][:, : first + new], buffer["v"][:, : first + new], buffer


def row_positions(buffer: Buffer, length: Array | int, valid: Array | int, new: int, like: Array) -> Array:
    """Position held by each row that `extend` hands back, int32 [S]; negative where there is none.

    Args:
        buffer: as `extend` handed it back.
        length: positions before this call.
        valid: how many of the `new` rows are tokens; the rest is padding.
    """
    if "start" in buffer:
        return ops.arange(length + new - buffer["start"], like=like) + buffer["start"]
    rows = buffer["k"].shape[1]
    last = length + valid - 1
    return last - ops.remainder(last - ops.arange(rows, like=like), rows)


def grow(buffer: Buffer, rows: int) -> Buffer:
    """A ring with more rows. Only for one that has not wrapped yet: its rows keep their places."""
    more = rows - buffer["k"].shape[1]
    return {name: ops.pad(x, ((0, 0), (0, more), (0, 0), (0, 0))) for name, x in buffer.items()}


def copy(backend: Backend, buffer: Buffer, length: int) -> Buffer:
    """The same rows, of which `length` positions have been written at most, in memory of their own."""
    return {name: x if name == "start" else backend.copy(x, min(length, x.shape[1])) for name, x in buffer.items()}


def _make_room(buffer: Buffer, new: int, length: int, window: int) -> Buffer:
    rows = buffer["k"].shape[1]
    used = length - buffer["start"]
    if used + new <= rows:
        return buffer
    drop = max(0, used - (window - 1)) if window else 0
    kept = used - drop
    if kept + new > rows or drop < rows // 4:
        rows = max(2 * rows, kept + new)
    moved: Buffer = {"start": buffer["start"] + drop}
    for name in ("k", "v"):
        old = buffer[name]
        moved[name] = ops.zeros((old.shape[0], rows, *old.shape[2:]), like=old)
        moved[name][:, :kept] = old[:, drop:used]
    return moved
