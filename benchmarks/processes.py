"""Whole commands, timed from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .table import Row, best, seconds

TEXT_TO_IMAGE = ["run", "text_to_image", "--prompt", "a red apple", "--seed", "1", "--json", "-o"]


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        env = {**os.environ, "SAFELIGHT_HOME": str(Path(name) / "home")}
        out = str(Path(name) / "out")

        def command(*words: str) -> subprocess.CompletedProcess[str]:
            line = [sys.executable, "-m", "safelight", *words]
            return subprocess.run(line, env=env, capture_output=True, text=True, check=True, cwd=name)

        took = best(lambda: command("--help"))
        yield Row("`safelight --help`", f"{took:.2f} s", "≤ 0.2 s", took <= 0.2)
        took = best(lambda: command("check", "text_to_image"))
        yield Row("`safelight check`", f"{took:.2f} s", "≤ 0.5 s", took <= 0.5)
        cold = seconds(lambda: command(*TEXT_TO_IMAGE, out))
        yield Row("cold `safelight run text_to_image`", f"{cold:.1f} s", "≤ 12 s", cold <= 12)
        again = best(lambda: command(*TEXT_TO_IMAGE, out))
        report = json.loads(command(*TEXT_TO_IMAGE, out).stdout)
        ran = [node for node, entry in report["nodes"].items() if entry["status"] == "ran"]
        shown = f"{again:.2f} s, {len(ran)} nodes ran"
        yield Row("the same workflow after a restart", shown, "≤ 1 s, none", again <= 1 and not ran)
