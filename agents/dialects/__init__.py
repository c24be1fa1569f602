"""How models are prompted for tools and how they write calls: one small file per dialect."""

from __future__ import annotations

from ..errors import AgentError
from .needle import NeedleDialect
from .turn import Turn

Dialect = NeedleDialect  # the shape that every dialect has
_DIALECTS = {dialect.name: dialect for dialect in (NeedleDialect,)}


def get_dialect(name: str) -> Dialect:
    """The dialect of that name.

    Raises:
        AgentError: there is none.
    """
    if name not in _DIALECTS:
        raise AgentError(f"no dialect is called {name!r}; there are: {', '.join(_DIALECTS)}")
    return _DIALECTS[name]()


__all__ = ["Dialect", "NeedleDialect", "Turn", "get_dialect"]
