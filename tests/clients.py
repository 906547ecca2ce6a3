"""Programs of other people out of PyPI and npm, installed once into a folder of the system's temporary files.

A test that needs one skips with a reason where it cannot be had, except where `CI` is set: there it fails. Node.js is
not asked for: without it such tests skip everywhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

FOLDER = Path(tempfile.gettempdir()) / "safelight-clients"


def installed(requirement: str, *beside: str) -> Path:
    """The folder that a package of PyPI at a fixed version (`name==version`) lies in, with what it needs beside."""
    folder = FOLDER / requirement
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--only-binary", ":all:", "--target"]
    return _there(folder, lambda there: [*pip, str(there), requirement, *beside], requirement)


def npm_installed(requirement: str) -> Path:
    """The folder that a package of npm at a fixed version (`name@version`) lies in. Skips without Node.js."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("there is no Node.js")
    folder = FOLDER / requirement.replace("/", "+")
    quiet = ["--no-audit", "--no-fund", "--silent", "--ignore-scripts"]
    return _there(folder, lambda there: [npm, "install", *quiet, "--prefix", str(there), requirement], requirement)


def _there(folder: Path, command: Callable[[Path], list[str]], requirement: str) -> Path:
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as made:
            try:
                ended = subprocess.run(
                    command(Path(made)), capture_output=True, text=True, timeout=300, check=False, cwd=made
                )
                failed, said = ended.returncode != 0, ended.stderr or ended.stdout
            except subprocess.TimeoutExpired:
                failed, said = True, "timed out"
            if failed:
                missing = f"{requirement} cannot be fetched: {said.strip()[-300:]}"
                (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
            # Whole or not at all, also where two tests fetch it at once.
            try:
                Path(made).rename(folder)
            except OSError:
                assert folder.is_dir()
    return folder
