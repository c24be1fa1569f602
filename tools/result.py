"""Turns what a tool returns (or a host passes in) into plain JSON values."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
import sys
import uuid
from collections.abc import Mapping, Sequence, Set, ValuesView
from pathlib import PurePath
from typing import Any

from .errors import ToolResultError, describe

MAX_DEPTH = 100
MAX_RESULT_BYTES = 1 << 20


def to_json(value: Any, max_bytes: int | None = MAX_RESULT_BYTES) -> Any:
    """`value` as dicts with text keys, lists, str, int, float, bool and None; always a copy.

    Dataclasses, pydantic models and mappings become objects; tuples, sets (sorted, so that a replay sees the same
    order) and other sequences become lists; enums their values; dates, times, UUIDs and paths text; arrays and array
    scalars whatever their `tolist()` gives.

    Args:
        value: Anything.
        max_bytes: Limit on the size of the compact UTF-8 JSON text, in bytes; None for no limit.

    Raises:
        ToolResultError: If something in it has no JSON form (NaN, infinity, bytes, objects, text that is not valid
            Unicode), if it contains itself, is nested deeper than 100 levels, or is larger than `max_bytes`.
    """
    try:
        plain = _Converter(max_bytes).convert(value, "", 0)
        text = json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(text.encode("utf-8"))
    except ToolResultError:
        raise
    except UnicodeEncodeError:
        raise ToolResultError("the result contains text that is not valid Unicode (a lone surrogate)") from None
    except Exception as error:
        raise ToolResultError(f"the result cannot be written as JSON: {describe(error)}") from error
    if max_bytes is not None and size > max_bytes:
        raise ToolResultError(_too_large(f"{size} bytes of JSON", max_bytes))
    return plain


def _too_large(received: str, max_bytes: int) -> str:
    return (
        f"the result is too large: {received}, at most {max_bytes} bytes are allowed, so nothing of it was kept "
        "(return less, or raise max_result_bytes)"
    )


class _Converter:
    def __init__(self, max_bytes: int | None) -> None:
        self.max_bytes = max_bytes
        self.nodes = 0
        self.active: set[int] = set()

    def convert(self, value: Any, at: str, depth: int) -> Any:
        self.nodes += 1
        # Every value takes at least one byte, so a huge result stops here and not after it was copied whole.
        if self.max_bytes is not None and self.nodes > self.max_bytes:
            raise ToolResultError(_too_large(f"more than {self.max_bytes} values", self.max_bytes))
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, enum.Enum):
            return self.convert(value.value, at, depth + 1)
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise ToolResultError(f"the result contains {float(value)}{_where(at)}, which JSON does not have")
            return float(value)
        if isinstance(value, (datetime.date, datetime.time)):
            return value.isoformat()
        if isinstance(value, (PurePath, uuid.UUID)):
            return str(value)
        return self._container(value, at, depth)

    def _container(self, value: Any, at: str, depth: int) -> Any:
        if id(value) in self.active:
            raise ToolResultError(f"the result contains itself{_where(at)}")
        if depth >= MAX_DEPTH:
            raise ToolResultError(f"the result is nested deeper than {MAX_DEPTH} levels")
        self.active.add(id(value))
        try:
            if dataclasses.is_dataclass(value) and not isinstance(value, type):
                items = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
                return self._object(items, at, depth)
            if _is_pydantic_model(value):
                return self.convert(value.model_dump(mode="json"), at, depth + 1)
            if isinstance(value, Mapping):
                return self._object(value, at, depth)
            if isinstance(value, Set):
                listed = [self.convert(item, at, depth + 1) for item in value]
                return sorted(listed, key=lambda item: json.dumps(item, sort_keys=True))
            if isinstance(value, (Sequence, ValuesView)) and not isinstance(value, (bytes, bytearray, memoryview)):
                return [self.convert(item, f"{at}/{index}", depth + 1) for index, item in enumerate(value)]
            if not isinstance(value, type) and callable(getattr(value, "tolist", None)):
                size = getattr(value, "size", 0)
                if self.max_bytes is not None and isinstance(size, int) and size > self.max_bytes:
                    raise ToolResultError(_too_large(f"an array of {size} numbers", self.max_bytes))
                return self.convert(value.tolist(), at, depth + 1)
        finally:
            self.active.discard(id(value))
        raise ToolResultError(
            f"the result contains a {type(value).__name__}{_where(at)}, which is not JSON "
            "(return dict, list, str, int, float, bool or None)"
        )

    def _object(self, value: Mapping[Any, Any], at: str, depth: int) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        for key, item in value.items():
            text = _key(key, at)
            if text in plain:
                raise ToolResultError(f"the result has two keys that are both {text!r} in JSON{_where(at)}")
            plain[text] = self.convert(item, f"{at}/{text}", depth + 1)
        return plain


def _key(key: Any, at: str) -> str:
    if isinstance(key, enum.Enum):
        key = key.value
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, (datetime.date, PurePath, uuid.UUID)):
        return key.isoformat() if isinstance(key, datetime.date) else str(key)
    if key is None or isinstance(key, (bool, int)) or (isinstance(key, float) and math.isfinite(key)):
        # As json.dumps writes them: true, null, 1, 0.5.
        return json.dumps(key)
    raise ToolResultError(f"the result has a key of type {type(key).__name__}{_where(at)}; JSON keys are text")


def _where(at: str) -> str:
    return f" at {at}" if at else ""


def _is_pydantic_model(value: Any) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(value, pydantic.BaseModel)
