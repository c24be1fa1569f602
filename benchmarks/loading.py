"""How long a checkpoint of Gemma 3 270M's shape takes to load, and how much memory, beside reading its file with safetensors.

    python -m benchmarks.loading [--rounds 3] [--backends numpy jax torch tensorflow] [--folder F] [--tokenizer F] [--json FILE]

The checkpoints have random weights and are written with transformers, in float32 and bfloat16, in one file and in several.
Each measurement is a process of its own, after its imports; files lie in the page cache for both sides. What is measured, the
median over all rounds:

safetensors   seconds in which `safetensors.numpy.load_file` copies every tensor of the checkpoint into memory
load          seconds of `from_preset`, with a tokenizer of a few hundred tokens
read          seconds to look at every page of the weights once after that: NumPy maps what it need not convert
limit         1.5 times what safetensors takes, and 2 s
memory        the most that the process grew by until then, over the bytes of the loaded weights: anonymous memory, and all
              resident memory. The difference is pages of the mapped file, which the system takes back when it needs them.

With --tokenizer FOLDER (a folder with the model's own tokenizer.json: Gemma 3's has 262,144 tokens) one more table gives the
seconds of `load_tokenizer` alone and of `from_preset` with it.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

GEMMA3_270M = {
    "vocab_size": 262144,
    "hidden_size": 640,
    "intermediate_size": 2048,
    "num_hidden_layers": 18,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 256,
    "sliding_window": 512,
    "query_pre_attn_scalar": 256,
    "max_position_embeddings": 32768,
    "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 3,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
    "architectures": ["Gemma3ForCausalLM"],
}
BACKENDS = ("numpy", "jax", "torch", "tensorflow")
DTYPES = ("float32", "bfloat16")
SHARD = "200MB"
TIMES, EXTRA = 1.5, 2.0  # of what safetensors takes, and seconds


# ---- checkpoints -----------------------------------------------------------------------------------------------------


def write_checkpoints(root: Path) -> None:
    """`root`/float32, `root`/bfloat16, and the same in shards; what is there already stays."""
    wanted = {root / f"{dtype}{form}": (dtype, form) for dtype in DTYPES for form in ("", "-sharded")}
    if all((folder / "config.json").is_file() for folder in wanted):
        return
    import torch
    import transformers

    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(transformers.Gemma3TextConfig(**GEMMA3_270M))
    for folder, (dtype, form) in wanted.items():
        print(f"writing {folder.name}", file=sys.stderr)
        model.to(getattr(torch, dtype)).save_pretrained(folder, max_shard_size=SHARD if form else "10GB")
        _write_tokenizer(folder)


def _write_tokenizer(folder: Path) -> None:
    """One of bytes alone: what is left is the time of the weights."""
    from tokenizers import Tokenizer, models

    pieces = ["<pad>", "<eos>", "<bos>", *(f"<0x{byte:02X}>" for byte in range(256))]
    vocab = {piece: number for number, piece in enumerate(pieces)}
    Tokenizer(models.BPE(vocab, [], byte_fallback=True)).save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<bos>", "eos_token": "<eos>"}))


# ---- one measurement: in a process of its own ------------------------------------------------------------------------


def _say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)
    sys.stdin.readline()  # until the other side has looked


def worker(kind: str, folder: Path, dtype: str) -> None:
    """Says when its imports are done, and what the work took; see `measure`."""
    began = time.perf_counter()
    if kind == "safetensors":
        import ml_dtypes  # noqa: F401
        from safetensors.numpy import load_file

        _say(started=time.perf_counter() - began)
        began = time.perf_counter()
        arrays = [load_file(path) for path in sorted(folder.glob("*.safetensors"))]
        _say(load=time.perf_counter() - began, read=0.0, weights=sum(a.nbytes for part in arrays for a in part.values()))
        return
    if kind == "tokenizer":
        import tokenizers  # noqa: F401
        from ferrule.models.hugging_face_tokenizer import load_tokenizer

        _say(started=time.perf_counter() - began)
        began = time.perf_counter()
        load_tokenizer(folder)
        _say(load=time.perf_counter() - began, read=0.0, weights=0)
        return
    import ferrule.hub.checkpoints  # noqa: F401
    from ferrule.core import get_backend, named_arrays
    from ferrule.hub import from_preset

    backend = get_backend(kind)
    one = backend.asarray([1.0])
    backend.synchronize(
        backend.compile(lambda x, y: x + y, one)(one)
    )  # what a framework imports and sets up for its first program
    _say(started=time.perf_counter() - began)
    began = time.perf_counter()
    model = from_preset(folder, backend, dtype=dtype)
    arrays = list(named_arrays(model.module).values())
    backend.synchronize([array[:1] for array in arrays])  # TensorFlow hands whole ones over as copies
    load = time.perf_counter() - began
    began = time.perf_counter()
    if kind == "numpy":
        for array in arrays:  # a byte of each page
            array.reshape(-1).view("u1")[::4096].max()
    read = time.perf_counter() - began
    sizes = [a.nbytes if hasattr(a, "nbytes") else a.shape.num_elements() * a.dtype.size for a in arrays]
    _say(load=load, read=read, weights=sum(map(int, sizes)))


def measure(kind: str, folder: Path, dtype: str) -> dict[str, float]:
    """Runs a worker, and looks at its memory all the while from outside, where nothing keeps it from looking."""
    command = [sys.executable, "-m", "benchmarks.loading", "--worker", kind, str(folder), dtype]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        with process:
            if not process.stdout.readline():
                log.seek(0)
                lines = log.read().strip().splitlines()
                sys.exit(f"{kind} failed: {lines[-1] if lines else process.wait()}")
            status = Path(f"/proc/{process.pid}/status")
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # the highest mark begins anew
            before = _resident(status)
            _go_on(process)
            anonymous, done = _watch(process, status)
            result = json.loads(done)
            peak = _resident(status)["VmHWM"] - before["VmRSS"]
            _go_on(process)
    weights = max(result["weights"], 1)
    return {
        "load": result["load"],
        "read": result["read"],
        "weights": result["weights"],
        "anonymous": (anonymous - before["RssAnon"]) / weights,
        "resident": peak / weights,
    }


def _go_on(process: subprocess.Popen) -> None:
    process.stdin.write("\n")
    process.stdin.flush()


def _watch(process: subprocess.Popen, status: Path) -> tuple[int, str]:
    """The most anonymous memory in bytes until the worker says something, and what it says."""
    import selectors

    most = 0
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not selector.select(0.002):
            most = max(most, _resident(status)["RssAnon"])
    line = process.stdout.readline()
    if not line:
        sys.exit(f"a worker ended without a result: {process.args}")
    return max(most, _resident(status)["RssAnon"]), line


def _resident(status: Path) -> dict[str, int]:
    """Bytes by the names of `/proc/PID/status`."""
    found = re.findall(r"^(VmHWM|VmRSS|RssAnon|RssFile):\s+(\d+) kB", status.read_text(), re.MULTILINE)
    return {name: int(count) * 1024 for name, count in found}


# ---- tables ----------------------------------------------------------------------------------------------------------


def _median(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def compare(root: Path, backends: list[str], rounds: int) -> list[dict[str, Any]]:
    """A row for every checkpoint, backend and element type."""
    rows = []
    for folder in sorted(path for path in root.iterdir() if (path / "config.json").is_file()):
        kinds = [("safetensors", ""), *((backend, dtype) for backend in backends for dtype in DTYPES)]
        runs: dict[tuple[str, str], list[dict[str, float]]] = {kind: [] for kind in kinds}
        measure("safetensors", folder, "")  # into the page cache
        for number in range(rounds):
            for kind, dtype in kinds:
                print(f"round {number + 1} of {rounds}: {folder.name} {kind} {dtype}", file=sys.stderr)
                runs[kind, dtype].append(measure(kind, folder, dtype))
        base = _median(runs["safetensors", ""])["load"]
        for backend, dtype in kinds[1:]:
            found = _median(runs[backend, dtype])
            row = {"checkpoint": folder.name, "backend": backend, "dtype": dtype, "safetensors": base, **found}
            rows.append({**row, "limit": TIMES * base + EXTRA, "fits": found["load"] + found["read"] <= TIMES * base + EXTRA})
    return rows


def with_tokenizer(root: Path, tokenizer: Path, backends: list[str], rounds: int) -> list[dict[str, Any]]:
    """The same for the float32 checkpoint with its own tokenizer."""
    rows = []
    with tempfile.TemporaryDirectory(dir=root) as temporary:
        folder = Path(temporary)
        shutil.copy(root / "float32" / "config.json", folder)
        for path in (root / "float32").glob("*.safetensors"):
            (folder / path.name).hardlink_to(path)
        for path in tokenizer.glob("tokenizer*"):
            shutil.copy(path, folder)
        alone = _median([measure("tokenizer", folder, "") for _ in range(rounds)])["load"]
        base = _median([measure("safetensors", folder, "") for _ in range(rounds)])["load"]
        for backend in backends:
            found = _median([measure(backend, folder, "float32") for _ in range(rounds)])
            rows.append({"backend": backend, "tokenizer": alone, "safetensors": base, **found, "limit": TIMES * base + EXTRA})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backends", nargs="+", default=list(BACKENDS), choices=BACKENDS)
    parser.add_argument("--folder", type=Path, help="where the checkpoints are written and stay; default: a temporary folder")
    parser.add_argument("--tokenizer", type=Path, help="a folder with the model's own tokenizer.json")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        kind, folder, dtype = options.worker
        return worker(kind, Path(folder), dtype)
    if options.tokenizer is not None and not (options.tokenizer / "tokenizer.json").is_file():
        sys.exit(f"{options.tokenizer} holds no tokenizer.json; give the folder of a model")
    with tempfile.TemporaryDirectory() as temporary:
        root = options.folder or Path(temporary)
        write_checkpoints(root)
        rows = compare(root, options.backends, options.rounds)
        own = with_tokenizer(root, options.tokenizer, options.backends, options.rounds) if options.tokenizer else []
    print(
        f"{'checkpoint':<18}{'backend':<12}{'dtype':<10}{'safetensors':>12}{'load':>9}{'read':>9}{'limit':>9}"
        f"{'weights':>11}{'anonymous':>11}{'resident':>10}"
    )
    for row in rows:
        print(
            f"{row['checkpoint']:<18}{row['backend']:<12}{row['dtype']:<10}{row['safetensors']:>10.2f} s{row['load']:>7.2f} s"
            f"{row['read']:>7.2f} s{row['limit']:>7.2f} s{row['weights'] / 2**20:>7.0f} MiB{row['anonymous']:>10.2f}x"
            f"{row['resident']:>9.2f}x{'' if row['fits'] else '  over the limit'}"
        )
    for row in own:
        print(
            f"own tokenizer     {row['backend']:<12}{'float32':<10}{row['safetensors']:>10.2f} s{row['load']:>7.2f} s"
            f"{row['read']:>7.2f} s{row['limit']:>7.2f} s; tokenizer alone {row['tokenizer']:.2f} s"
        )
    if options.json:
        options.json.write_text(json.dumps({"weights": rows, "tokenizer": own}, indent=1) + "\n")


if __name__ == "__main__":
    main()
