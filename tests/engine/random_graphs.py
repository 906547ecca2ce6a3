"""Random graphs of every shape the engine knows, and an evaluator that shares no code with it.

The evaluator walks the JSON of a document by recursion and knows nothing of keys, caches or plans. Nodes are shared by
all graphs, so that results of one are met again in others, on disk too.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from safelight.sdk import Catalogue, Image, Lazy, node
from safelight.sdk.pack import value_classes

if TYPE_CHECKING:
    from safelight.graph import Document

T = TypeVar("T")


class Halves(NamedTuple):
    head: str
    tail: list[str]


@node()
def text(*, size: int = 3, letter: str = "a") -> str:
    """A text of some size."""
    return letter * size


@node()
def parts(*, count: int = 2, size: int = 3) -> list[str]:
    """Several texts, or none."""
    return [chr(97 + number) * (size + number) for number in range(count)]


@node()
def grid(*, rows: int = 2, count: int = 2) -> list[list[str]]:
    """Lists of texts, or none."""
    return [[f"{row}{number}" for number in range(count)] for row in range(rows)]


@node()
def turned(a: str, b: str | None = None, *, times: int = 1) -> str:
    """A text turned round, or two joined."""
    return (a[::-1] + (b or "")) * times


@node()
def joined(texts: list[str], *, mark: str = "-") -> str:
    """All texts in one."""
    return mark.join(texts)


@node()
def length(a: str) -> int:
    """An edit that keeps the length changes nothing behind this."""
    return len(a)


@node()
def total(numbers: list[float]) -> float:
    """The sum."""
    return float(sum(numbers))


@node()
def split(a: str) -> Halves:
    """Two outputs."""
    return Halves(a[:2], list(a[2:6]))


@node()
def select(first: Lazy[T], second: Lazy[T] | None = None, *, index: int = 0) -> T:
    """One of two."""
    chosen = (first, second)[index % 2] or first
    return chosen.get()


@node()
def twice(which: Lazy[int], first: Lazy[T], second: Lazy[T]) -> T:
    """Asks for one input to know which other it wants."""
    return (second if which.get() % 2 else first).get()


@node()
def field(*, side: int = 4, shade: float = 0.5) -> Image:
    """A grey image."""
    import torch

    return Image(torch.full((1, side + 1, side + 1, 3), shade))


@node()
def dimmed(image: Image, *, by: float = 0.5) -> Image:
    """Darker."""
    return Image(image.pixels * by)


@node()
def mean(image: Image) -> float:
    """The mean of an image."""
    return float(image.pixels.double().mean())


@node(cache=False)
def fresh(*, letter: str = "z") -> str:
    """Asked for in every run."""
    return letter


NODES = (text, parts, grid, turned, joined, length, total, split, select, twice, field, dimmed, mean, fresh)


def catalogue() -> Catalogue:
    found = Catalogue.of(*NODES)
    return Catalogue(found.values(), value_classes(sys.modules[__name__]))


_LETTERS = "abc"
_BODY = {
    "nodes": {
        "turn": {"type": "random_graphs.turned", "version": 1, "values": {"times": 1}},
        "long": {"type": "random_graphs.length", "version": 1, "values": {}},
        "grey": {"type": "random_graphs.field", "version": 1, "values": {"side": 2, "shade": 0.5}},
        "pick": {"type": "random_graphs.select", "version": 1, "values": {}},
    },
    "links": [{"from": "turn.text", "to": "long.a"}, {"from": "turn.text", "to": "pick.first"}],
    "inputs": [
        {"name": "a", "to": "turn.a"},
        {"name": "b", "to": "turn.b"},
        {"name": "i", "to": "grey.side"},
        {"name": "i", "to": "pick.index"},
        {"name": "far", "to": "pick.second"},
    ],
    "outputs": [
        {"name": "text", "from": "turn.text"},
        {"name": "value", "from": "long.value"},
        {"name": "image", "from": "grey.image"},
        {"name": "picked", "from": "pick.value"},
    ],
}
"""What repeated instances run: `a` turned round and joined with `b`, its length, an image of the size of the turn, and
in odd turns what comes from far."""


def make(rng: random.Random, size: int) -> dict[str, Any]:  # noqa: PLR0915  a table of what may be built
    """A document of up to `size` nodes with one to three outputs."""
    nodes: dict[str, Any] = {}
    links: list[dict[str, str]] = []
    outs: list[tuple[str, str, int]] = []  # where, type, depth

    def giver(kinds: tuple[str, ...], most: int) -> tuple[str, str, int] | None:
        fitting = [out for out in outs if out[1] in kinds and out[2] <= most]
        return rng.choice(fitting[-6:]) if fitting else None

    def add(kind: str, values: dict[str, Any], wires: dict[str, list[str]]) -> str:
        name = f"n{len(nodes)}"
        nodes[name] = {"type": f"random_graphs.{kind}", "version": 1, "values": values}
        links.extend({"from": source, "to": f"{name}.{port}"} for port, sources in wires.items() for source in sources)
        return name

    def leaf() -> None:
        kind = rng.choice(["text", "text", "parts", "grid", "field", "fresh"])
        if kind == "text":
            size = rng.choice([0, 3, 3, 20_000, 30_000])
            name = add(kind, {"size": size, "letter": rng.choice(_LETTERS)}, {})
            outs.append((f"{name}.text", "str", 0))
        elif kind == "parts":
            name = add(kind, {"count": rng.choice([0, 0, 1, 2, 3]), "size": rng.choice([1, 3, 15_000])}, {})
            outs.append((f"{name}.texts", "str", 1))
        elif kind == "grid":
            name = add(kind, {"rows": rng.choice([0, 0, 1, 2]), "count": rng.choice([0, 1, 2])}, {})
            outs.append((f"{name}.texts", "str", 2))
        elif kind == "field":
            name = add(kind, {"side": rng.choice([1, 4, 60]), "shade": rng.choice([0.25, 0.5])}, {})
            outs.append((f"{name}.image", "Image", 0))
        else:
            outs.append((f"{add(kind, {'letter': rng.choice(_LETTERS)}, {})}.text", "str", 0))

    def loop() -> None:
        how = rng.choice(["each", "times", "carry"])
        a = giver(("str",), 1)
        b, far = giver(("str",), 0), giver(("str",), 0)
        if not a or not b or not far or a[2] != (how == "each"):
            return
        name = f"n{len(nodes)}"
        repeat: dict[str, Any] = {"each": ["a"]} if how == "each" else {"times": "n"}
        repeat |= {"index": "i"} | ({"carry": {"a": "text"}} if how == "carry" else {})
        values = {} if how == "each" else {"n": rng.choice([0, 1, 2, 3])}
        nodes[name] = {"type": "subgraph:body", "values": values, "repeat": repeat}
        for port, source in (("a", a), ("b", b), ("far", far)):
            if port != "b" or how != "carry" or rng.random() < 0.5:
                links.append({"from": source[0], "to": f"{name}.{port}"})
        outs.append((f"{name}.text", "str", int(how != "carry")))
        outs.extend([(f"{name}.value", "int", 1), (f"{name}.image", "Image", 1), (f"{name}.picked", "str", 1)])

    def inner() -> None:  # noqa: PLR0915  a table, too
        if rng.random() < 0.15:
            loop()
            return
        kind = rng.choice(["turned", "turned", "joined", "length", "total", "split", "select", "select", "twice",
                           "dimmed", "mean"])  # fmt: skip
        if kind == "turned":
            a, b = giver(("str",), 2), giver(("str",), 0) if rng.random() < 0.5 else None
            if a:
                wires = {"a": [a[0]]} | ({"b": [b[0]]} if b else {})
                outs.append((f"{add(kind, {'times': rng.choice([1, 1, 2])}, wires)}.text", "str", a[2]))
        elif kind == "joined":
            count = rng.choice([1, 1, 2])
            found = [giver(("str",), 2 if count == 1 else 1) for _ in range(count)]
            if all(found):
                depth = max(0, max(one[2] for one in found if one) - 1)
                wires = {"texts": [one[0] for one in found if one]}
                outs.append((f"{add(kind, {'mark': rng.choice('-+')}, wires)}.text", "str", depth))
        elif kind == "length":
            a = giver(("str",), 2)
            if a:
                outs.append((f"{add(kind, {}, {'a': [a[0]]})}.value", "int", a[2]))
        elif kind == "total":
            found = [giver(("int", "float"), 1) for _ in range(rng.choice([1, 2]))]
            if all(found):
                wires = {"numbers": [one[0] for one in found if one]}
                outs.append((f"{add(kind, {}, wires)}.value", "float", 0))
        elif kind == "split":
            a = giver(("str",), 1)
            if a:
                name = add(kind, {}, {"a": [a[0]]})
                outs.extend([(f"{name}.head", "str", a[2]), (f"{name}.tail", "str", a[2] + 1)])
        elif kind in ("select", "twice"):
            first = giver(("str", "Image", "int"), 0)
            second = giver((first[1],), 0) if first else None
            if not first or not second:
                return
            wires = {"first": [first[0]], "second": [second[0]]}
            index = giver(("int",), 1 if kind == "select" else 0)
            depth = 0
            values: dict[str, Any] = {}
            if kind == "twice":
                if not index:
                    return
                wires["which"] = [index[0]]
            elif index and rng.random() < 0.6:
                wires["index"] = [index[0]]
                depth = index[2]
            else:
                values["index"] = rng.choice([0, 1])
            outs.append((f"{add(kind, values, wires)}.value", first[1], depth))
        elif kind in ("dimmed", "mean"):
            image = giver(("Image",), 1)
            if image:
                name = add(kind, {"by": rng.choice([0.5, 1.0])} if kind == "dimmed" else {}, {"image": [image[0]]})
                outs.append(
                    (f"{name}.image", "Image", image[2]) if kind == "dimmed" else (f"{name}.value", "float", image[2])
                )

    while len(nodes) < size:
        leaf() if len(outs) < 3 or rng.random() < 0.25 else inner()
    chosen = rng.sample(outs, min(len(outs), rng.choice([1, 2, 3])))
    return {
        "format": "safelight/1",
        "nodes": nodes,
        "links": links,
        "subgraphs": {"body": _BODY},
        "outputs": [{"name": f"o{number}", "from": out[0]} for number, out in enumerate(chosen)],
    }


def edit(rng: random.Random, document: dict[str, Any]) -> None:
    """Changes one value of one node."""
    editable = [body for body in document["nodes"].values() if body["values"]]
    if editable:
        values = rng.choice(editable)["values"]
        name = rng.choice(list(values))
        old = values[name]
        if isinstance(old, int):
            values[name] = rng.choice([0, 1, 2, 3])
        elif isinstance(old, float):
            values[name] = rng.choice([0.25, 0.5, 1.0])
        else:
            values[name] = rng.choice(_LETTERS)


# The evaluator.

_LISTS = {"joined": {"texts"}, "total": {"numbers"}}
_GIVES = {"parts": {"texts": 1}, "grid": {"texts": 2}, "split": {"tail": 1}}
_FUNCTIONS: dict[str, Callable[..., Any]] = {function.__name__: function for function in NODES}


def evaluate(document: Document) -> dict[str, Any]:  # noqa: PLR0915  one rule after the other
    """The outputs of the workflow by name, computed plainly."""
    seen: dict[str, tuple[dict[str, Any], int]] = {}
    links: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for link in document.links:
        ports = links.setdefault(link.target.node, {})
        ports.setdefault(link.target.port, []).append((link.source.node, link.source.port))

    def outputs(name: str) -> tuple[dict[str, Any], int]:
        if name not in seen:
            seen[name] = work(name)
        return seen[name]

    def brought(source: tuple[str, str]) -> tuple[Any, int]:
        values, lift = outputs(source[0])
        kind = document.nodes[source[0]].type.rpartition(".")[2]
        depth = lift + _GIVES.get(kind, {}).get(source[1], 0)
        if kind in ("select", "twice"):
            depth = lift
        if document.nodes[source[0]].repeat is not None:
            depth = int(source[1] != "text" or not document.nodes[source[0]].repeat.carry)
        return values[source[1]], depth

    def turns(name: str) -> dict[str, Any]:
        body = document.nodes[name]
        given = {port: brought(sources[0])[0] for port, sources in links.get(name, {}).items()}
        assert body.repeat is not None
        found: dict[str, Any] = {"text": [], "value": [], "image": [], "picked": []}
        a = given["a"]
        for turn in range(len(a) if body.repeat.each else body.values["n"]):
            text = turned(a[turn] if body.repeat.each else a, given.get("b"))
            found["text"].append(text)
            found["value"].append(len(text))
            found["image"].append(field(side=turn))
            found["picked"].append(given["far"] if turn % 2 else text)
            a = text if body.repeat.carry else a
        if body.repeat.carry:
            found["text"] = a
        return found

    def work(name: str) -> tuple[dict[str, Any], int]:
        body = document.nodes[name]
        if body.repeat is not None:
            return turns(name), 0
        kind = body.type.rpartition(".")[2]
        given: dict[str, Any] = dict(body.values)
        excess: dict[str, int] = {}
        for port, sources in links.get(name, {}).items():
            wants = 1 if port in _LISTS.get(kind, ()) else 0
            found = [brought(source) for source in sources]
            if wants and len(found) > 1:
                given[port] = [item for value, depth in found for item in (value if depth else [value])]
            elif wants and found[0][1] == 0:
                given[port] = [found[0][0]]
            else:
                given[port], excess[port] = found[0][0], found[0][1] - wants
        lift = max(excess.values(), default=0)

        def each(arguments: dict[str, Any], left: dict[str, int]) -> Any:
            mapped = {port for port, depth in left.items() if depth > 0}
            if not mapped:
                return called(kind, arguments)
            lengths = {len(arguments[port]) for port in mapped}
            assert len(lengths) == 1
            lower = {port: depth - 1 for port, depth in left.items()}
            return [
                each(arguments | {port: arguments[port][number] for port in mapped}, lower)
                for number in range(lengths.pop())
            ]

        result = each(given, excess)
        names = {"split": ("head", "tail")}.get(kind)
        if names:
            return {part: _picked(result, lift, number) for number, part in enumerate(names)}, lift
        return {_port(kind): result}, lift

    return {port.name: outputs(port.source.node)[0][port.source.port] for port in document.outputs}


def called(kind: str, arguments: dict[str, Any]) -> Any:
    """The function itself, its lazy inputs at hand."""
    if kind in ("select", "twice"):
        arguments = {
            port: Lazy.of(value) if port in ("first", "second", "which") else value for port, value in arguments.items()
        }
    return _FUNCTIONS[kind](**arguments)


def _picked(result: Any, lift: int, number: int) -> Any:
    return [_picked(item, lift - 1, number) for item in result] if lift else result[number]


def _port(kind: str) -> str:
    ports = {"text": "text", "parts": "texts", "grid": "texts", "turned": "text", "joined": "text", "fresh": "text",
             "field": "image", "dimmed": "image"}  # fmt: skip
    return ports.get(kind, "value")
