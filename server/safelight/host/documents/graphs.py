"""Documents in the server: read, checked and planned, in threads, without torch."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec

from safelight.app import Studio
from safelight.graph import Checked, Document, Graph, Plan
from safelight.graph.breadth import breadth
from safelight.models.hardware import REMEMBERED
from safelight.protocol.records import RunOrder
from safelight.protocol.workflows import TemplateCost
from safelight.sdk.pack import Catalogue
from safelight.sdk.problem import Problem, ProblemError

from .filling import filled, port_of
from .templates import template_costs

T = TypeVar("T")
_MEASURE_SECONDS = 30.0
_PLANNED = 100
"""Runs of a sweep that are planned for an estimate; the rest is expected to take as long as the last of these."""


class Graphs:
    """What needs the studio, off the event loop."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="graphs")
        # Of their own, and several: a check waits for a model that it fetches, and nothing else should.
        self._checks = ThreadPoolExecutor(16, thread_name_prefix="checks")
        self._measured = asyncio.Event()
        self._theirs = ""

    async def call(self, work: Callable[[Studio], T]) -> T:
        """Runs something with the studio in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(self._studio))

    async def _call_check(self, work: Callable[[Studio], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._checks, lambda: work(self._studio))

    async def catalogue(self) -> Catalogue:
        return await self.call(lambda studio: studio.catalogue)

    async def check(self, document: bytes, targets: Sequence[str] | None) -> Checked:
        return await self._call_check(lambda studio: studio.check(Document.loads(document), targets))

    async def plan(
        self, document: bytes, inputs: Mapping[str, Any], targets: Sequence[str] | None, force: Sequence[str]
    ) -> tuple[Checked, Plan | None]:
        """The check, and the plan if the document can be run."""

        def work(studio: Studio) -> tuple[Checked, Plan | None]:
            studio.cache.forget_seconds()
            checked = studio.check(filled(Document.loads(document), inputs), targets)
            if checked.graph is None or not checked.ok:
                return checked, None
            checked.graph.must_have(force)
            return checked, studio.plan(checked.graph, frozenset(force), self._theirs)

        await self._numerics()
        return await self._call_check(work)

    async def breadth(self, document: bytes, inputs: Mapping[str, Any], targets: Sequence[str] | None) -> int:
        """How many workers a run could keep busy; 1 where that cannot be told."""

        def work(studio: Studio) -> int:
            studio.cache.forget_seconds()
            try:
                graph = studio.check(filled(Document.loads(document), inputs), targets).require()
                return breadth(graph, studio.plan(graph, numerics=self._theirs))
            except ProblemError:
                return 1

        return await self._call_check(work) if self._is_measured() else 1

    async def costs(self) -> list[TemplateCost]:
        """What each shipped workflow takes on this machine."""
        await self._numerics()
        return await self.call(template_costs)

    def measured(self, numerics: str = "") -> None:
        """A worker is warm: what its processor computes with is known by now; `numerics`, where it is that of another
        machine."""
        self._theirs = numerics
        self._measured.set()

    def _is_measured(self) -> bool:
        return self._measured.is_set() or (self._studio.home / REMEMBERED).exists()

    async def _numerics(self) -> None:
        """The first start on a machine measures its processor. Workers do, so this process need not."""
        if not self._is_measured():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._measured.wait(), _MEASURE_SECONDS)

    async def prepare(
        self, order: RunOrder, values: Mapping[str, Any], rows: Sequence[Mapping[str, Any]] = ({},)
    ) -> list[RunOrder]:
        """Orders that are fit to be accepted, one for each row of inputs: `values` are set, and all of it is checked.

        Raises:
            ProblemError: with every problem; those of a row name it when there are several.
        """

        for name in values:
            port_of(name)
        # Before the processor was measured the keys of what is cached are not known either.
        known = self._is_measured()

        def work(studio: Studio) -> list[RunOrder]:
            studio.cache.forget_seconds()  # workers have learned since how long nodes take
            document = Document.loads(order.document)
            body = msgspec.json.encode(document.data())
            name = order.name or document.name or order.workflow or "workflow"
            made: list[RunOrder] = []
            estimate: float | None = None
            wrong: list[tuple[int, Problem]] = []
            looked = 0
            for number, row in enumerate(rows):
                inputs = {**values, **order.inputs, **row}
                looked += 1
                try:
                    checked = studio.check(filled(document, inputs), order.targets)
                    graph = checked.require()
                    graph.must_have(order.force)
                except ProblemError as error:
                    wrong += [(number, problem) for problem in error.problems]
                    if len(wrong) > 200:
                        break
                    continue
                if known and number < _PLANNED:
                    estimate = _estimate(studio, graph, order.force, self._theirs)
                made.append(msgspec.structs.replace(order, document=body, name=name, inputs=inputs, estimate=estimate))
            if wrong:
                raise ProblemError(_of_rows(wrong, looked))
            return made

        return await self._call_check(work)

    def close(self) -> None:
        self._checks.shutdown(cancel_futures=True)
        self._threads.shutdown(cancel_futures=True)
        self._studio.close()


def _estimate(studio: Studio, graph: Graph, force: Sequence[str], numerics: str) -> float | None:
    """Seconds by what its nodes took in past runs, without what is cached; None when nothing is known of any of them.

    What other runs of the queue will have cached by then is not foreseen.
    """
    try:
        found = studio.plan(graph, frozenset(force), numerics).nodes.values()
    except ProblemError:
        return None
    known = [node.seconds for node in found if node.status in ("run", "unknown") and node.seconds is not None]
    unknown = any(node.status == "run" and node.seconds is None for node in found)
    return round(sum(known), 4) if known or not unknown else None


def _of_rows(wrong: Sequence[tuple[int, Problem]], looked: int) -> list[Problem]:
    """What is wrong with the runs of a sweep, of which so many were looked at: each problem with its run, one that all
    of them have once and without."""
    runs: defaultdict[str, set[int]] = defaultdict(set)
    for number, problem in wrong:
        runs[str(problem)].add(number)
    made = [
        problem if len(runs[str(problem)]) == looked else _prefixed(problem, f"Run {number + 1}: ")
        for number, problem in wrong
    ]
    return [one for number, one in enumerate(made) if one not in made[:number]]


def _prefixed(problem: Problem, where: str) -> Problem:
    return msgspec.structs.replace(problem, message=where + problem.message) if where else problem
