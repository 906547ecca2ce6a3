"""The type checker finds wrong uses of nodes, and nothing in the right ones around them."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


@pytest.mark.skipif(find_spec("basedpyright") is None, reason="basedpyright is not installed (extra: dev)")
def test_planted_misuse_is_found() -> None:
    planted = HERE / "planted" / "misuse.py"
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable, str(planted)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=HERE.parent)
    found = json.loads(done.stdout)["generalDiagnostics"]
    errors = {entry["range"]["start"]["line"] for entry in found if entry["severity"] == "error"}
    lines = planted.read_text().splitlines()
    wrong = {number for number, line in enumerate(lines) if "  # " in line}
    assert errors == wrong, [entry["message"] for entry in found]
    words = " ".join(entry["message"] for entry in found)
    assert "Denoiser" in words
    assert "eular" in words
