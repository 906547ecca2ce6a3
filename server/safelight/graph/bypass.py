"""Links led around nodes that are bypassed, and cut at those that are muted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .constant import constant, typed_in
from .flat import Source, Step

Constants = dict[Source, Source]
"""By output of a bypassed node: the output of the step that hands on what was typed into it."""


def around_bypassed(steps: list[Step]) -> tuple[set[int], Constants]:
    """Changes the links of the steps so that they begin at nodes that are on.

    A bypassed node hands on what comes into its first input of the output's type; a muted one hands on nothing. Where
    that input is typed in, a step is added that gives the value, checked as that of any node.

    Returns:
        The steps that have lost all links into an input, and the constants that were added.
    """
    cut: set[int] = set()
    if all(step.mode == "on" for step in steps):
        return cut, {}
    constants = _constants(steps)
    for number, step in enumerate(steps):
        for port, sources in step.links.items():
            if all(steps[source].mode == "on" for source, _ in sources):
                continue
            step.links[port] = [reached for source in sources for reached in behind(steps, constants, source)]
            if not step.links[port]:
                cut.add(number)
    return cut, constants


def behind(steps: Sequence[Step], constants: Constants, source: Source) -> Iterator[Source]:
    """The outputs that are on behind one that may not be."""
    todo, seen = [source], set[Source]()
    while todo:
        at = todo.pop(0)
        step = steps[at[0]]
        if step.mode == "on":
            yield at
        if step.mode != "bypass" or at in seen or step.kind is None:
            continue
        seen.add(at)
        if at in constants:
            yield constants[at]
            continue
        wanted = step.kind.outputs.get(at[1])
        for name, kind in step.kind.inputs.items():
            if kind == wanted and step.links.get(name):
                todo += step.links[name]
                break


def _constants(steps: list[Step]) -> Constants:
    found: Constants = {}
    for number, step in enumerate(steps[:]):
        if step.mode != "bypass" or step.kind is None:
            continue
        given = {output: typed_in(step.kind, step.values, step.links, output) for output in step.kind.outputs}
        ports = {output: (spec, step.kind.inputs[spec.name]) for output, spec in given.items() if spec is not None}
        if not ports:
            continue
        names = {spec.name for spec, _ in ports.values()}
        values = {name: value for name, value in step.values.items() if name in names}
        found |= {(number, output): (len(steps), output) for output in ports}
        steps.append(Step(step.id, step.node, constant(ports), "on", values))
    return found
