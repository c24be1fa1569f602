from __future__ import annotations

from ferrule.agents.dialects.hermes import HermesDialect
from ferrule.tools.call import ToolCall, ToolResult
from ferrule.tools.tool import Tool

dialect = HermesDialect()
CALL = ToolCall("a.b", {"x": 1})


def test_prompt():
    tool = Tool("a.b", "Does it.", {"type": "object", "properties": {}})
    prompt = dialect.render_prefix("Be brief.", [tool, tool]) + dialect.render_user("hi")
    declared = '{"type": "function", "function": {"name": "a.b", "description": "Does it.", "parameters": '
    declared += '{"type": "object", "properties": {}}}}\n'
    assert prompt.startswith("<|im_start|>system\nBe brief.\n\n# Tools\n\n")
    assert f"<tools>\n{declared}{declared}</tools>\n\n" in prompt
    assert prompt.endswith("</tool_call><|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n")
    assert dialect.render_prefix(None, []) == ""
    assert dialect.render_user("hi", first=False) == "\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


def test_calls_and_results():
    block = '<tool_call>\n{"name": "a.b", "arguments": {"x": 1}}\n</tool_call>'
    assert dialect.render_calls([CALL, CALL]) == f"{block}\n{block}"
    assert dialect.render_results([ToolResult(CALL, True, {"t": "°"}), ToolResult(CALL, False, error="no")]) == (
        '\n<|im_start|>user\n<tool_response>\n{"t": "°"}\n</tool_response>\n<tool_response>\n{"error": "no"}\n</tool_response>'
        "<|im_end|>\n<|im_start|>assistant\n"
    )
