"""The proof that a run which is killed goes on and ends in the same bits, for models of every family."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from safelight.app import Studio
from safelight.engine import NodeProgress, RunOptions

STEPS, KILLED_AT = 5, 3

killable = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")


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


def painting() -> dict[str, Any]:
    """The same, inside a mask: what the model decodes of nothing is as good as any."""
    document = workflow()
    document["nodes"] |= {
        "grey": {"type": "vae.decode"},
        "mask": {"type": "image.to_mask"},
        "part": {"type": "latent.set_mask"},
    }
    document["nodes"]["empty"]["values"]["for_inpainting"] = True
    document["links"] = [link for link in document["links"] if link["to"] != "sample.latent"] + [
        {"from": "load.vae", "to": "grey.vae"},
        {"from": "empty.latent", "to": "grey.latent"},
        {"from": "grey.image", "to": "mask.image"},
        {"from": "empty.latent", "to": "part.latent"},
        {"from": "mask.mask", "to": "part.mask"},
        {"from": "part.latent", "to": "sample.latent"},
    ]
    return document


def looking(images: int = 1) -> dict[str, Any]:
    """The same, with images to look at, each a little wider."""
    document = workflow()
    links = [link for link in document["links"] if link["to"] != "sample.positive"]
    said = "said.conditioning"
    for number in range(images):
        one, edit = f"one_{number}", f"edit_{number}"
        values = {"batch": 1, "width": 48 + 16 * number, "height": 64}
        document["nodes"] |= {one: {"type": "latent.empty", "values": values}, edit: {"type": "guide.edit"}}
        links += [
            {"from": "load.vae", "to": f"{one}.vae"},
            {"from": f"{one}.latent", "to": f"{edit}.latent"},
            {"from": said, "to": f"{edit}.positive"},
        ]
        said = f"{edit}.conditioning"
    document["links"] = [*links, {"from": said, "to": "sample.positive"}]
    return document


def goes_on(
    make: Callable[[Path], object],
    document: dict[str, Any],
    made: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: bool = False,
) -> int:
    """Kills a run of the document after a step, runs it again, and compares what it saved as `made` with that of a run
    that nobody disturbed. `make` writes the model into the folder of models, and what else is read beside it. What is
    `whole` begins at its first step again. Returns how many files there are."""
    # So that nothing is measured, and both processes compute alike.
    monkeypatch.setenv("SAFELIGHT_DEVICE", "cpu")
    monkeypatch.setenv("SAFELIGHT_PRECISION", "float32")
    killed, straight = tmp_path / "killed", tmp_path / "straight"
    make(killed / "models")
    shutil.copytree(killed, straight)
    file = tmp_path / "flow.json"
    file.write_text(json.dumps(document))
    program = [sys.executable, str(Path(__file__).parent / "killed_flow.py"), str(killed), str(file), str(KILLED_AT)]
    assert subprocess.run(program, check=False).returncode == -signal.SIGKILL
    first = _run(killed, file)
    assert first == 1 if whole else 1 < first <= KILLED_AT, "it went on from a checkpoint"
    assert _run(straight, file) == 1
    files, others = (sorted((home / "output").glob(made)) for home in (killed, straight))
    assert [path.read_bytes() for path in files] == [path.read_bytes() for path in others]
    return len(files)


def _run(home: Path, file: Path) -> int:
    """Runs to the end. Returns the first step that was made."""
    steps: list[int] = []

    def emit(event: object) -> None:
        if isinstance(event, NodeProgress) and event.node == "sample":
            steps.append(event.step)

    with Studio.open(home) as studio:
        document = studio.read(file)
        outcome = studio.run(document, output=home / "output", emit=emit, options=RunOptions(checkpoint_seconds=0))
    assert [problem.message for problem in outcome.result.problems if problem.level == "error"] == []
    return steps[0]
