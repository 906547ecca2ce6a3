"""How a training goes, and how its loss went."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from .optimisers import Name

Schedule = Literal["cosine", "linear", "constant"]

_POINTS = 240


class Pace(Protocol):
    """What the settings of a training say of how it goes."""

    @property
    def updates(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def warmup_steps(self) -> int: ...
    @property
    def ema_decay(self) -> float: ...
    @property
    def seed(self) -> int: ...


@dataclass(frozen=True)
class Course:
    """How long and how fast. `learning_rate` is reached after `warmup_steps`; `ema_decay` is that of the average. An
    update goes by the mean of `accumulate` losses, one after another.

    Gradients longer than `clip` are shortened to it; 0 leaves them as they are. `port` is where the node has the
    learning rate, for what is told when it was too high.
    """

    steps: int
    learning_rate: float
    warmup_steps: int = 100
    schedule: Schedule = "cosine"
    ema_decay: float = 0.999
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    seed: int = 0
    clip: float = 1.0
    port: str = "learning_rate"
    optimiser: Name = "adamw"
    accumulate: int = 1

    @classmethod
    def of(cls, pace: Pace, **more: Any) -> Course:
        """As the settings of a training say; `more` is what else is not as by default."""
        return cls(
            pace.updates,
            pace.learning_rate,
            pace.warmup_steps,
            ema_decay=pace.ema_decay,
            seed=pace.seed,
            **more,
        )


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
