"""Secrets: which an operation needs, where they come from and go to, and that nobody else sees them.

A secret is read from the environment when a call needs it. For the scheme `petAuth` that is `FERRULE_AUTH_PETAUTH` (upper
case, whatever is no letter or digit as `_`); where two services call their schemes alike, `FERRULE_AUTH_PETAUTH_AT_<HOST>`
comes first, with the host spelt the same way: `FERRULE_AUTH_PETAUTH_AT_API_EXAMPLE_COM`.

| scheme | value of the variable |
| --- | --- |
| apiKey | the key |
| http basic | user:password |
| http bearer, oauth2, openIdConnect | the token |
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

from ..errors import ToolDefinitionError, one_line
from .errors import RequestError

REDACTED = "[redacted]"

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True)
class Scheme:
    """A way to authenticate.

    Attributes:
        name: As the document calls it.
        kind: "header", "query", "cookie", "basic", "bearer", or "" for one that is not supported.
        key: Name of the header, query parameter or cookie of an apiKey; of another kind, what it is, for messages.
    """

    name: str
    kind: str
    key: str = ""

    def variables(self, host: str) -> tuple[str, str]:
        """Environment variables that may hold the secret: for that host only, and for any."""
        plain = f"FERRULE_AUTH_{_spelt(self.name)}"
        return f"{plain}_AT_{_spelt(host)}", plain


@dataclass
class Credentials:
    """What one request carries to authenticate, and the texts to be kept from everybody else."""

    headers: list[tuple[str, str]] = field(default_factory=list, repr=False)
    query: list[tuple[str, str]] = field(default_factory=list, repr=False)
    cookies: list[tuple[str, str]] = field(default_factory=list, repr=False)
    secrets: set[str] = field(default_factory=set, repr=False)
    variables: tuple[str, ...] = ()


class Security:
    """What an operation asks for: any one of the alternatives, each of which may need several schemes.

    Args:
        requirements: `security` of the operation or the document.
        schemes: `components.securitySchemes`, references followed.
        where: The operation, for messages.

    Raises:
        ToolDefinitionError: If a scheme is not defined, or not what the specification allows.
    """

    def __init__(self, requirements: Any, schemes: Mapping[str, Any], where: str) -> None:
        if not isinstance(requirements, list) or not all(isinstance(item, dict) for item in requirements):
            raise ToolDefinitionError(f"{where}: security must be a list of objects")
        self.where = where
        self.alternatives = [[_scheme(name, schemes, where) for name in item] for item in requirements]

    def carries(self, place: str, name: str) -> bool:
        """Whether a parameter is where a secret goes; the model is not asked for it then."""
        return any(
            scheme.kind == place and (scheme.key == name or (place == "header" and scheme.key.lower() == name.lower()))
            for schemes in self.alternatives
            for scheme in schemes
        )

    def variables(self, host: str) -> list[str]:
        """The environment variables that may be set, one for each scheme."""
        return list(dict.fromkeys(scheme.variables(host)[1] for schemes in self.alternatives for scheme in schemes))

    def credentials(self, host: str) -> Credentials:
        """The first alternative whose secrets are all there.

        Raises:
            RequestError: If there is none; it names the variables to set.
        """
        if not self.alternatives:
            return Credentials()
        problems = []
        for schemes in self.alternatives:
            missing = [_missing(scheme, host) for scheme in schemes]
            if not any(missing):
                return _filled(schemes, host)
            problems.append(" and ".join(text for text in missing if text))
        raise RequestError(f"{self.where} needs authentication: {', or '.join(dict.fromkeys(problems))}")


def _scheme(name: str, schemes: Mapping[str, Any], where: str) -> Scheme:
    definition = schemes.get(name)
    if not isinstance(definition, dict):
        raise ToolDefinitionError(f"{where}: the security scheme {one_line(name, 80)!r} is not defined")
    kind = definition.get("type")
    if kind == "apiKey":
        place, key = definition.get("in"), definition.get("name")
        if place not in ("header", "query", "cookie") or not isinstance(key, str) or not key:
            raise ToolDefinitionError(f"{where}: the apiKey {name!r} needs a name, and to be in header, query or cookie")
        if place != "query" and not _TOKEN.fullmatch(key):
            raise ToolDefinitionError(f"{where}: the apiKey {name!r}: {one_line(key, 80)!r} is no name of a {place}")
        return Scheme(name, place, key)
    if kind in ("oauth2", "openIdConnect"):
        return Scheme(name, "bearer")
    scheme = str(definition.get("scheme", "")).lower() if kind == "http" else ""
    return Scheme(name, scheme) if scheme in ("basic", "bearer") else Scheme(name, "", f"{kind} {scheme}".strip())


def _spelt(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def _secret(scheme: Scheme, host: str) -> str:
    return next((value for name in scheme.variables(host) if (value := os.environ.get(name, "").strip())), "")


def _missing(scheme: Scheme, host: str) -> str:
    """Why a scheme cannot be used; "" when it can."""
    variable = scheme.variables(host)[1]
    if not scheme.kind:
        return f"the scheme {one_line(scheme.name, 60)!r} is {one_line(scheme.key, 60)}, which is not supported"
    secret = _secret(scheme, host)
    if not secret:
        what = {"basic": "user:password", "bearer": "the token"}.get(scheme.kind, "the key")
        return f"set the environment variable {variable} to {what}"
    if not secret.isprintable() or (scheme.kind in ("header", "bearer", "cookie") and not secret.isascii()):
        return f"the value of {variable} holds characters that cannot be sent"
    if scheme.kind == "cookie" and re.search(r'[\s",;\\]', secret):
        return f"the value of {variable} holds characters that a cookie cannot have"
    if scheme.kind == "basic" and ":" not in secret:
        return f"the value of {variable} must be user:password"
    return ""


def _filled(schemes: Sequence[Scheme], host: str) -> Credentials:
    found = Credentials(variables=tuple(scheme.variables(host)[1] for scheme in schemes))
    for scheme in schemes:
        secret = _secret(scheme, host)
        found.secrets.add(secret)
        if scheme.kind == "basic":
            token = base64.b64encode(secret.encode("utf-8")).decode("ascii")
            found.secrets |= {token, secret.partition(":")[2]} - {""}
            found.headers.append(("Authorization", f"Basic {token}"))
        elif scheme.kind == "bearer":
            found.headers.append(("Authorization", f"Bearer {secret}"))
        elif scheme.kind == "header":
            found.headers.append((scheme.key, secret))
        elif scheme.kind == "query":
            found.query.append((quote(scheme.key, safe=""), quote(secret, safe="")))
        else:
            found.cookies.append((scheme.key, secret))
    return found


class Redactor:
    """Replaces secrets, and the ways in which they may be spelt in an answer, by `[redacted]`."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._exact = frozenset(secrets)
        spelt = {text for secret in self._exact for text in _spellings(secret)} - {""}
        # The longest first: one secret may be part of another.
        self._pattern = (
            re.compile("|".join(re.escape(text) for text in sorted(spelt, key=len, reverse=True))) if spelt else None
        )

    def text(self, text: str) -> str:
        """A text without secrets."""
        return self._pattern.sub(REDACTED, text) if self._pattern else text

    def bytes(self, data: bytes) -> bytes:
        """Bytes without secrets; the same bytes when they hold none."""
        for secret in sorted(self._exact, key=len, reverse=True):
            data = data.replace(secret.encode("utf-8"), REDACTED.encode())
        return data

    def value(self, value: Any) -> Any:
        """A JSON value without secrets, in keys, texts and numbers."""
        if not self._pattern:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.value(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool) and str(value) in self._exact:
            return REDACTED
        return value


def _spellings(secret: str) -> set[str]:
    encoded = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    return {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]} | encoded
