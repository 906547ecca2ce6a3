"""Every family that modular blocks run, in a studio: from a folder among the models, killed in the middle, resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from families.flow_kits import ROWS, flow_kit
from families.resuming import goes_on, killable, looking, painting, workflow
from proofs import Proof
from safelight.families import load_families


def written(name: str, models: Path) -> None:
    if name == "fill":
        flow_kit("flux", models.parent, made="FluxFillPipeline")
    else:
        flow_kit(name, models.parent)


@pytest.mark.in_turn
@killable
@pytest.mark.parametrize("family", sorted({row.family for row in ROWS.values()}))
def test_killed_after_a_step_it_goes_on_and_ends_in_the_same_bits(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof
) -> None:
    tiny = load_families()[family].tiny
    assert goes_on(lambda models: tiny(models / "mine"), workflow(), "*.png", tmp_path, monkeypatch) == 2
    proof.resumed(family, "text to image")


@pytest.mark.in_turn
@killable
@pytest.mark.parametrize("name", ["qwen_image", "fill", "klein_base", "flux", "sd3", "z_image"])
def test_painting_inside_a_mask_goes_on(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof
) -> None:
    assert goes_on(lambda models: written(name, models), painting(), "*.png", tmp_path, monkeypatch) == 2
    fill = name == "fill"
    proof.resumed("flux" if fill else ROWS[name].family, "inpaint (Fill)" if fill else "inpaint")


@pytest.mark.in_turn
@killable
@pytest.mark.parametrize(("name", "images"), [("kontext", 1), ("klein_base", 2)])
def test_looking_at_images_goes_on(
    name: str, images: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof
) -> None:
    assert goes_on(lambda models: written(name, models), looking(images), "*.png", tmp_path, monkeypatch) == 2
    proof.resumed(ROWS[name].family, "edit", *(["edit, two images"] if images > 1 else []))
