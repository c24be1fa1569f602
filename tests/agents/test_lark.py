from __future__ import annotations

import pytest
from ferrule.agents.lark import Rules, is_possible


@pytest.mark.parametrize(
    ("body", "possible"),
    [("/a*/", True), ("/a/ & /b/", False), ('/a|b/ & ~("a")', True), ('/a/ & ~("a")', False), ("/a*/ & ~/a+/", True)],
)
def test_whether_a_terminal_matches_anything(body, possible):
    assert is_possible(body) == possible


def test_equal_bodies_share_a_name():
    rules = Rules()
    assert rules.rule('"a"') == rules.rule('"a"') != rules.rule('"b"')
    assert rules.terminal('"a"') != rules.rule('"a"')
    assert len(rules.lines) == 3
