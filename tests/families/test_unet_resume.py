"""The relatives of Stable Diffusion in a studio: from a folder among the models, killed in the middle, resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from families.resuming import goes_on, killable, workflow
from proofs import Proof
from safelight.families import load_families
from safelight.families._clip.tiny import seeded
from safelight.families._unet.generation import Generation
from safelight.families._unet.tiny import unet_config

CHANNELS = {"inpainting": 9, "edit": 8, "depth": 5}
PROVED = {
    ("inpainting", "sd1"): "inpainting model",
    ("inpainting", "sd2"): "inpainting model",
    ("inpainting", "sdxl"): "inpainting model",
    ("edit", "sd1"): "edit model",
    ("edit", "sdxl"): "edit model",
    ("depth", "sd2"): "depth model",
    ("refiner", "sdxl_refiner"): "hand-over from the base model",
}
"""By kind and family: what the row of the table is called."""


def tiny(kind: str, name: str, models: Path) -> None:
    """The model that is asked for, as `mine`."""
    from diffusers import UNet2DConditionModel

    families = load_families()
    if kind == "refiner":
        families["sdxl"].tiny(models / "base")
        families["sdxl_refiner"].tiny(models / "mine")
        return
    family = families[name]
    assert isinstance(family, Generation)
    family.tiny(models / "mine")
    with seeded(1):
        unet = UNet2DConditionModel(**{**unet_config(family), "in_channels": CHANNELS[kind]})
    unet.save_pretrained(models / "mine" / "unet")


def changed(kind: str) -> dict[str, Any]:
    """The workflow with what the model needs."""
    found = workflow()
    nodes, links = found["nodes"], found["links"]

    def relink(to: str, source: str) -> None:
        links[:] = [link for link in links if link["to"] != to] + [{"from": source, "to": to}]

    if kind == "inpainting":
        nodes["empty"]["values"]["for_inpainting"] = True
        return found
    if kind == "refiner":
        nodes["base"] = {"type": "models.load", "values": {"model": "base"}}
        for side in ("said", "unsaid"):
            nodes[f"base_{side}"] = {"type": "text.encode", "values": nodes[side]["values"]}
            relink(f"base_{side}.encoder", "base.text")
        nodes["begin"] = {"type": "sampling.sample_part", "values": {**nodes["sample"]["values"], "end_step": 1}}
        nodes["sample"]["type"] = "sampling.sample_part"
        nodes["sample"]["values"]["start_step"] = 1
        relink("begin.model", "base.model")
        relink("begin.positive", "base_said.conditioning")
        relink("begin.negative", "base_unsaid.conditioning")
        relink("begin.latent", "empty.latent")
        relink("sample.latent", "begin.latent")
        return found
    nodes["blank"] = {"type": "latent.empty"}
    nodes["picture"] = {"type": "vae.decode"}
    relink("blank.vae", "load.vae")
    relink("picture.vae", "load.vae")
    relink("picture.latent", "blank.latent")
    nodes["shown"] = {"type": f"guide.{kind}"}
    relink("shown.positive", "said.conditioning")
    relink("sample.positive", "shown.conditioning")
    if kind == "depth":
        relink("shown.image", "picture.image")
        return found
    nodes["seen"] = {"type": "vae.encode"}
    relink("seen.vae", "load.vae")
    relink("seen.image", "picture.image")
    relink("shown.latent", "seen.latent")
    relink("sample.latent", "seen.latent")
    del nodes["empty"]
    links[:] = [link for link in links if not link["to"].startswith("empty.")]
    return found


@pytest.mark.in_turn
@killable
@pytest.mark.parametrize(("kind", "family"), PROVED)
def test_killed_after_a_step_it_goes_on_and_ends_in_the_same_bits(
    kind: str, family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof
) -> None:
    images = goes_on(lambda models: tiny(kind, family, models), changed(kind), "*.png", tmp_path, monkeypatch)
    assert images == (1 if kind == "edit" else 2)
    proof.resumed(family, PROVED[kind, family])
