"""A family, a sampler and a scheduler that an installed pack brings run as the built-in ones do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PACK = Path(__file__).parents[1] / "packs" / "toy_family"
RUN = """
import json, sys
from pathlib import Path
from safelight.app import Studio
from safelight.families import load_families
from safelight.graph import Document

home = Path(sys.argv[1])
family = load_families()["toy"]
family.tiny(home / "models" / "toy")
with Studio.open(home) as studio:
    ports = studio.catalogue["sampling.sample"].ports
    choices = {name: ports[name].choices[-1] for name in ("sampler", "scheduler")}
    choices["family"] = studio.catalogue["models.load_vae"].ports["family"].choices[-1]
    entry = studio.models.describe("toy")
    document = studio.read("text_to_image")
    data = document.data()
    data["nodes"]["model"]["values"]["model"] = "toy"
    data["nodes"]["sample"]["values"] = json.loads(sys.argv[2])
    document = Document.loads(json.dumps(data).encode())
    outcome = studio.run(document, output=home / "out")
    print(json.dumps({
        "choices": choices,
        "family": entry.family,
        "status": outcome.result.status,
        "problems": [(p.code, p.port, p.message) for p in outcome.result.problems],
        "size": [(file["width"], file["height"]) for files in outcome.outputs.values() for file in files],
    }))
"""


def ran(home: Path, **values: object) -> tuple[dict[str, object], str]:
    """What a fresh process with the pack in it says of a run with these values at its sampler."""
    path = os.pathsep.join(filter(None, [str(PACK), os.environ.get("PYTHONPATH", "")]))
    environ = {**os.environ, "PYTHONPATH": path, "SAFELIGHT_DEVICE": "cpu", "SAFELIGHT_PRECISION": "float32"}
    environ.pop("SAFELIGHT_MODELS", None)
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(home), json.dumps(values)],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *printed, last = done.stdout.splitlines()
    return json.loads(last), "\n".join(printed)


def test_text_to_image_with_a_family_of_a_pack(tmp_path: Path) -> None:
    """Everything is `auto`: steps, guidance, and the pack's own sampler and scheduler come from the family."""
    found, printed = ran(tmp_path, seed=1)
    assert found["status"] == "done" and found["problems"] == []
    assert found["family"] == "toy" and found["size"] == [[32, 32]]
    assert found["choices"] == {"sampler": "toy_euler", "scheduler": "toy_halving", "family": "toy"}
    assert "toy sigmas [14.615, 7.307, 3.654, 0.0]" in printed, "three steps, each level half of the one before"


def test_a_scheduler_that_the_family_does_not_go_with_is_a_problem(tmp_path: Path) -> None:
    found, _ = ran(tmp_path, scheduler="beta")
    ((code, port, message),) = found["problems"]  # pyright: ignore
    assert (code, port) == ("scheduler_not_for_model", "scheduler") and "Toy" in message
