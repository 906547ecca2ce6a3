"""Every family that modular blocks run, in a studio: from a folder among the models, killed in the middle, resumed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from families.flow_kits import ROWS
from safelight.app import Studio
from safelight.engine import NodeProgress, RunOptions
from safelight.families import load_families

STEPS, KILLED_AT = 5, 3


def workflow() -> dict[str, Any]:
    sampling = {"steps": STEPS, "guidance": 4.0, "sampler": "euler", "seed": 3}
    return {
        "format": "safelight/1",
        "nodes": {
            "load": {"type": "models.load", "values": {"model": "mine"}},
            "said": {"type": "text.encode", "values": {"text": "a red apple"}},
            "unsaid": {"type": "text.encode", "values": {"text": "dark"}},
            "empty": {"type": "latent.empty", "values": {"batch": 2, "width": 64, "height": 64}},
            "sample": {"type": "sampling.sample", "values": sampling},
            "decode": {"type": "vae.decode"},
        },
        "links": [
            {"from": "load.text", "to": "said.encoder"},
            {"from": "load.text", "to": "unsaid.encoder"},
            {"from": "load.vae", "to": "empty.vae"},
            {"from": "load.model", "to": "sample.model"},
            {"from": "said.conditioning", "to": "sample.positive"},
            {"from": "unsaid.conditioning", "to": "sample.negative"},
            {"from": "empty.latent", "to": "sample.latent"},
            {"from": "load.vae", "to": "decode.vae"},
            {"from": "sample.latent", "to": "decode.latent"},
        ],
        "outputs": [{"name": "image", "from": "decode.image"}],
    }


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("family", sorted({row.family for row in ROWS.values()}))
def test_killed_after_a_step_it_goes_on_and_ends_in_the_same_bits(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that nothing is measured, and both processes compute alike.
    monkeypatch.setenv("SAFELIGHT_DEVICE", "cpu")
    monkeypatch.setenv("SAFELIGHT_PRECISION", "float32")
    killed, straight = tmp_path / "killed", tmp_path / "straight"
    load_families()[family].tiny(killed / "models" / "mine")
    shutil.copytree(killed / "models", straight / "models")
    file = tmp_path / "flow.json"
    file.write_text(json.dumps(workflow()))
    program = [sys.executable, str(Path(__file__).parent / "killed_flow.py"), str(killed), str(file), str(KILLED_AT)]
    assert subprocess.run(program, check=False).returncode == -signal.SIGKILL
    first, images = _run(killed, file)
    assert 1 < first <= KILLED_AT, "it went on from a checkpoint"
    whole, others = _run(straight, file)
    assert whole == 1
    assert [path.read_bytes() for path in images] == [path.read_bytes() for path in others]
    assert len(images) == 2


def _run(home: Path, file: Path) -> tuple[int, list[Path]]:
    """Runs to the end: the first step that was made, and the images."""
    steps: list[int] = []

    def emit(event: object) -> None:
        if isinstance(event, NodeProgress) and event.node == "sample":
            steps.append(event.step)

    with Studio.open(home) as studio:
        document = studio.read(file)
        outcome = studio.run(document, output=home / "output", emit=emit, options=RunOptions(checkpoint_seconds=0))
    assert [problem.message for problem in outcome.result.problems if problem.level == "error"] == []
    return steps[0], sorted((home / "output").glob("*.png"))
