"""What a node is called: apart from the file it stands in, and by its former names as well."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent
from typing import Annotated, Any, Literal

import pytest

from safelight.graph import Document, Link, Port, check
from safelight.graph.migrate import migrate, migrated
from safelight.sdk import (
    Catalogue,
    Denoiser,
    Migration,
    ModelRef,
    NodeDefinitionError,
    Number,
    Patch,
    Running,
    Slider,
    Source,
    Text,
    Toggle,
    added,
    load_packs,
    node,
    node_type,
    value,
)
from safelight.sdk.codec import Codec

NODE = '''
from safelight.sdk import node

@node({options})
def {name}(a: int) -> int:
    """A node."""
    return a
'''

Load = Callable[..., Catalogue]


def code(name: str, options: str = "") -> str:
    return NODE.format(name=name, options=options)


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Load:
    """Writes a pack of these files and loads it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def work(files: dict[str, str], name: str = "mine", root: str = "") -> Catalogue:
        package = f"pack_{abs(hash(request.node.nodeid))}_{len(list(tmp_path.iterdir()))}"
        for path, text in {"__init__.py": "", **files}.items():
            file = tmp_path / package / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(dedent(text))
        return load_packs([EntryPoint(name, package + root, "safelight.nodes")])

    return work


def test_a_file_that_is_split_keeps_the_ids(load: Load) -> None:
    whole = load({"image.py": code("blur") + code("crop")})
    split = load(
        {
            "image/__init__.py": "",
            "image/blur.py": code("blur"),
            "image/deep/__init__.py": "",
            "image/deep/crop.py": code("crop"),
        }
    )
    assert sorted(whole) == sorted(split) == ["mine/image.blur", "mine/image.crop"]
    assert {kind.spec.category for kind in split.values()} == {"image"}


def test_private_modules_and_packages_are_not_searched(load: Load) -> None:
    broken = "raise RuntimeError('searched')"
    found = load({"_own.py": broken, "_kit/__init__.py": broken, "image/__init__.py": "", "image/_x.py": broken})
    assert not found and not found.packs[0].reason


def test_the_category_may_be_said(load: Load) -> None:
    found = load({"a/__init__.py": "", "a/b.py": code("cut", "category='line_art'")})
    assert list(found) == ["mine/line_art.cut"]
    assert found["mine/line_art.cut"].spec.category == "line art"


def test_a_pack_inside_a_package_begins_at_its_own_root(load: Load) -> None:
    files = {"nodes/__init__.py": code("here"), "nodes/image/__init__.py": "", "nodes/image/cut.py": code("cut")}
    assert sorted(load(files, root=".nodes")) == ["mine/image.cut", "mine/nodes.here"]


def test_two_nodes_of_one_id_are_a_problem_of_the_pack(load: Load) -> None:
    found = load({"image/__init__.py": "", "image/a.py": code("cut"), "image/b.py": code("cut") + code("fine")})
    assert list(found) == ["mine/image.fine"]
    (state,) = found.packs
    assert "'mine/image.cut'" in state.reason and "a.py: cut" in state.reason and "b.py: cut" in state.reason
    document = Document.parse({"format": "safelight/1", "nodes": {"n": {"type": "mine/image.cut"}}, "links": []})
    (problem,) = check(document, found).problems
    assert problem.code == "unknown_type" and "share the id" in problem.hint


def test_a_new_node_may_not_take_a_former_id(load: Load) -> None:
    found = load({"image.py": code("cut") + code("crop", "aliases=('image.cut',)")})
    assert list(found) == ["mine/image.crop"]
    assert "belongs to old documents" in found.packs[0].reason
    twice = load({"image.py": code("a", "aliases=('image.old',)") + code("b", "aliases=('image.old',)")})
    assert twice.former("mine/image.old") is None
    assert "share the former id" in twice.packs[0].reason


MESH = """
from dataclasses import dataclass
from safelight.sdk import node, value

@value{options}
@dataclass(frozen=True)
class {name}:
    size: int

@node()
def {node}(*, size: int = 1) -> {name}:
    \"""Make one.\"""
    return {name}(size)
"""


@pytest.mark.parametrize(("name", "options"), [("Mesh", ""), ("Net", "(aliases=('Mesh',))")])
def test_two_values_of_one_name_are_a_problem_of_the_pack(load: Load, name: str, options: str) -> None:
    first = MESH.format(name="Mesh", options="", node="cube")
    found = load({"a.py": first, "b.py": MESH.format(name=name, options=options, node="ball")})
    (state,) = found.packs
    assert "share the name" in state.reason and ":Mesh'" in state.reason and f"b.{name}" in state.reason
    mesh = found["mine/a.cube"].function(size=2)
    assert found.codec.decode(found.codec.encode(mesh)) == mesh


@node(version=1)
def source() -> int:
    """A number."""
    return 1


@node(
    version=3,
    aliases={"old.second": 2, "old.first": 1},
    migrations={
        1: Migration(inputs={"x": "y"}, values=lambda values: {**values, "y": values.get("y", 0) + 1}),
        2: Migration(inputs={"y": "amount"}, outputs={"value": "sum"}),
    },
    tags=("KSampler", "add up"),
)
def total(a: int, *, amount: int = 0) -> Annotated[int, "The sum."]:
    """Adds."""
    return a + amount


CATALOGUE = Catalogue.of(source, total)


def document(kind: str, version: int | None, values: dict[str, Any], port: str) -> Document:
    said = {"type": kind, "values": values, **({"version": version} if version else {})}
    return Document.parse(
        {
            "format": "safelight/1",
            "nodes": {"n": said, "s": {"type": "sdk.source"}},
            "links": [{"from": "s.value", "to": "n.a"}],
            "inputs": [{"name": "in", "to": f"n.{port}"}],
        }
    )


@pytest.mark.parametrize(
    ("kind", "version", "port", "amount"),
    [
        ("old.first", 1, "x", 6),
        ("old.first", None, "x", 6),
        ("old.second", 2, "y", 5),
        ("old.second", None, "y", 5),
        ("old.second", 1, "x", 6),
        ("sdk.total", 1, "x", 6),
        ("sdk.total", 3, "amount", 5),
        ("sdk.total", None, "amount", 5),
    ],
)
def test_documents_of_former_ids_mean_the_same(kind: str, version: int | None, port: str, amount: int) -> None:
    found = migrate(document(kind, version, {port: 5}, port), CATALOGUE)
    made = found.nodes["n"]
    assert (made.type, made.values) == ("sdk.total", {"amount": amount})
    assert str(found.inputs[0].to) == "n.amount"
    checked = check(document(kind, version, {port: 5}, port), CATALOGUE)
    assert checked.ok and checked.document.data()["nodes"]["n"]["type"] == "sdk.total"
    assert checked.migrated == (kind != "sdk.total" or version == 1)


@pytest.mark.parametrize(("kind", "version", "port"), [("old.first", None, "x"), ("sdk.total", 1, "x")])
def test_what_is_typed_over_an_old_document_follows(kind: str, version: int | None, port: str) -> None:
    """Under the old name and under that of today, in place of the value and of the link that were there."""
    old = document(kind, version, {port: 5}, port)
    linked = replace(old, links=(*old.links, Link(Port("s", "value"), Port("n", port))))
    whole = Document.parse(
        {
            "format": "safelight/1",
            "nodes": {"one": {"type": "subgraph:in"}},
            "links": [],
            "subgraphs": {"in": {k: v for k, v in linked.data().items() if k in ("nodes", "links")}},
        }
    )
    for document_, place in ((linked, "n"), (whole, "one/n")):
        made, today = migrated(document_, CATALOGUE)
        assert today(Port(place, port)) == today(Port(place, "amount")) == Port(place, "amount")
        assert today(Port(place, "nonsense")) == Port(place, "nonsense") and today(Port("no", "x")) == Port("no", "x")
        for typed in (
            made.with_values({today(Port(place, port)): 9}),
            migrate(document_.with_values({Port(place, "amount"): 9}), CATALOGUE),
            migrate(document_.with_values({Port(place, port): 8}), CATALOGUE),  # the migrations add one
        ):
            checked = check(typed, CATALOGUE, targets=[place])
            assert checked.ok
            (found,) = [one for one in checked.require().nodes if one.id == place]
            assert (found.wires["amount"].sources, found.wires["amount"].value) == ((), 9)


@node(output=True)
def keep(a: int, *, name: Annotated[str, Text(file_name=True)] = "x") -> None:
    """Keeps."""


def test_whatever_names_a_port_follows_it() -> None:
    catalogue = Catalogue.of(source, total, keep)
    old = {"type": "old.first", "version": 1, "values": {"x": 3}}
    inner = {"nodes": {"t": old}, "links": [], "inputs": [{"name": "a", "to": "t.a"}]}
    outer = {"nodes": {"deep": {"type": "subgraph:inner", "values": {"t.x": 7}}}, "links": [], "subgraphs": {}}
    document = Document.parse(
        {
            "format": "safelight/1",
            "nodes": {
                "s": {"type": "sdk.source"},
                "t": {**old, "values": {"x": 4}},
                "one": {"type": "subgraph:inner", "values": {"a": 1, "t.x": 5}},
                "two": {"type": "subgraph:outer", "values": {"deep/t.x": 6}},
                "three": {"type": "subgraph:inner"},
                "k": {"type": "sdk.keep", "values": {"name": "{t.x}_{counter}_{s.x}"}},
            },
            "links": [{"from": "s.value", "to": "t.a"}, {"from": "t.value", "to": "k.a"}],
            "subgraphs": {"inner": inner, "outer": outer},
            "ui": {
                "nodes": {"t": {"x": 1, "y": 2, "sockets": ["x", "other"], "seeds": {"x": "random"}}, "s": {"x": 0}}
            },
        }
    )
    made = migrate(document, catalogue)
    assert made.nodes["t"].values == {"amount": 5}
    assert made.nodes["one"].values == {"a": 1, "t.amount": 6}
    assert made.nodes["two"].values == {"deep/t.amount": 7}
    assert made.nodes["three"] is document.nodes["three"]
    assert made.subgraphs["outer"].nodes["deep"].values == {"t.amount": 8}
    assert made.nodes["k"].values == {"name": "{t.amount}_{counter}_{s.x}"}
    assert str(made.links[1].source) == "t.sum"
    assert made.ui["nodes"]["t"] == {"x": 1, "y": 2, "sockets": ["amount", "other"], "seeds": {"amount": "random"}}
    assert migrate(made, catalogue) is made


def test_a_renamed_value_class_reads_what_was_kept_under_its_old_name() -> None:
    @value
    @dataclass(frozen=True)
    class Mesh:
        points: int

    @value(aliases=("Mesh",))
    @dataclass(frozen=True)
    class Solid:
        points: int

    with pytest.raises(TypeError, match="are several"):
        value(aliases="Mesh")
    kept = Codec([Mesh]).encode(Mesh(3))
    assert Codec([Solid]).decode(kept) == Solid(3)
    assert Codec([Solid, Mesh]).decode(kept) == Mesh(3), "a class that has the name now comes first"


def test_a_field_that_is_added_leaves_what_was_kept_as_it_was() -> None:
    @value
    @dataclass(frozen=True)
    class Mesh:
        points: int
        scale: float = added(1.0)

    codec = Codec([Mesh])
    assert codec.encode(Mesh(3)).json == {"$type": Mesh.__dict__["__value_name__"], "points": 3}
    for mesh in (Mesh(3), Mesh(3, 2.0)):
        assert codec.decode(codec.encode(mesh)) == mesh
    assert codec.digest(Mesh(3)) != codec.digest(Mesh(3, 2.0))


def test_recipes_have_the_digests_under_which_results_are_kept() -> None:
    source = Source("file", "models/sd1.safetensors", fingerprint="0123")
    recipe = ModelRef[Denoiser]("Denoiser", "sd1", source, "unet")
    codec = Codec([ModelRef, Patch, Running, Source])
    assert codec.digest(recipe) == "b3b0e765501119f3bea7c2cb22a2372874fb43c5"
    assert codec.digest(recipe.patched(Patch("lora", source, 0.5))) == "2f2e9171390dccecafabd9d121c02c117442bb1d"
    packed = replace(recipe, running=Running(storage="float8"))
    assert codec.decode(codec.encode(packed)) == packed
    assert codec.digest(packed) != codec.digest(recipe)


def test_thousands_of_unknown_types_are_told_at_once() -> None:
    nodes = {f"n{number}": {"type": f"sdk.totl{number}"} for number in range(3000)}
    document = Document.parse({"format": "safelight/1", "nodes": nodes, "links": []})
    started = time.perf_counter()
    problems = check(document, CATALOGUE).problems
    assert time.perf_counter() - started < 3
    assert len(problems) >= 3000 and problems[0].hint == "Did you mean sdk.total?"


def test_former_ids_and_tags_are_suggested_as_the_node_of_today() -> None:
    for word in ("old.secnd", "ksampler", "sdk.totl", "KSampler"):
        assert CATALOGUE.suggest(word) == "Did you mean sdk.total?"
    assert [kind.spec.id for kind in CATALOGUE.search("add")] == ["sdk.total"]
    assert CATALOGUE.search("nothing of it") == []
    assert [kind.spec.id for kind in CATALOGUE.search("k_Sampler")] == ["sdk.total"], "however it is written"


@node(deprecated="use sdk.total: it adds")
def gone(a: int) -> int:
    """Does as ever."""
    return a


def test_a_deprecated_node_runs_with_a_warning_and_is_not_offered() -> None:
    found = Catalogue.of(source, total, gone)
    data = {
        "format": "safelight/1",
        "nodes": {"n": {"type": "sdk.gone"}, "s": {"type": "sdk.source"}},
        "links": [{"from": "s.value", "to": "n.a"}],
    }
    checked = check(Document.parse(data), found)
    (problem,) = checked.problems
    assert checked.ok
    assert (problem.code, problem.level, problem.node) == ("deprecated", "warning", "n")
    assert problem.hint == "Use sdk.total: it adds."
    assert found.search("ever") == []


def conditions(
    a: int,
    *,
    method: Literal["fine", "fast"] = "fine",
    tiles: Annotated[int, Slider(0, 8, group="Memory", shown_if={"method": "fine"})] = 2,
    overlap: Annotated[bool, Toggle(advanced=True, shown_if={"method": ["fine"], "tiles": (1, 2)})] = False,
) -> int:
    """Works."""
    return a


def test_groups_and_conditions_are_data() -> None:
    node()(conditions)
    kind = node_type(conditions)
    assert kind is not None
    widgets = {port.name: port.widget for port in kind.spec.inputs}
    tiles, overlap = widgets["tiles"], widgets["overlap"]
    assert tiles is not None and (tiles.group, tiles.shown_if) == ("Memory", {"method": ["fine"]})
    assert overlap is not None and overlap.advanced and overlap.shown_if == {"method": ["fine"], "tiles": [1, 2]}


def later(*, b: Annotated[int, Number(shown_if={"c": 1})] = 0, c: int = 0) -> int:
    """x"""
    return b


def no_widget(c: int, *, b: Annotated[int, Number(shown_if={"c": 1})] = 0) -> int:
    """x"""
    return b


def no_such_value(*, c: Literal["x"] = "x", b: Annotated[int, Number(shown_if={"c": "y"})] = 0) -> int:
    """x"""
    return b


def another_type(*, c: int = 0, b: Annotated[int, Number(shown_if={"c": [1, "y"]})] = 0) -> int:
    """x"""
    return b


def without_default(*, b: Annotated[int, Number(advanced=True)]) -> int:
    """x"""
    return b


def grouped_socket(b: Annotated[int, Number(group="G")] = 0) -> int:
    """x"""
    return b


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (later, "names 'c', which is no widget before it"),
        (no_widget, "names 'c', which is no widget before it"),
        (no_such_value, "'y' is not one of the choices"),
        (another_type, "'y' is not a whole number"),
        (without_default, "needs a default"),
        (grouped_socket, "is a socket"),
    ],
)
def test_wrong_conditions_name_file_and_parameter(function: Callable[..., Any], words: str) -> None:
    with pytest.raises(NodeDefinitionError, match="parameter 'b'") as caught:
        node()(function)
    assert words in str(caught.value)
    assert f"test_identity.py: {function.__name__}" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"aliases": "image.old"}, "write ('image.old',)"),
        ({"aliases": ("old",)}, "is no id such as"),
        ({"aliases": {"image.old": 2}}, "at version 1 to 1"),
        ({"aliases": ("sdk.same",)}, "is the id that it has"),
        ({"tags": "ksampler"}, "write ('ksampler',)"),
        ({"category": "line art"}, "not written as a module"),
    ],
)
def test_wrong_names_are_refused(options: dict[str, Any], words: str) -> None:
    def same(a: int) -> int:
        """x"""
        return a

    with pytest.raises(NodeDefinitionError) as caught:
        node(**options)(same)
    assert words in str(caught.value)


def test_a_slip_in_a_module_is_told_with_its_own_place(load: Load) -> None:
    (pack,) = load({"slip.py": "x = 1\ndef (\n"}).packs
    assert "slip.py:2)" in pack.reason and "importlib" not in pack.reason
    (pack,) = load({"slip.py": code("blur").replace("-> int", "")}).packs
    assert "blur" in pack.reason and "slip.py:" in pack.reason and "node.py" not in pack.reason
