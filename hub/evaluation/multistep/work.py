"""What the service does at work and at offices: a clinic, an inventory, a bank and a board with cards."""

from __future__ import annotations

from typing import Any

from .office import schema
from .operations import (
    Arguments,
    Fault,
    Operation,
    State,
    add,
    amount,
    choice,
    day,
    find,
    listed,
    matching,
    record,
    records,
    text,
    whole,
)

_DOCTOR = {"id": "string", "name": "string", "specialty": "string", "address": "string"}
_SLOT = {"slotId": "integer", "date": "string", "start": "string"}
_VISIT = {
    "appointmentId": "integer",
    "doctorId": "string",
    "doctor": "string",
    "specialty": "string",
    "date": "string",
    "start": "string",
    "reason": "string",
}
_ITEM = {"sku": "string", "name": "string", "supplier": "string", "minimum": "integer", "north": "integer", "south": "integer"}
_LOW = {"sku": "string", "name": "string", "on_hand": "integer", "minimum": "integer"}
_PURCHASE = {"po_number": "integer", "sku": "string", "units": "integer", "site": "string"}
_ACCOUNT = {"account_no": "string", "label": "string", "balance": "number", "currency": "string"}
_ENTRY = {"date": "string", "direction": "string", "amount": "number", "counterparty": "string"}
_PAYEE = {"payee_id": "integer", "name": "string", "iban": "string"}
_PAYMENT = {"account_no": "string", "payee_id": "integer", "amount": "number", "reference": "string"}
_MEMBER = {"handle": "string", "full_name": "string"}
_COMMENT = {"author": "string", "body": "string"}
_CARD = {"key": "string", "title": "string", "column": "string", "assignee": "string", "due": "string"}

SCHEMAS = {
    "Doctor": schema(_DOCTOR),
    "Slot": schema(_SLOT),
    "Visit": schema(_VISIT),
    "StockItem": schema(_ITEM),
    "LowItem": schema(_LOW),
    "PurchaseOrder": schema(_PURCHASE),
    "Account": schema(_ACCOUNT),
    "Entry": schema(_ENTRY),
    "Payee": schema(_PAYEE),
    "Payment": schema(_PAYMENT),
    "Member": schema(_MEMBER),
    "Comment": schema(_COMMENT),
    "Card": listed(schema(_CARD), "comments", record("Comment")),
}

_SPECIALTY = choice("Specialty", "general practice", "dermatology", "ophthalmology", "dentistry", "orthopaedics")
_APPOINTMENT_ID = whole("Id of the appointment.")
_SLOT_ID = whole("Id of an open slot.")
_SKU = text("Stock keeping unit, the code of an item.")
_UNITS = whole("Number of units.")
_SITE = choice("Warehouse", "north", "south")
_ACCOUNT_NO = text("Account number.")
_MONEY = amount("Amount of money, in the currency of the account.")
_KEY = text("Key of the card.")
_COLUMN = choice("Column of the board", "backlog", "todo", "doing", "review", "done")


def _doctors(state: State, given: Arguments) -> Any:
    named = matching(state["doctors"], "name", given.get("name", ""))
    return [doctor for doctor in named if given.get("specialty") in (None, doctor["specialty"])]


def _slots(state: State, given: Arguments) -> Any:
    doctor = find(state["doctors"], "doctor", given["doctorId"])
    first, last = given.get("from", ""), given.get("until", "9999")
    slots = [slot for slot in state["slots"] if slot["doctor"] == doctor["id"] and first <= slot["date"] <= last]
    return [{"slotId": slot["id"], "date": slot["date"], "start": slot["start"]} for slot in slots]


def _visit(state: State, visit: dict[str, Any]) -> Any:
    doctor = find(state["doctors"], "doctor", visit["doctor"])
    who = {"doctorId": doctor["id"], "doctor": doctor["name"], "specialty": doctor["specialty"]}
    return {"appointmentId": visit["id"], **who, "date": visit["date"], "start": visit["start"], "reason": visit["reason"]}


def _take(state: State, identifier: int) -> dict[str, Any]:
    slot = find(state["slots"], "open slot", identifier)
    state["slots"].remove(slot)
    return {key: slot[key] for key in ("doctor", "date", "start")}


def _release(state: State, visit: dict[str, Any]) -> None:
    add(state["slots"], 7101, **{key: visit[key] for key in ("doctor", "date", "start")})
    state["slots"].sort(key=lambda slot: (slot["date"], slot["start"], slot["doctor"]))


def _book_visit(state: State, given: Arguments) -> Any:
    return _visit(state, add(state["appointments"], 7501, **_take(state, given["slotId"]), reason=given.get("reason", "")))


def _move_visit(state: State, given: Arguments) -> Any:
    visit = find(state["appointments"], "appointment", given["appointmentId"])
    slot = find(state["slots"], "open slot", given["slotId"])
    if slot["doctor"] != visit["doctor"]:
        raise Fault(409, f"slot {slot['id']} is another doctor's: cancel the appointment and book a new one")
    old = dict(visit)
    visit.update(_take(state, slot["id"]))
    _release(state, old)
    return _visit(state, visit)


def _cancel_visit(state: State, given: Arguments) -> Any:
    visit = find(state["appointments"], "appointment", given["appointmentId"])
    answer = _visit(state, visit)
    state["appointments"].remove(visit)
    _release(state, visit)
    return answer


def _withdraw(item: dict[str, Any], site: str, units: int) -> None:
    if units > item[site]:
        raise Fault(409, f"only {item[site]} of {item['sku']} are at {site}")
    item[site] -= units


def _low(state: State, given: Arguments) -> Any:
    site = given["site"]
    low = [item for item in state["stock"] if item[site] < item["minimum"]]
    return [{"sku": item["sku"], "name": item["name"], "on_hand": item[site], "minimum": item["minimum"]} for item in low]


def _transfer(state: State, given: Arguments) -> Any:
    item = find(state["stock"], "item", given["sku"], "sku")
    if given["from_site"] == given["to_site"]:
        raise Fault(422, "from_site and to_site are the same")
    _withdraw(item, given["from_site"], given["units"])
    item[given["to_site"]] += given["units"]
    return item


def _write_off(state: State, given: Arguments) -> Any:
    item = find(state["stock"], "item", given["sku"], "sku")
    _withdraw(item, given["site"], given["units"])
    state["write_offs"].append(dict(given))
    return item


def _purchase(state: State, given: Arguments) -> Any:
    item = find(state["stock"], "item", given["sku"], "sku")
    number = max((order["po_number"] for order in state["purchase_orders"]), default=6000) + 1
    what = {"sku": item["sku"], "units": given["units"], "site": given["deliver_to"]}
    state["purchase_orders"].append({"po_number": number, **what})
    return state["purchase_orders"][-1]


def _debit(account: dict[str, Any], sum_: float) -> None:
    if sum_ > account["balance"]:
        raise Fault(409, f"insufficient funds: {account['balance']} {account['currency']} on {account['account_no']}")
    account["balance"] = round(account["balance"] - sum_, 2)


def _transactions(state: State, given: Arguments) -> Any:
    account = find(state["accounts"], "account", given["account_no"], "account_no")
    first, last = given.get("date_from", ""), given.get("date_to", "9999")
    entries = [entry for entry in state["entries"] if entry["account_no"] == account["account_no"]]
    return [{key: entry[key] for key in _ENTRY} for entry in entries if first <= entry["date"] <= last]


def _move_money(state: State, given: Arguments) -> Any:
    source, target = (find(state["accounts"], "account", given[end], "account_no") for end in ("source", "target"))
    if source is target:
        raise Fault(422, "source and target are the same account")
    _debit(source, given["amount"])
    target["balance"] = round(target["balance"] + given["amount"], 2)
    return [source, target]


def _pay(state: State, given: Arguments) -> Any:
    account = find(state["accounts"], "account", given["account_no"], "account_no")
    find(state["payees"], "payee", given["payee_id"], "payee_id")
    _debit(account, given["amount"])
    state["payments"].append({"reference": "", **given})
    return state["payments"][-1]


def _search_cards(state: State, given: Arguments) -> Any:
    cards = matching(state["cards"], "title", given.get("text", ""))
    return [card for card in cards if all(card[key] == given[key] for key in ("column", "assignee") if key in given)]


def _new_card(state: State, given: Arguments) -> Any:
    number = max((int(card["key"].partition("-")[2]) for card in state["cards"]), default=0) + 1
    card = {"column": "backlog", "assignee": "", "due": "", **given, "key": f"OPS-{number}", "comments": []}
    state["cards"].append(card)
    return card


def _move_card(state: State, given: Arguments) -> Any:
    card = find(state["cards"], "card", given["key"], "key")
    card["column"] = given["column"]
    return card


def _assign(state: State, given: Arguments) -> Any:
    card = find(state["cards"], "card", given["key"], "key")
    find(state["members"], "member", given["handle"], "handle")
    card["assignee"] = given["handle"]
    return card


def _comment(state: State, given: Arguments) -> Any:
    card = find(state["cards"], "card", given["key"], "key")
    card["comments"].append({"author": "me", "body": given["body"]})
    return card


OPERATIONS = (
    Operation(
        *("clinic", "findDoctors", "GET", "/clinic/doctors", "Doctors of the clinic by name or specialty, with their address."),
        *({"name": text("Name, or a part of it."), "specialty": _SPECIALTY}, records("Doctor"), _doctors),
        frozenset({"name", "specialty"}),
    ),
    Operation(
        *("clinic", "getOpenSlots", "GET", "/clinic/doctors/{doctorId}/slots", "Open slots of a doctor, the earliest first."),
        {"doctorId": text("Id of the doctor."), "from": day("First day"), "until": day("Last day")},
        *(records("Slot"), _slots, frozenset({"from", "until"})),
    ),
    Operation(
        *("clinic", "bookAppointment", "POST", "/clinic/appointments", "Book an open slot of a doctor."),
        {"slotId": _SLOT_ID, "reason": text("What the patient complains of.")},
        *(record("Visit"), _book_visit, frozenset({"reason"}), 201),
    ),
    Operation(
        *("clinic", "listAppointments", "GET", "/clinic/appointments", "The patient's appointments with doctors."),
        *({}, records("Visit")),
        lambda state, given: [_visit(state, visit) for visit in state["appointments"]],
    ),
    Operation(
        *("clinic", "rescheduleAppointment", "PATCH", "/clinic/appointments/{appointmentId}"),
        "Reschedule an appointment to another open slot of the same doctor.",
        *({"appointmentId": _APPOINTMENT_ID, "slotId": _SLOT_ID}, record("Visit"), _move_visit),
    ),
    Operation(
        *(
            "clinic",
            "cancelAppointment",
            "DELETE",
            "/clinic/appointments/{appointmentId}",
            "Cancel an appointment with a doctor.",
        ),
        *({"appointmentId": _APPOINTMENT_ID}, record("Visit"), _cancel_visit),
    ),
    Operation(
        *(
            "inventory",
            "inventory_query",
            "GET",
            "/inventory",
            "Find items; shows units on hand at each warehouse and the supplier.",
        ),
        *({"name_contains": text("Part of the item's name.")}, records("StockItem")),
        lambda state, given: matching(state["stock"], "name", given["name_contains"]),
    ),
    Operation(
        *("inventory", "inventory_shortages", "GET", "/inventory/shortages"),
        "Items of which a warehouse holds fewer units than their minimum.",
        *({"site": _SITE}, records("LowItem"), _low),
    ),
    Operation(
        *("inventory", "inventory_transfer", "POST", "/inventory/transfers", "Transfer units of an item between warehouses."),
        {
            "sku": _SKU,
            "units": _UNITS,
            "from_site": choice("Warehouse that sends", "north", "south"),
            "to_site": choice("Warehouse that receives", "north", "south"),
        },
        *(record("StockItem"), _transfer),
    ),
    Operation(
        *("inventory", "inventory_write_off", "POST", "/inventory/write-offs", "Write off units that cannot be sold any more."),
        {"sku": _SKU, "site": _SITE, "units": _UNITS, "cause": choice("Why", "damaged", "expired", "lost")},
        *(record("StockItem"), _write_off),
    ),
    Operation(
        *("inventory", "purchase_order_create", "POST", "/purchase-orders", "Order units of an item from its supplier."),
        {"sku": _SKU, "units": _UNITS, "deliver_to": choice("Warehouse they go to", "north", "south")},
        *(record("PurchaseOrder"), _purchase, frozenset(), 201),
    ),
    Operation(
        *("bank", "accounts_overview", "GET", "/bank/accounts", "All accounts of the customer with their balances."),
        *({}, records("Account")),
        lambda state, given: state["accounts"],
    ),
    Operation(
        *("bank", "account_transactions", "GET", "/bank/accounts/{account_no}/transactions"),
        "Money that came in or went out of an account, optionally between two dates.",
        {"account_no": _ACCOUNT_NO, "date_from": day("Earliest booking day"), "date_to": day("Latest booking day")},
        *(records("Entry"), _transactions, frozenset({"date_from", "date_to"})),
    ),
    Operation(
        *("bank", "payee_lookup", "GET", "/bank/payees", "Saved payees: people and companies that can be paid."),
        *({"name": text("Name of the payee, or a part of it.")}, records("Payee")),
        lambda state, given: matching(state["payees"], "name", given["name"]),
    ),
    Operation(
        *("bank", "internal_transfer", "POST", "/bank/transfers", "Move money between two of the customer's own accounts."),
        {
            "source": text("Number of the account it leaves."),
            "target": text("Number of the account it goes to."),
            "amount": _MONEY,
        },
        *(records("Account"), _move_money),
    ),
    Operation(
        *("bank", "make_payment", "POST", "/bank/payments", "Pay a saved payee."),
        {
            "account_no": text("Number of the account that pays."),
            "payee_id": whole("Id of the payee."),
            "amount": _MONEY,
            "reference": text("Text on the payee's statement."),
        },
        *(record("Payment"), _pay, frozenset({"reference"}), 201),
    ),
    Operation(
        *("board", "search_cards", "GET", "/board/cards", "Cards of the board, filtered by title, column or assignee."),
        {"text": text("Words in the title."), "column": _COLUMN, "assignee": text("Handle of the assignee.")},
        *(records("Card"), _search_cards, frozenset({"text", "column", "assignee"})),
    ),
    Operation(
        *("board", "list_members", "GET", "/board/members", "People on the board: handles and full names."),
        *({}, records("Member")),
        lambda state, given: state["members"],
    ),
    Operation(
        *("board", "new_card", "POST", "/board/cards", "New card on the board."),
        {"title": text("Title."), "column": {**_COLUMN, "default": "backlog"}, "due": day("Deadline")},
        *(record("Card"), _new_card, frozenset({"column", "due"}), 201),
    ),
    Operation(
        *("board", "move_card", "PATCH", "/board/cards/{key}", "Move a card to another column."),
        *({"key": _KEY, "column": _COLUMN}, record("Card"), _move_card),
    ),
    Operation(
        *("board", "assign_card", "PUT", "/board/cards/{key}/assignee", "Assign a card to a member; replaces the one it had."),
        *({"key": _KEY, "handle": text("Handle of the member.")}, record("Card"), _assign),
    ),
    Operation(
        *("board", "comment_on_card", "POST", "/board/cards/{key}/comments", "Post a comment on a card."),
        *({"key": _KEY, "body": text("The comment.")}, record("Card"), _comment, frozenset(), 201),
    ),
)
