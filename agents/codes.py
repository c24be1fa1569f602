"""Names behind short codes: languages (ISO 639-1), countries (ISO 3166-1) and currencies (ISO 4217) that people ask for most,
the states of the United States (USPS), peoples, and the words for mathematical and comparing signs.

A code may stand for several of them ("de": German, Germany). The tables are no register: a code that is missing is not wrong.
"""

from __future__ import annotations

_LANGUAGES = """
af Afrikaans, am Amharic, ar Arabic, bg Bulgarian, bn Bengali, ca Catalan, cs Czech, cy Welsh, da Danish, de German, el Greek,
en English, es Spanish, et Estonian, eu Basque, fa Persian, fi Finnish, fr French, ga Irish, gu Gujarati, ha Hausa, he Hebrew,
hi Hindi, hr Croatian, hu Hungarian, hy Armenian, id Indonesian, ig Igbo, is Icelandic, it Italian, ja Japanese, ka Georgian,
kk Kazakh, km Khmer, kn Kannada, ko Korean, la Latin, lt Lithuanian, lv Latvian, mk Macedonian, ml Malayalam, mn Mongolian,
mr Marathi, ms Malay, mt Maltese, ne Nepali, nl Dutch, no Norwegian, nb Norwegian, pa Punjabi, pl Polish, ps Pashto,
pt Portuguese, ro Romanian, ru Russian, sk Slovak, sl Slovenian, so Somali, sq Albanian, sr Serbian, sv Swedish, sw Swahili,
ta Tamil, te Telugu, th Thai, tl Tagalog, tr Turkish, uk Ukrainian, ur Urdu, uz Uzbek, vi Vietnamese, yo Yoruba, zh Chinese,
zh Mandarin, zu Zulu
"""
_COUNTRIES = """
ae Emirates, ar Argentina, at Austria, au Australia, bd Bangladesh, be Belgium, bg Bulgaria, br Brazil, ca Canada,
ch Switzerland, cl Chile, cn China, co Colombia, cz Czechia, de Germany, dk Denmark, ee Estonia, eg Egypt, es Spain,
et Ethiopia, fi Finland, fr France, gb Britain, gb England, gb Kingdom, uk Britain, uk Kingdom, gh Ghana, gr Greece, hr Croatia,
hu Hungary, id Indonesia, ie Ireland, il Israel, in India, iq Iraq, ir Iran, is Iceland, it Italy, jp Japan, ke Kenya,
kr Korea, lt Lithuania, lu Luxembourg, lv Latvia, ma Morocco, mx Mexico, my Malaysia, ng Nigeria, nl Netherlands, no Norway,
nz Zealand, pe Peru, ph Philippines, pk Pakistan, pl Poland, pt Portugal, ro Romania, rs Serbia, ru Russia, sa Arabia,
se Sweden, sg Singapore, si Slovenia, sk Slovakia, th Thailand, tr Turkey, tw Taiwan, ua Ukraine, us America, us States,
us USA, us U.S., usa America, usa United States, usa US, usa U.S., vn Vietnam, za Africa
"""
_CURRENCIES = """
aud dollars, brl reais, cad dollars, chf francs, cny yuan, czk koruna, dkk kroner, eur euros, eur euro, gbp pounds, gbp pound,
gbp sterling, huf forint, ils shekels, inr rupees, jpy yen, krw won, mxn pesos, ngn naira, nok kroner, nzd dollars, pln zloty,
rub roubles, sek kronor, thb baht, try lira, uah hryvnia, usd dollars, usd dollar, zar rand
"""
_STATES = """
al Alabama, ak Alaska, az Arizona, ar Arkansas, ca California, co Colorado, ct Connecticut, de Delaware, fl Florida, ga Georgia,
hi Hawaii, id Idaho, il Illinois, in Indiana, ia Iowa, ks Kansas, ky Kentucky, la Louisiana, me Maine, md Maryland,
ma Massachusetts, mi Michigan, mn Minnesota, ms Mississippi, mo Missouri, mt Montana, ne Nebraska, nv Nevada, nh New Hampshire,
nj New Jersey, nm New Mexico, ny New York, nc North Carolina, nd North Dakota, oh Ohio, ok Oklahoma, or Oregon, pa Pennsylvania,
ri Rhode Island, sc South Carolina, sd South Dakota, tn Tennessee, tx Texas, ut Utah, vt Vermont, va Virginia, wa Washington,
wv West Virginia, wi Wisconsin, wy Wyoming, dc Washington
"""
_PEOPLES = """
American United States, American America, American USA, Argentine Argentina, Australian Australia, Austrian Austria,
Belgian Belgium, Brazilian Brazil, British Britain, British United Kingdom, British UK, Bulgarian Bulgaria, Canadian Canada,
Chilean Chile, Chinese China, Colombian Colombia, Croatian Croatia, Cuban Cuba, Czech Czechia, Danish Denmark,
Dutch Netherlands, Egyptian Egypt, English England, Ethiopian Ethiopia, European Europe, Finnish Finland, French France,
German Germany, Greek Greece, Hungarian Hungary, Icelandic Iceland, Indian India, Indonesian Indonesia, Iranian Iran,
Iraqi Iraq, Irish Ireland, Israeli Israel, Italian Italy, Japanese Japan, Kenyan Kenya, Korean Korea, Malaysian Malaysia,
Mexican Mexico, Moroccan Morocco, Nigerian Nigeria, Norwegian Norway, Pakistani Pakistan, Peruvian Peru, Polish Poland,
Portuguese Portugal, Romanian Romania, Russian Russia, Scottish Scotland, Serbian Serbia, Slovak Slovakia, Slovenian Slovenia,
Spanish Spain, Swedish Sweden, Swiss Switzerland, Thai Thailand, Turkish Turkey, Ukrainian Ukraine, Vietnamese Vietnam,
Welsh Wales, African Africa, Asian Asia
"""
SIGNS = {
    "+": ("plus", "add", "sum"),
    "-": ("minus", "subtract", "less", "difference"),
    "*": ("times", "multiply", "multiplied", "product"),
    "/": ("divide", "divided", "over", "per", "quotient"),
    "%": ("percent", "per cent", "percentage", "modulo"),
    ">": ("greater", "more", "above", "over", "larger", "higher", "exceeds", "exceed", "exceeding", "after", "older", "longer"),
    "<": ("less", "fewer", "below", "under", "smaller", "lower", "before", "younger", "shorter"),
    ">=": ("at least", "minimum", "or more", "or above", "from", "no less", "not less", "since", "or older", "or higher"),
    "<=": ("at most", "maximum", "or less", "or below", "up to", "no more", "not more", "until", "or younger", "or lower"),
    "=": ("is", "are", "equal", "equals", "be", "named", "called", "same"),
    "!=": ("not", "isn't", "other than", "except", "different"),
    "&": ("and",),
    "|": ("or",),
}
SIGNS |= {"==": SIGNS["="], "<>": SIGNS["!="]}
"""Words for signs."""


def _pairs(table: str) -> list[list[str]]:
    return [entry.strip().casefold().split(" ", 1) for entry in table.split(",")]


def _grouped(*tables: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for code, name in (pair for table in tables for pair in _pairs(table)):
        found[code] = (*found.get(code, ()), name)
    return found


STATES = _grouped(_STATES)
"""Names of the states of the United States by their codes, all in lower case."""

NAMES = _grouped(_LANGUAGES, _COUNTRIES, _CURRENCIES, _STATES)
"""Names of every language, country, currency and state by their codes, all in lower case."""

CODES: dict[str, tuple[str, ...]] = {}
"""The codes of every name, in lower case."""

for _code, _names in NAMES.items():
    for _name in _names:
        CODES[_name] = (*CODES.get(_name, ()), _code)

RELATED: dict[str, tuple[str, ...]] = {}
"""Country to people ("germany": "german") and the other way round, in lower case."""

for _people, _country in _pairs(_PEOPLES):
    RELATED[_people] = (*RELATED.get(_people, ()), _country)
    RELATED[_country] = (*RELATED.get(_country, ()), _people)
