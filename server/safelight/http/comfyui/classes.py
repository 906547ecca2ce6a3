"""`/object_info`: the classes that have a counterpart here, as ComfyUI describes its own.

What an input takes is found by translating a node of the class: the model or file that comes out of it says which
folder it names, and an input is optional where ours is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from safelight.interop.comfyui import classes
from safelight.interop.comfyui.classes import ClassInput, NodeClass
from safelight.interop.comfyui.graph import ForeignGraph, ForeignNode, Wire
from safelight.interop.comfyui.level import At, Level
from safelight.interop.comfyui.rules import rules
from safelight.interop.comfyui.rules.base import Lead, Made, Part, Pick, Row, Unfit
from safelight.interop.comfyui.rules.formulas import SAMPLERS, SCHEDULERS
from safelight.sdk.node import InputSpec
from safelight.sdk.pack import Catalogue
from safelight.sdk.widgets import LARGEST_SEED, FilePick, ModelPick, Slider

_PROBE = "probe_of_"
_METHODS = {"sampler_name": (*SAMPLERS, "deis"), "scheduler": tuple(SCHEDULERS)}
SEEDS = ("seed", "noise_seed")
_TYPED = ("INT", "FLOAT", "STRING", "BOOLEAN")


class Offered:
    """What can be chosen: `models` by folder, and `files` of the input folder by the kind that a port takes."""

    def __init__(self, models: Mapping[str, Mapping[str, str]], files: Mapping[str, Sequence[str]]) -> None:
        self.models = models
        self.files = files


def object_info(catalogue: Catalogue, offered: Offered, name: str | None = None) -> dict[str, Any]:
    """The classes, or one of them; nothing for a class that has no counterpart."""
    names = rules() if name is None else {name} & set(rules())
    return {
        one: _Class(one, known, catalogue, offered).data()
        for one in sorted(names)
        if (known := classes.find(one)) is not None
    }


class _Class:
    """One class. `ports` are the inputs of ours that each of its inputs leads to."""

    def __init__(self, name: str, known: NodeClass, catalogue: Catalogue, offered: Offered) -> None:
        self._name = name
        self._known = known
        self._catalogue = catalogue
        self._offered = offered
        # A rule may refuse what is linked or named oddly: then less of it is.
        tries = ({"COMBO", *_TYPED}, {"COMBO"}, set[str]())
        made = next((made for given in tries if (made := self._made(given)) is not None), Made())
        self._parts = list(made.parts.values())
        self._ports = self._found()

    def data(self) -> dict[str, Any]:
        first = next((found for part in self._parts if (found := self._catalogue.get(part.type))), None)
        inputs: dict[str, dict[str, Any]] = {"required": {}, "optional": {}}
        for one in self._known.inputs:
            inputs["optional" if self._is_optional(one) else "required"][one.name] = self._input(one)
        outputs = self._known.outputs
        return {
            "input": inputs,
            "input_order": {part: list(several) for part, several in inputs.items()},
            "output": [kind for _, kind in outputs],
            "output_is_list": [False] * len(outputs),
            "output_name": [name for name, _ in outputs],
            "name": self._name,
            "display_name": self._name,
            "description": first.spec.help.partition("\n")[0] if first is not None else "",
            "python_module": "safelight",
            "category": first.spec.category if first is not None else "",
            "output_node": any(
                found.spec.output for part in self._parts if (found := self._catalogue.get(part.type)) is not None
            ),
        }

    def _made(self, given: Collection[str]) -> Made | None:
        """What becomes of a node of the class whose sockets are linked, and its values of the `given` types, too; what
        is chosen is named.
        """
        node = ForeignNode(
            "node",
            self._name,
            outputs=list(self._known.outputs),
            types={one.name: one.type for one in self._known.inputs},
        )
        for place, one in enumerate(self._known.inputs):
            if one.type == "COMBO":
                if one.type in given:
                    node.typed[one.name] = _PROBE + str(place)
            elif not one.widget or one.type in given:
                node.wires[one.name] = Wire("giver", place)
        graph = ForeignGraph(nodes={"node": node, "giver": ForeignNode("giver", "giver")})
        try:
            return rules()[self._name](At(Level(graph, {self._name}, inner=False), node))
        except (Unfit, TypeError, ValueError):
            return None

    def _found(self) -> dict[str, tuple[InputSpec, Any]]:
        """For each input of theirs the port of ours that it leads to, and what stands there."""
        found: dict[str, tuple[InputSpec, Any]] = {}
        for part, ports in ((part, self._specs(part)) for part in self._parts):
            for port, value in part.values.items():
                head, mark, place = str(value).partition(_PROBE)
                if mark and place.isdigit() and port in ports:
                    found[self._known.inputs[int(place)].name] = ports[port], head.strip("/")
            for port, given in part.inputs.items():
                for lead in given if isinstance(given, list) else [given]:
                    if isinstance(lead, Lead) and lead.wire.node == "giver" and port in ports:
                        found.setdefault(self._known.inputs[lead.wire.slot].name, (ports[port], None))
        return found

    def _specs(self, part: Part) -> dict[str, InputSpec]:
        kind = self._catalogue.get(part.type)
        return {port.name: port for port in kind.spec.inputs} if kind is not None else {}

    def _is_optional(self, one: ClassInput) -> bool:
        port = self._ports.get(one.name)
        return not one.widget and (port is None or not port[0].required)

    def _input(self, one: ClassInput) -> list[Any]:
        options: dict[str, Any] = {} if one.default is None else {"default": one.default}
        if one.type == "COMBO":
            return [self._choices(one), options]
        port, _ = self._ports.get(one.name, (None, None))
        bounds = port.widget if port is not None and isinstance(port.widget, Slider) else None
        # A default that lies outside is made smaller on its way.
        if bounds is not None and (one.default is None or bounds.min <= one.default <= bounds.max):
            options |= {"min": bounds.min, "max": bounds.max}
        elif one.type == "INT" and one.name in SEEDS:
            options |= {"min": 0, "max": LARGEST_SEED}
        if one.type == "STRING" and one.name in ("text", "prompt"):
            options["multiline"] = True
        return [one.type, options]

    def _choices(self, one: ClassInput) -> list[str]:
        port, folder = self._ports.get(one.name, (None, ""))
        if port is not None and isinstance(port.widget, ModelPick):
            return sorted(self._offered.models.get(folder, ()))
        if port is not None and isinstance(port.widget, FilePick):
            return list(self._offered.files.get(port.widget.kind, ()))
        found = _choices(self._name, one.name)
        return found or ([str(one.default)] if one.default is not None else [])


def _choices(kind: str, name: str) -> list[str]:
    """What an input of a class takes by the rule of the class; empty where that does not say."""
    picked = _picked(kind, name)
    return list(picked.choices if picked is not None else _METHODS.get(name, ()))


def needed(kind: str, name: str) -> list[str]:
    """The choices of an input that cannot do without one of them; empty where another value is only told of."""
    picked = _picked(kind, name)
    return [] if picked is not None and picked.others else _choices(kind, name)


def _picked(kind: str, name: str) -> Pick | None:
    rule = rules().get(kind)
    given = rule.inputs.get(name) if isinstance(rule, Row) else None
    return given[1] if isinstance(given, tuple) and isinstance(given[1], Pick) else None
