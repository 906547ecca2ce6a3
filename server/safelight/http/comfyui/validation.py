"""What a prompt says that ComfyUI's own server would refuse, in its words: types, choices, links."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from safelight.interop.comfyui import classes
from safelight.interop.comfyui.classes import ClassInput
from safelight.interop.comfyui.level import as_typed
from safelight.sdk.problem import Problem, did_you_mean, one_of
from safelight.sdk.widgets import LARGEST_SEED

from .classes import SEEDS, needed

_WANTED = {"INT": (int, "a whole number"), "FLOAT": (int | float, "a number"), "BOOLEAN": (bool, "true or false")}


def faults(prompt: Mapping[str, Any]) -> list[Problem]:
    """The problems of the nodes whose class is known, by their own ids and the names of their inputs."""
    return [problem for name, node in prompt.items() for problem in _of_node(prompt, name, node)]


def _of_node(prompt: Mapping[str, Any], name: str, node: Mapping[str, Any]) -> Iterator[Problem]:
    kind = str(node["class_type"])
    known, inputs = classes.find(kind), node.get("inputs")
    if known is None or not isinstance(inputs, Mapping):
        return
    for one in known.inputs:
        if one.name not in inputs or inputs[one.name] is None:
            continue
        value = inputs[one.name]
        said = _link(prompt, value) if isinstance(value, list) else _typed(kind, one, value)
        if said is not None:
            code, message, hint = said
            message = f"{one.name} of {kind} {name[:100]}: {message}"
            yield Problem(code=code, message=message, hint=hint, node=name, port=one.name, value=value)


def _link(prompt: Mapping[str, Any], value: list[Any]) -> tuple[str, str, str] | None:
    """What is wrong with a link: a list of a node's id and the number of its output."""
    shown = str(value)[:100]
    if len(value) != 2 or not isinstance(value[0], str | int) or type(value[1]) is not int:
        return "wrong_type", f"{shown} is no link.", 'Give ["ID", NUMBER]: a node and its output, from 0.'
    giver = prompt.get(str(value[0]))
    if giver is None:
        return (
            "dangling_link",
            f"{shown} leads to a node that is not in the prompt.",
            "Add the node, or link another one.",
        )
    known = classes.find(str(giver["class_type"]))
    if known is None or not known.outputs or 0 <= value[1] < len(known.outputs):
        return None
    told = one_of([f"{slot} ({name})" for slot, (name, _) in enumerate(known.outputs)])
    return "unknown_output", f"{shown} leads to an output that {giver['class_type']} does not have.", f"It has: {told}."


def _typed(kind: str, one: ClassInput, value: Any) -> tuple[str, str, str] | None:
    """What is wrong with a value that is no link."""
    if one.type == "COMBO":
        choices = needed(kind, one.name)
        if not choices or str(value) in choices:
            return None
        message = f"There is no {value!r} here."
        return "not_a_choice", message, did_you_mean(str(value), choices) or f"Choose {one_of(choices, 40)}."
    if one.type not in _WANTED:
        return None
    wanted, said = _WANTED[one.type]
    taken = as_typed(value, one.type)
    if not isinstance(taken, wanted) or (one.type != "BOOLEAN" and isinstance(taken, bool)):
        return "wrong_type", f"{str(value)[:100]!r} is not {said}.", f"Give {said}."
    if one.name in SEEDS and not 0 <= taken <= LARGEST_SEED:
        return "out_of_range", f"{taken} is no seed.", f"Choose from 0 to {LARGEST_SEED}."
    return None
