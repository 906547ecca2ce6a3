"""Encode, sample and decode give the images of the diffusers pipelines: same model, same seed, every sampler."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from node_bench import CLOSE, NEGATIVE, PROMPT, SEED, Kit, distance, sources, swapped
from proofs import Proof
from safelight.diffusion.samplers import SAMPLERS
from safelight_nodes import latent, sampling, text, vae


def theirs(kit: Kit, sampler: str, batch: int = 1, scheduler: str = "model", **more: Any) -> torch.Tensor:
    kit.pipeline.scheduler = swapped(kit, sampler, scheduler, batch)
    given: dict[str, Any] = {
        "prompt": [PROMPT] * batch,
        "negative_prompt": [NEGATIVE] * batch,
        "num_inference_steps": 5,
        "guidance_scale": 5.0,
        "generator": sources(batch),
        "eta": SAMPLERS[sampler].arguments.get("eta", 0.0),
        "output_type": "pt",
        **more,
    }
    return kit.pipeline(**given).images


def ours(kit: Kit, sampler: Any, batch: int = 1, scheduler: Any = "model", **more: Any) -> torch.Tensor:
    ctx = kit.context
    positive = text.encode(kit.text, text=PROMPT, ctx=ctx)
    negative = text.encode(kit.text, text=NEGATIVE, ctx=ctx)
    start = latent.empty(kit.vae, batch=batch, ctx=ctx)
    given: dict[str, Any] = {"steps": 5, "guidance": 5.0, "seed": SEED, **more}
    made = sampling.sample(
        kit.denoiser, positive, negative, start, sampler=sampler, scheduler=scheduler, **given, ctx=ctx
    )
    return vae.decode(kit.vae, made, ctx=ctx).pixels.movedim(-1, 1)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("guidance", [1.0, 5.0])
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_every_sampler(
    family: str, sampler: str, guidance: float, batch: int, proof: Proof, request: pytest.FixtureRequest
) -> None:
    """With guidance and without, one image and three."""
    kit = request.getfixturevalue(family)
    made = ours(kit, sampler, batch, guidance=guidance)
    proof.close(family, "text to image", distance(made, theirs(kit, sampler, batch, guidance_scale=guidance)), batch)


@pytest.mark.parametrize(
    ("sampler", "scheduler"),
    [(name, scheduler) for name, kind in SAMPLERS.items() for scheduler in kind.schedulers[1:]],
)
def test_every_scheduler(sd1: Kit, sampler: str, scheduler: str) -> None:
    made = ours(sd1, sampler, scheduler=scheduler, guidance=1.0)
    assert distance(made, theirs(sd1, sampler, scheduler=scheduler, guidance_scale=1.0)) <= CLOSE


@pytest.mark.parametrize("steps", [1, 2, 40])
@pytest.mark.parametrize("sampler", ["dpmpp_2m", "dpmpp_3m_sde", "pndm", "heun", "unipc", "lms"])
def test_few_and_many_steps(sd2: Kit, sampler: str, steps: int) -> None:
    made = ours(sd2, sampler, steps=steps, guidance=2.0)
    assert distance(made, theirs(sd2, sampler, num_inference_steps=steps, guidance_scale=2.0)) <= CLOSE


def test_images_depend_on_prompt_guidance_and_sampler(sd1: Kit) -> None:
    """So that equality above means something."""
    made = ours(sd1, "euler")
    assert distance(made, ours(sd1, "euler", guidance=4.0)) > 1e-2
    assert distance(made, ours(sd1, "dpmpp_2m")) > 1e-2
    assert distance(made, theirs(sd1, "euler", prompt=["blue sea"])) > 1e-2
