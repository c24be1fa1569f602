"""Where the best-known cities lie, so that "Boston, MA" or "Massachusetts" rests on "Boston", and IANA's names of time zones.

The table is no register: a city that is missing is not wrong.
"""

from __future__ import annotations

import re

from .codes import CODES, NAMES, STATES
from .wording import Span, lowered, parts, phrase

_IN_THE_UNITED_STATES = """
al Birmingham, al Montgomery, ak Anchorage, az Phoenix, az Tucson, az Mesa, ar Little Rock, ca Los Angeles, ca San Diego,
ca San Francisco, ca San Jose, ca Sacramento, ca Oakland, ca Fresno, ca Long Beach, ca Palo Alto, ca Berkeley, ca Santa Monica,
ca Hollywood, ca Anaheim, ca Pasadena, co Denver, co Boulder, co Colorado Springs, ct Hartford, dc Washington,
dc Washington DC, dc Washington D.C., fl Miami, fl Orlando, fl Tampa, fl Jacksonville, fl Tallahassee, ga Atlanta, ga Savannah,
hi Honolulu, id Boise, il Chicago, il Springfield, in Indianapolis, ia Des Moines, ks Wichita, ky Louisville, ky Lexington,
la New Orleans, la Baton Rouge, me Portland, md Baltimore, md Annapolis, ma Boston, ma Cambridge, mi Detroit, mi Ann Arbor,
mn Minneapolis, mn Saint Paul, mo Kansas City, mo St. Louis, mo Saint Louis, ne Omaha, ne Lincoln, nv Las Vegas, nv Reno,
nj Newark, nj Jersey City, nm Albuquerque, nm Santa Fe, ny New York, ny New York City, ny NYC, ny Manhattan, ny Brooklyn,
ny Queens, ny Bronx, ny Staten Island, ny Buffalo, ny Albany, nc Charlotte, nc Raleigh, nc Durham, oh Columbus, oh Cleveland,
oh Cincinnati, ok Oklahoma City, ok Tulsa, or Portland, pa Philadelphia, pa Pittsburgh, ri Providence, sc Charleston,
tn Nashville, tn Memphis, tn Knoxville, tx Houston, tx Dallas, tx Austin, tx San Antonio, tx Fort Worth, tx El Paso,
ut Salt Lake City, va Richmond, va Virginia Beach, va Arlington, wa Seattle, wa Spokane, wa Tacoma, wi Milwaukee, wi Madison
"""
_ABROAD = """
Argentina: Buenos Aires. Australia: Sydney, Melbourne, Brisbane, Perth, Canberra, Adelaide. Austria: Vienna, Salzburg.
Belgium: Brussels, Antwerp. Brazil: Rio de Janeiro, Sao Paulo, Brasilia. Canada: Toronto, Montreal, Vancouver, Ottawa, Calgary.
Chile: Santiago. China: Beijing, Shanghai, Shenzhen, Guangzhou, Hong Kong. Colombia: Bogota. Czechia: Prague.
Denmark: Copenhagen. Egypt: Cairo, Alexandria. England: London, Manchester, Liverpool, Birmingham, Oxford, Cambridge.
UK: London, Manchester, Liverpool, Birmingham, Oxford, Cambridge, Edinburgh, Glasgow, Cardiff, Belfast.
United Kingdom: London, Manchester, Liverpool, Birmingham, Oxford, Cambridge, Edinburgh, Glasgow, Cardiff, Belfast.
Finland: Helsinki. France: Paris, Lyon, Marseille, Nice, Bordeaux, Toulouse. Germany: Berlin, Munich, Hamburg, Frankfurt.
Greece: Athens. Hungary: Budapest. Iceland: Reykjavik. India: Delhi, New Delhi, Mumbai, Bangalore, Chennai, Kolkata, Hyderabad.
Indonesia: Jakarta. Ireland: Dublin. Israel: Jerusalem, Tel Aviv. Italy: Rome, Milan, Venice, Florence, Naples, Turin.
Japan: Tokyo, Kyoto, Osaka. Kenya: Nairobi. Malaysia: Kuala Lumpur. Mexico: Mexico City. Morocco: Marrakesh, Casablanca.
Netherlands: Amsterdam, Rotterdam, The Hague. New Zealand: Auckland, Wellington. Nigeria: Lagos, Abuja. Norway: Oslo, Bergen.
Peru: Lima. Philippines: Manila. Poland: Warsaw, Krakow. Portugal: Lisbon, Porto. Romania: Bucharest. Russia: Moscow.
Scotland: Edinburgh, Glasgow. Singapore: Singapore. South Africa: Cape Town, Johannesburg. South Korea: Seoul, Busan.
Spain: Madrid, Barcelona, Seville, Valencia. Sweden: Stockholm, Gothenburg. Switzerland: Zurich, Geneva, Basel, Bern.
Thailand: Bangkok. Turkey: Istanbul, Ankara. UAE: Dubai, Abu Dhabi. Ukraine: Kyiv. Vietnam: Hanoi.
"""
_SAME = (("new york city", "new york", "nyc"), ("los angeles", "la"), ("washington dc", "washington d.c", "washington"))
_AREAS = "Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific"
_ZONE = re.compile(rf"(?:{_AREAS})(?:/[A-Z][A-Za-z_]+)?/([A-Z][A-Za-z_\-]+)")

LIES_IN: dict[str, set[str]] = {}
"""Names and codes of the states and countries of a city, all in lower case."""

for _entry in _IN_THE_UNITED_STATES.split(","):
    _state, _city = _entry.strip(" \n.").casefold().split(" ", 1)
    LIES_IN.setdefault(_city, set()).update((_state, *STATES[_state], "us", "usa", "united states"))
    if _state == "dc":
        LIES_IN[_city].update(("d.c", "district of columbia"))
for _entry in _ABROAD.replace("\n", " ").split(". "):
    if _entry.strip():
        _country, _cities = _entry.strip(" .").casefold().split(": ")
        for _city in _cities.split(", "):
            LIES_IN.setdefault(_city, set()).update((_country, *CODES.get(_country, ())))

_CITIES_IN: dict[str, list[str]] = {}
for _city, _regions in LIES_IN.items():
    for _region in _regions:
        _CITIES_IN.setdefault(_region, []).append(_city)


def place(value: str, low: str) -> Span | None:
    """The words of a lowered text that a place rests on: a city with its state or country, or one of these alone.

    Of "Boston, MA" the city must be said, and the state must be said or be where the city lies. "Massachusetts" rests on
    "Boston".
    """
    names = [lowered(name) for name in parts(value)]
    if not 1 <= len(names) <= 4:
        return None
    found: list[Span] = []
    for n, name in enumerate(names):
        span = _said(name, low)
        if span is None:
            cities = [city for city in names[:n] if name in LIES_IN.get(city, ())]
            if len(names) == 1 and len(name) > 2:
                cities = _CITIES_IN.get(name, [])
            span = next((at for city in cities if (at := _said(city, low)) is not None), None)
        if span is None:
            return None
        found.append(span)
    return min(start for start, _ in found), max(end for _, end in found)


def time_zone(value: str, low: str) -> Span | None:
    """The words for the city of a time zone, "Europe/London"."""
    found = _ZONE.fullmatch(value)
    return _said(lowered(found[1].replace("_", " ")), low) if found else None


def _said(name: str, low: str) -> Span | None:
    spellings = (name, *next((same for same in _SAME if name in same), NAMES.get(name, ())))
    return next((span for spelling in spellings if (span := phrase(spelling, low)) is not None), None)
