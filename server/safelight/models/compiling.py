"""Denoisers whose blocks are compiled: those that a transformer repeats, each of them, so that little is to compile."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def compile_blocks(modules: Iterable[Any]) -> None:
    """Has torch compile the repeated blocks of modules when they are first called; modules that name none stay.

    For sizes of any kind from the beginning: else what is compiled, and its rounding, would depend on the sizes that
    came before.
    """
    for module in modules:
        if getattr(module, "_repeated_blocks", None):
            module.compile_repeated_blocks(dynamic=True)
