"""The training loop: one for all models, so every step can be stopped, kept and gone on from.

The random numbers of a step come from generators seeded with (seed, step). So weights, optimiser, schedule and average
are all that a checkpoint has to hold, and a run that was killed ends in the same weights as one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from safelight.sdk import ALONE, Cancelled, Context, Image, Problem, ProblemError, Team

from .course import Course, Curve
from .optimisers import optimiser

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

_SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
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


def fit(
    groups: Sequence[Mapping[str, Any]],
    loss: Callable[[int], Tensor],
    course: Course,
    ctx: Context,
    show: Callable[[], Image] | None = None,
    team: Team = ALONE,
) -> Curve:
    """Minimises `loss`; at the end the parameters hold the average of their way.

    Args:
        groups: of parameters, as torch's optimisers take them. `scale` multiplies the rate of a group.
        loss: the loss of a step, counted from 0. It may depend on the step and the parameters alone. Where several are
            accumulated to an update, each counts as a step of its own.
        course: how long and how fast.
        ctx: is told of progress, the curve and samples, keeps checkpoints and may stop the run at any step.
        show: draws samples with the parameters as they are. It must leave torch's random state alone.
        team: the processes that do this together. Each makes as many passes as an update accumulates, and the update
            goes by all of them: the same as of one process that accumulates so many, but for rounding.

    Raises:
        Cancelled: the run was stopped; what was learned is kept for the next run of the same work.
        ProblemError: `training_diverged`, when the loss is no longer a number.
    """
    side = Side.of(groups, course)

    parts = course.accumulate * team.count

    def update(step: int) -> None:
        losses = (loss(step * parts + part) / parts for part in range(team.rank, parts, team.count))
        side.note(step, side.learn(losses, step, team))

    train([side], update, course.steps, ctx, show, alone=team.count == 1)
    return side.curve


def train(
    sides: Sequence[Side],
    update: Callable[[int], None],
    steps: int,
    ctx: Context,
    show: Callable[[], Image] | None = None,
    *,
    alone: bool = True,
) -> None:
    """Makes the steps of a training of one side or several; at the end each that is averaged holds its average.

    Args:
        sides: what learns. The curve of the last one is shown while it does.
        update: makes the step of this number, counted from 0, by `learn` and `note` of the sides.
        steps: how many there are.
        ctx: as for `fit`.
        show: draws samples with the averages in place.
        alone: whether the processes that are busy beside this one are none of its own team.

    Raises:
        Cancelled: as `fit`.
    """

    def state(step: int) -> dict[str, Any]:
        import torch

        return _portable({"step": step, "sides": [one.state() for one in sides], "random": torch.get_rng_state()})

    first = _put_back(sides, ctx.restore())
    keeper, shower, told = _Pace(), _Pace(_SHOW_SECONDS), 0.0
    with adapted_threads() if alone else nullcontext(lambda: None) as adapt:
        for step in range(first, steps):
            try:
                ctx.check_cancelled()
            except Cancelled:
                if step > first:
                    ctx.checkpoint(state(step))
                raise
            if step > first and ctx.checkpoint_due(step, steps) and keeper.due():
                with keeper:
                    ctx.checkpoint(state(step))
            adapt()
            try:
                update(step)
            except Cancelled:  # while a loss was made: with one side nothing has moved by then
                if step > first and len(sides) == 1:
                    ctx.checkpoint(state(step))
                raise
            last = step + 1 == steps
            preview = None
            if show is not None and ctx.wants_preview() and (last or shower.due()):
                try:
                    with shower, ExitStack() as stack:
                        for one in sides:
                            stack.enter_context(one.averaged())
                        preview = show()
                except Cancelled:  # samples may take long; the parameters are those of this step again
                    ctx.checkpoint(state(step + 1))
                    raise
            tell = last or (sides[-1].grown and time.monotonic() - told >= _CURVE_SECONDS)
            if tell:
                told, sides[-1].grown = time.monotonic(), False
            ctx.progress(step + 1, steps, preview, sides[-1].curve.points if tell else None)
    for one in sides:
        if one.average is not None:
            one.average.copy_to(one.held)


def _put_back(sides: Sequence[Side], state: Mapping[str, Any] | None) -> int:
    """Restores what a checkpoint holds; returns the step to go on with."""
    import torch

    if state is None:
        return 0
    for one, kept in zip(sides, state["sides"], strict=True):
        one.put_back(kept)
    torch.set_rng_state(state["random"])
    return int(state["step"])


@dataclass
class Side:
    """What learns from one loss: its parameters and all that a checkpoint holds of them.

    `held` are the parameters and, after them, the buffers that change as they learn (statistics of a normalisation).
    `average` is None for one whose last weights are as good as any. `grown` says that its curve has new points.
    `records` are further numbers over the steps, by name, such as those of a measurement on the way.
    """

    parameters: Sequence[Any]
    held: Sequence[Any]
    optimiser: Any
    schedule: Any
    average: Any
    course: Course
    curve: Curve
    grown: bool = False
    records: dict[str, Curve] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        groups: Sequence[Mapping[str, Any]],
        course: Course,
        buffers: Iterable[Tensor] = (),
        updates: int = 1,
        average: bool = True,
    ) -> Side:
        """`groups` are as for `fit`; `updates` are made at each step of the course."""
        from diffusers.optimization import get_scheduler
        from diffusers.training_utils import EMAModel

        made = [{**group, "lr": course.learning_rate * group.get("scale", 1.0)} for group in groups]
        parameters: list[Any] = [parameter for group in made for parameter in group["params"]]
        follow = optimiser(course.optimiser, made, course.learning_rate, course.betas, course.weight_decay)
        schedule = get_scheduler(
            _SCHEDULES[course.schedule],
            follow,
            num_warmup_steps=min(course.warmup_steps, course.steps // 4) * updates,
            num_training_steps=course.steps * updates,
        )
        held = [*parameters, *buffers]
        kept = EMAModel(held, decay=course.ema_decay, foreach=True) if average else None
        return cls(parameters, held, follow, schedule, kept, course, Curve())

    def learn(self, losses: Iterable[Tensor], step: int, team: Team = ALONE) -> float:
        """Goes one update down the gradient of the sum of losses, which are asked for one after another, and of those
        that the others of a team have; returns that sum.

        Raises:
            ProblemError: `training_diverged`, when it is no longer a number.
        """
        import torch

        self.optimiser.zero_grad(set_to_none=True)
        number = 0.0
        for value in losses:
            value.backward()
            number += float(value.detach())
        number = team.add_up(self.parameters, number)
        if self.course.clip:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.course.clip)
        self.optimiser.step()
        self.schedule.step()
        if self.average is not None:
            self.average.step(self.held)
        if not math.isfinite(number):
            raise _diverged(step, self.course)
        return number

    def note(self, step: int, value: float) -> None:
        """Adds the loss of a step, counted from 0, to the curve."""
        self.grown |= self.curve.add(step + 1, value)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The parameters hold their average inside the block; buffers come back as they were, too."""
        if self.average is None:
            yield
            return
        self.average.store(self.held)
        self.average.copy_to(self.held)
        try:
            yield
        finally:
            self.average.restore(self.held)

    def state(self) -> dict[str, Any]:
        """All of it, for `put_back`; tensors are the very ones that go on changing."""
        return {
            "parameters": list(self.held),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "average": {} if self.average is None else self.average.state_dict(),
            "curve": self.curve.state(),
            "records": {name: curve.state() for name, curve in self.records.items()},
        }

    def put_back(self, state: Mapping[str, Any]) -> None:
        import torch

        with torch.no_grad():
            for tensor, kept in zip(self.held, state["parameters"], strict=True):
                tensor.copy_(kept)
        kept = dict(state["optimiser"])
        kept["state"] = {int(key): dict(value) for key, value in kept["state"].items()}
        self.optimiser.load_state_dict(kept)
        self.schedule.load_state_dict(dict(state["schedule"]))
        if self.average is not None:
            self.average.load_state_dict(dict(state["average"]))
            # It takes them as they are, and checkpoints come back to the CPU.
            self.average.to(self.held[0].device)
        self.curve = Curve.restored(state["curve"])
        # Checkpoints of earlier releases have none.
        self.records |= {name: Curve.restored(kept) for name, kept in state.get("records", {}).items()}


def _portable(value: Any) -> Any:
    """A copy with text keys in main memory, as checkpoints want it: training goes on with the tensors themselves."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {str(key): _portable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_portable(item) for item in value]
    if isinstance(value, tuple):
        return tuple(_portable(item) for item in value)
    return value


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
            port=course.port,
            value=course.learning_rate,
        )
    )
