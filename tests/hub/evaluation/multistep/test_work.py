from __future__ import annotations


def test_appointments_take_slots_and_give_them_back(client):
    call = client("loft", "clinic")
    (doctor,) = call("findDoctors", specialty="dermatology")
    assert call("findDoctors", name="osei") == [doctor]
    slots = call("getOpenSlots", doctorId=doctor["id"])
    assert [slot["date"] for slot in slots] == ["2026-11-25", "2026-11-26", "2026-12-01"]
    assert call("getOpenSlots", **{"doctorId": doctor["id"], "from": "2026-11-26", "until": "2026-11-30"}) == [slots[1]]
    visit = call("bookAppointment", slotId=slots[0]["slotId"])
    call.fails("404", "bookAppointment", slotId=slots[0]["slotId"])
    moved = call("rescheduleAppointment", appointmentId=visit["appointmentId"], slotId=slots[2]["slotId"])
    assert (moved["date"], moved["start"]) == (slots[2]["date"], slots[2]["start"])
    assert [slot["date"] for slot in call("getOpenSlots", doctorId=doctor["id"])] == ["2026-11-25", "2026-11-26"]
    call.fails("409", "rescheduleAppointment", appointmentId=visit["appointmentId"], slotId=7105)  # of another doctor
    call("cancelAppointment", appointmentId=visit["appointmentId"])
    call.fails("404", "cancelAppointment", appointmentId=visit["appointmentId"])
    again = call("getOpenSlots", doctorId=doctor["id"])
    assert [(slot["date"], slot["start"]) for slot in again] == [(slot["date"], slot["start"]) for slot in slots]
    call.fails("404", "getOpenSlots", doctorId="D-99")


def test_units_are_moved_written_off_and_ordered(client):
    call = client("depot", "inventory")
    (item,) = call("inventory_query", name_contains="trestle")
    assert (item["north"], item["south"]) == (5, 9)
    moved = call("inventory_transfer", sku="TBL-108", units=2, from_site="north", to_site="south")
    assert (moved["north"], moved["south"]) == (3, 11)
    assert {low["sku"] for low in call("inventory_shortages", site="north")} == {"TBL-108", "FAN-330"}
    call.fails("409", "inventory_transfer", sku="TBL-108", units=4, from_site="north", to_site="south")
    call.fails("422", "inventory_transfer", sku="TBL-108", units=1, from_site="north", to_site="north")
    assert call("inventory_write_off", sku="TBL-108", site="south", units=1, cause="damaged")["south"] == 10
    call.fails("409", "inventory_write_off", sku="TBL-108", site="south", units=11, cause="lost")
    call.fails("404", "inventory_write_off", sku="TBL-109", site="south", units=1, cause="lost")
    assert call("purchase_order_create", sku="TBL-108", units=6, deliver_to="north")["po_number"] == 6002
    assert call("inventory_query", name_contains="trestle")[0]["north"] == 3  # ordered is not delivered
    call.fails("404", "purchase_order_create", sku="TBL-109", units=6, deliver_to="north")


def test_money_is_neither_made_nor_lost(client):
    call = client("annexe", "bank")

    def total():
        return round(sum(account["balance"] for account in call("accounts_overview")), 2)

    before = total()
    call("internal_transfer", source="SAV-302", target="JNT-303", amount=0.1)
    assert {account["account_no"]: account["balance"] for account in call("accounts_overview")}["JNT-303"] == 415.3
    assert total() == before
    call.fails("409", "internal_transfer", source="JNT-303", target="SAV-302", amount=415.31)
    call.fails("422", "internal_transfer", source="JNT-303", target="JNT-303", amount=1)
    call.fails("404", "internal_transfer", source="JNT-303", target="JNT-304", amount=1)
    (payee,) = call("payee_lookup", name="waterworks")
    call("make_payment", account_no="JNT-303", payee_id=payee["payee_id"], amount=15.3)
    assert total() == round(before - 15.3, 2)
    assert call.state["payments"][0]["reference"] == ""
    call.fails("404", "make_payment", account_no="JNT-303", payee_id=99, amount=1)
    call.fails("409", "make_payment", account_no="JNT-303", payee_id=payee["payee_id"], amount=400.01)


def test_transactions_of_some_days(client):
    call = client("annexe", "bank")
    assert len(call("account_transactions", account_no="JNT-303")) == 4
    found = call("account_transactions", account_no="JNT-303", date_from="2026-10-15", date_to="2026-10-15")
    assert [entry["amount"] for entry in found] == [62.4]
    call.fails("404", "account_transactions", account_no="JNT-304")


def test_cards(client):
    call = client("depot", "board")
    assert [card["key"] for card in call("search_cards", text="scanner")] == ["OPS-15", "OPS-18"]
    assert [card["key"] for card in call("search_cards", text="scanner", assignee="mk")] == ["OPS-18"]
    assert [card["key"] for card in call("search_cards", column="doing")] == ["OPS-14", "OPS-17"]
    new = call("new_card", title="Sweep the yard", due="2026-12-01")
    assert (new["key"], new["column"], new["due"], new["assignee"]) == ("OPS-19", "backlog", "2026-12-01", "")
    assert call("move_card", key="OPS-19", column="doing")["column"] == "doing"
    assert call("assign_card", key="OPS-19", handle="abel")["assignee"] == "abel"
    assert call("comment_on_card", key="OPS-19", body="Half done")["comments"] == [{"author": "me", "body": "Half done"}]
    assert call("search_cards", assignee="abel", column="doing")[-1]["key"] == "OPS-19"
    call.fails("404", "assign_card", key="OPS-19", handle="nobody")
    for name, more in (
        ("move_card", {"column": "done"}),
        ("comment_on_card", {"body": "a"}),
        ("assign_card", {"handle": "mk"}),
    ):
        call.fails("404", name, key="OPS-99", **more)
