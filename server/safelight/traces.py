"""Traces of runs for OpenTelemetry, where the environment names a collector: `pip install 'safelight[traces]'`.

A run of the server is a span from its acceptance to its end; below it, one for each attempt on a worker; below that, in
the worker's process, the document, and each node that ran. `safelight run` has the last two. Without
`OTEL_EXPORTER_OTLP_ENDPOINT` nothing of OpenTelemetry is imported.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from safelight.environment import Environment
from safelight.protocol.events import (
    Event,
    NodeFailed,
    NodeFinished,
    NodeSkipped,
    NodeStarted,
    NodeWarned,
    RunFinished,
    without_turns,
)
from safelight.protocol.records import ENDED, Run
from safelight.sdk.problem import Problem

log = logging.getLogger(__name__)

Emit = Callable[[Event], None]
_NANO = 1_000_000_000
_FLUSH_MILLISECONDS = 5_000


class Traces:
    """Makes spans with the tracers of a provider. `RunSpans` and `document` are for one run each."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("safelight")

    @classmethod
    def by_environment(cls, environment: Environment) -> Traces | None:
        """Traces to the collector that the environment names; None where it names none, or the extra is not there."""
        if not environment.traces:
            return None
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            log.warning("no traces: %s. Install what they need: pip install 'safelight[traces]'", error)
            return None
        resource = Resource.create()  # what the user has set: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
        if str(resource.attributes.get("service.name")).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": "safelight"}))
        provider = TracerProvider(resource=resource)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    def close(self) -> None:
        """Sends what is left, for some seconds at most."""
        self._provider.force_flush(_FLUSH_MILLISECONDS)
        self._provider.shutdown()

    @contextlib.contextmanager
    def below(self, parent: str) -> Iterator[None]:
        """Spans of this thread belong to the one that `parent` names, as W3C's `traceparent`; empty: to none."""
        from opentelemetry import context

        token = context.attach(_context(parent))
        try:
            yield
        finally:
            context.detach(token)

    @contextlib.contextmanager
    def document(self, run: str, name: str, types: Mapping[str, str], emit: Emit | None) -> Iterator[Emit]:
        """The span of a document, and those of its nodes by the events that the yielded callable is told; it passes
        them on to `emit`. `types` are the types of nodes by id."""
        from opentelemetry.trace import Status, StatusCode, set_span_in_context

        attributes = {"safelight.run": run, "safelight.document": name, "safelight.nodes": len(types)}
        with self._tracer.start_as_current_span(f"document {name}".strip(), attributes=attributes) as span:
            nodes = _NodeSpans(self._tracer, set_span_in_context(span), types)

            def told(event: Event) -> None:
                nodes.follow(event)
                if isinstance(event, RunFinished):
                    span.set_attribute("safelight.status", event.status)
                    if event.status == "failed":
                        span.set_status(Status(StatusCode.ERROR))
                if emit is not None:
                    emit(event)

            try:
                yield told
            finally:
                nodes.close()
                span.set_attributes({f"safelight.nodes.{how}": count for how, count in nodes.counts.items()})

    def runs(self) -> RunSpans:
        return RunSpans(self._tracer)


class RunSpans:
    """Spans of the runs of a server, and of their attempts."""

    def __init__(self, tracer: Any) -> None:
        self._tracer = tracer
        self._open: dict[str, tuple[Any, Any]] = {}

    def began(self, run: Run, worker: str) -> str:
        """A worker gets a run. Gives what names the span of the attempt to the worker's process."""
        from opentelemetry.trace import set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        whole = self._open[run.id][0] if run.id in self._open else self._whole(run)
        above = set_span_in_context(whole)
        attributes = {"safelight.run": run.id, "safelight.worker": worker, "safelight.attempt": run.attempts}
        attempt = self._tracer.start_span(f"worker {worker}", context=above, attributes=attributes)
        self._open[run.id] = whole, attempt
        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier, context=set_span_in_context(attempt))
        return carrier.get("traceparent", "")

    def _whole(self, run: Run) -> Any:
        from opentelemetry.context import Context

        attributes: dict[str, Any] = {"safelight.run": run.id, "safelight.name": run.name}
        if run.started is not None:
            attributes["safelight.wait_seconds"] = max(0.0, run.started - run.created)
        start = round(run.created * _NANO)
        name = f"run {run.name}".strip()
        return self._tracer.start_span(name, context=Context(), start_time=start, attributes=attributes)

    def ended(self, run: Run, problem: Problem | None = None) -> None:
        """An attempt is over, for the reason of `problem` where the worker died; with the run, where that is over."""
        whole, attempt = self._open.get(run.id, (None, None))
        if attempt is not None:
            _failed(attempt, problem)
            attempt.end()
            self._open[run.id] = whole, None
        if whole is not None and run.status in ENDED:
            whole.set_attribute("safelight.status", run.status)
            _failed(whole, next(iter(run.problems), None) if run.status == "failed" else None)
            whole.end()
            del self._open[run.id]

    def forget(self, run: str) -> None:
        """A run that waits was taken out of the list."""
        for span in self._open.pop(run, ()):
            if span is not None:
                span.end()

    def close(self) -> None:
        """The server ends: runs go on with the next one, in a trace of their own."""
        for run in list(self._open):
            self.forget(run)


class _NodeSpans:
    """Spans of nodes by events. `counts` are those that ran, were cached, failed or were skipped."""

    def __init__(self, tracer: Any, above: Any, types: Mapping[str, str]) -> None:
        self._tracer, self._above, self._types = tracer, above, types
        self._open: dict[str, Any] = {}
        self.counts: Counter[str] = Counter()

    def follow(self, event: Event) -> None:
        if isinstance(event, NodeStarted):
            kind = self._types.get(event.node) or self._types.get(without_turns(event.node), "")
            attributes = {"safelight.run": event.run, "safelight.node": event.node, "safelight.type": kind}
            name = f"node {kind or event.node}"
            self._open[event.node] = self._tracer.start_span(name, context=self._above, attributes=attributes)
        elif isinstance(event, NodeFinished):
            self.counts["cached" if event.cached else "ran"] += 1
            span = self._open.pop(event.node, None)
            if span is not None:
                span.set_attribute("safelight.bytes", event.bytes)
                span.end()
        elif isinstance(event, NodeFailed):
            self.counts["failed"] += 1
            span = self._open.pop(event.node, None)
            if span is not None:
                _failed(span, event.problem)
                span.end()
        elif isinstance(event, NodeSkipped):
            self.counts["skipped"] += 1
        elif isinstance(event, NodeWarned) and event.node in self._open:
            about = {"safelight.code": event.problem.code, "safelight.message": event.problem.message}
            self._open[event.node].add_event("warning", about)

    def close(self) -> None:
        """Nodes that were cancelled have told of no end."""
        for span in self._open.values():
            span.set_attribute("safelight.cancelled", True)
            span.end()
        self._open.clear()


def _failed(span: Any, problem: Problem | None) -> None:
    if problem is None:
        return
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("safelight.code", problem.code)
    span.set_status(Status(StatusCode.ERROR, problem.message))


def _context(parent: str) -> Any:
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": parent}, context=Context()) if parent else Context()
