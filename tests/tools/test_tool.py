"""Tool itself: its checks, tools from schemas, options of the decorator."""

import pytest
from ferrule.tools import ArgumentError, Tool, ToolDefinitionError, ToolFailed, tool

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1, "minimum": 1}},
    "required": ["city"],
}


@pytest.mark.parametrize(
    "schema",
    [
        {"name": "f", "description": "d", "parameters": PARAMETERS},
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": PARAMETERS}},
        {"name": "f", "description": "d", "input_schema": PARAMETERS},
        {"name": "f", "description": "d", "inputSchema": PARAMETERS},
    ],
    ids=["bare", "wrapped", "input_schema", "inputSchema"],
)
def test_from_schema(schema):
    made = Tool.from_schema(schema, lambda **values: values, timeout=5, permission="write")
    assert made.schema() == {"name": "f", "description": "d", "parameters": PARAMETERS}
    assert (made.timeout, made.permission) == (5, "write")
    assert made.call({"city": "Oslo"}) == {"city": "Oslo", "days": 1}
    made.schema()["parameters"]["properties"].clear()
    assert made.schema()["parameters"] == PARAMETERS


def test_a_schema_may_lack_almost_everything():
    made = Tool.from_schema({"name": "math.hypot-2"})
    assert made.description == ""
    assert made.parameters == {"type": "object", "properties": {}, "additionalProperties": False}
    made.validate({})
    with pytest.raises(ArgumentError, match=r"/a: unknown \(allowed: none\)"):
        made.validate({"a": 1})
    with pytest.raises(ToolFailed, match="no function to run"):
        made.call({})
    with pytest.raises(ToolFailed, match="no function to run"):
        made()
    assert Tool.from_schema({"name": "f", "parameters": {"properties": {"a": {}}}}).parameters["type"] == "object"


@pytest.mark.parametrize("key", ["returns", "outputSchema", "response"])
def test_what_a_tool_returns(key):
    schema = {"type": "object", "properties": {"id": {"type": "integer"}}}
    made = Tool.from_schema({"name": "f", key: schema})
    assert made.returns == schema
    assert made.returns is not schema
    assert "returns" not in made.schema()
    assert Tool.from_schema({"name": "f", key: "text"}).returns is None
    assert Tool.from_schema({"name": "f"}, returns=schema).returns == schema


@pytest.mark.parametrize(
    "schema",
    [
        [],
        "f",
        {},
        {"function": "f"},
        {"name": ""},
        {"name": " f"},
        {"name": "a\nb"},
        {"name": "x" * 129},
        {"name": None},
        {"name": 3},
        {"name": "f", "description": 3},
        {"name": "f", "parameters": []},
        {"name": "f", "parameters": "none"},
    ],
    ids=repr,
)
def test_declarations_that_are_not_tools(schema):
    with pytest.raises(ToolDefinitionError) as caught:
        Tool.from_schema(schema)
    assert "received" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": float("inf")},
        {"timeout": float("nan")},
        {"timeout": "5"},
        {"timeout": True},
        {"permission": "admin"},
        {"max_result_bytes": 0},
        {"name": "a\tb"},
        {"description": 3},
    ],
    ids=repr,
)
def test_options_that_are_not(options):
    with pytest.raises(ToolDefinitionError, match="received"):

        @tool(**options)
        def f() -> None: ...

    with pytest.raises(ToolDefinitionError, match="received"):
        Tool(**{"name": "f", **options})


def test_decorator_options():
    @tool(name="set_lamp", description="Sets it.", timeout=None, permission="destructive", max_result_bytes=100)
    def f(on: bool) -> bool:
        """Not this."""
        return on

    assert (f.name, f.description, f.timeout, f.permission, f.max_result_bytes) == (
        "set_lamp",
        "Sets it.",
        None,
        "destructive",
        100,
    )
    assert tool(f) is f
    other = tool(timeout=1)(f)
    assert (other.name, other.timeout, other.call({"on": True})) == ("set_lamp", 1, True)
    assert not f.is_async
    assert len({f, other}) == 2
    with pytest.raises(TypeError, match="retries"):
        tool(retries=3)


def test_every_violation_is_named_on_one_line():
    made = Tool.from_schema({"name": "f", "parameters": {**PARAMETERS, "additionalProperties": False}})
    with pytest.raises(ArgumentError) as caught:
        made.validate({"days": 0, "to\nwn": "x" * 1000})
    assert dict(caught.value.violations).keys() == {"/city", "/days", "/to\nwn"}
    assert str(caught.value).startswith("wrong arguments for f: /city: missing; /days: 0 is less than the minimum of 1")
    assert "\n" not in str(caught.value)
    with pytest.raises(ArgumentError, match="and 15 more"):
        made.validate({str(n): n for n in range(19)})


@pytest.mark.parametrize("arguments", [None, [], "x", 3, {"city": float("nan")}, {"city": b"x"}, {"city": "\ud800"}])
def test_arguments_that_are_not_json_objects(arguments):
    with pytest.raises(ArgumentError) as caught:
        Tool.from_schema({"name": "f"}).validate(arguments)
    assert "\n" not in str(caught.value)


def test_argument_errors_leave_the_function_alone():
    ran = []

    @tool
    def f(a: int) -> None:
        ran.append(a)

    for wrong in ({}, {"a": "1"}, {"a": 1.5}, {"a": True}, {"a": None}, {"a": 1, "b": 2}):
        with pytest.raises(ArgumentError):
            f.call(wrong)
    assert ran == []
    f.call({"a": 1.0})
    assert ran == [1]
    assert isinstance(ran[0], int)


def test_what_may_be_repeated_and_what_is_sensitive():
    def send(to: str, body: str = "") -> str:
        return "sent"

    reads, writes = tool()(send), tool(permission="write")(send)
    assert (reads.may_repeat, writes.may_repeat) == (True, False)
    assert (reads.is_sensitive("to"), writes.is_sensitive("to")) == (False, True)
    marked = tool(permission="write", idempotent=True, sensitive=["to"], trusted=True, policies={"body": "free"})(send)
    assert marked.may_repeat
    assert (marked.is_sensitive("to"), marked.is_sensitive("body")) == (True, False)
    assert (marked.sensitive, marked.policies, marked.trusted) == (("to",), {"body": "free"}, True)


@pytest.mark.parametrize(
    "options",
    [
        {"idempotent": 1},
        {"trusted": "yes"},
        {"sensitive": "to"},
        {"sensitive": ["cc"]},
        {"policies": {"to": "invent"}},
        {"policies": {"to": []}},
        {"policies": {"cc": "copy"}},
        {"policies": "copy"},
    ],
)
def test_marks_that_make_no_sense(options):
    def send(to: str) -> str:
        return "sent"

    with pytest.raises(ToolDefinitionError, match=r"received|cc"):
        tool(**options)(send)


@pytest.mark.parametrize(
    ("schema", "is_address"),
    [
        ({"type": "string", "format": "uri"}, True),
        ({"anyOf": [{"type": "string", "format": "iri-reference"}, {"type": "null"}]}, True),
        ({"type": "array", "items": {"type": "string", "format": "hostname"}}, True),
        ({"type": "string", "format": "date"}, False),
        ({"type": "string"}, False),
        (True, False),
    ],
)
def test_addresses_are_sensitive_even_where_a_tool_only_reads(schema, is_address):
    parameters = {"type": "object", "properties": {"at": schema, "other": {"type": "string"}}}
    assert Tool("f", "", parameters).is_sensitive("at") is is_address
    assert not Tool("f", "", parameters).is_sensitive("other")
    assert not Tool("f", "", parameters, sensitive=()).is_sensitive("at")
    assert Tool("f", "", parameters, permission="write").is_sensitive("at")


def test_parameters_that_are_not_declared_are_sensitive_where_something_changes():
    assert Tool("f", permission="write").is_sensitive("more")
    assert not Tool("f", permission="write", sensitive=()).is_sensitive("more")
    assert not Tool("f").is_sensitive("more")
