"""Errors of the agents room.

    AgentError
    ├── SchemaError    a tool's schema asks for something that a grammar cannot guarantee (the host's fault: it raises)
    ├── ParseError     generated text is not a turn of the dialect (the model's fault: an observation)
    └── LogError       a log cannot be written, read or understood

Every message is one line.
"""

from __future__ import annotations


class AgentError(Exception):
    """Base of every error that the agents room raises on purpose."""


class SchemaError(AgentError):
    """A tool's schema cannot be turned into a grammar that guarantees it; names the tool, the place and the keyword."""


class ParseError(AgentError):
    """Generated text is not a well-formed turn of the dialect."""


class LogError(AgentError):
    """A log of runs cannot be written, cannot be read, or is not one."""
