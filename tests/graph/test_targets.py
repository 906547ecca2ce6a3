"""What the targets need stops a run when it is wrong; what they do not need is told, and stops nothing."""

from __future__ import annotations

from typing import Any

import pytest

import trivial_nodes
from engine.engine_bench import doc
from safelight.graph import Checked, Document, check


def checked(
    nodes: dict[str, Any], links: list[tuple[str, str]], targets: list[str] | None = None, **more: Any
) -> Checked:
    return check(doc(nodes, links, **more), trivial_nodes.catalogue(), targets)


def told(found: Checked) -> dict[str, str]:
    return {problem.code: problem.level for problem in found.problems}


GOOD: dict[str, Any] = {"w": ("words", {"text": "x"}), "save": "write"}
GOOD_LINKS = [("w.text", "save.text")]
STRAYS: dict[str, tuple[dict[str, Any], list[tuple[str, str]], str, dict[str, Any]]] = {
    "a type that is not installed": ({"s": "nowhere"}, [], "unknown_type", {}),
    "a missing input": ({"s": "add"}, [], "missing_input", {}),
    "a value of another type": ({"s": ("number", {"value": "x"})}, [], "wrong_type", {}),
    "a port that is not there": ({"s": ("number", {"size": 1})}, [], "unknown_port", {}),
    "a link from nowhere": ({"s": "add"}, [("gone.value", "s.a")], "dangling_link", {}),
    "an output that is not there": ({"n": "number", "s": "add"}, [("n.size", "s.a")], "unknown_output", {}),
    "types that do not fit": ({"n": "words", "s": "add"}, [("n.text", "s.a")], "type_mismatch", {}),
    "a circle": ({"s": "add", "u": "add"}, [("s.value", "u.a"), ("u.value", "s.a")], "cycle", {}),
    "an unknown subgraph": ({"s": ("number", {})}, [], "unknown_subgraph", {"instance": "subgraph:gone"}),
    "a subgraph within itself": (
        {"s": ("number", {})},
        [],
        "recursive_subgraph",
        {
            "instance": "subgraph:loop",
            "subgraphs": {
                "loop": {"nodes": {"in": {"type": "subgraph:loop"}}, "outputs": [{"name": "value", "from": "in.value"}]}
            },
        },
    ),
}


@pytest.mark.parametrize("name", STRAYS)
def test_a_stray_stops_nothing(name: str) -> None:
    nodes, links, code, more = STRAYS[name]
    document = _document(GOOD | nodes, [*GOOD_LINKS, *links], **more)
    for targets in (None, ["save"]):
        found = check(document, trivial_nodes.catalogue(), targets)
        assert found.ok, found.problems
        assert told(found)[code] == "warning"
        assert set(told(found).values()) == {"warning"}


@pytest.mark.parametrize("targets", [None, ["end"]])
@pytest.mark.parametrize("name", STRAYS)
def test_what_is_needed_is_told_as_an_error(name: str, targets: list[str] | None) -> None:
    nodes, links, code, more = STRAYS[name]
    stray = "instance" if more else "s"
    nodes = nodes | {"end": ("write", {})}
    links = [*links, (f"{stray}.{'text' if code == 'unknown_type' else 'value'}", "mid.a"), ("mid.value", "end.text")]
    document = _document(nodes | {"mid": "add"}, links, **more)
    found = check(document, trivial_nodes.catalogue(), targets)
    assert not found.ok
    assert told(found)[code] == "error"


def _document(nodes: dict[str, Any], links: list[tuple[str, str]], instance: str = "", **more: Any) -> Document:
    data = doc(nodes, links, **more).data()
    if instance:
        data["nodes"]["instance"] = {"type": instance}
    return Document.parse(data)


def test_a_branch_that_may_not_be_chosen() -> None:
    nodes = {"good": "number", "bad": "add", "pick": "switch"}
    links = [("good.value", "pick.on_true"), ("bad.value", "pick.on_false")]
    found = checked(nodes, links, outputs={"r": "pick.value"})
    assert found.ok and told(found) == {"missing_input": "warning"}
    graph = found.require()
    assert [problem.code for problem in graph.nodes[graph.index["bad"]].faults] == ["missing_input"]
    behind = checked(
        nodes | {"more": "add"},
        [links[0], ("bad.value", "more.a"), ("more.value", "pick.on_false")],
        outputs={"r": "pick.value"},
    ).require()
    assert [problem.code for problem in behind.nodes[behind.index["more"]].faults] == ["missing_input"]


def test_a_circle_on_a_branch_that_may_not_be_chosen() -> None:
    nodes = {"good": "number", "a": "add", "b": "add", "pick": "switch", "end": "add"}
    links = [
        ("good.value", "pick.on_true"), ("a.value", "b.a"), ("b.value", "a.a"), ("b.value", "pick.on_false"),
        ("pick.value", "end.a"),
    ]  # fmt: skip
    found = checked(nodes, links, outputs={"r": "end.value"})
    assert found.ok and told(found) == {"cycle": "warning"}
    graph = found.require()
    assert not graph.nodes[graph.index["pick"]].faults and not graph.nodes[graph.index["end"]].faults
    assert [problem.code for problem in graph.nodes[graph.index["b"]].faults] == ["cycle"]
    assert graph.order.index(graph.index["pick"]) < graph.order.index(graph.index["end"])


@pytest.mark.parametrize(
    ("targets", "modes", "code"),
    [
        ([], {}, "nothing_to_run"),
        (["a"], {"a": "mute"}, "nothing_to_run"),
        (None, {"a": "mute"}, "nothing_to_run"),
        (["b"], {"a": "mute"}, "nothing_to_run"),
        (["gone"], {}, "unknown_node"),
        (["b"], {}, ""),
    ],
)
def test_a_run_of_nothing_says_so(targets: list[str] | None, modes: dict[str, str], code: str) -> None:
    nodes = {"a": ("number", {}, {"mode": modes.get("a", "on")}), "b": "add"}
    found = checked(nodes, [("a.value", "b.a")], targets)
    assert found.ok == (not code)
    assert not code or told(found)[code] == "error"


def test_a_bypassed_node_as_an_output_of_the_workflow() -> None:
    nodes = {"a": ("number", {"value": 4}), "b": ("add", {"plus": 1}, {"mode": "bypass"})}
    graph = checked(nodes, [("a.value", "b.a")], outputs={"r": "b.value"}).require()
    assert graph.outputs == {"r": (graph.index["a"], "value")}
    assert graph.targets == [graph.index["a"]]


def bypassed(name: str, values: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, str]]:
    return (name, values, {"mode": "bypass"})


def test_what_is_typed_into_a_bypassed_node_is_handed_on_as_any_value() -> None:
    nodes: dict[str, Any] = {
        "one": bypassed("shout", {"text": "hi"}),
        "two": bypassed("shout", {"text": "yo"}),
        "linked": ("words", {"text": "in"}),
        "all": "texts",
    }
    links = [("one.text", "all.given"), ("linked.text", "all.given"), ("two.text", "all.given")]
    graph = checked(nodes, links, outputs={"r": "all.texts"}).require()
    wire = graph.nodes[graph.index["all"]].wires["given"]
    assert [graph.nodes[source].id for source, _ in wire.sources] == ["one", "linked", "two"] and wire.collect
    wrong = checked({"one": bypassed("shout", {"text": 3}), "all": "texts"}, [("one.text", "all.given")])
    assert [(problem.code, problem.node, problem.port) for problem in wrong.problems] == [("wrong_type", "one", "text")]


def test_what_is_typed_into_a_bypassed_instance_is_handed_on() -> None:
    inner = {
        "nodes": {"s": {"type": "trivial_nodes.shout"}},
        "inputs": [{"name": "given", "to": "s.text"}],
        "outputs": [{"name": "loud", "from": "s.text"}],
    }
    document = _document({"all": "texts"}, [("g.loud", "all.given")], subgraphs={"inner": inner}).data()
    document["nodes"]["g"] = {"type": "subgraph:inner", "mode": "bypass", "values": {"given": "hi"}}
    graph = check(Document.parse(document), trivial_nodes.catalogue()).require()
    (source,) = graph.nodes[graph.index["all"]].wires["given"].sources
    assert graph.nodes[source[0]].wires["given"].value == "hi"


@pytest.mark.parametrize(
    ("repeat", "values"),
    [({"times": 3}, {}), ({"times": "count"}, {"count": 3}), ({"each": ["count"]}, {"count": [1, 2, 3]})],
)
def test_a_turn_that_is_not_there_is_no_target(repeat: dict[str, Any], values: dict[str, Any]) -> None:
    body = {
        "nodes": {"c": {"type": "trivial_nodes.number"}},
        "inputs": [{"name": "count", "to": "c.value"}] if values else [],
        "outputs": [{"name": "value", "from": "c.value"}],
    }
    node = {"type": "subgraph:body", "repeat": repeat, **({"values": values} if values else {})}
    document = Document.parse(doc({}, [], subgraphs={"body": body}).data() | {"nodes": {"l": node}})
    for target, ok in (("l/2/c", True), ("l/c", True), ("l/3/c", False), ("l/99/c", False)):
        found = check(document, trivial_nodes.catalogue(), [target])
        assert found.ok == ok, (target, found.problems)
        if not ok:
            assert told(found)["unknown_node"] == "error"
