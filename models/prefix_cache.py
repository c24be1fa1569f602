"""States of the model after texts that may come again, so that their tokens are not paid for twice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Snapshot:
    """The model's state after a text.

    Attributes:
        ids: the text.
        cache: the model's cache after it.
        logits: of the token that follows, float32 [V].
        setting: what else the state depends on: the length of the pinned beginning, or whether the text was read as a long one;
            None for nothing.
        is_pinned: the text was announced as the beginning of more prompts.
    """

    ids: tuple[int, ...]
    cache: Any
    logits: np.ndarray
    setting: int | None = None
    is_pinned: bool = False


class PrefixCache:
    """The most recently used snapshots, found by the longest text that another one begins with.

    Args:
        keep: as many announced beginnings, and as many others: the turns of a long run do not push out its tools.
    """

    def __init__(self, keep: int = 4):
        self.keep = keep
        self._snapshots: OrderedDict[tuple[tuple[int, ...], int | None], Snapshot] = OrderedDict()

    def __len__(self) -> int:
        return len(self._snapshots)

    def find(self, ids: Sequence[int], setting: int | None = None) -> Snapshot | None:
        """The snapshot of the longest beginning of `ids` in that setting; its cache must be copied before it is run on."""
        text = tuple(ids)
        fitting = [key for key in self._snapshots if key[1] in (None, setting) and text[: len(key[0])] == key[0]]
        if not fitting:
            return None
        best = max(fitting, key=lambda key: len(key[0]))
        self._snapshots.move_to_end(best)
        return self._snapshots[best]

    def add(self, snapshot: Snapshot) -> None:
        """Keep a snapshot; the least recently used one of its kind goes when there are too many."""
        key = (snapshot.ids, snapshot.setting)
        known = self._snapshots.get(key)
        snapshot.is_pinned |= known is not None and known.is_pinned
        self._snapshots[key] = snapshot
        self._snapshots.move_to_end(key)
        alike = [key for key, other in self._snapshots.items() if other.is_pinned == snapshot.is_pinned]
        if len(alike) > self.keep:
            del self._snapshots[alike[0]]

    def clear(self) -> None:
        self._snapshots.clear()
