"""Instances that are repeated: for each element, a number of times, while a condition holds, with values carried."""

from __future__ import annotations

import gc
import time
import weakref
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from engine import random_graphs
from engine.cache_tools import run_python
from engine.engine_bench import Engine
from safelight.engine import Cancel, NodeFailed, NodeFinished, NodeProgress, NodeStarted, RunOptions, run, thin
from safelight.engine.cache.passing import Passing
from safelight.engine.calling import Caller
from safelight.graph import Document, check, survey


@pytest.fixture
def engine(tmp_path: Path) -> Any:
    made = Engine(tmp_path)
    yield made
    made.services.cache.close()


def node(kind: str, **values: Any) -> dict[str, Any]:
    return {"type": f"trivial_nodes.{kind}", "values": values}


def links(*pairs: str) -> list[dict[str, str]]:
    return [{"from": pair.split(" > ")[0], "to": pair.split(" > ")[1]} for pair in pairs]


def ports(key: str, **named: str) -> list[dict[str, str]]:
    return [{"name": name, key: port} for name, port in named.items()]


ADDS = {
    "nodes": {"sum": node("add", plus=1), "twice": node("add")},
    "links": links("sum.value > twice.a", "sum.value > twice.b"),
    "inputs": ports("to", a="sum.a", plus="sum.plus"),
    "outputs": ports("from", out="twice.value", half="sum.value"),
}
"""2 (a + plus)."""


def doc(
    nodes: dict[str, Any],
    wires: list[dict[str, str]],
    outputs: dict[str, str],
    **subgraphs: Any,
) -> Document:
    return Document.parse(
        {
            "format": "safelight/1",
            "nodes": nodes,
            "links": wires,
            "outputs": ports("from", **outputs),
            "subgraphs": subgraphs,
        }
    )


def loop(kind: str = "adds", values: dict[str, Any] | None = None, **repeat: Any) -> dict[str, Any]:
    repeat = {"while" if key == "proceed" else key: value for key, value in repeat.items()}
    return {"type": f"subgraph:{kind}", "values": values or {}, "repeat": repeat}


EACH = doc(
    {"list": node("count", numbers=[1, 2, 3]), "loop": loop(each=["a"]), "sum": node("total")},
    links("list.values > loop.a", "loop.out > sum.numbers"),
    {"all": "loop.out", "sum": "sum.value"},
    adds=ADDS,
)


def results(engine: Engine, document: Document, **more: Any) -> dict[str, Any]:
    result = engine.run(document, **more)
    assert result.status == "done", result.problems
    return dict(result.values)


def called(engine: Engine) -> list[str]:
    """The nodes that were called in the last run, in order."""
    return [event.node for event in engine.events if isinstance(event, NodeStarted)]


def test_for_each_element_the_whole_body(engine: Engine) -> None:
    assert results(engine, EACH) == {"all": [4, 6, 8], "sum": 18}
    inside = [name for name in called(engine) if name.startswith("loop/")]
    assert inside == [f"loop/{turn}/{name}" for turn in range(3) for name in ("sum", "twice")]
    assert set(engine.statuses(EACH).values()) == {"cached"}
    engine.restart()
    assert set(engine.statuses(EACH).values()) == {"cached"}
    assert called(engine) == []


def test_a_change_of_one_element_runs_its_turn_alone(engine: Engine) -> None:
    engine.run(EACH)
    edited = doc(
        {"list": node("count", numbers=[1, 5, 3]), "loop": loop(each=["a"])},
        links("list.values > loop.a"),
        {"all": "loop.out"},
        adds=ADDS,
    )
    assert results(engine, edited) == {"all": [4, 12, 8]}
    assert [name for name in called(engine) if "/" in name] == ["loop/1/sum", "loop/1/twice"]


def test_turns_are_known_to_plain_instances_and_the_other_way_round(engine: Engine) -> None:
    plain = doc(
        {"two": node("number", value=2), "one": {"type": "subgraph:adds"}},
        links("two.value > one.a"),
        {"out": "one.out"},
        adds=ADDS,
    )
    engine.run(plain)
    engine.run(EACH)
    assert [name for name in called(engine) if "/" in name] == [
        f"loop/{turn}/{n}" for turn in (0, 2) for n in ("sum", "twice")
    ]


def test_a_number_of_times_with_a_value_carried(engine: Engine) -> None:
    document = doc(
        {"loop": loop(values={"a": 1}, times=4, carry={"a": "out"})},
        [],
        {"last": "loop.out", "halves": "loop.half"},
        adds=ADDS,
    )
    assert results(engine, document) == {"last": 46, "halves": [2, 5, 11, 23]}
    assert set(engine.statuses(document).values()) == {"cached"}
    assert engine.plan(document).nodes["loop"].turns.total == 4  # type: ignore[union-attr]


COUNTS = {
    "nodes": {"sum": node("add", plus=1), "more": node("below_limit", limit=5)},
    "links": links("sum.value > more.a"),
    "inputs": ports("to", a="sum.a", limit="more.limit"),
    "outputs": ports("from", out="sum.value", more="more.value"),
}


def test_while_a_condition_holds(engine: Engine) -> None:
    document = doc(
        {"loop": loop("counts", {"a": 0}, carry={"a": "out"}, proceed="more")},
        [],
        {"last": "loop.out", "seen": "loop.more"},
        counts=COUNTS,
    )
    assert results(engine, document) == {"last": 5, "seen": [True] * 4 + [False]}
    planned = engine.plan(document).nodes["loop"]
    assert planned.status == "cached" and planned.turns is not None and planned.turns.total == 5
    more = doc(
        {"loop": loop("counts", {"a": 0, "limit": 8}, carry={"a": "out"}, proceed="more")},
        [],
        {"last": "loop.out"},
        counts=COUNTS,
    )
    turns = engine.plan(more).nodes["loop"].turns
    assert turns is not None and (turns.total, turns.run) == (None, 1)
    assert results(engine, more) == {"last": 8}
    assert [name for name in called(engine) if name.endswith("sum")] == ["loop/5/sum", "loop/6/sum", "loop/7/sum"]


def test_the_number_of_the_turn_and_a_count_that_comes_in(engine: Engine) -> None:
    document = doc(
        {"n": node("number", value=3), "loop": loop(values={"a": 10}, times="turns", index="plus")},
        links("n.value > loop.turns"),
        {"out": "loop.half"},
        adds=ADDS,
    )
    assert results(engine, document) == {"out": [10, 11, 12]}
    assert [name for name in called(engine) if "twice" in name] == [], "nobody asks for it"
    typed = doc(
        {"loop": loop(values={"a": 10, "turns": 2}, times="turns", index="plus")}, [], {"out": "loop.half"}, adds=ADDS
    )
    assert results(engine, typed) == {"out": [10, 11]}
    assert [name for name in called(engine) if "/" in name] == []


def test_lists_go_in_step_and_one_element_stands_for_all(engine: Engine) -> None:
    def of(a: list[int], plus: list[int]) -> Document:
        return doc(
            {"loop": loop(values={"a": a, "plus": plus}, each=["a", "plus"])}, [], {"out": "loop.half"}, adds=ADDS
        )

    assert results(engine, of([1, 2], [10, 20])) == {"out": [11, 22]}
    assert results(engine, of([1, 2], [10])) == {"out": [11, 12]}
    assert results(engine, of([], [10])) == {"out": []}
    three = node("count", numbers=[1, 2, 3])
    came = doc(
        {"three": three, "loop": loop(values={"plus": [1, 2]}, each=["a", "plus"])},
        links("three.values > loop.a"),
        {"out": "loop.half"},
        adds=ADDS,
    )
    wrong = engine.run(came)
    assert [(problem.code, problem.node) for problem in wrong.problems] == [("length_mismatch", "loop")]


def test_no_turn_at_all(engine: Engine) -> None:
    document = doc(
        {"loop": loop(values={"a": 7}, times=0, carry={"a": "out"}), "plus": node("add", plus=1)},
        links("loop.out > plus.a"),
        {"last": "loop.out", "halves": "loop.half", "more": "plus.value"},
        adds=ADDS,
    )
    assert results(engine, document) == {"last": 7, "halves": [], "more": 8}
    assert set(engine.statuses(document).values()) == {"cached"}


def test_no_turn_where_nothing_is_kept(tmp_path: Path) -> None:
    """An empty list without room was looked for, and made again, without end."""
    made = Engine(tmp_path, memory_bytes=1, disk_bytes=None)
    body = ADDS | {"inputs": ports("to", a="sum.a", plus="sum.plus")}
    document = doc(
        {"loop": loop(values={"a": 7}, times=0), "after": loop(each=["a"])},
        links("loop.out > after.a"),
        {"none": "loop.out", "none_more": "after.out"},
        adds=body,
    )
    for _ in range(2):
        enough = Cancel()
        timer = Timer(20.0, enough.set)
        timer.start()
        result = made.run(document, cancel=enough)
        timer.cancel()
        assert result.status == "done" and result.values == {"none": [], "none_more": []}


def test_more_turns_than_allowed_are_an_error(engine: Engine) -> None:
    lists = doc(
        {"list": node("below", end=11), "loop": loop(each=["a"], most=10)},
        links("list.values > loop.a"),
        {"all": "loop.out"},
        adds=ADDS,
    )
    result = engine.run(lists)
    assert [(problem.code, problem.node, problem.value) for problem in result.problems] == [
        ("too_many_turns", "loop", 11)
    ]
    assert not [name for name in called(engine) if "/" in name]
    assert [problem.code for problem in engine.plan(lists).problems] == ["too_many_turns"]
    endless = doc(
        {"loop": loop("counts", {"a": 0}, carry={"a": "out"}, proceed="more", most=3)},
        [],
        {"last": "loop.out"},
        counts=COUNTS,
    )
    result = engine.run(endless)
    assert [problem.code for problem in result.problems] == ["too_many_turns"]


FRAGILE = {
    "nodes": {"sum": node("add"), "half": node("divide_exactly", by=2), "last": node("add", plus=1)},
    "links": links("sum.value > half.a", "half.value > last.a"),
    "inputs": ports("to", a="sum.a"),
    "outputs": ports("from", out="last.value"),
}


def test_a_turn_that_fails_leaves_the_others(engine: Engine) -> None:
    document = doc(
        {"loop": loop("fragile", {"a": [2, 3, 4]}, each=["a"]), "sum": node("total"), "other": node("number")},
        links("loop.out > sum.numbers"),
        {"sum": "sum.value", "other": "other.value"},
        fragile=FRAGILE,
    )
    result = engine.run(document)
    assert result.status == "failed"
    assert [(problem.code, problem.node) for problem in result.problems] == [
        ("node_failed", "loop/1/half"),
        ("turn_failed", "loop"),
    ]
    assert result.problems[1].message == "Turn 2 of loop failed (loop/1)."
    assert result.problems[1].hint.endswith("The other turns are kept.")
    statuses = {name: report.status for name, report in result.nodes.items()}
    assert (statuses["loop"], statuses["sum"], statuses["other"]) == ("failed", "skipped", "ran")
    assert (statuses["loop/1/last"], statuses["loop/2/last"]) == ("skipped", "ran")
    mended = doc({"loop": loop("fragile", {"a": [2, 8, 4]}, each=["a"])}, [], {"out": "loop.out"}, fragile=FRAGILE)
    assert results(engine, mended) == {"out": [2, 5, 3]}
    assert [name for name in called(engine) if "/" in name] == ["loop/1/sum", "loop/1/half", "loop/1/last"]


def test_a_carried_loop_ends_where_it_fails(engine: Engine) -> None:
    document = doc(
        {"loop": loop("fragile", {"a": 12}, times=5, carry={"a": "out"})}, [], {"out": "loop.out"}, fragile=FRAGILE
    )
    result = engine.run(document)  # 12, 7: not even
    assert [(problem.code, problem.node) for problem in result.problems] == [
        ("node_failed", "loop/1/half"),
        ("turn_failed", "loop"),
    ]
    assert not [name for name in result.nodes if name.startswith("loop/2")]
    assert result.problems[1].hint.endswith("The turns before it are kept.")
    first = doc(
        {"loop": loop("fragile", {"a": 7}, times=5, carry={"a": "out"})}, [], {"out": "loop.out"}, fragile=FRAGILE
    )
    told = engine.run(first).problems[1]
    assert told.message == "Turn 1 of loop failed (loop/0)." and "kept" not in told.hint


def test_many_failures_are_counted_not_listed(engine: Engine) -> None:
    document = doc(
        {"loop": loop("fragile", {"a": [1 + 2 * n for n in range(60)]}, each=["a"])},
        [],
        {"out": "loop.out"},
        fragile=FRAGILE,
    )
    result = engine.run(document)
    assert len(result.problems) == 21
    assert result.problems[-1].message.startswith("60 of 60 turns of loop failed: 1, 2, 3,")
    assert len([event for event in engine.events if isinstance(event, NodeFailed)]) == 21


def test_loops_inside_loops(engine: Engine) -> None:
    inner = {
        "nodes": {"loop": loop("adds", times=2, carry={"a": "out"})},
        "links": [],
        "inputs": ports("to", a="loop.a"),
        "outputs": ports("from", out="loop.out", halves="loop.half"),
    }
    document = doc(
        {"outer": loop("inner", {"a": [1, 2]}, each=["a"])},
        [],
        {"out": "outer.out", "halves": "outer.halves"},
        inner=inner,
        adds=ADDS,
    )
    assert results(engine, document) == {"out": [10, 14], "halves": [[2, 5], [3, 7]]}
    assert "outer/1/loop/0/sum" in called(engine)
    assert set(engine.statuses(document).values()) == {"cached"}
    forced = engine.run(document, options=RunOptions(force=frozenset({"outer/1/loop/0/sum"})))
    assert [name for name, report in forced.nodes.items() if report.status == "ran" and name.count("/") == 4] == [
        "outer/1/loop/0/sum"
    ]


def test_an_input_that_one_turn_alone_wants(engine: Engine) -> None:
    body = {
        "nodes": {"pick": node("switch"), "own": node("add")},
        "links": links("own.value > pick.on_false"),
        "inputs": [
            *ports("to", far="pick.on_true", which="pick.condition"),
            *ports("to", i="own.a"),
        ],
        "outputs": ports("from", out="pick.value"),
    }

    def of(which: str) -> Document:
        return doc(
            {
                "far": node("number", value=99),
                "flags": node("flags", given=which),
                "loop": loop("body", each=["which"], index="i"),
            },
            links("far.value > loop.far", "flags.values > loop.which"),
            {"out": "loop.out"},
            body=body,
        )

    assert results(engine, of("nn")) == {"out": [0, 1]}
    assert "far" not in called(engine), "no turn asked for it"
    assert results(engine, of("nyn")) == {"out": [0, 99, 2]}
    assert called(engine).count("far") == 1 and called(engine).count("loop/2/own") == 1
    assert set(engine.statuses(of("nyn")).values()) == {"cached"}


WRITES = {
    "nodes": {"say": node("shout", seed=3), "file": node("write", name="{i.plus}_{seed}.txt"), "i": node("add")},
    "links": links("say.text > file.text"),
    "inputs": ports("to", text="say.text", i="i.plus"),
    "outputs": ports("from", file="file.file"),
}


def test_files_of_all_turns(engine: Engine) -> None:
    document = doc({"loop": loop("writes", {"text": ["a", "b"]}, each=["text"], index="i")}, [], {}, writes=WRITES)
    result = engine.run(document)
    assert {name: len(files) for name, files in result.files.items()} == {"loop/0/file": 1, "loop/1/file": 1}
    assert [event.node for event in engine.events if isinstance(event, NodeFinished) and event.files] == list(
        result.files
    )
    again = engine.run(document)
    assert list(again.files) == list(result.files), "files are handed over where all is cached, too"
    assert called(engine) == []
    engine.run(document, targets=["loop/0/say"])
    other = doc(
        {"n": node("number"), "loop": loop("writes", {"text": ["c"]}, each=["text"])},
        [],
        {"n": "n.value"},
        writes=WRITES,
    )
    assert engine.run(other, targets=["n"]).files == {}


def test_muted_and_bypassed_loops(engine: Engine) -> None:
    def of(mode: str) -> Document:
        made = EACH.data()
        made["nodes"]["loop"]["mode"] = mode
        return Document.parse(made)

    muted = check(of("mute"), engine.catalogue)
    assert [problem.code for problem in muted.problems] == ["nothing_to_run"]
    assert results(engine, of("bypass")) == {"all": [1, 2, 3], "sum": 6}


def test_what_is_muted_inside(engine: Engine) -> None:
    adds = {**ADDS, "nodes": {"sum": node("add", plus=1), "twice": {**node("add"), "mode": "mute"}}}
    document = doc(
        {"loop": loop(values={"a": [1, 2]}, each=["a"]), "after": node("total")},
        links("loop.out > after.numbers"),
        {"out": "after.value", "half": "loop.half"},
        adds=adds,
    )
    result = engine.run(document)
    assert result.status == "done" and dict(result.values) == {"half": [2, 3]}
    assert result.nodes["after"].status == "off" if "after" in result.nodes else True


def test_one_that_is_cancelled_goes_on_from_there(engine: Engine) -> None:
    document = doc(
        {"loop": loop(values={"a": 1}, times=100, carry={"a": "out"})},
        [],
        {"last": "loop.half"},
        adds={
            **ADDS,
            "nodes": {"sum": node("add", plus=1), "twice": node("add")},
            "links": links("sum.value > twice.a"),
        },
    )
    cancel = Cancel()
    emit = engine.events.append

    class Watch(list[Any]):
        def append(self, event: Any) -> None:
            emit(event)
            if isinstance(event, NodeStarted) and event.node == "loop/60/sum":
                cancel.set()

    result = run(engine.graph(document), engine.services, "", emit=Watch().append, cancel=cancel)
    assert result.status == "cancelled"
    engine.restart()
    turns = engine.plan(document).nodes["loop"].turns
    assert turns is not None and (turns.total, turns.cached, turns.run) == (100, 60, 40)
    results(engine, document)
    assert next(name for name in called(engine) if "/" in name).startswith("loop/60/")


KILLED = doc({"loop": loop(values={"a": 1}, times=100, carry={"a": "half"})}, [], {"last": "loop.half"}, adds=ADDS)


def test_one_that_is_killed_goes_on_from_there(engine: Engine) -> None:
    engine.services.cache.close()
    code = """
        import os, sys, time
        from pathlib import Path
        from engine.engine_bench import Engine
        from engine.test_loops import KILLED
        from safelight.engine import NodeStarted, run
        made = Engine(Path(sys.argv[1]))
        def emit(event):
            if isinstance(event, NodeStarted) and event.node == "loop/60/sum":
                time.sleep(1)  # as a turn of some length: what was done before it is on disk by then
                os._exit(0)
        run(made.graph(KILLED), made.services, "", emit=emit)
        os._exit(1)
    """
    run_python(code, str(engine.folder))
    engine.open()
    turns = engine.plan(KILLED).nodes["loop"].turns
    assert turns is not None and (turns.total, turns.cached, turns.run) == (100, 60, 40)
    assert results(engine, KILLED) == {"last": 101}
    assert next(name for name in called(engine) if "/" in name) == "loop/60/sum"


def test_a_thousand_quick_turns_do_not_flood(engine: Engine) -> None:
    document = doc({"loop": loop(times=1000, index="a")}, [], {"out": "loop.out"}, adds=ADDS)
    started = time.monotonic()
    assert results(engine, document)["out"][:3] == [2, 4, 6]
    seconds = 1 + time.monotonic() - started
    assert len(engine.events) < 2 * (thin.BURST + thin.PER_SECOND * seconds) + 10 * seconds + 10
    told = {event.node for event in engine.events if isinstance(event, NodeStarted)}
    ended = {event.node for event in engine.events if isinstance(event, NodeFinished)}
    assert told <= ended
    progress = [event for event in engine.events if isinstance(event, NodeProgress) and event.node == "loop"]
    assert progress and progress[-1].step == progress[-1].total == 1000
    assert engine.run(document).nodes["loop"].status == "cached" and len(engine.events) < 10


def test_a_plan_looks_at_so_many_turns_and_says_so(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    document = doc({"loop": loop(values={"a": 1}, times=9, carry={"a": "out"})}, [], {"last": "loop.half"}, adds=ADDS)
    engine.run(document)
    monkeypatch.setattr(survey, "_MOST_TURNS", 5)
    planned = engine.plan(document).nodes["loop"]
    assert planned.status == "unknown" and planned.turns is not None
    assert (planned.turns.total, planned.turns.cached, planned.turns.run) == (9, 5, 0)
    assert set(engine.statuses(document).values()) == {"cached"}


def test_memory_does_not_grow_with_the_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values that are alive, and bytes in the memory tier, while 1,000 turns make images, against 10 turns."""
    body = {
        "nodes": {
            "make": {"type": "random_graphs.field", "values": {"side": 60}},
            "dim": {"type": "random_graphs.dimmed", "values": {"by": 0.5}},
        },
        "links": links("make.image > dim.image"),
        "inputs": ports("to", shade="make.shade"),
        "outputs": ports("from", image="dim.image"),
    }
    image_bytes = 61 * 61 * 3 * 4

    def peak(turns: int) -> tuple[int, int]:
        document = doc({"loop": loop("body", times=turns, index="shade")}, [], {}, body=body)
        made = Engine(tmp_path / str(turns), random_graphs.catalogue(), memory_bytes=8 * image_bytes)
        cache = made.services.cache
        alive: weakref.WeakSet[Any] = weakref.WeakSet()
        most: list[tuple[int, int]] = []
        calls: list[str] = []
        plain = Caller.call

        def call(self: Caller, node: Any, key: str, arguments: dict[str, Any]) -> dict[str, Any]:
            outputs = plain(self, node, key, arguments)
            alive.update(outputs.values())
            calls.append(node.id)
            if len(calls) % 10 == 0:
                cache.flush()  # the queue to the disk has a bound of its own
                most.append((len(alive), cache.info().memory_bytes))
            return outputs

        with monkeypatch.context() as patched:
            patched.setattr(Caller, "call", call)
            gc.disable()
            try:
                result = run(made.graph(document), made.services, "")
            finally:
                gc.enable()
        assert result.status == "done" and len(calls) == 2 * turns
        cache.close()
        return max(count for count, _ in most), max(size for _, size in most)

    few, many = peak(10), peak(1000)
    assert many[0] <= 1.5 * few[0] and many[1] <= 1.5 * few[1], (few, many)


PEAK = """
    import resource, sys
    from pathlib import Path
    from engine import random_graphs, test_loops
    from engine.engine_bench import Engine
    from safelight.engine import run
    turns, folder = int(sys.argv[1]), Path(sys.argv[2])
    made = Engine(folder, random_graphs.catalogue(), memory_bytes=2 << 30, disk_bytes=4 << 30)
    result = run(made.graph(test_loops.images_in_turns(turns)), made.services, "")
    assert result.status == "done", result.problems
    assert set(made.statuses(test_loops.images_in_turns(turns)).values()) == {"cached"}
    made.services.cache.close()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def images_in_turns(turns: int) -> Document:
    """Each turn makes a grey image of 2 MB and a darker one, which is gathered."""
    body = {
        "nodes": {
            "make": {"type": "random_graphs.field", "values": {"side": 420}},
            "dim": {"type": "random_graphs.dimmed", "values": {"by": 0.5}},
        },
        "links": links("make.image > dim.image"),
        "inputs": ports("to", shade="make.shade"),
        "outputs": ports("from", image="dim.image"),
    }
    return doc({"loop": loop("body", times=turns, index="shade")}, [], {}, body=body)


def test_a_large_budget_is_not_filled_with_what_single_turns_made(tmp_path: Path) -> None:
    """Peak resident memory of a process, though a budget of 2 GiB would have room for all that 200 turns make."""
    few, many = (int(run_python(PEAK, turns, tmp_path / str(turns))) for turns in (10, 200))
    assert many <= 1.5 * few, (few, many)


def test_what_each_turn_needs_stays_in_memory() -> None:
    """Of the values that pass, the oldest go first; what a second turn has touched stays."""
    passing = Passing(limit=100)
    assert passing.turn([("all", 60), ("one", 60)]) == []
    assert passing.turn([("all", 60), ("two", 60)]) == ["one"]
    assert passing.turn([("three", 500)]) == ["two"]
    assert passing.turn([("all", 60), ("four", 10)]) == ["three"]
    passing.forget("all")
    assert passing.turn([("all", 101)]) == ["four"]
