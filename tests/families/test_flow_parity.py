"""Every family that modular blocks run, from prompt to pixels: equal to its classic pipeline, on the same files."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from families.flow_kits import CLOSE, PROMPT, ROWS, SEED, FlowKit, flow_kit
from node_bench import codes, distance
from proofs import Proof
from safelight.diffusion.noise import generators
from safelight.sdk import Image, ProblemError
from safelight_nodes import vae


@pytest.fixture(scope="module", params=list(ROWS))
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FlowKit:
    return flow_kit(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def sd3(tmp_path_factory: pytest.TempPathFactory) -> FlowKit:
    return flow_kit("sd3", tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize("batch", [1, 3])
def test_text_to_image(kit: FlowKit, batch: int, proof: Proof) -> None:
    made = kit.sampled(start=kit.empty(batch))
    assert made.samples.shape == (batch, kit.row.channels, 8, 8)
    if not kit.row.places:  # such a pipeline hands on latents as its decoder takes them
        assert distance(kit.pack(made.samples), kit.theirs(batch, output_type="latent")) <= CLOSE
    proof.close(kit.family, "text to image", distance(kit.decoded(made), kit.theirs(batch)), batch)


@pytest.mark.parametrize("size", [(6, 10), (12, 8)])
def test_other_sizes_shift_the_schedule(kit: FlowKit, size: tuple[int, int]) -> None:
    made = kit.sampled(start=kit.empty(height=size[0] * kit.cell, width=size[1] * kit.cell))
    assert distance(kit.decoded(made), kit.theirs(size=size)) <= CLOSE


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("denoise", [0.5, 0.75])
def test_image_to_image(
    kit: FlowKit, denoise: float, batch: int, proof: Proof, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = torch.rand(batch, 64, 64, 3, generator=torch.Generator().manual_seed(1))
    start = vae.encode(kit.loaded().vae, Image(pixels), ctx=kit.ctx)
    if not kit.row.image_pipeline:
        with pytest.raises(ProblemError) as caught:
            kit.sampled(start=start, denoise=denoise)
        assert codes(caught) == [("feature_not_in_family", "latent")]
        return
    pipeline = kit.from_images()
    size = {} if kit.family == "sd3" else {"height": 64, "width": 64}
    given = start.samples
    if kit.row.reads_pixels:
        given, encode = pixels.movedim(-1, 1), pipeline.vae.encode
        # The mean of what the encoder says, as we take it, in place of a draw from it.
        monkeypatch.setattr(
            pipeline.vae, "encode", lambda image: SimpleNamespace(latents=encode(image).latent_dist.mean)
        )
    theirs = pipeline(
        image=given, strength=denoise, generator=generators(SEED, batch), **kit.asked(batch), **size
    ).images
    made = kit.sampled(start=start, denoise=denoise)
    proof.close(kit.family, "image to image", distance(kit.decoded(made), theirs), batch)


@pytest.mark.parametrize("scheduler", ["karras", "exponential", "beta"])
def test_other_spacings_of_noise_levels(kit: FlowKit, scheduler: str) -> None:
    own = kit.pipeline.scheduler
    kit.pipeline.scheduler = type(own).from_config(own.config, **{f"use_{scheduler}_sigmas": True})
    try:
        theirs = kit.theirs()
    finally:
        kit.pipeline.scheduler = own
    made = kit.decoded(kit.sampled(scheduler=scheduler))
    assert distance(made, theirs) <= CLOSE
    assert distance(made, kit.decoded(kit.sampled())) > CLOSE * 10


@pytest.mark.parametrize("clip_skip", [0, 1])
def test_without_guidance_and_with_layers_left_out(sd3: FlowKit, clip_skip: int) -> None:
    said = sd3.said(PROMPT, clip_skip=clip_skip)
    made = sd3.sampled(positive=said, negative=None, guidance=1.0)
    theirs = sd3.theirs(guidance_scale=1.0, clip_skip=clip_skip or None)
    assert distance(sd3.decoded(made), theirs) <= CLOSE


def test_stable_diffusion_3_without_t5(tmp_path: Any) -> None:
    kit = flow_kit("sd3", tmp_path, without=("text_encoder_3", "tokenizer_3"))
    assert kit.pipeline.text_encoder_3 is None
    assert distance(kit.decoded(kit.sampled()), kit.theirs()) <= CLOSE


def test_images_depend_on_prompt_guidance_and_noise(kit: FlowKit) -> None:
    """So that equality above means something."""
    made = kit.decoded(kit.sampled())
    assert distance(made, kit.decoded(kit.sampled(positive=kit.said("blue sea")))) > 1e-3
    assert distance(made, kit.decoded(kit.sampled(seed=6))) > 1e-3
    if kit.guided or kit.pipeline.transformer.config.get("guidance_embeds"):
        assert distance(made, kit.decoded(kit.sampled(guidance=4.0))) > 1e-4
