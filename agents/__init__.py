"""From a goal in plain words to validated, executed tool calls."""

from .agent import Agent
from .budget import Budget
from .decision import Decision
from .errors import AgentError, ContextError, LogError, ParseError, RunError, SchemaError, ScriptError, UsageError
from .log import RunLog, read_log
from .permissions import Permissions
from .replay import replay
from .requests import Approve
from .scripted import ScriptedModel
from .steps import (
    Answer,
    Approval,
    Call,
    Goal,
    Observation,
    Part,
    Plan,
    Question,
    Refusal,
    Run,
    RunUsage,
    Source,
    Step,
    Stop,
    step_from_json,
    to_json,
)

__all__ = [
    "Agent",
    "AgentError",
    "Answer",
    "Approval",
    "Approve",
    "Budget",
    "Call",
    "ContextError",
    "Decision",
    "Goal",
    "LogError",
    "Observation",
    "ParseError",
    "Part",
    "Permissions",
    "Plan",
    "Question",
    "Refusal",
    "Run",
    "RunError",
    "RunLog",
    "RunUsage",
    "SchemaError",
    "ScriptError",
    "ScriptedModel",
    "Source",
    "Step",
    "Stop",
    "UsageError",
    "read_log",
    "replay",
    "step_from_json",
    "to_json",
]
