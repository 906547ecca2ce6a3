"""A document as one flat list of steps: what the checks work on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from safelight.sdk.node import NodeType
from safelight.sdk.problem import Problem

from .document import Mode, Node
from .repeat import Repeat

Source = tuple[int, str]
"""A step by its number, and the name of an output of it."""


@dataclass(slots=True)
class Step:
    """A node of the flat graph. `links` are the sources of each linked input, in the order of the file.

    `told` says that a problem has been reported why there is no `kind`: it stands for a subgraph that cannot be opened.
    One with a `call` is an instance that is repeated; one that is `given` stands in its body for an input of it.
    """

    id: str
    node: Node
    kind: NodeType | None
    mode: Mode
    values: dict[str, Any]
    links: dict[str, list[Source]] = field(default_factory=dict)
    told: bool = False
    call: Call | None = None
    given: bool = False


@dataclass
class Fault:
    """A problem, and the ids of the steps or instances that cannot do without its being solved; none: the document."""

    problem: Problem
    concerns: list[str] = field(default_factory=list)


@dataclass
class Flat:
    """The inlined document: steps in the order of the file, and the sources of the workflow's outputs."""

    steps: list[Step]
    index: dict[str, int]
    outputs: dict[str, list[Source]]
    faults: list[Fault]

    def everything(self) -> Iterator[Step]:
        """Its steps, and those of the bodies of all calls in it."""
        todo = [self]
        for flat in todo:  # grows while it is walked
            yield from flat.steps
            todo += [step.call.flat for step in flat.steps if step.call]


@dataclass
class Call:
    """The body of an instance that is repeated: steps of its own, and what its inputs and outputs are called.

    `inputs` are the ports that each input feeds, `params` the steps that stand for inputs with a value of their own in
    each turn, or with a link. `broken` are the faults of outputs that come from nothing.
    """

    repeat: Repeat
    flat: Flat
    inputs: dict[str, list[Source]]
    params: dict[str, int] = field(default_factory=dict)
    broken: dict[str, list[Fault]] = field(default_factory=dict)


def most_turns(step: Step, call: Call) -> int:
    """How many turns a repeated instance can have at most, as far as the document says."""
    repeat = call.repeat
    times = repeat.times if isinstance(repeat.times, int) else _said(step, repeat.times or "")
    lists = [len(given) for given in (_said(step, name) for name in repeat.each) if isinstance(given, list)]
    return min([repeat.most, *lists, *([times] if isinstance(times, int) else [])])


def _said(step: Step, name: str) -> Any:
    """The value that an input has in the document; None where it is linked."""
    return None if step.links.get(name) else step.values.get(name)


def locate(flat: Flat, name: str) -> list[tuple[Flat, int]]:
    """The way to the step of a name, from the outermost call that it lies in; empty where there is none.

    Names lead into calls, `upscale/blur`, and into their turns, `upscale/3/blur`.
    """
    number = flat.index.get(name)
    if number is not None:
        return [(flat, number)]
    for end in (place for place, mark in enumerate(name) if mark == "/"):
        number = flat.index.get(name[:end])
        call = flat.steps[number].call if number is not None else None
        if number is None or call is None:
            continue
        turn, _, inner = name[end + 1 :].partition("/")
        in_turn = turn.isdecimal() and int(turn) < most_turns(flat.steps[number], call)
        found = (locate(call.flat, f"{name[:end]}/{inner}") if in_turn else []) or locate(call.flat, name)
        return [(flat, number), *found] if found else []
    return []
