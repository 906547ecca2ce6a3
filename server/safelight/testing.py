"""For the tests of a pack: calls a node as the engine does, and holds it to the rules for nodes."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

from safelight.disk import draft
from safelight.engine.guard import Guard
from safelight.engine.outputs import take_apart
from safelight.media.registry import built_in
from safelight.sdk.codec import Codec, CodecError, hash_bytes
from safelight.sdk.context import Models
from safelight.sdk.media import Media
from safelight.sdk.node import NodeType, node_type, value_fault
from safelight.sdk.pack import value_classes
from safelight.sdk.problem import Cancelled, Problem, ProblemError
from safelight.sdk.values import File, Image

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class BenchContext:
    """A context for a node on the bench: it records what the node tells, and reads files from a folder.

    Give it to the node in the place of its `ctx`, and look at it afterwards. A node that only reports progress needs
    none: `call` makes one.
    """

    folder: Path = field(default_factory=Path)
    """What `ctx.files` looks into."""
    steps: list[tuple[int, int]] = field(default_factory=list)
    """What it said by `ctx.progress`: the step and the total."""
    warnings: list[Problem] = field(default_factory=list)
    saved: dict[str, bytes] = field(default_factory=dict)
    """What it saved, by name."""
    state: dict[str, Any] | None = None
    """What it kept by `ctx.checkpoint`, and gets by `ctx.restore`."""
    stop_at: int | None = None
    """The step after which the run is cancelled."""

    _kept: dict[str, bytes] = field(default_factory=dict)

    @property
    def models(self) -> Models:
        raise NotImplementedError("A bench has no models: pass a context of your own, or run a workflow.")

    @property
    def files(self) -> BenchContext:
        return self

    @property
    def media(self) -> Media:
        return built_in()

    def path(self, name: str) -> Path:
        return self.folder / name

    def progress(
        self,
        step: int,
        total: int,
        preview: Image | None = None,
        curve: Sequence[tuple[int, float]] | None = None,
    ) -> None:
        del preview, curve
        self.steps.append((step, total))

    def wants_preview(self) -> bool:
        return True

    def warn(self, problem: Problem) -> None:
        self.warnings.append(problem.warning())

    def check_cancelled(self) -> None:
        if self.stop_at is not None and self.steps and self.steps[-1][0] >= self.stop_at:
            raise Cancelled

    def restore(self) -> Mapping[str, Any] | None:
        return self.state

    def checkpoint_due(self, step: int, total: int) -> bool:
        return step < total

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        self.state = dict(state)

    def draft(self) -> AbstractContextManager[Path]:
        return draft(self.folder)

    def read(self, file: File) -> bytes:
        return self._kept[file.digest]

    def save(
        self,
        data: bytes | Path,
        *,
        name: str,
        media_type: str,
        width: int = 0,
        height: int = 0,
        keep: bool = True,
        embed: Literal["workflow", "nothing"] = "workflow",
        frames: int = 0,
        seconds: float = 0.0,
    ) -> File:
        data = data.read_bytes() if isinstance(data, Path) else data
        self.saved[name] = self._kept[hash_bytes(data)] = data
        return File(name, media_type, hash_bytes(data), len(data), width, height, keep, embed, frames, seconds)


def call(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Calls a node and returns what it returned; its context may be left out.

    It is called a second time, on the same inputs, unless it says `cache=False` or `output=True`, or was given a
    context.

    Raises:
        ProblemError: what the node raises; a value that does not fit its widget, as `check` has it; `bad_result`, an
            output that is not what its annotation says; `input_changed`, an input that it wrote to; `not_repeatable`,
            another result the second time.
        TypeError: the function is no node, or the arguments do not fit.
    """
    kind = node_type(function)
    if kind is None:
        raise TypeError(f"{function!r} is not marked with @node.")
    signature = inspect.signature(function)
    given = dict(kwargs)
    made = kind.context is not None and kind.context not in given
    if made and kind.context is not None:
        given[kind.context] = BenchContext()
    arguments = signature.bind(*args, **given).arguments
    _check_values(kind, arguments)
    codec = _codec(kind, arguments)
    first, digest = _called(kind, arguments, codec)
    if kind.spec.cache and not kind.spec.output and (made or kind.context is None):
        again = {**arguments, kind.context: BenchContext()} if kind.context else arguments
        if _called(kind, again, codec)[1] != digest:
            message = f"{kind.spec.id} gave another result for the same inputs."
            hint = "Take random numbers from a seed that is an input, or say cache=False."
            raise ProblemError(Problem(code="not_repeatable", message=message, hint=hint))
    return first


def _called(kind: NodeType, arguments: Mapping[str, Any], codec: Codec) -> tuple[Any, str]:
    aside = {kind.context, *kind.lazy}
    guard = Guard({port: value for port, value in arguments.items() if port not in aside}, codec)
    rest = {port: value for port, value in arguments.items() if port in aside}
    result = kind.function(**guard.arguments, **rest)
    outputs = take_apart(kind, result, kind.outputs)
    guard.check(kind.spec.id)
    try:
        return result, codec.digest(outputs)
    except CodecError as error:
        message = f"{kind.spec.id} gave something that cannot be kept: {error}"
        raise ProblemError(Problem(code="bad_result", message=message, hint="This is a fault of the node.")) from None


def _check_values(kind: NodeType, arguments: Mapping[str, Any]) -> None:
    problems: list[Problem] = []
    for port in kind.spec.inputs:
        if port.widget is None or arguments.get(port.name) is None:
            continue
        fault = value_fault(kind.inputs[port.name], port.widget, arguments[port.name])
        if fault:
            message = f"{port.name}: {fault.message}"
            problems.append(Problem(code=fault.code, message=message, hint=fault.hint, port=port.name))
    if problems:
        raise ProblemError(problems)


def _codec(kind: NodeType, arguments: Mapping[str, Any]) -> Codec:
    """Knows the values of Safelight, of the node's package, and of the packages that its values come from."""
    known = [item for item in vars(sys.modules[kind.function.__module__]).values() if isinstance(item, type)]
    given = [type(item) for value in arguments.values() for item in (value if isinstance(value, list) else [value])]
    homes = {"safelight", "safelight_nodes", kind.function.__module__.partition(".")[0]}
    homes |= {cls.__module__.partition(".")[0] for cls in (*known, *given) if hasattr(cls, "__value_name__")}
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in homes]
    return Codec([cls for module in modules for cls in value_classes(module)])
