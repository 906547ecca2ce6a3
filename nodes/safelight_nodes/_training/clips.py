"""Loops to learn motion from: the subject of an image on a closed path over a plain ground, encoded once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from safelight.sdk import VAE, Context, ModelRef
from safelight_nodes.training_values import ClipSet, ImageSet

from .captions import PALETTE, draw_colour
from .images import WHITE, WHITE_SHARE, Drawer, lay, of_one_size, weighed
from .loop import numpy_generator

if TYPE_CHECKING:
    from torch import Tensor

Motion = Literal["hop", "bounce", "sway", "spin", "pulse", "circle"]
WORDS: dict[Motion, str] = {
    "bounce": "bouncing",
    "sway": "swaying",
    "spin": "spinning",
    "pulse": "pulsing",
    "circle": "circling",
}
"""The motions for which the image stays as large as it is, and how captions say them."""
_SHOWN = 4
_SWAY = math.radians(30)


@dataclass(frozen=True)
class Path:
    """How a subject moves: which way, its side and how far, both in 0..1 of the most that there is room for."""

    motion: Motion
    size: float
    amount: float

    @property
    def quarters(self) -> int:
        """How high a hop may be, in quarters of the subject's side."""
        return max(1, round(4 / self.size - 4))

    def headroom(self, side: int) -> int:
        """By how many pixels the image of a hop is higher than its subject."""
        return self.quarters * (side // 4)

    def hops(self, frames: int) -> list[int]:
        """How far up a hopping subject is in each frame, in quarters of its side. The frame after the last would be the
        first."""
        high = max(1, round(self.quarters * self.amount))
        return [math.ceil(high * 4 * part * (1 - part) - 0.5) for part in (frame / frames for frame in range(frames))]

    def places(self, frames: int) -> Tensor:
        """Where the pixels of each frame come from: matrices (frames, 2, 3) for `affine_grid`, of a subject that is
        in the middle and has its size. The frame after the last would be the first."""
        import torch

        room = (1 - self.size) * self.amount
        rows: list[list[list[float]]] = []
        for frame in range(frames):
            part = frame / frames
            turn = 2 * math.pi * part
            angle, scale, right, down, pivot = 0.0, 1.0, 0.0, 0.0, 0.0
            if self.motion == "bounce":  # thrown up from the ground, and back there at the end
                down = room * (1 - 8 * part * (1 - part))
            elif self.motion == "sway":
                angle, pivot = _SWAY * self.amount * math.sin(turn), self.size
            elif self.motion == "spin":
                angle = turn
            elif self.motion == "pulse":
                scale = 1 - self.amount * (1 - math.cos(turn)) / 4
            else:
                right, down = room * math.sin(turn), -room * math.cos(turn)
            cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
            across, along = -right, -(down + pivot)
            rows.append([[cos, sin, cos * across + sin * along], [-sin, cos, -sin * across + cos * along + pivot]])
        return torch.tensor(rows)


def moved(pixels: Tensor, path: Path, frames: int, ground: tuple[int, int, int]) -> Tensor:
    """The frames (F, 3, H, W) in 0..1 of an image (H, W, 4) uint8 that moves over a ground."""
    import torch
    from torch.nn.functional import affine_grid, grid_sample, interpolate, pad

    if path.motion == "hop":
        return _hopping(pixels, path, frames, ground)
    side = pixels.shape[0]
    small = max(1, round(side * path.size))
    rgba = interpolate(weighed(pixels[None]), (small, small), mode="bilinear", antialias=True)
    before = (side - small) // 2
    rgba = pad(rgba, (before, side - small - before) * 2)
    grid = affine_grid(path.places(frames), [frames, 4, side, side], align_corners=False)
    found = grid_sample(rgba.expand(frames, -1, -1, -1), grid, align_corners=False)
    colour = torch.tensor(ground, dtype=torch.float32)[:, None, None] / 255
    return (found[:, :3] + colour * (1 - found[:, 3:])).clamp(0, 1)


def _hopping(pixels: Tensor, path: Path, frames: int, ground: tuple[int, int, int]) -> Tensor:
    """As `moved`, of a subject that keeps its size and stands on the ground of an image that is higher.

    It is moved by quarters of its side, which are whole cells at all levels of a small denoiser: so what the denoiser
    knows of the subject stays right, and only its place is new.
    """
    import torch

    side = pixels.shape[0]
    top = path.headroom(side)
    rgba = weighed(pixels[None])[0]
    colour = torch.tensor(ground, dtype=torch.float32)[:, None, None] / 255
    made = colour.repeat(frames, 1, side + top, side)
    for frame, up in enumerate(path.hops(frames)):
        lay(made[frame], rgba, top - up * (side // 4), 0)
    return made.clamp(0, 1)


def encoded(
    images: ImageSet,
    vae: ModelRef[VAE],
    motion: Motion | Literal["any"],
    clips: int,
    frames: int,
    size: float,
    amount: float,
    seed: int,
    ctx: Context,
) -> tuple[ClipSet, Tensor]:
    """Clips of images as often as they weigh, and the frames (4 clips at most, H, W, 3) of the first ones.

    With `any` each clip has a motion of its own (but none hops, for its image would be higher), and its caption says
    which.
    """
    import torch

    from safelight.diffusion.autoencoder import leased_codec

    drawer = Drawer(of_one_size(images), seed)
    kept = ctx.restore()
    done, first = ([kept["samples"]], int(kept["next"])) if kept is not None else ([], 0)
    texts: list[str] = []
    shown: list[Tensor] = []
    height, width = images.pixels.shape[1:3]
    if motion == "hop":
        height += Path(motion, size, amount).headroom(height)
    with leased_codec(ctx, vae, (height, width)) as codec:
        for number in range(clips):
            rng = numpy_generator(seed, number)
            image = int(drawer.numbers(rng, 1)[0])
            colour, ground = draw_colour(rng, WHITE if rng.random() < WHITE_SHARE else int(rng.integers(len(PALETTE))))
            chosen = list(WORDS)[int(rng.integers(len(WORDS)))] if motion == "any" else motion
            said = f", {WORDS[chosen]}" if motion == "any" else ""
            texts.append(drawer.text(rng, image, colour) + said)
            if number < first and number >= _SHOWN:
                continue
            loop = moved(images.pixels[image], Path(chosen, size, amount), frames, ground).movedim(1, -1)
            if number < _SHOWN:
                shown.append(loop)
            if number < first:
                continue
            if number > first and ctx.checkpoint_due(number, clips):
                done = [torch.cat(done)]
                ctx.checkpoint({"samples": done[0], "next": number})
            ctx.check_cancelled()
            done.append(codec.encode(loop)[None].half())
            ctx.progress(number + 1, clips)
        downsampling = codec.downsampling
    return ClipSet(torch.cat(done), tuple(texts), vae.family, downsampling), torch.cat(shown)
