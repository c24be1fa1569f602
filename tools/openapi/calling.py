"""A call of an operation: arguments become a request, the answer becomes a value."""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from ..call import canonical
from ..effects import effect_key
from ..errors import RetryCall, ToolError
from .client import Client, Request
from .operations import Operation, Parameter, literal_path
from .security import Credentials, Redactor
from .styles import escape, escape_reserved, header_text, path_text, query_pairs

logger = logging.getLogger(__name__)


class Call:
    """The function behind a tool; called with the arguments by keyword.

    Args:
        operation: What is called.
        client: What sends it.
    """

    def __init__(self, operation: Operation, client: Client) -> None:
        self.operation = operation
        self.client = client

    def __call__(self, /, **arguments: Any) -> Any:
        """Sends the request and returns the answer's JSON value.

        Raises:
            RetryCall: If the arguments cannot be sent, or the server says that they are wrong.
            ToolFailed: If there is no answer, or not one that the document promises (see errors.py).
        """
        operation = self.operation
        host = operation.server.host
        credentials = operation.security.credentials(host)
        redactor = Redactor(credentials.secrets)
        start = time.monotonic()
        try:
            reply = self.client.send(self.request(arguments, credentials), redactor.text)
            logger.debug("%s: status %d after %.3f s", operation.title, reply.status, time.monotonic() - start)
            variables = credentials.variables or operation.security.variables(host)
            return operation.responses.read(reply, operation.method, redactor, variables)
        except ToolError as error:
            # The one place where every message passes; what it was made from would hold the secret still.
            error.args = (redactor.text(str(error)),)
            error.__cause__ = error.__context__ = None
            raise

    def request(self, arguments: Mapping[str, Any], credentials: Credentials | None = None) -> Request:
        """The request for some arguments, which satisfy the operation's schema.

        Raises:
            RetryCall: If a value cannot be sent where it belongs.
        """
        operation, credentials = self.operation, credentials or Credentials()
        values = [(parameter, self._value(parameter, arguments)) for parameter in operation.parameters]
        given = [(parameter, value) for parameter, value in values if value is not None]
        query: list[tuple[str, str]] = []
        cookies = list(credentials.cookies)
        headers = [("Accept", operation.responses.accept), ("User-Agent", "ferrule")]
        for parameter, value in given:
            if parameter.where in ("query", "cookie"):
                encode = escape_reserved if parameter.allow_reserved else escape
                pairs = query_pairs(parameter.name, value, parameter.style, parameter.explode, encode)
                if not pairs and parameter.is_required:
                    pairs = [(escape(parameter.name), "")]
                (query if parameter.where == "query" else cookies).extend(pairs)
            elif parameter.where == "header":
                headers.append((parameter.name, _header(parameter.name, header_text(value, parameter.explode))))
        if operation.key_header is not None:
            # The same for every attempt at one call of a run, and new for every other call.
            key = uuid.uuid5(uuid.NAMESPACE_OID, effect_key()) if effect_key() else uuid.uuid4()
            headers.append((operation.key_header, str(key)))
        if cookies:
            headers.append(("Cookie", "; ".join(f"{name}={text}" for name, text in cookies)))
        body = None
        if operation.body is not None and (encoded := operation.body.encode(arguments)) is not None:
            body, content_type = encoded
            headers.append(("Content-Type", content_type))
        elif operation.method in ("POST", "PUT", "PATCH"):
            body = b""
        target = operation.server.path + self._path(given)
        if query := [*query, *credentials.query]:
            target += "?" + "&".join(f"{name}={text}" for name, text in query)
        return Request(operation.method, operation.server, target, (*headers, *credentials.headers), body)

    def _value(self, parameter: Parameter, arguments: Mapping[str, Any]) -> Any:
        value = arguments.get(parameter.argument)
        if parameter.argument not in arguments and parameter.is_required:
            value = parameter.default
        if parameter.is_json and (value is not None or parameter.argument in arguments):
            return json.dumps(canonical(value), ensure_ascii=parameter.where == "header", separators=(",", ":"))
        return value

    def _path(self, given: Sequence[tuple[Parameter, Any]]) -> str:
        """The path with its parameters. No value can add a segment, leave one out, or climb out of one."""
        texts = {parameter.name: (parameter, value) for parameter, value in given if parameter.where == "path"}
        segments = []
        for segment in self.operation.path.split("/"):
            pieces = re.split(r"\{([^{}]*)\}", segment)
            for index in range(1, len(pieces), 2):
                parameter, value = texts.get(pieces[index], (None, None))
                text = "" if parameter is None else path_text(parameter.name, value, parameter.style, parameter.explode)
                if text in ("", ";") or (text == "." and value != "."):
                    raise RetryCall(f"{pieces[index]} must not be empty: it is part of the path {self.operation.path}")
                pieces[index] = text
            done = "".join(piece if index % 2 else literal_path(piece) for index, piece in enumerate(pieces))
            if len(pieces) > 1 and unquote(done) in (".", ".."):
                raise RetryCall(
                    f"{pieces[1]!r} cannot be part of the path {self.operation.path}: it would change where it leads"
                )
            segments.append(done)
        return "/".join(segments)


def _header(name: str, text: str) -> str:
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", text):
        raise RetryCall(f"{name} must not hold line breaks or other control characters: it is sent as a header")
    if text != text.strip(" \t"):
        raise RetryCall(f"{name} must not begin or end with white space: it is sent as a header")
    return text
