"""A simulated home: lights, heating, locks, blinds, timers and scenes, whose state is kept in a file or in memory."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from jsonschema import Draft202012Validator

from ..errors import RetryCall, ToolDefinitionError, ToolFailed, describe
from ..tool import Tool, shown, tool
from ..toolset import Toolset
from .limits import Limits
from .narrowing import narrowed
from .writing import write_whole

Colour = Literal["warm white", "cool white", "red", "orange", "yellow", "green", "blue", "purple", "pink"]
Mode = Literal["heat", "cool", "auto", "off"]
Blinds = Literal["open", "half open", "closed"]
_MOST_TIMERS = 50


def _room(**state: Any) -> dict[str, Any]:
    return {"lights": "off", "brightness": 100, "colour": "warm white", "blinds": "open", "temperature": 20.0, **state}


DEFAULT: dict[str, Any] = {
    "rooms": {
        "kitchen": _room(),
        "living room": _room(temperature=20.5),
        "bedroom": _room(temperature=18.0),
        "bathroom": _room(temperature=21.5),
        "study": _room(temperature=19.5),
        "hall": _room(temperature=18.5),
    },
    "doors": {"front door": "locked", "back door": "locked", "garage": "locked"},
    "thermostat": {"target": 20.0, "mode": "heat"},
    "timers": [],
    "scenes": {
        "good morning": {"lights": {"bedroom": 60, "kitchen": 100}, "blinds": "open", "target": 21.0},
        "movie night": {"lights": {"living room": 20, "kitchen": 0}, "blinds": "closed"},
        "good night": {"lights": {"all": 0}, "blinds": "closed", "target": 17.0, "lock": True},
        "away": {"lights": {"all": 0}, "target": 15.0, "lock": True},
    },
}
"""A home for whoever brings none: six rooms, three doors, four scenes."""

_NAME = {"type": "string", "minLength": 1, "maxLength": 60, "pattern": r"^\S(.*\S)?$"}
_PERCENT = {"type": "integer", "minimum": 0, "maximum": 100}
_DEGREES = {"type": "number", "minimum": 5, "maximum": 30}
_BLINDS = {"enum": ["open", "half open", "closed"]}


def _named(item: dict[str, Any], least: int = 1) -> dict[str, Any]:
    return {
        "type": "object",
        "propertyNames": _NAME,
        "additionalProperties": item,
        "minProperties": least,
        "maxProperties": 100,
    }


def _record(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_COLOURS = {"enum": ["warm white", "cool white", "red", "orange", "yellow", "green", "blue", "purple", "pink"]}
_SCHEMA = _record(
    ["rooms", "doors", "thermostat", "timers", "scenes"],
    rooms=_named(
        _record(
            ["lights", "brightness", "colour", "blinds", "temperature"],
            lights={"enum": ["on", "off"]},
            brightness=_PERCENT,
            colour=_COLOURS,
            blinds=_BLINDS,
            temperature={"type": "number", "minimum": -60, "maximum": 80},
        )
    ),
    doors=_named({"enum": ["locked", "unlocked"]}),
    thermostat=_record(["target", "mode"], target=_DEGREES, mode={"enum": ["heat", "cool", "auto", "off"]}),
    timers={
        "type": "array",
        "maxItems": _MOST_TIMERS,
        "items": _record(
            ["label", "minutes", "ends_at"],
            label=_NAME,
            minutes={"type": "number", "exclusiveMinimum": 0},
            ends_at={"type": "string", "format": "date-time"},
        ),
    },
    scenes=_named(_record([], lights=_named(_PERCENT), blinds=_BLINDS, target=_DEGREES, lock={"type": "boolean"})),
)
_VALIDATOR = Draft202012Validator(_SCHEMA)


def make_tools(state: Path | None = None) -> Toolset:
    """A simulated home: lights, heating, locks, blinds, timers and scenes.

    Args:
        state: JSON file with the state of the home, which is made where there is none; in memory by default.
    """
    home = _Home(Path(state) if state is not None else None)
    known = home.read()
    return Toolset(_with_names(made, known) for made in home.tools())


def _with_names(made: Tool, known: dict[str, Any]) -> Tool:
    """The tool, whose parameters list the names of this home: the grammar then has no others."""
    names = {
        "room": [*known["rooms"], "all"],
        "door": [*known["doors"], "all"],
        "scene": list(known["scenes"]),
    }
    return narrowed(made, names, trusted=True)


class _Home:
    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._memory = copy.deepcopy(DEFAULT)
        self._lock = threading.Lock()

    def tools(self) -> list[Tool]:
        same = {"permission": "write", "idempotent": True}
        return [
            tool(self.get_home_status),
            tool(**same)(self.set_lights),
            tool(**same)(self.set_thermostat),
            tool(**same)(self.set_blinds),
            tool(**same)(self.lock_door),
            tool(permission="destructive", idempotent=True)(self.unlock_door),
            tool(permission="write")(self.set_timer),
            tool(permission="write", idempotent=True)(self.cancel_timer),
            tool(permission="write", idempotent=True)(self.activate_scene),
        ]

    # -- the state ---------------------------------------------------------------------------------------------------

    def read(self) -> dict[str, Any]:
        """The state, checked.

        Raises:
            ToolDefinitionError: the file is no state of a home.
        """
        if self.path is None:
            return self._memory
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            if not self.path.parent.is_dir():
                raise ToolDefinitionError(f"there is no folder {shown(str(self.path.parent))} for the home's state") from None
            return copy.deepcopy(DEFAULT)
        except OSError as error:
            raise ToolDefinitionError(f"cannot read the home's state: {describe(error)}") from None
        try:
            found = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ToolDefinitionError(f"{self.path} is no JSON file: {describe(error)}") from None
        wrong = next(_VALIDATOR.iter_errors(found), None)
        if wrong is not None:
            at = "/".join(map(str, wrong.absolute_path)) or "the top"
            raise ToolDefinitionError(f"{self.path} is no state of a home: at {at}: {wrong.message}")
        return found

    def change(self, apply: Callable[[dict[str, Any]], Any]) -> Any:
        """What `apply` gives for the state, which it changes; kept if it does not raise."""
        with self._lock:
            try:
                state = copy.deepcopy(self.read())
            except ToolDefinitionError as error:
                raise ToolFailed(str(error)) from None
            _expire(state)
            result = apply(state)
            if self.path is None:
                self._memory = state
            else:
                write_whole(self.path, (json.dumps(state, indent=1, ensure_ascii=False) + "\n").encode())
            return result

    # -- the tools ---------------------------------------------------------------------------------------------------

    def get_home_status(self, room: str = "all") -> dict[str, Any]:
        """Get the state of the home: temperature, lights, blinds, doors and timers.

        Args:
            room: Only this room.
        """
        try:
            state = copy.deepcopy(self.read())
        except ToolDefinitionError as error:
            raise ToolFailed(str(error)) from None
        _expire(state)
        rooms = {
            name: f"{_degrees(r['temperature'])}, lights {_light(r)}, blinds {r['blinds']}"
            for name, r in state["rooms"].items()
            if room in ("all", name)
        }
        if room != "all":
            return {"room": room, "state": rooms[_known(state, "rooms", room)[0]]}
        heating = f"{state['thermostat']['mode']}, {_degrees(state['thermostat']['target'])}"
        return {"rooms": rooms, "doors": state["doors"], "thermostat": heating, "timers": state["timers"]}

    def set_lights(
        self,
        room: str,
        state: Literal["on", "off"],
        brightness: Annotated[int, Limits(ge=1, le=100)] | None = None,
        colour: Colour | None = None,
    ) -> dict[str, Any]:
        """Turn the lights in a room on or off, or dim or colour them.

        Args:
            room: The room.
            state: Whether the lights are on or off.
            brightness: Brightness in percent.
            colour: Colour of the light.
        """

        def apply(home: dict[str, Any]) -> dict[str, Any]:
            wanted = {"lights": state, "brightness": brightness, "colour": colour}
            for name in _known(home, "rooms", room):
                home["rooms"][name].update({key: value for key, value in wanted.items() if value is not None})
            return {"room": room, "state": state, **{k: v for k, v in wanted.items() if v is not None and k != "lights"}}

        return self.change(apply)

    def set_thermostat(self, temperature: Annotated[float, Limits(ge=5, le=30)], mode: Mode | None = None) -> dict[str, Any]:
        """Set the temperature of the heating in the whole home.

        Args:
            temperature: Temperature in degrees Celsius.
            mode: Whether to heat or to cool.
        """

        def apply(home: dict[str, Any]) -> dict[str, Any]:
            home["thermostat"]["target"] = temperature
            if mode is not None:
                home["thermostat"]["mode"] = mode
            return dict(home["thermostat"])

        return self.change(apply)

    def set_blinds(self, room: str, position: Blinds) -> dict[str, Any]:
        """Open or close the blinds in a room.

        Args:
            room: The room.
            position: Where the blinds should be.
        """

        def apply(home: dict[str, Any]) -> dict[str, Any]:
            for name in _known(home, "rooms", room):
                home["rooms"][name]["blinds"] = position
            return {"room": room, "blinds": position}

        return self.change(apply)

    def lock_door(self, door: str) -> dict[str, Any]:
        """Lock a door.

        Args:
            door: The door.
        """
        return self.change(lambda home: _turned(home, door, "locked"))

    def unlock_door(self, door: str) -> dict[str, Any]:
        """Unlock a door.

        Args:
            door: The door.
        """
        return self.change(lambda home: _turned(home, door, "unlocked"))

    def set_timer(self, minutes: Annotated[float, Limits(ge=0.1, le=1440)], label: str = "timer") -> dict[str, Any]:
        """Set a timer.

        Args:
            minutes: How long the timer runs, in minutes.
            label: What the timer is for.
        """

        def apply(home: dict[str, Any]) -> dict[str, Any]:
            if not label.strip() or len(label) > 60:
                raise RetryCall(f"a label has 1 to 60 characters, received {shown(label)}")
            if len(home["timers"]) >= _MOST_TIMERS:
                raise ToolFailed(f"there are {_MOST_TIMERS} timers already; cancel one first")
            ends = _now() + timedelta(minutes=minutes)
            timer = {"label": label.strip(), "minutes": minutes, "ends_at": ends.isoformat()}
            home["timers"].append(timer)
            return timer

        return self.change(apply)

    def cancel_timer(self, label: str = "timer") -> dict[str, Any]:
        """Cancel a timer.

        Args:
            label: What the timer is for.
        """

        def apply(home: dict[str, Any]) -> dict[str, Any]:
            kept = [timer for timer in home["timers"] if timer["label"].casefold() != label.strip().casefold()]
            if len(kept) == len(home["timers"]):
                running = ", ".join(timer["label"] for timer in kept)
                raise RetryCall(f"no timer is called {shown(label)}; running: {running or 'none'}")
            cancelled, home["timers"] = len(home["timers"]) - len(kept), kept
            return {"label": label.strip(), "cancelled": cancelled}

        return self.change(apply)

    def activate_scene(self, scene: str) -> dict[str, Any]:
        """Activate a scene, which sets lights, blinds, heating and locks at once.

        Args:
            scene: The scene.
        """

        def apply(home: dict[str, Any]) -> dict[str, Any]:
            wanted = home["scenes"][_known(home, "scenes", scene)[0]]
            for place, percent in wanted.get("lights", {}).items():
                for name in _known(home, "rooms", place):
                    lit = {"lights": "on", "brightness": percent} if percent else {"lights": "off"}
                    home["rooms"][name].update(lit)
            if "blinds" in wanted:
                for room in home["rooms"].values():
                    room["blinds"] = wanted["blinds"]
            if "target" in wanted:
                home["thermostat"]["target"] = wanted["target"]
            if wanted.get("lock"):
                _turned(home, "all", "locked")
            return {"scene": scene, "settings": wanted}

        return self.change(apply)


def _light(room: dict[str, Any]) -> str:
    return f"on ({room['brightness']}%, {room['colour']})" if room["lights"] == "on" else "off"


def _degrees(celsius: float) -> str:
    return f"{celsius:g} °C"


def _turned(home: dict[str, Any], door: str, state: str) -> dict[str, Any]:
    for name in _known(home, "doors", door):
        home["doors"][name] = state
    return {"door": door, "state": state}


def _known(home: dict[str, Any], kind: str, name: str) -> list[str]:
    if name == "all" and kind != "scenes":
        return list(home[kind])
    if name not in home[kind]:
        raise RetryCall(f"there is no {kind[:-1]} {shown(name)}; there are: {', '.join(home[kind])}")
    return [name]


def _expire(home: dict[str, Any]) -> None:
    """Without the timers that have rung; one whose time cannot be read is kept, and shown."""
    now = _now()

    def runs(timer: dict[str, Any]) -> bool:
        try:
            ends = datetime.fromisoformat(timer["ends_at"])
        except ValueError:
            return True
        return (ends if ends.tzinfo else ends.astimezone()) > now

    home["timers"] = [timer for timer in home["timers"] if runs(timer)]


def _now() -> datetime:
    return datetime.now().astimezone().replace(microsecond=0)
