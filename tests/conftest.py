"""What tests of several rooms share: the published weights, and one loaded model for each backend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ferrule.core import BackendNotInstalledError, get_backend
from ferrule.hub import HubError, from_preset
from ferrule.hub.sources import locate
from ferrule.models import LanguageModel
from ferrule.models.needle.container import read_container
from ferrule.models.needle.tokenizer import NeedleTokenizer
from ferrule.presets import get_preset


@pytest.fixture(scope="session")
def needle_weights() -> Path:
    """The published Needle 3 container; tests that need it are skipped where it is not installed."""
    try:
        return locate(get_preset("needle_3"))
    except HubError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def tokenizer(needle_weights: Path) -> NeedleTokenizer:
    """The tokenizer of the published Needle 3."""
    return NeedleTokenizer(read_container(needle_weights).tokenizer)


@pytest.fixture(scope="session")
def needle(needle_weights: Path) -> Callable[[str], LanguageModel]:
    """The published Needle 3 on a backend, loaded once for all tests."""
    loaded: dict[str, LanguageModel] = {}

    def load(backend: str) -> LanguageModel:
        try:
            get_backend(backend)
        except BackendNotInstalledError as error:
            pytest.skip(str(error))
        if backend not in loaded:
            loaded[backend] = from_preset("needle_3", backend)
        return loaded[backend]

    return load


@pytest.fixture(scope="session")
def golden() -> dict[str, np.ndarray]:
    """Vectors of the published reference implementation; `data/needle/golden.json` says what they are."""
    with np.load(Path(__file__).parent / "data/needle/golden.npz") as file:
        return dict(file)
