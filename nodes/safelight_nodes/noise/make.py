"""Noise made, blended and put into latents."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from safelight.sdk import Latent, Mask, Noise, Seed, Slider, node

from .._refusal import refusal


@node(
    version=1,
    title="Make noise",
    tags=("RandomNoise", "noise types", "Latent Noise", "perlin", "power law noise", "white noise"),
)
def make(
    latent: Annotated[Latent, "What it is for: it gives size and number."],
    *,
    kind: Annotated[
        Literal["gaussian", "uniform", "perlin", "pink", "brownian", "blue"],
        "gaussian: what models were trained with. uniform: no outliers. perlin: soft clouds. pink, brownian: large "
        "forms stronger. blue: fine grain stronger.",
    ] = "gaussian",
    seed: Annotated[int, Seed(), "Image k of a batch uses seed + k, as samplers do."] = 0,
) -> Noise:
    """Noise for a sampler or a latent. gaussian is that which a sampler makes itself of the same seed."""
    import torch

    from safelight.diffusion.noise import generators

    from .._noises import KINDS

    batch, *shape = latent.samples.shape
    return Noise(torch.stack([KINDS[kind](shape, source) for source in generators(seed, batch)]))


@node(
    version=1,
    title="Blend noise",
    tags=("variation seed", "subseed", "variation strength", "slerp noise", "KSampler Variations", "MixNoise"),
)
def blend(
    first: Annotated[Noise, "The first one."],
    second: Annotated[Noise, "The second one."],
    *,
    amount: Annotated[float, Slider(0, 1, step=0.01), "0 is the first alone, 1 the second alone."] = 0.1,
    path: Annotated[
        Literal["sphere", "line"], "sphere: as strong as before all along, for variations. line: a weighted mean."
    ] = "sphere",
) -> Noise:
    """Go from one noise toward another: with little of a second seed, the same image with small changes."""
    from .._noises import slerp

    given, other = first.samples, second.samples
    if given.shape[1:] != other.shape[1:] or other.shape[0] not in (1, given.shape[0]):
        message = f"The first noise is of the shape {tuple(given.shape)}, and the second of {tuple(other.shape)}."
        raise refusal(code="wrong_noise", message=message, hint="Make both for one latent.", port="second")
    other = other.expand(given.shape)
    return Noise(slerp(given, other, amount) if path == "sphere" else (given + (other - given) * amount).contiguous())


@node(
    version=1,
    title="Inject noise",
    tags=("Inject Noise", "InjectLatentNoise", "noise injection", "AddNoise", "add detail"),
)
def inject(
    latent: Annotated[Latent, "The latent."],
    noise: Annotated[Noise, "The noise."],
    mask: Annotated[Mask | None, "White where it is added."] = None,
    *,
    strength: Annotated[float, Slider(0, 20, step=0.01), "The deviation of the noise that is added."] = 0.1,
) -> Latent:
    """Add noise to a latent, to sample it again with low denoise: more detail. It still counts as finished."""
    from ..latent import mask_for
    from ..sampling import noise_for

    added = noise_for(latent, noise)
    assert added is not None
    if mask is not None:
        where = mask_for(latent, mask)
        added = added * (where[:, :, None] if added.ndim == 5 else where)
    return replace(latent, samples=latent.samples + added * strength)
