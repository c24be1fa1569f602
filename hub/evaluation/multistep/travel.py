"""What the service does for travellers: hotels and shared cars."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from .office import schema
from .operations import (
    Arguments,
    Fault,
    Operation,
    State,
    add,
    amount,
    day,
    find,
    flag,
    matching,
    moment,
    record,
    records,
    text,
    whole,
)

_HOTEL = {
    "id": "integer",
    "name": "string",
    "city": "string",
    "stars": "integer",
    "price_per_night": "number",
    "breakfast": "boolean",
}
_STAY = {
    "id": "integer",
    "hotel_id": "integer",
    "hotel": "string",
    "city": "string",
    "arrival": "string",
    "departure": "string",
    "guests": "integer",
    "refundable": "boolean",
}
_CAR = {
    "plate": "string",
    "model": "string",
    "station": "string",
    "seats": "integer",
    "electric": "boolean",
    "price_per_hour": "number",
}
_RIDE = {"ride_id": "integer", "plate": "string", "date": "string", "start": "string", "minutes": "integer", "status": "string"}

SCHEMAS = {"Hotel": schema(_HOTEL), "Stay": schema(_STAY), "Car": schema(_CAR), "Ride": schema(_RIDE)}

_STAY_ID = whole("Number of the reservation.")
_RIDE_ID = whole("Id of the ride.")


def _dates(arrival: str, departure: str) -> None:
    if departure <= arrival:
        raise Fault(422, f"a stay from {arrival} cannot end on {departure}")


def _hotels(state: State, given: Arguments) -> Any:
    _dates(given["arrival"], given["departure"])
    free = [hotel for hotel in matching(state["hotels"], "city", given["city"]) if hotel["beds_left"] >= given.get("guests", 1)]
    return [{key: hotel[key] for key in _HOTEL} for hotel in free]


def _reserve_hotel(state: State, given: Arguments) -> Any:
    _dates(given["arrival"], given["departure"])
    hotel, guests = find(state["hotels"], "hotel", given["hotel_id"]), given.get("guests", 1)
    if hotel["beds_left"] < guests:
        raise Fault(409, f"{hotel['name']} is full")
    hotel["beds_left"] -= guests
    what = {"hotel_id": hotel["id"], "hotel": hotel["name"], "city": hotel["city"]}
    when = {"arrival": given["arrival"], "departure": given["departure"]}
    return add(state["stays"], 801, **what, **when, guests=guests, refundable=True)


def _change_stay(state: State, given: Arguments) -> Any:
    stay = find(state["stays"], "reservation", given["stay_id"])
    arrival, departure = given.get("arrival", stay["arrival"]), given.get("departure", stay["departure"])
    _dates(arrival, departure)
    stay.update(arrival=arrival, departure=departure)
    return stay


def _cancel_stay(state: State, given: Arguments) -> Any:
    stay = find(state["stays"], "reservation", given["stay_id"])
    if not stay["refundable"]:
        raise Fault(409, f"reservation {stay['id']} at {stay['hotel']} cannot be cancelled any more")
    state["stays"].remove(stay)
    find(state["hotels"], "hotel", stay["hotel_id"])["beds_left"] += stay["guests"]
    return stay


def _cars(state: State, given: Arguments) -> Any:
    return sorted(
        (
            car
            for car in matching(state["cars"], "station", given["station"])
            if car["seats"] >= given.get("min_seats", 1) and given.get("electric") in (None, car["electric"])
        ),
        key=lambda car: car["price_per_hour"],
    )


def _span(ride: dict[str, Any]) -> tuple[datetime, datetime]:
    start = datetime.fromisoformat(f"{ride['date']}T{ride['start']}")
    return start, start + timedelta(minutes=ride["minutes"])


def _no_other(state: State, ride: dict[str, Any]) -> None:
    start, end = _span(ride)
    for other in state["rides"]:
        if other["plate"] == ride["plate"] and other["ride_id"] != ride.get("ride_id"):
            begins, ends = _span(other)
            if begins < end and start < ends:
                raise Fault(409, f"{ride['plate']} is taken from {begins:%Y-%m-%d %H:%M} to {ends:%Y-%m-%d %H:%M}")


def _reserve_car(state: State, given: Arguments) -> Any:
    find(state["cars"], "car", given["plate"], "plate")
    when = {"date": given["date"], "start": given["start"], "minutes": round(60 * given["hours"])}
    _no_other(state, {"plate": given["plate"], **when})
    number = max((ride["ride_id"] for ride in state["rides"]), default=3300) + 1
    state["rides"].append({"ride_id": number, "plate": given["plate"], **when, "status": "reserved"})
    return state["rides"][-1]


def _extend(state: State, given: Arguments) -> Any:
    ride = find(state["rides"], "ride", given["ride_id"], "ride_id")
    longer = ride["minutes"] + given["extra_minutes"]
    _no_other(state, {**ride, "minutes": longer})
    ride["minutes"] = longer
    return ride


def _drop_ride(state: State, given: Arguments) -> Any:
    ride = find(state["rides"], "ride", given["ride_id"], "ride_id")
    if ride["status"] != "reserved":
        raise Fault(409, f"ride {ride['ride_id']} is {ride['status']}: it cannot be dropped")
    state["rides"].remove(ride)
    return ride


OPERATIONS = (
    Operation(
        *("hotels", "search_hotels", "GET", "/hotels", "Hotels with room on these dates; prices per night in euros."),
        {
            "city": text("City."),
            "arrival": day("Day of arrival"),
            "departure": day("Day of departure"),
            "guests": {**whole("How many people."), "default": 1},
        },
        *(records("Hotel"), _hotels, frozenset({"guests"})),
    ),
    Operation(
        *("hotels", "make_hotel_reservation", "POST", "/stays", "Reserve a room at a hotel."),
        {
            "hotel_id": whole("Id of the hotel."),
            "arrival": day("Day of arrival"),
            "departure": day("Day of departure"),
            "guests": {**whole("How many people."), "default": 1},
        },
        *(record("Stay"), _reserve_hotel, frozenset({"guests"}), 201),
    ),
    Operation(
        *("hotels", "list_hotel_reservations", "GET", "/stays", "Hotel reservations of the traveller."),
        *({}, records("Stay")),
        lambda state, given: state["stays"],
    ),
    Operation(
        *("hotels", "change_hotel_dates", "PATCH", "/stays/{stay_id}"),
        "Change the dates of a hotel reservation; a date that is left out stays as it is.",
        {"stay_id": _STAY_ID, "arrival": day("New day of arrival"), "departure": day("New day of departure")},
        *(record("Stay"), _change_stay, frozenset({"arrival", "departure"})),
    ),
    Operation(
        *(
            "hotels",
            "cancel_hotel_reservation",
            "DELETE",
            "/stays/{stay_id}",
            "Cancel a hotel reservation, if it is refundable.",
        ),
        *({"stay_id": _STAY_ID}, record("Stay"), _cancel_stay),
    ),
    Operation(
        *(
            "cars",
            "carsAvailable",
            "GET",
            "/cars",
            "Shared cars of a station with seats and price in euros per hour, cheapest first.",
        ),
        {
            "station": text("Name of the station where the car is picked up."),
            "min_seats": whole("Least number of seats."),
            "electric": flag("Only electric cars, or only others."),
        },
        *(records("Car"), _cars, frozenset({"min_seats", "electric"})),
    ),
    Operation(
        *("cars", "carReserve", "POST", "/rides", "Reserve a shared car."),
        {
            "plate": text("Number plate of the car."),
            "date": day("Day"),
            "start": moment("When it is picked up"),
            "hours": amount("For how long, in hours."),
        },
        *(record("Ride"), _reserve_car, frozenset(), 201),
    ),
    Operation(
        *("cars", "ridesMine", "GET", "/rides", "Own rides with shared cars: running, reserved and past."),
        *({}, records("Ride")),
        lambda state, given: state["rides"],
    ),
    Operation(
        *("cars", "rideExtend", "POST", "/rides/{ride_id}/extension", "Keep a shared car for longer."),
        *({"ride_id": _RIDE_ID, "extra_minutes": whole("How many minutes more.")}, record("Ride"), _extend),
    ),
    Operation(
        *("cars", "rideDrop", "DELETE", "/rides/{ride_id}", "Drop a reserved ride."),
        *({"ride_id": _RIDE_ID}, record("Ride"), _drop_ride),
    ),
)
