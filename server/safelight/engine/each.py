"""A node that runs once for each element of its lists. Those that another run computes just now come later."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from safelight.graph import GraphNode, Keys
from safelight.graph.keys import eager

from .cache import MISSING, Action
from .call import Demand, elements, nested
from .calling import Caller
from .cancel import Cancel
from .context import Services
from .flights import WORTH_SHARING
from .memory import CacheMemory


class Aloft(Exception):
    """Another run computes this key just now."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class Each:
    """Runs nodes element by element. Elements that were done before come from the cache.

    The key of an element is that of the plain node with these inputs, and with each lazy input that it asked for: what
    was computed in a list is known outside of it, and the other way round.
    """

    def __init__(
        self,
        services: Services,
        keys: Keys,
        memory: CacheMemory,
        caller: Caller,
        cancel: Cancel,
        gone: Callable[[GraphNode, dict[str, Any]], bool],
        shared: bool,
    ) -> None:
        """`gone` says of the outputs of an output node whether the bytes of its files are lost. With `shared` other
        processes may compute some of the elements."""
        self._shared = shared
        self._cache = services.cache
        self._flights = services.flights
        self._keys = keys
        self._memory = memory
        self._caller = caller
        self._cancel = cancel
        self._gone = gone

    def run(
        self,
        node: GraphNode,
        arguments: dict[str, Any],
        fixed: dict[str, str],
        lazy: dict[str, str],
        *,
        forced: bool,
    ) -> dict[str, Any]:
        """The outputs of all elements, in lists like those that came in.

        Args:
            node: the node.
            arguments: the values of its inputs by port, lists where they are taken apart.
            fixed: the digests of the eager inputs that are the same for all elements.
            lazy: the digests of the lazy inputs that are there.
            forced: whether elements run even if their results are known.

        Raises:
            Demand: an element asks for a lazy input that is not there yet.
        """
        given = list(elements(node, arguments))
        results: dict[int, dict[str, Any]] = {}
        aloft: set[str] = set()
        while len(results) < len(given):
            for number, values in enumerate(given):
                if number in results:
                    continue
                self._cancel.check()
                digests = {
                    port: self._keys.element_wire(node, port, wire, values[port]) if wire.depth else fixed[port]
                    for port, wire in eager(node)
                }
                try:
                    results[number] = self._element(node, self._keys.key(node, digests), values, lazy, forced)
                except Aloft as another:
                    aloft.add(another.key)
            if aloft:
                self._flights.wait(aloft, self._cancel)
                aloft.clear()
        ordered = [results[number] for number in range(len(given))]
        return {port: nested(node, arguments, [result[port] for result in ordered]) for port in node.kind.outputs}

    def _element(
        self, node: GraphNode, key: str, given: dict[str, Any], lazy: dict[str, str], forced: bool
    ) -> dict[str, Any]:
        """The outputs of one element. Raises Aloft while another run computes them."""
        asked: list[str] = []
        while True:
            port = None
            known = self._cache.lookup(key) if node.kind.spec.cache and not forced else None
            outputs = self._read(node, known)
            if outputs is not None:
                return outputs
            if known is not None and known.demands in node.kind.lazy and known.demands not in asked:
                port = known.demands
            if port is None:
                try:
                    outputs = self._compute(node, key, given, asked, forced)
                except Demand as demand:
                    port = demand.port
                    if node.kind.spec.cache:
                        self._cache.record(key, Action(demands=port))
                else:
                    return outputs
            if port not in lazy:
                raise Demand(port)
            asked.append(port)
            key = self._keys.choice(key, port, lazy[port])

    def _read(self, node: GraphNode, known: Action | None) -> dict[str, Any] | None:
        """The outputs that are remembered, where all of them are there."""
        if known is None or known.demands is not None:
            return None
        outputs = {name: self._cache.get(ref) for name, ref in known.outputs.items()}
        there = all(value is not MISSING for value in outputs.values()) and not self._gone(node, outputs)
        return outputs if there else None

    def _compute(
        self, node: GraphNode, key: str, given: dict[str, Any], asked: list[str], forced: bool
    ) -> dict[str, Any]:
        """Calls the node for one element."""
        ready = {port: value for port, value in given.items() if port not in node.kind.lazy or port in asked}
        if not node.kind.spec.cache:
            return self._caller.call(node, key, ready)
        if not self._flights.take_off(key, shared=self._shared):
            raise Aloft(key)
        try:
            if self._shared and not forced and (outputs := self._read(node, self._cache.lookup(key))) is not None:
                return outputs  # another process has just done it
            started = time.perf_counter()
            outputs = self._caller.call(node, key, ready)
            seconds = time.perf_counter() - started
            refs = {port: self._cache.put(value, seconds, cheap=node.kind.cheap) for port, value in outputs.items()}
            if self._memory.unchanged(node, ready):
                self._cache.record(key, Action(outputs=refs, seconds=seconds))
            if self._shared and seconds > WORTH_SHARING:
                self._cache.flush()
        finally:
            self._flights.land(key)
        return outputs
