"""The training workflows are sound and written as we write; their tiny runs are in the tests of each part."""

from __future__ import annotations

from pathlib import Path

import pytest

from safelight.app import Studio
from sound import assert_sound

FOLDER = Path(__file__).parents[2] / "workflows" / "train"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_sound_and_readable(name: str, studio: Studio) -> None:
    assert_sound(FOLDER / f"{name}.json", studio)


def test_every_one_is_documented() -> None:
    documented = (FOLDER.parents[1] / "docs" / "training.md").read_text(encoding="utf-8")
    assert all(f"train/{name}.json" in documented for name in NAMES)
