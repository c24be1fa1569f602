"""The rules of a run, as they stand in its log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

from .budget import Budget
from .confidence import MIN_CONFIDENCE, Calibration
from .dates import clock_of
from .errors import UsageError
from .permissions import Permissions
from .retrieval_shortlist import check_most


@dataclass(frozen=True)
class Settings:
    """The rules of a run; see `Agent`."""

    instructions: str = ""
    budget: Budget = field(default_factory=Budget)
    min_confidence: float = MIN_CONFIDENCE
    grounding: bool | Literal["strict"] = True
    permissions: Permissions = field(default_factory=Permissions)
    dry_run: bool = False
    clock: str | None = None
    planning: bool = False
    retrieve: int | None = None  # tools that the model is shown; None: all of them
    act_confidence: float = 0.0
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.instructions, str):
            raise UsageError(f"instructions are a text, received {self.instructions!r}; leave them out where there are none")
        if not isinstance(self.budget, Budget):
            raise UsageError(f"budget is a Budget, such as Budget(turns=3), received {self.budget!r}")
        if not isinstance(self.permissions, Permissions):
            raise UsageError(f"permissions are Permissions, such as Permissions(write='ask'), received {self.permissions!r}")
        for name in ("min_confidence", "act_confidence"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise UsageError(f"{name} is a number from 0 to 1, received {value!r}")
        if not (isinstance(self.grounding, bool) or self.grounding == "strict"):
            raise UsageError(f"grounding is True, False or 'strict', received {self.grounding!r}")
        if not isinstance(self.planning, bool):
            raise UsageError(f"planning is True or False, received {self.planning!r}")
        check_most(self.retrieve)
        try:
            self.now()
        except (TypeError, ValueError):
            example = "2026-11-22T14:30"
            raise UsageError(f"clock is a date and time such as {example!r}, received {self.clock!r}") from None

    def now(self) -> datetime | None:
        """When the run takes place: the clock, or what the instructions say of it; None where neither does."""
        return clock_of(self.instructions) if self.clock is None else datetime.fromisoformat(self.clock)

    def to_json(self) -> dict[str, Any]:
        """A JSON object with its fields."""
        permissions = {**vars(self.permissions), "tools": dict(self.permissions.tools)}
        calibration = None if self.calibration is None else dict(vars(self.calibration))
        return {**vars(self), "budget": dict(vars(self.budget)), "permissions": permissions, "calibration": calibration}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Settings:
        """The settings of a JSON object that may have other keys; TypeError, ValueError or KeyError where it has none."""
        values = {f.name: record[f.name] for f in fields(cls)}
        found = values["calibration"]
        values["calibration"] = None if found is None else Calibration.from_json(found)
        return cls(**{**values, "budget": Budget(**values["budget"]), "permissions": Permissions(**values["permissions"])})
