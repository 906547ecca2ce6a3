"""What importing and starting must not load, and how long it may take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ["torch", "diffusers", "transformers", "PIL", "numpy", "aiohttp"]
PACKAGES = ["safelight", "safelight.sdk", "safelight.graph", "safelight.engine", "safelight.app", "safelight_nodes"]


def python(code: str, home: Path) -> str:
    env = {**os.environ, "SAFELIGHT_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_loads_nothing_heavy(package: str, tmp_path: Path) -> None:
    code = f"import sys, json, {package}; print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    assert json.loads(python(code, tmp_path)) == []


def test_all_nodes_are_described_without_anything_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, json; from safelight.sdk import load_packs; c = load_packs()\n"
        "assert len(c) > 10 and not [p.reason for p in c.packs if p.reason], c.packs\n"
        f"print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    )
    assert json.loads(python(code, tmp_path)) == []


def test_check_loads_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys, json; from safelight.cli import main\n"
        "assert main(['check', 'text_to_image']) == 0\n"
        "print(json.dumps([m for m in ['torch', 'diffusers', 'transformers'] if m in sys.modules]))"
    )
    assert json.loads(python(code, tmp_path).splitlines()[-1]) == []


def test_check_and_plan_look_for_embeddings_without_torch(tmp_path: Path) -> None:
    file = tmp_path / "models" / "embeddings" / "ink.safetensors"
    file.parent.mkdir(parents=True)
    header = b'{"emb_params":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}}'
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    code = (
        "import sys, json; from safelight.cli import main\n"
        "for command in ('check', 'plan'):\n"
        "    assert main([command, 'text_to_image', '--prompt', 'embedding:ink']) == 0\n"
        "    assert main([command, 'text_to_image', '--prompt', 'embedding:inc']) == 2\n"
        "print(json.dumps([m for m in ['torch', 'diffusers', 'transformers'] if m in sys.modules]))"
    )
    assert json.loads(python(code, tmp_path).splitlines()[-1]) == []


def test_help_imports_next_to_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, json; from safelight.cli import main\n"
        "assert main([]) == 0\n"
        "print(json.dumps([m for m in sys.modules if m.startswith('safelight')]))"
    )
    loaded = json.loads(python(code, tmp_path).splitlines()[-1])
    assert set(loaded) == {"safelight", "safelight.cli", "safelight.cli.arguments"}
