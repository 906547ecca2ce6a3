"""Which value belongs to which input: the editor's files of ComfyUI write them by position, by name, or as objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .classes import DYNAMIC, ClassInput, NodeClass

_CONTROL = ("fixed", "increment", "decrement", "randomize", "increment-wrap")
_SEEDS = frozenset({"seed", "noise_seed"})
_NOT_VALUES = ("control_after_generate", "control_before_generate", "upload", "audioUI", "videopreview", "choose file")


def values_of(raw: Mapping[str, Any], known: NodeClass | None) -> tuple[dict[str, Any], list[Any]]:
    """Values of a node by the name of their input, and those whose name is not known."""
    named = raw.get("widgets_values_named")
    if isinstance(named, Mapping):
        return _real(named), []
    values = raw.get("widgets_values")
    if isinstance(values, Mapping):
        return _real(values), []
    if not isinstance(values, Sequence) or isinstance(values, str):
        return {}, []
    own = _own_names(raw)
    widgets = known.widgets if known is not None else own
    if not widgets:
        return {}, list(values)
    return _by_position(list(values), widgets, [one.name for one in own])


def _real(values: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in values.items() if not str(name).startswith(_NOT_VALUES)}


def _own_names(raw: Mapping[str, Any]) -> list[ClassInput]:
    """The widgets that the node lists among its own inputs, as files since 2025 have it."""
    found: list[ClassInput] = []
    listed = raw.get("inputs")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, Mapping) and isinstance(one.get("widget"), Mapping):
            name = str(one["widget"].get("name") or one.get("name") or "")
            if not name.startswith(_NOT_VALUES):
                found.append(ClassInput(name, str(one.get("type", "")), True))
    return found


def _by_position(values: list[Any], widgets: list[ClassInput], own: list[str]) -> tuple[dict[str, Any], list[Any]]:
    """Each widget takes one value in turn, also where it is wired; a seed has what happens to it after a run behind."""
    found: dict[str, Any] = {}
    at = 0
    for place, widget in enumerate(widgets):
        while len(values) - at > len(widgets) - place and (
            _misfit(widget, values[at]) or (widget.name in _SEEDS and _numbered(values[at : at + 3]))
        ):
            at += 1  # of another version of the class
        if at >= len(values):
            break
        found[widget.name] = values[at]
        at += 1
        if widget.type == DYNAMIC:
            for name in _fields(widget.name, found[widget.name], own, values, at, widgets[place + 1 :]):
                if at < len(values):
                    found[name] = values[at]
                    at += 1
                    at += name.endswith(".seed") and at < len(values) and values[at] in _CONTROL
        elif at < len(values) and _number(widget):
            spared = len(values) - at > len(widgets) - place - 1
            seed = widget.name in _SEEDS
            number = place + 1 < len(widgets) and widgets[place + 1].type in ("INT", "FLOAT")
            marked = values[at] is None or values[at] == -1 or isinstance(values[at], bool)
            switch = isinstance(values[at], bool) and number
            if (values[at] in _CONTROL and (seed or spared)) or (seed and (switch or (marked and spared))):
                at += 1  # files of 2023 had a switch there; packs leave a number or nothing
    left = [value for value in values[at:] if value not in _CONTROL and value is not None]
    return found, left


def _misfit(widget: ClassInput, value: Any) -> bool:
    """Whether a value cannot be that of a number."""
    return (
        widget.type in ("INT", "FLOAT")
        and isinstance(value, str)
        and not value.lstrip("-").replace(".", "", 1).isdigit()
    )


def _numbered(values: list[Any]) -> bool:
    """Whether these are a node's number, a seed and its switch, as the efficiency pack wrote them in 2023."""
    return len(values) == 3 and all(type(one) is int for one in values[:2]) and isinstance(values[2], bool)


def _number(widget: ClassInput) -> bool:
    return widget.type in ("INT", "FLOAT", "COMBO") or widget.name in _SEEDS


def _fields(name: str, choice: Any, own: list[str], values: list[Any], at: int, after: list[ClassInput]) -> list[str]:
    """The names of the values that a choice brings with it: those known, the file's own, else numbers."""
    told = [one for one in own if one.startswith(f"{name}.")]
    room = max(0, len(values) - at - len(after))
    known = [f"{name}.{field}" for field in _CHOICES.get((name, str(choice)), ())]
    for names in (known, told):  # a file lists what is wired, and may leave out the others
        if names and len(names) <= room:
            return names
    return [f"{name}.{number}" for number in range(room)]


_CHOICES: dict[tuple[str, str], tuple[str, ...]] = {
    ("resize_type", "scale dimensions"): ("width", "height", "crop"),
    ("resize_type", "scale by multiplier"): ("multiplier",),
    ("resize_type", "scale longer dimension"): ("longer_size",),
    ("resize_type", "scale shorter dimension"): ("shorter_size",),
    ("resize_type", "scale width"): ("width",),
    ("resize_type", "scale height"): ("height",),
    ("resize_type", "scale total pixels"): ("megapixels",),
    ("resize_type", "match size"): ("crop",),
    ("resize_type", "scale to multiple"): ("multiple",),
    ("sampling_mode", "on"): (
        *("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed", "presence_penalty"),
    ),
}
"""By the input and what is chosen in it. Read in files, whose nodes list these inputs."""
