"""Safelight in Python: run workflows, and build them by calling nodes.

import safelight

images = safelight.load("text_to_image").run(prompt="a red apple", seed=1)
images[0].save("apple.png")
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast, get_type_hints, overload

from safelight.app import Outcome, Studio
from safelight.engine import Cancel, NodeReport, RunOptions
from safelight.engine.running import Emit
from safelight.graph import Checked, Document, Link, Node, OutputPort, Plan, Port
from safelight.graph.document import InputPort
from safelight.media.registry import MediaRegistry
from safelight.sdk.context import Context
from safelight.sdk.marker import BUILT_IN
from safelight.sdk.node import node_type
from safelight.sdk.pack import Catalogue, load_packs
from safelight.sdk.problem import Cancelled, Problem, ProblemError, errors

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Result(Sequence["PILImage"]):
    """The images of a run, in the order of the workflow's outputs, as a sequence of Pillow images.

    `outputs` has what each output of the workflow gave, `files` the paths of all files written, `nodes` what became
    of each node.
    """

    images: tuple[PILImage, ...]
    outputs: Mapping[str, list[dict[str, Any]]]
    files: tuple[Path, ...]
    nodes: Mapping[str, NodeReport]
    seconds: float

    @overload
    def __getitem__(self, index: int) -> PILImage: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[PILImage, ...]: ...
    def __getitem__(self, index: int | slice) -> PILImage | tuple[PILImage, ...]:
        return self.images[index]

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Workflow:
    """A document that can be run. Made by `load`, or by a `Builder`."""

    document: Document
    studio: Studio

    def check(self) -> list[Problem]:
        """Every problem of the document; empty when it can run."""
        return self._checked().problems

    def plan(self, **inputs: Any) -> Plan:
        """What a run with these inputs would do now."""
        document = self.document.with_inputs(inputs)
        return self.studio.plan(self.studio.check(document).require())

    def run(
        self,
        *,
        output: str | os.PathLike[str] = "output",
        emit: Emit | None = None,
        cancel: Cancel | None = None,
        options: RunOptions | None = None,
        **inputs: Any,
    ) -> Result:
        """Runs the workflow with these values for its inputs.

        Raises:
            ProblemError: the workflow or an input is wrong, or a node failed.
            Cancelled: `cancel` was set.
        """
        document = self.document.with_inputs(inputs)
        outcome = self.studio.run(document, output=Path(output), emit=emit, cancel=cancel, options=options)
        if outcome.result.status == "cancelled":
            raise Cancelled
        if stopping := errors(outcome.result.problems):
            raise ProblemError(stopping)
        return _result(outcome, self.studio.media)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the document as a workflow file."""
        Path(path).write_text(self.document.dumps(), encoding="utf-8")

    def _checked(self) -> Checked:
        return self.studio.check(self.document)


def load(what: str | os.PathLike[str], studio: Studio | None = None) -> Workflow:
    """A workflow by file, by image that carries one, or by the name of a shipped one.

    What is not as it was in a file of another program is told as warnings.

    Args:
        what: what `safelight run` takes.
        studio: the open studio to use; by default one on the user's data folder, with the current folder for inputs.
    """
    opened = studio or Studio.open(inputs=[Path.cwd()])
    document, told = opened.reading(Path(what) if isinstance(what, os.PathLike) else what)
    for remark in told.remarks if told is not None else ():
        warnings.warn(str(remark), stacklevel=2)
    return Workflow(document, opened)


def _result(outcome: Outcome, media: MediaRegistry) -> Result:
    from PIL import Image as pillow

    kinds = {Path(file.path): file.media_type for made in outcome.delivered.values() for file in made}
    files = list(kinds)
    entries = [entry for entries in outcome.outputs.values() for entry in entries if "path" in entry]
    listed = [Path(entry["path"]) for entry in entries]
    kinds |= {Path(entry["path"]): entry["media_type"] for entry in entries}
    files += [path for path in listed if path not in files]
    images: list[PILImage] = []
    for path in listed or files:
        medium = media.of_type(kinds[path])
        if medium is None or medium.view != "image":
            continue
        with pillow.open(path) as image:
            image.load()
            images.append(image)
    return Result(tuple(images), outcome.outputs, tuple(files), outcome.result.nodes, outcome.result.seconds)


@dataclass
class Builder:
    """Builds a document by calling nodes; type checkers see the nodes' own signatures.

        graph = Builder("my workflow")
        loaded = graph.add(models.load, model="starter", ctx=graph.ctx)
        prompt = graph.add(text.encode, loaded.text, prompt="a red apple", ctx=graph.ctx)

    What `add` returns stands for the node's outputs: pass it on to connect it.
    """

    name: str = ""
    description: str = ""
    ctx: Context = field(default_factory=lambda: cast(Context, None))
    _nodes: dict[str, Node] = field(default_factory=dict)
    _links: list[Link] = field(default_factory=list)
    _inputs: list[InputPort] = field(default_factory=list)
    _outputs: list[OutputPort] = field(default_factory=list)
    _packs: Catalogue | None = None

    def add(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Adds a node: sockets take what other calls returned, widgets take values (or links, all the same)."""
        return self.named("", function, *args, **kwargs)

    def named(self, node_id: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The same with an id of your choice, which `--set` and the editor show."""
        kind = node_type(function)
        if kind is None:
            raise TypeError(f"{function!r} is not marked with @node.")
        if function.__module__.partition(".")[0] not in BUILT_IN:
            # Only the installed packs know under which name a pack is installed, and with that the ids of its nodes.
            kind = self._catalogue().kind_of(function) or kind
        node_id = self._free(node_id or kind.spec.id.rsplit(".", 1)[-1])
        names = list(kind.inputs)
        if len(args) > len(names):
            raise TypeError(f"{kind.spec.id} takes {len(names)} inputs, {len(args)} were given.")
        values: dict[str, Any] = {}
        for port, given in [*zip(names, args, strict=False), *kwargs.items()]:
            if port == kind.context:
                continue
            links = [given] if isinstance(given, _Handle) else given
            if isinstance(links, list) and links and all(isinstance(link, _Handle) for link in links):
                self._links += [Link(cast(_Handle, link).port, Port(node_id, port)) for link in links]
            elif given is not None:
                values[port] = given
        self._nodes[node_id] = Node(type=kind.spec.id, version=kind.spec.version, values=values)
        handles = [_Handle(Port(node_id, name)) for name in kind.outputs]
        if not kind.named:
            return cast(R, handles[0] if handles else None)
        result = get_type_hints(function)["return"]
        return cast(R, result._make(handles))

    def input(self, name: str, node_id: str, port: str, help: str = "") -> None:
        """Makes a port of a node an input of the whole workflow."""
        self._inputs.append(InputPort(name, Port(node_id, port), help))

    def output(self, name: str, value: Any) -> None:
        """Makes what a call returned an output of the whole workflow."""
        if not isinstance(value, _Handle):
            raise TypeError(f"{value!r} is not an output of a node of this builder.")
        self._outputs.append(OutputPort(name, value.port))

    def document(self) -> Document:
        return Document(
            name=self.name,
            description=self.description,
            nodes=dict(self._nodes),
            links=tuple(self._links),
            inputs=tuple(self._inputs),
            outputs=tuple(self._outputs),
        )

    def workflow(self, studio: Studio | None = None) -> Workflow:
        return Workflow(self.document(), studio or Studio.open(inputs=[Path.cwd()]))

    def _catalogue(self) -> Catalogue:
        if self._packs is None:
            self._packs = load_packs()
        return self._packs

    def _free(self, wanted: str) -> str:
        number, name = 1, wanted
        while name in self._nodes:
            number += 1
            name = f"{wanted}_{number}"
        return name


@dataclass(frozen=True)
class _Handle:
    """Stands for an output while a graph is built."""

    port: Port

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(f"{self.port} is an output of a graph that is being built; it has no elements yet.")
