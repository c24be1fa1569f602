from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from ferrule.agents import ScriptedModel
from ferrule.hub.evaluation import (
    MULTI_TURN,
    SINGLE_TURN,
    EvaluationError,
    check,
    evaluate,
    load_cases,
    load_dialogues,
    read_baseline,
)
from ferrule.hub.evaluation.grounding import gold_calls
from ferrule.tools import Tool, ToolCall

from .gold import gold

BASELINE = Path(__file__).parents[3] / "benchmarks/data/needle_engine_bfcl.json"
IDS = ["simple_python_0", "simple_python_1", "irrelevance_0"]
AREA = ToolCall("calculate_triangle_area", {"base": 10, "height": 5})
BMI = ToolCall("determine_body_mass_index", {"weight": 10, "height": 5})
FACTORIAL = ToolCall("math.factorial", {"number": 5})


def scripted(*turns, **options):
    tools = [tool for case in load_cases(ids=IDS) for tool in case.tools()]
    return ScriptedModel.from_calls(turns, tools=tools, **options)


def run(model, **options):
    return evaluate(model, ids=IDS, **options)


def test_decisions_are_scored_and_nothing_is_executed():
    seen = []
    report = run(
        scripted([AREA], [FACTORIAL], [], confidence=0.9), on_result=lambda result, total: seen.append((result, total))
    )
    assert [result.ok for result in report.results] == [True, True, True]
    assert [result.id for result, _ in seen] == IDS
    assert {total for _, total in seen} == {3}
    assert report.results[1].calls == [{"name": "math.factorial", "arguments": {"number": 5}}]  # the caller's name
    assert report.overall.accuracy == report.mean_accuracy == 1.0
    assert report.scores["simple_python"].cases == 2


def test_every_failure_has_its_reason():
    wrong = ToolCall("calculate_triangle_area", {"base": 5, "height": 10})
    report = run(scripted([wrong], [], [BMI], confidence=0.9))
    assert [result.reason for result in report.results] == ["value_error:others", "no_call", "irrelevance_error"]
    assert report.overall.right == 0
    assert report.scores["simple_python"].failures == {"value_error:others": 1, "no_call": 1}
    (war,) = load_cases(ids=["simple_python_238"])  # whose president, and of no year
    invented = ToolCall("us_history.get_president", {"event": "American Civil War", "year": 1999})
    report = evaluate(ScriptedModel.from_calls([[invented]], tools=war.tools(), confidence=0.9), ids=[war.id])
    assert (report.results[0].reason, report.results[0].detail) == ("missing_value", "us_history.get_president.year")


def test_calls_that_the_model_is_not_sure_of_are_not_delivered():
    report = run(scripted([AREA], [FACTORIAL], [BMI], confidence=[0.05, 0.5, 0.05]))
    assert [result.reason for result in report.results] == ["withheld", "", ""]
    assert report.results[0].withheld == [{"name": AREA.name, "arguments": AREA.arguments}]
    assert report.results[0].calls == []


def test_cases_that_cannot_be_run_are_failures():
    schema = evaluate(scripted(), ["live_simple"], ids=["live_simple_71-35-0"])
    assert schema.results[0].reason == "schema"
    assert "metrics" in schema.results[0].detail
    impossible = evaluate(scripted(), ["live_irrelevance"], ids=["live_irrelevance_428-103-0"])
    assert not impossible.results[0].ok
    context = run(scripted(context_length=20))
    assert [result.reason for result in context.results] == ["context"] * 3


def test_a_turn_that_is_cut_off_is_a_failure():
    model = ScriptedModel(["<think>" + "so " * 400], check=False)
    report = evaluate(model, ids=IDS[:1])
    assert report.results[0].reason == "stopped_tokens"


def test_results_are_kept_and_not_run_again(tmp_path):
    output = tmp_path / "results.jsonl"
    with pytest.raises(Exception, match="script is over"):  # cut off after the first case
        run(scripted([AREA], confidence=0.9), output=output)
    assert len(output.read_text().splitlines()) == 1
    with output.open("a") as file:
        file.write('{"id": "simple_python_1", "categ')  # … in the middle of a line
    report = run(scripted([FACTORIAL], [], confidence=0.9), output=output)
    assert [result.ok for result in report.results] == [True, True, True]
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert [line["id"] for line in lines] == IDS
    assert run(scripted(), output=output).overall.right == 3  # nothing is left to run
    other = run(scripted([], [], []), output=output, preset="another")  # but another preset's results are not ours
    assert other.overall.right == 1
    assert len(output.read_text().splitlines()) == 6
    strict = run(scripted([AREA], [], [], confidence=0.9), output=output, min_confidence=0.95)  # nor are those of other rules
    assert (strict.preset, strict.overall.right) == ("scripted min_confidence=0.95", 1)


def line_of(**changes) -> str:
    return json.dumps({"id": "simple_python_0", "category": "simple_python", "preset": "scripted", "ok": True, **changes})


FOREIGN = [
    *("not json\n", '{"id": "x"}\n', "[1]\n", '"text"\n', "\n"),
    # no newline at the end: nothing that was ever a whole line of ours
    *("notes", '{"id": "my own document"}', '{"id": "simple_python_0", "categ', "a\nb"),
    # ours, and then something else
    *(f"{line_of()}\nnotes", f"{line_of()}\nnotes\n", f"{line_of()}\n\n", f"notes\n{line_of()}\n", "[" * 100_000),
    # like ours, but of other types
    *(line_of(ok="yes") + "\n", line_of(id=1) + "\n", line_of(preset=None) + "\n"),
]


@pytest.mark.parametrize("content", FOREIGN, ids=range(len(FOREIGN)))
def test_a_file_of_something_else_is_not_touched(tmp_path, content):
    output = tmp_path / "results.jsonl"
    output.write_text(content)
    with pytest.raises(EvaluationError, match="is no file of results"):
        run(scripted(), output=output)
    assert output.read_text() == content


def test_a_result_that_lacks_only_its_newline_is_kept(tmp_path):
    output = tmp_path / "results.jsonl"
    run(scripted([AREA], [FACTORIAL], [], confidence=0.9), output=output)
    whole = output.read_text()
    output.write_text(whole.rstrip("\n"))
    assert run(scripted(), output=output).overall.right == 3
    assert output.read_text() == whole


def test_other_weights_and_other_versions_are_not_mixed_in(tmp_path, monkeypatch):
    output = tmp_path / "results.jsonl"
    assert run(scripted([AREA], [FACTORIAL], [], confidence=0.9), output=output, weights="aa").overall.right == 3
    assert run(scripted(), output=output, weights="aa").overall.right == 3
    assert run(scripted([], [], []), output=output, weights="bb").overall.right == 1
    monkeypatch.setattr("importlib.metadata.version", lambda package: "0.0.1")
    assert run(scripted([], [], []), output=output, weights="aa").overall.right == 1


def test_a_result_that_cannot_be_written_is_one_clear_line(tmp_path):
    output = tmp_path / "none/results.jsonl"
    with pytest.raises(EvaluationError) as caught:
        run(scripted([AREA], confidence=0.9), output=output)
    assert str(caught.value) == f"{output} cannot be written (No such file or directory)"


@pytest.mark.parametrize("output", ["/dev/zero", "/dev/full", "/"])
def test_what_is_no_file_is_refused_unread(output):
    with pytest.raises(EvaluationError, match=f"{output} is not a file; name another one"):
        run(scripted(), output=output)


def test_nothing_to_run():
    with pytest.raises(EvaluationError, match="the list of ids is empty"):
        evaluate(scripted(), ids=[])
    with pytest.raises(EvaluationError, match="the list of categories is empty"):
        evaluate(scripted(), [])


def test_the_engine_is_scored_beside_us_on_the_same_cases():
    baseline = read_baseline(BASELINE)
    cases = {case.id: case for case in load_cases(["simple_python", "multiple", "parallel", "irrelevance"])}
    found: dict[str, list[bool]] = {}
    for id, calls in baseline.items():
        found.setdefault(cases[id].category, []).append(check(cases[id], calls).ok)
    accuracy = {category: round(sum(ok) / len(ok), 4) for category, ok in found.items()}
    # as published with the baseline, which was scored by an independent checker
    assert accuracy == {"simple_python": 0.7143, "multiple": 0.5429, "parallel": 0.2899, "irrelevance": 0.7246}
    assert [len(ok) for ok in found.values()] == [70, 70, 69, 69]


def test_the_report_shows_both(capsys):
    from rich.console import Console

    few = {id: calls for id, calls in read_baseline(BASELINE).items() if id in IDS}
    report = evaluate(scripted([AREA], [], [], confidence=0.9), baseline=few)  # only the baseline's cases are run
    assert [result.id for result in report.results] == IDS
    document = json.loads(json.dumps(report.to_json()))
    simple = document["categories"]["simple_python"]
    assert (simple["accuracy"], simple["compared"], simple["baseline_accuracy"]) == (0.5, 2, 1.0)
    Console(width=140).print(report.table())
    shown = capsys.readouterr().out
    assert "baseline" in shown
    assert "1 no_call" in shown
    assert "all cases" in shown


@pytest.mark.parametrize("content", ["", "[]", '{"cases": [{"id": 1}]}', '{"cases": [{"id": "a", "calls": [{"name": "f"}]}]}'])
def test_a_broken_baseline_is_one_clear_line(tmp_path, content):
    path = tmp_path / "baseline.json"
    path.write_text(content)
    with pytest.raises(EvaluationError, match="is no baseline of BFCL cases") as caught:
        read_baseline(path)
    assert "\n" not in str(caught.value)


def test_a_missing_baseline_is_one_clear_line(tmp_path):
    with pytest.raises(EvaluationError) as caught:
        read_baseline(tmp_path / "none.json")
    assert str(caught.value) == f"the baseline {tmp_path}/none.json cannot be read (No such file or directory)"


def test_a_baseline_without_any_of_the_cases():
    with pytest.raises(EvaluationError, match="nothing to run"):
        evaluate(scripted(), ["live_simple"], baseline={"simple_python_0": []})


LITERAL = ("simple_java", "simple_javascript")


def told(category, right):
    """A model that writes the expected calls of a few cases, or others; None where a category expects that there is any."""
    cases = load_cases([category], ids=some(category))
    turns = []
    for case in cases:
        calls = expected(case) if case.answers is not None else []
        if category == "live_relevance" or ("irrelevance" in category and not right):
            calls = [ToolCall(case.functions[0]["name"], {})] if right or "irrelevance" in category else []
        elif not right:
            calls = [*calls, ToolCall(calls[0].name, {"nothing_like_it": 1})]
        turns.append(calls)
    tools = {tool.name: tool for case in cases for tool in case.tools()}
    return ScriptedModel.from_calls(turns, tools=tools.values(), check=False, context_length=200_000)


def some(category):
    """Ids of a few cases; of Java and JavaScript those whose values have the same literals as in JSON."""
    cases = load_cases([category], limit=3 if category not in LITERAL else 40)
    plain = [case for case in cases if category not in LITERAL or all(map(is_simple, gold_calls(case)))]
    assert len(plain) >= 3
    return [case.id for case in plain[:3]]


def is_simple(call):
    return all(isinstance(value, str | bool) or type(value) is int for value in call.arguments.values())


def expected(case):
    calls = list(gold_calls(case))
    if case.category not in LITERAL:
        return calls
    literals = [{k: v if isinstance(v, str) else json.dumps(v) for k, v in call.arguments.items()} for call in calls]
    return [ToolCall(call.name, arguments) for call, arguments in zip(calls, literals, strict=True)]


@pytest.mark.parametrize("category", SINGLE_TURN)
def test_expected_calls_are_all_right_and_others_all_wrong(category):
    for right in (True, False):
        report = evaluate(told(category, right), [category], ids=some(category), plain=True)
        assert report.scores[category].accuracy == float(right), report.results
        assert report.preset == "scripted plain"


def conversation(id, right=True, plain=True):
    """A model that has a conversation as expected, or leaves out its last call."""
    (dialogue,) = load_dialogues(ids=[id])
    turns = []
    for number, answer in enumerate(gold(dialogue), 1):
        steps = answer if right or number < len(dialogue.answers) else answer[:-1]
        turns += [*steps, "Done."]
    tools = [Tool.from_schema(doc) for doc in dialogue.functions[-1]]
    return ScriptedModel.from_calls(turns, tools=tools, context_length=200_000, check=False)


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("category", MULTI_TURN)
def test_conversations(category, plain):
    id = f"{category}_0"
    (result,) = evaluate(conversation(id), [category], ids=[id], plain=plain).results
    assert (result.ok, result.reason, result.progress) == (True, "", 1.0)
    assert {call["turn"] for call in result.calls} > {1, 2}
    report = evaluate(conversation(id, right=False), [category], ids=[id], plain=plain)
    (result,) = report.results
    assert not result.ok
    assert result.reason.startswith("multi_turn:")
    assert report.overall.progress == result.progress == round(1 - 1 / len(load_dialogues(ids=[id])[0].answers), 4)


def test_conversations_that_do_not_fit_or_do_not_end():
    id = "multi_turn_base_0"
    small = ScriptedModel([], context_length=50)
    assert [result.reason for result in evaluate(small, ["multi_turn"], ids=[id]).results] == ["context"]
    again = ScriptedModel.from_calls([[ToolCall("ls", {})]] * 30, check=False, context_length=200_000)
    (result,) = evaluate(again, ["multi_turn_base"], ids=["multi_turn_base_1"], plain=True).results
    assert not result.ok
    assert len(result.calls) == 21


def test_cases_and_conversations_beside_the_plain_loop(tmp_path, capsys):
    from rich.console import Console

    ids = ["multi_turn_base_0", "simple_python_0"]
    first = conversation(ids[0])
    area = scripted([AREA], confidence=0.9).turns
    output = tmp_path / "results.jsonl"

    def both(turns, plain):
        model = ScriptedModel(turns, context_length=200_000, check=False, confidence=0.9)
        return evaluate(model, ["multi_turn_base", "simple_python"], ids=ids, plain=plain, output=output)

    report = both([*first.turns, *area], False).beside_plain(both([*conversation(ids[0], False).turns, *area], True))
    assert [result.id for result in report.results] == ids
    document = json.loads(json.dumps(report.to_json()))
    assert document["categories"]["multi_turn_base"]["baseline_accuracy"] == 0.0
    assert document["plain"]["preset"] == "scripted plain"
    assert document["plain"]["categories"]["multi_turn_base"]["progress"] == 0.75
    Console(width=140).print(report.table())
    assert "plain loop" in capsys.readouterr().out
    assert both([], False).overall.right == 2  # neither of them is run again
    assert both([], True).overall.right == 1
    report.write(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text()) == document
    report.write(tmp_path / "report.svg")
    chart = ElementTree.parse(tmp_path / "report.svg").getroot()
    words = [text.text for text in chart.iter("{http://www.w3.org/2000/svg}text")]
    assert {"agent", "plain loop", "multi_turn_base", "simple_python"} <= set(words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "report.svg", "results.jsonl"]
    with pytest.raises(EvaluationError, match=r"report\.json cannot be written \(No such file or directory\)"):
        report.write(tmp_path / "none/report.json")
