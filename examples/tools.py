"""Tools for the demo. They are real and work offline: the weather is a table of climate normals, not a forecast.

ferrule run "set a pasta timer for 9 minutes and tell me the weather in Oslo" --tools examples/tools.py
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from ferrule.tools import RetryCall, tool

# Approximate monthly mean temperatures in degrees Celsius, January to December: good for a demo, not for decisions.
CLIMATE = {
    "Berlin": (1, 2, 5, 10, 14, 18, 20, 19, 15, 10, 5, 2),
    "Cairo": (14, 15, 18, 22, 25, 28, 29, 29, 27, 24, 19, 15),
    "Lagos": (27, 29, 29, 28, 28, 26, 25, 25, 26, 26, 28, 27),
    "London": (5, 6, 8, 10, 13, 16, 19, 18, 16, 12, 8, 6),
    "Mumbai": (24, 25, 27, 29, 30, 29, 28, 28, 28, 29, 28, 26),
    "New York": (1, 2, 6, 12, 17, 22, 25, 25, 21, 15, 9, 4),
    "Oslo": (-3, -2, 1, 6, 12, 15, 18, 16, 12, 6, 1, -3),
    "Paris": (5, 6, 9, 12, 16, 19, 21, 21, 17, 13, 8, 6),
    "São Paulo": (23, 23, 23, 21, 18, 18, 17, 18, 19, 21, 21, 23),
    "Sydney": (24, 24, 22, 20, 17, 14, 13, 14, 17, 19, 20, 22),
    "Tokyo": (5, 6, 9, 14, 19, 22, 26, 27, 23, 18, 13, 8),
    "Zurich": (1, 2, 6, 10, 14, 18, 20, 19, 15, 10, 5, 2),
}


@dataclass(frozen=True)
class Limits:
    """Bounds of a number, both included; `Annotated` reads them by name."""

    ge: float
    le: float


@dataclass(frozen=True)
class Timer:
    """A timer that was set."""

    label: str
    minutes: float
    ends_at: datetime


timers: list[Timer] = []
lights: dict[str, str] = {}


@tool
def get_weather(city: str, unit: Literal["celsius", "fahrenheit"] = "celsius") -> dict[str, Any]:
    """Get the weather in a city.

    Args:
        city: Name of the city.
        unit: Unit of the temperature.
    """
    name = next((known for known in CLIMATE if known.casefold() == city.strip().casefold()), None)
    if name is None:
        raise RetryCall(f"no weather for {city!r}; the cities are {', '.join(CLIMATE)}")
    today = date.today()
    celsius = CLIMATE[name][today.month - 1]
    temperature = celsius if unit == "celsius" else round(celsius * 9 / 5 + 32)
    return {
        "city": name,
        "temperature": temperature,
        "unit": unit,
        "month": today.strftime("%B"),
        "source": "monthly climate normals",
    }


@tool(permission="write")
def set_timer(minutes: Annotated[float, Limits(ge=0.1, le=1440)], label: str = "timer") -> dict[str, Any]:
    """Set a timer.

    Args:
        minutes: How long the timer runs, in minutes.
        label: What the timer is for.
    """
    timer = Timer(label, minutes, datetime.now().astimezone().replace(microsecond=0) + timedelta(minutes=minutes))
    timers.append(timer)
    return {
        "label": timer.label,
        "minutes": int(minutes) if minutes.is_integer() else minutes,
        "ends_at": timer.ends_at.isoformat(),
    }


@tool(permission="write")
def control_lights(
    room: Literal["kitchen", "bedroom", "living room", "study", "hall"], state: Literal["on", "off"]
) -> dict[str, Any]:
    """Turn the lights in a room on or off.

    Args:
        room: The room.
        state: Whether the lights should be on or off.
    """
    changed = lights.get(room, "off") != state
    lights[room] = state
    return {"room": room, "state": state, "changed": changed}


@tool
def convert_temperature(value: float, to: Literal["celsius", "fahrenheit"]) -> dict[str, Any]:
    """Convert a temperature to the other unit.

    Args:
        value: The temperature to convert.
        to: Unit to convert to.
    """
    converted = (value - 32) * 5 / 9 if to == "celsius" else value * 9 / 5 + 32
    return {"value": round(converted, 2), "unit": to}
