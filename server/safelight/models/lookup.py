"""Names of models as other programs and older workflows write them, to the one model that is meant."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from safelight.sdk.problem import Problem, ProblemError, one_of

from .index import Hashes
from .walk import WEIGHTS, Found

_HASH = re.compile(r"(?:sha256:)?([0-9a-fA-F]{8}|[0-9a-fA-F]{10}|[0-9a-fA-F]{12}|[0-9a-fA-F]{64})")


class Lookup:
    """Over all models that were found.

    Args:
        found: the models.
        hashes: stamp and hashes of files by path, as far as they are known.
        of_kind: the names of those of a kind.
        digest: of a file's content.
    """

    def __init__(
        self,
        found: Sequence[Found],
        hashes: Mapping[str, tuple[str, Hashes]],
        of_kind: Callable[[str], set[str]],
        digest: Callable[[Path], str],
    ) -> None:
        self._found = [one for one in found if one.place in ("folder", "file")]
        self._hashes = hashes
        self._of_kind = of_kind
        self._digest = digest

    def find(self, name: str, kind: str = "") -> Found | None:
        """The model that is meant, None when there is none.

        The end of a path goes before a file's name, that before its name without ending, and that before a hash, which
        may be SHA-256 or one of A1111's. Files of equal content are one model, and those of another kind than asked
        for are left out where there are several.

        Raises:
            ProblemError: `model_ambiguous`, with the names of all that may be meant.
        """
        wanted = name.replace("\\", "/").strip("/").casefold()
        last = PurePosixPath(wanted).name
        ways: list[Callable[[Found], bool]] = [lambda one: f"/{_plain(one)}".endswith(f"/{wanted}")]
        # `org/name` is a hub's, and no file that happens to be called `name` stands for it.
        if last.endswith(WEIGHTS):
            ways.append(lambda one: PurePosixPath(_plain(one)).name == last)
        elif "/" not in wanted:
            ways.append(lambda one: one.place == "file" and PurePosixPath(_plain(one)).stem == wanted)
        for way in ways:
            meant = [one for one in self._found if way(one)]
            if meant:
                return self._one(name, meant, kind)
        hashed = _HASH.fullmatch(name.strip())
        meant = [one for one in self._found if hashed and self._is(one, hashed[1])]
        return self._one(name, meant, kind) if meant else None

    def of_hash(self, given: str) -> str:
        """The name of the first model of a hash that was computed before; empty where there is none."""
        hashed = _HASH.fullmatch(given.strip())
        if hashed is None:
            return ""
        with contextlib.suppress(OSError):  # one may be gone by now
            return next((one.name for one in self._found if self._is(one, hashed[1].lower())), "")
        return ""

    def _is(self, found: Found, given: str) -> bool:
        stamp, hashes = self._hashes.get(str(found.path), ("", None))
        return hashes is not None and hashes.are(given) and stamp == found.stamp().split(" ")[0]

    def _one(self, name: str, meant: list[Found], kind: str) -> Found:
        if len(meant) > 1 and kind:
            names = self._of_kind(kind)
            meant = [one for one in meant if one.name in names] or meant
        if len(meant) == 1 or self._equal(meant):
            return meant[0]
        names = [one.name for one in meant]
        message = f"{name!r} may be any of {len(meant)} models."
        hint = f"Choose one: {one_of([repr(one) for one in names])}."
        raise ProblemError(Problem(code="model_ambiguous", message=message, hint=hint, value=name))

    def _equal(self, meant: Sequence[Found]) -> bool:
        if any(one.place != "file" for one in meant) or len({one.path.stat().st_size for one in meant}) > 1:
            return False
        return len({self._digest(one.path) for one in meant}) == 1


def _plain(found: Found) -> str:
    """The name of a model without the tree that may stand before it."""
    return (found.name.removeprefix(f"{found.tree}:") if found.tree else found.name).casefold()
