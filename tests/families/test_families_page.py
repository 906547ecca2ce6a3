"""The page of families says of each what its object does."""

from __future__ import annotations

from pathlib import Path

import pytest

from families.flow_kits import ROWS
from safelight.families import load_families
from safelight.families._modular.family import ModularFamily

PAGE = Path(__file__).parents[2] / "docs" / "families.md"
FAMILIES = load_families()


def rows() -> dict[str, list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].strip("`"): row[1:] for row in cells}


def test_each_family_has_a_row_and_no_row_is_left_over() -> None:
    package = {name for name in FAMILIES if type(FAMILIES[name]).__module__.startswith("safelight.")}
    assert set(rows()) == package


@pytest.mark.parametrize("name", sorted(rows()))
def test_a_row_says_the_tier_and_the_techniques(name: str) -> None:
    family = FAMILIES[name]
    _, tier, techniques, _, _, proof = rows()[name]
    blocks = isinstance(family, ModularFamily)
    assert tier == ("blocks" if blocks else "own loop")
    place = Path(__file__).parents[2] / proof.strip("`")
    assert place.exists()
    if not blocks or place.is_file():
        return
    proved = [row for row in ROWS.values() if row.family == name]
    assert proved, "no shared proof runs this family"
    assert ("image to image" in techniques) == any(row.image_pipeline for row in proved)
    assert "masks" in techniques, "those of images all paint inside a mask"
    apart = Path(__file__).with_name(f"test_{name}_edit.py").exists()
    assert ("reference image" in techniques) == (apart or any(row.edit_pipeline for row in proved))
    assert ("ControlNet" in techniques) == (family.controlnet is not None)
    assert ("guiders" in techniques) == any(row.guided for row in proved)
