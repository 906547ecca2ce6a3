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
from typing import TYPE_CHECKING, Any, cast

import msgspec

from safelight.media.registry import load_media
from safelight.models.store import ModelStore
from safelight.sdk.codec import hash_file
from safelight.sdk.media import Media

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

        self._state = PartialState(cpu=device == "cpu")

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
        from accelerate.utils import broadcast_object_list

        with _together():
            return broadcast_object_list([value])[0]

    def add_up(self, parameters: Sequence[Tensor], number: float) -> float:
        import torch
        from accelerate.utils import reduce

        part: list[Tensor] = []
        for one in [parameter.grad for parameter in parameters if parameter.grad is not None]:
            if part and (sum(map(torch.numel, part)) + one.numel() > _AT_ONCE or one.dtype != part[0].dtype):
                _add_up(part)
                part = []
            part.append(one)
        if part:
            _add_up(part)
        told = torch.tensor([number], dtype=torch.float32, device=self._state.device)
        with _together():
            total: Any = reduce(told, "sum")
        return float(total)


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

    @property
    def media(self) -> Media:
        return load_media()

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
    with Client(os.environ[ADDRESS], authkey=bytes.fromhex(os.environ[KEY])) as run:
        order: Order = receive(run)
        try:
            ended = Ended(_done(order, run))
        except Gone:
            raise  # torchrun knows which one it was
        except Exception as error:
            traceback.print_exc()
            ended = Ended(error=error)
        send(run, ended)
    # The others may be waiting for this one, and a clean farewell would wait for them.
    sys.stdout.flush()
    os._exit(0)


def _follow() -> None:
    try:
        _done(None, None)
    except Exception:
        traceback.print_exc()
        # What this one has met, the first may meet as well, and can say it better.
        time.sleep(_WAIT_SECONDS)
        os._exit(1)
    os._exit(0)


def _done(order: Order | None, run: Line | None) -> Any:
    team = Members(os.environ[DEVICE])
    order = cast("Order", team.given(order))
    here = msgspec.structs.replace(order.here, device=team.device)
    models = ModelStore(order.home, fingerprint=hash_file, here=here)
    ctx: Any = MemberContext(models, team, run)
    return order.work(ctx, team)


if __name__ == "__main__":
    main()
