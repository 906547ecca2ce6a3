"""What travels between the nodes that train: sets of images, and what was learned from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from safelight.sdk import added, value

if TYPE_CHECKING:
    from torch import Tensor


@value(aliases=("PictureSet",))
@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images and what is to be said about them.

    `pixels`: (N, H, W, 4) uint8, straight alpha. `entries`: a dictionary an image, with `subject` (a key of
    `subjects`) and `style` (a number of the caption language, or -1 where captions are taken as they are).
    `subjects`: by key, `names` (the first is the official one), `keywords`, and `weight`, how often to draw it.
    `weights`: (N,) float64, the probability of each image. `sizes`: where images differ, the (height, width) of each in
    the upper left corner of its pixels, the rest of which is clear; empty where all fill theirs.
    """

    pixels: Tensor
    entries: tuple[dict[str, Any], ...]
    subjects: dict[str, dict[str, Any]]
    weights: Tensor
    sizes: tuple[tuple[int, int], ...] = added(())

    def alone(self, number: int) -> Tensor:
        """One image, (h, w, 4) uint8."""
        height, width = self.sizes[number] if self.sizes else self.pixels.shape[1:3]
        return self.pixels[number, :height, :width]


@value
@dataclass(frozen=True, eq=False)
class LatentSet:
    """An image set, encoded once.

    `samples`: (N, S, C, h, w) float16, each image over S backgrounds, scaled as the denoiser sees them. `colours`:
    (N, S) int16, the background's number in the palette, -1 for none. `downsampling` is the pixels a cell stands for,
    `family` that of the VAE.
    """

    samples: Tensor
    colours: Tensor
    family: str
    downsampling: int


@value
@dataclass(frozen=True, eq=False)
class ClipSet:
    """Short videos of one length, encoded once, each with a caption.

    `samples`: (N, F, C, h, w) float16, F frames a clip, scaled as the denoiser sees them. `texts` has N captions.
    `downsampling` is the pixels a cell stands for, `family` that of the VAE.
    """

    samples: Tensor
    texts: tuple[str, ...]
    family: str
    downsampling: int


@value
@dataclass(frozen=True, eq=False)
class Weights:
    """What a training node has learned.

    `kind` is the class of diffusers or transformers, or `lora`; `config` what makes an empty one; `tensors` the
    averaged weights in float32 by their names there. `curve`: (step, loss) points. `about`: how it was
    trained, for its folder. `curves`: by name, those of several losses that fell side by side; `curve` is one of them.
    """

    kind: str
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    curve: tuple[tuple[int, float], ...] = ()
    about: dict[str, Any] = field(default_factory=dict)
    curves: tuple[tuple[str, tuple[tuple[int, float], ...]], ...] = added(())


@value
@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer, CLIP's kind for a text encoder, GPT-2's for a captioner: the texts of its files by name."""

    files: dict[str, str]
