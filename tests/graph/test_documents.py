"""Reading, saving, migrating and inlining documents."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trivial_nodes
from safelight.graph import Document, Port, check, migrate
from safelight.graph.document import Node
from safelight.graph.expand import expand
from safelight.sdk import Migration, ProblemError

T = "trivial_nodes."
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="./ \t\n\0"), min_size=1, max_size=8).filter(
    lambda name: not name.isspace()
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def doc(nodes: dict[str, Any], links: list[tuple[str, str]] | None = None, **more: Any) -> Document:
    data = {"format": "safelight/1", "nodes": nodes, "links": [{"from": a, "to": b} for a, b in links or []]}
    return Document.parse(data | more)


def n(kind: str, /, **values: Any) -> dict[str, Any]:
    return {"type": T + kind, "values": values}


@given(st.dictionaries(NAMES, st.dictionaries(st.text(), JSON, max_size=3), max_size=4), JSON, st.text())
def test_saving_and_reading_gives_the_same_document(nodes: dict[str, Any], extra: Any, name: str) -> None:
    data = {
        "format": "safelight/1",
        "name": name,
        "nodes": {key: {"type": "a.b", "values": values, "novel": extra} for key, values in nodes.items()},
        "links": [],
        "beyond": extra,
    }
    document = Document.parse(data)
    text = document.dumps()
    assert Document.loads(text) == document
    assert Document.loads(text).dumps() == text
    assert json.loads(text)["beyond"] == extra


def test_what_is_not_known_is_kept_as_it_was_written() -> None:
    node = '{"type": "novel/x.y", "values": {"v": 1.50, "w": 1e-7}, "glow": 2.0}'
    written = f'{{"format": "safelight/1", "nodes": {{"a": {node}}}}}'
    saved = Document.loads(written).dumps()
    for piece in ("1.50", "1e-7", '"glow": 2.0', "novel/x.y"):
        assert piece in saved


def test_values_are_typed_in_by_input_and_by_port() -> None:
    document = doc(
        {"a": n("number", value=1), "b": n("add", plus=2)},
        [("a.value", "b.a")],
        inputs=[{"name": "start", "to": "a.value"}],
    )
    changed = document.with_inputs({"start": 9}).with_values({Port("b", "a"): 5})
    assert changed.nodes["a"].values == {"value": 9}
    assert changed.nodes["b"].values == {"plus": 2, "a": 5}
    assert changed.links == ()
    assert document.nodes["a"].values == {"value": 1}
    with pytest.raises(ProblemError, match="Did you mean start"):
        document.with_inputs({"strat": 1})
    with pytest.raises(ProblemError, match="no node 'zz'"):
        document.with_values({Port("zz", "a"): 1})


def test_old_nodes_are_brought_to_the_installed_version() -> None:
    old = doc(
        {"x": n("number", value=4), "a": {"type": T + "renamed", "version": 1, "values": {"amount": 3}}, "b": n("add")},
        [("x.value", "a.a"), ("a.out", "b.a")],
        inputs=[{"name": "amount", "to": "a.amount"}],
        outputs=[{"name": "o", "from": "a.out"}],
        subgraphs={"s": {"nodes": {"a": {"type": T + "renamed", "version": 2, "values": {"factor": 2}}}, "links": []}},
    )
    new = migrate(old, trivial_nodes.catalogue())
    assert new.nodes["a"].version == 3
    assert new.nodes["a"].values == {"by": 30}
    assert [str(link.source) for link in new.links] == ["x.value", "a.value"]
    assert str(new.inputs[0].to) == "a.by"
    assert str(new.outputs[0].source) == "a.value"
    assert new.subgraphs["s"].nodes["a"].values == {"by": 20}
    assert migrate(new, trivial_nodes.catalogue()) is new
    assert check(old, trivial_nodes.catalogue()).problems == []


INNER = {
    "nodes": {"up": n("add", plus=1), "twice": n("add")},
    "links": [{"from": "up.value", "to": "twice.a"}, {"from": "up.value", "to": "twice.b"}],
    "inputs": [{"name": "start", "to": "up.a"}, {"name": "plus", "to": "up.plus"}],
    "outputs": [{"name": "end", "from": "twice.value"}],
}


def test_subgraphs_are_inlined_at_any_depth() -> None:
    outer = {
        "nodes": {"one": {"type": "subgraph:inner"}, "two": {"type": "subgraph:inner", "values": {"plus": 7}}},
        "links": [{"from": "one.end", "to": "two.start"}],
        "inputs": [{"name": "start", "to": "one.start"}],
        "outputs": [{"name": "end", "from": "two.end"}],
        "subgraphs": {"inner": INNER},
    }
    document = doc(
        {"n": n("number"), "o": {"type": "subgraph:outer", "values": {"one/twice.plus": 5}}, "last": n("add")},
        [("n.value", "o.start"), ("o.end", "last.a")],
        subgraphs={"outer": outer},
        outputs=[{"name": "r", "from": "o.end"}],
    )
    flat = expand(document, trivial_nodes.catalogue())
    assert [fault.problem for fault in flat.faults] == []
    assert sorted(flat.index) == ["last", "n", "o/one/twice", "o/one/up", "o/two/twice", "o/two/up"]
    values = {step.id: step.values for step in flat.steps}
    assert values["o/one/twice"] == {"plus": 5}
    assert values["o/two/up"] == {"plus": 7}
    assert values["o/one/up"] == {"plus": 1}
    links = {
        f"{step.id}.{port}": [f"{flat.steps[source].id}.{output}" for source, output in sources]
        for step in flat.steps
        for port, sources in step.links.items()
    }
    assert links["o/one/up.a"] == ["n.value"]
    assert links["o/two/up.a"] == ["o/one/twice.value"]
    assert links["last.a"] == ["o/two/twice.value"]
    assert check(document, trivial_nodes.catalogue()).problems == []


def test_a_bypassed_instance_passes_on_what_fits() -> None:
    document = doc(
        {"n": n("number", value=3), "s": {"type": "subgraph:inner", "mode": "bypass"}, "last": n("add")},
        [("n.value", "s.start"), ("s.end", "last.a")],
        subgraphs={"inner": INNER},
    )
    graph = check(document, trivial_nodes.catalogue()).require()
    last = graph.nodes[graph.index["last"]]
    assert [graph.nodes[source].id for source, _ in last.wires["a"].sources] == ["n"]


def test_bypass_and_mute() -> None:
    nodes = {"n": n("number"), "mid": n("add", plus=1), "last": n("add"), "all": n("total")}
    links = [("n.value", "mid.a"), ("mid.value", "last.a"), ("mid.value", "all.numbers"), ("n.value", "all.numbers")]
    bypassed = check(
        doc({**nodes, "mid": nodes["mid"] | {"mode": "bypass"}}, links), trivial_nodes.catalogue()
    ).require()
    last = bypassed.nodes[bypassed.index["last"]]
    assert [bypassed.nodes[source].id for source, _ in last.wires["a"].sources] == ["n"]
    muted = check(doc({**nodes, "mid": nodes["mid"] | {"mode": "mute"}}, links), trivial_nodes.catalogue()).require()
    assert muted.nodes[muted.index["last"]].off
    everything = muted.nodes[muted.index["all"]]
    assert not everything.off
    assert [muted.nodes[source].id for source, _ in everything.wires["numbers"].sources] == ["n"]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def _raises(_: dict[str, Any]) -> dict[str, Any]:
    raise Unspeakable


@pytest.mark.parametrize(
    "change", [_raises, lambda values: values["gone"], lambda values: None, lambda values: sys.exit(3)]
)
def test_a_migration_that_fails_names_the_node_and_its_pack(change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = trivial_nodes.catalogue()
    kind = next(kind for kind in kinds.values() if kind.spec.version == 3)
    monkeypatch.setitem(kind.migrations, 2, Migration(values=change))
    old = Document(subgraphs={"s": Document(nodes={"x": Node(kind.spec.id, 1)})}, nodes={"a": Node(kind.spec.id, 2)})
    with pytest.raises(ProblemError) as caught:
        migrate(Document(nodes=old.nodes), kinds)
    (problem,) = caught.value.problems
    assert (problem.code, problem.node) == ("migration_failed", "a") and repr(kind.spec.pack) in problem.hint
    with pytest.raises(ProblemError) as caught:
        migrate(Document(subgraphs=old.subgraphs), kinds)
    assert caught.value.problems[0].node == "s/x"


def test_how_links_and_ports_are_drawn_is_kept() -> None:
    """Names in place of wires, reroute points, and the places of a subgraph's border."""
    entry = {"name": "text", "to": "encode.text", "bend": [[1, 2]], "flag": "the prompt"}
    inside = {
        "nodes": {"encode": {"type": "text.encode"}},
        "links": [],
        "inputs": [entry],
        "outputs": [{"name": "conditioning", "from": "encode.conditioning", "flag": "out"}],
        "ui": {"nodes": {"/inputs": {"x": -9, "y": 0}, "/outputs": {"x": 9, "y": 0}}},
    }
    link = {"from": "one.conditioning", "to": "sample.positive", "flag": "prompt", "bend": [[3, 4]]}
    nodes = {"one": {"type": "subgraph:part"}, "sample": {"type": "sampling.sample"}}
    data = {"format": "safelight/1", "nodes": nodes, "links": [link], "subgraphs": {"part": inside}}
    assert json.loads(Document.loads(json.dumps(data)).dumps()) == data
