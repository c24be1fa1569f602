from __future__ import annotations

from xml.etree import ElementTree

from ferrule.hub.evaluation.plot import bar_chart

SVG = "{http://www.w3.org/2000/svg}"


def bars(text: str) -> list[float]:
    """Heights of the bars."""
    rects = ElementTree.fromstring(text).iter(f"{SVG}rect")
    return [float(rect.get("height")) for rect in rects if rect.get("width") == "16"]


def test_bars_are_as_high_as_the_shares():
    chart = bar_chart("title", {"a": {"x": 1.0, "y": 0.5}, "b": {"x": 0.25}, "c": {"y": 0.0}})
    whole, half, quarter, nothing = bars(chart)
    assert (half / whole, quarter / whole, nothing) == (0.5, 0.25, 0.0)


def test_names_are_text_whatever_they_are():
    chart = bar_chart("<a> & b", {'"<group>"': {"<series>": 2.0}})
    said = [element.text for element in ElementTree.fromstring(chart).iter(f"{SVG}text")]
    assert {"<a> & b", '"<group>"', "<series>"} <= set(said)
    assert len(bars(bar_chart("nothing", {}))) == 0
