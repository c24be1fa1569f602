"""Our backends beside the native engine of Needle 3, on the same goals and tools, in one run.

    python -m benchmarks.needle_native [--rounds 3] [--engines native numpy jax torch tensorflow] [--json FILE]

Each engine runs in a process of its own, and the engines take turns round by round, so that a machine whose speed drifts
drifts for all of them. What is measured, each figure the median over all goals and rounds:

prefill     tokens per second over system text, tools and goal, nothing cached
decode      tokens per second, one token at a time
cold        seconds from tools and goal to the first complete call, nothing cached but the loaded (and compiled) model
warm        the same, with the tools taken in before
memory      peak resident memory of the process, MiB
start       seconds from the start of the process to a loaded model that has run once (compilation included)

The native engine runs 2-bit weights with 8-bit activations in C++; it reports its own tokens per second, and the times are
ours. Run this on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ENGINES = ("native", "numpy", "jax", "torch", "tensorflow")
TOOLS = [
    {
        "name": "get_weather",
        "description": "Get the current weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Name of the city."},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "description": "Unit of temperature."},
            },
            "required": ["city"],
        },
    },
    {
        "name": "set_timer",
        "description": "Start a timer that rings after some minutes.",
        "parameters": {
            "type": "object",
            "properties": {
                "minutes": {"type": "integer", "description": "Minutes until it rings."},
                "label": {"type": "string", "description": "What the timer is for."},
            },
            "required": ["minutes"],
        },
    },
    {
        "name": "control_lights",
        "description": "Turn the lights of a room on or off.",
        "parameters": {
            "type": "object",
            "properties": {
                "room": {"type": "string", "enum": ["kitchen", "bedroom", "living room"], "description": "Which room."},
                "state": {"type": "string", "enum": ["on", "off"], "description": "What they should be."},
            },
            "required": ["room", "state"],
        },
    },
    {
        "name": "send_message",
        "description": "Send a text message to a contact.",
        "parameters": {
            "type": "object",
            "properties": {
                "contact": {"type": "string", "description": "Name of the contact."},
                "text": {"type": "string", "description": "The message."},
            },
            "required": ["contact", "text"],
        },
    },
]
GOALS = (
    "What is the weather like in Lagos right now?",
    "Set a pasta timer for 9 minutes.",
    "Turn off the lights in the bedroom, please.",
    "Send Maria a message saying that I will be ten minutes late.",
    "It is getting dark and I am about to cook: switch the kitchen lights on.",
    "How warm is it in Oslo, in fahrenheit?",
)


def _turned(number: int) -> list[dict[str, Any]]:
    """The tools in another order for every goal: an engine that keeps what it knows of a catalogue starts anew."""
    number %= len(TOOLS)
    return TOOLS[number:] + TOOLS[:number]


def native(goals: tuple[str, ...]) -> dict[str, Any]:
    os.environ.update(NEEDLE_TELEMETRY="0", DO_NOT_TRACK="1")  # before the engine is loaded
    from needle import Needle

    began = time.perf_counter()
    Needle(tools=TOOLS, auto_date=False).complete(goals[0], 256)
    start = time.perf_counter() - began
    rows = []
    for number, goal in enumerate(goals):
        tools = _turned(number)
        began = time.perf_counter()
        engine = Needle(tools=tools, auto_date=False)
        answer = engine.complete(goal, 256)
        cold = time.perf_counter() - began
        engine.reset()
        began = time.perf_counter()
        answer = engine.complete(goal, 256)
        warm = time.perf_counter() - began
        calls = [{"name": call["name"], "arguments": call["arguments"]} for call in answer["function_calls"]]
        rows.append(
            {"cold": cold, "warm": warm, "prefill": answer["prefill_tps"], "decode": answer["decode_tps"], "calls": calls}
        )
    return {"start": start, "rows": rows}


def ours(backend: str, goals: tuple[str, ...]) -> dict[str, Any]:
    began = time.perf_counter()
    from ferrule.agents import Agent
    from ferrule.hub import from_preset
    from ferrule.tools import Tool

    model = from_preset("needle_3", backend)
    Agent(model, [Tool.from_schema(schema) for schema in TOOLS]).decide(goals[0])
    start = time.perf_counter() - began
    for number, goal in enumerate(goals):  # every shape that these goals need is compiled before anything is timed
        tools = [Tool.from_schema(schema) for schema in _turned(number)]
        model.loop.prefixes.clear()
        agent = Agent(model, tools)
        agent.decide(goal)
        agent.decide(goal)
    rows = []
    for number, goal in enumerate(goals):
        tools = [Tool.from_schema(schema) for schema in _turned(number)]
        model.loop.prefixes.clear()
        began = time.perf_counter()
        agent = Agent(model, tools)
        agent.decide(goal)
        cold = time.perf_counter() - began
        began = time.perf_counter()
        decision = agent.decide(goal)
        warm = time.perf_counter() - began
        calls = [{"name": call.name, "arguments": call.arguments} for call in decision.calls]
        rows.append({"cold": cold, "warm": warm, **_speeds(model, goal, tools), "calls": calls})
    return {"start": start, "rows": rows}


def _speeds(model, goal: str, tools) -> dict[str, float]:
    """Tokens per second over one prompt and 48 tokens behind it, by the model's own programs."""
    from ferrule.agents.dialects import get_dialect

    dialect = get_dialect(model.dialect)
    prompt = dialect.render_prefix("", tools) + dialect.render_user(goal)
    ids = [model.tokenizer.bos_id, *model.tokenizer.encode(prompt)]
    model.loop.prefixes.clear()
    stream = model.stream_tokens(ids, max_tokens=48, stop_ids=())
    for _ in stream:
        pass
    usage = stream.usage
    return {
        "prefill": usage.prefill_tokens / usage.prefill_seconds,
        "decode": usage.decode_tokens / usage.decode_seconds,
    }


def measure(engines: list[str], rounds: int) -> dict[str, dict[str, Any]]:
    """Medians for each engine."""
    results: dict[str, list[dict[str, Any]]] = {engine: [] for engine in engines}
    for number in range(rounds):
        for engine in engines:
            print(f"round {number + 1} of {rounds}: {engine}", file=sys.stderr)
            command = [sys.executable, "-m", "benchmarks.needle_native", "--worker", engine]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{engine} failed: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}")
            results[engine].append(json.loads(done.stdout.splitlines()[-1]))
    table = {}
    for engine, runs in results.items():
        rows = [row for run in runs for row in run["rows"]]
        table[engine] = {name: statistics.median(row[name] for row in rows) for name in ("prefill", "decode", "cold", "warm")}
        table[engine]["memory"] = max(run["memory"] for run in runs)
        table[engine]["start"] = statistics.median(run["start"] for run in runs)
        table[engine]["calls"] = [row["calls"] for row in runs[0]["rows"]]
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=ENGINES)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--worker", choices=ENGINES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        result = native(GOALS) if options.worker == "native" else ours(options.worker, GOALS)
        result["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(result))
        return
    table = measure(options.engines, options.rounds)
    print(f"{'':<12}{'prefill':>12}{'decode':>12}{'cold':>10}{'warm':>10}{'memory':>10}{'start':>10}")
    base = table.get("native")
    for engine, row in table.items():
        ratios = [f"({row[name] / base[name]:.2f}x)" if base else "" for name in ("prefill", "decode")]
        print(
            f"{engine:<12}{row['prefill']:>6.0f}{ratios[0]:>8}{row['decode']:>5.0f}{ratios[1]:>8}"
            f"{row['cold']:>8.2f} s{row['warm']:>8.2f} s{row['memory']:>6.0f} MiB{row['start']:>8.1f} s"
        )
    if options.json:
        options.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
