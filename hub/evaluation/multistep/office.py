"""The service's office: contacts, calendar, texts and notes."""

from __future__ import annotations

from typing import Any

from .operations import (
    Arguments,
    Fault,
    Operation,
    Schema,
    State,
    add,
    day,
    find,
    matching,
    moment,
    record,
    records,
    text,
    whole,
)

_CONTACT = {"id": "integer", "name": "string", "phone": "string", "email": "string"}
_EVENT = {"id": "integer", "title": "string", "date": "string", "start": "string", "place": "string"}
_TEXT = {"phone": "string", "text": "string"}
_NOTE = {"id": "integer", "title": "string", "text": "string"}


def schema(fields: dict[str, str]) -> Schema:
    return {"type": "object", "properties": {name: {"type": kind} for name, kind in fields.items()}, "required": list(fields)}


SCHEMAS = {"Contact": schema(_CONTACT), "Event": schema(_EVENT), "Text": schema(_TEXT), "Note": schema(_NOTE)}

_CONTACT_ID = whole("Id of the contact.")
_EVENT_ID = whole("Id of the event.")
_NOTE_ID = whole("Id of the note.")


def _create_contact(state: State, given: Arguments) -> Any:
    return add(state["contacts"], 1, name=given["name"], phone=given["phone"], email=given.get("email", ""))


def _update(kind: str, what: str) -> Any:
    def run(state: State, given: Arguments) -> Any:
        identifier = next(name for name in given if name.endswith("_id"))
        item = find(state[kind], what, given[identifier])
        item.update({name: value for name, value in given.items() if name != identifier})
        return item

    return run


def _delete(kind: str, what: str) -> Any:
    def run(state: State, given: Arguments) -> Any:
        (identifier,) = given.values()
        item = find(state[kind], what, identifier)
        state[kind].remove(item)
        return item

    return run


def _list_events(state: State, given: Arguments) -> Any:
    events = [event for event in state["events"] if given.get("date") in (None, event["date"])]
    return sorted(events, key=lambda event: (event["date"], event["start"]))


def _next_event(state: State, given: Arguments) -> Any:
    now = state["now"]
    coming = [event for event in _list_events(state, {}) if f"{event['date']}T{event['start']}" >= now]
    if not coming:
        raise Fault(404, "there is no event to come")
    return coming[0]


def _create_event(state: State, given: Arguments) -> Any:
    return add(state["events"], 101, **{"place": "", **given})


def _send_text(state: State, given: Arguments) -> Any:
    state["texts"].append(dict(given))
    return dict(given)


def _append_to_note(state: State, given: Arguments) -> Any:
    note = find(state["notes"], "note", given["note_id"])
    note["text"] += "\n" + given["text"]
    return note


OPERATIONS = (
    Operation(
        *("contacts", "list_contacts", "GET", "/contacts", "All contacts of the address book."),
        *({}, records("Contact")),
        lambda state, given: state["contacts"],
    ),
    Operation(
        *("contacts", "find_contact", "GET", "/contacts/search", "Look up a contact by name: phone number, email, id."),
        *({"name": text("Name of the person, or a part of it.")}, records("Contact")),
        lambda state, given: matching(state["contacts"], "name", given["name"]),
    ),
    Operation(
        *("contacts", "create_contact", "POST", "/contacts", "Add a person to the address book."),
        *({"name": text("Name."), "phone": text("Phone number."), "email": text("Email address.")}, record("Contact")),
        *(_create_contact, frozenset({"email"}), 201),
    ),
    Operation(
        *("contacts", "update_contact", "PATCH", "/contacts/{contact_id}", "Change the phone number or email of a contact."),
        {"contact_id": _CONTACT_ID, "phone": text("New phone number."), "email": text("New email address.")},
        *(record("Contact"), _update("contacts", "contact"), frozenset({"phone", "email"})),
    ),
    Operation(
        *("contacts", "delete_contact", "DELETE", "/contacts/{contact_id}", "Remove a person from the address book."),
        *({"contact_id": _CONTACT_ID}, record("Contact"), _delete("contacts", "contact")),
    ),
    Operation(
        *("calendar", "list_events", "GET", "/events", "Events in the calendar, of one day or of all days."),
        *({"date": day("Day of the events")}, records("Event"), _list_events, frozenset({"date"})),
    ),
    Operation(
        *("calendar", "get_next_event", "GET", "/events/next", "The next event in the calendar."),
        *({}, record("Event"), _next_event),
    ),
    Operation(
        *("calendar", "find_event", "GET", "/events/search", "Look up events in the calendar by title."),
        *({"title": text("Title of the event, or a part of it.")}, records("Event")),
        lambda state, given: matching(_list_events(state, {}), "title", given["title"]),
    ),
    Operation(
        *("calendar", "create_event", "POST", "/events", "Put an event into the calendar."),
        {"title": text("Title."), "date": day("Day"), "start": moment("Time of day"), "place": text("Where it takes place.")},
        *(record("Event"), _create_event, frozenset({"place"}), 201),
    ),
    Operation(
        *("calendar", "move_event", "PATCH", "/events/{event_id}", "Move an event to another day or time."),
        {"event_id": _EVENT_ID, "date": day("New day"), "start": moment("New time of day")},
        *(record("Event"), _update("events", "event"), frozenset({"date", "start"})),
    ),
    Operation(
        *("calendar", "cancel_event", "DELETE", "/events/{event_id}", "Cancel an event: take it out of the calendar."),
        *({"event_id": _EVENT_ID}, record("Event"), _delete("events", "event")),
    ),
    Operation(
        *("texts", "send_text", "POST", "/texts", "Send a text message (SMS) to a phone number."),
        *({"phone": text("Phone number of the receiver."), "text": text("What to say.")}, record("Text")),
        *(_send_text, frozenset(), 201),
    ),
    Operation(
        *("texts", "list_texts", "GET", "/texts", "Text messages that were sent."),
        *({}, records("Text")),
        lambda state, given: state["texts"],
    ),
    Operation(
        *("notes", "find_notes", "GET", "/notes", "Look up notes that contain some words."),
        *({"words": text("Words in the title of the note.")}, records("Note")),
        lambda state, given: matching(state["notes"], "title", given["words"]),
    ),
    Operation(
        *("notes", "create_note", "POST", "/notes", "Write a new note."),
        *({"title": text("Title of the note."), "text": text("What the note says.")}, record("Note")),
        *(lambda state, given: add(state["notes"], 501, **given), frozenset(), 201),
    ),
    Operation(
        *("notes", "append_to_note", "POST", "/notes/{note_id}/lines", "Add a line at the end of a note."),
        *({"note_id": _NOTE_ID, "text": text("The line.")}, record("Note"), _append_to_note),
    ),
    Operation(
        *("notes", "delete_note", "DELETE", "/notes/{note_id}", "Delete a note."),
        *({"note_id": _NOTE_ID}, record("Note"), _delete("notes", "note")),
    ),
)
