from __future__ import annotations

from ferrule.agents.dialects.gemma4 import Gemma4Dialect
from ferrule.tools.call import ToolCall, ToolResult
from ferrule.tools.tool import Tool

dialect = Gemma4Dialect()


def test_prompt():
    note = {"type": ["string", "null"], "description": "What to note."}
    tool = Tool("a.b", "Does it.", {"type": "object", "properties": {"note": note, "bare": {"type": "boolean"}}})
    assert dialect.render_prefix(" Be brief.\n", [tool]) + dialect.render_user("hi ") == (
        '<|turn>system\nBe brief.<|tool>declaration:a.b{description:<|"|>Does it.<|"|>,parameters:{properties:{'
        'bare:{type:<|"|>BOOLEAN<|"|>},note:{description:<|"|>What to note.<|"|>,nullable:true,type:<|"|>STRING<|"|>}},'
        'type:<|"|>OBJECT<|"|>}}<tool|><turn|>\n<|turn>user\nhi<turn|>\n<|turn>model\n'
    )
    assert dialect.render_prefix(None, []) == ""
    assert dialect.render_user("hi", first=False) == "\n<|turn>user\nhi<turn|>\n<|turn>model\n"


def test_calls_and_results():
    calls = [ToolCall("a.b", {"x": 'a"|>', "n": [1, None]}), ToolCall("c", {})]
    written = '<|tool_call>call:a.b{x:<|"|>a"|><|"|>,n:[1,null]}<tool_call|><|tool_call>call:c{}<tool_call|>'
    assert dialect.render_calls(calls) == written
    assert list(dialect.parse(written + "<|tool_response>").calls) == calls
    # As the template writes what Python calls None.
    assert dialect.parse("<|tool_call>call:c{n:None,b:True}<tool_call|>").calls[0].arguments == {"n": None, "b": True}
    results = [ToolResult(call, True, 1) for call in calls]
    assert dialect.render_results(results) == (
        "response:a.b{value:1}<tool_response|><|tool_response>response:c{value:1}<tool_response|>"
    )
