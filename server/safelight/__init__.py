"""Safelight: a node-based visual workflow editor for diffusion models.

In Python: `safelight.load("text_to_image").run(prompt="a red apple")`. Importing it loads next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .scripting import Builder, Result, Workflow, load

__all__ = ["Builder", "Result", "Workflow", "load"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from . import scripting

        return getattr(scripting, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
