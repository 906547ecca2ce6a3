"""What node classes of ComfyUI take and give: names, types and order. `classes.json` has its own classes, as
`tools/comfyui_classes.py` wrote them down, `packs.json` those of packs that have rules."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_WIDGETS = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COLOR", "COMFY_DYNAMICCOMBO_V3"})
DYNAMIC = "COMFY_DYNAMICCOMBO_V3"


@dataclass(frozen=True)
class ClassInput:
    """An input. `widget` tells whether a value can be typed into it, `default` what it says then (None: not known)."""

    name: str
    type: str
    widget: bool
    default: Any = None


@dataclass(frozen=True)
class NodeClass:
    """A class of nodes. Outputs are (name, type)."""

    inputs: tuple[ClassInput, ...]
    outputs: tuple[tuple[str, str], ...]

    @property
    def widgets(self) -> list[ClassInput]:
        return [one for one in self.inputs if one.widget]

    def default(self, name: str) -> Any:
        return next((one.default for one in self.inputs if one.name == name), None)

    def type_of(self, name: str) -> str:
        """The type of an input; empty for one that is not known."""
        return next((one.type for one in self.inputs if one.name == name), "")


@cache
def _table() -> dict[str, Any]:
    here = Path(__file__).parent
    packs, own = (json.loads((here / name).read_text("utf-8")) for name in ("packs.json", "classes.json"))
    return packs | own


@cache
def find(name: str) -> NodeClass | None:
    """A class, if it is known."""
    row = _table().get(name)
    if row is None:
        return None
    inputs, outputs = row
    return NodeClass(
        tuple(ClassInput(name, kind.removeprefix("!"), kind in _WIDGETS, *rest[:1]) for name, kind, *rest in inputs),
        tuple((name, kind) for name, kind in outputs),
    )


def is_core(name: str) -> bool:
    """Whether it is a class of ComfyUI itself, not of a pack."""
    return name in _core()


@cache
def _core() -> frozenset[str]:
    return frozenset(json.loads((Path(__file__).parent / "classes.json").read_text("utf-8")))
