"""Fine-tuning a denoiser of any family on images and their captions, through the family's own call.

A batch of clean latents gets noise of a level drawn at random, the denoiser says what it takes for the noise, the
velocity or the flow, and the loss is the mean square of what it is wrong by. With a second set of images, of the class
that the subject belongs to, the model is held to what it knew of that class: the prior preservation of N. Ruiz et al.,
"DreamBooth", 2022, https://arxiv.org/abs/2208.12242, equation 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from safelight.sdk import VAE, Conditioning, Context, Image, Latent, ModelRef, Problem, ProblemError, SampleRequest
from safelight_nodes.training_values import ImageSet

from .computing import half_precision
from .course import Course, Pace, Schedule
from .images import WHITE, Drawer, composited, tiled
from .loop import numpy_generator, torch_generator
from .optimisers import Name
from .quiet import Quiet

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

SHOWN, SHOWN_STEPS, SHOWN_SEED = 4, 12, 1 << 40
_GROUND = (255, 255, 255)


@dataclass(frozen=True)
class Settings:
    """What all fine-tunings are set to; see the nodes."""

    updates: int
    batch: int
    accumulate: int
    learning_rate: float
    warmup_steps: int
    schedule: Schedule
    optimiser: Name
    ema_decay: float
    gamma: float
    noise_offset: float
    drop_captions: float
    flip: bool
    prior_weight: float
    checkpointing: bool
    seed: int


class Tuning(Pace, Protocol):
    """What the settings of a fine-tuning say beside that."""

    @property
    def accumulate(self) -> int: ...
    @property
    def schedule(self) -> Schedule: ...
    @property
    def optimiser(self) -> Name: ...


def course(tuning: Tuning) -> Course:
    """How a fine-tuning goes."""
    return Course.of(
        tuning, schedule=tuning.schedule, optimiser=tuning.optimiser, accumulate=tuning.accumulate, betas=(0.9, 0.99)
    )


class Noised(NamedTuple):
    """Latents with noise, how much each has, what is to be said of them, and what an error in that weighs (B,)."""

    noisy: Tensor
    levels: Tensor
    aim: Tensor
    weights: Tensor


class Noising:
    """Puts noise on clean latents as a denoiser's schedule has it.

    Of a schedule of timesteps each is drawn alike often, and an error weighs by min-SNR (T. Hang et al., "Efficient
    Diffusion Training via Min-SNR Weighting Strategy", 2023, https://arxiv.org/abs/2303.09556), cut off at `gamma`
    (0: all errors weigh 1). `offset` adds noise that is the same all over an image, so that a model learns to make it
    lighter or darker as a whole (N. Guttenberg, "Diffusion with Offset Noise", 2023). Of a flow the share of noise is
    the logistic function of a normal number, shifted as the model's settings say (P. Esser et al., "Scaling Rectified
    Flow Transformers", 2024, https://arxiv.org/abs/2403.03206, section 3.1), and neither of the two counts.
    """

    def __init__(self, scheduler: Mapping[str, Any], prediction: str, gamma: float, offset: float) -> None:
        self._prediction, self._gamma, self._offset = prediction, gamma, offset
        self._shift = 1.0
        self._schedule: Any = None
        if prediction == "flow":
            dynamic = scheduler.get("use_dynamic_shifting", False)
            self._shift = 1.0 if dynamic else float(scheduler.get("shift") or scheduler.get("flow_shift") or 1.0)
        else:
            from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

            known = {"num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas"}
            known |= {"rescale_betas_zero_snr", "prediction_type"}
            self._schedule = DDPMScheduler(**{key: value for key, value in scheduler.items() if key in known})

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Noised:
        import torch

        count = len(clean)
        noise = torch.randn(clean.shape, generator=generator)
        if self._prediction == "flow":
            share = torch.randn(count, generator=generator).sigmoid()
            share = self._shift * share / (1 + (self._shift - 1) * share)
            part = share[:, None, None, None]
            return Noised((1 - part) * clean + part * noise, share, noise - clean, torch.ones(count))
        if self._offset:
            noise = noise + self._offset * torch.randn((*clean.shape[:2], 1, 1), generator=generator)
        t = torch.randint(len(self._schedule.betas), (count,), generator=generator)
        noisy = self._schedule.add_noise(clean, noise, t)
        if self._prediction == "v_prediction":
            aim = self._schedule.get_velocity(clean, noise, t)
        else:
            aim = clean if self._prediction == "sample" else noise
        return Noised(noisy, t, aim, self._weights(t))

    def _weights(self, t: Tensor) -> Tensor:
        import torch

        if not self._gamma:
            return torch.ones(len(t))
        power = self._schedule.alphas_cumprod[t]
        ratio = power / (1 - power)
        if self._prediction == "sample":
            return ratio.clamp(max=self._gamma)
        # An error of the velocity is one of the image times SNR + 1.
        ratio = ratio + (self._prediction == "v_prediction")
        return torch.where(ratio > 0, ratio.clamp(max=self._gamma) / ratio.clamp(min=1e-8), 1.0)


class Examples:
    """The images of a set as latents, over white, with their captions. A batch holds images of one size."""

    def __init__(self, ctx: Context, images: ImageSet, vae: ModelRef[VAE], family: str, flip: bool, seed: int) -> None:
        self.drawer = Drawer(images, seed)
        self._latents: list[list[Tensor]] = []
        self._sizes: dict[tuple[int, ...], list[int]] = {}
        self._encode(ctx, images, vae, family, flip)

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, h, w) of most of them."""
        return max(self._sizes, key=lambda shape: len(self._sizes[shape]))

    def batch(self, rng: np.random.Generator, count: int) -> tuple[Tensor, list[str]]:
        """Latents (B, C, h, w) float32 and captions."""
        import torch

        drawer = self.drawer
        numbers = [int(drawer.numbers(rng, 1)[0])]
        alike = self._sizes[tuple(self._latents[numbers[0]][0].shape)]
        if len(alike) == len(self._latents):
            numbers += [int(number) for number in drawer.numbers(rng, count - 1)]
        else:
            weights = drawer.images.weights.numpy()[alike]
            numbers += [int(n) for n in rng.choice(alike, count - 1, p=weights / weights.sum())]
        found = [self._latents[n][int(rng.integers(len(self._latents[n])))] for n in numbers]
        return torch.stack(found), [drawer.text(rng, n, WHITE) for n in numbers]

    def _encode(self, ctx: Context, images: ImageSet, vae: ModelRef[VAE], family: str, flip: bool) -> None:
        from safelight.diffusion.autoencoder import leased_codec

        height, width = images.pixels.shape[1], images.pixels.shape[2]
        with leased_codec(ctx, vae, (height, width), family) as codec:
            for number in range(len(images.entries)):
                ctx.check_cancelled()
                pixels = images.alone(number)
                x = composited(pixels[None], [_GROUND]).movedim(1, -1) / 2 + 0.5
                ways = [x, x.flip(2)] if flip else [x]
                latents = [codec.encode(way.contiguous())[0] for way in ways]
                if latents[0].ndim != 3:
                    raise _no_images()
                self._latents.append(latents)
                self._sizes.setdefault(tuple(latents[0].shape), []).append(number)
            self.downsampling = codec.downsampling


class Reader:
    """Captions to conditionings. Where the encoders stand still, each is encoded once."""

    def __init__(self, text: Any, ctx: Context, learns: bool) -> None:
        self._text, self._ctx, self._learns = text, ctx, learns
        self._known: dict[str, Conditioning] = {}

    def __call__(self, texts: Sequence[str]) -> list[Conditioning]:
        import torch

        with torch.set_grad_enabled(self._learns and torch.is_grad_enabled()):
            if self._learns:
                return [self._text.encode(text, self._ctx) for text in texts]
            for text in dict.fromkeys(texts):
                if text not in self._known:
                    self._known[text] = self._text.encode(text, self._ctx)
        return [self._known[text] for text in texts]


@dataclass
class Loss:
    """The loss of a step, for `loop.fit`. `parts` are the sets of examples, each with the weight of its loss."""

    denoiser: Any
    read: Reader
    parts: Sequence[tuple[Examples, float]]
    noising: Noising
    settings: Settings
    device: torch.device
    dtype: torch.dtype
    dropout: bool = False

    def __call__(self, step: int) -> Tensor:
        import torch

        settings = self.settings
        rng = numpy_generator(settings.seed, step)
        generator = torch_generator(settings.seed, step)
        total: Any = 0.0
        with ExitStack() as stack:
            if self.dropout:
                # What is left out is drawn from torch's own state, which is not this step's alone.
                stack.enter_context(torch.random.fork_rng(_cuda(self.device)))
                torch.manual_seed(torch_generator(settings.seed + 1, step).initial_seed())
            for examples, weight in self.parts:
                clean, texts = examples.batch(rng, settings.batch)
                texts = ["" if rng.random() < settings.drop_captions else text for text in texts]
                total = total + weight * self.error(clean, texts, generator)
        return total

    def error(self, clean: Tensor, texts: Sequence[str], generator: torch.Generator) -> Tensor:
        noised = self.noising(clean, generator)
        with half_precision(self.device, self.dtype, noised.noisy, fused=self.settings.checkpointing):
            said = self.denoiser.predict(noised.noisy, noised.levels, self.read(texts))
        wrong = (said - noised.aim.to(said.device)).square().mean((1, 2, 3))
        return (wrong * noised.weights.to(said.device)).mean()


def _cuda(device: torch.device) -> list[Any]:
    return [device] if device.type == "cuda" else []


def prepared(module: Any, checkpointing: bool) -> Any:
    """A module in training mode, with convolutions in the order that is fast; changed in place."""
    import torch

    module.to(memory_format=torch.channels_last)
    module.train()
    if checkpointing:
        enable = getattr(module, "enable_gradient_checkpointing", None) or module.gradient_checkpointing_enable
        enable()
    return module


def previews(
    ctx: Context,
    denoiser: Any,
    read: Reader,
    vae: ModelRef[VAE],
    examples: Examples,
    prompt: str,
    modules: Sequence[Any],
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
) -> Callable[[], Image]:
    """Samples of a prompt, or of the first captions, from the same noise each time, with the model as it is."""
    import torch

    from safelight.diffusion.autoencoder import leased_codec

    texts = [prompt] * SHOWN if prompt else examples.drawer.captions(SHOWN_SEED, SHOWN)
    presets = denoiser.presets
    quiet = Quiet(ctx)

    def show() -> Image:
        modes = [module.training for module in modules]
        for module in modules:
            module.eval()
        made: list[Tensor] = []
        try:
            with torch.no_grad(), half_precision(device, dtype):
                (negative,) = read([""])
                for place, positive in enumerate(read(texts)):
                    empty = torch.zeros((1, *examples.shape))
                    request = SampleRequest(
                        positive=positive,
                        negative=negative if presets.guidance > 1 else None,
                        latent=Latent(empty, denoiser.family.id, examples.downsampling),
                        steps=min(presets.steps, SHOWN_STEPS),
                        guidance=presets.guidance,
                        sampler=presets.sampler,
                        scheduler=presets.scheduler,
                        seed=seed + place,
                    )
                    made.append(denoiser.sample(request, quiet).samples)
        finally:
            for module, mode in zip(modules, modes, strict=True):
                module.train(mode)
        with leased_codec(ctx, vae, family=denoiser.family.id) as codec:
            return Image(tiled(codec.decode(torch.cat(made)).movedim(-1, 1)[:, :3], SHOWN))

    return show


def taken(family: Any, settings: Settings, prediction: str, ctx: Context) -> None:
    """Tells of settings that this model does not look at. Raises ProblemError for models of videos."""
    from safelight.diffusion.denoiser import not_trained

    if family.frames != 1:
        raise not_trained(family.title)
    if prediction == "flow" and settings.noise_offset:
        message = f"{family.title} learns a flow, to which no offset noise is added."
        problem = Problem(code="setting_unused", message=message, hint="Set it to 0.", port="noise_offset")
        ctx.warn(problem.warning())


def about(settings: Settings, model: ModelRef[Any], **more: Any) -> dict[str, Any]:
    """How it was trained, for the folder of the result."""
    from dataclasses import asdict

    return {**asdict(settings), "model": model.source.name, "family": model.family, **more}


def placed(ref: ModelRef[Any], full: bool) -> ModelRef[Any]:
    """The recipe of what is trained: in float32 where its own weights learn."""
    return replace(ref, precision="float32") if full else ref


def _no_images() -> ProblemError:
    message = "This VAE makes latents of videos, and training goes by images."
    hint = "Connect the VAE of a model that makes images."
    return ProblemError(Problem(code="model_not_supported", message=message, hint=hint, port="vae"))
