"""Libraries and extras that the package asks for: which are installed, in which versions. Imports none of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from typing import Any

from safelight.sdk.problem import Problem

from .report import Extra

_OURS = "safelight"
_FOR_AUTHORS = ("test", "dev")


def libraries() -> tuple[dict[str, str], list[Problem]]:
    """The version of each library that is needed (empty: not there), and what is wrong with them."""
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for wanted in _wanted():
        name = wanted.name
        found[name] = there = _version(name)
        asked = f"{name}{wanted.specifier}"
        if there and wanted.specifier.contains(there, prereleases=True):
            continue
        code, said = "library_missing", f"The library {name} is not installed."
        if there:
            code, said = "library_version", f"The library {name} is {there}; {wanted.specifier} is needed."
        hint = f"Install it: pip install '{asked}'."
        problems.append(Problem(code=code, message=said, hint=hint, value=name))
    return found, problems


def extras() -> list[Extra]:
    """The optional parts of the package, and what they lack."""
    try:
        names = metadata(_OURS).get_all("Provides-Extra") or []
    except PackageNotFoundError:
        return []
    made: list[Extra] = []
    for name in names:
        if name in _FOR_AUTHORS:
            continue
        missing = tuple(
            f"{wanted.name}{wanted.specifier}"
            for wanted in _wanted(name)
            if not (there := _version(wanted.name)) or not wanted.specifier.contains(there, prereleases=True)
        )
        made.append(Extra(name=name, there=not missing, missing=missing))
    return made


def own_version() -> str:
    return _version(_OURS) or "0"


def _wanted(extra: str = "") -> Iterator[Any]:
    """Requirements of the package, or those that one of its extras adds."""
    from packaging.requirements import Requirement

    try:
        lines = requires(_OURS) or []
    except PackageNotFoundError:
        return
    for line in lines:
        wanted = Requirement(line)
        always = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
        if (not extra and always) or (
            extra and not always and wanted.marker is not None and wanted.marker.evaluate({"extra": extra})
        ):
            yield wanted


def _version(name: str) -> str:
    try:
        return re.sub(r"\s", "", version(name))
    except PackageNotFoundError:
        return ""
