"""Operations of a document: their names, their arguments, and what they may do."""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import quote

from ..errors import ToolDefinitionError, one_line
from ..schema import Schema, validator
from ..tool import Permission
from .addresses import Address, Servers
from .bodies import Body, is_json, read_body
from .document import Document
from .responses import Responses
from .schemas import Schemas
from .security import Security
from .styles import STYLES

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_SAFE = frozenset({"get", "head", "options", "trace"})
_IDEMPOTENT = _SAFE | {"put", "delete"}
# The specification gives the first three to other parts of an operation; the others belong to the connection.
_IGNORED_HEADERS = frozenset(
    {"accept", "content-type", "authorization", "host", "content-length", "transfer-encoding", "connection", "keep-alive"}
    | {"te", "trailer", "upgrade", "expect", "accept-encoding", "cookie", "proxy-authorization", "proxy-connection"}
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Parameters by place and name, each with the file it is in.
Declared = dict[tuple[str, str], tuple[dict[str, Any], str]]
_TEXT = 1000
"""Characters of a description that a model is shown."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of an operation.

    Attributes:
        name: On the wire.
        where: "path", "query", "header" or "cookie".
        argument: Name of the tool's argument.
        is_json: Sent as JSON text, because the document describes it by `content`.
        default: Sent when a required parameter is not given; None when it has none.
    """

    name: str
    where: str
    argument: str
    style: str
    explode: bool
    allow_reserved: bool
    is_json: bool
    is_required: bool
    default: Any


@dataclass(frozen=True)
class Operation:
    """One operation, ready to be called.

    Attributes:
        name: Of the tool.
        method: In upper case.
        path: Template of the path.
        schema: JSON Schema of the arguments, exact; what a tool shows may be a little wider (see `relaxed`).
        idempotent: Whether the same call twice does what it does once.
        key_header: Name of the header by which the server knows a repeated call, if it does; it is no argument.
    """

    name: str
    description: str
    method: str
    path: str
    server: Address
    parameters: tuple[Parameter, ...]
    body: Body | None
    schema: Schema
    permission: Permission
    idempotent: bool
    key_header: str | None
    security: Security
    responses: Responses

    @property
    def title(self) -> str:
        """Method and path, for messages."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Place:
    """Where an operation stands in the document."""

    name: str
    method: str
    path: str
    raw: dict[str, Any]
    file: str
    item: dict[str, Any]
    item_file: str


def places(document: Document) -> list[Place]:
    """All operations, in the order of the document, with names that are unique.

    An operation is called by its `operationId`, or else by method and path: `GET /users/{id}` is `get_users_id`. Of two that
    would be called alike, the later one gets a number.
    """
    found: list[Place] = []
    taken: set[str] = set()
    for path, item in document.root.get("paths", {}).items():
        if path.startswith("x-"):
            continue
        if not path.startswith("/") or re.search(r"[?#\s]", path):
            raise ToolDefinitionError(
                f"{document.address}: the path {one_line(path, 100)!r} must begin with / and have no query"
            )
        target, file = document.follow(item, document.address, f"path {path}")
        for method in METHODS:
            if method in target:
                raw, where = document.follow(target[method], file, f"{method.upper()} {path}")
                name = _unique(_name(raw, method, path), taken)
                taken.add(name)
                found.append(Place(name, method, path, raw, where, target, file))
    return found


def _name(raw: Mapping[str, Any], method: str, path: str) -> str:
    given = raw.get("operationId")
    if isinstance(given, str) and given.strip():
        return _short("".join(c if c.isprintable() else " " for c in given).strip())
    return _short("_".join([method, *re.findall(r"[A-Za-z0-9]+", path)]))


def _short(name: str) -> str:
    if len(name) <= 120:
        return name
    return f"{name[:107]}_{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:12]}"


def _unique(name: str, taken: set[str]) -> str:
    number, unique = 2, name
    while unique in taken:
        unique, number = f"{name}_{number}", number + 1
    return unique


def selected(found: Sequence[Place], wanted: Sequence[str] | None, address: str) -> list[Place]:
    """The operations that are asked for by name, by "METHOD /path", or by a pattern of either with `*`.

    Raises:
        ToolDefinitionError: If there is none, or one entry fits nothing.
    """
    if isinstance(wanted, str):
        raise ToolDefinitionError(f"operations must be a list of names, received the text {one_line(wanted, 80)!r}")
    if not found:
        raise ToolDefinitionError(f"{address}: no tools found (the document has no operations)")
    chosen: set[str] = set()
    for entry in wanted if wanted is not None else ["*"]:
        fits = [place.name for place in found if _fits(place, entry)]
        if not fits:
            names = one_line(", ".join(place.name for place in found), 300)
            raise ToolDefinitionError(f"{address}: no operation is called {one_line(entry, 80)!r}; there are: {names}")
        chosen.update(fits)
    if not chosen:
        raise ToolDefinitionError("operations: the list is empty, so there are no tools")
    return [place for place in found if place.name in chosen]


def _fits(place: Place, entry: str) -> bool:
    names = (place.name, f"{place.method.upper()} {place.path}")
    # Only * is special.
    pattern = re.sub(r"[\[?]", lambda match: f"[{match[0]}]", entry)
    return entry in names or any(fnmatch.fnmatchcase(name, pattern) for name in names)


class Reader:
    """Reads operations of one document.

    Args:
        document: The document.
        servers: Chooses base addresses.
    """

    def __init__(self, document: Document, servers: Servers) -> None:
        self.document = document
        self.servers = servers
        self.requests = Schemas(document, "request")
        self.answers = Schemas(document, "response")
        components = document.root.get("components")
        raw = components.get("securitySchemes") if isinstance(components, dict) else None
        self.schemes = {
            name: document.follow(scheme, document.address, f"security scheme {name}")[0]
            for name, scheme in (raw if isinstance(raw, dict) else {}).items()
        }

    def read(self, place: Place) -> Operation:
        """One operation.

        Raises:
            ToolDefinitionError: If the document says something of it that cannot be; it names the operation.
        """
        title = f"{place.method.upper()} {place.path}"
        try:
            return self._read(place, title)
        except ToolDefinitionError as error:
            raise ToolDefinitionError(f"{title}: {error}") from None
        except RecursionError:
            raise ToolDefinitionError(f"{self.document.address}: {title}: its schemas are nested too deeply") from None

    def _read(self, place: Place, title: str) -> Operation:
        raw, document = place.raw, self.document
        document.check_references(raw, place.file)
        document.check_references(place.item.get("parameters"), place.item_file)
        requirements = raw["security"] if "security" in raw else document.root.get("security", [])
        security = Security(requirements, self.schemes, title)
        declared = self._declared(place, security)
        key_header = self._key_header(declared)
        parameters, properties, required = self._parameters(place, declared)
        body = None
        # In 3.0 a body of these "shall be ignored".
        if "requestBody" in raw and not (document.version == "3.0" and place.method in ("get", "head")):
            found = read_body(raw["requestBody"], place.file, document, self.requests, set(properties))
            if found is not None:
                body, more, needed = found
                properties |= more
                required += needed
        schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
        if not required:
            del schema["required"]
        servers = (raw.get("servers"), place.item.get("servers"), document.root.get("servers"))
        return Operation(
            name=place.name,
            description=_description(raw),
            method=place.method.upper(),
            path=place.path,
            server=self.servers.choose(servers, title),
            parameters=tuple(parameters),
            body=body,
            schema=self.requests.closed(schema),
            permission=_permission(raw, place.method),
            idempotent=place.method in _IDEMPOTENT or key_header is not None,
            key_header=key_header,
            security=security,
            responses=Responses(raw.get("responses"), place.file, document, self.answers, title),
        )

    def _key_header(self, declared: Declared) -> str | None:
        """Takes the Idempotency-Key out of the parameters, where a UUID is what it may be: a model has none to give."""
        for (where, name), (raw, file) in declared.items():
            if where == "header" and name.lower() == "idempotency-key":
                schema = self.requests.closed(self.requests.translate(raw.get("schema") or {}, file))
                if validator(schema).is_valid("f81d4fae-7dec-11d0-a765-00a0c91e6bf6"):
                    del declared[where, name]
                    return name
        return None

    def _parameters(self, place: Place, found: Declared) -> tuple[list[Parameter], dict[str, Schema], list[str]]:
        missing = set(re.findall(r"\{([^{}]*)\}", place.path)) - {name for where, name in found if where == "path"}
        if missing:
            raise ToolDefinitionError(f"the path has {{{min(missing)}}}, for which no path parameter is declared")
        names = [name for _, name in found]
        parameters, properties, required = [], {}, []
        for (where, name), (raw, file) in found.items():
            # A name that is used in several places gets the place for a prefix in all of them.
            argument = _unique(name if names.count(name) == 1 else f"{where}_{name}", set(properties))
            parameter, schema = self._parameter(raw, file, where, name, argument)
            parameters.append(parameter)
            properties[argument] = schema
            if parameter.is_required and parameter.default is None:
                required.append(argument)
        return parameters, properties, required

    def _declared(self, place: Place, security: Security) -> Declared:
        """Parameters by place and name; those of the operation replace those of the path."""
        found: Declared = {}
        for raw, file in _listed(place):
            parameter, where = self.document.follow(raw, file, "a parameter")
            name, location = parameter.get("name"), parameter.get("in")
            if not isinstance(name, str) or not name or location not in STYLES:
                raise ToolDefinitionError(
                    f"a parameter needs a name, and to be in {', '.join(STYLES)}; received {one_line(repr(parameter), 100)}"
                )
            if location in ("header", "cookie") and not _NAME.fullmatch(name):
                raise ToolDefinitionError(f"{one_line(name, 80)!r} is no name of a {location}")
            unused = location == "path" and f"{{{name}}}" not in place.path
            ignored = location == "header" and name.lower() in _IGNORED_HEADERS
            if not unused and not ignored and not security.carries(location, name):
                found[location, name] = (parameter, where)
        return found

    def _parameter(self, raw: dict[str, Any], file: str, where: str, name: str, argument: str) -> tuple[Parameter, Schema]:
        styles = STYLES[where]
        style = raw.get("style") or styles[0]
        if style not in styles:
            raise ToolDefinitionError(f"the {where} parameter {name!r} has the style {style!r}; it may be {', '.join(styles)}")
        content = raw.get("content")
        if isinstance(content, dict) and content:
            media_type, media = next(iter(content.items()))
            media, media_file = self.document.follow(media or {}, file, f"content of the parameter {name!r}")
            source, source_file, as_json = media.get("schema") or {}, media_file, is_json(media_type)
        else:
            source, source_file, as_json = raw.get("schema") or {}, file, False
        schema = self.requests.translate(source, source_file)
        plain = self.requests.definition(schema)
        if where == "path" and plain.get("type") == "string" and not as_json and not plain.keys() & {"enum", "const"}:
            schema = {**plain, "minLength": max(1, plain.get("minLength", 0))}
        if isinstance(raw.get("description"), str):
            schema = {**schema, "description": one_line(raw["description"], _TEXT)}
        explode = raw.get("explode", style == "form")
        parameter = Parameter(
            name=name,
            where=where,
            argument=argument,
            style=style,
            explode=explode is True,
            allow_reserved=raw.get("allowReserved") is True and where == "query",
            is_json=as_json,
            is_required=raw.get("required") is True or where == "path",
            default=plain.get("default"),
        )
        return parameter, schema


def _listed(place: Place) -> Iterator[tuple[Any, str]]:
    for holder, file in ((place.item, place.item_file), (place.raw, place.file)):
        parameters = holder.get("parameters") or []
        if not isinstance(parameters, list):
            raise ToolDefinitionError(f"parameters must be a list, received {one_line(repr(parameters), 80)}")
        yield from ((raw, file) for raw in parameters)


def _description(raw: Mapping[str, Any]) -> str:
    texts = [
        one_line(text, _TEXT) for key in ("summary", "description") if isinstance(text := raw.get(key), str) and text.strip()
    ]
    if len(texts) == 2 and texts[1].startswith(texts[0].rstrip(".")):
        del texts[0]
    texts = [text if text.endswith((".", "!", "?", "…")) else f"{text}." for text in texts]
    return one_line(" ".join([*texts, *(["Deprecated."] if raw.get("deprecated") is True else [])]), _TEXT)


def _permission(raw: Mapping[str, Any], method: str) -> Permission:
    usual: Permission = "read" if method in _SAFE else "destructive" if method == "delete" else "write"
    given = raw.get("x-ferrule-permission", usual)
    if given not in get_args(Permission):
        allowed = ", ".join(get_args(Permission))
        raise ToolDefinitionError(f"x-ferrule-permission must be one of {allowed}, received {one_line(repr(given), 60)}")
    return given


def literal_path(text: str) -> str:
    """The fixed text of a path, percent-encoded where an address needs it."""
    return quote(text, safe="/:@!$&'()*+,;=~-._%")
