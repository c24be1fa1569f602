from __future__ import annotations

from ferrule.agents.dialects.llama3 import Llama3Dialect
from ferrule.tools.call import ToolCall, ToolResult
from ferrule.tools.tool import Tool

dialect = Llama3Dialect()
CALL = ToolCall("a.b", {"x": 1})
ASSISTANT = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"


def test_prompt():
    tool = Tool("a.b", "Does it.", {"type": "object", "properties": {}})
    prompt = dialect.render_prefix("Be brief.", [tool]) + dialect.render_user("hi")
    facts = "Environment: ipython\nCutting Knowledge Date: December 2023\n\n"
    opening = f"<|start_header_id|>system<|end_header_id|>\n\n{facts}Be brief.<|eot_id|>"
    assert prompt.startswith(opening + "<|start_header_id|>user<|end_header_id|>\n\nGiven the following functions")
    assert prompt.endswith('            "properties": {}\n        }\n    }\n}\n\nhi' + ASSISTANT)
    assert dialect.render_user("hi", first=False) == "<|start_header_id|>user<|end_header_id|>\n\nhi" + ASSISTANT


def test_calls_and_results():
    assert dialect.render_calls([CALL]) == '{"name": "a.b", "parameters": {"x": 1}}'
    results = dialect.render_results([ToolResult(CALL, True, 27)])
    assert results == "<|start_header_id|>ipython<|end_header_id|>\n\n27" + ASSISTANT
