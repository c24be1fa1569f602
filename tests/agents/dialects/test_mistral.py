from __future__ import annotations

from ferrule.agents.dialects.mistral import MistralDialect
from ferrule.tools.call import ToolCall, ToolResult
from ferrule.tools.tool import Tool

dialect = MistralDialect()
CALL = ToolCall("a.b", {"x": 1})


def test_prompt():
    tool = Tool("a.b", "", {"type": "object", "properties": {}})
    assert dialect.render_prefix("Be brief.", [tool]) + dialect.render_user("hi") == (
        '[AVAILABLE_TOOLS][{"type": "function", "function": {"name": "a.b", "description": "", "parameters": '
        '{"type": "object", "properties": {}}}}][/AVAILABLE_TOOLS][INST]Be brief.\n\nhi[/INST]'
    )
    assert dialect.render_user("hi", first=False) == "[INST]hi[/INST]"


def test_calls_are_numbered_and_results_name_them():
    written = dialect.render_calls([CALL, CALL])
    one = '{"name": "a.b", "arguments": {"x": 1}, "id": "call00001"}'
    assert written == f"[TOOL_CALLS][{one}, {one.replace('00001', '00002')}]"
    calls = dialect.parse(written + "</s>").calls
    assert [call.id for call in calls] == ["call00001", "call00002"]
    assert dialect.render_results([ToolResult(calls[1], True, 27), ToolResult(calls[0], False, error="no")]) == (
        '[TOOL_RESULTS]{"content": 27, "call_id": "call00002"}[/TOOL_RESULTS]'
        '[TOOL_RESULTS]{"content": {"error": "no"}, "call_id": "call00001"}[/TOOL_RESULTS]'
    )
    # without ids, or with one twice, by position
    for call in (CALL, calls[1]):
        text = dialect.render_results([ToolResult(call, True, 27)] * 2)
        assert text.index("call00001") < text.index("call00002")


def test_any_id_is_read():
    (call,) = dialect.parse('[TOOL_CALLS] [{"name": "a.b", "arguments": {"x": 1}, "id": "VvvODy9mT"}]').calls
    assert call == ToolCall("a.b", {"x": 1}, "VvvODy9mT")
    assert dialect.parse('[TOOL_CALLS][{"name":"a.b","arguments":{"x":1}}]').calls == (CALL,)
