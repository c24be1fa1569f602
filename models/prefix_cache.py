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
    """

    ids: tuple[int, ...]
    cache: Any
    logits: np.ndarray


class PrefixCache:
    """The most recently used snapshots, found by the longest text that another one begins with."""

    def __init__(self, keep: int = 4):
        self.keep = keep
        self._snapshots: OrderedDict[tuple[int, ...], Snapshot] = OrderedDict()

    def __len__(self) -> int:
        return len(self._snapshots)

    def find(self, ids: Sequence[int]) -> Snapshot | None:
        """The snapshot of the longest beginning of `ids`; its cache must be copied before it is run on."""
        best: tuple[int, ...] | None = None
        for known in self._snapshots:
            if (best is None or len(known) > len(best)) and len(known) <= len(ids) and tuple(ids[: len(known)]) == known:
                best = known
        if best is None:
            return None
        self._snapshots.move_to_end(best)
        return self._snapshots[best]

    def add(self, snapshot: Snapshot) -> None:
        """Keep a snapshot; the least recently used one goes when there are too many."""
        self._snapshots[snapshot.ids] = snapshot
        self._snapshots.move_to_end(snapshot.ids)
        while len(self._snapshots) > self.keep:
            self._snapshots.popitem(last=False)

    def clear(self) -> None:
        self._snapshots.clear()
