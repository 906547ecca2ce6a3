"""What denoisers with captions learn from: encoded images with noise, at timesteps spread evenly over a batch.

Weighting: the error of the clean latent times min(SNR, 5) (Hang et al. 2023, https://arxiv.org/abs/2303.09556), and
min(SNR + 1, 5) for velocity (Salimans & Ho 2022). Plain min-SNR would leave the noisiest third of the steps, where the
caption alone says what to draw, with next to no weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from safelight.sdk import VAE, Context, Image, ModelRef, Problem, ProblemError
from safelight_nodes.training_values import ClipSet, ImageSet, LatentSet

from .computing import half_precision
from .course import Course, Pace
from .images import EMPTY_SHARE, WHITE_SHARE, Drawer, tiled
from .loop import numpy_generator, torch_generator
from .text import tokens

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

SHOWN, SHOWN_STEP, SHOWN_STEPS, SHOWN_GUIDANCE = 8, 1 << 40, 20, 4.0
_EMBEDDED = 64


@dataclass(frozen=True)
class Drawn:
    """Examples of a step: `latents` (B, C, h, w) float32 and their captions; `numbers` (B,) says of which images they
    are, `colours` over which palette colours (-1: none). Of clips, all frames of one after the other are latents, and
    the rest is said once a clip."""

    latents: Tensor
    texts: list[str]
    numbers: np.ndarray
    colours: list[int]


def course(pace: Pace) -> Course:
    """How a part beside a denoiser learns."""
    return Course.of(pace, betas=(0.9, 0.999))


class Drawing(Protocol):
    """Draws the examples of a step, from (seed, step) alone."""

    def draw(self, step: int, size: int) -> Drawn: ...


class Examples:
    """Draws examples of an image set that was encoded; the part `empty` of the captions is left empty."""

    def __init__(self, latents: LatentSet, drawer: Drawer, seed: int, empty: float = EMPTY_SHARE) -> None:
        self.latents, self.drawer, self._seed, self._empty = latents, drawer, seed, empty

    def draw(self, step: int, size: int) -> Drawn:
        import numpy as np
        import torch

        rng = numpy_generator(self._seed, step)
        slots = self.latents.samples.shape[1]
        numbers = self.drawer.numbers(rng, size)
        places = np.where(rng.random(size) < WHITE_SHARE, 0, rng.integers(min(1, slots - 1), slots, size))
        colours = self.latents.colours[numbers, places].tolist()
        texts = [self.drawer.text(rng, int(n), max(0, c)) for n, c in zip(numbers, colours, strict=True)]
        texts = ["" if rng.random() < self._empty else text for text in texts]
        z = self.latents.samples[torch.from_numpy(numbers), torch.from_numpy(places)].float()
        return Drawn(z, texts, numbers, colours)


class Told:
    """Captions to what the denoiser is told (B, tokens, channels). Where the text encoder stays as it is and captions
    are fixed texts, they are embedded once, before the first step."""

    def __init__(self, encoder: Any, reader: Any, images: ImageSet, learns: bool, device: Any, dtype: Any) -> None:
        self._encoder, self._reader, self._learns = encoder, reader, learns
        self._device, self._dtype = device, dtype
        self._known: dict[str, Tensor] = {}
        if not learns:
            self._known = self._embed_fixed(images)

    def __call__(self, texts: Sequence[str]) -> Tensor:
        import torch

        if self._known and all(text in self._known for text in texts):
            return torch.stack([self._known[text] for text in texts]).to(self._device)
        ids = tokens(self._reader, texts).to(self._device)
        with half_precision(self._device, self._dtype), torch.set_grad_enabled(self._learns):
            return self._encoder(input_ids=ids).last_hidden_state.float()

    def _embed_fixed(self, images: ImageSet) -> dict[str, Tensor]:
        if any(entry["style"] >= 0 for entry in images.entries):
            return {}
        texts = sorted({"", *(name for subject in images.subjects.values() for name in subject["names"])})
        found: dict[str, Tensor] = {}
        for start in range(0, len(texts), _EMBEDDED):
            part = texts[start : start + _EMBEDDED]
            found.update(zip(part, self(part).cpu().clone(), strict=True))
        return found


Guess = Callable[["Tensor", "Tensor", "Tensor", Drawn, int], "Tensor"]
"""What is predicted of noisy latents at timesteps (B,), told something (B, tokens, channels), for examples of a step.
"""


class Loss:
    """The loss of a step. Where a caption's latents are the `frames` of a video, they have one timestep."""

    def __init__(
        self,
        guess: Guess,
        told: Callable[[Sequence[str]], Tensor],
        examples: Drawing,
        scheduler: Mapping[str, Any],
        *,
        batch: int,
        gamma: float,
        seed: int,
        device: Any,
        dtype: Any,
        frames: int = 1,
    ) -> None:
        from diffusers.schedulers.scheduling_ddim import DDIMScheduler

        self._guess, self._told, self._examples = guess, told, examples
        self._batch, self._gamma, self._seed, self._frames = batch, gamma, seed, frames
        self._device, self._dtype = device, dtype
        made: Any = DDIMScheduler.from_config(dict(scheduler))
        self._alphas: Tensor = made.alphas_cumprod
        self._velocity = made.config["prediction_type"] == "v_prediction"

    def __call__(self, step: int) -> Tensor:
        import torch

        drawn = self._examples.draw(step, self._batch)
        z = drawn.latents
        size, count = len(drawn.texts), len(self._alphas)
        generator = torch_generator(self._seed, step)
        # Stratified over the batch: the same timesteps on average, less variance of the loss.
        spread = (torch.arange(size) + torch.rand(size, generator=generator)) * (count / size)
        t = spread.long().clamp(max=count - 1).repeat_interleave(self._frames)
        noise = torch.randn(z.shape, generator=generator)
        power = self._alphas[t][:, None, None, None]
        signal, sigma = power.sqrt(), (1 - power).sqrt()
        noisy = (signal * z + sigma * noise).to(self._device).contiguous(memory_format=torch.channels_last)
        target = (signal * noise - sigma * z if self._velocity else noise).to(self._device)
        context = self._told(drawn.texts)
        with half_precision(self._device, self._dtype, noisy):
            guess = self._guess(noisy, t.to(self._device), context, drawn, step)
        error = (guess.float() - target).square().mean((1, 2, 3))
        ratio = (power / (1 - power)).flatten().to(self._device) + self._velocity
        return (error * ratio.clamp(max=self._gamma) / ratio).mean()


def shown(
    predict: Callable[[Tensor, Tensor, Tensor], Tensor],
    told: Callable[[Sequence[str]], Tensor],
    texts: Sequence[str],
    vae: ModelRef[VAE],
    scheduler: Mapping[str, Any],
    latents: LatentSet | ClipSet,
    seed: int,
    device: Any,
    ctx: Context,
) -> Tensor:
    """Images (B, 3, H, W) in 0..1 of captions, guided, always from the same noise, so that one sees what was learned.

    `predict` gets latents (2 B, C, h, w), a timestep and what is told, the unguided half of all first.
    """
    import torch
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    from safelight.diffusion.autoencoder import leased_codec

    made: Any = DDIMScheduler.from_config({**scheduler, "timestep_spacing": "trailing"})
    made.set_timesteps(SHOWN_STEPS)
    shape = (len(texts), *latents.samples.shape[2:])
    z = torch.randn(shape, generator=torch_generator(seed, SHOWN_STEP)).to(device)
    with torch.no_grad():
        said = torch.cat([told([""] * len(texts)), told(texts)])
        for time in made.timesteps:
            plain, guided = predict(torch.cat([z, z]), time, said).float().chunk(2)
            z = made.step(plain + SHOWN_GUIDANCE * (guided - plain), time, z).prev_sample
    with leased_codec(ctx, vae) as codec:
        return codec.decode(z.cpu()).movedim(-1, 1)


def shown_with(above: Tensor, below: Tensor) -> Image:
    """Two rows of images (B, 3, H, W) in 0..1: what was given, and what was made of it."""
    import torch

    return Image(tiled(torch.cat([above.cpu(), below]), len(above)))


def check_latents(latents: LatentSet, images: ImageSet) -> None:
    """Raises ProblemError, `wrong_latents`, for those of another set."""
    if len(latents.samples) != len(images.entries):
        raise ProblemError(
            Problem(
                code="wrong_latents",
                message=f"There are {len(latents.samples)} latents and {len(images.entries)} images.",
                hint="Encode the very set that is connected here.",
                port="latents",
            )
        )


def check_told(unet: Any, width: int) -> None:
    """Raises ProblemError, `wrong_text_encoder`, where this denoiser is not told text of so many channels."""
    if unet.config.cross_attention_dim != width:
        message = (
            f"The denoiser is told text of {unet.config.cross_attention_dim} channels; this encoder makes {width}."
        )
        hint = "Connect the text encoder of the same model."
        raise ProblemError(Problem(code="wrong_text_encoder", message=message, hint=hint, port="text"))


def check_fit(unet: Any, width: int, latents: LatentSet | ClipSet, port: str = "latents") -> None:
    """Raises ProblemError, `wrong_latents`, where latents or text (of so many channels) are not for this denoiser."""
    channels = latents.samples.shape[2]
    if unet.config.in_channels == channels and unet.config.cross_attention_dim == width:
        return
    message = (
        f"The denoiser takes {unet.config.in_channels} latent channels and text of {unet.config.cross_attention_dim}; "
        f"here are {channels} and {width}."
    )
    hint = "Encode with the VAE, and caption with the text encoder, of the model to go on with."
    raise ProblemError(Problem(code="wrong_latents", message=message, hint=hint, port=port))
