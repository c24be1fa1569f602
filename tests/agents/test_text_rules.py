from __future__ import annotations

import datetime
import ipaddress
import json
import re

import pytest
from ferrule.agents.text_rules import ESCAPED, FORMATS, RAW, UnsupportedPattern, _python_class
from hypothesis import given, settings
from hypothesis import strategies as st

PATTERNS = ["^a+$", "abc", "^[A-Z]{2,4}$", "[0-9]{3}-[0-9]{4}", r"^\w+$", r"^\S+$", r"\D\W\s", "^foo|bar$", "^(foo|bar)$"]
PATTERNS += ["^$", "", "a.b", r'^[^"\\]+$', r'^["\\]*$', r"(?i)^hello[^x]$", r"^\d{1,3}(\.\d+)?$", "^(a|b$)", "^[é-ü😀]+$"]
PATTERNS += ["(?s)^.$", r"^[^\d\W]+$", r"(?a)^\w+$", r"\n", "(?i)straße", r"^(?a:\w)é?$", r"^a{2,}?b*?$"]
PATTERNS += ["^[\\u0000-\\u001f]$|^ok$"]
NOTHING_LOST = ["^a+$", "abc", "^foo|bar$", "", "a.b", r"^\S+$", "^(a|b$)", r"\n"]


def as_python(regex: str) -> re.Pattern[str]:
    """Rust and Python write these expressions alike once \\x{…} is spelt Python's way."""
    return re.compile(re.sub(r"\\x\{([0-9A-F]+)\}", lambda code: f"\\U{int(code.group(1), 16):08x}", regex))


def encoded(text: str) -> str:
    """JSON text with the short escapes only, as the rules write it."""
    return json.dumps(text, ensure_ascii=False)


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('ab"\\\n\t\rfo0-1.é_ xXhelo'), max_size=12)


@settings(max_examples=400, deadline=None)
@given(pattern=st.sampled_from(PATTERNS), data=st.data())
def test_what_a_pattern_rule_matches_is_found_by_python(pattern, data):
    rule = as_python(f'"{ESCAPED.pattern(pattern)}"')
    found = data.draw(st.from_regex(pattern)) if data.draw(st.booleans()) else data.draw(texts)
    if rule.fullmatch(encoded(found)):
        assert re.search(pattern, found)
    elif pattern in NOTHING_LOST:
        # Of these nothing is lost but text with control characters, and an end before a final newline.
        assert not re.search(pattern, found) or found.endswith("\n") or re.search(r"[\x00-\x07\x0b\x0e-\x1f\x7f]", found)


@settings(max_examples=400, deadline=None)
@given(pattern=st.sampled_from(PATTERNS), data=st.data())
def test_without_escapes_a_pattern_rule_matches_the_text_itself(pattern, data):
    rule = as_python(RAW.pattern(pattern))
    found = data.draw(st.from_regex(pattern)) if data.draw(st.booleans()) else data.draw(texts)
    if rule.fullmatch(found):
        assert re.search(pattern, found)
    elif pattern in NOTHING_LOST:
        assert not re.search(pattern, found) or found.endswith("\n") or re.search(r"[\x00-\x07\x0b\x0e-\x1f\x7f]", found)


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        (r"(?=a)b", "looks ahead"),
        (r"(?<!a)b", "looks ahead or behind"),
        (r"(a)\1", "refers back"),
        (r"\bfoo\b", "word boundaries"),
        ("a^b", "anchors"),
        (r"\p{L}", "does not read it"),
        ("(", "does not read it"),
        ("(?m)^a$", "flags"),
        ("a++", "possessive"),
    ],
)
def test_unsupported_patterns(pattern, problem):
    with pytest.raises(UnsupportedPattern, match=problem):
        ESCAPED.pattern(pattern)


def test_patterns_of_control_characters_match_nothing():
    assert ESCAPED.pattern("^\x00$") is None
    assert ESCAPED.pattern("^(a|[\x01-\x05])$") is not None


def test_python_classes_are_complete():
    for category, pattern in (("digit", r"\d"), ("space", r"\s"), ("word", r"\w")):
        ranges = _python_class(category)
        codes = {code for lo, hi in ranges for code in range(lo, hi + 1)}
        assert codes == {code for code in range(0x110000) if re.match(pattern, chr(code))}


@pytest.mark.parametrize(("least", "most"), [(0, 3), (2, None), (1, 1)])
def test_length_counts_code_points(least, most):
    rule = as_python(f'"{ESCAPED.length(least, most)}"')
    for text in ("", "a", "😀", "é", '""', "\n\t\\", "abcd", "日本語"):
        assert bool(rule.fullmatch(encoded(text))) == (least <= len(text) and (most is None or len(text) <= most)), text


def test_without_escapes_everything_but_control_characters_is_written():
    rule, three = as_python(RAW.text), as_python(RAW.length(3, 3))
    for text in ("", "a\\", '"', "\n\t\b\f\r", "😀", "<escape>"):
        assert rule.fullmatch(text)
    for text in ("\x00", "\x0b", "\x7f"):
        assert not rule.fullmatch(text)
    assert three.fullmatch("a\n😀")
    assert not three.fullmatch("a\\n😀")


def test_strings_have_no_unicode_escapes():
    rule = as_python(f'"{ESCAPED.text}"')
    assert rule.fullmatch(r'"a\nb\\ \" 😀"')
    for text in (r'"\ud800"', r'"\u0041"', '"\x00"', '"a', '"a"b"', r'"\x"', '"\n"'):
        assert not rule.fullmatch(text)


def matches(name: str, text: str) -> bool:
    return bool(re.fullmatch(FORMATS[name], text))


@settings(max_examples=500)
@given(st.integers(0, 9999), st.integers(0, 13), st.integers(0, 32))
def test_dates_are_those_of_the_calendar(year, month, day):
    text = f"{year:04d}-{month:02d}-{day:02d}"
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        assert not matches("date", text)
    else:
        assert matches("date", text)


@settings(max_examples=200)
@given(st.integers(0, 2**128 - 1) | st.integers(0, 2**32).map(lambda n: n << 64))
def test_ip_addresses(number):
    address = ipaddress.IPv6Address(number)
    assert matches("ipv6", str(address))
    assert matches("ipv6", address.exploded)
    assert matches("ipv4", str(ipaddress.IPv4Address(number % 2**32)))


@pytest.mark.parametrize("text", ["1::2::3", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "g::", "12345::", "1:2:3:4:5:6:7::8"])
def test_not_ipv6(text):
    with pytest.raises(ValueError):
        ipaddress.IPv6Address(text)
    assert not matches("ipv6", text)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("time", ["14:30:00Z", "23:59:59.5+02:00"], ["14:30", "24:00:00Z", "14:30:00"]),
        ("date-time", ["2026-07-21T14:30:00Z"], ["2026-07-21 14:30:00Z", "2026-02-30T00:00:00Z"]),
        ("duration", ["P1D", "PT5M", "P1Y2M3DT4H5M6S", "P2W", "PT1H"], ["P", "PT", "1D", "P1S", "P1DT"]),
        ("email", ["a.b@c.de"], ["a", "a@b", "@b.c", "a b@c.de"]),
        ("hostname", ["a", "www.example.org"], ["-a", "a..b", ""]),
        ("ipv4", ["0.0.0.0", "255.255.255.255"], ["256.1.1.1", "1.2.3", "01.2.3.4"]),
        ("uuid", ["123e4567-e89b-12d3-a456-426614174000"], ["123e4567e89b12d3a456426614174000"]),
        ("uri", ["https://a.b/c?d=e%20f", "mailto:x@y"], ["a b", "//a", "x:%zz"]),
    ],
)
def test_formats(name, good, bad):
    assert all(matches(name, text) for text in good)
    assert not any(matches(name, text) for text in bad)
