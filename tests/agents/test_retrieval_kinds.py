from __future__ import annotations

import pytest
from ferrule.agents.retrieval_kinds import kinds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("how far is it to rome in km or miles?", ["distance", "distance", "convert", "conversion"]),
        ("$20", ["currency"]),
        ("a mile or two miles", ["distance"]),  # one unit: nothing to convert
        ("3 ounces in a kilo", ["weight", "convert", "conversion"]),
        ("when does it open, and what are the odds?", ["date", "time", "probability"]),
        ("somehow farther, whenever you like: twelve smiles", []),
        ("", []),
    ],
)
def test_kinds(text, words):
    assert kinds(text) == words
