from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def family(tmp_path_factory):
    """``family("gemma3")``: that row, its checkpoint and the logits that transformers computes with it."""
    from .rows import Family  # where torch or transformers are not installed, its tests are skipped, and this is not asked for

    kept: dict[str, Family] = {}
    return lambda name: kept.setdefault(name, Family(name, tmp_path_factory.mktemp(name))) if name not in kept else kept[name]
