from __future__ import annotations

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from ferrule.hub.evaluation.multistep.service import OPERATIONS, Service, document, running_service
from ferrule.hub.evaluation.multistep.tasks import initial_states
from openapi_spec_validator import validate


@pytest.fixture
def service():
    with running_service() as start:
        yield start(json.loads(json.dumps(initial_states()["Service"]["flat"])))


def called(service: Service, name: str, **arguments):
    return {tool.name: tool for tool in service.tools}[name].call(arguments)


def test_the_document_is_valid_and_every_operation_is_a_tool(service):
    validate(document())
    assert {tool.name for tool in service.tools} == {operation.name for operation in OPERATIONS}
    assert all(tool.description for tool in service.tools)


def test_only_the_parts_that_are_asked_for_are_offered():
    with running_service() as start:
        names = {tool.name for tool in start({}, ("parcels", "invoices")).tools}
    assert names == {"list_invoices", "pay_invoice", "list_parcels", "track_parcel", "redirect_parcel"}


def test_a_shopping_trip(service):
    (product,) = called(service, "search_products", words="water bottle")
    assert called(service, "add_to_cart", product_id=product["id"])["items"] == [{"product_id": 23, "quantity": 1}]
    assert called(service, "add_to_cart", product_id=23, quantity=2)["total"] == 42.0
    order = called(service, "check_out")
    assert (order["total"], order["status"], called(service, "view_cart")["items"]) == (42.0, "placed", [])
    assert called(service, "get_product", product_id=23)["stock"] == 57
    called(service, "cancel_shop_order", order_id=order["id"])
    assert called(service, "get_product", product_id=23)["stock"] == 60
    assert [entry["status"] for entry in called(service, "list_orders")] == ["placed", "shipped", "cancelled"]


def test_rooms_books_invoices_and_parcels(service):
    rooms = called(service, "find_free_rooms", date="2026-11-25", start="14:00", people=4)
    assert [room["name"] for room in rooms] == ["Oak", "Cedar"]  # Birch is taken then
    booking = called(service, "book_room", room_id=71, date="2026-11-25", start="14:00")
    assert called(service, "cancel_room_booking", room_booking_id=booking["id"]) == booking
    reservation = called(service, "reserve_book", book_id=62)
    assert called(service, "search_books", title="altitude")[0]["copies"] == 0
    called(service, "cancel_reservation", reservation_id=reservation["id"])
    assert called(service, "pay_invoice", invoice_id=811)["status"] == "paid"
    called(service, "redirect_parcel", parcel_id=901, address="Pier 4")
    assert called(service, "track_parcel", parcel_id=901)["address"] == "Pier 4"


FAULTS = [
    ("cancel_shop_order", {"order_id": 9102}, "409"),
    ("pay_invoice", {"invoice_id": 813}, "409"),
    ("book_room", {"room_id": 72, "date": "2026-11-25", "start": "14:00"}, "409"),
    ("add_to_cart", {"product_id": 22, "quantity": 5}, "409"),
    ("redirect_parcel", {"parcel_id": 902, "address": "Pier 4"}, "409"),
    ("check_out", {}, "409"),
    ("delete_contact", {"contact_id": 99}, "404"),
]


@pytest.mark.parametrize(("name", "arguments", "status"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_what_cannot_be_done_is_said_and_changes_nothing(service, name, arguments, status):
    before = service.state()
    with pytest.raises(Exception, match=status):
        called(service, name, **arguments)
    assert service.state() == before


BAD = [
    ("GET", "/nothing", None, 404),
    ("POST", "/texts", b"not json", 400),
    ("POST", "/texts", b"[]", 400),
    ("POST", "/texts", b'{"phone": "1"}', 400),
    ("POST", "/texts", b'{"phone": "1", "text": "a", "more": 1}', 400),
    ("POST", "/cart", b'{"product_id": "x"}', 400),
    ("POST", "/events", b'{"title": "a", "date": "tomorrow", "start": "10:00"}', 400),
    ("POST", "/events", b'{"title": "a", "date": "2026-11-24", "start": "25:00"}', 400),
    ("POST", "/groceries", b'{"item": "a", "amount": 0}', 400),
    ("POST", "/groceries", b'{"item": "a", "amount": true}', 400),
    ("POST", "/groceries", b'{"item": "a", "amount": 1, "unit": "stone"}', 400),
    ("POST", "/me/playlists", b'{"name": "a", "public": "maybe"}', 400),
    ("POST", "/me/playlists", b'{"name": "a", "public": 1}', 400),
    ("DELETE", "/meals/2026-11-24/supper", None, 400),
    ("GET", "/cars?station=a&electric=perhaps", None, 400),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), BAD)
def test_bad_requests_are_refused_by_the_server_itself(service, method, path, body, status):
    before = service.state()
    address = f"http://127.0.0.1:{service._server.server_port}{path}"
    with pytest.raises(HTTPError) as found:
        urlopen(Request(address, data=body, method=method))
    assert found.value.code == status
    assert json.load(found.value)["error"]
    assert service.state() == before
