"""What kinds of things a text asks for or speaks of, in the words that tools are described with.

"how far" asks for a distance and "$20" is money, though neither word is said. What is here is general: questions, measures and
money; no names of tools and no subjects.
"""

from __future__ import annotations

import re

_ASKED = {
    "when": "date time",
    "where": "location",
    "what year": "date",
    "how far": "distance",
    "how long": "duration time length",
    "how many": "number count",
    "how much": "amount price cost",
    "how old": "age",
    "how tall": "height",
    "how high": "height",
    "how fast": "speed velocity",
    "how hot": "temperature",
    "how cold": "temperature",
    "how warm": "temperature",
    "how heavy": "weight mass",
    "how big": "size area",
    "how likely": "probability",
    "chances?": "probability",
    "odds": "probability",
}
_MEASURES = {
    "currency": "[$€£¥₹]|(?:dollars?|euros?|yen|yuan|rupees?|pesos?|francs?|usd|eur|gbp|jpy|cny|inr|cad|aud|chf)",
    "distance": "(?:kilomet(?:er|re)s?|miles?|km)",
    "weight": "(?:kilograms?|kilos?|grams?|ounces?|pounds?|lbs?|kg|oz)",
    "volume": "(?:lit(?:er|re)s?|millilit(?:er|re)s?|gallons?|pints?|quarts?|cups?|tablespoons?|teaspoons?)",
    "temperature": "(?:celsius|fahrenheit|kelvin|degrees)",
}
_ENTIRE = [(re.compile(rf"(?<!\w)(?:{asked})(?!\w)"), hint.split()) for asked, hint in _ASKED.items()]
_UNITS = {kind: re.compile(rf"(?<![a-z])(?:{units})(?![a-z])") for kind, units in _MEASURES.items()}
_CONVERSION = ("convert", "conversion")


def kinds(low: str) -> list[str]:
    """Words for what a lowered text asks for and speaks of; two units of one kind may be a conversion."""
    found = [word for pattern, hint in _ENTIRE if pattern.search(low) for word in hint]
    for kind, pattern in _UNITS.items():
        units = {unit.rstrip("s") for unit in pattern.findall(low)}
        if units:
            found.append(kind)
        if len(units) > 1:
            found += _CONVERSION
    return found
