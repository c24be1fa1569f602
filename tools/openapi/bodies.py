"""Request bodies: which media type is sent, which arguments make it up, and how they are encoded."""

from __future__ import annotations

import base64
import binascii
import json
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..call import canonical
from ..errors import RetryCall, ToolDefinitionError, one_line
from ..schema import Schema
from .document import Document
from .schemas import Schemas
from .styles import STYLES, escape, escape_reserved, query_pairs, text_of

Kind = Literal["json", "form", "multipart", "text", "binary"]

FORM = "application/x-www-form-urlencoded"
_TEXT = re.compile(r"text/.*|.*[/+](?:xml|yaml|x-yaml)|application/(?:graphql|sql|javascript|jsonl|x-ndjson|x-jsonlines)")
_PATTERN = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
_FILE: Schema = {"type": "string", "description": "The bytes as base64.", "contentEncoding": "base64", "pattern": _PATTERN}

# Keywords of a schema whose properties can become arguments: nothing else restricts the object.
_PLAIN = frozenset({"type", "properties", "required", "title", "description", "additionalProperties", "allOf"})


@dataclass(frozen=True)
class Part:
    """How one property of a form is sent.

    Attributes:
        media_type: Its content type; "" for plain text.
        is_file: The argument is base64, and bytes are sent.
        style: For urlencoded forms; None when the content type decides.
    """

    media_type: str = ""
    is_file: bool = False
    style: str | None = None
    explode: bool = True
    allow_reserved: bool = False


@dataclass(frozen=True)
class Body:
    """The body of an operation.

    Attributes:
        media_type: As the document names it.
        is_required: Whether there is always one.
        argument: Name of the argument that is the whole body; None when `names` are arguments of their own.
        names: Properties of the body that are arguments.
        type_argument: Name of the argument with the media type, where the document names only a range, as image/*.
    """

    media_type: str
    kind: Kind
    is_required: bool
    argument: str | None
    names: tuple[str, ...] = ()
    parts: Mapping[str, Part] = field(default_factory=dict)
    type_argument: str | None = None

    def encode(self, arguments: Mapping[str, Any]) -> tuple[bytes, str] | None:
        """The bytes and the content type; None when there is no body.

        Raises:
            RetryCall: If an argument cannot be sent as it is.
        """
        if self.argument is None:
            value: Any = {name: arguments[name] for name in self.names if name in arguments}
            if not value and not self.is_required:
                return None
        elif self.argument not in arguments:
            return None
        else:
            value = arguments[self.argument]
        media_type = arguments[self.type_argument] if self.type_argument else self.media_type
        match self.kind:
            case "json":
                return _json(value), media_type
            case "text":
                return text_of(value).encode("utf-8"), media_type if "charset" in media_type else f"{media_type}; charset=utf-8"
            case "binary":
                return _bytes(value, str(self.argument)), media_type
            case "form":
                return self._form(value).encode("ascii"), media_type
        boundary = uuid.uuid4().hex
        return b"".join(self._multipart(value, boundary)), f"multipart/form-data; boundary={boundary}"

    def _form(self, value: Any) -> str:
        pairs = []
        for name, item in value.items() if isinstance(value, dict) else ():
            part = self.parts.get(name, Part())
            if part.style is not None:
                encode = escape_reserved if part.allow_reserved else escape
                pairs += query_pairs(name, item, part.style, part.explode, encode)
                continue
            for one in item if isinstance(item, list) else [item]:
                if one is not None:
                    text = _json(one).decode() if is_json(part.media_type) else text_of(one)
                    pairs.append((escape(name), escape(text)))
        return "&".join(f"{name}={text}" for name, text in pairs)

    def _multipart(self, value: Any, boundary: str) -> Iterator[bytes]:
        for name, item in value.items() if isinstance(value, dict) else ():
            part = self.parts.get(name, Part())
            for one in item if isinstance(item, list) else [item]:
                if one is None:
                    continue
                headers = f'Content-Disposition: form-data; name="{_quoted(name)}"'
                media_type = part.media_type
                if part.is_file:
                    data, media_type = _bytes(one, name), media_type or "application/octet-stream"
                    headers += f'; filename="{_quoted(name)}"'
                elif is_json(media_type) or isinstance(one, dict | list):
                    data, media_type = _json(one), media_type or "application/json"
                else:
                    data = text_of(one).encode("utf-8")
                if media_type:
                    headers += f"\r\nContent-Type: {media_type}"
                yield f"--{boundary}\r\n{headers}\r\n\r\n".encode() + data + b"\r\n"
        yield f"--{boundary}--\r\n".encode()


def is_json(media_type: str) -> bool:
    """Whether a media type is JSON, as application/json and all that end in +json are."""
    plain = plain_type(media_type)
    return plain.endswith("+json") or plain.partition("/")[2] == "json"


def is_text(media_type: str) -> bool:
    """Whether content of a media type is text to be sent and shown as it is."""
    return _TEXT.fullmatch(plain_type(media_type)) is not None


def plain_type(media_type: str) -> str:
    """A media type in lower case and without parameters."""
    return media_type.partition(";")[0].strip().lower()


def read_body(
    raw: Any, file: str, document: Document, schemas: Schemas, taken: set[str]
) -> tuple[Body, dict[str, Schema], list[str]] | None:
    """A request body, the arguments that make it up, and which of those are required; None when it has no content.

    Args:
        raw: The request body object, or a reference to it.
        file: Where it stands.
        document: Follows references.
        schemas: Translates schemas.
        taken: Names of the other arguments.

    Raises:
        ToolDefinitionError: If it is not what the specification allows.
    """
    raw, file = document.follow(raw, file, "requestBody")
    content = raw.get("content")
    if not isinstance(content, dict) or not content:
        return None
    is_required = raw.get("required") is True
    media_type = min(content, key=_preference)
    media, file = document.follow(content[media_type] or {}, file, f"content {media_type!r}")
    schema = schemas.translate(media.get("schema") or {}, file)
    kind = _kind(media_type)
    description = raw.get("description")
    found = properties_of(schema, schemas) if kind in ("json", "form", "multipart") else None
    parts: dict[str, Part] = {}
    if found is not None and kind in ("form", "multipart"):
        properties, required = found
        encodings = media.get("encoding") if isinstance(media.get("encoding"), dict) else {}
        for name, inner in properties.items():
            parts[name], properties[name] = _part(encodings.get(name), inner, schemas, kind, f"{file}: encoding of {name!r}")
        schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    elif kind == "binary":
        schema = _FILE | _notes(schema)
    elif kind == "text" and schemas.definition(schema).get("type") != "string":
        schema = {"type": "string"} | _notes(schema)
    if found is not None:
        properties, required = found
        if not set(properties) & taken and (is_required or not required):
            return Body(media_type, kind, is_required, None, tuple(properties), parts), properties, required
    name = _free("body", taken)
    if isinstance(description, str) and "description" not in schema:
        schema = {**schema, "description": one_line(description, 500)}
    properties, type_argument = {name: schema}, None
    if "*" in media_type:
        media_type, type_argument = _chosen(media_type, _free("content_type", taken))
        if type_argument:
            pattern = "^" + re.escape(media_type.partition("/")[0]).replace(r"\*", "[a-z]+") + "/[a-z0-9.+-]+$"
            properties[type_argument] = {"type": "string", "pattern": pattern, "description": "Media type of the body."}
    required = list(properties) if is_required else []
    return Body(media_type, kind, is_required, name, (), parts, type_argument), properties, required


def properties_of(schema: Schema, schemas: Schemas) -> tuple[dict[str, Schema], list[str]] | None:
    """Properties, and the required ones, of an object that nothing else restricts; None for all other schemas."""
    parts = _parts(schema, schemas, frozenset())
    if parts is None:
        return None
    properties: dict[str, Schema] = {}
    required: list[str] = []
    is_closed = False
    for part in parts:
        for name, inner in part.get("properties", {}).items():
            inner = inner if isinstance(inner, dict) else {} if inner else {"not": {}}
            same = name not in properties or properties[name] == inner
            properties[name] = inner if same else {"allOf": [properties[name], inner]}
        required += [name for name in part.get("required", []) if name not in required]
        additional = part.get("additionalProperties", True)
        is_closed |= additional is False
        if additional not in (True, False, {}):
            return None  # a map: names of its own are the point of it
    says_something = [part for part in parts if part.keys() & {"properties", "required", "additionalProperties"}]
    if (is_closed and len(says_something) > 1) or not (properties or is_closed):
        return None
    for name in required:
        properties.setdefault(name, {})
    return properties, required


def _parts(schema: Schema, schemas: Schemas, seen: frozenset[str]) -> list[Schema] | None:
    """A schema and the members of its `allOf`; None where a keyword stands that more than names properties."""
    reference = schema.get("$ref", "")
    schema = schemas.definition(schema)
    if schema.keys() - _PLAIN or schema.get("type", "object") != "object" or reference in seen:
        return None
    found = [schema]
    for member in schema.get("allOf", ()):
        parts = _parts(member, schemas, seen | {reference} - {""}) if isinstance(member, dict) else None
        if parts is None:
            return None
        found = [*found, *parts]
    return found


def _kind(media_type: str) -> Kind:
    plain = plain_type(media_type)
    if is_json(plain) or plain in ("*/*", "application/*"):
        return "json"
    if plain == FORM:
        return "form"
    if plain.startswith("multipart/"):
        return "multipart"
    return "text" if is_text(plain) else "binary"


def _preference(media_type: str) -> int:
    return ("json", "form", "multipart", "text", "binary").index(_kind(media_type)) * 2 + ("*" in media_type)


def _chosen(media_type: str, argument: str) -> tuple[str, str | None]:
    """What is sent for a range of media types, or else the argument that says what."""
    usual = {"*/*": "application/json", "application/*": "application/json", "text/*": "text/plain"}
    plain = plain_type(media_type)
    if plain.startswith("multipart/"):
        return "multipart/form-data", None
    return (usual[plain], None) if plain in usual else (plain, argument)


def _part(raw: Any, schema: Schema, schemas: Schemas, kind: Kind, where: str) -> tuple[Part, Schema]:
    """How a property is sent, and its schema as an argument: bytes are given as base64."""
    encoding = raw if isinstance(raw, dict) else {}
    media_type = str(encoding.get("contentType", "")).partition(",")[0].strip()
    if not re.fullmatch(r"[\x20-\x7e]*", media_type):
        raise ToolDefinitionError(f"{where}: {media_type!r} is no content type")
    inner = schemas.definition(schema)
    items = schemas.definition(inner["items"]) if isinstance(inner.get("items"), dict) else None
    if kind == "multipart" and _is_file(inner, media_type):
        return Part(_concrete(media_type), True), _FILE | _notes(inner)
    if kind == "multipart" and inner.get("type") == "array" and items is not None and _is_file(items, media_type):
        return Part(_concrete(media_type), True), {**inner, "items": _FILE | _notes(items)}
    if kind == "multipart" or not {"style", "explode", "allowReserved"} & encoding.keys():
        return Part(media_type), schema
    style = encoding.get("style", "form")
    if style not in STYLES["query"]:
        raise ToolDefinitionError(f"{where}: the style {one_line(repr(style), 60)} is none of {', '.join(STYLES['query'])}")
    explode = encoding.get("explode", style == "form")
    return Part(media_type, False, style, explode is True, encoding.get("allowReserved") is True), schema


def _is_file(schema: Schema, media_type: str) -> bool:
    if schema.get("format") == "binary":
        return True
    if "contentEncoding" in schema or schema.get("type", "string") != "string":
        return False
    named = media_type or schema.get("contentMediaType", "")
    is_bare = not schema.keys() - {"type", "title", "description", "contentMediaType"}
    if named:
        return is_bare and not is_text(named) and not is_json(named)
    return is_bare and "type" not in schema and bool(schema.keys() & {"contentMediaType"})


def _concrete(media_type: str) -> str:
    return "" if "*" in media_type else media_type


def _notes(schema: Schema) -> Schema:
    return {key: schema[key] for key in ("title", "description") if key in schema}


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name = f"request_{name}"
    return name


def _json(value: Any) -> bytes:
    return json.dumps(canonical(value), ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _bytes(value: Any, name: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise RetryCall(f"{name} must be base64 text, received {one_line(repr(value), 80)}") from None


def _quoted(name: str) -> str:
    """A name inside quotes in a part's header, as browsers write it."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
