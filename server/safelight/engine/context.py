"""The context a node gets while the engine runs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from safelight.sdk.context import Files, Models
from safelight.sdk.media import Media
from safelight.sdk.problem import Problem, ProblemError
from safelight.sdk.values import File, Image

from .cache import Cache
from .cancel import Cancel
from .failure import output_lost
from .flights import Flights

CHECKPOINT_SECONDS = 0.01
"""What keeping a state is taken to cost until it has been done once."""
CHECKPOINT_PAYS = 100
"""A state is kept whenever so many times what keeping one costs has passed: it never takes more than a hundredth."""


@dataclass(frozen=True)
class Services:
    """What all nodes of a run share."""

    cache: Cache
    models: Models
    files: Files
    media: Media
    flights: Flights = field(default_factory=Flights)


@dataclass
class NodeContext:
    """Implements `sdk.Context` for one call of one node. `key` names the work, so that it can be taken up again."""

    services: Services
    key: str
    cancel: Cancel
    report: Callable[[int, int, Image | None, tuple[tuple[int, float], ...]], None]
    previews: bool | Callable[[], bool]
    checkpoint_seconds: float
    warned: Callable[[Problem], None] = lambda _: None
    keep: Callable[[str, bytes | None], None] = lambda *_: None
    saved: bool = False
    _last: float = field(default_factory=time.monotonic)
    _cost: float = CHECKPOINT_SECONDS

    @property
    def models(self) -> Models:
        return self.services.models

    @property
    def files(self) -> Files:
        return self.services.files

    @property
    def media(self) -> Media:
        return self.services.media

    def progress(
        self,
        step: int,
        total: int,
        preview: Image | None = None,
        curve: Sequence[tuple[int, float]] | None = None,
    ) -> None:
        self.report(step, total, preview, tuple(curve or ()))

    def wants_preview(self) -> bool:
        return self.previews() if callable(self.previews) else self.previews

    def warn(self, problem: Problem) -> None:
        self.warned(problem.warning())

    def check_cancelled(self) -> None:
        self.cancel.check()

    def restore(self) -> Mapping[str, Any] | None:
        state = self.services.cache.load_state(self.key)
        self.saved = state is not None
        return state

    def checkpoint_due(self, step: int, total: int) -> bool:
        if step >= total:
            return False
        waited = time.monotonic() - self._last
        return bool(self.cancel) or waited >= min(self.checkpoint_seconds, CHECKPOINT_PAYS * self._cost)

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        started = time.monotonic()
        self.services.cache.save_state(self.key, state)
        self.saved = True
        self._last = time.monotonic()
        self._cost = self._last - started

    def draft(self) -> AbstractContextManager[Path]:
        return self.services.cache.draft()

    def read(self, file: File) -> bytes:
        data = self.services.cache.get_bytes(file.digest)
        if data is None:
            raise ProblemError(output_lost(file))
        return data

    def save(
        self,
        data: bytes | Path,
        *,
        name: str,
        media_type: str,
        width: int = 0,
        height: int = 0,
        keep: bool = True,
        embed: Literal["workflow", "nothing"] = "workflow",
        frames: int = 0,
        seconds: float = 0.0,
    ) -> File:
        cache = self.services.cache
        size = data.stat().st_size if isinstance(data, Path) else len(data)
        if isinstance(data, Path):
            digest = cache.put_file(data, lambda digest: self.keep(digest, None))
        else:
            digest = cache.put_bytes(data)
            self.keep(digest, data)
        return File(name, media_type, digest, size, width, height, keep, embed, frames, seconds)

    def finish(self) -> None:
        """The work is done: what was kept for taking it up again can go."""
        if self.saved:
            self.services.cache.drop_state(self.key)
