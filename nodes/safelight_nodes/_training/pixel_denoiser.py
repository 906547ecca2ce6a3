"""Diffusion in pixels, without captions: J. Ho et al., "Denoising Diffusion Probabilistic Models", 2020.

Noise is added in 1,000 steps whose variance grows in a straight line from 1e-4 to 0.02, and a UNet learns to tell it
from the image. The loss is the plain mean of squares of the paper (its `L_simple`). What is told may be the noise, the
image, or the velocity of T. Salimans and J. Ho, "Progressive Distillation for Fast Sampling of Diffusion Models", 2022.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from safelight.sdk import Context, Image, Problem, ProblemError
from safelight_nodes.training_values import ImageSet, Weights

from .computing import half_precision
from .course import Course
from .folders import plain_config, plain_tensors
from .images import Drawer, of_one_size, scaled, tiled
from .loop import fit, torch_generator

if TYPE_CHECKING:
    from torch import Tensor

Prediction = Literal["epsilon", "v_prediction", "sample"]
SHOWN, SHOWN_STEP, SHOWN_IN = 8, 1 << 40, 20


@dataclass(frozen=True)
class Settings:
    """What the node is set to; see there."""

    prediction: Prediction
    updates: int
    batch: int
    learning_rate: float
    warmup_steps: int
    ema_decay: float
    side: int
    anywhere: float
    width: int
    widest: int
    levels: int
    layers: int
    seed: int
    attention: int = 16


def learn(images: ImageSet, settings: Settings, ctx: Context) -> Weights:
    """Trains a new denoiser of pixels."""
    import torch

    device, dtype = ctx.models.device()
    side = settings.side or images.pixels.shape[1]
    unet = fresh(settings, side).to(device, memory_format=torch.channels_last).train()
    scheduler = scheduler_settings(settings.prediction)
    loss = Loss(unet, Drawer(of_one_size(images), settings.seed), scheduler, settings, side, device, dtype)
    noise = torch.randn((SHOWN, 3, side, side), generator=torch_generator(settings.seed, SHOWN_STEP)).to(device)

    def show() -> Image:
        return Image(tiled(drawn(unet, scheduler, noise, device, dtype).cpu() / 2 + 0.5, SHOWN // 2))

    course = Course.of(settings, betas=(0.9, 0.999))
    curve = fit([{"params": list(unet.parameters())}], loss, course, ctx, show)
    about = {**asdict(settings), "scheduler": scheduler}
    return Weights("UNet2DModel", plain_config(unet), plain_tensors(unet), tuple(curve.points), about)


def scheduler_settings(prediction: Prediction) -> dict[str, Any]:
    """The schedule of the paper, as `scheduler_config.json` says it."""
    return {
        "_class_name": "DDPMScheduler",
        "num_train_timesteps": 1000,
        "beta_start": 1e-4,
        "beta_end": 0.02,
        "beta_schedule": "linear",
        "prediction_type": prediction,
        "variance_type": "fixed_large",
        "clip_sample": True,
    }


def fresh(settings: Settings, side: int) -> Any:
    """A new `UNet2DModel` for (B, 3, side, side): each level but the first halves the side and, up to `widest`, doubles
    the channels.

    Raises:
        ProblemError: `size_not_a_multiple`, when the side cannot be halved so often.
    """
    import torch
    from diffusers.models.unets.unet_2d import UNet2DModel

    if side % (1 << (settings.levels - 1)):
        raise ProblemError(
            Problem(
                code="size_not_a_multiple",
                message=f"Images of {side} pixels a side cannot be halved {settings.levels - 1} times.",
                hint=f"Set the side to a multiple of {1 << (settings.levels - 1)}, or take fewer levels.",
                port="side",
                value=settings.side,
            )
        )
    widths = tuple(min(settings.widest, settings.width << level) for level in range(settings.levels))
    attends = [side >> level <= settings.attention for level in range(settings.levels)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return UNet2DModel(
            sample_size=side,
            in_channels=3,
            out_channels=3,
            block_out_channels=widths,
            layers_per_block=settings.layers,
            down_block_types=tuple("AttnDownBlock2D" if one else "DownBlock2D" for one in attends),
            up_block_types=tuple("AttnUpBlock2D" if one else "UpBlock2D" for one in reversed(attends)),
            norm_num_groups=8,
            attention_head_dim=8,
        )


class Loss:
    """The loss of a step: images (B, 3, H, W) in -1..1, each with the noise of a timestep drawn from all alike."""

    def __init__(
        self,
        unet: Any,
        drawer: Drawer,
        scheduler: dict[str, Any],
        settings: Settings,
        side: int,
        device: Any,
        dtype: Any,
    ) -> None:
        from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

        self._unet, self._drawer, self._settings, self._side = unet, drawer, settings, side
        self._device, self._dtype = device, dtype
        self._schedule: Any = DDPMScheduler.from_config(scheduler)

    def __call__(self, step: int) -> Tensor:
        import torch

        settings = self._settings
        x = scaled(self._drawer.batch(step, settings.batch, settings.anywhere), self._side)
        generator = torch_generator(settings.seed, step)
        noise = torch.randn(x.shape, generator=generator)
        t = torch.randint(len(self._schedule.betas), (len(x),), generator=generator)
        noisy = self._schedule.add_noise(x, noise, t)
        if settings.prediction == "epsilon":
            aim = noise
        elif settings.prediction == "sample":
            aim = x
        else:
            aim = self._schedule.get_velocity(x, noise, t)
        noisy = noisy.to(self._device).contiguous(memory_format=torch.channels_last)
        with half_precision(self._device, self._dtype):
            told = self._unet(noisy, t.to(self._device)).sample.float()
        return (told - aim.to(self._device)).square().mean()


def drawn(unet: Any, scheduler: dict[str, Any], noise: Tensor, device: Any, dtype: Any) -> Tensor:
    """What a few steps of DDIM make of noise (B, 3, H, W): images in -1..1."""
    import torch
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    schedule: Any = DDIMScheduler.from_config({**scheduler, "timestep_spacing": "trailing"})
    schedule.set_timesteps(SHOWN_IN)
    x = noise
    with torch.no_grad(), half_precision(device, dtype):
        for t in schedule.timesteps:
            x = schedule.step(unet(x, t.to(device)).sample.float(), int(t), x).prev_sample
    return x
