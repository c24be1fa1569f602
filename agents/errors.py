"""Errors of the agents room.

    AgentError
    ├── SchemaError    a tool's schema asks for something that a grammar cannot guarantee (the host's fault: it raises)
    ├── UsageError     an agent, a budget or a goal is not what it should be (the host's fault; also a ValueError)
    ├── ParseError     generated text is not a turn of the dialect (the model's fault: the run ends with `Stop("malformed")`)
    ├── LogError       a log cannot be written, read or understood, or a run does not follow it
    │   └── LogEnds    a run that has nothing but its log comes to the end of it
    ├── ContextError   goal and tools do not fit the model's context
    ├── ScriptError    a scripted model was asked for what its script does not have (a test's fault: it raises)
    └── RunError       a run did not do what was asked (raised by `Run.raise_for_status` only)

Every message is one line.
"""

from __future__ import annotations


class AgentError(Exception):
    """Base of every error that the agents room raises on purpose."""


class SchemaError(AgentError):
    """A tool's schema cannot be turned into a grammar that guarantees it; names the tool, the place and the keyword."""


class UsageError(AgentError, ValueError):
    """An argument of an agent or a budget, or a goal, is not what it should be; says what was received."""


class ParseError(AgentError):
    """Generated text is not a well-formed turn of the dialect."""


class LogError(AgentError):
    """A log of runs cannot be written, cannot be read, or is not one."""


class LogEnds(LogError):
    """A run that has nothing but its log has come to the end of it."""


class ContextError(AgentError):
    """Goal and tools together are longer than the model's context."""


class ScriptError(AgentError):
    """The script of a `ScriptedModel` is over, or one of its turns is not possible under the agent's grammar."""


class RunError(AgentError):
    """A run was refused, stopped by a budget, or ended with a call that failed."""
