"""The values that travel on links. All are immutable; a node that wants a change makes a new one.

Tensors are held on the CPU between nodes unless said otherwise, so a value can be hashed, saved and shared. The module
imports torch for type checkers only: building a graph never loads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .marker import value

if TYPE_CHECKING:
    from torch import Tensor

    from .models import ControlNet, IPAdapter, ModelRef


def tensor_fault(tensor: Tensor, dimensions: int) -> str | None:
    """What is wrong with a tensor of a value, in words that go on after its name; None when nothing is.

    A value class may have a method `fault()` of its own: the engine calls it on what a node returns.
    """
    from .codec import is_tensor

    if not is_tensor(tensor):
        return f"that holds {type(tensor).__name__}, not a tensor"
    if tensor.ndim != dimensions:
        return f"with {tensor.ndim} dimensions, not {dimensions}"
    if str(tensor.dtype) != "torch.float32":
        return f"of {tensor.dtype}, not torch.float32"
    if not tensor.numel():
        return f"with nothing in it: its shape is {tuple(tensor.shape)}"
    import torch

    # One pass: whatever is not finite shows in the least or in the greatest.
    low, high = torch.aminmax(tensor.detach())
    if not (torch.isfinite(low) and torch.isfinite(high)):
        return "with numbers that are not finite (NaN or infinite)"
    return None


@value
@dataclass(frozen=True, eq=False)
class Image:
    """Pictures. `pixels`: (B, H, W, C) float32 in 0..1, sRGB; C is 3 (RGB) or 4 (RGBA)."""

    pixels: Tensor

    def fault(self) -> str | None:
        return tensor_fault(self.pixels, 4) or (
            None if self.pixels.shape[3] in (3, 4) else f"with {self.pixels.shape[3]} channels, not 3 or 4"
        )


@value
@dataclass(frozen=True, eq=False)
class Mask:
    """Masks. `coverage`: (B, H, W) float32 in 0..1; 1 is inside."""

    coverage: Tensor

    def fault(self) -> str | None:
        return tensor_fault(self.coverage, 3)


@value
@dataclass(frozen=True, eq=False)
class Latent:
    """What a denoiser works on.

    `samples`: (B, C, H, W) float32 as the denoiser sees them (already scaled by the family's factor).
    `family` is the model family whose space this is; `downsampling` the pixels a latent cell stands for along one side;
    `mask` (B or 1, 1, H, W) float32, 1 where the sampler may paint, or None for everywhere; `masked`
    (B or 1, C, H, W) is the latent of the picture with the painted part greyed out, which inpainting denoisers with
    extra channels look at.
    `noise` is the standard deviation (sigma) of the noise left in by a sampler that stopped early: the samples are then
    the clean latent plus noise times sigma, whichever sampler made them. 0 is a finished latent.
    `size` is the (height, width) in pixels of the image that the cells hold in their upper left corner; what is beyond
    is padding, which decoding cuts off. None where the cells hold nothing else.
    """

    samples: Tensor
    family: str
    downsampling: int = 8
    mask: Tensor | None = None
    masked: Tensor | None = None
    noise: float = 0.0
    size: tuple[int, int] | None = None

    def fault(self) -> str | None:
        return tensor_fault(self.samples, 4)


@value
@dataclass(frozen=True)
class Area:
    """A rectangle in fractions of width and height, 0..1."""

    x: float
    y: float
    width: float
    height: float


@value
@dataclass(frozen=True, eq=False)
class Prompt:
    """One encoded text: tensors whose names and shapes are the family's own, each with the batch (B or 1) in front.

    Usual are `embeddings` (B, tokens, channels) and `pooled` (B, channels), float32; others may be masks, token ids or
    the states of several layers.
    `strength` weighs several prompts against each other; `area` and `mask` (B, H, W) say where, `start` and `end`
    (0..1 of the schedule) when it speaks. `size` are a family's size conditions by name, such as SDXL's `original`,
    `crop` and `target`, as (height, width) in pixels.
    """

    tensors: dict[str, Tensor]
    strength: float = 1.0
    area: Area | None = None
    mask: Tensor | None = None
    start: float = 0.0
    end: float = 1.0
    size: dict[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, embeddings: Tensor, pooled: Tensor | None = None, **named: Tensor) -> Prompt:
        """A prompt of embeddings, of pooled ones where the family has them, and of what else it names."""
        return cls({"embeddings": embeddings, **({} if pooled is None else {"pooled": pooled}), **named})

    @property
    def embeddings(self) -> Tensor:
        return self.tensors["embeddings"]

    @property
    def pooled(self) -> Tensor | None:
        return self.tensors.get("pooled")

    @property
    def batch(self) -> int:
        """For how many pictures it was encoded: 1 for one text for all of them."""
        return max((tensor.shape[0] for tensor in self.tensors.values()), default=1)


@value
@dataclass(frozen=True, eq=False)
class Control:
    """A ControlNet at work: `image` (B, H, W, 3) guides with `strength` 0..2 from `start` to `end` of the schedule."""

    model: ModelRef[ControlNet]
    image: Image
    strength: float = 1.0
    start: float = 0.0
    end: float = 1.0


@value
@dataclass(frozen=True, eq=False)
class Adapter:
    """An IP-Adapter at work.

    `embeddings`: (B, images, ...) float32 image embeddings as the adapter's projection takes them, `negative` the same
    shape for the unguided half. `scale` 0..2; `start` and `end` are fractions of the schedule.
    """

    model: ModelRef[IPAdapter]
    embeddings: Tensor
    negative: Tensor
    scale: float = 1.0
    start: float = 0.0
    end: float = 1.0


@value
@dataclass(frozen=True, eq=False)
class Conditioning:
    """All that guides a denoiser: encoded prompts, and the controls and adapters applied on top, in order."""

    prompts: tuple[Prompt, ...]
    controls: tuple[Control, ...] = ()
    adapters: tuple[Adapter, ...] = ()
    family: str = ""


@value
@dataclass(frozen=True, eq=False)
class Video:
    """Moving pictures. `frames`: (T, H, W, C) float32 in 0..1; `fps` frames a second."""

    frames: Tensor
    fps: float = 24.0

    def fault(self) -> str | None:
        return tensor_fault(self.frames, 4)


@value
@dataclass(frozen=True, eq=False)
class Audio:
    """Sound. `samples`: (channels, T) float32 in -1..1; `rate` in Hz."""

    samples: Tensor
    rate: int = 44100

    def fault(self) -> str | None:
        return tensor_fault(self.samples, 2)


@value
@dataclass(frozen=True)
class File:
    """A finished file, kept by content. Made by `ctx.save`; the host of the run writes it where the user wants it.

    `name` is a pattern below the output folder (`{counter}` is filled in when it is written), `digest` names the bytes,
    `keep` is False for previews, which are shown but not written. `embed` says that the workflow goes into the file.
    """

    name: str
    media_type: str
    digest: str
    size: int
    width: int = 0
    height: int = 0
    keep: bool = True
    embed: Literal["workflow", "nothing"] = "workflow"
