"""A context for work inside of other work, such as drawing a sample during a training: it tells and keeps nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safelight.sdk import Context, Source


class Quiet:
    """Passes on what is asked of models and files, and that the run is to stop."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)

    def progress(self, *_: Any, **__: Any) -> None: ...

    def warn(self, *_: Any) -> None: ...

    def wants_preview(self) -> bool:
        return False

    def restore(self) -> None:
        return None

    def checkpoint_due(self, *_: Any) -> bool:
        return False


class WithVectors(Quiet):
    """Knows vectors that are being learned as if they lay in a file: `embedding:NAME` in a prompt means them.

    `vectors` are those of each text encoder, (n, width), by names in their order.
    """

    def __init__(self, ctx: Context, name: str, vectors: Mapping[str, Any]) -> None:
        super().__init__(ctx)
        self.models = _Models(ctx.models, name, vectors)


class _Models:
    def __init__(self, models: Any, name: str, vectors: Mapping[str, Any]) -> None:
        self._models, self._name, self._vectors = models, name, vectors

    def __getattr__(self, name: str) -> Any:
        return getattr(self._models, name)

    def find(self, name: str, kind: str = "") -> Source:
        from safelight.sdk import Source

        return Source("file", name) if self._means(name, kind) else self._models.find(name, kind)

    def family(self, source: Source) -> str:
        return "" if source.name == self._name else self._models.family(source)

    def lease(self, ref: Any, scratch: int = 0) -> Any:
        if ref.kind == "Embedding" and ref.source.name == self._name:
            return self._given()
        return self._models.lease(ref, scratch)

    def _means(self, name: str, kind: str) -> bool:
        return kind == "embedding" and name == self._name

    @contextmanager
    def _given(self) -> Iterator[Any]:
        from types import SimpleNamespace

        yield SimpleNamespace(component={"vectors": dict(self._vectors)})
