"""Models whose images continue at their edges: a torus has no place where it begins."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from models.recipes import lora, module, ref
from node_bench import BenchContext, codes, distance
from safelight.models import ModelStore
from safelight.sdk import Image, Latent, ModelRef, Noise, ProblemError
from safelight_nodes import model_settings, sampling, text, vae

FAMILIES = ("sd1", "sdxl")
MOVES = {"both": ((8, 0), (0, 8), (8, 16)), "horizontal": ((0, 8),), "vertical": ((8, 0),)}
"""By edges that meet: how far, in cells down and to the right, what is moved around gives the same, moved."""
TORN = {"horizontal": (8, 0), "vertical": (0, 8)}
CLOSE, FAR = 2e-4, 2e-3


@pytest.fixture
def ctx(store: ModelStore) -> BenchContext:
    return BenchContext(store)


def seamless(ctx: BenchContext, family: str, edges: Any = "both") -> model_settings.Seamless:
    denoiser, decoder = (ref(ctx.models, kind, family) for kind in ("Denoiser", "VAE"))
    return model_settings.set_seamless(denoiser, decoder, edges=edges, ctx=ctx)


def sampled(ctx: BenchContext, family: str, model: ModelRef[Any], start: torch.Tensor) -> torch.Tensor:
    """The latent made of a noise that is given, so that it can be moved around."""
    prompt = text.encode(ref(ctx.models, "TextEncoder", family), text="a brick", ctx=ctx)
    made = sampling.sample(
        model,
        prompt,
        prompt,
        Latent(torch.zeros_like(start), family),
        noise=Noise(start),
        steps=3,
        sampler="euler",
        ctx=ctx,
    )
    return made.samples


def decoded(ctx: BenchContext, decoder: ModelRef[Any], samples: torch.Tensor, tile: int = 0) -> torch.Tensor:
    return vae.decode(decoder, Latent(samples, decoder.family), tile=tile, ctx=ctx).pixels


def noise(height: int = 16, width: int = 32) -> torch.Tensor:
    return torch.randn(1, 4, height, width, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("edges", MOVES)
@pytest.mark.parametrize("family", FAMILIES)
def test_what_begins_elsewhere_is_the_same_image_moved(ctx: BenchContext, family: str, edges: str) -> None:
    model, decoder = seamless(ctx, family, edges)
    start = noise()
    made = sampled(ctx, family, model, start)
    image = decoded(ctx, decoder, made)
    cell = image.shape[1] // made.shape[-2]
    for down, right in MOVES[edges]:
        elsewhere = made.roll((down, right), (-2, -1))
        assert distance(sampled(ctx, family, model, start.roll((down, right), (-2, -1))), elsewhere) < CLOSE
        moved = image.roll((down * cell, right * cell), (1, 2))
        assert distance(decoded(ctx, decoder, elsewhere), moved) < CLOSE
        there = vae.encode(decoder, Image(image), ctx=ctx).samples.roll((down, right), (-2, -1))
        assert distance(vae.encode(decoder, Image(moved), ctx=ctx).samples, there) < CLOSE
    if edges in TORN:
        torn = made.roll(TORN[edges], (-2, -1))
        assert distance(sampled(ctx, family, model, start.roll(TORN[edges], (-2, -1))), torn) > FAR
    assert distance(sampled(ctx, family, ref(ctx.models, "Denoiser", family), start), made) > FAR


def test_decoded_in_tiles_it_meets_itself_as_well(ctx: BenchContext) -> None:
    """Neighbours across the edge differ as much as neighbours within do; without it, more."""
    decoder = seamless(ctx, "sd1").vae
    samples = noise(32, 32) * 3
    whole = decoded(ctx, decoder, samples)
    tiled = decoded(ctx, decoder, samples, tile=96)
    assert tiled.shape == whole.shape
    assert seam(tiled, 1) < 1.3 and seam(tiled, 2) < 1.3
    plain = decoded(ctx, ref(ctx.models, "VAE", "sd1"), samples, tile=96)
    assert seam(plain, 1) > seam(tiled, 1) and seam(plain, 2) > seam(tiled, 2)


def seam(pixels: torch.Tensor, dimension: int) -> float:
    """The mean difference across the edge, by that of neighbours within."""
    steps = (pixels - pixels.roll(1, dimension)).abs()
    return float(steps.narrow(dimension, 0, 1).mean() / steps.narrow(dimension, 1, steps.shape[dimension] - 1).mean())


def test_nothing_stays_for_those_who_lease_it_next_or_beside(ctx: BenchContext) -> None:
    store, plain = ctx.models, ref(ctx.models, "Denoiser", "sd1")
    model = seamless(ctx, "sd1").model.patched(lora(store, "sd1"))
    given = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1)), 500, torch.zeros(1, 7, 32)
    with torch.no_grad():
        with store.lease(plain) as lease:
            before = module(lease)(*given).sample
        with store.lease(model) as lease, store.lease(plain) as beside, store.lease(model) as again:
            assert module(again) is module(lease) is not module(beside)
            assert torch.equal(module(beside)(*given).sample, before)
            around = [conv for conv in module(lease).modules() if "_conv_forward" in vars(conv)]
            convs = [part for part in module(lease).modules() if isinstance(part, torch.nn.Conv2d)]
            padded = [conv for conv in convs if conv.padding != (0, 0)]
            assert around and len(around) == len(padded), "those of the LoRA, too"
        with store.lease(plain) as lease:
            assert torch.equal(module(lease)(*given).sample, before)
            assert not any("_conv_forward" in vars(conv) for conv in module(lease).modules())


def test_models_that_tell_places_by_number_refuse(ctx: BenchContext) -> None:
    source = ref(ctx.models, "Denoiser", "sd1").source
    for family in ("flux", "wan", ""):
        with pytest.raises(ProblemError) as caught:
            model_settings.set_seamless(
                ModelRef("Denoiser", family, source, "unet"), ref(ctx.models, "VAE", "sd1"), ctx=ctx
            )
        assert codes(caught) == [("feature_not_in_family", "model")]
    with pytest.raises(ProblemError) as caught:
        model_settings.set_seamless(ref(ctx.models, "Denoiser", "sd1"), ModelRef("VAE", "flux", source, "vae"), ctx=ctx)
    assert codes(caught) == [("feature_not_in_family", "vae")]
