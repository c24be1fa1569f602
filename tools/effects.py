"""The key of an effect: the same for every attempt to carry out one call of one run, and for no other call.

A tool that changes something outside can hand it on (as an Idempotency-Key header, as a unique column), so that the same effect
does not happen twice even where nobody knows whether the first attempt got through.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_KEY: ContextVar[str] = ContextVar("ferrule_effect_key", default="")


def effect_key() -> str:
    """Key of the call that is being executed; empty outside of a run."""
    return _KEY.get()


@contextmanager
def effect(key: str) -> Iterator[None]:
    """Calls that are executed in this block have that key."""
    token = _KEY.set(key)
    try:
        yield
    finally:
        _KEY.reset(token)
