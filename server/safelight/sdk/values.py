"""The values that travel on links. All are immutable; a node that wants a change makes a new one.

Tensors are held on the CPU between nodes unless said otherwise, so a value can be hashed, saved and shared. The module
imports torch for type checkers only: building a graph never loads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .marker import added as new_field
from .marker import value

if TYPE_CHECKING:
    from torch import Tensor

    from .models import VAE, ControlNet, IPAdapter, ModelRef


def tensor_fault(tensor: Tensor, *dimensions: int) -> str | None:
    """What is wrong with a tensor of a value, in words that go on after its name; None when nothing is.

    `dimensions` are the numbers of dimensions that it may have.

    A value class may have a method `fault()` of its own: the engine calls it on what a node returns.
    """
    from .codec import is_tensor

    if not is_tensor(tensor):
        return f"that holds {type(tensor).__name__}, not a tensor"
    if tensor.ndim not in dimensions:
        return f"with {tensor.ndim} dimensions, not {' or '.join(map(str, dimensions))}"
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
    """Images. `pixels`: (B, H, W, C) float32 in 0..1, sRGB; C is 3 (RGB) or 4 (RGBA)."""

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

    `samples`: (B, C, H, W) float32 as the denoiser sees them (already scaled by the family's factor); (B, C, T, H, W)
    for videos.
    `family` is the model family whose space this is; `downsampling` the pixels a latent cell stands for along one side;
    `mask` (B or 1, 1, H, W) float32, 1 where the sampler may paint, or None for everywhere; `masked`
    (B or 1, C, H, W) is the latent of the image with the painted part greyed out, and `hole` (B or 1, 1, H, W) where
    that is, 0 or 1 in each cell: both are what inpainting denoisers with extra channels look at.
    `noise` is the standard deviation (sigma) of the noise left in by a sampler that stopped early: the samples are then
    the clean latent plus noise times sigma, whichever sampler made them. 0 is a finished latent.
    `size` is the (height, width) in pixels of the image that the cells hold in their upper left corner; what is beyond
    is padding, which decoding cuts off. None where the cells hold nothing else.
    `greys` says how the mask counts where it is neither 0 nor 1: `mix` mixes what is painted with the image after each
    step, `differential` lets a cell be painted in a last part of the steps, as large as the mask is there.
    """

    samples: Tensor
    family: str
    downsampling: int = 8
    mask: Tensor | None = None
    masked: Tensor | None = None
    hole: Tensor | None = None
    noise: float = 0.0
    size: tuple[int, int] | None = None
    greys: Literal["mix", "differential"] = new_field("mix")

    def fault(self) -> str | None:
        return tensor_fault(self.samples, 4, 5)


@value
@dataclass(frozen=True, eq=False)
class Noise:
    """What a sampler starts from, or adds to a latent: `samples`, (B, C, H, W) float32 of a mean near 0 and a deviation
    near 1, (B, C, T, H, W) for videos."""

    samples: Tensor

    def fault(self) -> str | None:
        return tensor_fault(self.samples, 4, 5)


@value
@dataclass(frozen=True)
class Sigmas:
    """Noise levels: before each step of a sampler, and after the last one. 0 at the end is a finished latent.

    For models that predict a flow they are the share of noise, 1 to 0; for others standard deviations.
    """

    levels: tuple[float, ...]

    def fault(self) -> str | None:
        if len(self.levels) < 2:
            return "with fewer than two levels"
        return None if all(0 <= level < float("inf") for level in self.levels) else "with a level below 0 or infinite"

    @property
    def steps(self) -> int:
        return len(self.levels) - 1


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
    (0..1 of the schedule) when it speaks, `spans` in which parts (from, to) of that, all where there are none. What is
    `added` has its strength by itself: what it does to guidance is added to what others do, not averaged. `size` are a
    family's size conditions by name, such as SDXL's `original`, `crop` and `target`, as (height, width) in pixels.
    """

    tensors: dict[str, Tensor]
    strength: float = 1.0
    area: Area | None = None
    mask: Tensor | None = None
    start: float = 0.0
    end: float = 1.0
    size: dict[str, tuple[int, int]] = field(default_factory=dict)
    spans: tuple[tuple[float, float], ...] = new_field(())
    added: bool = new_field(False)

    def speaks(self, at: float) -> bool:
        """Whether it speaks at a place of the schedule."""
        # Spans are counted in steps, which are not in whole fractions.
        inside = not self.spans or any(start - 1e-6 <= at < end - 1e-6 for start, end in self.spans)
        return inside and self.start <= at < self.end

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
        """For how many images it was encoded: 1 for one text for all of them."""
        return max((tensor.shape[0] for tensor in self.tensors.values()), default=1)


@value
@dataclass(frozen=True, eq=False)
class Control:
    """A ControlNet or T2I-Adapter at work: `image` (B, H, W, 3) guides with `strength` 0..2 from `start` to `end` of
    the schedule, inside of `mask` where there is one.

    With `guess` its first residuals count a tenth, rising to the full strength at the last. `curve` are factors of the
    strength for equal parts of that range, `blocks` factors for the denoiser's blocks from the finest to the middle,
    spread over as many as there are. `type` is the kind of hint that a ControlNet of several kinds (union) is told.
    `vae` encodes the image for those that look at latents.
    """

    model: ModelRef[ControlNet]
    image: Image
    strength: float = 1.0
    start: float = 0.0
    end: float = 1.0
    guess: bool = False
    mask: Mask | None = None
    curve: tuple[float, ...] = ()
    blocks: tuple[float, ...] = ()
    type: str = ""
    vae: ModelRef[VAE] | None = new_field(None)  # noqa: RUF009  a field, not a value that all share


@value
@dataclass(frozen=True, eq=False)
class Adapter:
    """An IP-Adapter at work.

    `embeddings`: (B, images, ...) float32 image embeddings as the adapter's projection takes them, `negative` the same
    shape for the unguided half. `scale` 0..2; `start` and `end` are fractions of the schedule. `blocks` are factors of
    the scale for parts of the denoiser, as those of a `Patch`; `mask` says where the images count.

    For faces an embedding is that of a face recognition model, and behind it, flattened, what an image encoder makes of
    the image, where the adapter looks at both. `shortcut` is then how much the image adds to who it is; None where the
    two are seen at once. `lora` is the weight of the LoRA that such an adapter brings along.
    """

    model: ModelRef[IPAdapter]
    embeddings: Tensor
    negative: Tensor
    scale: float = 1.0
    start: float = 0.0
    end: float = 1.0
    blocks: tuple[tuple[str, float], ...] = ()
    mask: Mask | None = None
    shortcut: float | None = new_field(None)
    lora: float = new_field(1.0)


@value
@dataclass(frozen=True)
class Guider:
    """A way of guidance: how the predictions for the two prompts are put together.

    `kind` names it (`cfg`, `apg`, `tcfg`, `cfg_zero`, `pag`, `slg`). `momentum` (-1..1), `norm` (the longest that the
    difference may be) and `parallel` (0..1, the share that is kept of what runs along with the prediction) belong to
    `apg`, `zero_steps` to `cfg_zero`.

    `pag` and `slg` guide away from what the denoiser predicts for the positive prompt where it is weakened, `scale`
    strongly, on top of `cfg` and from `start` to `end` of the schedule (0..1): in the blocks `layers` (`mid`,
    `block7`), `pag` takes out the self-attention, and `slg` the whole block.
    """

    kind: str
    momentum: float = -0.5
    norm: float = 15.0
    parallel: float = 1.0
    zero_steps: int = 1
    scale: float = new_field(0.0)
    layers: tuple[str, ...] = new_field(())
    start: float = new_field(0.0)
    end: float = new_field(1.0)


@value
@dataclass(frozen=True, eq=False)
class Shown:
    """What a denoiser with more input channels is shown beside its latent, at every step.

    `planes` are, for the `kind` `image`, the latent (B or 1, C, H, W) of an image that is to be edited, as samplers
    have it; for `depth` (B or 1, 1, H, W) how near each pixel is: larger is nearer, in any range; for `frames`
    (1, n + C, T, H, W) frames that a video is to have: n planes that are 1 where the n-th frame of a cell is given, and
    the latent of a video that is grey where none is. `guidance` is how strongly what is seen with it is preferred to
    what is seen without; 1 is not at all. `embeddings` (images, tokens, channels) is what an image encoder makes of
    given frames, for models that look at that as well. `more` are the latents of
    further images, in any size, for a denoiser that looks at several.
    """

    kind: Literal["image", "depth", "frames"]
    planes: Tensor
    guidance: float = 1.0
    embeddings: Tensor | None = None
    more: tuple[Tensor, ...] = ()

    @property
    def images(self) -> tuple[Tensor, ...]:
        return (self.planes, *self.more)


@value
@dataclass(frozen=True, eq=False)
class Conditioning:
    """All that guides a denoiser: encoded prompts, the controls and adapters applied on top, in order, and what it is
    shown."""

    prompts: tuple[Prompt, ...]
    controls: tuple[Control, ...] = ()
    adapters: tuple[Adapter, ...] = ()
    family: str = ""
    shown: Shown | None = None


@value
@dataclass(frozen=True, eq=False)
class Audio:
    """Sound. `samples`: (B, channels, T) float32 in -1..1; `rate` in Hz."""

    samples: Tensor
    rate: int = 44100

    def fault(self) -> str | None:
        return tensor_fault(self.samples, 3) or (None if self.rate > 0 else f"with a rate of {self.rate} Hz")

    @property
    def seconds(self) -> float:
        return self.samples.shape[2] / self.rate


@value
@dataclass(frozen=True, eq=False)
class Video:
    """Moving images.

    `frames`: (N, H, W, C), sRGB, C is 3 or 4; uint8 in 0..255 as files have them, or float16 or float32 in 0..1. They
    stay as compact as they came, and may lie in a file that is read where it is looked at: take `images` of a few at a
    time rather than all of `frames` as float32. `fps` are frames a second; `audio` is the sound beside them.
    """

    frames: Tensor
    fps: float = 24.0
    audio: Audio | None = None

    def fault(self) -> str | None:
        from .codec import is_tensor

        if not is_tensor(self.frames):
            return f"that holds {type(self.frames).__name__}, not a tensor"
        if self.frames.ndim != 4 or self.frames.shape[3] not in (3, 4) or not self.frames.numel():
            return f"whose frames are of shape {tuple(self.frames.shape)}, not (N, H, W, 3 or 4)"
        kind = str(self.frames.dtype).removeprefix("torch.")
        if kind not in ("uint8", "float16", "float32"):
            return f"of {kind}, not uint8, float16 or float32"
        if not 0 < self.fps < float("inf"):
            return f"with {self.fps:g} frames a second"
        if kind != "uint8":
            for number in range(len(self)):
                fault = tensor_fault(self.images(number, number + 1).pixels, 4)
                if fault:
                    return fault
        return self.audio.fault() if self.audio is not None else None

    def __len__(self) -> int:
        return self.frames.shape[0]

    @property
    def seconds(self) -> float:
        return len(self) / self.fps

    def images(self, start: int = 0, stop: int | None = None) -> Image:
        """The frames from `start` up to `stop` as a batch of images; only these are read."""
        frames = self.frames[start:stop]
        return Image(frames.float().div_(255.0) if str(frames.dtype) == "torch.uint8" else frames.float())


@value
@dataclass(frozen=True, eq=False)
class Mesh:
    """A surface of triangles.

    `vertices`: (V, 3) float32, y is up; `faces`: (F, 3) int64, counter-clockwise when seen from outside.

    `colors` (V, 3 or 4) float32 in 0..1 and `uv` (V, 2) float32, 0..1 with v downwards, belong to the vertices.
    """

    vertices: Tensor
    faces: Tensor
    colors: Tensor | None = None
    uv: Tensor | None = None

    def fault(self) -> str | None:
        fault = tensor_fault(self.vertices, 2)
        if fault or self.vertices.shape[1] != 3:
            return fault or f"whose vertices have {self.vertices.shape[1]} coordinates, not 3"
        count = self.vertices.shape[0]
        if str(self.faces.dtype) != "torch.int64" or self.faces.ndim != 2 or self.faces.shape[1] != 3:
            return f"whose faces are {self.faces.dtype} of shape {tuple(self.faces.shape)}, not int64 of (F, 3)"
        if self.faces.numel() and not (self.faces.min() >= 0 and self.faces.max() < count):
            return f"whose faces name vertices that are not among its {count}"
        for name, widths in (("colors", (3, 4)), ("uv", (2,))):
            found = getattr(self, name)
            fault = tensor_fault(found, 2) if found is not None else None
            if fault is None and found is not None and (found.shape[0] != count or found.shape[1] not in widths):
                fault = f"of shape {tuple(found.shape)} for {count} vertices"
            if fault:
                return f"with {name} {fault}"
        return None


@value
@dataclass(frozen=True)
class File:
    """A finished file, kept by content. Made by `ctx.save`; the host of the run writes it where the user wants it.

    `name` is a pattern below the output folder (`{counter}` is filled in when it is written), `digest` names the bytes,
    `keep` is False for previews, which are shown but not written. `embed` says that the workflow goes into the file,
    if its format can carry one. `frames` and `seconds` are those of what moves or sounds.
    """

    name: str
    media_type: str
    digest: str
    size: int
    width: int = 0
    height: int = 0
    keep: bool = True
    embed: Literal["workflow", "nothing"] = "workflow"
    frames: int = 0
    seconds: float = 0.0
