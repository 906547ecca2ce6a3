"""Peak memory of a process that makes one image, ours and the diffusers pipeline's."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .sampling import full_size
from .table import Row

OURS = """
import sys
from benchmarks.sampling import ours
from safelight.app import Budgets, Studio
from pathlib import Path
studio = Studio.open(Path(sys.argv[1]) / "home", budgets=Budgets(memory=1 << 28, disk=1 << 28))
ours(studio, "full", "bfloat16", 2, 256)()
"""
THEIRS = """
import sys, torch
from benchmarks.sampling import theirs
from pathlib import Path
theirs(Path(sys.argv[1]) / "full", torch.bfloat16, 2, 256, 7.0)()
"""
PEAK = "\nimport resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        full_size(Path(name) / "full")

        def peak(code: str) -> int:
            env = {**os.environ, "SAFELIGHT_MODELS": name}
            line = [sys.executable, "-c", code + PEAK, name]
            done = subprocess.run(line, env=env, capture_output=True, text=True, check=True)
            return int(done.stdout.split()[-1])

        ours_b, theirs_b = peak(OURS), peak(THEIRS)
        ratio = ours_b / theirs_b
        shown = f"{ratio:.2f} ({ours_b / 1e9:.2f} GB against {theirs_b / 1e9:.2f} GB)"
        yield Row("peak memory against diffusers, SD 1.5 size", shown, "≤ 1.05", ratio <= 1.05)
