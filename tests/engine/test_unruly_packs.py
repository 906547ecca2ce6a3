"""Nodes of installed packs that misbehave: the run ends with a problem at that node, and nothing else is harmed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from engine.engine_bench import Engine, doc
from safelight.engine import RunOptions, RunResult
from safelight.sdk import Catalogue, load_packs
from safelight.sdk.pack import GROUP

pytest.importorskip("torch")
PACKS = Path(__file__).parent.parent / "packs"

FAULTS: dict[str, tuple[str, str]] = {
    "exits": ("node_failed", "called exit(3)"),
    "exits_with_words": ("node_failed", "called exit('good bye')"),
    "exits_quietly": ("node_failed", "called exit(None)"),
    "raises_cancelled": ("node_failed", "nobody had asked for"),
    "raises_outside": ("node_failed", "outside"),
    "raises_generator_exit": ("node_failed", "GeneratorExit"),
    "raises_interrupt": ("node_failed", "KeyboardInterrupt"),
    "raises_silent": ("node_failed", "Silent"),
    "raises_wordless": ("node_failed", "Wordless"),
    "raises_half_emoji": ("node_failed", "ValueError"),
    "raises_in_a_circle": ("node_failed", "one"),
    "raises_group": ("node_failed", "all (2 sub-exceptions)"),
    "raises_memory": ("out_of_memory", "MemoryError"),
    "raises_class": ("node_failed", "exceptions must derive from BaseException"),
    "calls_itself": ("node_failed", "recursion"),
    "returns_text": ("bad_result", "text, not a whole number at its output 'value'"),
    "returns_none": ("bad_result", "None, not a whole number"),
    "returns_truth": ("bad_result", "true or false, not a whole number"),
    "returns_numpy_int": ("bad_result", "numpy.int64, not a whole number"),
    "returns_numpy_float": ("bad_result", "numpy.float64, not a number"),
    "returns_enum": ("bad_result", "unruly_pack.faults.Level, not a whole number"),
    "returns_shouted": ("bad_result", "unruly_pack.faults.Shouted, not text"),
    "returns_half_emoji": ("bad_result", "half of a surrogate pair"),
    "returns_bytes": ("bad_result", "bytes, not text"),
    "returns_nan": ("bad_result", "nan"),
    "returns_infinity": ("bad_result", "inf"),
    "returns_huge_number": ("bad_result", "more than 64 bits"),
    "returns_other_choice": ("bad_result", "'c', which is not one of its choices"),
    "returns_too_few": ("bad_result", "not its 2 outputs"),
    "returns_generator": ("bad_result", "generator, not a list"),
    "returns_tuple": ("bad_result", "tuple, not a list"),
    "returns_mixed": ("bad_result", "text, not a whole number"),
    "returns_itself": ("bad_result", "a list, not a whole number"),
    "returns_coroutine": ("bad_result", "coroutine"),
    "returns_object": ("bad_result", "cannot be kept"),
    "returns_array": ("bad_result", "numpy.ndarray, not Image"),
    "returns_flat_image": ("bad_result", "Image with 3 dimensions, not 4"),
    "returns_byte_image": ("bad_result", "Image of torch.uint8"),
    "returns_nan_image": ("bad_result", "not finite"),
    "returns_mask": ("bad_result", "Mask, not Image"),
    "paints_its_input": ("input_changed", "'image'"),
    "paints_through_numpy": ("input_changed", "'image'"),
    "lengthens": ("input_changed", "'numbers'"),
    "paints_and_fails": ("node_failed", "after the deed"),
}
"""Each node of `unruly_pack.faults`, with the code and words of its problem."""

LEAKS = (
    "moves_away",
    "prints",
    "takes_stdout",
    "leaves_a_thread",
    "computes_in_doubles",
    "computes_elsewhere",
    "forks",
    "leaves_a_child",
)


def all_faults() -> dict[str, Any]:
    """A document with every faulty node, and one sound chain: an image, and its mean where a node holds on to it."""
    nodes: dict[str, Any] = {"sound": {"type": "unruly/faults.image"}, "kept": {"type": "unruly/leaks.keeps_its_input"}}
    links = [{"from": "sound.image", "to": "kept.image"}]
    for name in FAULTS:
        nodes[name] = {"type": f"unruly/faults.{name}"}
        if name.startswith("paints"):
            links.append({"from": "sound.image", "to": f"{name}.image"})
        if name == "lengthens":
            nodes["numbers"] = {"type": "values.integers", "values": {"values": [1, 2]}}
            links.append({"from": "numbers.values", "to": "lengthens.numbers"})
    outputs = [{"name": "mean", "from": "kept.value"}]
    outputs += [{"name": name, "from": f"{name}.{_port(name)}"} for name in FAULTS]
    return {"format": "safelight/1", "name": "unruly", "nodes": nodes, "links": links, "outputs": outputs}


def _port(name: str) -> str:
    if name in ("returns_shouted", "returns_half_emoji", "returns_bytes"):
        return "text"
    if name in ("returns_array", "returns_flat_image", "returns_byte_image", "returns_nan_image", "returns_mask"):
        return "image"
    if name in ("returns_generator", "returns_tuple", "returns_mixed", "returns_itself"):
        return "values"
    return {"returns_too_few": "first", "paints_its_input": "image"}.get(name, "value")


@pytest.fixture(scope="module")
def catalogue() -> Iterator[Catalogue]:
    folders = [str(PACKS / "unruly"), str(PACKS / "meshes")]
    sys.path[:0] = folders
    points = [
        EntryPoint("safelight", "safelight_nodes", GROUP),
        EntryPoint("unruly", "unruly_pack", GROUP),
        EntryPoint("first", "first_meshes", GROUP),
        EntryPoint("second", "second_meshes", GROUP),
    ]
    yield load_packs(points)
    for folder in folders:
        sys.path.remove(folder)


@pytest.fixture
def engine(tmp_path: Path, catalogue: Catalogue) -> Iterator[Engine]:
    made = Engine(tmp_path, catalogue)
    yield made
    made.services.cache.close()


def _run(engine: Engine, document: Any) -> RunResult:
    from safelight.graph import Document

    return engine.run(Document.parse(document) if isinstance(document, dict) else document, options=RunOptions())


def test_every_fault_is_a_problem_at_its_node(
    engine: Engine, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "getsignal", lambda _: signal.SIG_IGN)  # as in a worker
    names = {kind.removeprefix("unruly/faults.") for kind in catalogue if kind.startswith("unruly/faults.")}
    assert names - {"image"} == set(FAULTS)
    for _ in range(2):  # nothing of it is remembered
        result = _run(engine, all_faults())
        assert result.status == "failed"
        told = {problem.node: problem for problem in result.problems}
        for name, (code, words) in FAULTS.items():
            assert told[name].code == code, (name, told[name])
            assert words in told[name].message, (name, told[name].message)
        assert set(told) == set(FAULTS)
        assert result.values["mean"] == 0.5, "whatever was painted, it was not this image"


def test_an_image_is_never_painted_over_later(engine: Engine) -> None:
    kept = {"nodes": {"a": ("unruly/leaks.keeps_its_output", {"shade": 0.25}),
                      "b": ("unruly/leaks.keeps_its_output", {"shade": 0.75})}}  # fmt: skip
    document = doc(kept["nodes"], [], {"a": "a.image", "b": "b.image"}, prefix="")
    values = _run(engine, document).values
    assert [float(values[name].pixels.mean()) for name in "ab"] == [0.25, 0.75]
    keeping = doc(
        {"image": "unruly/faults.image", "kept": "unruly/leaks.keeps_its_input"},
        [("image.image", "kept.image")],
        {"mean": "kept.value", "image": "image.image"},
        prefix="",
    )
    assert _run(engine, keeping).values["mean"] == 0.5
    _run(engine, doc({"paint": "unruly/leaks.paints_what_it_kept"}, [], {"x": "paint.value"}, prefix=""))
    again = _run(engine, keeping)
    assert again.nodes["image"].status == "cached" and float(again.values["image"].pixels.mean()) == 0.5


@pytest.mark.parametrize("name", LEAKS)
def test_what_a_node_leaves_behind_is_put_back(engine: Engine, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    import torch

    def state() -> tuple[Any, ...]:
        torch_now = torch.get_default_dtype(), torch.get_default_device()
        return Path.cwd(), sys.stdout, sys.getrecursionlimit(), dict(os.environ), *torch_now

    torch.zeros(1)  # what torch puts into the environment when it first computes belongs to it
    before = state()
    result = _run(engine, doc({"x": f"unruly/leaks.{name}"}, [], {"x": "x.value"}, prefix=""))
    assert result.status == "done"
    after = state()
    assert (after[:3], after[4:]) == (before[:3], before[4:])
    assert {name for name in before[3] | after[3] if before[3].get(name) != after[3].get(name)} == set()


def test_a_pack_that_exits_at_import_is_listed(catalogue: Catalogue) -> None:
    (state,) = [pack for pack in catalogue.packs if pack.name == "unruly"]
    assert "unruly_pack.exits_at_import failed to import: it called exit()" in state.reason


def test_values_of_two_packs_with_one_name(engine: Engine, catalogue: Catalogue) -> None:
    nodes: dict[str, Any] = {}
    links: list[tuple[str, str]] = []
    for pack in ("first", "second"):
        nodes |= {f"{pack}_make": f"{pack}/mesh.make", f"{pack}_count": f"{pack}/mesh.count"}
        links.append((f"{pack}_make.mesh", f"{pack}_count.mesh"))
    nodes |= {"sketch": "first/mesh.sketch", "named": "first/mesh.named", "image": "unruly/faults.image"}
    links.append(("sketch.image", "named.image"))
    outputs = {"first": "first_count.value", "second": "second_count.value", "name": "named.text", "i": "image.image"}
    document = doc(nodes, links, outputs, prefix="")
    for _ in range(2):  # from the functions, then from the cache of a new process
        result = _run(engine, document)
        assert result.status == "done", result.problems
        assert {name: result.values[name] for name in ("first", "second", "name")} == {
            "first": 3, "second": 3, "name": "sketch",
        }  # fmt: skip
        engine.services.cache.close()
        engine.open()
    assert str(catalogue["first/mesh.count"].inputs["mesh"]) == "first_meshes:Mesh"
    from safelight.graph import check

    crossed = doc(
        {"a": "first/mesh.make", "b": "second/mesh.count"}, [("a.mesh", "b.mesh")], {"n": "b.value"}, prefix=""
    )
    (problem,) = check(crossed, catalogue).problems
    assert problem.code == "type_mismatch" and "first_meshes:Mesh" in problem.message
    crossed = doc({"a": "first/mesh.sketch", "b": "image.save"}, [("a.image", "b.image")], prefix="")
    assert [problem.code for problem in check(crossed, catalogue).problems] == ["type_mismatch"]


def test_two_packs_of_one_name(catalogue: Catalogue) -> None:
    points = [EntryPoint("first", "first_meshes", GROUP), EntryPoint("first", "second_meshes", GROUP)]
    found = load_packs(points)
    assert "faces" not in str(found["first/mesh.make"].spec)
    assert "is taken by first_meshes" in found.packs[1].reason
