from __future__ import annotations

from ferrule.agents.dialects.gemma3_json import Gemma3JsonDialect
from ferrule.tools.call import ToolCall, ToolResult
from ferrule.tools.tool import Tool

dialect = Gemma3JsonDialect()
CALL = ToolCall("a.b", {"x": 1})
MODEL = "<end_of_turn>\n<start_of_turn>model\n"


def test_prompt():
    tool = Tool("a.b", "", {"type": "object", "properties": {}})
    prompt = dialect.render_prefix("Be brief.", [tool]) + dialect.render_user("hi")
    assert prompt.startswith("<start_of_turn>user\nBe brief.\n\nYou can call functions.")
    assert prompt.endswith('"parameters": {"type": "object", "properties": {}}}]\n\nhi' + MODEL)
    assert dialect.render_user("hi", first=False) == "\n<start_of_turn>user\nhi" + MODEL


def test_calls_and_results():
    assert dialect.render_calls([CALL, CALL]).splitlines() == ['{"name": "a.b", "parameters": {"x": 1}}'] * 2
    results = dialect.render_results([ToolResult(CALL, True, 27)])
    assert results == "\n<start_of_turn>user\nThe functions returned: [27]" + MODEL
