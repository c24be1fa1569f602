"""The probe head of Needle: attentive pooling over every token and layer, for confidence and text embeddings.

The pooling is kept up to date token by token: per layer row and probe a running maximum, a sum of exponentials and a weighted
sum of cells, so that it can be read at any point of a text without going over it again. Axis letters: R rows (input embedding
and every layer), P probes of a row, Q queries, D model width.
"""

from __future__ import annotations

from typing import Any

from ...core import ArraySpec, Backend, Module, ops
from ...core.backend import Array
from .config import NeedleConfig

Pool = dict[str, Any]  # "top", "total" [B, R, P]; "sum" [B, R, P, D]
_LOWEST = -3.0e38


class ProbeHead(Module):
    """Confidence head: pooled vector and, from it, the logit of "this turn is right"."""

    def __init__(self, config: NeedleConfig):
        R, P, Q, D = len(config.layers) + 1, config.probes, config.queries, config.d_model
        self.shape = (R, P, Q, D)
        self.width = Q * D  # of the pooled vector
        self.probes = ArraySpec((R, P, D))
        self.gain = ArraySpec((R, P))
        self.query = ArraySpec((Q, D))
        self.row_bias = ArraySpec((Q, R, P))
        self.proj = ArraySpec((1, Q * D))
        self.bias = ArraySpec((1,))

    def pooled(self, pool: Pool) -> Array:
        """What the tokens so far are pooled to, [B, Q·D]."""
        R, P, Q, D = self.shape
        mean = pool["sum"] / ops.expand_dims(pool["total"], -1)
        r = ops.reshape(ops.rms_norm(mean) * ops.expand_dims(self.gain, -1), (-1, R * P, D))
        u = ops.matmul(r, ops.transpose(self.query, (1, 0))) * D**-0.5  # [B, R·P, Q]
        u = ops.transpose(u, (0, 2, 1)) + ops.reshape(self.row_bias, (Q, R * P))
        return ops.reshape(ops.matmul(ops.softmax(u), r), (-1, Q * D))

    def __call__(self, pool: Pool) -> Array:
        """Confidence logit [B]; its sigmoid is the probability."""
        return ops.linear(self.pooled(pool), self.proj, self.bias)[:, 0]


def new_pool(config: NeedleConfig, backend: Backend, batch: int) -> Pool:
    """The pool of an empty text."""
    R, P, D = len(config.layers) + 1, config.probes, config.d_model
    return {
        "top": backend.full((batch, R, P), _LOWEST),
        "total": backend.zeros((batch, R, P)),
        "sum": backend.zeros((batch, R, P, D)),
    }


def pool_tokens(head: ProbeHead, pool: Pool, cells: Array, valid: Array | int) -> Pool:
    """The pool with more tokens: cells [B, T, R, D], of which the first `valid` count."""
    T, D = cells.shape[1], cells.shape[3]
    cells = ops.transpose(cells, (0, 2, 1, 3))  # [B, R, T, D]
    scores = ops.matmul(head.probes, ops.transpose(cells, (0, 1, 3, 2))) * D**-0.5  # [B, R, P, T]
    if T > 1:
        scores = ops.where(ops.arange(T, like=cells) < valid, scores, _LOWEST)
    top = ops.maximum(pool["top"], ops.max(scores, -1))
    old = ops.exp(pool["top"] - top)
    weights = ops.exp(scores - ops.expand_dims(top, -1))
    return {
        "top": top,
        "total": pool["total"] * old + ops.sum(weights, -1),
        "sum": pool["sum"] * ops.expand_dims(old, -1) + ops.matmul(weights, cells),
    }
