"""Every shipped workflow is sound, is written as we write, and runs on the starter model."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from safelight.app import Studio
from safelight.engine import RunOptions
from safelight.graph import Port
from safelight.places import shipped_names
from sound import assert_sound

NAMES = sorted(shipped_names())
SIZES = {"hires_fix": 192, "enlarge": 256}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio.open(tmp_path_factory.mktemp("home"))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_sound_and_readable(name: str, studio: Studio) -> None:
    assert_sound(shipped_names()[name], studio)


@pytest.mark.parametrize("name", NAMES)
def test_it_runs(name: str, studio: Studio, tmp_path: Path) -> None:
    document = studio.read(name).with_values({Port("sample", "steps"): 4})
    outcome = studio.run(document, output=tmp_path, options=RunOptions(strict=True))
    assert outcome.result.problems == []
    paths = [entry["path"] for entries in outcome.outputs.values() for entry in entries]
    assert paths
    for path in paths:
        with Image.open(path) as picture:
            assert picture.size == (SIZES.get(name, 128),) * 2
            low, high = picture.convert("L").getextrema()
            assert high - low > 10, "the picture is not empty"


def test_image_k_of_a_batch_is_the_single_image_of_its_seed(studio: Studio, tmp_path: Path) -> None:
    document = studio.read("text_to_image")
    many = studio.run(document.with_inputs({"batch": 3, "seed": 7, "steps": 4}), output=tmp_path)
    one = studio.run(document.with_inputs({"seed": 9, "steps": 4}), output=tmp_path)
    third, single = (Image.open(run.outputs["image"][-1]["path"]).convert("RGB") for run in (many, one))
    difference = max(abs(a - b) for a, b in zip(third.tobytes(), single.tobytes(), strict=True))
    assert difference <= 24, "a batch may round differently in low precision, and no more"
