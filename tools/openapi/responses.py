"""Answers: what the document promises is checked, and what does not keep to it never becomes an observation."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from jsonschema import Draft202012Validator

from ..errors import RetryCall, ToolDefinitionError, describe, one_line
from ..schema import Schema, summary, validator, violations
from .bodies import is_json, is_text, plain_type
from .client import Reply
from .document import Document
from .errors import ResponseError, StatusError
from .schemas import Schemas
from .security import Redactor

MAX_SHOWN_BYTES = 256 << 10
"""Binary content up to this size is handed on as base64; of larger content only the size is told."""

_EXCERPT = 300


_OUTLINED = 5  # levels of a schema that are described
_MOST_OUTLINED = 40  # properties of a level


class Responses:
    """The answers that an operation may give.

    Args:
        raw: The `responses` object.
        file: Where it stands.
        document: Follows references.
        schemas: Translates schemas of responses; it does so when the first answer comes.
        where: The operation, for messages.
    """

    def __init__(self, raw: Any, file: str, document: Document, schemas: Schemas, where: str) -> None:
        self.raw: Mapping[str, Any] = raw if isinstance(raw, dict) else {}
        self.file = file
        self.document = document
        self.schemas = schemas
        self.where = where
        self._validators: dict[tuple[str, str], Draft202012Validator | None] = {}

    @property
    def accept(self) -> str:
        """Value of the Accept header: the media types of all answers."""
        found: dict[str, None] = {}
        for key in self.raw:
            if not key.startswith("x-"):
                response, _ = self.document.follow(self.raw[key], self.file, f"response {key}")
                found.update(dict.fromkeys(_content(response)))
        return ", ".join(name for name in found if re.fullmatch(r"[\x21-\x7e ]+", name)) or "*/*"

    def described(self) -> Schema | None:
        """The properties of an answer of success with their descriptions, without everything else of its schema."""
        key = next((key for key in self.raw if key in ("200", "201", "2XX", "2xx") or key == "default"), None)
        if key is None:
            return None
        response, file = self.document.follow(self.raw[key], self.file, f"response {key}")
        media = next((item for name, item in _content(response).items() if "json" in name and isinstance(item, dict)), None)
        return None if media is None else self._outline(media.get("schema"), file, _OUTLINED)

    def _outline(self, schema: Any, file: str, depth: int) -> Schema:
        """Properties and items of a schema, down to some depth."""
        if not isinstance(schema, dict) or not depth:
            return {}
        schema, file = self.document.follow(schema, file, "schema")
        found: Schema = {"description": schema["description"]} if isinstance(schema.get("description"), str) else {}
        members = [schema, *(part for part in schema.get("allOf", ()) if isinstance(part, dict))]
        properties: Schema = {}
        for member in members:
            member, place = self.document.follow(member, file, "schema")
            for name, item in list((member.get("properties") or {}).items())[:_MOST_OUTLINED]:
                properties[name] = self._outline(item, place, depth - 1)
        if properties:
            found["properties"] = properties
        if "items" in schema:
            found["items"] = self._outline(schema["items"], file, depth - 1)
        return found

    def read(self, reply: Reply, method: str, redactor: Redactor, variables: Sequence[str] = ()) -> Any:
        """The JSON value of an answer.

        Args:
            reply: The answer.
            method: Method of the request.
            redactor: Takes secrets out.
            variables: Environment variables with the secrets that were sent, or might be.

        Raises:
            RetryCall: Status 400 and 422: other arguments may do.
            StatusError: Any other status that is no success.
            ResponseError: A success that is not what the document promises.
        """
        if not 200 <= reply.status < 300:
            self._refused(reply, redactor, variables)
        key = self._key(reply.status)
        if key is None:
            declared = ", ".join(name for name in self.raw if not name.startswith("x-")) or "none"
            raise self._wrong(reply, f"which the document does not declare (declared: {declared})")
        response, file = self.document.follow(self.raw[key], self.file, f"response {key}")
        content = _content(response)
        if method == "HEAD" or reply.status in (204, 205) or (not reply.body and not content):
            return {"status": reply.status}
        media_type = plain_type(reply.headers.get("content-type", "")) or self._only(content)
        matching = _matching(media_type, content)
        if content and matching is None:
            promised = one_line(", ".join(content), 100)
            raise self._wrong(reply, f"with {one_line(media_type or 'no content type', 60)!r} where {promised} is promised")
        if not content and plain_type(media_type) in ("text/html", "application/xhtml+xml"):
            raise self._wrong(reply, "with an HTML page, which is not promised")
        check = self._validator(key, matching, content, file) if matching is not None else None
        if is_json(media_type):
            return self._json(reply, check, redactor)
        if is_text(media_type):
            text = self._text(reply)
            return redactor.value(text) if check is None else self._checked(reply, text, check, redactor)
        data = redactor.bytes(reply.body)
        shown = {"base64": base64.b64encode(data).decode("ascii")} if len(data) <= MAX_SHOWN_BYTES else {}
        return {"content_type": media_type or "application/octet-stream", "bytes": len(reply.body), **shown}

    def _key(self, status: int) -> str | None:
        for key in (str(status), f"{status // 100}XX", f"{status // 100}xx", "default"):
            if key in self.raw:
                return key
        return None

    def _only(self, content: Mapping[str, Any]) -> str:
        """The promised type, for an answer that does not say its own."""
        name = next(iter(content), "")
        return "" if len(content) != 1 or "*" in name else plain_type(name)

    def _wrong(self, reply: Reply, what: str) -> ResponseError:
        return ResponseError(f"{self.where} was answered with status {reply.status} {what}")

    # -- success ------------------------------------------------------------------------------------------------------

    def _validator(self, key: str, media: str, content: Mapping[str, Any], file: str) -> Draft202012Validator | None:
        # Calls may be made on several threads, and the schemas share their definitions.
        with self.schemas.lock:
            if (key, media) not in self._validators:
                self._validators[key, media] = self._made(media, content, file)
            return self._validators[key, media]

    def _made(self, media: str, content: Mapping[str, Any], file: str) -> Draft202012Validator | None:
        item, file = self.document.follow(content[media] or {}, file, f"content {media!r}")
        if "schema" not in item:
            return None
        try:
            schema = self.schemas.closed(self.schemas.translate(item["schema"], file))
        except (ToolDefinitionError, RecursionError) as error:
            raise ResponseError(f"{self.where}: the answer cannot be checked: {describe(error)}") from None
        # XML and the like have schemas of what they mean, not of their text.
        is_structured = is_text(media) and self.schemas.definition(schema).get("type", "string") != "string"
        return None if is_structured else validator(schema)

    def _json(self, reply: Reply, check: Draft202012Validator | None, redactor: Redactor) -> Any:
        if not reply.body.strip():
            raise self._wrong(reply, "and an empty body where JSON is promised")
        try:
            value = json.loads(reply.body.decode("utf-8-sig"), parse_constant=_no_constant)
        except json.JSONDecodeError as error:
            at = f"line {error.lineno}, column {error.colno}"
            raise self._wrong(reply, f"and a body that is not JSON ({error.msg} at {at})") from None
        except (ValueError, RecursionError) as error:
            raise self._wrong(reply, f"and a body that is not JSON ({one_line(redactor.text(str(error)), 100)})") from None
        return redactor.value(value) if check is None else self._checked(reply, value, check, redactor)

    def _checked(self, reply: Reply, value: Any, check: Draft202012Validator, redactor: Redactor) -> Any:
        clean = redactor.value(value)
        if violations(check, value):
            # Told of the clean value: messages quote it, and a cut may leave half of a secret.
            found = violations(check, clean)
            what = summary([(at or "the body", text) for at, text in found]) if found else "it does not satisfy the schema"
            raise self._wrong(reply, f"and a body that is not as promised: {redactor.text(what)}")
        return clean

    def _text(self, reply: Reply) -> str:
        charset = re.search(r"charset=[\"']?([\w.:-]+)", reply.headers.get("content-type", ""), re.IGNORECASE)
        try:
            return reply.body.decode(charset[1] if charset else "utf-8")
        except (UnicodeDecodeError, LookupError):
            raise self._wrong(reply, "and text that is not in the character set that it names") from None

    # -- no success ---------------------------------------------------------------------------------------------------

    def _refused(self, reply: Reply, redactor: Redactor, variables: Sequence[str]) -> NoReturn:
        said = _excerpt(reply, redactor)
        message = f"{self.where} was answered with status {reply.status}{said}"
        if reply.status in (400, 422):
            raise RetryCall(message)
        if reply.status in (401, 403):
            named = " and ".join(variables)
            message += f" (is {named} right?)" if named else " (the document names no authentication for it)"
        if reply.status in (429, 503):
            after = one_line(redactor.text(reply.headers.get("retry-after", "")), 40)
            message += f" (retry after {after}{' s' if after.isdecimal() else ''})" if after else " (retry later)"
        raise StatusError(message, reply.status)


def _content(response: Mapping[str, Any]) -> Mapping[str, Any]:
    content = response.get("content")
    return content if isinstance(content, dict) else {}


def _matching(media_type: str, content: Mapping[str, Any]) -> str | None:
    """The most specific entry of `content` for a media type."""
    main = media_type.partition("/")[0]
    for wanted in (media_type, f"{main}/*", "*/*"):
        for name in content:
            if plain_type(name) == wanted:
                return name
    return None


def _excerpt(reply: Reply, redactor: Redactor) -> str:
    """What the server says about a failure, on one line."""
    media_type = plain_type(reply.headers.get("content-type", ""))
    text = redactor.text(reply.body[: 64 << 10].decode("utf-8", "replace")).strip()
    if not text:
        return ""
    if "html" in media_type or text[:1] == "<":
        return " and an HTML page" if "html" in media_type or "<html" in text[:500].lower() else " and XML"
    if not (is_json(media_type) or is_text(media_type) or not media_type):
        return f" and {len(reply.body)} bytes of {one_line(media_type, 60)}"
    return f": {one_line(text, _EXCERPT)}"


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
