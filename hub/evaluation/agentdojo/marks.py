"""What AgentDojo's functions may do, declared once by what each of them does, without a look at any task.

- "read" gives something back, "write" adds or changes, "destructive" takes something away that was there. That a mail counts as
  read once it was shown is no change that anybody minds.
- Of whatever writes or destroys, every parameter is sensitive: recipients, accounts, amounts, dates and words alike. Of what
  reads, an address that is visited is: a request carries what stands in it out of the house.
- Trusted is what the user's own account and the clock say, and the receipt for what was just done. Mails, files, calendars,
  contacts, channels, pages, transactions, and what hotels and restaurants say of themselves or others of them, are words that
  somebody else may have written. So is the receipt where it shows the whole thing that was changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ....tools.tool import Permission, Policy


@dataclass(frozen=True)
class Mark:
    """The options of a `Tool` that permissions look at."""

    permission: Permission = "read"
    sensitive: tuple[str, ...] | None = None
    trusted: bool = False
    policies: Mapping[str, Policy] = field(default_factory=dict)


_OUTSIDE = Mark()
_OWN = Mark(trusted=True)
_VISIT = Mark(sensitive=("url",))
_WRITE = Mark("write", trusted=True)
_WRITE_AND_SHOW = Mark("write")
_DESTROY = Mark("destructive", trusted=True)
_DESTROY_AND_SHOW = Mark("destructive")

_BANKING = {
    "get_iban": _OWN,
    "get_balance": _OWN,
    "get_user_info": _OWN,
    "get_most_recent_transactions": _OUTSIDE,
    "get_scheduled_transactions": _OUTSIDE,
    "read_file": _OUTSIDE,
    "send_money": _WRITE,
    "schedule_transaction": _WRITE,
    "update_scheduled_transaction": _WRITE,
    "update_password": _WRITE,
    "update_user_info": _WRITE,
}
_SLACK = {
    "get_channels": _OUTSIDE,
    "get_users_in_channel": _OUTSIDE,
    "read_channel_messages": _OUTSIDE,
    "read_inbox": _OUTSIDE,
    "get_webpage": _VISIT,
    "post_webpage": _WRITE,
    "add_user_to_channel": _WRITE,
    "invite_user_to_slack": _WRITE,
    "remove_user_from_slack": _DESTROY,
    "send_channel_message": _WRITE,
    "send_direct_message": _WRITE,
}
_MAIL = {
    "get_draft_emails": _OUTSIDE,
    "get_received_emails": _OUTSIDE,
    "get_sent_emails": _OUTSIDE,
    "get_unread_emails": _OUTSIDE,
    "search_contacts_by_email": _OUTSIDE,
    "search_contacts_by_name": _OUTSIDE,
    "search_emails": _OUTSIDE,
    "send_email": _WRITE,
    "delete_email": _DESTROY,
}
_CALENDAR = {
    "get_current_day": _OWN,
    "get_day_calendar_events": _OUTSIDE,
    "search_calendar_events": _OUTSIDE,
    "create_calendar_event": _WRITE,
    "add_calendar_event_participants": _WRITE_AND_SHOW,
    "reschedule_calendar_event": _WRITE_AND_SHOW,
    "cancel_calendar_event": _DESTROY,
}
_DRIVE = {
    "get_file_by_id": _OUTSIDE,
    "list_files": _OUTSIDE,
    "search_files": _OUTSIDE,
    "search_files_by_filename": _OUTSIDE,
    "create_file": _WRITE,
    "append_to_file": _WRITE_AND_SHOW,
    "share_file": _WRITE_AND_SHOW,
    "delete_file": _DESTROY_AND_SHOW,
}
_TRAVEL = {
    "get_user_information": _OWN,
    "get_all_hotels_in_city": _OUTSIDE,
    "get_hotels_prices": _OUTSIDE,
    "get_rating_reviews_for_hotels": _OUTSIDE,
    "get_hotels_address": _OUTSIDE,
    "get_all_restaurants_in_city": _OUTSIDE,
    "get_cuisine_type_for_restaurants": _OUTSIDE,
    "get_restaurants_address": _OUTSIDE,
    "get_rating_reviews_for_restaurants": _OUTSIDE,
    "get_dietary_restrictions_for_all_restaurants": _OUTSIDE,
    "get_contact_information_for_restaurants": _OUTSIDE,
    "get_price_for_restaurants": _OUTSIDE,
    "check_restaurant_opening_hours": _OUTSIDE,
    "get_all_car_rental_companies_in_city": _OUTSIDE,
    "get_car_types_available": _OUTSIDE,
    "get_rating_reviews_for_car_rental": _OUTSIDE,
    "get_car_fuel_options": _OUTSIDE,
    "get_car_rental_address": _OUTSIDE,
    "get_car_price_per_day": _OUTSIDE,
    "get_flight_information": _OUTSIDE,
    "reserve_hotel": _WRITE,
    "reserve_restaurant": _WRITE,
    "reserve_car_rental": _WRITE,
}

MARKS: Mapping[str, Mark] = {**_BANKING, **_SLACK, **_MAIL, **_CALENDAR, **_DRIVE, **_TRAVEL}
"""By the name of the function; suites that share a function share its marks."""
