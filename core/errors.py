"""The errors of this room.

CoreError
├── UnknownBackendError         no backend has that name
├── BackendNotInstalledError    the framework behind a backend cannot be imported
├── ElementTypeError            the backend has no such element type
└── ShapeError                  arrays given for a module are missing, unknown or misshaped
"""

from collections.abc import Sequence


def first_few(names: Sequence[str], between: str = ", ", most: int = 3) -> str:
    """Names for a message, which stays one line however many there are.

    >>> first_few(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    return between.join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


class CoreError(Exception):
    """Base of every error that core raises on purpose; the message is one line that says what to do."""


class UnknownBackendError(CoreError, ValueError):
    """The name is not that of a backend."""


class BackendNotInstalledError(CoreError, ImportError):
    """The framework behind the backend is not installed."""


class ElementTypeError(CoreError, TypeError):
    """The backend has no such element type."""


class ShapeError(CoreError, ValueError):
    """Arrays for a module are missing, unknown or misshaped."""
