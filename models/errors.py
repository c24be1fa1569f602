"""Errors of the models room.

    ModelError
    ├── WeightsError          a weights file is missing, truncated, tampered with or of another format
    ├── ConfigError           a model's configuration is incomplete, contradicts itself or asks for what is not supported
    ├── TokenizerError        a tokenizer cannot be built, or a text cannot be encoded
    ├── GrammarError          a grammar does not compile
    ├── ConstraintError       a token was committed that the constraint does not allow
    ├── ChatTemplateError     a chat template cannot be read, does too much, reaches too far or refuses the messages
    ├── OptionError           an option of a model or of a generation has a value that it cannot have
    ├── ContextLengthError    prompt and output do not fit the model's context
    └── TaskError             a model is asked for what it was not made for: an encoder for text, a decoder for vectors

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


class ChatTemplateError(ModelError):
    """A chat template cannot be read, does more than it may, reaches for what is not offered, or refuses the messages."""


class OptionError(ModelError, ValueError):
    """An option of a model or of a generation has a value that it cannot have."""


class ContextLengthError(ModelError):
    """The prompt (and the output asked for) does not fit the model's context."""


class TaskError(ModelError, AttributeError):
    """A model is asked for what it was not made for; that it lacks it is what `hasattr` says, too."""
