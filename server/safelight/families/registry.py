"""The families that are there, by id: the folders of this package, and what installed distributions name.

Families are found without importing them, and imported when they are first asked for.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from safelight.sdk.installed import installed
from safelight.sdk.problem import Problem, ProblemError, did_you_mean

from .base import Family, FileKind, Folder, unsupported
from .files import Header

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

log = logging.getLogger(__name__)

GROUP = "safelight.families"
T = TypeVar("T")


class Families(Mapping[str, Family]):
    """All families by id, in the order in which they are asked whether a model is theirs."""

    def __init__(self, finders: Mapping[str, Callable[[], Family]]) -> None:
        self._finders = dict(finders)
        self._found: dict[str, Family | None] = {}
        self._why: dict[str, str] = {}

    def __getitem__(self, key: str) -> Family:
        found = self._load(key)
        if found is None:
            raise KeyError(key)
        return found

    def _load(self, key: str) -> Family | None:
        """A family; None for one that is not there, or that a pack brings and that does not load."""
        if key not in self._found:
            if key not in self._finders:
                return None
            try:
                made = self._finders[key]()
                if not isinstance(made, Family) or made.id != key:
                    raise TypeError(f"it is no family called {key!r}")
                self._found[key] = made
            except Exception as error:  # a pack is foreign code: without its family, all others still work
                self._why[key] = f"{type(error).__name__}: {error}"
                log.exception("the family %s does not load, and is left out", key)
                self._found[key] = None
        return self._found[key]

    def there(self) -> list[Family]:
        """All that load, in the order in which they are asked."""
        return list(self._each())

    def _each(self) -> Iterator[Family]:
        return (found for key in self if (found := self._load(key)) is not None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._finders)

    def __len__(self) -> int:
        return len(self._finders)

    def require(self, key: str) -> Family:
        """The family of an id that a recipe or a value carries.

        Raises:
            ProblemError: `unknown_family`, when there is none, as for a value of a pack that is gone.
        """
        found = self._load(key)
        if found is not None:
            return found
        message = f"There is no family {key!r} in this installation."
        if key in self._finders:
            message = f"The family {key!r} comes with a pack and does not load: {self._why[key]}"
            hint = "Install what it needs, or tell its authors."
            raise ProblemError(Problem(code="unknown_family", message=message, hint=hint, value=key))
        hint = did_you_mean(key, self) or f"There are {', '.join(self)}; others come with packs."
        raise ProblemError(Problem(code="unknown_family", message=message, hint=hint, value=key))

    def of_pipeline(self, folder: Folder) -> Family:
        """The family of a folder with a `model_index.json`.

        Raises:
            ProblemError: `unsupported_family`, saying what it seems to be.
        """
        found = next(self._claimed(lambda family: family.is_pipeline(folder)), None)
        if found is not None:
            return found[0]
        made = folder.index.get("_class_name") or "pipeline without a class"
        raise self.unsupported(folder.name, f"is a {made}")

    def of_component(self, folder: Folder) -> tuple[Family, FileKind] | None:
        """The family and the kind of a folder of one component; None when it is of no family."""
        return next(self._claimed(lambda family: family.component(folder)), None)

    def of_file(self, kind: FileKind, name: str, header: Header) -> list[Family]:
        """The families that a file of this kind may be of, told by names and shapes.

        What is made for a model may say so in its metadata; that goes before. Whole models are looked at closer.
        """
        claimed = [family for family, _ in self._claimed(lambda family: family.claims(kind, name, header))]
        told = None if kind in ("pipeline", "unet") else self._told(header)
        if told is None or (kind in ("vae", "controlnet") and told not in claimed):
            return claimed
        return [told]

    def _claimed(self, question: Callable[[Family], T | None]) -> Iterator[tuple[Family, T]]:
        """The families that answer yes, each with its answer. One is imported when its turn comes to be asked.

        Raises:
            ProblemError: none does, and one refuses: it knows what it is, and that it cannot be run.
        """
        claimed = False
        refused: ProblemError | None = None
        for family in self._each():
            try:
                answer = question(family)
            except ProblemError as error:
                refused = refused or error
                continue
            if answer:
                claimed = True
                yield family, answer
        if refused is None or claimed:
            return
        hint = self.supported()
        raise ProblemError(
            problem if problem.hint else msgspec.structs.replace(problem, hint=hint) for problem in refused.problems
        )

    def unsupported(self, name: str, what: str) -> ProblemError:
        return unsupported(name, what, self.supported())

    def supported(self) -> str:
        titles = [family.title for family in self.there()]
        return f"Supported are {', '.join(titles)}, and what is made for them."

    def _told(self, header: Header) -> Family | None:
        for field in ("modelspec.architecture", "ss_base_model_version"):
            told = header.metadata.get(field, "").lower()
            starts = [
                (len(start), family)
                for family in self.there()
                for start in family.architectures
                if told.startswith(start)
            ]
            if starts:
                return max(starts, key=lambda found: found[0])[1]
        return None


def family_names() -> tuple[str, ...]:
    """The ids of all families of this installation, without importing any."""
    return tuple(load_families())


def load_families(points: Iterable[EntryPoint] | None = None) -> Families:
    """Every family of this installation. Built-in ones go before those of other distributions."""
    package = f"{__package__}"
    finders: dict[str, Callable[[], Family]] = {}
    for info in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if info.ispkg and not info.name.startswith("_"):
            finders[info.name] = lambda name=info.name: importlib.import_module(f"{package}.{name}").FAMILY
    for point in sorted(installed(GROUP) if points is None else points, key=lambda point: point.name):
        finders.setdefault(point.name, point.load)
    return Families(finders)
