"""Training a GAN on a set of images: what each side sees at an update, and what it minimises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from safelight.sdk import Context, Image, Problem, ProblemError
from safelight_nodes.training_values import ImageSet, Weights

from ..adversarial import Player, duel
from ..classes import Classes, classes_of
from ..computing import half_precision
from ..course import Course
from ..folders import plain_tensors
from ..images import Drawer, of_one_size, scaled, tiled
from ..loop import numpy_generator, torch_generator
from . import losses
from .drawing import drawn, latents, settle
from .networks import discriminator, generator
from .shapes import KIND, Architecture, Norm, Shape, require_side
from .unrolled import unrolled

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SHOWN, SHOWN_SEED = 16, 1 << 40
LAZY = 16
"""R1 is computed at one of so many updates, and weighs so much more: what T. Karras et al. 2019 call lazy."""


@dataclass(frozen=True)
class Settings:
    """What the node is set to; see there."""

    architecture: Architecture
    loss: losses.Loss
    classes: Classes
    updates: int
    batch: int
    learning_rate: float
    discriminator_learning_rate: float
    discriminator_updates: int
    gradient_penalty: float
    r1: float
    spectral_norm: bool
    label_smoothing: float
    unrolled_steps: int
    style_mixing: float
    ema_decay: float
    side: int
    anywhere: float
    latent: int
    width: int
    widest: int
    seed: int


def learn(images: ImageSet, settings: Settings, ctx: Context) -> Weights:
    """Trains a new generator against a new discriminator."""
    import torch

    require_side(settings.side)
    names, numbers = classes_of(images, settings.classes)
    if names and settings.architecture not in ("biggan", "stylegan2"):
        raise ProblemError(
            Problem(
                code="not_a_choice",
                message=f"The architecture {settings.architecture} knows no classes.",
                hint="Choose biggan or stylegan2, or set the classes to none.",
                port="classes",
                value=settings.classes,
            )
        )
    device, dtype = ctx.models.device()
    shape = Shape(settings.architecture, settings.side, settings.latent, settings.width, settings.widest, names)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        made = generator(shape).to(device, memory_format=torch.channels_last).train()
        judge = discriminator(shape, normalisation(settings), settings.spectral_norm)
        judge = judge.to(device, memory_format=torch.channels_last).train()
    game = Game(made, judge, Drawer(of_one_size(images), settings.seed), shape, numbers, settings, device, dtype)
    betas = momenta(settings)

    def course(rate: float, port: str) -> Course:
        return Course(
            settings.updates, rate, 0, "constant", settings.ema_decay, 0.0, betas, settings.seed, clip=0.0, port=port
        )

    critic = Player(
        "discriminator",
        judge,
        game.of_discriminator,
        course(settings.discriminator_learning_rate, "discriminator_learning_rate"),
        settings.discriminator_updates,
    )
    maker = Player("generator", made, game.of_generator, course(settings.learning_rate, "learning_rate"), averaged=True)
    game.optimiser = lambda: critic.side.optimiser
    z = latents(range(SHOWN_SEED, SHOWN_SEED + SHOWN), shape.latent)
    labels = torch.arange(SHOWN) % len(names) if names else None

    def show() -> Image:
        settle(made, shape.latent, len(names), settings.seed)
        found = tiled(drawn(made, z, labels), SHOWN // 4)
        made.train()
        return Image(found)

    curves = duel([critic, maker], ctx, show)
    settle(made, shape.latent, len(names), settings.seed)
    return Weights(KIND, shape.config(), plain_tensors(made), curves[-1][1], asdict(settings), curves)


def normalisation(settings: Settings) -> Norm:
    """Of the layers of a DCGAN's discriminator: none where spectral normalisation is, none over a batch where a penalty
    is one of each image."""
    if settings.spectral_norm:
        return "none"
    penalised = settings.r1 or (settings.loss == "wgan_gp" and settings.gradient_penalty)
    return "group" if penalised else "batch"


def momenta(settings: Settings) -> tuple[float, float]:
    """The betas of Adam, as the papers of the losses and architectures have them."""
    if settings.architecture in ("stylegan2", "biggan"):
        return 0.0, 0.99
    return (0.0, 0.9) if settings.loss in ("wgan_gp", "hinge") else (0.5, 0.999)


class Game:
    """The losses of both sides. Random numbers depend on the side and the number of its update alone."""

    def __init__(
        self,
        made: Any,
        judge: Any,
        drawer: Drawer,
        shape: Shape,
        numbers: np.ndarray,
        settings: Settings,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._made, self._judge, self._drawer, self._shape = made, judge, drawer, shape
        self._numbers, self._settings, self._device, self._dtype = numbers, settings, device, dtype
        self.optimiser: Callable[[], Any] = lambda: None

    def of_discriminator(self, update: int) -> Tensor:
        import torch

        settings = self._settings
        real, real_labels = self._real(update)
        source = torch_generator(settings.seed + 1, update)
        with torch.no_grad():
            fake, fake_labels = self._fake(update, 1, source)
        # Each by itself: with batch normalisation, real and made images have statistics of their own.
        with half_precision(self._device, self._dtype):
            scores = self._judge(real, real_labels).float(), self._judge(fake, fake_labels).float()
        value = losses.of_discriminator(settings.loss, *scores, settings.label_smoothing)
        if settings.loss == "wgan_gp" and settings.gradient_penalty:
            places = torch.rand((len(real), 1, 1, 1), generator=source).to(self._device)
            slope = losses.gradient_penalty(lambda x: self._judge(x, real_labels), real, fake, places)
            value = value + settings.gradient_penalty * slope
        if settings.r1 and update % LAZY == 0:
            value = value + settings.r1 * LAZY * losses.r1(lambda x: self._judge(x, real_labels), real)
        return value

    def of_generator(self, update: int) -> Tensor:
        settings = self._settings
        fake, labels = self._fake(update, 2, torch_generator(settings.seed + 2, update))
        if not settings.unrolled_steps:
            with half_precision(self._device, self._dtype):
                scores = self._judge(fake, labels).float()
            return losses.of_generator(settings.loss, scores)
        real, _ = self._real(update, 3)

        def loss(critic: losses.Critic) -> Tensor:
            return losses.of_discriminator(settings.loss, critic(real), critic(fake), settings.label_smoothing)

        critic = unrolled(self._judge, self.optimiser(), loss, settings.unrolled_steps, labels)
        return losses.of_generator(settings.loss, critic(fake))

    def _real(self, update: int, stream: int = 0) -> tuple[Tensor, Tensor | None]:
        """Real images (B, 3, side, side) in -1..1 and their classes."""
        import torch

        settings = self._settings
        key = (stream << 40) + update
        numbers, images = self._drawer.drawn(key, settings.batch, settings.anywhere)
        real = scaled(images, settings.side).to(self._device)
        labels = torch.from_numpy(self._numbers[numbers]).to(self._device) if self._shape.classes else None
        return real.contiguous(memory_format=torch.channels_last), labels

    def _fake(self, update: int, stream: int, source: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Made images and the classes that they were meant to be of, which come as often as in the set."""
        import torch

        settings = self._settings
        z = torch.randn((settings.batch, self._shape.latent), generator=source).to(self._device)
        labels = None
        if self._shape.classes:
            rng = numpy_generator(settings.seed + stream, update)
            chosen = self._numbers[self._drawer.numbers(rng, settings.batch)]
            labels = torch.from_numpy(chosen).to(self._device)
        with half_precision(self._device, self._dtype):
            if self._shape.architecture == "stylegan2":
                mix = torch.randn(z.shape, generator=source).to(self._device)
                return self._made(z, labels, source, mix, settings.style_mixing).float(), labels
            return self._made(z, labels, source).float(), labels
