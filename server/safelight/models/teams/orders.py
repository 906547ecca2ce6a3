"""What the process of a run and those of a team tell each other: pickles over a local connection that takes a key."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from safelight.models.hardware import Numerics

ADDRESS, KEY, DEVICE = "SAFELIGHT_SPREAD_ADDRESS", "SAFELIGHT_SPREAD_KEY", "SAFELIGHT_SPREAD_DEVICE"
"""The variables that tell a team where the run is, by which key it is known there, and the kind of its devices."""


class Line(Protocol):
    """A connection of `multiprocessing`, of whatever kind this system has."""

    def send_bytes(self, data: bytes, /) -> None: ...
    def recv_bytes(self) -> bytes: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Place:
    """Where the processes find models, and how they compute: the data folder, device and precision of the run, and the
    models outside the model folders that a command line has named."""

    home: Path
    here: Numerics
    added: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Order:
    """`work(ctx, team)` is to be called in each process."""

    work: Callable[[Any, Any], Any]
    place: Place


@dataclass(frozen=True)
class Asked:
    """A method of the run's context, for which an answer is waited."""

    name: str
    given: tuple[Any, ...]


@dataclass(frozen=True)
class Ended:
    """What `work` or a method of the context returned or raised."""

    value: Any = None
    error: BaseException | None = None

    def result(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


def send(connection: Line, message: Order | Asked | Ended) -> None:
    # Not `connection.send`: torch has that share memory, which only parents and their children can.
    connection.send_bytes(pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL))


def receive(connection: Line) -> Any:
    """The next message. Raises EOFError when the other side is gone."""
    return pickle.loads(connection.recv_bytes())
