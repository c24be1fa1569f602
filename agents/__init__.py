"""From a goal in plain words to validated, executed tool calls."""

from .agent import Agent
from .budget import Budget
from .decision import Decision
from .errors import AgentError, ContextError, LogError, ParseError, RunError, SchemaError, ScriptError, UsageError
from .log import RunLog, read_log
from .scripted import ScriptedModel
from .steps import Answer, Call, Goal, Observation, Refusal, Run, RunUsage, Step, Stop, step_from_json, to_json

__all__ = [
    "Agent",
    "AgentError",
    "Answer",
    "Budget",
    "Call",
    "ContextError",
    "Decision",
    "Goal",
    "LogError",
    "Observation",
    "ParseError",
    "Refusal",
    "Run",
    "RunError",
    "RunLog",
    "RunUsage",
    "SchemaError",
    "ScriptError",
    "ScriptedModel",
    "Step",
    "Stop",
    "UsageError",
    "read_log",
    "step_from_json",
    "to_json",
]
