"""openapi-core as the judge of recorded requests.

It decodes what a web framework hands it; this file is that framework. Where openapi-core asks for more than one has (the raw
text of a label or matrix parameter, an exploded object under its own name), it gets the raw text from the request.
"""

from __future__ import annotations

import io
import re
import urllib.parse
from http.cookies import SimpleCookie
from typing import Any

from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict
from werkzeug.formparser import parse_form_data

from .service import Recorded


class Framework:
    """A request in openapi-core's protocol."""

    def __init__(self, recorded: Recorded, raw: dict[str, Any], template: str, host_url: str) -> None:
        path, _, query = recorded.target.partition("?")
        self.host_url, self.path = host_url, path
        self.method = recorded.method.lower()
        self.body = recorded.body
        self.content_type = recorded.header("content-type") or ""
        declared = {(item["in"], item["name"]): item for item in raw}
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(_query(query, declared)),
            header=Headers(recorded.headers),
            cookie=ImmutableMultiDict(_cookies(recorded.header("cookie") or "")),
            path=_path(path, template, declared),
        )


def _query(query: str, declared: dict[tuple[str, str], Any]) -> list[tuple[str, str]]:
    found = urllib.parse.parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    for (where, name), item in declared.items():
        if where == "query" and item.get("style") == "spaceDelimited":
            found = [(key, value.replace(" ", "%20") if key == name else value) for key, value in found]
        schema = item.get("schema", {})
        if where == "query" and item.get("style", "form") == "form" and item.get("explode", True) and "properties" in schema:
            own = [(key, value) for key, value in found if key in schema["properties"]]
            found = [pair for pair in found if pair not in own] + [(name, "&".join(f"{key}={value}" for key, value in own))]
    return found


def _cookies(header: str) -> list[tuple[str, str]]:
    jar = SimpleCookie(header)
    return [(name, urllib.parse.unquote(morsel.value)) for name, morsel in jar.items()]


def _path(path: str, template: str, declared: dict[tuple[str, str], Any]) -> dict[str, str]:
    names = re.findall(r"\{([^{}]*)\}", template)
    pattern = "([^/]*)".join(re.escape(piece) for piece in re.split(r"\{[^{}]*\}", template))
    match = re.fullmatch(f"/v1{pattern}", path)
    assert match, f"{path} is no path of {template}"
    found = {}
    for name, text in zip(names, match.groups(), strict=True):
        item = declared["path", name]
        mark = {"simple": "", "label": ".", "matrix": ";"}[item.get("style", "simple")]
        key = f"{mark}{name}{'*' if mark and item.get('explode') else ''}"
        found[key] = urllib.parse.unquote(text, errors="strict")
    return found


class Judge:
    """Validates requests of one document."""

    def __init__(self, document: dict[str, Any], host_url: str) -> None:
        self.document = document
        self.host_url = host_url
        self.api = OpenAPI.from_dict(document)
        self.api.check_spec()

    def declared(self, template: str, method: str) -> list[dict[str, Any]]:
        item = self.document["paths"][template]
        found: dict[tuple[str, str], Any] = {}
        for raw in [*item.get("parameters", []), *item[method].get("parameters", [])]:
            raw = self.document["components"]["parameters"]["Id"] if "$ref" in raw else raw
            found[raw["in"], raw["name"]] = raw
        return list(found.values())

    def read(self, recorded: Recorded, template: str) -> dict[str, Any]:
        """Parameters by name, and the body under "body", as openapi-core understands them; raises what it objects to."""
        method = recorded.method.lower()
        request = Framework(recorded, self.declared(template, method), template, self.host_url)
        result = self.api.unmarshal_request(request)
        result.raise_for_errors()
        found: dict[str, Any] = {}
        for where in ("path", "query", "header", "cookie"):
            found |= {f"{where} {name}": value for name, value in getattr(result.parameters, where).items()}
        if recorded.body:
            found["body"] = result.body
        return found


def files(recorded: Recorded) -> dict[str, bytes]:
    """Files of a multipart body by name, as werkzeug reads them."""
    environ = {
        "wsgi.input": io.BytesIO(recorded.body),
        "CONTENT_LENGTH": str(len(recorded.body)),
        "CONTENT_TYPE": recorded.header("content-type"),
        "REQUEST_METHOD": "POST",
    }
    _, _, found = parse_form_data(environ)
    return {name: storage.read() for name, storage in found.items()}
