from __future__ import annotations

import pytest
from ferrule.agents.answers import cited
from ferrule.agents.evidence import Evidence
from ferrule.tools import Tool
from hypothesis import given
from hypothesis import strategies as st

LOOK = Tool("look")


@pytest.fixture
def evidence():
    evidence = Evidence()
    evidence.add("goal", "compare the weather in Oslo and Rome for 3 days, in total")
    evidence.observe(1, LOOK, {}, {"city": "Oslo", "temp": 3.456, "days": [{"rain": 2}, {"rain": 5}]})
    evidence.observe(2, LOOK, {}, {"city": "Rome", "temp": 21, "sun": "80%", "at": "2026-11-25"})
    evidence.observe(3, LOOK, {}, ["ada@example.com", 1250000])
    return evidence


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("It is 21 degrees.", (2,)),
        ("It is 3.46 degrees.", (1,)),
        ("It is about 3 degrees.", (1,)),
        ("In Rome it is warm.", (2,)),
        ("Rome has 21, Oslo 3.5.", (1, 2)),
        ("There is 80% sun on November 25, 2026.", (2,)),
        ('Written to "ada@example.com".', (3,)),
        ("That is 1.25 million, or 1,250,000.", (3,)),
        ("7 mm of rain in total", (1,)),
        ("Done.", ()),
        ("", ()),
        ("1. Oslo\n2. Rome", (1, 2)),
    ],
)
def test_what_an_answer_rests_on(evidence, text, calls):
    assert cited(text, evidence) == (calls, ())


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("It is 22 degrees in Rome.", ("22",)),
        ("Sent to \"eve@example.com\" and 'ada@example.com'.", ("eve@example.com",)),
        ("On November 26, 2026 at 9:41 it is 21.", ("november 26, 2026", "9:41")),
        ("80% and 81%", ("81",)),
        ("It's Rome's 21.", ()),
    ],
)
def test_claims_without_support(evidence, text, claims):
    assert [claim.casefold() for claim in cited(text, evidence)[1]] == [claim.casefold() for claim in claims]


def test_the_users_own_numbers_need_no_result():
    evidence = Evidence()
    evidence.add("goal", "a timer for 9 minutes")
    assert cited("A timer of 9 minutes is set, that is 540 seconds.", evidence) == ((), ())


def test_of_several_results_the_one_that_is_needed_anyway_is_cited():
    evidence = Evidence()
    for number, name in ((1, "Ada"), (2, "Bob"), (3, "Cyd")):
        evidence.observe(number, LOOK, {}, {"status": "open", "owner": name})
    assert cited("Ada's is open.", evidence)[0] == (1,)
    assert cited("It is open.", evidence)[0] == (3,)


@given(st.text(max_size=80))
def test_any_answer_can_be_checked(text):
    evidence = Evidence()
    evidence.add("goal", "12 things")
    evidence.observe(1, LOOK, {}, {"a": text, "b": 12})
    calls, _ = cited(text, evidence)
    assert set(calls) <= {1}
