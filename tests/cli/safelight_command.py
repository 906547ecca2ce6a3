"""The `safelight` command as its users call it: a process of its own, on a data folder of the test's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Command:
    folder: Path

    @property
    def env(self) -> dict[str, str]:
        # One thread each: several of these run at once, and threads that wait for each other are slower than none.
        return {**os.environ, "OMP_NUM_THREADS": "1", "SAFELIGHT_HOME": str(self.folder / "home")}

    def line(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "safelight", *words]

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.line(*words),
            env=self.env,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.line(*words),
            env=self.env,
            cwd=self.folder,
            text=True,
            capture_output=True,
            timeout=300,
            check=False,
        )

    def json(self, *words: str, code: int = 0) -> dict[str, Any]:
        done = self(*words, "--json")
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout)
