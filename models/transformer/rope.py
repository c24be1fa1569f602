"""Rotary position embedding: how fast each pair of channels turns, with the scalings that lengthen a model's context."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...core import ops
from ...core.backend import Array

KINDS = ("default", "linear", "llama3", "yarn", "longrope", "proportional")


@dataclass(frozen=True)
class Rope:
    """Frequencies of rotary position embedding (Su et al. 2021).

    Attributes:
        theta: base of the geometric series of wavelengths.
        kind: "default", "linear" (Chen et al. 2023), "llama3" (Llama 3.1's three bands), "yarn" (Peng et al. 2023),
            "longrope" (Ding et al. 2024) or "proportional" (Gemma 4: only the fastest pairs of a head turn).
        factor: by how much the context was lengthened.
        original: positions that the model was first trained on.
        options: further numbers of the kind, by their names in `config.json`.
    """

    theta: float = 10000.0
    kind: str = "default"
    factor: float = 1.0
    original: int = 0
    options: dict[str, Any] = field(default_factory=dict, hash=False)

    def frequencies(self, channels: int) -> np.ndarray:
        """Radians per position of each pair of channels, float64 [channels/2]; "longrope" as for short texts."""
        plain = self.theta ** (-np.arange(0, channels, 2) / channels)
        if self.kind == "linear":
            return plain / self.factor
        if self.kind == "llama3":
            return self._three_bands(plain)
        if self.kind == "yarn":
            return self._yarn(plain, channels)
        if self.kind == "longrope":
            return plain / np.asarray(self.options["short_factor"])
        if self.kind == "proportional":
            turned = int(self.options.get("partial_rotary_factor", 1.0) * channels // 2)
            return np.where(np.arange(channels // 2) < turned, plain, 0.0) / self.factor
        return plain

    def long_frequencies(self, channels: int) -> np.ndarray | None:
        """Those of texts longer than `original` positions, where they differ."""
        if self.kind != "longrope":
            return None
        return self.theta ** (-np.arange(0, channels, 2) / channels) / np.asarray(self.options["long_factor"])

    @property
    def magnitude(self) -> float:
        """Factor on cosine and sine that keeps attention as sharp as it was on short texts."""
        given = self.options.get("attention_factor")
        if given is not None:
            return float(given)
        if self.kind == "longrope":
            return math.sqrt(1 + math.log(self.factor) / math.log(self.original)) if self.factor > 1 else 1.0
        if self.kind == "yarn":
            top, bottom = self.options.get("mscale"), self.options.get("mscale_all_dim")
            if top and bottom:
                return _sharpness(self.factor, top) / _sharpness(self.factor, bottom)
            return _sharpness(self.factor)
        return 1.0

    def _three_bands(self, plain: np.ndarray) -> np.ndarray:
        low, high = self.options["low_freq_factor"], self.options["high_freq_factor"]
        turns = self.original * plain / (2 * math.pi)  # over the original context
        mixed = np.clip((turns - low) / (high - low), 0, 1)
        return plain * (mixed + (1 - mixed) / self.factor)

    def _yarn(self, plain: np.ndarray, channels: int) -> np.ndarray:
        def channel(turns: float) -> float:
            return channels * math.log(self.original / (turns * 2 * math.pi)) / (2 * math.log(self.theta))

        fast, slow = self.options.get("beta_fast") or 32, self.options.get("beta_slow") or 1
        first, last = channel(fast), channel(slow)
        if self.options.get("truncate", True):
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, channels - 1)
        last = last + 0.001 if first == last else last
        slowed = np.clip((np.arange(channels // 2) - first) / (last - first), 0, 1)
        return plain * (1 - slowed) + plain / self.factor * slowed


def _sharpness(factor: float, scale: float = 1.0) -> float:
    return 0.1 * scale * math.log(factor) + 1.0 if factor > 1 else 1.0


def cos_sin(rope: Rope, channels: int, positions: Array, length: Array | int) -> tuple[Array, Array]:
    """Cosine and sine of each new token's angles, float32 [T, 1, channels/2].

    Args:
        positions: int32 [T].
        length: of the whole text, which decides between the frequencies of "longrope".
    """
    position = ops.expand_dims(ops.cast(positions, "float32"), 1)
    turned = ops.asarray(rope.frequencies(channels).astype(np.float32), like=position)
    longer = rope.long_frequencies(channels)
    if longer is not None:
        long_turned = ops.asarray(longer.astype(np.float32), like=position)
        is_long = ops.cast(positions * 0 + length > rope.original, "float32")[:1]
        turned = turned + (long_turned - turned) * is_long
    angles = position * turned
    return tuple(ops.expand_dims(part(angles) * rope.magnitude, 1) for part in (ops.cos, ops.sin))
