"""Adversarial distillation: few steps that a discriminator does not tell from real images, and the teacher finds right.

A. Sauer et al., "Adversarial Diffusion Distillation", 2023, https://arxiv.org/abs/2311.17042, in its latent form (2024,
https://arxiv.org/abs/2403.12015): the discriminator has the frozen teacher for eyes (see `critic`), so no other network
is needed. A latent gets noise at one of the timesteps that the student will be sampled at; the student says its end.
Two losses look at that end: the discriminator's, and how far it is from what the guided teacher makes of it after some
noise, weighed by the signal that is left (the distillation term).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from safelight.sdk import VAE, Context, Denoiser, ModelRef, TextEncoder
from safelight_nodes.training_values import ImageSet, LatentSet, Weights

from .adapters import lora_tensors
from .adversarial import Player, duel
from .course import Course, Curve
from .critic import Critic, features, fresh
from .loop import torch_generator
from .students import Student

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SPREAD = 1.0
"""Deviation of the logit of the noise level that the discriminator looks at, as in the paper of 2024."""
_CRITIC, _STUDENT = 0, 1
"""Streams of random numbers."""


@dataclass(frozen=True)
class Settings:
    """What the node is set to; see there."""

    steps: int
    guidance: float
    distillation: float
    r1: float
    noise_level: float
    rank: int
    width: int
    updates: int
    batch: int
    learning_rate: float
    discriminator_learning_rate: float
    warmup_steps: int
    ema_decay: float
    seed: int


class Rivals:
    """The losses of both sides. Random numbers depend on the side and the number of its update alone.

    `distance` is the distillation term of the student's last update, before it is weighed.
    """

    def __init__(self, student: Student, critic: Critic, settings: Settings) -> None:
        self._student, self._critic, self._settings = student, critic, settings
        self._times = student.ends.times(settings.steps)
        self.distance = 0.0

    def of_critic(self, update: int) -> Tensor:
        import torch

        generator = self._generator(update, _CRITIC)
        real, text = self._drawn(update, _CRITIC)
        with torch.no_grad():
            made = self._ends(real, text, generator)
            seen, seen_made = (self._seen(one, text, generator) for one in (real, made))
        return self._critic.of_critic(seen, seen_made, self._settings.r1)

    def of_student(self, update: int) -> Tensor:
        generator = self._generator(update, _STUDENT)
        real, text = self._drawn(update, _STUDENT)
        made = self._ends(real, text, generator)
        value = self._critic.of_student(self._seen(made, text, generator))
        if self._settings.distillation:
            distance = self._from_teacher(made, text, generator)
            self.distance = float(distance.detach())
            value = value + self._settings.distillation * distance
        return value

    def _generator(self, update: int, stream: int) -> torch.Generator:
        return torch_generator(self._settings.seed, 2 * update + stream)

    def _drawn(self, update: int, stream: int) -> tuple[Tensor, Tensor]:
        """Real latents (B, C, h, w), and what the UNet is told of them."""
        drawn = self._student.examples.draw(2 * update + stream, self._settings.batch)
        return drawn.latents.to(self._student.pair.device), self._student.told(drawn.texts)

    def _ends(self, real: Tensor, text: Tensor, generator: torch.Generator) -> Tensor:
        """What the student makes of latents with noise."""
        import torch

        ends, pair = self._student.ends, self._student.pair
        times = self._times[torch.randint(len(self._times), (len(real),), generator=generator)].to(pair.device)
        return ends(pair, self._noised(real, times, generator), times, text)

    def _seen(self, latents: Tensor, text: Tensor, generator: torch.Generator) -> list[Tensor]:
        """What the discriminator sees of latents: their features after noise."""
        import torch

        logit = self._settings.noise_level + SPREAD * torch.randn(len(latents), generator=generator)
        times = self._at(logit.sigmoid())
        return features(self._student.pair, self._noised(latents, times, generator), times, text)

    def _from_teacher(self, made: Tensor, text: Tensor, generator: torch.Generator) -> Tensor:
        """Mean over the batch of alpha * |made - taught|^2, alpha the signal left of what the teacher is shown."""
        import torch

        ends, pair = self._student.ends, self._student.pair
        times = self._at(torch.rand(len(made), generator=generator))
        with torch.no_grad():
            noisy = self._noised(made.detach(), times, generator)
            said = pair.guided(noisy, times, text, self._student.told([""]), self._settings.guidance)
            taught = ends.clean(noisy, said, ends.power(times))
        error = (made - taught).square().mean((1, 2, 3))
        return (ends.power(times).sqrt().flatten() * error).mean()

    def _at(self, part: Tensor) -> Tensor:
        """Timesteps (B,) at parts (B,) of the way from image to noise."""
        count = len(self._student.ends.alphas)
        return (part * count).long().clamp(max=count - 1).to(self._student.pair.device)

    def _noised(self, clean: Tensor, times: Tensor, generator: torch.Generator) -> Tensor:
        import torch

        noise = torch.randn(clean.shape, generator=generator).to(clean.device)
        return self._student.ends.noised(clean, noise, self._student.ends.power(times))


def learn(
    latents: LatentSet,
    images: ImageSet,
    model: ModelRef[Denoiser],
    text: ModelRef[TextEncoder],
    vae: ModelRef[VAE] | None,
    settings: Settings,
    ctx: Context,
) -> Weights:
    """Trains the LoRA against its discriminator. Raises ProblemError for models that it is not made for."""
    student = Student.of(latents, images, model, text, settings.rank, settings.seed, ctx)
    unet = student.pair.unet
    critic = fresh(unet, settings.width, settings.seed).to(student.pair.device)
    rivals = Rivals(student, critic, settings)

    def course(rate: float, port: str) -> Course:
        return Course(
            settings.updates,
            rate,
            settings.warmup_steps,
            ema_decay=settings.ema_decay,
            weight_decay=0.0,
            betas=(0.0, 0.99),
            seed=settings.seed,
            port=port,
        )

    judge = Player(
        "discriminator",
        critic,
        rivals.of_critic,
        course(settings.discriminator_learning_rate, "discriminator_learning_rate"),
    )
    learner = Player(
        "student",
        unet,
        rivals.of_student,
        course(settings.learning_rate, "learning_rate"),
        averaged=True,
        groups=[{"params": student.learned}],
    )
    records = learner.side.records
    records["distillation"] = Curve()

    def note(step: int) -> None:
        records["distillation"].add(step + 1, rivals.distance)

    curves = duel([judge, learner], ctx, student.shower(vae, settings.steps, ctx), note)
    if settings.distillation:
        curves = (*curves, ("distillation", tuple(records["distillation"].points)))
    about: dict[str, Any] = {"method": "latent adversarial distillation", **asdict(settings)}
    return Weights("lora", {"rank": settings.rank}, lora_tensors(unet), curves[1][1], about, curves)
