"""Helpers for latents as tensors, and for the images that lie in them.

An image whose sides are no multiples of a cell is padded at its right and lower edge, never scaled or moved: so all
that goes with it (masks, hints of ControlNets, areas of prompts) keeps its place, and decoding cuts the padding off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from safelight.sdk import Problem, ProblemError

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.sdk import Latent


def canvas_size(latent: Latent) -> tuple[int, int]:
    """(height, width) in pixels of all cells."""
    height, width = latent.samples.shape[-2:]
    return height * latent.downsampling, width * latent.downsampling


def image_size(latent: Latent) -> tuple[int, int]:
    """(height, width) in pixels of the image in a latent."""
    return latent.size or canvas_size(latent)


def padded(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, H, W) made as large as `size` (height, width) by repeating the right and lower edge."""
    from torch.nn.functional import pad

    down, right = size[0] - planes.shape[-2], size[1] - planes.shape[-1]
    return pad(planes, (0, right, 0, down), mode="replicate") if down or right else planes


def on_canvas(planes: Tensor, latent: Latent) -> Tensor:
    """(B, C, H, W) in 0..1 that belongs to a latent's image, brought to that image's size and padded like it."""
    from torch.nn.functional import interpolate

    size = image_size(latent)
    if planes.shape[-2:] != size:
        planes = interpolate(planes, size, mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)
    return padded(planes, canvas_size(latent))


def latent_mask(coverage: Tensor, latent: Latent) -> Tensor:
    """A mask (B, H, W) of a latent's image for the sampler: (B, 1, h, w)."""
    planes = coverage[:, None].float()
    return cell_means(on_canvas(planes, latent) if latent.size else planes, latent.samples.shape[-2:])


def cell_means(planes: Tensor, cells: Sequence[int]) -> Tensor:
    """(B, C, H, W) to (B, C, h, w): each cell the average of the pixels it stands for."""
    from torch.nn.functional import interpolate

    return interpolate(planes, tuple(cells), mode="area")


def painted_part(mask: Tensor, greys: str, done: float) -> Tensor:
    """How much of what a step made is kept in each cell, 0..1, when the share `done` (0..1) of the steps is made.

    Where `greys` are `mix`, that is the mask. Where they are `differential` it is 1 from the step on at which the mask
    is at least what is left of the steps, and 0 before: the threshold falls from 1 to 0. Black is never painted.
    After "Differential Diffusion: Giving Each Pixel Its Strength" (Levin & Fried, 2023), algorithm 1.
    """
    if greys == "mix":
        return mask
    return ((mask > 0) & (mask >= 1 - done)).to(mask.dtype)


def hole_mask(coverage: Tensor, latent: Latent) -> Tensor:
    """A mask (B, H, W) of a latent's image as inpainting denoisers see it: (B, 1, h, w), 0 or 1."""
    return cell_picks(on_canvas(coverage[:, None].float(), latent), latent.samples.shape[-2:])


def cell_picks(planes: Tensor, cells: Sequence[int]) -> Tensor:
    """(B, C, H, W) to (B, C, h, w), 0 or 1: each cell as its first pixel is, which is how inpainting denoisers were
    trained: they know no half covered cells."""
    from torch.nn.functional import interpolate

    return interpolate((planes >= 0.5).float(), tuple(cells), mode="nearest")


def inpainting_planes(latent: Latent) -> tuple[Tensor, Tensor]:
    """What an inpainting denoiser sees beside the latent: where the hole is, (B, 1, h, w), 0 or 1, and the latent of
    the image with the hole greyed out, (B, C, h, w).

    Raises:
        ProblemError: `inpainting_latent_needed`, when the latent tells neither.
    """
    # One of another node may have a mask alone.
    hole = (latent.mask >= 0.5).float() if latent.hole is None and latent.mask is not None else latent.hole
    if hole is None or latent.masked is None:
        raise ProblemError(
            Problem(
                code="inpainting_latent_needed",
                message="This is an inpainting model: it needs the image around the part to paint.",
                hint="Encode the image and its mask with vae.encode_inpaint; to paint a whole image, turn on "
                "for_inpainting at latent.empty.",
                port="latent",
            )
        )
    batch = max(hole.shape[0], latent.masked.shape[0])
    return expanded(hole, batch), expanded(latent.masked, batch)


def expanded(tensor: Tensor, batch: int) -> Tensor:
    """A (1, ...) tensor for every image of the batch; one that has the batch already stays as it is."""
    return tensor if tensor.shape[0] == batch else tensor.expand(batch, *tensor.shape[1:])
