"""Frames that a video is to have, as a model that is led by them takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from safelight.sdk import Context, ImageEncoder, Latent, ModelRef, VideoVAEModel

from ._pixels import flattened, prepared, resized

if TYPE_CHECKING:
    from torch import Tensor


def planes(codec: VideoVAEModel, latent: Latent, given: Sequence[Tensor]) -> Tensor:
    """`Shown.planes` of the first frame of a video, and of its last where two are given: (1, H, W, C) each."""
    import torch

    step, cells = codec.frames, latent.samples.shape[2]
    count = (cells - 1) * step + 1
    height, width = (side * codec.downsampling for side in latent.samples.shape[-2:])
    pixels = torch.full((count, height, width, 3), 0.5)
    marks = torch.zeros(count)
    for place, image in zip((0, -1), given, strict=False):
        pixels[place] = resized(flattened(image, 1.0), height, width, "crop", "lanczos")[0]
        marks[place] = 1
    # The first cell stands for one frame, so that counts for all of the cell.
    marks = torch.cat([marks[:1].repeat(step), marks[1:]]).view(cells, step).T
    if codec.greys:
        encoded = codec.encode_frames(pixels)
    else:
        first = codec.encode_frames(pixels[:1])
        encoded = torch.cat([first, first.new_zeros(1, first.shape[1], cells - 1, *first.shape[-2:])], dim=2)
    return torch.cat([marks[None, :, :, None, None].expand(-1, -1, -1, *encoded.shape[-2:]), encoded], dim=1)


def seen(ctx: Context, encoder: ModelRef[ImageEncoder], given: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """(images, tokens, channels) what an image encoder makes of the frames of a video of this size (height, width).

    A CLIP (for Wan) sees the images as they are and speaks before its last layer; a SigLIP (for HunyuanVideo 1.5) sees
    what the video shows of them, and speaks at its end.
    """
    import torch

    with ctx.models.lease(encoder) as lease, torch.no_grad():
        images = (flattened(image, 1.0) for image in given)
        if lease.component.encoder.config.model_type != "siglip_vision_model":
            pixels = prepared(lease, (image[0] for image in images))
            found = lease.component.encoder(pixels, output_hidden_states=True).hidden_states[-2]
        else:
            pixels = prepared(lease, (resized(image, *size, "crop", "lanczos")[0] for image in images))
            found = lease.component.encoder(pixels).last_hidden_state
    return found.to("cpu", torch.float32)
