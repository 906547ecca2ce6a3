"""Comparisons with what is held to be right: each is asserted, and a row of the table of parity."""

from __future__ import annotations

from typing import Any, Protocol

from node_bench import CLOSE


class Recorder(Protocol):
    def record(self, family: str, technique: str, **said: Any) -> None: ...


class Proof:
    """Asserts, and tells the recorder if there is one. A technique is what its row is called ('image to image')."""

    def __init__(self, recorder: Recorder | None = None) -> None:
        self._recorder = recorder

    def close(self, family: str, technique: str, found: float, batch: int = 1, bar: float = CLOSE) -> None:
        """The largest difference between what is made here and what the model's pipeline makes, of so many images."""
        self._record(family, technique, found=found, batch=batch, bar=bar)
        assert found <= bar

    def same(self, family: str, technique: str, made: Any, plain: Any) -> None:
        """What is made by blocks that are watched, and by the same blocks alone: equal in every bit."""
        import torch

        equal = torch.equal(made, plain)
        self._record(family, technique, plain=equal)
        assert equal

    def resumed(self, family: str, *techniques: str) -> None:
        """A run that was killed has gone on and ended in the bits of one that was not (see `families.resuming`)."""
        for technique in techniques:
            self._record(family, technique, resumed=True)

    def begun_again(self, family: str, technique: str) -> None:
        """A run that was killed has begun again and ended in the bits of one that was not: of what is one call."""
        self._record(family, technique, resumed="again")

    def _record(self, family: str, technique: str, **said: Any) -> None:
        if self._recorder is not None:
            self._recorder.record(family, technique, **said)
