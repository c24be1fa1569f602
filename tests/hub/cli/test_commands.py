from __future__ import annotations

import dataclasses
import importlib
import json
import math

import pytest
from ferrule.hub.evaluation import ALL_CATEGORIES
from ferrule.hub.parity import Parity


@pytest.fixture
def measured(monkeypatch):
    """``measured(result, …)``: what `ferrule parity` finds; the preset and backends that it was asked for are kept."""
    asked = []

    def set_results(*results):
        def measure(preset, names, tokens, tolerance):
            asked.append((preset, list(names), tokens, tolerance))
            yield from results

        monkeypatch.setattr(importlib.import_module("ferrule.hub.cli.commands"), "measure_parity", measure)
        return asked

    return set_results


SAME = Parity("numpy", 0.0, 0.0, 96, 96, 0.7, 3.0)
OTHER = Parity("torch", 1.4e-4, 9e-7, 95, 96, 0.9, 4.0)


def test_an_unknown_preset(refused):
    assert "did you mean 'needle_3'?" in refused("parity", "needle", "-b", "numpy")


def test_parity_for_machines(ferrule, measured):
    asked = measured(SAME)
    result = ferrule("parity", "needle_3", "-b", "numpy", "--tokens", "5", "--json")
    assert result.exit_code == 0
    assert asked == [("needle_3", ["numpy"], 5, 1e-3)]
    (document,) = json.loads(result.stdout)
    assert document == {**vars(SAME), "finite": True, "agrees": True}


def test_parity_of_what_is_no_number(ferrule, measured):
    measured(dataclasses.replace(SAME, backend="jax", max_abs=math.nan, max_rel=math.nan))
    result = ferrule("parity", "-b", "jax", "--tolerance", "0.01", "--json")
    assert (result.exit_code, result.stderr) == (1, "error: not as the NumPy reference: jax (logits are not finite)\n")
    (document,) = json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert (document["max_abs"], document["finite"], document["agrees"]) == (None, False, False)


def test_parity_of_continuations_that_do_not_fit(refused, needle_weights):
    line = refused("parity", needle_weights, "-b", "numpy", "--tokens", "100000")
    assert line.startswith("continuations of 100000 tokens do not fit the model's context; ")


def test_parity_for_people(ferrule, measured):
    measured(SAME, OTHER)
    result = ferrule("parity")
    assert "96/96" in result.stdout
    assert "1.4e-04" in result.stdout
    assert result.exit_code == 1
    assert result.stderr == "error: not as the NumPy reference: torch (95 of 96 greedy tokens equal)\n"


def test_parity_of_an_unknown_backend(refused):
    assert refused("parity", "-b", "cuda").startswith("no backend is called 'cuda'")


def test_parity_of_missing_weights(refused):
    assert refused("parity", "none.cact", "-b", "numpy").startswith("cannot open none.cact")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["parity", " "], "a text is expected, received ' '"),
        (["parity", "--tokens", "0"], "a whole number from 1 is expected, received '0'"),
        (["parity", "--tolerance", "nan"], "a number from 0 is expected, received 'nan'"),
        (["eval", "bfcl", "--limit", "x"], "a whole number from 1 is expected, received 'x'"),
        (["eval", "bfcl", "--output", ""], "a text is expected, received ''"),
    ],
)
def test_values_that_options_cannot_have(refused, arguments, line):
    assert line in refused(*arguments, status=2)


def test_help_names_every_category(ferrule):
    shown = "".join(ferrule("eval", "bfcl", "--help").stdout.split())
    assert all(category in shown for category in ALL_CATEGORIES)


def test_a_missing_baseline(refused):
    line = refused("eval", "bfcl", "--baseline", "none.json")
    assert line == "the baseline none.json cannot be read (No such file or directory)"
