"""Links led around nodes that are bypassed, and cut at those that are muted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .expand import Source, Step


@dataclass
class Around:
    """What `around_bypassed` found beside the links.

    `cut` are the steps that have lost all links into an input. `values` are, by step and input, what was typed into the
    input of a bypassed node that stands in for its output.
    """

    cut: set[int] = field(default_factory=set)
    values: dict[tuple[int, str], Any] = field(default_factory=dict)


def around_bypassed(steps: Sequence[Step]) -> Around:
    """Changes the links of the steps so that they begin at nodes that are on.

    A bypassed node hands on what comes into its first input of the output's type; a muted one hands on nothing.
    """
    around = Around()
    if all(step.mode == "on" for step in steps):
        return around
    for number, step in enumerate(steps):
        for port, sources in step.links.items():
            if all(steps[source].mode == "on" for source, _ in sources):
                continue
            found = [reached for source in sources for reached in _follow(steps, source, around, (number, port))]
            step.links[port] = found
            if not found and (number, port) not in around.values:
                around.cut.add(number)
    return around


def behind_bypassed(steps: Sequence[Step], source: Source) -> list[Source]:
    """The outputs that are on behind one that may not be: what an output of the workflow then is."""
    return list(_follow(steps, source, Around(), source))


def _follow(steps: Sequence[Step], source: Source, around: Around, into: tuple[int, str]) -> Iterator[Source]:
    """The sources that are on behind one that may not be."""
    todo, seen = [source], set[Source]()
    while todo:
        at = todo.pop(0)
        step = steps[at[0]]
        if step.mode == "on":
            yield at
        if step.mode != "bypass" or at in seen or step.kind is None:
            continue
        seen.add(at)
        wanted = step.kind.outputs.get(at[1])
        for name, kind in step.kind.inputs.items():
            if kind == wanted and step.links.get(name):
                todo += step.links[name]
                break
            if kind == wanted and name in step.values:
                around.values[into] = step.values[name]
                break
