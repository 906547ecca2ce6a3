"""Two networks that learn against each other, each with an optimiser, a learning rate and a loss of its own.

I. Goodfellow et al., "Generative Adversarial Networks", 2014. The contract is that of `loop.fit`: a run that was killed
ends in the same weights as one that was not. What changes as a network runs (statistics of batch normalisation, the
vectors of spectral normalisation) is kept as well as what is learned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from safelight.sdk import Context, Image

from .course import Course
from .loop import Side, train

if TYPE_CHECKING:
    from torch import Tensor

Points = tuple[tuple[int, float], ...]


@dataclass
class Player:
    """One of the networks.

    `loss` is called with the number of the update, counted from 0 over the whole training, and may depend on it and on
    what the networks hold, alone. `updates` are made in a row at each step. Only one that is `averaged` holds the
    average of its way at the end, and while samples are drawn. `groups` are of parameters, as for `loop.fit`; empty
    stands for all of the module. `side` is what learns of it, with its optimiser.
    """

    name: str
    module: Any
    loss: Callable[[int], Tensor]
    course: Course
    updates: int = 1
    averaged: bool = False
    groups: Sequence[Mapping[str, Any]] = ()
    side: Side = field(init=False)

    def __post_init__(self) -> None:
        groups = self.groups or [{"params": list(self.module.parameters())}]
        self.side = Side.of(groups, self.course, self.module.buffers(), self.updates, self.averaged)


def duel(
    players: Sequence[Player],
    ctx: Context,
    show: Callable[[], Image] | None = None,
    after: Callable[[int], None] | None = None,
) -> tuple[tuple[str, Points], ...]:
    """Lets players take turns, in their order, until the steps of the first one's course are done.

    While one learns, the parameters of the others ask for no gradients. The curve of the last is shown meanwhile.
    `after` is called with the number of each step that is done, to measure: what it adds to `records` of a side is
    kept in checkpoints.

    Returns:
        The curve of each player, by its name: the mean loss of the updates of a step.

    Raises:
        Cancelled, ProblemError: as `loop.fit`.
    """
    sides = [player.side for player in players]

    def update(step: int) -> None:
        for player, side in zip(players, sides, strict=True):
            first = step * player.updates
            with _resting(other for other in sides if other is not side):
                losses = [side.learn([player.loss(first + turn)], step) for turn in range(player.updates)]
            side.note(step, math.fsum(losses) / len(losses))
        if after is not None:
            after(step)

    train(sides, update, players[0].course.steps, ctx, show)
    return tuple((player.name, tuple(side.curve.points)) for player, side in zip(players, sides, strict=True))


@contextmanager
def _resting(sides: Iterator[Side]) -> Iterator[None]:
    """Their parameters ask for no gradients inside the block."""
    asked = [one for side in sides for one in side.parameters if one.requires_grad]
    for one in asked:
        one.requires_grad_(False)
    try:
        yield
    finally:
        for one in asked:
            one.requires_grad_(True)
