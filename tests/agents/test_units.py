from __future__ import annotations

import pytest
import scipy.constants as si
from ferrule.agents.quantities import numbers
from ferrule.agents.units import conversions, is_rounded, quantities, quantity, unit
from ferrule.agents.wording import lowered
from hypothesis import given
from hypothesis import strategies as st

# sizes by another source (CODATA, by way of SciPy); litres are 1e-3 m³
ORACLE = {
    ("miles", "m"): si.mile,
    ("inches", "m"): si.inch,
    ("feet", "m"): si.foot,
    ("yards", "m"): si.yard,
    ("nautical miles", "m"): si.nautical_mile,
    ("light years", "m"): si.light_year,
    ("lbs", "kg"): si.pound,
    ("ounces", "kg"): si.ounce,
    ("stone", "kg"): si.stone,
    ("gallons", "l"): si.gallon * 1000,
    ("fluid ounces", "l"): si.fluid_ounce * 1000,
    ("mph", "m/s"): si.mph,
    ("knots", "m/s"): si.knot,
    ("km/h", "m/s"): si.kmh,
    ("acres", "m²"): si.acre,
    ("hectares", "m²"): si.hectare,
    ("horsepower", "w"): si.horsepower,
    ("psi", "pa"): si.psi,
    ("atm", "pa"): si.atm,
    ("calories", "j"): si.calorie,
    ("degrees", "rad"): si.degree,
    ("kib", "byte"): 1024,
}


def converted(text):
    low = lowered(text)
    return list(conversions(quantities(text, low, list(numbers(low)))))


@pytest.mark.parametrize("pair", ORACLE)
@pytest.mark.parametrize("number", [1, 2.5, 640])
def test_sizes(pair, number):
    text = f"about {number} {pair[0]} of it"
    assert any(reading.value == pytest.approx(number * ORACLE[pair], rel=1e-5) for reading in converted(text))
    assert {text[reading.start : reading.end] for reading in converted(text)} == {f"{number} {pair[0]}"}


@given(st.integers(-80, 200))
def test_degrees(celsius):
    fahrenheit, kelvin = si.convert_temperature(celsius, "C", ["F"][0]), si.convert_temperature(celsius, "C", "K")
    found = [reading.value for reading in converted(f"{abs(celsius)} °C")] if celsius >= 0 else []
    for value in (abs(fahrenheit), kelvin) if celsius >= 0 else ():
        assert any(value == pytest.approx(other, abs=1e-6) for other in found)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a run of 1.5 km", 1500),
        ("5 ft 10 in tall", 70),
        ("5'10\" tall", 70),
        ("100µF", 1e-4),
        ("50mH", 0.05),
        ("3 MW", 3e6),
        ("a fee of $5", 500),
        ("twenty five miles", 40.23),
        ("twenty-five-mile run", 40.2),
    ],
)
def test_said_and_meant(text, value):
    assert any(is_rounded(value, reading.value) for reading in converted(text))


@pytest.mark.parametrize(("text", "value"), [("5 km", 3.2), ("5 kg", 5.5), ("20 °C", 69), ("5 minutes", 301), ("$5", 5000)])
def test_not_meant(text, value):
    assert not any(is_rounded(value, reading.value) for reading in converted(text))


@pytest.mark.parametrize(
    ("value", "text", "words"),
    [
        ("km/h", "in kilometers per hour", "kilometers per hour"),
        ("kg/m³", "45 kg in 15 m³", "5 kg in 15 m³"),
        ("miles", "a mile", "mile"),
        ("metric", "85 kilograms", "kilograms"),
        ("celsius", "20 °c", "°c"),
        ("kilometers", "in 5km", "5km"),
        ("m", "I am in", None),
        ("gbp", "100 dollars", None),
        ("km", "5 miles", None),
    ],
)
def test_units_in_other_spellings(value, text, words):
    span = unit(value, text)
    assert (text[slice(*span)] if span else None) == words


def test_quantities_in_other_spellings():
    text = "a walk of five kilometers"
    said = list(quantities(text, text, list(numbers(text))))
    assert quantity("5 km", list(numbers("5 km")), said) == (10, 25)
    assert quantity("5000 m", list(numbers("5000 m")), said) == (10, 25)
    assert quantity("6 km", list(numbers("6 km")), said) is None
    assert quantity("5 kg", list(numbers("5 kg")), said) is None
