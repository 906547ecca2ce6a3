"""Masks whose greys are a strength of their own (Levin & Fried, 2023): the formula, parts, and stopped runs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from node_bench import SEED, Kit, distance, sampled, sources, swapped
from proofs import Proof
from safelight.diffusion.noise import draw
from safelight.sdk import Cancelled, Latent, Mask
from safelight.sdk.codec import Codec
from safelight_nodes import latent, text, vae

STEPS = 5


def ramp() -> Mask:
    """From black to white, with a cell for every eighth."""
    return Mask(torch.linspace(0, 1, 8).repeat_interleave(8).expand(1, 64, 64).contiguous())


def start(kit: Kit, batch: int = 1, **more: Any) -> Latent:
    samples = torch.randn(batch, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    return latent.set_mask(Latent(samples, kit.family), ramp(), **more)


def made(kit: Kit, begun: Latent, ctx: Any = None, **more: Any) -> torch.Tensor:
    return sampled(kit, ctx, start=begun, **{"steps": STEPS, "seed": SEED, "guidance": 1.0, **more}).samples


def test_it_is_the_formula(sd1: Kit, proof: Proof) -> None:
    begun = start(sd1)
    assert begun.mask is not None
    scheduler = swapped(sd1, "euler", batch=1)
    scheduler.set_timesteps(STEPS)
    noise = draw(sources(1), (4, 8, 8))
    said = text.encode(sd1.text, text="a red apple", ctx=sd1.context).prompts[0].embeddings
    sigmas = scheduler.sigmas
    x = noise * scheduler.init_noise_sigma
    with torch.no_grad():
        for step, timestep in enumerate(scheduler.timesteps):
            if step:
                released = begun.mask >= 1 - step / STEPS
                x = torch.where(released, x, begun.samples + sigmas[step] * noise)
            predicted = sd1.pipeline.unet(x / (sigmas[step] ** 2 + 1) ** 0.5, timestep, said).sample
            x = x + predicted * (sigmas[step + 1] - sigmas[step])
    x = torch.where(begun.mask > 0, x, begun.samples)
    images = [
        vae.decode(sd1.vae, Latent(one, sd1.family), ctx=sd1.context).pixels
        for one in (made(sd1, start(sd1, greys="differential")), x)
    ]
    proof.close("sd1", "differential diffusion", distance(*images))
    assert distance(made(sd1, begun), x) > 1e-2, "mixed it is another image"


@pytest.mark.parametrize("sampler", ["euler", "heun", "dpm2", "pndm", "dpmpp_2m", "ddim", "dpmpp_sde"])
def test_more_is_changed_where_it_is_lighter_and_nothing_where_it_is_black(sd1: Kit, sampler: str) -> None:
    begun = start(sd1, 2, greys="differential")
    found = made(sd1, begun, sampler=sampler, steps=8, denoise=0.8)
    assert torch.equal(found[..., 0], begun.samples[..., 0])
    white = latent.set_mask(Latent(begun.samples, "sd1"), Mask(torch.ones(1, 64, 64)))
    assert distance(found[..., 7], begun.samples[..., 7]) > 1e-2
    change = (found - begun.samples).abs().mean(dim=(0, 1, 2))
    assert change[1] < change[7]
    same = latent.set_mask(white, Mask(torch.ones(1, 64, 64)), greys="differential")
    assert torch.equal(made(sd1, same, sampler=sampler), made(sd1, white, sampler=sampler))


def test_stopped_it_ends_in_the_same_bits(sd1: Kit) -> None:
    begun = start(sd1, 3, greys="differential")
    whole = made(sd1, begun, sampler="euler_ancestral")
    stopped = sd1.context
    stopped.keep_at, stopped.cancel_at = 2, 2
    with pytest.raises(Cancelled):
        made(sd1, begun, stopped, sampler="euler_ancestral")
    resumed = sd1.context
    resumed.state = stopped.kept[0]
    assert torch.equal(made(sd1, begun, resumed, sampler="euler_ancestral"), whole)


def test_a_latent_from_before_has_the_digest_that_it_had() -> None:
    codec = Codec([Latent])
    begun = Latent(torch.ones(1, 4, 2, 2), "sd1", mask=torch.ones(1, 1, 2, 2))
    mixed = latent.set_mask(begun, Mask(torch.ones(1, 16, 16)))
    assert codec.digest(mixed) == codec.digest(begun)
    assert codec.digest(latent.set_mask(begun, Mask(torch.ones(1, 16, 16)), greys="differential")) != codec.digest(
        begun
    )
