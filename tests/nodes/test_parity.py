"""Encode, sample and decode give the pictures of the diffusers pipelines: same model, same seed, every sampler."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from node_bench import Kit
from safelight_nodes import latent, sampling, text, vae
from safelight_nodes._diffusion.samplers import SAMPLERS, make_scheduler

PROMPT, NEGATIVE = "a red apple on the table", "dark photo"
SEED = 5
CLOSE = 1e-5


def sources(batch: int, seed: int = SEED) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed + place) for place in range(batch)]


def scheduler(kit: Kit, sampler: Any, spacing: Any = "model", batch: int = 1) -> Any:
    """The pipeline's own scheduler swapped for another class."""
    made = make_scheduler(kit.shelf.held["Denoiser", kit.family].settings["scheduler"], sampler, spacing)
    swapped = type(made).from_config(
        kit.pipeline.scheduler.config, **{key: made.config[key] for key in made.config if not key.startswith("_")}
    )
    if sampler == "dpmpp_sde":
        swapped.noise_sampler_seed = [SEED + place for place in range(batch)]
    return swapped


def theirs(kit: Kit, sampler: str, batch: int = 1, spacing: str = "model", **more: Any) -> torch.Tensor:
    kit.pipeline.scheduler = scheduler(kit, sampler, spacing, batch)
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


def ours(kit: Kit, sampler: Any, batch: int = 1, spacing: Any = "model", **more: Any) -> torch.Tensor:
    ctx = kit.context
    positive = text.encode(kit.text, text=PROMPT, ctx=ctx)
    negative = text.encode(kit.text, text=NEGATIVE, ctx=ctx)
    start = latent.empty(kit.vae, batch=batch, ctx=ctx)
    given: dict[str, Any] = {"steps": 5, "guidance": 5.0, "seed": SEED, **more}
    made = sampling.sample(kit.denoiser, positive, negative, start, sampler=sampler, spacing=spacing, **given, ctx=ctx)
    return vae.decode(kit.vae, made, ctx=ctx).pixels.movedim(-1, 1)


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max())


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_every_sampler_with_guidance(family: str, sampler: str, request: pytest.FixtureRequest) -> None:
    kit = request.getfixturevalue(family)
    assert distance(ours(kit, sampler, batch=3), theirs(kit, sampler, batch=3)) <= CLOSE


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_without_guidance(sd1: Kit, sampler: str) -> None:
    assert distance(ours(sd1, sampler, guidance=1.0), theirs(sd1, sampler, guidance_scale=1.0)) <= CLOSE
