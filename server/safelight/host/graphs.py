"""Documents in the server: read, checked and planned, in threads, without torch."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec

from safelight.app import Studio
from safelight.graph import Checked, Document, Graph, Plan, Port
from safelight.models.hardware import REMEMBERED
from safelight.sdk.pack import Catalogue
from safelight.sdk.problem import Problem, ProblemError

from .records import RunOrder

T = TypeVar("T")
_MEASURE_SECONDS = 30.0


class Graphs:
    """What needs the studio, off the event loop."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="graphs")
        self._measured = asyncio.Event()

    async def call(self, work: Callable[[Studio], T]) -> T:
        """Runs something with the studio in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(self._studio))

    async def catalogue(self) -> Catalogue:
        return await self.call(lambda studio: studio.catalogue)

    async def check(self, document: bytes, targets: Sequence[str] | None) -> Checked:
        return await self.call(lambda studio: studio.check(Document.loads(document), targets))

    async def plan(
        self, document: bytes, inputs: Mapping[str, Any], targets: Sequence[str] | None, force: Sequence[str]
    ) -> tuple[Checked, Plan | None]:
        """The check, and the plan if the document can be run."""

        def work(studio: Studio) -> tuple[Checked, Plan | None]:
            checked = studio.check(Document.loads(document).with_inputs(inputs), targets)
            if checked.graph is None or checked.problems:
                return checked, None
            checked.graph.must_have(force)
            return checked, studio.plan(checked.graph, frozenset(force))

        await self._numerics()
        return await self.call(work)

    def measured(self) -> None:
        """A worker is warm: what its processor computes with is known by now."""
        self._measured.set()

    async def _numerics(self) -> None:
        """The first start on a machine measures its processor. Workers do, so this process need not."""
        if not self._measured.is_set() and not (self._studio.home / REMEMBERED).exists():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._measured.wait(), _MEASURE_SECONDS)

    async def prepare(
        self, order: RunOrder, values: Mapping[str, Any], rows: Sequence[Mapping[str, Any]] = ({},)
    ) -> list[RunOrder]:
        """Orders that are fit to be accepted, one for each row of inputs: `values` are set, and all of it is checked.

        Raises:
            ProblemError: with every problem; those of a row name it when there are several.
        """

        def work(studio: Studio) -> list[RunOrder]:
            document = Document.loads(order.document)
            if values:
                document = document.with_values(dict(_ports(values)))
            body = msgspec.json.encode(document.data())
            name = order.name or document.name or order.workflow or "workflow"
            made: list[RunOrder] = []
            problems: list[Problem] = []
            for number, row in enumerate(rows):
                inputs = {**order.inputs, **row}
                try:
                    checked = studio.check(document.with_inputs(inputs), order.targets)
                    graph = checked.require()
                    graph.must_have(order.force)
                except ProblemError as error:
                    where = f"Run {number + 1}: " if len(rows) > 1 else ""
                    problems += [_prefixed(problem, where) for problem in error.problems]
                    if len(problems) > 200:
                        break
                    continue
                estimate = _estimate(studio, graph)
                made.append(msgspec.structs.replace(order, document=body, name=name, inputs=inputs, estimate=estimate))
            if problems:
                raise ProblemError(problems)
            return made

        return await self.call(work)

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._studio.close()


def _estimate(studio: Studio, graph: Graph) -> float | None:
    """What the nodes usually take together; None when nothing is known of any of them."""
    known = [studio.cache.last_seconds(node.kind.spec.id) for node in graph.nodes if not node.off]
    found = [seconds for seconds in known if seconds is not None]
    return round(sum(found), 4) if found else None


def _ports(values: Mapping[str, Any]) -> Iterator[tuple[Port, Any]]:
    for text, value in values.items():
        node, dot, port = text.rpartition(".")
        if not (node and dot and port):
            message = f"{text!r} does not name a port."
            raise ProblemError(Problem(code="bad_port", message=message, hint="Write node.port.", value=text))
        yield Port(node, port), value


def _prefixed(problem: Problem, where: str) -> Problem:
    return msgspec.structs.replace(problem, message=where + problem.message) if where else problem
