"""Errors of the models room.

    ModelError
    ├── WeightsError          a weights file is missing, truncated, tampered with or of another format
    ├── ConfigError           a model's configuration is incomplete, contradicts itself or asks for what is not supported
    ├── TokenizerError        a tokenizer cannot be built, or a text cannot be encoded
    ├── GrammarError          a grammar does not compile
    ├── ConstraintError       a token was committed that the constraint does not allow
    └── ContextLengthError    prompt and output do not fit the model's context

Every message is one line: what was received, and what to do about it.
"""

from __future__ import annotations


class ModelError(Exception):
    """Base of every error that the models room raises on purpose."""


class WeightsError(ModelError):
    """A weights file is missing, truncated, tampered with or of another format."""


class ConfigError(ModelError):
    """A model's configuration is incomplete, contradicts itself or asks for what is not supported."""


class TokenizerError(ModelError):
    """A tokenizer cannot be built from its data, or a text cannot be encoded."""


class GrammarError(ModelError):
    """A grammar was rejected by the grammar engine."""


class ConstraintError(ModelError):
    """A token was committed that the constraint does not allow in its current state."""


class ContextLengthError(ModelError):
    """The prompt (and the output asked for) does not fit the model's context."""
