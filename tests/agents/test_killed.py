from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_killed_at_every_point():
    script = Path(__file__).with_name("killed_runs.py")
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["kills"] >= 300
    assert (found["repeated"], found["lost"], found["unfinished"]) == (0, 0, 0)
    assert found["unknown"] >= 10
