"""Encoding an image set once, over several backgrounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from safelight.sdk import VAE, Context, ModelRef
from safelight_nodes.training_values import ImageSet, LatentSet

from .captions import PALETTE, draw_colour
from .images import composited, of_one_size
from .loop import numpy_generator

if TYPE_CHECKING:
    from torch import Tensor

FEWEST = 4


def shares(weights: Tensor, backgrounds: int) -> list[int]:
    """Over how many colours each image is encoded: all of them if it is drawn a third as often as the most frequent
    one, else fewer, but not under four."""
    wanted = (3 * backgrounds * weights / weights.max()).ceil().clamp(FEWEST, backgrounds)
    return [int(number) for number in wanted]


def encoded(images: ImageSet, vae: ModelRef[VAE], backgrounds: int, seed: int, ctx: Context) -> LatentSet:
    """Slot 0 is white; the others are palette colours, which come again where an image has fewer than there are slots.
    The mean of the posterior is taken."""
    import torch

    from safelight.diffusion.autoencoder import leased_codec

    count, height, width, _ = of_one_size(images).pixels.shape
    colours = np.empty((count, backgrounds), np.int16)
    kept = ctx.restore()
    done = []
    first = 0
    counts = shares(images.weights, backgrounds)
    if kept is not None:
        done, first = [kept["samples"]], int(kept["next"])
    with leased_codec(ctx, vae, (height, width)) as codec:
        for number in range(count):
            rng = numpy_generator(seed, number)
            own = counts[number]
            chosen = [0, *(1 + rng.permutation(len(PALETTE) - 1)[: own - 1])]
            slots = [0, *(1 + slot % (own - 1) for slot in range(backgrounds - 1))]
            colours[number] = np.array(chosen, np.int16)[slots]
            if number < first:
                continue
            if number > first and ctx.checkpoint_due(number, count):
                done = [torch.cat(done)]
                ctx.checkpoint({"samples": done[0], "next": number})
            ctx.check_cancelled()
            grounds = [draw_colour(rng, int(colour))[1] for colour in chosen]
            x = composited(images.pixels[number : number + 1].expand(own, -1, -1, -1), grounds)
            done.append(codec.encode(x.movedim(1, -1) / 2 + 0.5)[None, slots].half())
            ctx.progress(number + 1, count)
        downsampling = codec.downsampling
    if bool((images.pixels[..., 3] == 255).all()):
        colours[:] = -1
    return LatentSet(torch.cat(done), torch.from_numpy(colours), vae.family, downsampling)
