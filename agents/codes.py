"""Names behind short codes: languages (ISO 639-1), countries (ISO 3166-1) and currencies (ISO 4217) that people ask for most.

A code may stand for several of them ("de": German, Germany). The table is no register: a code that is missing is not wrong.
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
us USA, vn Vietnam, za Africa
"""
_CURRENCIES = """
aud dollars, brl reais, cad dollars, chf francs, cny yuan, czk koruna, dkk kroner, eur euros, eur euro, gbp pounds, gbp pound,
gbp sterling, huf forint, ils shekels, inr rupees, jpy yen, krw won, mxn pesos, ngn naira, nok kroner, nzd dollars, pln zloty,
rub roubles, sek kronor, thb baht, try lira, uah hryvnia, usd dollars, usd dollar, zar rand
"""

NAMES: dict[str, tuple[str, ...]] = {}
"""Names of every code, all in lower case."""

for _entry in ",".join([_LANGUAGES, _COUNTRIES, _CURRENCIES]).split(","):
    _code, _name = _entry.casefold().split()
    NAMES[_code] = (*NAMES.get(_code, ()), _name)
