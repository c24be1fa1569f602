from __future__ import annotations

from ferrule.agents.codes import CODES, NAMES, RELATED, SIGNS, STATES


def test_a_code_may_stand_for_several_names():
    assert {"german", "germany", "delaware"} == set(NAMES["de"])
    assert {"euros", "euro"} == set(NAMES["eur"])
    assert set(NAMES["usa"]) >= {"united states", "u.s."}
    assert all(names and all(name == name.casefold().strip() for name in names) for names in NAMES.values())


def test_every_name_leads_back_to_its_codes():
    assert all(code in CODES[name] for code, names in NAMES.items() for name in names)
    assert all(name in NAMES[code] for name, codes in CODES.items() for code in codes)


def test_states_are_all_there():
    assert len(STATES) == 51  # with the District of Columbia
    assert STATES["ny"] == ("new york",)


def test_countries_and_peoples():
    assert RELATED["german"] == ("germany",)
    assert all(people in RELATED[country] for people, countries in RELATED.items() for country in countries)


def test_words_of_signs():
    assert "greater" in SIGNS[">"]
    assert "greater" not in SIGNS["<"]
