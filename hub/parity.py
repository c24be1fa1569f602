"""How far a backend's numbers are from the reference, which is plain NumPy, on real prompts."""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ..core import available_backends
from ..core.backends.numpy import REFERENCE
from .errors import ParityError
from .loading import from_preset

TOLERANCE = 1e-3

PROMPTS = (
    "The most surprising thing about the ocean is",
    '<|im_start|>user\n<tools>[{"name":"get_weather","description":"Get the current weather","parameters":{"type":"object",'
    '"properties":{"city":{"type":"string"}},"required":["city"]}}]</tools>\nWhat is it like in Lagos?<|im_end|>\n'
    "<|im_start|>assistant\n",
    'Straße 12, naïve café 東京 🙂 \t 3.14159e-10 {"nested": [1, 2, {"a": null}]}',
)


@dataclass(frozen=True)
class Parity:
    """One backend against the reference.

    Attributes:
        max_abs: largest difference of a logit over every position of every prompt; NaN when a logit is not finite.
        max_rel: the same, over the largest logit of that position.
        greedy_equal: tokens of the greedy continuations that agree, of `greedy_tokens`; a token that only one of the two wrote
            does not agree.
        tolerance: largest `max_rel` that still counts as agreement.
    """

    backend: str
    max_abs: float
    max_rel: float
    greedy_equal: int
    greedy_tokens: int
    load_seconds: float
    seconds: float
    tolerance: float = TOLERANCE

    @property
    def finite(self) -> bool:
        """Whether every logit is, here and in the reference."""
        return math.isfinite(self.max_abs) and math.isfinite(self.max_rel)

    @property
    def agrees(self) -> bool:
        return self.finite and self.max_rel <= self.tolerance and self.greedy_equal == self.greedy_tokens


def measure_parity(
    name: str | os.PathLike[str],
    backends: Iterable[str] | None = None,
    tokens: int = 32,
    tolerance: float = TOLERANCE,
) -> Iterator[Parity]:
    """Each backend's differences from the reference, as they are measured.

    The reference is plain NumPy. The backend "numpy" is that, too, unless Numba is installed: then it compiles its programs,
    and is compared like the others.

    Args:
        name: a preset; see `from_preset`.
        backends: default: every installed one.
        tokens: length of the greedy continuation of each prompt.
        tolerance: largest difference of a logit, over the largest one of its position, that counts as agreement.

    Raises:
        ParityError: prompts and continuations do not fit the model's context.
    """
    model = from_preset(name, REFERENCE)
    longest = max(len(_ids(model, prompt)) for prompt in PROMPTS)
    if longest + tokens > model.context_length:
        most = model.context_length - longest
        raise ParityError(f"continuations of {tokens} tokens do not fit the model's context; {most} is the most")
    reference = list(_outputs(model, tokens))
    for backend in backends or available_backends():
        began = time.perf_counter()
        model = from_preset(name, backend)
        loaded = time.perf_counter()
        differences, equal, total = [], 0, 0
        for (logits, greedy), (expected, expected_greedy) in zip(_outputs(model, tokens), reference, strict=True):
            differences.append(_difference(logits, expected))
            pairs = list(itertools.zip_longest(greedy, expected_greedy))
            equal += sum(a == b for a, b in pairs)
            total += len(pairs)
        max_abs, max_rel = (float(worst) for worst in np.max(differences, 0))  # NaN if one of them is
        yield Parity(backend, max_abs, max_rel, equal, total, loaded - began, time.perf_counter() - loaded, tolerance)


def _difference(logits: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """Largest difference, absolute and over the largest expected logit of its position; NaN where there is no number."""
    if not (np.isfinite(logits).all() and np.isfinite(expected).all()):
        return math.nan, math.nan
    difference, scale = np.abs(logits - expected).max(-1), np.abs(expected).max(-1)
    relative = difference / np.maximum(scale, np.finfo(np.float32).tiny)
    return float(difference.max()), float(relative.max())


def _ids(model, prompt: str) -> list[int]:
    return [model.tokenizer.bos_id, *model.tokenizer.encode(prompt)]


def _outputs(model, tokens: int) -> Iterator[tuple[np.ndarray, list[int]]]:
    for prompt in PROMPTS:
        ids = _ids(model, prompt)
        greedy = [token.id for token in model.stream_tokens(ids, max_tokens=tokens)]
        yield model.logits(ids), greedy
