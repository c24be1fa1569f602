"""Samplers: from logits to a token."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np

from .errors import OptionError

Sampler = Callable[[np.ndarray], int]  # logits float32 [V], -inf where not allowed -> token id


def greedy(logits: np.ndarray) -> int:
    """The likeliest token; the lowest id on ties."""
    return int(np.argmax(logits))


class RandomSampler:
    """Draws from the softmax of the logits, cut down by the usual rules.

    Args:
        temperature: logits are divided by it; above 0 (use `greedy` for 0).
        top_k: only the k likeliest tokens; 0 for all.
        top_p: only the likeliest tokens that together reach this probability (nucleus sampling, Holtzman et al. 2019).
        min_p: only tokens at least this likely compared with the likeliest one.
        seed: of a counter-based generator (Philox): the same seed gives the same text on every backend.

    Raises:
        OptionError: one of them has a value that it cannot have.
    """

    def __init__(self, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0, seed: int = 0):
        _check(temperature, top_k, top_p, min_p, seed)
        if not temperature:
            raise OptionError(f"temperature must be above 0, received {temperature}; 0 is the greedy sampler")
        self.temperature, self.top_k, self.top_p, self.min_p = temperature, top_k, top_p, min_p
        self._random = np.random.Generator(np.random.Philox(key=seed))

    def __call__(self, logits: np.ndarray) -> int:
        order = np.argsort(-logits, kind="stable")
        order = order[np.isfinite(logits[order])]
        if self.top_k:
            order = order[: self.top_k]
        scaled = logits[order].astype(np.float64)
        p = np.exp((scaled - scaled[0]) / self.temperature)
        p /= p.sum()
        if self.top_p < 1:
            keep = np.searchsorted(np.cumsum(p), self.top_p) + 1
            order, p = order[:keep], p[:keep]
        if self.min_p:
            order, p = order[p >= self.min_p * p[0]], p[p >= self.min_p * p[0]]
        up_to = np.cumsum(p)  # the last one over itself is exactly 1, above every draw
        return int(order[np.searchsorted(up_to / up_to[-1], self._random.random(), side="right")])


def make_sampler(temperature: float = 0.0, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0, seed: int = 0) -> Sampler:
    """`greedy` at temperature 0, otherwise a `RandomSampler` with these options.

    Raises:
        OptionError: one of them has a value that it cannot have, whether it is used or not.
    """
    _check(temperature, top_k, top_p, min_p, seed)
    return greedy if temperature == 0 else RandomSampler(temperature, top_k, top_p, min_p, seed)


def _check(temperature: Any, top_k: Any, top_p: Any, min_p: Any, seed: Any) -> None:
    _need("temperature", temperature, _is(Real, temperature) and 0 <= temperature < math.inf, "a number from 0 on")
    whole_numbers = (("top_k", top_k, 2**63), ("seed", seed, 2**64))
    for name, value, end in whole_numbers:
        _need(name, value, _is(Integral, value) and 0 <= value < end, "a whole number from 0 on")
    _need("top_p", top_p, _is(Real, top_p) and 0 < top_p <= 1, "a number above 0 and at most 1")
    _need("min_p", min_p, _is(Real, min_p) and 0 <= min_p <= 1, "a number from 0 to 1")


def _is(kind: type, value: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _need(name: str, value: Any, holds: bool, wanted: str) -> None:
    if not holds:
        raise OptionError(f"{name} must be {wanted}, received {value!r}")
