"""How far a backend's numbers are from the NumPy reference, on real prompts."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ..core import available_backends
from .loading import from_preset

PROMPTS = (
    "The most surprising thing about the ocean is",
    '<|im_start|>user\n<tools>[{"name":"get_weather","description":"Get the current weather","parameters":{"type":"object",'
    '"properties":{"city":{"type":"string"}},"required":["city"]}}]</tools>\nWhat is it like in Lagos?<|im_end|>\n'
    "<|im_start|>assistant\n",
    'Straße 12, naïve café 東京 🙂 \t 3.14159e-10 {"nested": [1, 2, {"a": null}]}',
)


@dataclass(frozen=True)
class Parity:
    """One backend against NumPy.

    Attributes:
        max_abs: largest difference of a logit over every position of every prompt.
        max_rel: the same, over the largest logit of that position.
        greedy_equal: tokens of the greedy continuations that agree, of `greedy_tokens`.
    """

    backend: str
    max_abs: float
    max_rel: float
    greedy_equal: int
    greedy_tokens: int
    load_seconds: float
    seconds: float

    @property
    def agrees(self) -> bool:
        return self.greedy_equal == self.greedy_tokens


def measure_parity(name: str | os.PathLike[str], backends: Iterable[str] | None = None, tokens: int = 32) -> Iterator[Parity]:
    """Each backend's differences from the NumPy reference, as they are measured.

    Args:
        name: a preset; see `from_preset`.
        backends: default: every installed one.
        tokens: length of the greedy continuation of each prompt.
    """
    reference = [(logits, greedy) for logits, greedy in _outputs(from_preset(name), tokens)]
    for backend in backends or available_backends():
        began = time.perf_counter()
        model = from_preset(name, backend)
        loaded = time.perf_counter()
        max_abs = max_rel = 0.0
        equal = total = 0
        for (logits, greedy), (expected, expected_greedy) in zip(_outputs(model, tokens), reference):
            difference = np.abs(logits - expected)
            max_abs = max(max_abs, float(difference.max()))
            max_rel = max(max_rel, float((difference.max(-1) / np.abs(expected).max(-1)).max()))
            equal += sum(a == b for a, b in zip(greedy, expected_greedy))
            total += len(expected_greedy)
        yield Parity(backend, max_abs, max_rel, equal, total, loaded - began, time.perf_counter() - loaded)


def _outputs(model, tokens: int) -> Iterator[tuple[np.ndarray, list[int]]]:
    for prompt in PROMPTS:
        ids = [model.tokenizer.bos_id, *model.tokenizer.encode(prompt)]
        stream = model.stream_tokens(ids, max_tokens=tokens)
        greedy = [token.id for token in stream]
        yield model.logits(ids), greedy
