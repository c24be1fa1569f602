"""Three docstring styles give the same descriptions."""

import pytest
from ferrule.tools.docstring import parse_docstring

GOOGLE = """Set a timer.

    It rings once.

    Args:
        minutes (Optional[int], optional): How long it runs,
            in minutes: at least one.
        label: What it is for.

    Returns:
        minutes: not a parameter.
    """
NUMPY = """Set a timer.

    It rings once.

    Parameters
    ----------
    minutes : int, optional
        How long it runs,
        in minutes: at least one.
    label
        What it is for.

    Returns
    -------
    minutes : int
        Not a parameter.
    """
SPHINX = """Set a timer.

    It rings once.

    :param int minutes: How long it runs,
        in minutes: at least one.
    :type minutes: int
    :param label: What it is for.
    :returns: minutes: not a parameter.
    """


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_styles(text):
    doc = parse_docstring(text)
    assert doc.description == "Set a timer. It rings once."
    assert doc.parameters == {
        "minutes": "How long it runs, in minutes: at least one.",
        "label": "What it is for.",
    }


def test_numpy_shares_a_description_among_names():
    doc = parse_docstring("Plot.\n\nParameters\n----------\nx, y : float\n    Coordinates.\n")
    assert doc.parameters == {"x": "Coordinates.", "y": "Coordinates."}


def test_examples_are_left_out():
    doc = parse_docstring("Add.\n\n>>> add(1, 2)\n3\n\nExact.\n\nArgs:\n    a: First.\n\nExample:\n    b: no\n")
    assert doc.description == "Add. Exact."
    assert doc.parameters == {"a": "First."}


@pytest.mark.parametrize("text", [None, "", "   \n  "])
def test_nothing(text):
    assert parse_docstring(text).description == ""


def test_text_with_colons_is_not_a_section():
    doc = parse_docstring("Note this: it works.\n\nWhat: ever.")
    assert doc.description == "Note this: it works. What: ever."
