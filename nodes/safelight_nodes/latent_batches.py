"""Latents as batches: joined and taken apart. One out of a batch: `latent.select`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from safelight.sdk import Latent, node

from ._refusal import refusal


@node(version=1, category="latent", title="Batch latents", tags=("LatentBatch", "Latent Batch", "combine latents"))
def batch(latents: Annotated[list[Latent], "Of one size and one model, in the order in which they come."]) -> Latent:
    """Several latents as one batch, sampled at once. Masks of single ones are left out."""
    import torch

    if not latents:
        raise refusal(code="list_empty", message="There is no latent.", hint="Connect one.", port="latents")
    first = latents[0]
    for number, other in enumerate(latents[1:], 2):
        if (other.samples.shape[1:], other.size, other.noise) != (first.samples.shape[1:], first.size, first.noise):
            raise refusal(
                code="wrong_latent",
                message=f"Latent {number} differs from the first in size, model or noise.",
                hint="Resize or crop them to one size.",
                port="latents",
            )
    samples = torch.cat([latent.samples for latent in latents])
    return replace(first, samples=samples, mask=None, masked=None, hole=None)


@node(
    version=1,
    category="latent",
    title="Latents of a batch",
    tags=("LatentBatchToList", "unbatch", "split batch", "RebatchLatents"),
)
def unbatch(latent: Annotated[Latent, "The latent."]) -> list[Latent]:
    """Each image of a batch as a latent of its own, in a list."""
    from .latent import select

    return [select(latent, index=place) for place in range(latent.samples.shape[0])]
