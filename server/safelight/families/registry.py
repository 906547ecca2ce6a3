"""The families that are there, by id: the folders of this package, and what installed distributions name.

Families are found without importing them, and imported when they are first asked for.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from safelight.sdk.problem import Problem, ProblemError, did_you_mean

from .base import Family, FileKind, Folder, unsupported
from .files import Header

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "safelight.families"
T = TypeVar("T")


class Families(Mapping[str, Family]):
    """All families by id, in the order in which they are asked whether a model is theirs."""

    def __init__(self, finders: Mapping[str, Callable[[], Family]]) -> None:
        self._finders = dict(finders)
        self._found: dict[str, Family] = {}

    def __getitem__(self, key: str) -> Family:
        if key not in self._found:
            self._found[key] = self._finders[key]()
        return self._found[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._finders)

    def __len__(self) -> int:
        return len(self._finders)

    def require(self, key: str) -> Family:
        """The family of an id that a recipe or a value carries.

        Raises:
            ProblemError: `unknown_family`, when there is none, as for a value of a pack that is gone.
        """
        if key in self:
            return self[key]
        message = f"There is no family {key!r} in this installation."
        hint = did_you_mean(key, self) or f"There are {', '.join(self)}; others come with packs."
        raise ProblemError(Problem(code="unknown_family", message=message, hint=hint, value=key))

    def of_pipeline(self, folder: Folder) -> Family:
        """The family of a folder with a `model_index.json`.

        Raises:
            ProblemError: `unsupported_family`, saying what it seems to be.
        """
        for family in self.values():
            if self._asked(lambda family=family: family.is_pipeline(folder)):
                return family
        made = folder.index.get("_class_name") or "pipeline without a class"
        raise self.unsupported(folder.name, f"is a {made}")

    def of_component(self, folder: Folder) -> tuple[Family, FileKind] | None:
        """The family and the kind of a folder of one component; None when it is of no family."""
        for family in self.values():
            kind: FileKind | None = self._asked(lambda family=family: family.component(folder))
            if kind:
                return family, kind
        return None

    def of_file(self, kind: FileKind, name: str, header: Header) -> list[Family]:
        """The families that a file of this kind may be of, told by names and shapes.

        What is made for a model may say so in its metadata; that goes before. Whole models are looked at closer.
        """
        claimed = [
            family for family in self.values() if self._asked(lambda family=family: family.claims(kind, name, header))
        ]
        told = None if kind in ("pipeline", "unet") else self._told(header)
        if told is None or (kind == "vae" and told not in claimed):
            return claimed
        return [told]

    def part(self, header: Header) -> str:
        """What a file is that holds a part of a model which is only read in a folder; empty when it is none."""
        return next((said for family in self.values() if (said := family.part(header))), "")

    def unsupported(self, name: str, what: str) -> ProblemError:
        return unsupported(name, what, self.supported())

    def supported(self) -> str:
        titles = [family.title for family in self.values()]
        return f"Supported are {', '.join(titles)}, and what is made for them."

    def _told(self, header: Header) -> Family | None:
        for field in ("modelspec.architecture", "ss_base_model_version"):
            told = header.metadata.get(field, "").lower()
            starts = [
                (len(start), family)
                for family in self.values()
                for start in family.architectures
                if told.startswith(start)
            ]
            if starts:
                return max(starts, key=lambda found: found[0])[1]
        return None

    def _asked(self, question: Callable[[], T]) -> T:
        """The answer; a refusal without a remedy is given the list of what is supported."""
        try:
            return question()
        except ProblemError as error:
            hint = self.supported()
            raise ProblemError(
                problem if problem.hint else msgspec.structs.replace(problem, hint=hint) for problem in error.problems
            ) from None


def family_names() -> tuple[str, ...]:
    """The ids of all families of this installation, without importing any."""
    return tuple(load_families())


def load_families(points: Iterable[EntryPoint] | None = None) -> Families:
    """Every family of this installation. Built-in ones go before those of other distributions."""
    from importlib.metadata import entry_points

    package = f"{__package__}"
    finders: dict[str, Callable[[], Family]] = {}
    for info in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if info.ispkg and not info.name.startswith("_"):
            finders[info.name] = lambda name=info.name: importlib.import_module(f"{package}.{name}").FAMILY
    for point in sorted(entry_points(group=GROUP) if points is None else points, key=lambda point: point.name):
        finders.setdefault(point.name, point.load)
    return Families(finders)
