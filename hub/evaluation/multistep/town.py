"""What the service reaches in town: a shop, the library, meeting rooms, invoices and parcels."""

from __future__ import annotations

from typing import Any

from .office import schema
from .operations import Arguments, Fault, Operation, State, add, day, find, matching, moment, record, records, text, whole

_PRODUCT = {"id": "integer", "name": "string", "category": "string", "price": "number", "stock": "integer"}
_LINE = {"product_id": "integer", "quantity": "integer"}
_BOOK = {"id": "integer", "title": "string", "author": "string", "year": "integer", "copies": "integer"}
_RESERVATION = {"id": "integer", "book_id": "integer", "title": "string"}
_ROOM = {"id": "integer", "name": "string", "seats": "integer", "floor": "integer"}
_BOOKING = {"id": "integer", "room_id": "integer", "date": "string", "start": "string"}
_INVOICE = {"id": "integer", "customer": "string", "amount": "number", "due": "string", "status": "string"}
_PARCEL = {"id": "integer", "sender": "string", "status": "string", "address": "string", "expected": "string"}

_LINES = {"type": "array", "items": record("Line")}
SCHEMAS = {
    "Product": schema(_PRODUCT),
    "Line": schema(_LINE),
    "Cart": {"type": "object", "properties": {"items": _LINES, "total": {"type": "number"}}, "required": ["items", "total"]},
    "Order": {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "items": _LINES,
            "total": {"type": "number"},
            "status": {"type": "string"},
        },
        "required": ["id", "items", "total", "status"],
    },
    "Book": schema(_BOOK),
    "Reservation": schema(_RESERVATION),
    "Room": schema(_ROOM),
    "Booking": schema(_BOOKING),
    "Invoice": schema(_INVOICE),
    "Parcel": schema(_PARCEL),
}

_PRODUCT_ID = whole("Id of the product.")
_ORDER_ID = whole("Id of the order.")
_INVOICE_ID = whole("Id of the invoice.")
_PARCEL_ID = whole("Id of the parcel.")


def _total(state: State, items: list[dict[str, Any]]) -> float:
    prices = {product["id"]: product["price"] for product in state["products"]}
    return round(sum(prices[item["product_id"]] * item["quantity"] for item in items), 2)


def _cart(state: State, given: Arguments) -> Any:
    return {"items": state["cart"], "total": _total(state, state["cart"])}


def _add_to_cart(state: State, given: Arguments) -> Any:
    product = find(state["products"], "product", given["product_id"])
    quantity = given.get("quantity", 1)
    line = next((line for line in state["cart"] if line["product_id"] == product["id"]), None)
    if (line["quantity"] if line else 0) + quantity > product["stock"]:
        raise Fault(409, f"only {product['stock']} of {product['name']} are in stock")
    if line:
        line["quantity"] += quantity
    else:
        state["cart"].append({"product_id": product["id"], "quantity": quantity})
    return _cart(state, {})


def _check_out(state: State, given: Arguments) -> Any:
    if not state["cart"]:
        raise Fault(409, "the cart is empty")
    order = add(state["orders"], 9001, items=state["cart"], total=_total(state, state["cart"]), status="placed")
    for line in state["cart"]:
        find(state["products"], "product", line["product_id"])["stock"] -= line["quantity"]
    state["cart"] = []
    return order


def _cancel_order(state: State, given: Arguments) -> Any:
    order = find(state["orders"], "order", given["order_id"])
    if order["status"] != "placed":
        raise Fault(409, f"order {order['id']} is {order['status']}: it cannot be cancelled")
    order["status"] = "cancelled"
    for line in order["items"]:
        find(state["products"], "product", line["product_id"])["stock"] += line["quantity"]
    return order


def _reserve(state: State, given: Arguments) -> Any:
    book = find(state["books"], "book", given["book_id"])
    if not book["copies"]:
        raise Fault(409, f"no copy of {book['title']} is left")
    book["copies"] -= 1
    return add(state["reservations"], 301, book_id=book["id"], title=book["title"])


def _cancel_reservation(state: State, given: Arguments) -> Any:
    reservation = find(state["reservations"], "reservation", given["reservation_id"])
    state["reservations"].remove(reservation)
    find(state["books"], "book", reservation["book_id"])["copies"] += 1
    return reservation


def _taken(state: State, room: int, given: Arguments) -> bool:
    return any(
        (booking["room_id"], booking["date"], booking["start"]) == (room, given["date"], given["start"])
        for booking in state["bookings"]
    )


def _free_rooms(state: State, given: Arguments) -> Any:
    rooms = [room for room in state["rooms"] if room["seats"] >= given["people"] and not _taken(state, room["id"], given)]
    return sorted(rooms, key=lambda room: room["seats"])


def _book_room(state: State, given: Arguments) -> Any:
    room = find(state["rooms"], "room", given["room_id"])
    if _taken(state, room["id"], given):
        raise Fault(409, f"{room['name']} is taken then")
    return add(state["bookings"], 701, **given)


def _cancel_booking(state: State, given: Arguments) -> Any:
    booking = find(state["bookings"], "room booking", given["room_booking_id"])
    state["bookings"].remove(booking)
    return booking


def _invoices(state: State, given: Arguments) -> Any:
    customer = given.get("customer", "").lower()
    return [invoice for invoice in state["invoices"] if customer in invoice["customer"].lower()]


def _pay(state: State, given: Arguments) -> Any:
    invoice = find(state["invoices"], "invoice", given["invoice_id"])
    if invoice["status"] == "paid":
        raise Fault(409, f"invoice {invoice['id']} is paid already")
    invoice["status"] = "paid"
    return invoice


def _redirect(state: State, given: Arguments) -> Any:
    parcel = find(state["parcels"], "parcel", given["parcel_id"])
    if parcel["status"] == "delivered":
        raise Fault(409, f"parcel {parcel['id']} is delivered already")
    parcel["address"] = given["address"]
    return parcel


OPERATIONS = (
    Operation(
        *("shop", "search_products", "GET", "/products", "Search the shop by name or category; prices and stock."),
        *({"words": text("Name or category of the product.")}, records("Product")),
        lambda state, given: [
            product
            for product in state["products"]
            if product in matching(state["products"], "name", given["words"])
            or product in matching(state["products"], "category", given["words"])
        ],
    ),
    Operation(
        *("shop", "get_product", "GET", "/products/{product_id}", "Details of a product of the shop."),
        *({"product_id": _PRODUCT_ID}, record("Product")),
        lambda state, given: find(state["products"], "product", given["product_id"]),
    ),
    Operation(
        *("shop", "add_to_cart", "POST", "/cart", "Put a product into the shopping cart."),
        {"product_id": _PRODUCT_ID, "quantity": {**whole("How many of it."), "default": 1}},
        *(record("Cart"), _add_to_cart, frozenset({"quantity"})),
    ),
    Operation(
        *("shop", "view_cart", "GET", "/cart", "What is in the shopping cart, and what it costs together."),
        *({}, record("Cart"), _cart),
    ),
    Operation(
        *("shop", "check_out", "POST", "/orders", "Order everything that is in the shopping cart."),
        *({}, record("Order"), _check_out, frozenset(), 201),
    ),
    Operation(
        *("shop", "list_orders", "GET", "/orders", "All orders that were placed in the shop."),
        *({}, {"type": "array", "items": record("Order")}),
        lambda state, given: state["orders"],
    ),
    Operation(
        *("shop", "get_order", "GET", "/orders/{order_id}", "Status and contents of an order of the shop."),
        *({"order_id": _ORDER_ID}, record("Order")),
        lambda state, given: find(state["orders"], "order", given["order_id"]),
    ),
    Operation(
        *("shop", "cancel_shop_order", "DELETE", "/orders/{order_id}", "Cancel an order of the shop."),
        *({"order_id": _ORDER_ID}, record("Order"), _cancel_order),
    ),
    Operation(
        *("library", "search_books", "GET", "/books", "Search the library's books by title."),
        *({"title": text("Title of the book, or a part of it.")}, records("Book")),
        lambda state, given: matching(state["books"], "title", given["title"]),
    ),
    Operation(
        *("library", "list_books_by_author", "GET", "/books/by-author", "Books of an author that the library has."),
        *({"author": text("Name of the author.")}, records("Book")),
        lambda state, given: matching(state["books"], "author", given["author"]),
    ),
    Operation(
        *("library", "reserve_book", "POST", "/reservations", "Reserve a book of the library."),
        *({"book_id": whole("Id of the book.")}, record("Reservation"), _reserve, frozenset(), 201),
    ),
    Operation(
        *("library", "list_reservations", "GET", "/reservations", "Books that are reserved at the library."),
        *({}, records("Reservation")),
        lambda state, given: state["reservations"],
    ),
    Operation(
        *("library", "cancel_reservation", "DELETE", "/reservations/{reservation_id}", "Cancel the reservation of a book."),
        *({"reservation_id": whole("Id of the reservation.")}, record("Reservation"), _cancel_reservation),
    ),
    Operation(
        *("rooms", "find_free_rooms", "GET", "/rooms/free", "Meeting rooms that are free then, the smallest first."),
        {"date": day("Day"), "start": moment("Time of day"), "people": whole("How many people must fit in.")},
        *(records("Room"), _free_rooms),
    ),
    Operation(
        *("rooms", "book_room", "POST", "/bookings", "Book a meeting room."),
        {"room_id": whole("Id of the room."), "date": day("Day"), "start": moment("Time of day")},
        *(record("Booking"), _book_room, frozenset(), 201),
    ),
    Operation(
        *("rooms", "list_room_bookings", "GET", "/bookings", "Meeting rooms that are booked."),
        *({}, records("Booking")),
        lambda state, given: state["bookings"],
    ),
    Operation(
        *("rooms", "cancel_room_booking", "DELETE", "/bookings/{room_booking_id}", "Cancel the booking of a meeting room."),
        *({"room_booking_id": whole("Id of the room booking.")}, record("Booking"), _cancel_booking),
    ),
    Operation(
        *("invoices", "list_invoices", "GET", "/invoices", "Invoices: amounts, due dates, whether they are paid."),
        *({"customer": text("Only those of this customer.")}, records("Invoice"), _invoices, frozenset({"customer"})),
    ),
    Operation(
        *("invoices", "pay_invoice", "POST", "/invoices/{invoice_id}/payment", "Pay an invoice."),
        *({"invoice_id": _INVOICE_ID}, record("Invoice"), _pay),
    ),
    Operation(
        *("parcels", "list_parcels", "GET", "/parcels", "Parcels that are on their way or were delivered."),
        *({}, records("Parcel")),
        lambda state, given: state["parcels"],
    ),
    Operation(
        *("parcels", "track_parcel", "GET", "/parcels/{parcel_id}", "Where a parcel is and when it is expected."),
        *({"parcel_id": _PARCEL_ID}, record("Parcel")),
        lambda state, given: find(state["parcels"], "parcel", given["parcel_id"]),
    ),
    Operation(
        *("parcels", "redirect_parcel", "PATCH", "/parcels/{parcel_id}", "Have a parcel delivered to another address."),
        *({"parcel_id": _PARCEL_ID, "address": text("The new address.")}, record("Parcel"), _redirect),
    ),
)
