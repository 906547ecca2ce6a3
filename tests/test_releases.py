"""What earlier releases wrote opens, and means the same. See `releases/keep.py`."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
from PIL import Image

from safelight.app import Studio
from safelight.engine import RunOptions
from safelight.sdk.problem import errors

RELEASES = [
    path for path in sorted((Path(__file__).parent / "releases").iterdir()) if (path / "every_node.json").exists()
]
WORKFLOWS = [path for release in RELEASES for path in sorted(release.rglob("*.json")) if path.stem != "every_node"]
IMAGES = [path for release in RELEASES for path in sorted(release.glob("*.png"))]
HERE = {"file_missing", "model_missing"}
"""What is missing on this machine, and no fault of the document."""


def shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio.open(tmp_path_factory.mktemp("home"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=shown)
def test_workflows_open_without_a_problem(path: Path, studio: Studio) -> None:
    found = errors(studio.check(studio.read(str(path))).problems)
    assert [problem for problem in found if problem.code not in HERE] == []


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_every_node_and_value_is_still_known(release: Path, studio: Studio) -> None:
    checked = studio.check(studio.read(str(release / "every_node.json")))
    assert {problem.code for problem in checked.problems} == {"missing_input"}, "they stand alone, and no more"


@pytest.mark.parametrize("path", IMAGES, ids=shown)
def test_saved_images_open_and_are_made_again(path: Path, studio: Studio, tmp_path: Path) -> None:
    outcome = studio.run(studio.read(str(path)), output=tmp_path, options=RunOptions(strict=True))
    assert outcome.result.problems == []
    made = next(entry["path"] for entries in outcome.outputs.values() for entry in entries)
    with Image.open(path) as old, Image.open(made) as new:
        assert new.size == old.size
        difference = numpy.asarray(old.convert("RGB")).astype(float) - numpy.asarray(new.convert("RGB"))
    # Other processors and precisions round differently. Another seed, sampler or prompt gives 30 and more.
    assert abs(difference).mean() < 8
