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
    choices = {name: ports[name].choices for name in ("sampler", "scheduler")}
    choices["family"] = studio.catalogue["models.load_vae"].ports["family"].choices
    entry = studio.models.describe("toy")
    given = studio.read("text_to_image")
    data = given.data()
    data["nodes"]["model"]["values"]["model"] = "toy"
    runs = []
    for values in json.loads(sys.argv[2]):
        data["nodes"]["sample"]["values"] = values
        outcome = studio.run(Document.loads(json.dumps(data).encode()), output=home / "out")
        runs.append({
            "status": outcome.result.status,
            "problems": [(p.code, p.port, p.message) for p in outcome.result.problems],
            "size": [(file["width"], file["height"]) for files in outcome.outputs.values() for file in files],
        })
print(json.dumps({"choices": choices, "family": entry.family, "runs": runs}))
"""


def test_text_to_image_with_a_family_of_a_pack(tmp_path: Path) -> None:
    """In a fresh process with the pack in it: all of `auto`, then a scheduler that the family does not go with."""
    path = os.pathsep.join(filter(None, [str(PACK), os.environ.get("PYTHONPATH", "")]))
    environ = {**os.environ, "PYTHONPATH": path, "SAFELIGHT_DEVICE": "cpu", "SAFELIGHT_PRECISION": "float32"}
    environ.pop("SAFELIGHT_MODELS", None)
    given = [sys.executable, "-c", RUN, str(tmp_path), json.dumps([{"seed": 1}, {"scheduler": "beta"}])]
    done = subprocess.run(given, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *printed, last = done.stdout.splitlines()
    found = json.loads(last)
    assert found["family"] == "toy"
    own = {"sampler": "toy_euler", "scheduler": "toy_halving", "family": "toy"}
    assert {name for name, choice in own.items() if choice in found["choices"][name]} == own.keys()
    first, second = found["runs"]
    assert first == {"status": "done", "problems": [], "size": [[32, 32]]}
    assert "toy sigmas [14.615, 7.307, 3.654, 0.0]" in printed, "three steps, each level half of the one before"
    ((code, port, message),) = second["problems"]
    assert (code, port) == ("scheduler_not_for_model", "scheduler") and "Toy" in message
