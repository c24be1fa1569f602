"""Errors of the hub.

HubError
├── PresetError        a preset cannot be loaded: unknown, of an unsupported kind, or with options it does not have
├── FetchError         its files cannot be found or fetched
├── PublishError       a model cannot be uploaded (`publishing`)
├── ParityError        backends cannot be compared on what was asked for
└── EvaluationError    a benchmark cannot be run (`evaluation`)
"""

from __future__ import annotations


class HubError(Exception):
    """Base of every error that the hub raises on purpose; the message is one line."""


class PresetError(HubError):
    """A preset is unknown, of an unsupported kind, or does not have an option that was asked for."""


class FetchError(HubError):
    """The files of a preset cannot be found, fetched or trusted."""


class ParityError(HubError):
    """Backends cannot be compared on what was asked for."""
