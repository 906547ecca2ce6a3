"""The rules by the class of node that they translate, one file a group of classes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from .base import Rule


@cache
def rules() -> Mapping[str, Rule]:
    """Every rule, by name. Raises ValueError where two files translate one class."""
    from . import (
        adapters,
        bundles,
        conditioning,
        cutouts,
        detailers,
        files,
        images,
        latents,
        logic,
        masks,
        models,
        packs,
        sampling,
        strings,
        suites,
        video,
    )

    found: dict[str, Rule] = {}
    for room in (
        models,
        conditioning,
        sampling,
        latents,
        images,
        masks,
        adapters,
        files,
        logic,
        strings,
        video,
        packs,
        suites,
        bundles,
        detailers,
        cutouts,
    ):
        for name, rule in room.RULES.items():
            if name in found:
                raise ValueError(f"Two rules translate {name!r}.")
            found[name] = rule
    return dict(sorted(found.items()))
