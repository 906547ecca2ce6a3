"""Rules name nodes, ports and choices that there are."""

from __future__ import annotations

from contextlib import suppress

import pytest

from safelight.interop.comfyui import classes
from safelight.interop.comfyui.graph import ForeignGraph, ForeignNode, Wire
from safelight.interop.comfyui.level import At, Level
from safelight.interop.comfyui.rules import rules
from safelight.interop.comfyui.rules.base import Ref, Row, Unfit
from safelight.interop.comfyui.translate import translate
from safelight.sdk.pack import Catalogue, load_packs

ROWS = {name: rule for name, rule in rules().items() if isinstance(rule, Row)}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_packs()


@pytest.mark.parametrize("name", ROWS)
def test_a_row_names_what_there_is(name: str, catalogue: Catalogue) -> None:
    row = ROWS[name]
    spec = catalogue[row.type].spec
    inputs = {port.name: port for port in spec.inputs}
    outputs = {port.name for port in spec.outputs}
    ours = {port if isinstance(port, str) else port[0] for port in row.inputs.values()}
    assert ours <= set(inputs)
    assert {port for port in row.outputs if port} <= outputs
    for port, value in row.fixed.items():
        assert not inputs[port].choices or value in inputs[port].choices


@pytest.mark.parametrize("name", ROWS)
def test_a_row_knows_the_inputs_and_outputs_of_its_class(name: str) -> None:
    known = classes.find(name)
    if known is None:
        pytest.skip("a class of a pack")
    theirs = {one.name for one in known.inputs}
    assert set(ROWS[name].inputs) <= theirs and set(ROWS[name].unused) <= theirs
    assert len(ROWS[name].outputs) in (0, len(known.outputs))


def _surrounded(name: str) -> tuple[At, ForeignGraph]:
    """A node of a class in the middle: all its sockets wired, all its values as they come."""
    known = classes.find(name)
    assert known is not None
    graph = ForeignGraph()
    node = ForeignNode("1", name, outputs=list(known.outputs), types={one.name: one.type for one in known.inputs})
    for number, one in enumerate(known.inputs):
        if one.widget:
            node.typed[one.name] = {"COMBO": "x", "STRING": "1", "COLOR": "#ffffff"}.get(one.type, one.default or 1)
        else:
            giver = f"from_{number}"
            graph.nodes[giver] = ForeignNode(giver, "Nobody's", outputs=[("it", one.type)])
            node.wires[one.name] = Wire(giver, 0)
    graph.nodes["1"] = node
    level = Level(graph, {name}, inner=False)
    return At(level, node), graph


@pytest.mark.parametrize("name", [name for name in rules() if classes.find(name)])
def test_what_a_rule_makes_there_is(name: str, catalogue: Catalogue) -> None:
    site, graph = _surrounded(name)
    try:
        made = rules()[name](site)
    except Unfit as unfit:
        assert str(unfit).endswith((".", ":")) or ":" in str(unfit)
        return
    known = classes.find(name)
    assert known is not None and len(made.outputs) <= max(len(known.outputs), 3)
    for part in made.parts.values():
        spec = catalogue[part.type].spec
        inputs = {port.name for port in spec.inputs}
        assert set(part.values) | set(part.inputs) <= inputs, part.type
        for given in part.inputs.values():
            for one in given if isinstance(given, list) else [given]:
                if isinstance(one, Ref):
                    assert one.port in {port.name for port in catalogue[made.parts[one.part].type].spec.outputs}
                else:
                    assert one.wire.node in graph.nodes
    for out in made.outputs:
        if isinstance(out, Ref):
            assert out.port in {port.name for port in catalogue[made.parts[out.part].type].spec.outputs}


@pytest.mark.parametrize("name", [name for name in rules() if classes.find(name)])
def test_a_node_that_is_wired_to_itself_ends(name: str) -> None:
    site, graph = _surrounded(name)
    node = graph.nodes["1"]
    node.wires = {port: Wire("1", 0) for port in node.types}
    with suppress(Unfit, TypeError, ValueError):
        rules()[name](site)
    translate(graph)
