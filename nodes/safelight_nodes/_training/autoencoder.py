"""Autoencoders: images to latents and back, with few latents lost and sharp edges.

The loss is the plain and the squared difference of pixels, the plain one of horizontal and vertical gradients (what
the eye calls sharp), and a pull on the posterior. Once pixels are nearly right, squares are too small to matter beside
plain differences: weighing them ten times gained 0.6 dB in 150 updates of 16 from where the starter's autoencoder had
stopped. The latent is the posterior's mean with a little noise: drawing from the posterior from the first step on was
measured to cost most of the quality that a short training reaches.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from safelight.sdk import VAE, Context, Image, ModelRef, Team
from safelight_nodes.training_values import ImageSet, Weights

from .computing import half_precision, own_copy
from .course import Course
from .folders import plain_config, plain_tensors
from .images import Drawer, of_one_size, tiled
from .loop import fit, torch_generator

if TYPE_CHECKING:
    from torch import Tensor

SHOWN, SHOWN_STEP = 8, 1 << 40
MEASURED, MEASURED_STEP = 200, 1 << 41
STANDARDISED, STANDARDISED_STEP = 1000, 1 << 42


@dataclass(frozen=True)
class Settings:
    """What the node is set to; see there."""

    learn: Literal["all", "decoder"]
    updates: int
    batch: int
    learning_rate: float
    warmup_steps: int
    ema_decay: float
    crop: int
    anywhere: float
    squares: float
    edges: float
    kl: float
    noise: float
    anchor: float
    standardise: bool
    width: int
    widest: int
    levels: int
    channels: int
    seed: int


def learn(images: ImageSet, start: ModelRef[VAE] | None, settings: Settings, ctx: Context, team: Team) -> Weights:
    """Trains an autoencoder; a new one where none is given to start from."""
    import torch

    device, dtype = ctx.models.device()
    vae = own_copy(ctx, start, "start").module if start else fresh(settings, images.pixels.shape[1])
    vae.to(device, memory_format=torch.channels_last).requires_grad_(False)
    learned = [vae.decoder, vae.post_quant_conv] + ([vae.encoder, vae.quant_conv] if settings.learn == "all" else [])
    parameters = [parameter for part in learned if part is not None for parameter in part.parameters()]
    for parameter in parameters:
        parameter.requires_grad_(True)
    anchor = own_copy(ctx, start, "start").module.to(device) if start and settings.anchor else None
    drawer = Drawer(of_one_size(images), settings.seed)
    loss = Loss(vae, anchor, drawer, settings, device, dtype)
    shown = drawer.batch(SHOWN_STEP, SHOWN).to(device)

    def show() -> Image:
        with torch.no_grad(), half_precision(device, dtype):
            again = vae.decode(vae.encode(shown).latent_dist.mode()).sample.float()
        return Image(tiled(torch.cat([shown, again]).cpu() / 2 + 0.5, SHOWN))

    course = Course.of(settings)
    curve = fit([{"params": parameters}], loss, course, ctx, show, team)
    if settings.standardise and settings.learn == "all":
        standardise(vae, _latents(vae, drawer, device))
    about = {**asdict(settings), "psnr": round(measure(vae, drawer, device), 2)}
    return Weights("AutoencoderKL", plain_config(vae), plain_tensors(vae), tuple(curve.points), about)


def fresh(settings: Settings, side: int) -> Any:
    """A new `AutoencoderKL`: each level halves the side and, up to `widest`, doubles the channels."""
    import torch
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    widths = tuple(min(settings.widest, settings.width << level) for level in range(settings.levels))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        made: Any = AutoencoderKL  # its annotations are of tuples of one
        return made(
            block_out_channels=widths,
            down_block_types=("DownEncoderBlock2D",) * len(widths),
            up_block_types=("UpDecoderBlock2D",) * len(widths),
            latent_channels=settings.channels,
            layers_per_block=1,
            # One group: backgrounds are large and plain, and normalising each group by itself washed them out.
            norm_num_groups=1,
            sample_size=side,
            scaling_factor=1.0,
        )


class Loss:
    """The loss of a step. `anchor` is the autoencoder that latents are held near, or None."""

    def __init__(self, vae: Any, anchor: Any, drawer: Drawer, settings: Settings, device: Any, dtype: Any) -> None:
        self._vae, self._anchor, self._drawer, self._settings = vae, anchor, drawer, settings
        self._device, self._dtype = device, dtype

    def __call__(self, step: int) -> Tensor:
        import torch

        settings = self._settings
        x = self._cropped(self._drawer.batch(step, settings.batch, settings.anywhere), step).to(self._device)
        x = x.contiguous(memory_format=torch.channels_last)
        generator = torch_generator(settings.seed, step)
        with half_precision(self._device, self._dtype):
            if settings.learn == "decoder":
                with torch.no_grad():
                    posterior = self._vae.encode(x).latent_dist
            else:
                posterior = self._vae.encode(x).latent_dist
            mean = posterior.mean.float()
            z = mean
            if settings.learn == "all" and settings.noise:
                z = mean + settings.noise * torch.randn(mean.shape, generator=generator).to(self._device)
            y = self._vae.decode(z).sample.float()
        error = x - y
        across, down = error.diff(dim=-1).abs().mean(), error.diff(dim=-2).abs().mean()
        total = error.abs().mean() + settings.squares * error.square().mean() + settings.edges * (across + down)
        if settings.learn == "all" and settings.kl:
            aim = 2 * math.log(settings.noise or 0.05)
            total = total + settings.kl * (mean.square() + (posterior.logvar.float() - aim).square()).mean()
        if self._anchor is not None and settings.learn == "all":
            with torch.no_grad(), half_precision(self._device, self._dtype):
                held = self._anchor.encode(x).latent_dist.mean.float()
            total = total + settings.anchor * (mean - held).square().mean()
        return total

    def _cropped(self, x: Tensor, step: int) -> Tensor:
        """A square from a random place of the batch's images, where crops are wanted."""
        side = self._settings.crop
        if not side or side >= min(x.shape[-2:]):
            return x
        import torch

        generator = torch_generator(self._settings.seed + 1, step)
        top, left = (int(torch.randint(length - side + 1, (1,), generator=generator)) for length in x.shape[-2:])
        return x[..., top : top + side, left : left + side]


def measure(vae: Any, drawer: Drawer, device: Any) -> float:
    """Mean PSNR in dB of whole images over random backgrounds, peak 1, with the posterior's mean as latent."""
    import torch

    found: list[Tensor] = []
    count = min(MEASURED, len(drawer.images.entries))
    x = drawer.batch(MEASURED_STEP, count, anywhere=1.0)
    with torch.no_grad():
        for part in x.split(20):
            y = vae.decode(vae.encode(part.to(device)).latent_dist.mode()).sample.clamp(-1, 1).cpu()
            found.append(-10 * torch.log10(((part - y) / 2).square().mean((1, 2, 3))))
    return float(torch.cat(found).mean())


def standardise(vae: Any, latents: Tensor) -> None:
    """Rewrites the two 1x1 convolutions around the latent so that these latents (N, C, h, w) get mean 0 and deviation
    1 in every channel. No reconstruction changes."""
    import torch

    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3)).clamp(min=1e-4)
    channels = len(mean)
    with torch.no_grad():
        weight, bias = vae.quant_conv.weight, vae.quant_conv.bias
        weight[:channels] /= deviation[:, None, None, None]
        bias[:channels] = (bias[:channels] - mean) / deviation
        bias[channels:] -= 2 * deviation.log()
        back, offset = vae.post_quant_conv.weight, vae.post_quant_conv.bias
        offset += (back[:, :, 0, 0] @ mean).to(offset.dtype)
        back *= deviation[None, :, None, None]
    vae.register_to_config(scaling_factor=1.0)


def _latents(vae: Any, drawer: Drawer, device: Any) -> Tensor:
    import torch

    count = min(STANDARDISED, 4 * len(drawer.images.entries))
    with torch.no_grad():
        parts = drawer.batch(STANDARDISED_STEP, count).split(50)
        return torch.cat([vae.encode(part.to(device)).latent_dist.mode() for part in parts])
