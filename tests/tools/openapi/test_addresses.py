"""Base addresses, and which network addresses are public."""

import ipaddress

import pytest
from ferrule.tools import ToolDefinitionError
from ferrule.tools.openapi.addresses import Address, Servers, is_public, read_address
from hypothesis import given
from hypothesis import strategies as st

PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd12::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "100::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "2001:0:7f00:1::",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "172.32.0.1",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address):
    assert is_public(address)


@given(st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=4, network="127.0.0.0/8"))
def test_a_private_address_in_ipv6_clothes(address):
    number = int(address)
    for prefix in (0xFFFF << 32, 0, 0x64FF9B << 96):
        assert not is_public(str(ipaddress.IPv6Address(prefix | number)))
    assert not is_public(str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80))))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://example.com", Address("https", "example.com", 443)),
        ("HTTP://Example.com:8080/v1/", Address("http", "example.com", 8080, "/v1")),
        ("https://[2606:4700::1]:444/a b", Address("https", "2606:4700::1", 444, "/a%20b")),
        ("https://bücher.example/", Address("https", "xn--bcher-kva.example", 443)),
        ("https://example.com./", Address("https", "example.com", 443)),
    ],
)
def test_reading(text, address):
    assert read_address(text) == address


def test_headers_and_text():
    assert str(Address("https", "2606:4700::1", 444, "/a")) == "https://[2606:4700::1]:444/a"
    assert Address("http", "example.com", 80).host_header == "example.com"
    assert Address("https", "example.com", 80).host_header == "example.com:80"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "ftp://example.com",
            "file:///etc/passwd",
            "example.com",
            "/v1",
            "https://",
            "https://u:p@example.com",
            "https://u@e.com",
        ),
        *(
            "https://example.com?x=1",
            "https://example.com#x",
            "https://exa mple.com",
            "https://example.com:99999",
            "https://a\r\nb/",
        ),
    ],
)
def test_what_is_no_base_address(text):
    with pytest.raises(ValueError, match=r"."):
        read_address(text)


def choose(levels, document="https://example.com/api/openapi.json", given=None):
    return str(Servers(document, document.startswith("http"), given).choose(levels, "GET /x"))


def test_choosing():
    a, b, c = ([{"url": f"https://{name}.example/{name}/"}] for name in "abc")
    assert choose([a, b, c]) == "https://a.example/a"
    assert choose([None, b, c]) == "https://b.example/b"
    assert choose([None, [], c]) == "https://c.example/c"
    # Relative ones are read against the document's address; without any it is "/".
    assert choose([None, None, [{"url": "../v2"}]]) == "https://example.com/v2"
    assert choose([None, None, [{"url": "v2"}]]) == "https://example.com/api/v2"
    assert choose([None, None, None]) == "https://example.com"
    variables = {"region": {"default": "eu", "enum": ["eu", "us"]}, "port": {"default": "8443"}}
    assert choose([None, None, [{"url": "https://{region}.e.com:{port}", "variables": variables}]]) == "https://eu.e.com:8443"


def test_given_servers():
    a, b = ([{"url": f"https://{name}.example/{name}"}] for name in "ab")
    given = ["https://mirror.example/x/", "https://b.example"]
    assert choose([None, None, a], given=given) == "https://mirror.example/x"
    assert choose([None, b, a], given=given) == "https://b.example/b"
    with pytest.raises(ToolDefinitionError, match=r"GET /x .*https://a\.example/a, which is not among the given"):
        choose([a, None, None], given=given)
    assert choose([None, None, None], document="/home/x/api.json", given=given) == "https://mirror.example/x"


@pytest.mark.parametrize(
    ("servers", "words"),
    [
        ([{"url": "/v1"}], ["relative", "servers="]),
        (None, ["relative", "servers="]),
        ([{"url": "ftp://x"}], ["ftp", "http"]),
        ([{"url": "https://{host}/"}], ["no default", "{host}"]),
        ([{"url": "https://{host}/", "variables": {"host": {"default": "u:p@e.com"}}}], ["password"]),
        (["https://x"], ["list of objects"]),
        ({"url": "x"}, ["list of objects"]),
    ],
)
def test_servers_that_cannot_be(servers, words):
    with pytest.raises(ToolDefinitionError) as caught:
        choose([None, None, servers], document="/home/x/api.json")
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("given", [[], ["example.com"], ["ftp://x"]])
def test_given_servers_that_cannot_be(given):
    with pytest.raises(ToolDefinitionError, match="servers"):
        Servers("/a.json", False, given)
