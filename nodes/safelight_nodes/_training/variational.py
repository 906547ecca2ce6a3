"""The variational autoencoder with one flat vector; `safelight.diffusion.variational` says what it is.

The loss is the negative ELBO in bits a byte, its KL divergence weighed by beta (I. Higgins et al., "beta-VAE", 2017)
and taken in over the first updates (S. Bowman et al., "Generating Sentences from a Continuous Space", 2016). Free bits
(D. Kingma et al., "Improving Variational Inference with Inverse Autoregressive Flow", 2016) leave each number of z so
many nats for nothing, against posteriors that collapse into the prior.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from safelight.diffusion import variational
from safelight.sdk import Context, Image, ImageEncoder, ModelRef, Problem
from safelight_nodes.training_values import ImageSet, Weights

from .computing import half_precision
from .course import Course
from .folders import plain_tensors
from .images import Drawer, of_one_size, scaled, tiled
from .loop import fit, torch_generator

if TYPE_CHECKING:
    from torch import Tensor

SHOWN, SHOWN_STEP = 8, 1 << 40
MEASURED, MEASURED_STEP = 256, 1 << 41
_FEW_ACTIVE = 0.05
"""Below this part of active numbers a posterior is called collapsed."""


@dataclass(frozen=True)
class Settings:
    """What the node is set to; see there."""

    shape: variational.Shape
    beta: float
    beta_warmup: int
    free_bits: float
    perceptual: float
    updates: int
    batch: int
    learning_rate: float
    warmup_steps: int
    ema_decay: float
    anywhere: float
    seed: int


def learn(images: ImageSet, eyes: ModelRef[ImageEncoder] | None, settings: Settings, ctx: Context) -> Weights:
    """Trains a new one. `eyes` is what the perceptual term looks with."""
    import torch

    device, dtype = ctx.models.device()
    shape = settings.shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = variational.fresh(shape).to(device, memory_format=torch.channels_last).train()
    drawer = Drawer(of_one_size(images), settings.seed)
    seen = Eyes(eyes, ctx, device) if eyes and settings.perceptual else None
    loss = Loss(network, drawer, seen, settings, device, dtype)
    model = variational.FlatAutoencoder(shape, network)
    shown = _batch(drawer, SHOWN_STEP, SHOWN, settings)
    z = torch.randn((SHOWN, shape.latent), generator=torch_generator(settings.seed, SHOWN_STEP))

    def show() -> Image:
        again, made = model.decode(model.encode(shown)[0]), model.decode(z)
        return Image(tiled(torch.cat([shown, again, made]).movedim(-1, 1), SHOWN))

    course = Course.of(settings)
    # Decay would pull the deviation of bytes to 1.
    scale = {"params": list(network["scale"].parameters()), "weight_decay": 0.0}
    others = [parameter for name, parameter in network.named_parameters() if not name.startswith("scale.")]
    curve = fit([{"params": others}, scale], loss, course, ctx, show)
    found = measure(model, drawer, settings)
    # Before beta has its value, nothing can be told.
    if settings.updates > settings.beta_warmup and found["active_units"] < max(1, _FEW_ACTIVE * shape.latent):
        ctx.warn(_collapsed(found["active_units"], settings))
    about = {**asdict(settings), **found}
    return Weights(variational.CLASS, shape.config(), plain_tensors(network), tuple(curve.points), about)


class Loss:
    """The loss of a step, in bits a byte."""

    def __init__(
        self, network: Any, drawer: Drawer, eyes: Eyes | None, settings: Settings, device: Any, dtype: Any
    ) -> None:
        self._network, self._drawer, self._eyes, self._settings = network, drawer, eyes, settings
        self._device, self._dtype = device, dtype

    def __call__(self, step: int) -> Tensor:
        import torch

        settings, shape = self._settings, self._settings.shape
        x = self._drawer.batch(step, settings.batch, settings.anywhere)
        x = variational.on_bytes(scaled(x, shape.side)).to(self._device).contiguous(memory_format=torch.channels_last)
        noise = torch.randn((len(x), shape.latent), generator=torch_generator(settings.seed, step)).to(self._device)
        with half_precision(self._device, self._dtype):
            mean, log_variance = variational.encoded(self._network, x)
            z = mean + (log_variance / 2).exp() * noise
            middle = variational.decoded(self._network, shape, z)
        likely = variational.log_likelihood(x, middle, self._network["scale"]["log"], shape.likelihood)
        nats = weighed(likely, variational.divergence(mean, log_variance), settings, step)
        if self._eyes is not None:
            with half_precision(self._device, self._dtype):
                nats = nats + settings.perceptual * self._eyes.apart(x, middle)
        return nats / (likely[0].numel() * math.log(2))


def weighed(likely: Tensor, divergence: Tensor, settings: Settings, step: int) -> Tensor:
    """What is minimised, in nats an image: of log p(x|z) (B, 3, S, S) and the divergences (B, latent)."""
    beta = settings.beta * min(1.0, (step + 1) / settings.beta_warmup if settings.beta_warmup else 1.0)
    # Free nats are counted over the batch: an image may use a number of z more, if others use it less.
    told = divergence.mean(0).clamp(min=settings.free_bits).sum()
    return beta * told - likely.sum((1, 2, 3)).mean()


class Eyes:
    """An image encoder of CLIP's kind that stays as it is: images that look alike have like patches."""

    def __init__(self, ref: ModelRef[ImageEncoder], ctx: Context, device: Any) -> None:
        import copy

        with ctx.models.lease(ref) as lease:
            self._encoder = copy.deepcopy(lease.component.encoder).float().to(device).eval().requires_grad_(False)
            processor = lease.component.processor
        self._mean, self._deviation = processor.image_mean, processor.image_std
        self._side = self._encoder.config.image_size

    def apart(self, x: Tensor, y: Tensor) -> Tensor:
        """How far images (B, 3, S, S) in -1..1 look apart: 0..2 a patch of a layer, summed over both, mean of all.

        It is 1 less the cosine of the states of a patch, in each layer.
        """
        import torch
        from torch.nn.functional import cosine_similarity

        with torch.no_grad():
            wanted = self._states(x)
        found = self._states(y)
        alike = [cosine_similarity(one.float(), two.float(), dim=-1) for one, two in zip(wanted, found, strict=True)]
        return (1 - torch.stack(alike)).sum((0, 2)).mean()

    def _states(self, x: Tensor) -> Any:
        from torch.nn.functional import interpolate

        size = (self._side, self._side)
        pixels = interpolate(x / 2 + 0.5, size, mode="bilinear", antialias=self._side < x.shape[-1])
        mean, deviation = (pixels.new_tensor(value)[:, None, None] for value in (self._mean, self._deviation))
        return self._encoder((pixels - mean) / deviation, output_hidden_states=True).hidden_states[1:]


def measure(model: variational.FlatAutoencoder, drawer: Drawer, settings: Settings) -> dict[str, Any]:
    """The ELBO and its parts over images as they are drawn, with beta 1, and how many numbers of z are active."""
    import torch

    pixels = _batch(drawer, MEASURED_STEP, MEASURED, settings)
    noise = torch.randn((MEASURED, 1, model.latent), generator=torch_generator(settings.seed, MEASURED_STEP))
    found = model.score(pixels, noise)
    elbo, divergence = float(found.elbo.mean()), float(found.divergence.sum(1).mean())
    return {
        "elbo_nats": round(elbo, 2),
        "kl_nats": round(divergence, 2),
        "reconstruction_nats": round(-elbo - divergence, 2),
        "bits_per_dimension": round(variational.bits_per_dimension(elbo, model.side), 4),
        "active_units": variational.active_units(found.mean),
    }


def _batch(drawer: Drawer, step: int, count: int, settings: Settings) -> Tensor:
    """Images (B, S, S, 3) in 0..1."""
    x = scaled(drawer.batch(step, count, settings.anywhere), settings.shape.side)
    return (x.movedim(1, -1) / 2 + 0.5).clamp(0, 1)


def _collapsed(active: int, settings: Settings) -> Problem:
    return Problem(
        code="posterior_collapse",
        level="warning",
        message=f"{active} of {settings.shape.latent} latent numbers say something about the image: "
        "the decoder has learned to do without the others.",
        hint="Lower beta, raise the warm-up of the KL divergence, or leave some free bits.",
        port="beta",
        value=settings.beta,
    )
