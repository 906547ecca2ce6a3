"""A result is what the document says, whatever else has been run, kept, evicted or changed before."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import pytest

import trivial_nodes
from engine import random_graphs
from engine.engine_bench import Engine, doc
from safelight.app import Budgets, Studio
from safelight.engine import NodeStarted, RunOptions, run
from safelight.engine.call import choices
from safelight.graph import Document, check, plan
from safelight.sdk import Catalogue, Context, File, FilePick, Lazy, node

T = TypeVar("T")
CALLS: Counter[str] = Counter()


@node()
def big(*, letter: str = "a", size: int = 40_000) -> str:
    """A long text."""
    CALLS[f"big {letter}"] += 1
    return letter * size


@node()
def longer(text: str) -> str:
    """A longer one."""
    CALLS[f"longer {text[:1]}"] += 1
    return text + "!"


@node()
def several(*, letters: str = "abc", size: int = 40_000) -> list[str]:
    """Long texts."""
    CALLS["several"] += 1
    return [letter * size for letter in letters]


@node()
def together(texts: list[str]) -> int:
    """How long they are."""
    CALLS["together"] += 1
    return sum(map(len, texts))


@node()
def slow(*, value: int = 0) -> int:
    """Takes a moment."""
    CALLS["slow"] += 1
    time.sleep(0.2)
    return value


@node()
def reads_while_it_changes(*, file: Annotated[str, FilePick("text")] = "", ctx: Context) -> str:
    """Somebody writes to the file while it is read."""
    CALLS["reads"] += 1
    path = ctx.files.path(file)
    text = path.read_text()
    if text == "old":
        path.write_text("new")
    return text


@node()
def chain_of_choices(which: Lazy[bool], first: Lazy[T], second: Lazy[T]) -> T:
    """Looks at one input to know which other it wants."""
    return (first if which.get() else second).get()


@node()
def known(first: Lazy[T], second: Lazy[T] | None = None) -> T:
    """Knows whether the second is connected."""
    return (second or first).get()


@node()
def hides_what_it_asks_for(a: Lazy[int], *, otherwise: int = -1) -> int:
    """Catches everything."""
    try:
        return a.get()
    except BaseException:
        return otherwise


@node()
def pair(a: T, b: T) -> T:
    """Two of one type."""
    return b


def engine_with(folder: Path, memory: int, disk: int | None = None) -> Engine:
    more = (
        big,
        longer,
        several,
        together,
        slow,
        reads_while_it_changes,
        chain_of_choices,
        known,
        hides_what_it_asks_for,
        pair,
    )
    kinds = [*trivial_nodes.catalogue().values(), *Catalogue.of(*more).values()]
    made = Engine(folder, Catalogue(kinds), memory_bytes=memory, disk_bytes=disk)
    CALLS.clear()
    return made


def own(
    nodes: dict[str, Any], links: Iterable[tuple[str, str]] = (), outputs: dict[str, str] | None = None
) -> Document:
    return doc(nodes, links, outputs, prefix="engine.")


def choosing(index: str, values: dict[str, Any]) -> dict[str, Any]:
    nodes = {
        "index": {"type": f"values.{index}", "values": values},
        "first": {"type": "values.integer", "values": {"value": values.get("first", 10)}},
        "second": {"type": "values.integer", "values": {"value": values.get("second", 20)}},
        "pick": {"type": "choice.select"},
    }
    nodes["index"]["values"] = {key: value for key, value in values.items() if key in ("value", "values")}
    port = "values" if index == "integers" else "value"
    links = [
        {"from": f"index.{port}", "to": "pick.index"},
        {"from": "first.value", "to": "pick.first"},
        {"from": "second.value", "to": "pick.second"},
    ]
    outputs = [{"name": "result", "from": "pick.value"}]
    return {"format": "safelight/1", "nodes": nodes, "links": links, "outputs": outputs}


def test_a_choice_over_a_list_answers_for_no_other_choice(tmp_path: Path) -> None:
    for _ in range(2):
        with Studio.open(tmp_path / "home") as studio:

            def result(document: dict[str, Any], studio: Studio = studio) -> Any:
                done = studio.run(Document.parse(document), output=tmp_path)
                assert done.result.status == "done", done.result.problems
                return done.result.values["result"]

            assert result(choosing("integers", {"values": [0, 1]})) == [10, 20]
            assert result(choosing("integer", {"value": 0, "first": 30})) == 30
            assert result(choosing("integer", {"value": 1, "second": 40})) == 40
            assert result(choosing("integers", {"values": [1, 0, 1], "first": 50})) == [20, 50, 20]


def test_elements_that_no_budget_holds(tmp_path: Path) -> None:
    engine = engine_with(tmp_path, 60_000, 90_000)
    document = own(
        {"s": "several", "l": "longer", "t": "together"},
        [("s.texts", "l.text"), ("l.text", "t.texts")],
        {"n": "t.value"},
    )
    result = engine.run(document)
    assert result.values == {"n": 3 * 40_001}
    assert CALLS == {"several": 1, "longer a": 1, "longer b": 1, "longer c": 1, "together": 1}
    assert engine.run(document).nodes["t"].status == "cached"


@pytest.mark.parametrize(("memory", "disk"), [(1, 1), (30_000, None), (60_000, 90_000), (50_000, None)])
def test_the_end_of_an_edited_chain_runs_each_node_once(tmp_path: Path, memory: int, disk: int | None) -> None:
    engine = engine_with(tmp_path, memory, disk)
    nodes: dict[str, Any] = {"n0": ("big", {})} | {f"n{number}": "longer" for number in range(1, 6)}
    links = [(f"n{number}.text", f"n{number + 1}.text") for number in range(5)]
    outputs = {"end": "n5.text", "middle": "n2.text"}
    for letter in "aab":
        CALLS.clear()
        document = own(nodes | {"n0": ("big", {"letter": letter})}, links, outputs)
        planned = plan(engine.graph(document), _memory(engine)).nodes
        result = engine.run(document)
        assert result.values["end"] == letter * 40_000 + "!" * 5
        assert all(count <= 5 for count in CALLS.values()), CALLS
        started = Counter(event.node for event in engine.events if isinstance(event, NodeStarted))
        assert set(started) == {name for name, node in planned.items() if node.status == "run"}
        assert CALLS[f"big {letter}"] <= 1 and CALLS[f"longer {letter}"] == len(set(started) - {"n0"})


def _memory(engine: Engine) -> Any:
    from safelight.engine import CacheMemory

    return CacheMemory(engine.services)


def test_what_the_plan_counts_on_is_not_evicted_by_the_run(tmp_path: Path) -> None:
    engine = engine_with(tmp_path, 130_000)
    engine.run(own({"a": ("big", {"letter": "a"})}, [], {"a": "a.text"}))
    nodes: dict[str, Any] = {letter: ("big", {"letter": letter}) for letter in "bcdea"} | {"t": "together"}
    document = own(nodes, [(f"{letter}.text", "t.texts") for letter in "bcdea"], {"n": "t.value"})
    assert plan(engine.graph(document), _memory(engine)).nodes["a"].status == "cached"
    CALLS.clear()
    result = engine.run(document)
    assert result.nodes["a"].status == "cached" and CALLS["big a"] == 0
    assert result.values["n"] == 200_000


def test_files_are_written_whatever_the_cache_holds(tmp_path: Path) -> None:
    from PIL import Image as pillow

    (tmp_path / "in").mkdir()
    pillow.new("RGB", (40, 40), "red").save(tmp_path / "in" / "red.png")
    nodes: dict[str, Any] = {
        "load": {"type": "image.load", "values": {"file": "red.png"}},
        "big": {"type": "image.resize", "values": {"width": 64, "height": 64}},
        "save": {"type": "image.save", "values": {"name": "red_{counter}"}},
    }
    links = [{"from": "load.image", "to": "big.image"}, {"from": "big.image", "to": "save.image"}]
    outputs = [{"name": "files", "from": "save.files"}, {"name": "image", "from": "big.image"}]
    document = Document.parse({"format": "safelight/1", "nodes": nodes, "links": links, "outputs": outputs})
    with Studio.open(tmp_path / "home", [tmp_path / "in"], Budgets(memory=1, disk=1)) as studio:
        for _ in range(2):
            outcome = studio.run(document, output=tmp_path / "out")
            assert outcome.result.status == "done", outcome.result.problems
            assert [Path(file["path"]).name for file in outcome.outputs["files"]] == ["red_00001.png"]
            (shown,) = outcome.outputs["image"]
            assert pillow.open(shown["path"]).size == (64, 64)
            assert outcome.result.nodes["save"].status == "ran"


def test_what_cannot_be_delivered_fails_the_run(tmp_path: Path) -> None:
    engine = engine_with(tmp_path, 1 << 20)
    document = doc({"w": ("words", {"text": "hello"}), "f": "write"}, [("w.text", "f.text")])
    graph = engine.graph(document)
    made: list[str] = []

    def deliver(node: str, file: File, *_: object) -> str:
        made.append(node)
        return f"there/{file.name}"

    cache = engine.services.cache
    plain = cache.get_bytes
    cache.get_bytes = lambda digest: None  # as if another process had evicted it between two looks
    result = run(graph, engine.services, "", deliver=deliver)
    cache.get_bytes = plain
    assert result.status == "failed" and [problem.code for problem in result.problems] == ["output_lost"]
    again = run(graph, engine.services, "", deliver=deliver)
    assert again.status == "done" and made == ["f"]
    assert [file.name.partition("/")[0] for file in again.files["f"]] == ["there"], "files go by the name that they got"


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    engine = engine_with(tmp_path, 1 << 20)
    (tmp_path / "note.txt").write_text("old")
    document = own({"r": ("reads_while_it_changes", {"file": "note.txt"})}, [], {"text": "r.text"})
    assert engine.run(document).values["text"] == "old"
    (tmp_path / "note.txt").write_text("old")
    result = engine.run(document)
    assert CALLS["reads"] == 2, "what was read then may have been half of each: it is not remembered"
    assert engine.run(document).values["text"] == "new" and result.values["text"] == "old"
    assert engine.run(document).nodes["r"].status == "cached"


def test_eight_threads_compute_it_once(tmp_path: Path) -> None:
    engine = engine_with(tmp_path, 1 << 20)
    graph = engine.graph(own({"s": ("slow", {"value": 3})}, [], {"n": "s.value"}))
    values: list[Any] = []
    threads = [
        threading.Thread(target=lambda: values.append(run(graph, engine.services, "").values["n"])) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values == [3] * 8 and CALLS["slow"] == 1


def test_a_plan_of_a_choice_in_two_steps(tmp_path: Path) -> None:
    engine = engine_with(tmp_path, 1 << 20)
    nodes = {
        "w": ("trivial_nodes.flag", {"value": True}),
        "a": ("trivial_nodes.number", {"value": 1}),
        "b": ("trivial_nodes.number", {"value": 2}),
        "pick": "engine.chain_of_choices",
    }
    links = [("w.value", "pick.which"), ("a.value", "pick.first"), ("b.value", "pick.second")]
    document = doc(nodes, links, {"n": "pick.value"}, prefix="")

    def statuses() -> dict[str, str]:
        found = plan(engine.graph(document), _memory(engine), choose=choices).nodes
        return {name: node.status for name, node in found.items()}

    assert statuses() == {"w": "run", "a": "unknown", "b": "unknown", "pick": "run"}
    assert engine.run(document).values["n"] == 1
    assert statuses() == {"w": "cached", "a": "cached", "b": "unneeded", "pick": "cached"}


def test_a_choice_knows_what_is_connected(tmp_path: Path) -> None:
    engine = engine_with(tmp_path, 1 << 20)
    nodes = {"a": ("trivial_nodes.number", {"value": 1}), "b": ("trivial_nodes.number", {"value": 2}),
             "k": "engine.known"}  # fmt: skip
    alone = doc(nodes, [("a.value", "k.first")], {"n": "k.value"}, prefix="")
    both = doc(nodes, [("a.value", "k.first"), ("b.value", "k.second")], {"n": "k.value"}, prefix="")
    for document, wanted in ((alone, 1), (both, 2), (alone, 1)):
        assert engine.run(document).values["n"] == wanted
    with Studio.open(tmp_path / "home") as studio:
        document = choosing("integer", {"value": 3})
        outcome = studio.run(Document.parse(document), output=tmp_path)
        assert [problem.code for problem in outcome.result.problems] == ["branch_not_connected"]


def test_a_value_for_a_port_inside_a_subgraph_counts_for_more_than_a_link() -> None:
    inner = {
        "nodes": {"a": {"type": "trivial_nodes.add", "values": {"b": 1}}},
        "inputs": [{"name": "given", "to": "a.a"}],
        "outputs": [{"name": "sum", "from": "a.value"}],
    }
    document = Document.parse(
        {
            "format": "safelight/1",
            "nodes": {"n": {"type": "trivial_nodes.number", "values": {"value": 5}}, "g": {"type": "subgraph:inner"}},
            "links": [{"from": "n.value", "to": "g.given"}],
            "outputs": [{"name": "r", "from": "g.sum"}],
            "subgraphs": {"inner": inner},
        }
    )
    from safelight.graph import Port

    graph = check(document.with_values({Port("g/a", "a"): 7}), trivial_nodes.catalogue()).require()
    wire = graph.nodes[graph.index["g/a"]].wires["a"]
    assert (wire.value, wire.sources) == (7, ())


def test_zero_and_minus_zero_are_two(tmp_path: Path) -> None:
    engine = engine_with(tmp_path, 1 << 20)
    values = []
    for value in (0.0, -0.0):
        result = engine.run(doc({"f": ("fraction", {"value": value})}, [], {"n": "f.value"}), options=RunOptions())
        values.append(str(result.values["n"]))
    assert values == ["0.0", "-0.0"]


def test_a_node_cannot_hide_what_it_asks_for(tmp_path: Path) -> None:
    engine = engine_with(tmp_path, 1 << 20)
    nodes = {"n": ("trivial_nodes.number", {"value": 5}), "h": "engine.hides_what_it_asks_for"}
    document = doc(nodes, [("n.value", "h.a")], {"n": "h.value"}, prefix="")
    assert plan(engine.graph(document), _memory(engine), choose=choices).nodes["n"].status == "run"
    for _ in range(2):
        assert engine.run(document).values["n"] == 5


def test_what_is_handed_out_may_be_painted_on(tmp_path: Path) -> None:
    engine = Engine(tmp_path, random_graphs.catalogue())
    image = doc({"i": ("field", {"shade": 0.5})}, [], {"image": "i.image"}, prefix="random_graphs.")
    engine.run(image).values["image"].pixels.zero_()
    mean = doc({"i": ("field", {"shade": 0.5}), "m": "mean"}, [("i.image", "m.image")], {"mean": "m.value"},
               prefix="random_graphs.")  # fmt: skip
    assert engine.run(mean).values["mean"] == 0.5


def test_one_type_for_all_that_is_typed_in(tmp_path: Path) -> None:
    engine = engine_with(tmp_path, 1 << 20)
    wrong = own({"p": ("pair", {"a": "x", "b": 2})}, [], {"n": "p.value"})
    (problem,) = check(wrong, engine.catalogue).problems
    assert (problem.code, problem.port) == ("wrong_type", "b")
    assert engine.run(own({"p": ("pair", {"a": 0.5, "b": 2})}, [], {"n": "p.value"})).values["n"] == 2.0


def test_a_circle_fails_where_it_is_chosen(tmp_path: Path) -> None:
    engine = engine_with(tmp_path, 1 << 20)
    for condition, status in ((True, "done"), (False, "failed")):
        nodes: dict[str, Any] = {"good": "number", "a": "add", "b": "add", "pick": ("switch", {"condition": condition})}
        links = [("good.value", "pick.on_true"), ("a.value", "b.a"), ("b.value", "a.a"), ("b.value", "pick.on_false")]
        result = engine.run(doc(nodes, links, {"r": "pick.value"}))
        assert result.status == status
        assert [problem.code for problem in result.problems] == ([] if condition else ["cycle"])
