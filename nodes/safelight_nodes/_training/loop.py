"""The training loop: one for all models, so every step can be stopped, kept and gone on from.

The random numbers of a step come from generators seeded with (seed, step). So weights, optimiser, schedule and average
are all that a checkpoint has to hold, and a run that was killed ends in the same weights as one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from safelight.sdk import Cancelled, Context, Image, Problem, ProblemError

from .optimisers import Name, optimiser

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

Schedule = Literal["cosine", "linear", "constant"]

_SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
_POINTS = 240
_CURVE_SECONDS = 0.5
_SHOW_SECONDS = 10.0
# Writing a checkpoint and drawing samples may take this part of the time, and no more.
_SHARE = 0.04


def numpy_generator(seed: int, step: int) -> np.random.Generator:
    """Random numbers of one step, for what is drawn with numpy."""
    import numpy as np

    return np.random.default_rng([seed, step])


def torch_generator(seed: int, step: int) -> torch.Generator:
    """Random numbers of one step, for what is drawn with torch."""
    import torch

    # The golden ratio spreads the bits: neighbouring steps of neighbouring seeds must not share a sequence.
    return torch.Generator().manual_seed((seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9) % (1 << 63))


@dataclass(frozen=True)
class Course:
    """How long and how fast. `learning_rate` is reached after `warmup_steps`; `ema_decay` is that of the average. An
    update goes by the mean of `accumulate` losses, one after another."""

    steps: int
    learning_rate: float
    warmup_steps: int = 100
    schedule: Schedule = "cosine"
    ema_decay: float = 0.999
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    seed: int = 0
    optimiser: Name = "adamw"
    accumulate: int = 1


@dataclass
class Curve:
    """A loss over the steps, thinned as it grows: each point is the mean over equally many steps."""

    points: list[tuple[int, float]] = field(default_factory=list)
    width: int = 1
    open: list[float] = field(default_factory=list)

    def add(self, step: int, value: float) -> bool:
        """Adds the loss of a step, counted from 1. True when that made a new point."""
        self.open.append(value)
        if len(self.open) < self.width:
            return False
        self.points.append((step, math.fsum(self.open) / len(self.open)))
        self.open = []
        if len(self.points) == _POINTS:
            pairs = zip(self.points[::2], self.points[1::2], strict=True)
            self.points = [(late[0], (early[1] + late[1]) / 2) for early, late in pairs]
            self.width *= 2
        return True

    def state(self) -> dict[str, Any]:
        return {"points": tuple(self.points), "width": self.width, "open": tuple(self.open)}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Curve:
        points = [(int(step), float(value)) for step, value in state["points"]]
        return cls(points, state["width"], list(state["open"]))


def fit(
    groups: Sequence[Mapping[str, Any]],
    loss: Callable[[int], Tensor],
    course: Course,
    ctx: Context,
    show: Callable[[], Image] | None = None,
) -> Curve:
    """Minimises `loss`; at the end the parameters hold the average of their way.

    Args:
        groups: of parameters, as torch's optimisers take them. `scale` multiplies the rate of a group.
        loss: the loss of a step, counted from 0. It may depend on the step and the parameters alone. Where several are
            accumulated to an update, each counts as a step of its own.
        course: how long and how fast.
        ctx: is told of progress, the curve and samples, keeps checkpoints and may stop the run at any step.
        show: draws samples with the parameters as they are. It must leave torch's random state alone.

    Raises:
        Cancelled: the run was stopped; what was learned is kept for the next run of the same work.
        ProblemError: `training_diverged`, when the loss is no longer a number.
    """
    import torch
    from diffusers.optimization import get_scheduler
    from diffusers.training_utils import EMAModel

    made = [{**group, "lr": course.learning_rate * group.get("scale", 1.0)} for group in groups]
    parameters: list[Any] = [parameter for group in made for parameter in group["params"]]
    follow = optimiser(course.optimiser, made, course.learning_rate, course.betas, course.weight_decay)
    schedule = get_scheduler(
        _SCHEDULES[course.schedule],
        follow,
        num_warmup_steps=min(course.warmup_steps, course.steps // 4),
        num_training_steps=course.steps,
    )
    average = EMAModel(parameters, decay=course.ema_decay, foreach=True)
    parts = _Parts(parameters, follow, schedule, average, Curve())
    first = parts.put_back(ctx.restore())
    keeper, shower, told = _Pace(), _Pace(_SHOW_SECONDS), 0.0
    with adapted_threads() as adapt:
        for step in range(first, course.steps):
            try:
                ctx.check_cancelled()
            except Cancelled:
                if step > first:
                    ctx.checkpoint(parts.state(step))
                raise
            if step > first and ctx.checkpoint_due(step, course.steps) and keeper.due():
                with keeper:
                    ctx.checkpoint(parts.state(step))
            adapt()
            follow.zero_grad(set_to_none=True)
            number = 0.0
            for part in range(course.accumulate):
                value = loss(step * course.accumulate + part) / course.accumulate
                value.backward()
                number += float(value.detach())
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            follow.step()
            schedule.step()
            average.step(parameters)
            if not math.isfinite(number):
                raise _diverged(step, course)
            grown = parts.curve.add(step + 1, number)
            last = step + 1 == course.steps
            preview = None
            if show is not None and ctx.wants_preview() and (last or shower.due()):
                with shower, averaged(average, parameters):
                    preview = show()
            tell = last or (grown and time.monotonic() - told >= _CURVE_SECONDS)
            if tell:
                told = time.monotonic()
            ctx.progress(step + 1, course.steps, preview, parts.curve.points if tell else None)
    average.copy_to(parameters)
    return parts.curve


@dataclass
class _Parts:
    """All that a checkpoint holds."""

    parameters: Sequence[Any]
    optimiser: Any
    schedule: Any
    average: Any
    curve: Curve

    def state(self, step: int) -> dict[str, Any]:
        import torch

        state = {
            "step": step,
            "parameters": list(self.parameters),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "average": self.average.state_dict(),
            "curve": self.curve.state(),
            "random": torch.get_rng_state(),
        }
        return _portable(state)

    def put_back(self, state: Mapping[str, Any] | None) -> int:
        """Restores what `state` gave; returns the step to go on with."""
        import torch

        if state is None:
            return 0
        with torch.no_grad():
            for parameter, kept in zip(self.parameters, state["parameters"], strict=True):
                parameter.copy_(kept)
        optimiser = dict(state["optimiser"])
        optimiser["state"] = {int(key): dict(value) for key, value in optimiser["state"].items()}
        self.optimiser.load_state_dict(optimiser)
        self.schedule.load_state_dict(dict(state["schedule"]))
        self.average.load_state_dict(dict(state["average"]))
        self.curve = Curve.restored(state["curve"])
        torch.set_rng_state(state["random"])
        return int(state["step"])


def _portable(value: Any) -> Any:
    """A copy with text keys, as checkpoints want it: training goes on with the tensors themselves."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, Mapping):
        return {str(key): _portable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_portable(item) for item in value]
    if isinstance(value, tuple):
        return tuple(_portable(item) for item in value)
    return value


@contextmanager
def averaged(average: Any, parameters: Sequence[Any]) -> Iterator[None]:
    """The parameters hold their average inside the block."""
    average.store(parameters)
    average.copy_to(parameters)
    try:
        yield
    finally:
        average.restore(parameters)


class _Pace:
    """Lets something be done so seldom that it takes little of the time. `with` it, the doing is timed."""

    def __init__(self, least: float = 0.0) -> None:
        self._wait = self._least = least
        self._last = self._began = time.monotonic()

    def due(self) -> bool:
        return time.monotonic() - self._last >= self._wait

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._last = time.monotonic()
        self._wait = max(self._least, (self._last - self._began) / _SHARE)


@contextmanager
def adapted_threads() -> Iterator[Callable[[], None]]:
    """Gives a function to call at every step: one thread while other processes are busy, all of them else.

    Threads that wait for a busy core at every operation are slower than one alone (measured on two cores: 8 to 29
    samples a second against 40). Where only one is wanted, nothing changes.
    """
    import psutil
    import torch

    most = torch.get_num_threads()
    own = psutil.Process()

    def look() -> tuple[float, float, float]:
        times = psutil.cpu_times()
        mine = own.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        return time.monotonic(), sum(times) - getattr(times, "guest", 0.0) - idle, mine.user + mine.system

    last = look() if most > 1 else (0.0, 0.0, 0.0)

    def adapt() -> None:
        nonlocal last
        if most == 1 or time.monotonic() - last[0] < 4:
            return
        now = look()
        seconds, busy, mine = (b - a for a, b in zip(last, now, strict=True))
        last = now
        torch.set_num_threads(1 if (busy - mine) / seconds > 0.4 else most)

    try:
        yield adapt
    finally:
        torch.set_num_threads(most)


def _diverged(step: int, course: Course) -> ProblemError:
    return ProblemError(
        Problem(
            code="training_diverged",
            message=f"At step {step + 1} the loss is no longer a number.",
            hint=f"Lower the learning rate (it is {course.learning_rate:g}) or warm up for longer.",
            port="learning_rate",
            value=course.learning_rate,
        )
    )
