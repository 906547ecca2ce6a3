"""One call of a node in a run: what it is given, what it may touch, and what becomes of what it returns."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from safelight.graph import GraphNode
from safelight.protocol.events import Event, NodeProgress
from safelight.sdk.codec import CodecError
from safelight.sdk.pack import BUILT_IN
from safelight.sdk.problem import Problem, ProblemError
from safelight.sdk.types import PortType

from .cache.pins import Holding
from .call import Demand, lazily, verify
from .cancel import Cancel
from .context import NodeContext, Services
from .guard import Guard, copied
from .outputs import take_apart
from .result import RunOptions
from .surroundings import Surroundings


class Caller:
    """Calls the nodes of one run. Nodes of other packs get copies, and what they return is copied, too."""

    def __init__(
        self,
        services: Services,
        run_id: str,
        emit: Callable[[Event], None],
        cancel: Cancel,
        options: RunOptions,
        holding: Holding,
        warned: Callable[[GraphNode, Problem], None],
    ) -> None:
        self._services = services
        self._id = run_id
        self._emit = emit
        self._cancel = cancel
        self._options = options
        self._holding = holding
        self._warned = warned
        self._process = os.getpid()
        self._saved: dict[str, bytes] = {}

    def call(self, node: GraphNode, key: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The outputs of the node by port, for these values of its inputs. Lazy inputs that are left out are demanded.

        Raises:
            Demand: for a lazy input that is left out.
            ProblemError: `bad_result`, `input_changed`, what the values of its inputs violate; and whatever it raises.
        """
        kind = node.kind
        for port, wire in node.wires.items():
            if wire.sources and port in arguments:
                verify(node, port, arguments[port])
        context = NodeContext(
            services=self._services,
            key=key,
            cancel=self._cancel,
            report=lambda step, total, preview, curve: self._emit(
                NodeProgress(run=self._id, node=node.id, step=step, total=total, preview=preview, curve=curve)
            ),
            previews=self._options.previews,
            checkpoint_seconds=self._options.checkpoint_seconds,
            warned=lambda problem: self._warned(node, problem),
            keep=self._keep,
        )
        foreign = kind.spec.pack != BUILT_IN
        guard = Guard(arguments, self._services.cache.codec) if foreign or self._options.strict else None
        given = arguments if guard is None else guard.arguments
        eager = {port: value for port, value in given.items() if port not in kind.lazy} if kind.lazy else given
        extra = {kind.context: context} if kind.context else {}
        surroundings = Surroundings() if foreign else None
        demanded: list[str] = []
        try:
            branches = lazily(node, given, demanded) if kind.lazy else {}
            result = kind.function(**eager, **branches, **extra)
        except BaseException:
            if demanded:  # whatever it made of not having it
                raise Demand(demanded[0]) from None
            raise
        finally:
            if os.getpid() != self._process:
                os._exit(1)  # a process that the node forked has come back here: the run is its parent's
            if surroundings is not None:
                surroundings.restore()
        if demanded:
            raise Demand(demanded[0])
        outputs = take_apart(kind, result, element_types(node))
        if guard is not None:
            guard.check(kind.spec.id)
        if foreign:
            # It may keep what it returned, and write to it later.
            outputs = {port: self._own(node, port, value) for port, value in outputs.items()}
        context.finish()
        return outputs

    def saved(self, digest: str) -> bytes | None:
        """Bytes that were saved in a call and found no room in the cache."""
        return self._saved.get(digest)

    def forget(self) -> None:
        """Lets go of saved bytes: they were handed over, or their node failed."""
        self._saved = {}

    def _keep(self, digest: str, data: bytes | None) -> None:
        if not self._holding.bytes(digest) and data is not None:
            self._saved[digest] = data

    def _own(self, node: GraphNode, port: str, value: Any) -> Any:
        codec = self._services.cache.codec
        try:
            return copied(codec.encode(value), codec)
        except (CodecError, RecursionError) as error:
            message = f"{node.kind.spec.id} gave something at its output {port!r} that cannot be kept: {error}"
            raise ProblemError(
                Problem(code="bad_result", message=message, hint="This is a fault of the node.")
            ) from None


def element_types(node: GraphNode) -> dict[str, PortType]:
    """The types of the outputs of one element."""
    if not node.lift:
        return node.types
    found: dict[str, PortType] = {}
    for port, kind in node.types.items():
        inner = kind
        for _ in range(node.lift):
            inner = inner.args[0]
        found[port] = inner
    return found
