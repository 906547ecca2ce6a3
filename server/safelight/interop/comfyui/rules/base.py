"""What a rule is: it turns a node of ComfyUI into parts, which are nodes of ours, and says what each output became.

A rule that is a row (`Row`) is data: names beside names. Others are functions of a `Site`, through which they see the
node and what surrounds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from ..graph import ForeignNode, Wire

Convert = Callable[[Any], Any]
"""From a value of theirs to one of ours. Raises Unfit where there is none."""


class Unfit(Exception):
    """A value that has no counterpart. The words say what is taken instead, or what to do."""


class TwoWay:
    """A conversion that is read in both directions: `back` makes a value of theirs of one of ours, or raises Unfit."""

    def __init__(self, there: Convert, back: Convert) -> None:
        self.there = there
        self.back = back

    def __call__(self, value: Any) -> Any:
        return self.there(value)


class Ref(NamedTuple):
    """An output of a part of the same node."""

    part: str
    port: str


class Lead(NamedTuple):
    """What comes into an input of ours: an output of theirs. `convert` is for values that subgraphs hand in."""

    wire: Wire
    convert: Convert | None = None


@dataclass
class Part:
    """A node of ours. `values` are typed, `inputs` led in, by our ports."""

    type: str
    values: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Lead | Ref | list[Lead | Ref]] = field(default_factory=dict)

    def lead(self, port: str, given: Lead | Ref) -> None:
        """One more into a port: several are collected, where it takes a list."""
        before = self.inputs.get(port)
        self.inputs[port] = given if before is None else [*(before if isinstance(before, list) else [before]), given]


Out = Ref | Wire | None
"""What an output became: that of a part, what came in (the node only handed it on), or nothing."""


@dataclass
class Made:
    """What became of a node. The first part takes its name and title, and lies where it lay."""

    parts: dict[str, Part] = field(default_factory=dict)
    outputs: list[Out] = field(default_factory=list)


class Site(Protocol):
    """A node and what surrounds it, as a rule sees them."""

    @property
    def node(self) -> ForeignNode: ...

    def wire(self, name: str) -> Wire | None:
        """What leads into an input."""
        ...

    def typed(self, name: str, default: Any = None) -> Any:
        """The value of an input; ComfyUI's default where the file has none, else the given one."""
        ...

    def put(self, part: Part, port: str, name: str, convert: Convert | None = None) -> None:
        """Gives a port of ours what one of their inputs has: wire, value or nothing."""
        ...

    def giver(self, wire: Wire | None) -> Site | None:
        """The node at the beginning of a wire, behind those that are bypassed."""
        ...

    def live(self, wire: Wire | None) -> bool:
        """Whether something comes by a wire: not where what it begins at is muted."""
        ...

    def kind(self, wire: Wire | None) -> str:
        """The type of what a wire brings, by their names ("INT"); "" where it is not known."""
        ...

    def wired(self, wires: Mapping[str, Wire]) -> Site:
        """The same node with more wires, which count before its own."""
        ...

    def upwards(self, name: str) -> Iterator[Site]:
        """The nodes before this one along inputs of one name, the closest first, each once."""
        ...

    def nearest(self, kind: str) -> Wire | None:
        """The closest output of a type of theirs ("VAE"), along wires in both directions. In a subgraph that has none,
        it is asked of what surrounds the subgraph."""
        ...

    def leads_to(self, *types: str) -> list[Site]:
        """The nodes of these classes that something of this one reaches, directly or not, closest first."""
        ...

    def takers(self, slot: int | None = None) -> list[str]:
        """The classes of the nodes that something of this one leads to directly, or one of its outputs."""
        ...

    def takes(self, slot: int) -> bool:
        """Whether something takes this output."""
        ...

    def has(self, *types: str) -> bool:
        """Whether the workflow has a node of these classes."""
        ...

    def approximate(self, said: str) -> None:
        """Tells the reader of the report what is not as it was."""
        ...


class Rule(Protocol):
    """Raises Unfit where this node cannot be translated: it becomes a placeholder."""

    def __call__(self, site: Site) -> Made: ...


@dataclass(frozen=True)
class Row:
    """A node that is one of ours.

    `inputs`: their name to ours, or to ours and a conversion. `outputs`: our port for each of their slots. `fixed`:
    values that always hold. `unused`: inputs of theirs that change nothing of the result, or that we decide ourselves.
    """

    type: str
    inputs: Mapping[str, str | tuple[str, Convert]]
    outputs: tuple[str | None, ...]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    unused: tuple[str, ...] = ()

    def __call__(self, site: Site) -> Made:
        part = Part(self.type, dict(self.fixed))
        for name, ours in self.inputs.items():
            port, convert = ours if isinstance(ours, tuple) else (ours, None)
            site.put(part, port, name, convert)
        told(site, *self.inputs, *self.unused)
        return one(part, *self.outputs)


@dataclass(frozen=True)
class Through:
    """A node that hands on inputs of its own, by the slot of its output, and needs no counterpart.

    `why` is told of it: what is done here in its place.
    """

    hands_on: tuple[str | None, ...]
    why: str = ""

    def __call__(self, site: Site) -> Made:
        if self.why:
            site.approximate(self.why)
        return Made({}, [site.wire(name) if name else None for name in self.hands_on])


def one(part: Part, *outputs: str | None) -> Made:
    """A node that became one part."""
    return Made({"": part}, [Ref("", port) if port else None for port in outputs])


def told(site: Site, *names: str) -> None:
    """Tells of each value that is set to something else than ComfyUI's default, and that no rule looks at."""
    from .. import classes

    known = classes.find(site.node.type)
    for name, value in site.node.typed.items():
        plain = known.default(name) if known else None
        if name in names or name in site.node.wires or value in (plain, None, ""):
            continue
        if known and not any(own.name == name for own in known.inputs) and "." not in name:
            continue  # of the editor, not of the class
        site.approximate(f"{name} = {str(value)[:60]!r} has no counterpart, and is left out.")


def named(folder: str) -> TwoWay:
    """A file of a folder of models: `checkpoints/foo.safetensors`, with the slashes that every system reads."""

    def there(value: Any) -> str:
        text = str(value or "").replace("\\", "/").strip("/")
        return f"{folder}/{text}" if text and text != "None" else ""

    def back(value: Any) -> str:
        text = str(value or "")
        if text and not text.startswith(f"{folder}/"):
            raise Unfit(f"ComfyUI looks for models below {folder}: put the file there.")
        return text.removeprefix(f"{folder}/")

    return TwoWay(there, back)


class Pick(TwoWay):
    """Of a table. Where it lacks the value: `others` is told of it, and nothing is set. Back, the first name that means
    a value is taken."""

    def __init__(self, choices: Mapping[str, Any], others: str = "") -> None:
        self.choices = choices
        self.others = others
        self._named_by = {json.dumps(ours): theirs for theirs, ours in reversed(list(choices.items()))}
        super().__init__(self._picked, self._named)

    def _picked(self, value: Any) -> Any:
        if str(value) in self.choices:
            return self.choices[str(value)]
        raise Unfit(self.others or f"{value!r} is not known; what is set by default is taken.")

    def _named(self, value: Any) -> str:
        found = self._named_by.get(json.dumps(value))
        if found is None:
            raise Unfit(f"ComfyUI has no {value!r} there; what it sets by default is taken.")
        return found


pick = Pick


def _hex_color(value: Any) -> str:
    return f"#{int(value) & 0xFFFFFF:06x}"


hex_color = TwoWay(_hex_color, lambda value: int(str(value).removeprefix("#"), 16))
"""A colour that is written as one number: 0xRRGGBB."""


def _saved_as(value: Any) -> str:
    text = str(value or "ComfyUI").replace("\\", "/").strip("/").replace("{", "(").replace("}", ")")
    text = re.sub(r"%date(?::[^%]*)?%|%year%-%month%-%day%", "{date}", text)
    text = re.sub(r'[%<>:"|?*\x00-\x1f]', "_", text)
    return f"{text}_{{counter}}"


def _prefix(value: Any) -> str:
    text = str(value).replace("_{counter}", "").replace("{counter}", "").replace("{date}", "%year%-%month%-%day%")
    if "{" in text:
        raise Unfit("Of what is filled into names ComfyUI knows the date alone.")
    return text or "ComfyUI"


saved_as = TwoWay(_saved_as, _prefix)
"""A prefix of file names: theirs counts up behind it, as `{counter}` does here. Dates are the date here, whatever their
form; values of nodes, as %KSampler.seed%, stay as words."""
