"""What models in memory are asked, and the facts of their families. See `context` for the leases that give them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .values import Conditioning, Guider, Latent

TEXT_ENCODERS = {
    "clip_l": "CLIP-L",
    "clip_h": "CLIP-H",
    "clip_g": "CLIP-G",
    "t5": "T5",
    "umt5": "UMT5",
    "qwen3": "Qwen3",
}
"""Text encoders that may lie in files of their own, as `text_sorts` has them, and what they are called."""


Prediction = Literal["epsilon", "v_prediction", "sample", "flow"]
"""What a denoiser predicts: the noise, the velocity, the image, or the flow, which is the noise less the image."""


@dataclass(frozen=True)
class Presets:
    """Settings that suit a model: what `auto` means at a sampler. `width` and `height` are in pixels.

    `note` is what the user is told where `auto` takes them: where they are out of the ordinary, and why. A model
    of videos makes `frames` of them, `fps` a second.
    """

    steps: int = 20
    guidance: float = 7.0
    sampler: str = "dpmpp_2m"
    scheduler: str = "model"
    width: int = 512
    height: int = 512
    note: str = ""
    frames: int = 1
    fps: float = 24.0


@dataclass(frozen=True)
class SampleRequest:
    """One call of a sampler, with every `auto` filled in.

    The steps from `first` up to `end` of a schedule of `steps` are made (None: to its end). `fresh` is True when the
    run starts from pure noise and the latent only gives the size; else the latent gets the noise of step `first`,
    unless it holds noise already (`latent.noise`). `leave_noise` keeps the noise of a schedule that stops early.
    `part` says that the run is one of several that share a schedule, so ranges of prompts count from its beginning.
    `guidance` of 1 or less means none, `guider` is how it is done (None: the usual way); `rescale` (0..1) brings the
    contrast back to that without guidance. Image k of the batch has the noise of `seed` + k, unless `noise`
    (B, C, H, W), of a mean of 0 and a deviation of 1, takes its place.

    `sigmas` are the noise levels before each step and after the last one, in the place of those of the scheduler, which
    is not looked at then; `steps` is one less than there are. With `invert` the latent is followed the other way, up
    to the noise that it would be made of, and that is what comes back; the number is how often a step is made over to
    meet the step down again.

    `formulas` are whose sampler and scheduler the names mean, and how noise is drawn: `diffusers`, or `k-diffusion`,
    with which a whole batch has one draw of `seed`. `shift` and `flow_levels` are for the latter: of a model that
    predicts a flow, how far its levels are shifted to much noise, and how many there are; 0 is what goes with it.
    """

    positive: Conditioning
    negative: Conditioning | None
    latent: Latent
    steps: int
    guidance: float
    sampler: str
    scheduler: str
    seed: int
    rescale: float = 0.0
    first: int = 0
    end: int | None = None
    fresh: bool = True
    leave_noise: bool = False
    part: bool = False
    guider: Guider | None = None
    noise: Tensor | None = None
    sigmas: tuple[float, ...] = ()
    invert: int = 0
    formulas: str = "diffusers"
    shift: float = 0.0
    flow_levels: int = 0


class FamilyFacts(Protocol):
    """What is known of a family without a model in memory. `space` names its latents: families of one space exchange
    them. `alike` is another space whose VAEs look the same in a file; empty for most."""

    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def space(self) -> str: ...
    @property
    def alike(self) -> str: ...
    @property
    def frames(self) -> int:
        """Frames of a video that a cell of its latents stands for; 1 for images."""
        ...

    @property
    def in_two(self) -> bool:
        """Whether its models may have two denoisers, one for much noise and one for little."""
        ...

    @property
    def pipeline(self) -> str:
        """The class of diffusers that its whole models are of, as `model_index.json` says."""
        ...

    @property
    def caches_steps(self) -> bool:
        """Whether its denoisers can leave out what a step hardly changes (`ModelRef.step_cache`, `step_forecast`)."""
        ...

    @property
    def wraps(self) -> bool:
        """Whether its models can take images as continuing at their edges (`ModelRef.wraps`)."""
        ...

    @property
    def moves(self) -> bool:
        """Whether its denoisers take a motion module (`ModelRef.motion`)."""
        ...

    def text_sorts(self) -> tuple[tuple[str, bool], ...]:
        """Its text encoders as they lie in files of their own, and whether it does without each."""
        ...


class VAEModel(Protocol):
    """An autoencoder in memory. `native_size` is the (height, width) in pixels that it was made for, `downsampling` the
    pixels that a cell of its latents stands for along one side. One that `overflows` does so in float16. One that has
    an attribute `opacity`, which is true, makes pixels of four channels, and takes three or four."""

    @property
    def family(self) -> FamilyFacts: ...
    @property
    def modules(self) -> Mapping[str, Any]: ...
    @property
    def channels(self) -> int: ...
    @property
    def downsampling(self) -> int: ...
    @property
    def native_size(self) -> tuple[int, int]: ...
    @property
    def overflows(self) -> bool: ...

    def decode(self, samples: Tensor, tile: int = 0) -> Tensor:
        """Latents (B, C, h, w) as samplers have them, to pixels (B, H, W, 3 or 4) in 0..1, float32 on the CPU.

        `tile` is the side of a tile in pixels; 0 takes the image whole while there is room for it.
        """
        ...

    def encode(self, pixels: Tensor, sources: Sequence[torch.Generator] | None = None, tile: int = 0) -> Tensor:
        """Pixels (B, H, W, 3 or 4) in 0..1 to latents (B, C, h, w) as samplers take them, float32 on the CPU.

        The mean of the distribution that the encoder gives, or, with one random source an image, a draw from it.
        """
        ...


class UpscalerModel(Protocol):
    """A network from images to images in memory. `scale` is how many times larger it makes them (1: it mends them),
    `tiled` that an image may be given in pieces, `faces` that it mends a face of 512 x 512 pixels cut out upright."""

    @property
    def scale(self) -> int: ...
    @property
    def tiled(self) -> bool: ...
    @property
    def faces(self) -> bool: ...

    def __call__(self, pixels: Tensor) -> Tensor:
        """Pixels (B, H, W, 3) in 0..1 to (B, scale * H, scale * W, 3) in 0..1, float32 on the CPU."""
        ...


class PreprocessorModel(Protocol):
    """A network in memory that reads images for others. `sort` is which one: 'hed', or the class of transformers.

    `annotator` is what controlnet-aux makes of it, None for models of transformers; those have a `processor`. `name` is
    that of its file or folder.
    """

    @property
    def sort(self) -> str: ...
    @property
    def network(self) -> Any: ...
    @property
    def annotator(self) -> Any: ...
    @property
    def processor(self) -> Any: ...
    @property
    def name(self) -> str: ...


@runtime_checkable
class VideoVAEModel(VAEModel, Protocol):
    """An autoencoder of videos in memory: its latents are (B, C, t, h, w).

    The first cell in time stands for one frame and each further one for `frames`. `native_frames` is the number of
    frames that it was made for, `fps` how many of them are shown in a second. `greys` says that models of it look at
    the latent of a whole video where frames are given, grey between them; else only at that of the first frame.
    `decode` and `encode` take images as videos of one frame each, with latents (B, C, h, w).
    """

    @property
    def frames(self) -> int: ...
    @property
    def greys(self) -> bool: ...
    @property
    def native_frames(self) -> int: ...
    @property
    def fps(self) -> float: ...

    def decode_frames(self, samples: Tensor, tile: int = 0) -> Iterator[Tensor]:
        """The frames of one latent (1, C, t, h, w) as samplers have it, some cells in time after the others: pieces
        (n, H, W, 3) in 0..1, float32 on the CPU. Only one piece is in memory at once. `tile` is as for `decode`."""
        ...

    def encode_frames(self, pixels: Tensor) -> Tensor:
        """The frames of one video (N, H, W, 3) in 0..1, N being 1 and a multiple of `frames`, to its latent
        (1, C, t, h, w) as samplers take it, float32 on the CPU: the mean of the distribution."""
        ...
