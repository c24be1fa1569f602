"""Tools that come along: files and folders, a calendar, a database, a simulated home, a web service.

Each of them is a module with a `make_tools` whose parameters are what the user decides: which folder, which file. An agent
preset names it, as `presets/agents/*.json` do.

>>> from ferrule.tools.library import make_tools
>>> home = make_tools("home")
>>> home["set_lights"].call({"room": "kitchen", "state": "on"})["state"]
'on'
"""

from ..origin import Origin, origin_of
from .sources import LIBRARY, Option, absolute, made, make_tools, options_of

__all__ = ["LIBRARY", "Option", "Origin", "absolute", "made", "make_tools", "options_of", "origin_of"]
