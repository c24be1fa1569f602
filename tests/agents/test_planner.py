"""Planned runs, with scripted models: each turn of the script is checked against the grammar that the planner asked for."""

from __future__ import annotations

import json

import pytest
from ferrule.agents import (
    Agent,
    Answer,
    Budget,
    Call,
    Observation,
    Plan,
    Question,
    Refusal,
    ScriptedModel,
    Stop,
    UsageError,
    read_log,
)
from ferrule.agents.replay import replay
from ferrule.tools import Tool, ToolCall, ToolFailed, tool

PEOPLE = {"Mia": "U-17", "Oskar": "U-23"}


class Office:
    """Messages and tickets, with every effect noted."""

    def __init__(self):
        self.sent: list[tuple[str, str]] = []
        self.tickets: list[dict] = []

    def tools(self) -> list[Tool]:
        @tool
        def get_user_id(user: str) -> dict:
            """Get the user id of a user by name.

            Args:
                user: Name of the user.
            """
            if user not in PEOPLE:
                raise ToolFailed(f"there is no user {user!r}")
            return {"user_id": PEOPLE[user]}

        @tool(permission="write")
        def send_message(receiver_id: str, message: str) -> dict:
            """Send a message to a user.

            Args:
                receiver_id: User id of the receiver.
                message: What to send.
            """
            if receiver_id not in PEOPLE.values():
                raise ToolFailed(f"receiver id {receiver_id!r} not found")
            self.sent.append((receiver_id, message))
            return {"sent": True}

        @tool(permission="write")
        def create_ticket(title: str, priority: int = 1) -> dict:
            """Create a ticket.

            Args:
                title: Title of the ticket.
                priority: From 1 to 5.
            """
            self.tickets.append({"id": 1000 + len(self.tickets), "title": title, "priority": priority, "status": "open"})
            return self.tickets[-1]

        @tool(permission="write")
        def close_ticket(ticket_id: int) -> dict:
            """Close a ticket.

            Args:
                ticket_id: Id of the ticket.
            """
            ticket = next((t for t in self.tickets if t["id"] == ticket_id), None)
            if ticket is None:
                raise ToolFailed(f"there is no ticket with the id {ticket_id}")
            ticket["status"] = "closed"
            return ticket

        @tool
        def list_tickets() -> list:
            """List the tickets with their ids."""
            return self.tickets

        return [get_user_id, send_message, create_ticket, close_ticket, list_tickets]


def planned(turns, office=None, **options):
    office = office or Office()
    tools = office.tools()
    model = ScriptedModel.from_calls(turns, tools=tools)
    return office, Agent(model, tools, planning=True, approve=lambda request: True, **options)


def names(run):
    return [step.call.name for step in run.steps if isinstance(step, Call)]


def test_one_clause_after_the_other():
    _office, agent = planned(
        [
            [ToolCall("create_ticket", {"title": "Heating"})],
            "Ticket 1000 was created.",
            [ToolCall("list_tickets", {})],
            "There is one ticket.",
        ]
    )
    run = agent.run("Create a ticket titled 'Heating', then list all the tickets.")
    plan = next(step for step in run.steps if isinstance(step, Plan))
    assert [part.text for part in plan.parts] == ["Create a ticket titled 'Heating'", "list all the tickets."]
    assert names(run) == ["create_ticket", "list_tickets"]
    assert run.status == "answered"
    assert run.answer == "Ticket 1000 was created. There is one ticket."
    prompts = agent.model.prompts
    assert "list all the tickets" not in prompts[0]
    assert "titled 'Heating'" not in prompts[2]  # a part that points at nothing begins anew


def test_an_id_that_nobody_said_is_looked_up():
    office, agent = planned([[ToolCall("send_message", {"receiver_id": "Mia", "message": "Lunch at noon?"})], "Sent."])
    run = agent.run("Send Mia the message 'Lunch at noon?'")
    assert office.sent == [("U-17", "Lunch at noon?")]
    assert names(run) == ["get_user_id", "send_message"]
    call = [step for step in run.steps if isinstance(step, Call)][-1]
    source = call.evidence["/receiver_id"]
    assert (source.kind, source.at, source.text) == ("observation", "1#/user_id", "U-17")
    assert not source.trusted


def test_a_value_from_a_lookup_needs_approval():
    """What was looked up comes from a result: without anybody to ask, a tool that changes things does not get it."""
    office = Office()
    tools = office.tools()
    model = ScriptedModel.from_calls([[ToolCall("send_message", {"receiver_id": "Mia", "message": "Hi"})], "No."], tools=tools)
    run = Agent(model, tools, planning=True).run("Send Mia the message 'Hi'")
    assert office.sent == []
    assert run.status != "answered" or "not allowed" in run.answer


def test_a_part_that_points_back_gets_the_result():
    office, agent = planned(
        [
            [ToolCall("create_ticket", {"title": "Projector is broken", "priority": 4})],
            "Created.",
            [ToolCall("close_ticket", {"ticket_id": 1})],  # the model invents an id
            "Closed.",
        ]
    )
    agent.run("Create a ticket titled 'Projector is broken' with priority 4, then close it.")
    assert office.tickets == [{"id": 1000, "title": "Projector is broken", "priority": 4, "status": "closed"}]
    assert "Projector is broken" in agent.model.prompts[2]  # it goes on with the conversation


def test_a_call_that_failed_for_an_id_is_made_with_the_right_one():
    @tool
    def airport(city: str) -> dict:
        """Origin of flights: the code of a city's airport.

        Args:
            city: Name of the city.
        """
        return {"origin": {"Rome": "FCO"}[city]}

    flights = []

    @tool(permission="write")
    def book(origin: str) -> dict:
        """Book a flight.

        Args:
            origin: Where the flight leaves.
        """
        if len(origin) != 3 or not origin.isupper():
            raise ToolFailed(f"invalid airport code: {origin}")
        flights.append(origin)
        return {"booked": True}

    model = ScriptedModel.from_calls([[ToolCall("book", {"origin": "Rome"})], "Booked."], tools=[airport, book])
    run = Agent(model, [airport, book], planning=True, approve=lambda request: True).run("Book a flight from Rome")
    assert flights == ["FCO"]
    assert names(run) == ["book", "airport", "book"]


def test_what_is_enumerated_and_left_out_is_called_for():
    @tool
    def weather(city: str) -> dict:
        """Weather in a city.

        Args:
            city: Name of the city.
        """
        return {"city": city}

    def call(city):
        return ToolCall("weather", {"city": city})

    turns = [[call("Oslo")], [call("Oslo"), call("Rome")], [call("Oslo"), call("Rome"), call("Lima")], "All fine."]
    model = ScriptedModel.from_calls(turns, tools=[weather])
    run = Agent(model, [weather], planning=True).run("What's the weather in Oslo, Rome and Lima?")
    assert sorted(step.result.value["city"] for step in run.steps if isinstance(step, Observation)) == ["Lima", "Oslo", "Rome"]


def test_further_calls_that_take_up_nothing_do_not_count():
    @tool
    def weather(city: str) -> dict:
        """Weather in a city."""
        return {"city": city}

    def call(city):
        return ToolCall("weather", {"city": city})

    model = ScriptedModel.from_calls([[call("Oslo")], [call("Oslo"), call("Paris")], "Fine."], tools=[weather])
    run = Agent(model, [weather], planning=True).run("What's the weather in Oslo and Rome?")
    assert [step.call.arguments["city"] for step in run.steps if isinstance(step, Call)] == ["Oslo"]


def test_a_text_that_nobody_said_is_asked_for():
    office, agent = planned([[ToolCall("send_message", {"receiver_id": "Mia", "message": "Hello, how are things going?"})]])
    run = agent.run("Send Mia a message")
    assert office.sent == []
    question = run.steps[-1]
    assert isinstance(question, Question)
    assert "send_message.message" in question.text


def test_the_reply_to_a_question_is_taken_up():
    turns = [
        [ToolCall("send_message", {"receiver_id": "Mia", "message": "Hello, how are things going?"})],
        [ToolCall("send_message", {"receiver_id": "Mia", "message": "Lunch is off"})],
        "Sent.",
    ]
    office, agent = planned(turns, ask=lambda text: "'Lunch is off'")
    run = agent.run("Send Mia a message")
    assert [type(step) for step in run.steps].count(Question) == 1
    assert office.sent == [("U-17", "Lunch is off")]
    assert isinstance(run.steps[-1], Answer)


def test_several_of_what_is_sought_for_one():
    sought = []

    @tool
    def search_products(words: str) -> list:
        """Search the shop's products.

        Args:
            words: What to search for.
        """
        sought.append(words)
        return [{"name": "Desk lamp", "price": 12}] if words == "lamp" else []

    model = ScriptedModel.from_calls([[ToolCall("search_products", {"words": "lamps"})], "A lamp."], tools=[search_products])
    run = Agent(model, [search_products], planning=True).run("Search the shop for lamps")
    assert sought == ["lamps", "lamp"]
    assert run.answer == "A lamp."


def test_a_part_without_a_tool_does_not_end_the_run():
    office, agent = planned([[ToolCall("create_ticket", {"title": "Door"})], "Created.", []])
    run = agent.run("Create a ticket titled 'Door' and play me a lullaby.")
    assert [t["title"] for t in office.tickets] == ["Door"]
    assert run.status == "answered"
    assert "no tool fits" in run.answer


def test_nothing_but_parts_without_a_tool():
    _, agent = planned([[]])
    run = agent.run("Sing me a lullaby")
    assert isinstance(run.steps[-1], Refusal)
    assert run.status == "refused"


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_every_budget_ends_it(turns):
    script = [
        [ToolCall("create_ticket", {"title": "Heating"})],
        "Created.",
        [ToolCall("list_tickets", {})],
        "One.",
    ]
    _, agent = planned(script, budget=Budget(turns=turns))
    run = agent.run("Create a ticket titled 'Heating', then list all the tickets.")
    assert run.usage.turns <= turns
    assert isinstance(run.steps[-1], Stop)
    assert run.steps[-1].reason == "turns"


def test_a_planned_run_is_replayed_exactly(tmp_path):
    path = tmp_path / "run.jsonl"
    office, agent = planned(
        [
            [ToolCall("send_message", {"receiver_id": "Mia", "message": "Lunch at noon?"})],
            "Sent.",
            [ToolCall("list_tickets", {})],
            "None.",
        ],
        log=path,
    )
    run = agent.run("Send Mia the message 'Lunch at noon?', then list the tickets.")
    agent.close()
    (again,) = replay(path)
    assert [step.kind for step in again.steps] == [step.kind for step in run.steps]
    assert len(office.sent) == 1
    assert json.loads(path.read_text().splitlines()[0])["planning"] is True
    assert [step.kind for step in read_log(path)[0]] == [step.kind for step in run.steps]


def test_a_planned_run_cut_anywhere_is_resumed(tmp_path):
    path = tmp_path / "run.jsonl"
    goal = "Send Mia the message 'Lunch at noon?', then list the tickets."
    script = [
        [ToolCall("send_message", {"receiver_id": "Mia", "message": "Lunch at noon?"})],
        "Sent.",
        [ToolCall("list_tickets", {})],
        "None.",
    ]
    _, agent = planned(script, log=path)
    whole = agent.run(goal)
    agent.close()
    lines = path.read_bytes().splitlines(keepends=True)
    for kept in range(2, len(lines) - 1):
        cut = tmp_path / f"cut{kept}.jsonl"
        cut.write_bytes(b"".join(lines[:kept]))
        written = sum(json.loads(line)["kind"] == "written" for line in lines[:kept])
        office, again = planned(script[written:], log=cut)
        again.model.tokenizer = agent.model.tokenizer  # its ids are in the log
        run = again.resume()
        again.close()
        assert run.steps[-1].kind in ("answer", "refusal")
        done = sum(json.loads(line)["kind"] == "observation" for line in lines[:kept])
        assert len(office.sent) == (0 if done >= 2 or _begun(lines[:kept]) else 1)
    assert whole.status == "answered"


def _begun(lines):
    """Whether the message's call was begun: its outcome is then unknown, and it is not made again."""
    records = [json.loads(line) for line in lines]
    return any(record["kind"] == "call" and record["call"]["name"] == "send_message" for record in records)


def test_the_model_says_whether_it_needs_a_plan():
    model = ScriptedModel([])
    office = Office()
    assert Agent(model, office.tools()).settings.planning is False
    model.one_at_a_time = True
    assert Agent(model, office.tools()).settings.planning is True
    assert Agent(model, office.tools(), planning=False).settings.planning is False
    with pytest.raises(UsageError, match="planning is True or False"):
        Agent(model, office.tools(), planning="yes")


def test_a_hundred_tools():
    """Of very many tools only near ones are ranked, and few are shown."""
    office = Office()
    others = [Tool(f"convert_unit_{n}", f"Convert unit {n} to another unit.", function=lambda: 0) for n in range(150)]
    tools = [*others, *office.tools()]
    model = ScriptedModel.from_calls([[ToolCall("create_ticket", {"title": "Door"})], "Created."], tools=tools)
    run = Agent(model, tools, planning=True).run("Create a ticket titled 'Door'")
    assert run.status in ("answered", "refused", "failed")
    assert model.prompts[0].count('"name"') <= 4
    assert "create_ticket" in model.prompts[0]


@pytest.mark.parametrize(
    ("goal", "condition"),
    [
        ("If ticket 1000 is still open, close it.", "If ticket 1000 is still open"),
        ("Close ticket 1000 unless somebody works on it", "unless somebody works on it"),
        ("Close ticket 1000 only if it is about doors.", "only if it is about doors"),
        ("Close ticket 1000", ""),
    ],
)
def test_what_is_wanted_under_a_condition_is_asked_about(goal, condition):
    """Nobody judges the condition, so a change is not simply made."""
    office = Office()
    office.tickets.append({"id": 1000, "title": "Door", "priority": 1, "status": "open"})
    tools = office.tools()
    turns = [[ToolCall("close_ticket", {"ticket_id": 1000})], "Closed."]
    asked = []

    def approve(request):
        asked.append(request.reasons)
        return True

    Agent(ScriptedModel.from_calls(turns, tools=tools), tools, planning=True, approve=approve).run(goal)
    assert len(asked) == (1 if condition else 0)
    assert not condition or condition in asked[0][-1]
    assert office.tickets[0]["status"] == "closed"
    office.tickets[0]["status"] = "open"
    Agent(ScriptedModel.from_calls(turns, tools=tools), tools, planning=True).run(goal)  # nobody is there
    assert office.tickets[0]["status"] == ("open" if condition else "closed")


def test_a_question_is_no_condition():
    _, agent = planned([[ToolCall("list_tickets", {})], "None."])
    run = agent.run("Tell me if there are any tickets in the list")
    assert names(run) == ["list_tickets"]


def test_a_number_that_the_schema_forbids_is_a_question():
    """It is not made with another one in its place."""
    minutes = {"type": "number", "minimum": 1, "maximum": 600}
    schema = {"type": "object", "properties": {"minutes": minutes}, "required": ["minutes"]}
    timer = Tool("set_timer", "Set a timer.", schema, lambda minutes: minutes, permission="write")
    model = ScriptedModel.from_calls([[ToolCall("set_timer", {"minutes": 600.0})]], tools=[timer])
    run = Agent(model, [timer], planning=True).run("Set a timer for 9000 minutes")
    assert names(run) == []
    assert isinstance(run.steps[-1], Question)
    assert run.steps[-1].reason == "out_of_range"
    assert "9000 was said" in run.steps[-1].text


def test_without_grounding_values_are_the_models():
    office, agent = planned([[ToolCall("create_ticket", {"title": "Heating", "priority": 4})], "Created."], grounding=False)
    agent.run("Create a ticket, you know which")
    assert [(ticket["title"], ticket["priority"]) for ticket in office.tickets] == [("Heating", 4)]


def test_a_budget_that_ends_within_a_lookup_ends_the_run():
    script = [
        [ToolCall("list_tickets", {})],
        "None.",
        [ToolCall("send_message", {"receiver_id": "Mia", "message": "Lunch is off"})],
    ]
    office, agent = planned(script, budget=Budget(calls=1))
    run = agent.run("List all the tickets and send Mia the message 'Lunch is off'")
    assert names(run) == ["list_tickets"]
    assert office.sent == []
    assert [step.kind for step in run.steps].count("stop") == 1
    assert run.steps[-1].reason == "calls"


# -- how sure it has to be ---------------------------------------------------------------------------------------------

TICKETS = "Create a ticket 'Heating' and create a ticket 'Lights'"


@pytest.mark.parametrize(
    ("confidence", "least", "made"),
    [
        (0.08, None, 2),  # below what is usual; but the words are about that tool
        (0.01, None, 0),
        (0.5, 0.9, 0),  # who asks for more than is usual gets it
        (0.95, 0.9, 2),
    ],
)
def test_what_a_person_asks_for_goes_for_every_part(confidence, least, made):
    turns = [[ToolCall("create_ticket", {"title": title})] for title in ("Heating", "Lights")]
    if made:
        turns = [turns[0], "done", turns[1], "done"]
    office = Office()
    model = ScriptedModel.from_calls(turns, tools=office.tools(), confidence=confidence)
    run = Agent(model, office.tools(), planning=True, approve=lambda request: True, min_confidence=least).run(TICKETS)
    assert [ticket["title"] for ticket in office.tickets] == ["Heating", "Lights"][:made]
    if not made:
        needed = 0.05 if least is None else least
        assert f"(confidence {confidence:.2g}, {needed:.2g} needed)" in run.answer
