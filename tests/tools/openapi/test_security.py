"""Where secrets come from, where they go, and where they never show."""

import base64
import json
import logging

import pytest
from ferrule.tools import ToolCall, ToolDefinitionError
from ferrule.tools.openapi import RequestError
from ferrule.tools.openapi.security import REDACTED, Redactor, Security
from hypothesis import given, settings
from hypothesis import strategies as st

from .api import SECRETS, SECURITY_SCHEMES
from .service import Answer, Recorded

SECRET = "s3cr/et +ü"


def security(*alternatives, **schemes):
    return Security([{name: [] for name in names} for names in alternatives], {**SECURITY_SCHEMES, **schemes}, "GET /x")


def test_each_kind(secrets):
    found = security(["headerKey", "queryKey", "cookieKey"]).credentials("h")
    assert found.headers == [("X-Api-Key", "hk-0123456789")]
    assert found.query == [("api_key", "qk%2F%2B%26%3D%3F%C3%A9")]
    assert found.cookies == [("session", "ck-abcdef")]
    (header,) = security(["userPassword"]).credentials("h").headers
    assert header[0] == "Authorization"
    assert base64.b64decode(header[1].removeprefix("Basic ")).decode() == SECRETS["FERRULE_AUTH_USERPASSWORD"]
    for name, token in (("token", "bearer-token-1"), ("oauth", "oauth-token-2"), ("oidc", "oidc-token-3")):
        assert security([name]).credentials("h").headers == [("Authorization", f"Bearer {token}")]


def test_the_first_alternative_that_is_there(secrets, monkeypatch):
    either = security(["headerKey", "queryKey"], ["token"])
    assert either.credentials("h").headers == [("X-Api-Key", "hk-0123456789")]
    monkeypatch.delenv("FERRULE_AUTH_QUERYKEY")
    assert either.credentials("h").headers == [("Authorization", "Bearer bearer-token-1")]
    monkeypatch.delenv("FERRULE_AUTH_TOKEN")
    with pytest.raises(RequestError) as caught:
        either.credentials("h")
    assert "FERRULE_AUTH_QUERYKEY" in str(caught.value)
    assert "FERRULE_AUTH_TOKEN" in str(caught.value)
    assert "FERRULE_AUTH_HEADERKEY" not in str(caught.value)
    assert security(["token"], []).credentials("h").headers == []
    assert security().credentials("h").headers == []


def test_a_secret_of_one_host_only(secrets, monkeypatch):
    monkeypatch.setenv("FERRULE_AUTH_TOKEN_AT_API_EXAMPLE_COM", "for-example-only")
    one = security(["token"])
    assert one.credentials("api.example.com").headers == [("Authorization", "Bearer for-example-only")]
    assert one.credentials("other.example").headers == [("Authorization", "Bearer bearer-token-1")]


def test_names_of_variables(monkeypatch):
    odd = security(["my-api.key 2"], **{"my-api.key 2": {"type": "http", "scheme": "Bearer"}})
    with pytest.raises(RequestError, match="set the environment variable FERRULE_AUTH_MY_API_KEY_2 to the token"):
        odd.credentials("h")
    monkeypatch.setenv("FERRULE_AUTH_MY_API_KEY_2", "  t\n")
    assert odd.credentials("h").headers == [("Authorization", "Bearer t")]


@pytest.mark.parametrize(
    ("scheme", "value", "words"),
    [
        ("token", "a\r\nX: y", "cannot be sent"),
        ("token", "é", "cannot be sent"),
        ("cookieKey", "a;b", "cookie"),
        ("userPassword", "nobody", "user:password"),
        ("headerKey", "   ", "set the environment variable"),
    ],
)
def test_values_that_cannot_be_sent(monkeypatch, scheme, value, words):
    monkeypatch.setenv(f"FERRULE_AUTH_{scheme.upper()}", value)
    with pytest.raises(RequestError, match=words) as caught:
        security([scheme]).credentials("h")
    assert not value.strip() or value not in str(caught.value)


@pytest.mark.parametrize(
    "scheme",
    [{"type": "mutualTLS"}, {"type": "http", "scheme": "digest"}, {"type": "http"}, {"type": "psychic"}],
)
def test_schemes_that_are_not_supported(scheme):
    with pytest.raises(RequestError, match="not supported"):
        security(["x"], x=scheme).credentials("h")


@pytest.mark.parametrize(
    ("requirements", "schemes", "words"),
    [
        ([{"x": []}], {}, "not defined"),
        ({"x": []}, {}, "list of objects"),
        ([{"x": []}], {"x": {"type": "apiKey", "in": "body", "name": "k"}}, "header, query or cookie"),
        ([{"x": []}], {"x": {"type": "apiKey", "in": "header", "name": "a\nb"}}, "no name of a header"),
    ],
)
def test_documents_that_cannot_be(requirements, schemes, words):
    with pytest.raises(ToolDefinitionError, match=words):
        Security(requirements, schemes, "GET /x")


def paths(**parts):
    content = {
        "application/json": {"schema": {"type": "object"}},
        "text/plain": {"schema": {"type": "string"}},
        "image/png": {},
    }
    response = {"description": "", "content": content}
    return {"/x": {"get": {"operationId": "x", "security": [{"key": []}], "responses": {"200": response}, **parts}}}


def schemes(kind):
    definition = {"http": {"type": "http", "scheme": kind}, "apiKey": {"type": "apiKey", "in": kind, "name": "k"}}
    return {"securitySchemes": {"key": definition["http" if kind in ("basic", "bearer") else "apiKey"]}}


def test_a_parameter_that_is_the_key_is_no_argument(load):
    parameters = [{"name": "k", "in": "query", "schema": {"type": "string"}}, {"name": "q", "in": "query", "schema": {}}]
    tools = load(paths(parameters=parameters), components=schemes("query"))
    assert list(tools["x"].parameters["properties"]) == ["q"]


def echoes(request):
    """Everything that came in, sent back in every form."""
    text = json.dumps({"target": request.target, "headers": request.headers, "body": request.body.decode()})
    yield Answer(200, {"Content-Type": "application/json", "X-Echo": request.target + str(request.headers)}, text.encode())
    yield Answer(200, {"Content-Type": "text/plain"}, text.encode())
    yield Answer(200, {"Content-Type": "image/png"}, text.encode())
    yield Answer(200, {"Content-Type": "application/json"}, text.encode() + b"}")
    for cut in range(0, 120, 3):  # messages quote what is wrong, and end somewhere in it
        yield Answer(200, {"Content-Type": "application/json"}, json.dumps("x" * cut + text).encode())
    yield Answer(200, {"Content-Type": "text/html"}, text.encode())
    yield Answer(400, {"Content-Type": "application/json"}, text.encode())
    yield Answer(401, {"Content-Type": "text/plain"}, text.encode())
    yield Answer(404, {"Content-Type": "application/json"}, b" " * 250 + text.encode())
    yield Answer(429, {"Retry-After": request.target}, text.encode())
    yield Answer(302, {"Location": f"http://elsewhere.example{request.target}"}, b"")
    yield Answer(418, {}, text.encode())


@pytest.mark.parametrize("kind", ["header", "query", "cookie", "basic", "bearer"])
def test_secrets_never_show(service, load, monkeypatch, caplog, kind):
    secret = {"basic": "user:pass/w +örd9", "query": SECRET}.get(kind, "plain-secret-42")
    monkeypatch.setenv("FERRULE_AUTH_KEY", secret)
    tools = load(paths(), components=schemes(kind))
    caplog.set_level(logging.DEBUG)
    for index in range(len(list(echoes(Recorded("GET", "/x", [], b""))))):
        service.answer = lambda request, index=index: list(echoes(request))[index]
        result = tools.execute(ToolCall("x", {}))
        sent = service.requests[-1]
        seen = json.dumps([result.value, result.error], ensure_ascii=False) + caplog.text + repr(tools["x"])
        for text in {secret, secret.partition(":")[2] or secret, travelled(sent, kind)}:
            assert text not in seen, (index, text)
            assert text[:8] not in seen, (index, text)
        if result.value and "base64" in result.value:
            assert secret.encode() not in base64.b64decode(result.value["base64"])
    assert REDACTED in caplog.text  # the echoed header, in the log of the HTTP library


def travelled(sent, kind):
    """The secret as it was sent."""
    match kind:
        case "query":
            return sent.target.partition("k=")[2]
        case "basic" | "bearer":
            return sent.header("authorization").partition(" ")[2]
    return sent.header({"header": "k", "cookie": "cookie"}[kind]).removeprefix("k=")


@settings(max_examples=30, deadline=None)
@given(st.text(min_size=1), st.recursive(st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_redaction_of_values(secret, value):
    def texts(value):
        if isinstance(value, dict):
            yield from (text for pair in value.items() for part in pair for text in texts(part))
        elif isinstance(value, list):
            yield from (text for item in value for text in texts(item))
        else:
            yield value if isinstance(value, str) else ""

    redactor = Redactor({secret})
    clean = redactor.value([value, {secret: f"x{secret}y"}])
    assert all(secret not in text.replace(REDACTED, "\0") for text in texts(clean))


def test_redaction_leaves_the_rest_alone():
    redactor = Redactor({"12345", "12345678"})
    assert redactor.value({"a": 12345, "b": "x12345678y", "c": [True, None, 1.5]}) == {
        "a": REDACTED,
        "b": f"x{REDACTED}y",
        "c": [True, None, 1.5],
    }
    value = {"a": [1, "b"]}
    assert Redactor(set()).value(value) is value
