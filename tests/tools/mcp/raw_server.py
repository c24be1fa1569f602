"""A server without an SDK, which does what is on its command line: what a careful program has to survive."""

from __future__ import annotations

import json
import os
import sys
import time

BEHAVIOUR, *REST = sys.argv[1:]
OK = {"name": "ok", "description": "Works.", "inputSchema": {"type": "object"}}


def write(message: object) -> None:
    text = message if isinstance(message, str) else json.dumps(message)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def answer(number: object, result: object) -> None:
    write({"jsonrpc": "2.0", "id": number, "result": result})


def listing(params: dict) -> dict:
    if BEHAVIOUR == "list":
        return {"tools": json.loads(REST[0])}
    if BEHAVIOUR == "endless":
        return {"tools": [OK], "nextCursor": "again"}
    if BEHAVIOUR == "nonsense":
        return {"tools": "many"}
    return {"tools": [OK]}


def call(number: object, arguments: dict) -> None:
    match BEHAVIOUR:
        case "huge":
            filler = "x" * (2 << 20)
            if REST == ["tail"]:
                write(f'{{"result":{{"content":[{{"type":"text","text":"{filler}"}}]}},"jsonrpc":"2.0","id":{number}}}')
            elif REST == ["hidden"]:
                write(f'{{"result":{{"content":[{{"type":"text","text":"{filler}"}}]}},"id":{number},"x":{{}}}}')
            else:
                answer(number, {"content": [{"type": "text", "text": filler}]})
        case "endless line":
            while True:
                sys.stdout.write("x" * (1 << 20))
        case "malformed":
            answer(number, {"content": [{"type": "text"}]})
        case "silent":
            time.sleep(60)
        case "tell":
            value = arguments.get("text") or json.dumps(dict(os.environ))
            answer(number, {"content": [{"type": "text", "text": value}], "isError": arguments.get("fail", False)})
        case "exit":
            sys.stderr.write(f"Traceback…\n\nRuntimeError: out of tea{os.environ.get('TOKEN', '')}\n\n")
            sys.exit(3)
        case "killed":
            os.kill(os.getpid(), 9)
        case "deaf":
            sys.stdin.close()
            time.sleep(60)
        case "change":
            write({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
            write({"jsonrpc": "2.0", "method": "notifications/unheard of", "params": {"a": 1}})
            write({"jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}})
            answer(number, {"content": [{"type": "text", "text": "fine"}]})
        case _:
            answer(number, {"content": [{"type": "text", "text": "fine"}]})


if BEHAVIOUR == "stall":
    time.sleep(60)
if BEHAVIOUR == "garbage":
    write("Welcome to the server!\n\n{not json\n[1]\n{}\n\x07")
    sys.stdout.buffer.write(b"\xff\xfe\n")
    sys.stdout.buffer.flush()
if BEHAVIOUR == "quit":
    sys.stderr.write("usage: server [--port]\n")
    sys.exit(2)
for line in sys.stdin:
    message = json.loads(line)
    number, method = message.get("id"), message.get("method")
    if number is None:
        continue
    if method == "initialize":
        version = message["params"]["protocolVersion"]
        answer(
            number, {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": "raw", "version": "1"}}
        )
    elif method == "tools/list":
        if BEHAVIOUR == "garbage":
            write("still starting…")
        answer(number, listing(message.get("params") or {}))
    elif method == "tools/call":
        call(number, message["params"].get("arguments") or {})
    else:
        write({"jsonrpc": "2.0", "id": number, "error": {"code": -32601, "message": f"no {method}"}})
