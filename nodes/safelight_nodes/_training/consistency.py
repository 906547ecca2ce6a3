"""Latent consistency distillation: from every place of the guided teacher's way, the student predicts the same end.

S. Luo et al., "Latent Consistency Models", 2023, https://arxiv.org/abs/2310.04378, and "LCM-LoRA",
https://arxiv.org/abs/2311.05556; Y. Song et al., "Consistency Models", 2023, https://arxiv.org/abs/2303.01469. A latent
gets noise at timestep t; the teacher makes one guided DDIM step from there, over one of the intervals of the way; what
the student says of the first place is drawn to what it, or the average of its weights, says of the second.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from safelight.sdk import VAE, Context, Denoiser, ModelRef, TextEncoder
from safelight_nodes.training_values import ImageSet, LatentSet, Weights

from .adapters import lora_tensors
from .conditional import Examples
from .course import Course
from .distilling import Ends, Pair
from .loop import Side, torch_generator, train
from .students import Student

if TYPE_CHECKING:
    from torch import Tensor

SHOWN_STEPS = 4


def pseudo_huber(error: Tensor, width: float) -> Tensor:
    """Mean of sqrt(error^2 + width^2) - width: squared near zero, plain far from it.

    Source: P. Charbonnier et al. 1997; for consistency models Y. Song and P. Dhariwal 2023.
    """
    squared = error.square()
    # The same as the difference, which would be lost to rounding for small errors.
    return (squared / ((squared + width * width).sqrt() + width)).mean()


class Consistency:
    """The loss of a step.

    Args:
        ends: says what a student's end is, and has the noise schedule.
        examples: clean latents and their captions.
        told: captions to what the UNet is told.
        intervals: how many parts the way has; the teacher's step goes over one.
        guidance: that of the teacher; each image draws its own, up to `spread` below or above, and not below 1.
        width: of the pseudo-Huber loss.
        target: a context in which the student's weights are those that the goal is asked from.
    """

    def __init__(
        self,
        pair: Pair,
        ends: Ends,
        examples: Examples,
        told: Callable[[list[str]], Tensor],
        *,
        batch: int,
        intervals: int,
        guidance: float,
        spread: float,
        width: float,
        seed: int,
        target: Callable[[], AbstractContextManager[None]],
    ) -> None:
        import torch

        self._pair, self._ends, self._examples, self._told = pair, ends, examples, told
        self._batch, self._width, self._seed = batch, width, seed
        self._guidance, self._spread = guidance, spread
        # The grid of LCM, whose highest place is the last timestep for any number of intervals: there samplers begin.
        total = len(ends.alphas)
        self._target = target
        self._times = (torch.arange(intervals, 0, -1) * total / intervals).round().long() - 1

    def __call__(self, step: int) -> Tensor:
        import torch

        drawn, ends, count = self._examples.draw(step, self._batch), self._ends, len(self._times)
        size, device = len(drawn.latents), self._pair.device
        generator = torch_generator(self._seed, step)
        # Stratified over the batch: the same places on average, less variance of the loss.
        spread = (torch.arange(size) + torch.rand(size, generator=generator)) * (count / size)
        place = spread.long().clamp(max=count - 1)
        noise = torch.randn(drawn.latents.shape, generator=generator).to(device)
        away = self._spread * (2 * torch.rand((size, 1, 1, 1), generator=generator) - 1)
        guidance = (self._guidance + away).clamp(min=1).to(device)
        # After the last place comes timestep 0, whose little noise is taken for none.
        following = torch.cat([self._times[1:], torch.zeros(1, dtype=torch.long)])
        times, after = self._times[place].to(device), following[place].to(device)
        noisy = ends.noised(drawn.latents.to(device), noise, ends.power(times))
        text, empty = self._told(drawn.texts), self._told([""])
        said = self._pair.guided(noisy, times, text, empty, guidance)
        clean = ends.clean(noisy, said, ends.power(times))
        nearer = ends.moved(noisy, clean, ends.power(times), ends.power(after))
        with torch.no_grad(), self._target():
            goal = ends(self._pair, nearer, after, text)
        return pseudo_huber(ends(self._pair, noisy, times, text) - goal, self._width)


@dataclass(frozen=True)
class Settings:
    """What the node is set to; see there."""

    guidance: float
    spread: float
    intervals: int
    target: Literal["student", "average"]
    huber: float
    rank: int
    updates: int
    batch: int
    learning_rate: float
    warmup_steps: int
    ema_decay: float
    seed: int


def learn(
    latents: LatentSet,
    images: ImageSet,
    model: ModelRef[Denoiser],
    text: ModelRef[TextEncoder],
    vae: ModelRef[VAE] | None,
    settings: Settings,
    ctx: Context,
) -> Weights:
    """Trains the LoRA. Raises ProblemError for models that it is not made for."""
    student = Student.of(latents, images, model, text, settings.rank, settings.seed, ctx)
    course = Course.of(settings)
    side = Side.of([{"params": student.learned}], course)
    loss = Consistency(
        student.pair,
        student.ends,
        student.examples,
        student.told,
        batch=settings.batch,
        intervals=settings.intervals,
        guidance=settings.guidance,
        spread=settings.spread,
        width=settings.huber,
        seed=settings.seed,
        target=side.averaged if settings.target == "average" else nullcontext,
    )

    def update(step: int) -> None:
        side.note(step, side.learn([loss(step)], step))

    train([side], update, settings.updates, ctx, student.shower(vae, SHOWN_STEPS, ctx))
    about: dict[str, Any] = {"method": "latent consistency distillation", **asdict(settings)}
    return Weights("lora", {"rank": settings.rank}, lora_tensors(student.pair.unet), tuple(side.curve.points), about)
