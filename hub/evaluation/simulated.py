"""The simulated classes of the package `bfcl-eval`: where they are, and what their functions do besides reading."""

from __future__ import annotations

from dataclasses import dataclass

from ...tools import Permission


@dataclass(frozen=True)
class Simulated:
    """A class.

    Attributes:
        module: its name in the package; that of its file of docs, too.
        writes: functions that change its state.
        destroys: those that take something away for good.
    """

    module: str
    writes: frozenset[str] = frozenset()
    destroys: frozenset[str] = frozenset()

    def permission(self, function: str) -> Permission:
        """How one of its functions is to be marked."""
        if function in self.destroys:
            return "destructive"
        return "write" if function in self.writes else "read"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


SIMULATED = {
    "GorillaFileSystem": Simulated("gorilla_file_system", _names("cd cp echo mkdir mv touch"), _names("rm rmdir")),
    "MathAPI": Simulated("math_api"),
    "MessageAPI": Simulated("message_api", _names("add_contact message_login send_message"), _names("delete_message")),
    "TicketAPI": Simulated("ticket_api", _names("create_ticket close_ticket edit_ticket resolve_ticket ticket_login logout")),
    "TradingBot": Simulated(
        "trading_bot",
        _names("add_to_watchlist cancel_order fund_account place_order remove_stock_from_watchlist trading_login")
        | _names("trading_logout withdraw_funds"),
    ),
    "TravelAPI": Simulated(
        "travel_booking",
        _names("authenticate_travel book_flight contact_customer_support purchase_insurance register_credit_card")
        | _names("set_budget_limit"),
        _names("cancel_booking"),
    ),
    "TwitterAPI": Simulated(
        "posting_api", _names("authenticate_twitter comment follow_user mention post_tweet retweet unfollow_user")
    ),
    "VehicleControlAPI": Simulated(
        "vehicle_control",
        _names("activateParkingBrake adjustClimateControl display_log fillFuelTank lockDoors pressBrakePedal")
        | _names("releaseBrakePedal setCruiseControl setHeadlights set_navigation startEngine"),
    ),
}
