"""What another engine delivered on some of the cases, to be scored beside ours with the same checker."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ...tools import ToolCall
from .bfcl import EvaluationError


def read_baseline(path: str | os.PathLike[str]) -> dict[str, list[ToolCall]]:
    """The calls of each case id, from ``{"source": …, "cases": [{"id", "category", "calls": [{"name", "arguments"}]}]}``.

    Raises:
        EvaluationError: the file cannot be read, or is something else.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        return {
            case["id"]: [ToolCall(call["name"], dict(call["arguments"])) for call in case["calls"]]
            for case in document["cases"]
        }
    except OSError as error:
        raise EvaluationError(f"the baseline {path} cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise EvaluationError(f"{path} is no baseline of BFCL cases: it is not JSON ({error})") from None
    except (KeyError, TypeError):
        shape = '{"cases": [{"id", "calls": [{"name", "arguments"}]}]}'
        raise EvaluationError(f"{path} is no baseline of BFCL cases: {shape} is expected") from None
