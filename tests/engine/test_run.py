"""What runs, what does not, and what is told about it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.engine_bench import Engine, doc
from safelight.engine import (
    Cancel,
    NodeFailed,
    NodeFinished,
    NodeSkipped,
    NodeStarted,
    RunFinished,
    RunOptions,
    RunStarted,
)
from safelight.graph import Port


@pytest.fixture
def engine(tmp_path: Path) -> Any:
    made = Engine(tmp_path)
    yield made
    made.services.cache.close()


CHAIN = doc(
    {
        "a": ("number", {"value": 2}),
        "b": ("add", {"plus": 3}),
        "c": ("add", {"plus": 4}),
        "other": ("number", {"value": 9}),
    },
    [("a.value", "b.a"), ("b.value", "c.a")],
    {"r": "c.value", "o": "other.value"},
)


def test_a_run_and_its_events(engine: Engine) -> None:
    result = engine.run(CHAIN)
    assert result.status == "done"
    assert (engine.output(result, "r"), engine.output(result, "o")) == (9, 9)
    assert isinstance(engine.events[0], RunStarted)
    assert isinstance(engine.events[-1], RunFinished)
    started = [event.node for event in engine.events if isinstance(event, NodeStarted)]
    finished = [event.node for event in engine.events if isinstance(event, NodeFinished)]
    assert sorted(started) == sorted(finished) == ["a", "b", "c", "other"]
    assert started.index("a") < started.index("b") < started.index("c")


def test_nothing_is_computed_twice_not_even_after_a_restart(engine: Engine) -> None:
    engine.run(CHAIN)
    assert set(engine.statuses(CHAIN).values()) == {"cached"}
    engine.restart()
    assert set(engine.statuses(CHAIN).values()) == {"cached"}


def test_an_edit_runs_only_what_depends_on_it(engine: Engine) -> None:
    engine.run(CHAIN)
    edited = CHAIN.with_values({Port("b", "plus"): 30})
    assert engine.statuses(edited) == {"a": "cached", "b": "ran", "c": "ran", "other": "cached"}


def test_an_edit_without_effect_stops_there(engine: Engine) -> None:
    engine.run(CHAIN)
    swapped = CHAIN.with_values({Port("a", "value"): 4, Port("b", "plus"): 1})
    assert engine.statuses(swapped) == {"a": "ran", "b": "ran", "c": "cached", "other": "cached"}


def test_workflows_share_what_they_have_in_common(engine: Engine) -> None:
    engine.run(CHAIN)
    renamed = doc({"x": ("number", {"value": 2}), "y": ("add", {"plus": 3})}, [("x.value", "y.a")], {"r": "y.value"})
    assert engine.statuses(renamed) == {"x": "cached", "y": "cached"}


def test_a_failure_takes_only_what_depends_on_it(engine: Engine) -> None:
    document = doc(
        {"bad": ("fail", {"message": "no luck"}), "after": "add", "last": "add", "fine": ("number", {"value": 1})},
        [("bad.value", "after.a"), ("after.value", "last.a")],
        {"x": "last.value", "y": "fine.value"},
    )
    result = engine.run(document)
    assert result.status == "failed"
    statuses = {name: report.status for name, report in result.nodes.items()}
    assert statuses == {"bad": "failed", "after": "skipped", "last": "skipped", "fine": "ran"}
    assert [(p.code, p.node, p.message) for p in result.problems] == [("node_failed", "bad", "Fail failed: no luck")]
    assert "RuntimeError" in (result.problems[0].details or "")
    assert "Traceback" not in result.problems[0].message
    assert [event.because for event in engine.events if isinstance(event, NodeSkipped)] == ["bad", "after"]
    assert len([event for event in engine.events if isinstance(event, NodeFailed)]) == 1
    assert set(result.outputs) == {"y"}


def test_only_the_chosen_branch_runs(engine: Engine) -> None:
    document = doc(
        {"a": ("number", {"value": 1}), "b": ("fail", {}), "s": ("switch", {"condition": True})},
        [("a.value", "s.on_true"), ("b.value", "s.on_false")],
        {"r": "s.value"},
    )
    assert engine.plan(document).nodes["b"].status == "unneeded"
    assert engine.statuses(document) == {"a": "ran", "s": "ran"}
    assert engine.statuses(document) == {"a": "cached", "s": "cached"}
    # A change in the dead branch is no change.
    assert engine.statuses(document.with_values({Port("b", "message"): "other"})) == {"a": "cached", "s": "cached"}
    other = engine.run(document.with_values({Port("s", "condition"): False}))
    assert other.status == "failed"
    assert other.nodes["s"].status == "skipped"


def test_what_lies_below_a_choice_not_yet_made_is_unknown(engine: Engine) -> None:
    nodes = {"f": "flag", "s": "switch", "x": "number", "y": ("number", {"value": 2}), "z": "add"}
    links = [("f.value", "s.condition"), ("x.value", "s.on_true"), ("y.value", "z.a"), ("z.value", "s.on_false")]
    document = doc(nodes, links, {"r": "s.value"})
    plan = engine.plan(document)
    statuses = {name: node.status for name, node in plan.nodes.items()}
    assert statuses == {"f": "run", "s": "run", "x": "unknown", "y": "unknown", "z": "unknown"}
    assert engine.statuses(document) == {"f": "ran", "s": "ran", "x": "ran"}
    known = {name: node.status for name, node in engine.plan(document).nodes.items()}
    assert known == {"f": "cached", "s": "cached", "x": "cached", "y": "unneeded", "z": "unneeded"}
    # Now the condition is remembered, so an edit of the other branch is known not to matter, and one of this one to.
    other = engine.plan(document.with_values({Port("x", "value"): 8}))
    assert {name: node.status for name, node in other.nodes.items()}["x"] == "run"


def test_a_list_runs_a_node_once_per_element(engine: Engine) -> None:
    document = doc(
        {"l": ("count", {"numbers": [1, 2, 3]}), "b": ("add", {"plus": 10}), "t": "total"},
        [("l.values", "b.a"), ("b.value", "t.numbers")],
        {"each": "b.value", "sum": "t.value"},
    )
    result = engine.run(document)
    assert engine.output(result, "each") == [11, 12, 13]
    assert engine.output(result, "sum") == 36
    # Each element is kept by itself, and shared with the node run singly.
    single = doc({"n": ("number", {"value": 2}), "b": ("add", {"plus": 10})}, [("n.value", "b.a")], {"r": "b.value"})
    assert engine.statuses(single)["b"] == "cached"
    longer = document.with_values({Port("l", "numbers"): [3, 2, 1, 7]})
    assert engine.output(engine.run(longer), "each") == [13, 12, 11, 17]


def test_lists_inside_lists_keep_their_shape(engine: Engine) -> None:
    links = [("l.values", "u.end"), ("u.values", "b.a")]
    for ends in ([2, 0, 3, 0], [0, 0], []):
        nodes = {"l": ("count", {"numbers": ends}), "u": "below", "b": ("add", {"plus": 10})}
        result = engine.run(doc(nodes, links, {"r": "b.value"}))
        assert engine.output(result, "r") == [[10 + number for number in range(end)] for end in ends]


def test_lists_go_in_step(engine: Engine) -> None:
    nodes = {"x": ("count", {"numbers": [1, 2]}), "y": ("count", {"numbers": [10, 20]}), "b": "add"}
    document = doc(nodes, [("x.values", "b.a"), ("y.values", "b.b")], {"r": "b.value"})
    assert engine.output(engine.run(document), "r") == [11, 22]
    uneven = engine.run(document.with_values({Port("y", "numbers"): [1]}))
    assert [problem.code for problem in uneven.problems] == ["length_mismatch"]


def test_several_links_are_collected_in_order(engine: Engine) -> None:
    document = doc(
        {"p": ("paint", {"name": "p"}), "q": ("paint", {"name": "q"}), "m": "mix"},
        [("q.paint", "m.paints"), ("p.paint", "m.paints"), ("q.paint", "m.paints")],
        {"r": "m.canvas"},
    )
    canvas = engine.output(engine.run(document), "r")
    assert [paint.name for paint in canvas.paints] == ["q", "p", "q"]


def test_whole_numbers_become_floats_on_the_way(engine: Engine) -> None:
    document = doc({"n": ("number", {"value": 3}), "s": "scale"}, [("n.value", "s.by")], {"r": "s.value"})
    value = engine.output(engine.run(document), "r")
    assert (value, type(value)) == (3.0, float)
    too_much = engine.run(document.with_values({Port("n", "value"): 11}))
    assert [(problem.code, problem.port) for problem in too_much.problems] == [("out_of_range", "by")]


def test_files_are_part_of_the_key(engine: Engine) -> None:
    (engine.folder / "note.txt").write_text("one")
    document = doc({"r": ("read", {"file": "note.txt"}), "s": "shout"}, [("r.text", "s.text")], {"x": "s.text"})
    assert engine.output(engine.run(document), "x") == "ONE!0"
    assert set(engine.statuses(document).values()) == {"cached"}
    (engine.folder / "note.txt").write_text("three")
    assert engine.output(engine.run(document), "x") == "THREE!0"
    (engine.folder / "note.txt").unlink()
    assert [problem.code for problem in engine.run(document).problems] == ["file_missing"]


def test_what_is_never_the_same_always_runs_and_what_follows_looks_at_the_result(engine: Engine) -> None:
    document = doc({"c": ("clock", {"step": 0}), "b": "add"}, [("c.value", "b.a")], {"r": "b.value"})
    engine.run(document)
    assert engine.plan(document).nodes["c"].status == "run"
    assert engine.statuses(document) == {"c": "ran", "b": "cached"}


def test_force(engine: Engine) -> None:
    engine.run(CHAIN)
    forced = RunOptions(force=frozenset({"b"}))
    assert engine.plan(CHAIN, force=frozenset({"b"})).nodes["b"].status == "run"
    assert engine.statuses(CHAIN, options=forced) == {"a": "cached", "b": "ran", "c": "cached", "other": "cached"}


def test_running_up_to_a_node(engine: Engine) -> None:
    assert engine.statuses(CHAIN, targets=["b"]) == {"a": "ran", "b": "ran"}


def test_cancel_before_and_between_nodes(engine: Engine) -> None:
    cancel = Cancel()
    cancel.set()
    result = engine.run(CHAIN, cancel=cancel)
    assert (result.status, result.nodes) == ("cancelled", {})
    again = engine.run(CHAIN)
    assert again.status == "done"


def test_finished_files_are_named_whether_they_ran_or_not(engine: Engine) -> None:
    document = doc({"w": ("words", {"text": "hello"}), "f": "write"}, [("w.text", "f.text")])
    first, second = engine.run(document), engine.run(document)
    assert first.files == second.files
    assert engine.services.cache.get_bytes(first.files["f"][0].digest) == b"hello"
    assert second.nodes["f"].status == "cached"


def test_what_can_be_read_at_a_glance_is_told_with_the_end(engine: Engine) -> None:
    document = doc(
        {"n": ("number", {"value": 2}), "w": ("words", {"text": "hello"}), "f": "write"},
        [("w.text", "f.text")],
        {"r": "n.value"},
    )
    for _ in range(2):
        engine.run(document)
        told = {event.node: event.values for event in engine.events if isinstance(event, NodeFinished)}
        assert told == {"n": {"value": 2}, "w": {"text": "hello"}, "f": {}}


def test_a_long_chain_and_a_wide_diamond(engine: Engine) -> None:
    size = 10_000
    nodes: dict[str, Any] = {f"n{i}": ("add", {"a": i} if i == 0 else {"plus": 1}) for i in range(size)}
    chain = doc(nodes, [(f"n{i}.value", f"n{i + 1}.a") for i in range(size - 1)], {"r": f"n{size - 1}.value"})
    assert engine.output(engine.run(chain), "r") == size - 1
    layers, links, last = {"s": ("number", {"value": 1})}, [], "s"
    for layer in range(30):
        for side in "lr":
            layers[f"{side}{layer}"] = ("add", {"plus": layer})
            links.append((f"{last}.value", f"{side}{layer}.a"))
        layers[f"j{layer}"] = ("add", {})
        links += [(f"l{layer}.value", f"j{layer}.a"), (f"r{layer}.value", f"j{layer}.b")]
        last = f"j{layer}"
    diamond = doc(layers, links, {"r": f"{last}.value"})
    started = time.perf_counter()
    plan = engine.plan(diamond)
    assert time.perf_counter() - started < 1
    assert {node.status for node in plan.nodes.values()} == {"run"}


@settings(max_examples=60, deadline=None)
@given(
    edges=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=20),
    values=st.lists(st.integers(0, 2), min_size=12, max_size=12),
    edits=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 2)), min_size=1, max_size=4),
)
def test_the_plan_predicts_the_run(
    tmp_path_factory: pytest.TempPathFactory,
    edges: list[tuple[int, int]],
    values: list[int],
    edits: list[tuple[int, int]],
) -> None:
    """On random graphs with random edits: what is called cached never runs; what is said to run does, unless an
    input turned out unchanged."""
    engine = Engine(tmp_path_factory.mktemp("plan"))
    nodes: dict[str, Any] = {f"n{i}": ("number", {"value": values[i]}) for i in range(4)}
    nodes |= {f"n{i}": ("total", {"numbers": [i]}) for i in range(4, 12)}
    links = [(f"n{min(a, b)}.value", f"n{max(a, b)}.numbers") for a, b in edges if a != b and max(a, b) >= 4]
    document = doc(nodes, links)
    for step in range(len(edits) + 1):
        if step:
            number, value = edits[step - 1]
            document = document.with_values({Port(f"n{number % 4}", "value"): value})
        plan = engine.plan(document)
        result = engine.run(document)
        for name, planned in plan.nodes.items():
            report = result.nodes.get(name)
            if planned.status == "cached":
                assert report is None or report.status == "cached"
            elif planned.status == "run":
                assert report is not None
        ran = {name for name, report in result.nodes.items() if report.status == "ran"}
        assert ran <= {name for name, planned in plan.nodes.items() if planned.status == "run"}
        again = engine.run(document)
        assert not [name for name, report in again.nodes.items() if report.status == "ran"]
        assert {planned.status for planned in engine.plan(document).nodes.values()} <= {"cached", "unneeded"}
    engine.services.cache.close()
