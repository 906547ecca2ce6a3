"""Text-conditional denoisers on latents that were encoded before.

Weighting: the error of the clean latent times min(SNR, 5) (Hang et al. 2023, https://arxiv.org/abs/2303.09556), and
min(SNR + 1, 5) for velocity (Salimans & Ho 2022). Plain min-SNR would leave the noisiest third of the steps, where the
caption alone says what to draw, with next to no weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from safelight.sdk import VAE, Context, Denoiser, Image, Latent, ModelRef, Problem, ProblemError, TextEncoder
from safelight_nodes.training_values import ImageSet, LatentSet, Tokenizer, Weights

from .computing import half_precision, own_copy
from .course import Course
from .folders import plain_config, plain_tensors
from .images import EMPTY_SHARE, WHITE_SHARE, Drawer, tiled
from .loop import fit, numpy_generator, torch_generator
from .text import plain_unet, tokens
from .tokenizer import to_files
from .towers import text_side

if TYPE_CHECKING:
    from torch import Tensor

SHOWN, SHOWN_STEP, SHOWN_STEPS, SHOWN_GUIDANCE = 8, 1 << 40, 20, 4.0
TEXT_RATE = 0.5
_EMBEDDED = 64


@dataclass(frozen=True)
class Settings:
    """What the node is set to; see there."""

    learn_text: bool
    updates: int
    batch: int
    learning_rate: float
    warmup_steps: int
    schedule: Literal["cosine", "linear", "constant"]
    ema_decay: float
    prediction: Literal["v_prediction", "epsilon"]
    gamma: float
    beta_end: float
    width: int
    widest: int
    levels: int
    heads: int
    text_width: int
    text_layers: int
    seed: int


class Learned(NamedTuple):
    denoiser: Weights
    text: Weights
    tokenizer: Tokenizer


def learn(
    latents: LatentSet,
    images: ImageSet,
    tokenizer: Tokenizer | None,
    start: ModelRef[Denoiser] | None,
    text: ModelRef[TextEncoder] | None,
    vae: ModelRef[VAE] | None,
    settings: Settings,
    ctx: Context,
) -> Learned:
    """Trains a denoiser, and its text encoder along with it where that is wanted."""
    import torch

    device, dtype = ctx.models.device()
    _check(latents, images, start, text)
    width, layers = settings.text_width, settings.text_layers
    reader, tower = text_side(tokenizer, text, width, layers, settings.seed, ctx)
    if start is not None:
        own = own_copy(ctx, start, "start")
        unet, scheduler = plain_unet(own, "start"), own.scheduler
    else:
        unet, scheduler = fresh(latents, tower.config.hidden_size, settings), scheduler_settings(settings)
    _check_fit(unet, tower, latents)
    unet.to(device, memory_format=torch.channels_last).requires_grad_(True).train()
    learn_text = settings.learn_text or text is None
    tower.to(device).requires_grad_(learn_text)
    drawer = Drawer(images, settings.seed)
    loss = Loss(unet, tower, reader, latents, drawer, scheduler, settings, learn_text, device, dtype)
    groups: list[dict[str, Any]] = [{"params": list(unet.parameters())}]
    if learn_text:
        groups.append({"params": list(tower.parameters()), "scale": TEXT_RATE})
    show = None if vae is None else _shower(loss, drawer, vae, scheduler, latents, settings.seed, ctx)
    course = Course(
        settings.updates,
        settings.learning_rate,
        settings.warmup_steps,
        settings.schedule,
        settings.ema_decay,
        seed=settings.seed,
    )
    curve = tuple(fit(groups, loss, course, ctx, show).points)
    about = {**asdict(settings), "scheduler": scheduler}
    parts = {"UNet2DConditionModel": unet, "CLIPTextModel": tower}
    made = [Weights(kind, plain_config(part), plain_tensors(part), curve, about) for kind, part in parts.items()]
    return Learned(made[0], made[1], Tokenizer(to_files(reader)))


def scheduler_settings(settings: Settings) -> dict[str, Any]:
    """What `scheduler_config.json` says of a new model."""
    return {
        "_class_name": "DDIMScheduler",
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": settings.beta_end,
        "beta_schedule": "scaled_linear",
        "prediction_type": settings.prediction,
        "clip_sample": False,
        "set_alpha_to_one": True,
        "steps_offset": 1,
        "timestep_spacing": "trailing",
    }


def fresh(latents: LatentSet, text_width: int, settings: Settings) -> Any:
    """A new `UNet2DConditionModel` with attention at every level and one layer a block."""
    import torch
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    widths = tuple(min(settings.widest, settings.width << level) for level in range(settings.levels))
    channels = latents.samples.shape[2]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return UNet2DConditionModel(
            sample_size=latents.samples.shape[-1],
            in_channels=channels,
            out_channels=channels,
            down_block_types=("CrossAttnDownBlock2D",) * len(widths),
            mid_block_type="UNetMidBlock2DCrossAttn",
            up_block_types=("CrossAttnUpBlock2D",) * len(widths),
            block_out_channels=widths,
            layers_per_block=1,
            attention_head_dim=settings.heads,
            norm_num_groups=16 if all(width % 16 == 0 for width in widths) else 4,
            cross_attention_dim=text_width,
        )


class Loss:
    """The loss of a step. Captions of fixed texts under a frozen tower are embedded once, before the first step."""

    def __init__(
        self,
        unet: Any,
        tower: Any,
        reader: Any,
        latents: LatentSet,
        drawer: Drawer,
        scheduler: dict[str, Any],
        settings: Settings,
        learn_text: bool,
        device: Any,
        dtype: Any,
    ) -> None:
        from diffusers.schedulers.scheduling_ddim import DDIMScheduler

        self.unet, self._tower, self._reader = unet, tower, reader
        self._latents, self._drawer, self._settings = latents, drawer, settings
        self._learn_text, self.device, self.dtype = learn_text, device, dtype
        made: Any = DDIMScheduler.from_config(scheduler)
        self._alphas: Tensor = made.alphas_cumprod
        self._velocity = made.config["prediction_type"] == "v_prediction"
        self._known: dict[str, Tensor] = {} if learn_text else self._embed_fixed()

    def __call__(self, step: int) -> Tensor:
        import torch

        settings = self._settings
        z, texts = self._draw(step)
        size, count = len(z), len(self._alphas)
        generator = torch_generator(settings.seed, step)
        # Stratified over the batch: the same timesteps on average, less variance of the loss.
        spread = (torch.arange(size) + torch.rand(size, generator=generator)) * (count / size)
        t = spread.long().clamp(max=count - 1)
        noise = torch.randn(z.shape, generator=generator)
        power = self._alphas[t][:, None, None, None]
        signal, sigma = power.sqrt(), (1 - power).sqrt()
        noisy = (signal * z + sigma * noise).to(self.device).contiguous(memory_format=torch.channels_last)
        target = (signal * noise - sigma * z if self._velocity else noise).to(self.device)
        context = self.context(texts)
        with half_precision(self.device, self.dtype):
            guess = self.unet(noisy, t.to(self.device), context, return_dict=False)[0]
        error = (guess.float() - target).square().mean((1, 2, 3))
        ratio = (power / (1 - power)).flatten().to(self.device) + self._velocity
        return (error * ratio.clamp(max=settings.gamma) / ratio).mean()

    def context(self, texts: Sequence[str]) -> Tensor:
        """What the denoiser is told (B, tokens, channels)."""
        import torch

        if self._known and all(text in self._known for text in texts):
            return torch.stack([self._known[text] for text in texts]).to(self.device)
        ids = tokens(self._reader, texts).to(self.device)
        with half_precision(self.device, self.dtype), torch.set_grad_enabled(self._learn_text):
            return self._tower(input_ids=ids).last_hidden_state.float()

    def _draw(self, step: int) -> tuple[Tensor, list[str]]:
        """Latents (B, C, h, w) float32 and captions; every tenth caption is empty."""
        import numpy as np
        import torch

        rng = numpy_generator(self._settings.seed, step)
        size, slots = self._settings.batch, self._latents.samples.shape[1]
        numbers = self._drawer.numbers(rng, size)
        places = np.where(rng.random(size) < WHITE_SHARE, 0, rng.integers(min(1, slots - 1), slots, size))
        colours = self._latents.colours[numbers, places].tolist()
        texts = [self._drawer.text(rng, int(n), max(0, c)) for n, c in zip(numbers, colours, strict=True)]
        texts = ["" if rng.random() < EMPTY_SHARE else text for text in texts]
        return self._latents.samples[torch.from_numpy(numbers), torch.from_numpy(places)].float(), texts

    def _embed_fixed(self) -> dict[str, Tensor]:
        images = self._drawer.images
        if any(entry["style"] >= 0 for entry in images.entries):
            return {}
        texts = sorted({"", *(name for subject in images.subjects.values() for name in subject["names"])})
        self._known = {}
        found: dict[str, Tensor] = {}
        for start in range(0, len(texts), _EMBEDDED):
            part = texts[start : start + _EMBEDDED]
            found.update(zip(part, self.context(part).cpu().clone(), strict=True))
        return found


def _shower(
    loss: Loss,
    drawer: Drawer,
    vae: ModelRef[VAE],
    scheduler: dict[str, Any],
    latents: LatentSet,
    seed: int,
    ctx: Context,
) -> Callable[[], Image]:
    """Draws the same few captions from the same noise each time, so that one sees what was learned."""
    import torch
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    from safelight.diffusion.autoencoder import leased_codec

    texts = drawer.captions(SHOWN_STEP, SHOWN, explicit=1.0)
    shape = (SHOWN, *latents.samples.shape[2:])

    def show() -> Image:
        made: Any = DDIMScheduler.from_config({**scheduler, "timestep_spacing": "trailing"})
        made.set_timesteps(SHOWN_STEPS)
        z = torch.randn(shape, generator=torch_generator(seed, SHOWN_STEP)).to(loss.device)
        with torch.no_grad():
            said = torch.cat([loss.context([""] * SHOWN), loss.context(texts)])
            for time in made.timesteps:
                with half_precision(loss.device, loss.dtype):
                    both = loss.unet(torch.cat([z, z]), time, said, return_dict=False)[0].float()
                plain, guided = both.chunk(2)
                z = made.step(plain + SHOWN_GUIDANCE * (guided - plain), time, z).prev_sample
        done = Latent(z.cpu(), latents.family, latents.downsampling)
        with leased_codec(ctx, vae) as codec:
            return Image(tiled(codec.decode(done.samples).movedim(-1, 1), SHOWN // 2))

    return show


def _check(
    latents: LatentSet,
    images: ImageSet,
    start: ModelRef[Denoiser] | None,
    text: ModelRef[TextEncoder] | None,
) -> None:
    problems: list[Problem] = []
    if len(latents.samples) != len(images.entries):
        problems.append(
            Problem(
                code="wrong_latents",
                message=f"There are {len(latents.samples)} latents and {len(images.entries)} images.",
                hint="Encode the very set that is connected here.",
                port="latents",
            )
        )
    if text is None and start is not None:
        message, hint = "A denoiser that is gone on with needs its text encoder.", "Connect that of the same model."
        problems.append(Problem(code="no_text_side", message=message, hint=hint, port="text"))
    if problems:
        raise ProblemError(problems)


def _check_fit(unet: Any, tower: Any, latents: LatentSet) -> None:
    channels, width = latents.samples.shape[2], tower.config.hidden_size
    if unet.config.in_channels == channels and unet.config.cross_attention_dim == width:
        return
    message = (
        f"The denoiser takes {unet.config.in_channels} latent channels and text of {unet.config.cross_attention_dim}; "
        f"here are {channels} and {width}."
    )
    hint = "Encode with the VAE, and caption with the text encoder, of the model to go on with."
    raise ProblemError(Problem(code="wrong_latents", message=message, hint=hint, port="latents"))
