from __future__ import annotations

TRIP = {"arrival": "2026-12-08", "departure": "2026-12-11"}


def test_hotels(client):
    call = client("agency", "hotels")
    assert {hotel["name"] for hotel in call("search_hotels", city="Vienna", **TRIP)} == {
        "Hotel Linde",
        "Am Kanal",
        "Gasthof Sims",
    }
    assert {hotel["id"] for hotel in call("search_hotels", city="Vienna", guests=5, **TRIP)} == {81, 82}
    call.fails("422", "search_hotels", city="Vienna", arrival="2026-12-11", departure="2026-12-11")
    stay = call("make_hotel_reservation", hotel_id=84, guests=4, **TRIP)
    call.fails("409", "make_hotel_reservation", hotel_id=84, **TRIP)  # full
    call.fails("404", "make_hotel_reservation", hotel_id=99, **TRIP)
    assert call("list_hotel_reservations")[-1] == stay
    moved = call("change_hotel_dates", stay_id=stay["id"], departure="2026-12-12")
    assert (moved["arrival"], moved["departure"]) == ("2026-12-08", "2026-12-12")
    call.fails("422", "change_hotel_dates", stay_id=stay["id"], arrival="2026-12-12")
    call("cancel_hotel_reservation", stay_id=stay["id"])
    call.fails("404", "cancel_hotel_reservation", stay_id=stay["id"])
    call("make_hotel_reservation", hotel_id=84, guests=4, **TRIP)  # there is room again
    call.fails("409", "cancel_hotel_reservation", stay_id=802)


def test_cars_are_shared(client):
    call = client("annexe", "cars")

    def plates(**wanted):
        return [car["plate"] for car in call("carsAvailable", **wanted)]

    assert plates(station="Station Square") == ["NV-391", "NV-377", "NV-118", "NV-204"]  # the cheapest first
    assert plates(station="station square", min_seats=5, electric=False) == ["NV-118", "NV-204"]
    assert plates(station="Riverside", electric=True) == ["NV-402"]
    when = {"plate": "NV-377", "date": "2026-11-24"}
    ride = call("carReserve", start="14:00", hours=1.5, **when)
    assert ride["minutes"] == 90
    call.fails("409", "carReserve", start="15:00", hours=1, **when)
    after = call("carReserve", start="15:30", hours=1, **when)
    call.fails("409", "rideExtend", ride_id=ride["ride_id"], extra_minutes=1)  # into the next one
    assert call("rideExtend", ride_id=after["ride_id"], extra_minutes=30)["minutes"] == 90
    call("rideDrop", ride_id=after["ride_id"])
    assert call("rideExtend", ride_id=ride["ride_id"], extra_minutes=30)["minutes"] == 120
    assert call("ridesMine")[-1]["minutes"] == 120
    call.fails("409", "rideDrop", ride_id=3302)  # under way
    call.fails("404", "rideDrop", ride_id=after["ride_id"])
    call.fails("404", "carReserve", plate="NV-000", date="2026-11-24", start="14:00", hours=1)
