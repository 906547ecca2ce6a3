"""One process of a team; torchrun starts it as `python -m safelight.models.teams.member`.

The processes find each other by accelerate, which knows how each kind of device adds up. The first one has a connection
to the run and asks its context; to the others that context says nothing, and they learn of a kept state from the first.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Client
from typing import TYPE_CHECKING, Any, NoReturn, cast

import msgspec

from safelight.models.hardware import attend_by
from safelight.models.store import ModelStore
from safelight.sdk.codec import hash_file
from safelight.sdk.problem import Cancelled, ProblemError

from .orders import ADDRESS, DEVICE, KEY, Asked, Ended, Line, Order, receive, send

if TYPE_CHECKING:
    from torch import Tensor

_AT_ONCE = 1 << 24
"""So many numbers are added up in one message: the sums of a large model never lie beside it whole."""
_WAIT_SECONDS = 10.0


class Gone(Exception):
    """Another process of the team has ended."""


@contextmanager
def _together() -> Iterator[None]:
    """What torch's own groups raise in the block becomes Gone."""
    try:
        yield
    except RuntimeError as error:
        raise Gone from error


class Members:
    """Implements `sdk.Team` by accelerate. One of a process, which is what accelerate wants."""

    def __init__(self, device: str) -> None:
        from accelerate import PartialState
        from torch import distributed

        self._state = PartialState(cpu=device == "cpu")
        # What is no tensor of a step goes through main memory: a set of images would fill the cards.
        self._beside: Any = distributed.new_group(backend="gloo")

    @property
    def rank(self) -> int:
        return int(self._state.process_index)

    @property
    def count(self) -> int:
        return int(self._state.num_processes)

    @property
    def device(self) -> str:
        return str(self._state.device)

    def given(self, value: Any) -> Any:
        """What the first process has here."""
        from torch import distributed

        held = [value]
        with _together():
            distributed.broadcast_object_list(held, src=0, group=self._beside)
        return held[0]

    def add_up(self, parameters: Sequence[Tensor], number: float) -> float:
        import torch

        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        told = torch.tensor([number, len(gradients)], dtype=torch.float64)
        with _together():
            torch.distributed.all_reduce(told, group=self._beside)
        if told[1] != len(gradients) * self.count:
            raise RuntimeError("A parameter has a gradient in one process, and none in another.")
        part: list[Tensor] = []
        size = 0
        for one in gradients:
            if part and (size + one.numel() > _AT_ONCE or one.dtype != part[0].dtype):
                _add_up(part)
                part, size = [], 0
            part.append(one)
            size += one.numel()
        if part:
            _add_up(part)
        return float(told[0])


def _add_up(gradients: list[Tensor]) -> None:
    import torch
    from accelerate.utils import reduce

    flat = torch.cat([one.flatten() for one in gradients])
    with _together():
        total: Any = reduce(flat, "sum")
    for one, summed in zip(gradients, total.split([one.numel() for one in gradients]), strict=True):
        one.copy_(summed.view_as(one))


class MemberContext:
    """The part of `sdk.Context` that work of several processes has: models, and what is told and kept as it goes."""

    def __init__(self, models: ModelStore, team: Members, run: Line | None) -> None:
        self.models = models
        self._team, self._run = team, run

    def progress(self, *given: Any) -> None:
        self._ask("progress", *given)

    def wants_preview(self) -> bool:
        return bool(self._ask("wants_preview"))

    def warn(self, problem: Any) -> None:
        self._ask("warn", problem)

    def check_cancelled(self) -> None:
        self._ask("check_cancelled")

    def restore(self) -> Mapping[str, Any] | None:
        return self._team.given(self._ask("restore"))

    def checkpoint_due(self, step: int, total: int) -> bool:
        return bool(self._ask("checkpoint_due", step, total))

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        self._ask("checkpoint", state)

    def _ask(self, name: str, *given: Any) -> Any:
        if self._run is None:
            return None
        send(self._run, Asked(name, given))
        return receive(self._run).result()


def main() -> None:
    """Does its part of the work, and as the first process sends what came of it."""
    if int(os.environ["RANK"]):
        _follow()
        return
    try:
        with Client(os.environ[ADDRESS], authkey=bytes.fromhex(os.environ[KEY])) as run:
            order: Order = receive(run)
            try:
                ended = Ended(_done(order, run))
            except Gone:
                raise  # torchrun knows which one it was
            except Exception as error:
                if not isinstance(error, ProblemError | Cancelled):
                    error.add_note(traceback.format_exc())
                ended = Ended(error=error)
            send(run, ended)
    except BaseException:
        traceback.print_exc()
        _leave(1)
    _leave(0)


def _leave(code: int) -> NoReturn:
    """Ends at once: a clean farewell would wait for the others, who may be waiting for this one."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _follow() -> None:
    try:
        _done(None, None)
    except Exception:
        traceback.print_exc()
        # What this one has met, the first may meet as well, and can say it better.
        time.sleep(_WAIT_SECONDS)
        _leave(1)
    _leave(0)


def _done(order: Order | None, run: Line | None) -> Any:
    team = Members(os.environ[DEVICE])
    order = cast("Order", team.given(order))
    place = order.place
    here = msgspec.structs.replace(place.here, device=team.device)
    if here.attention:
        attend_by(here.attention)
    models = ModelStore(place.home, fingerprint=hash_file, here=here)
    for path in place.added:
        models.add(path)
    ctx: Any = MemberContext(models, team, run)
    return order.work(ctx, team)


if __name__ == "__main__":
    main()
