"""Traces of runs: spans of documents, nodes and workers, off and not imported unless a collector is named."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import waiting
from safelight.app import Studio
from safelight.engine import Cancel
from safelight.environment import Environment
from safelight.graph import Document
from safelight.protocol.events import NodeProgress
from safelight.protocol.records import Run
from safelight.sdk.problem import Problem
from safelight.traces import RunSpans, Traces
from serving import chain, serving, single, test_environment

PACK = Path(__file__).parent / "host" / "pack"

until = partial(waiting.until, seconds=60.0)


@pytest.fixture
def spans() -> Iterator[tuple[Traces, Any]]:
    """Traces into memory, and where they lie."""
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield Traces(provider), exporter
    provider.shutdown()


@pytest.fixture
def studio(spans: tuple[Traces, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setenv("SAFELIGHT_DEVICE", "cpu")
    monkeypatch.setenv("SAFELIGHT_PRECISION", "float32")
    monkeypatch.syspath_prepend(str(PACK))
    with Studio.open(tmp_path / "home") as made:
        made.traces = spans[0]  # type: ignore[misc]
        yield made
        del made.traces


def ran(studio: Studio, document: dict[str, Any], tmp_path: Path, **more: Any) -> Any:
    return studio.run(Document.loads(json.dumps(document)), output=tmp_path / "out", run_id="r1", **more).result


def named(exporter: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for span in exporter.get_finished_spans():
        found.setdefault(span.name, []).append(span)
    return found


def test_a_document_and_its_nodes_are_spans(studio: Studio, spans: tuple[Traces, Any], tmp_path: Path) -> None:
    heard: list[Any] = []
    assert ran(studio, chain(3), tmp_path, emit=heard.append).status == "done"
    assert heard, "the events go on to who asked for them"
    found = named(spans[1])
    (whole,) = found["document test"]
    adds = found["node trivial/work.add"]
    assert len(adds) == 2 and len(found["node trivial/work.number"]) == 1
    for node in adds:
        assert node.parent.span_id == whole.context.span_id and node.context.trace_id == whole.context.trace_id
        assert whole.start_time <= node.start_time <= node.end_time <= whole.end_time
        assert node.attributes["safelight.run"] == "r1" and node.attributes["safelight.node"] in ("n1", "n2")
    assert whole.attributes["safelight.status"] == "done" and whole.attributes["safelight.nodes.ran"] == 3
    spans[1].clear()
    ran(studio, chain(3), tmp_path)
    (whole,) = spans[1].get_finished_spans()
    assert "safelight.nodes.ran" not in whole.attributes and whole.attributes["safelight.nodes.cached"] >= 1


def test_a_failure_is_told_by_its_code(studio: Studio, spans: tuple[Traces, Any], tmp_path: Path) -> None:
    ran(studio, single("fail"), tmp_path)
    found = named(spans[1])
    (node,), (whole,) = found["node trivial/work.fail"], found["document test"]
    assert not node.status.is_ok and node.attributes["safelight.code"] == "node_failed"
    assert "1 is a bad number" in node.status.description
    assert not whole.status.is_ok and whole.attributes["safelight.nodes.failed"] == 1


def test_a_node_that_is_cancelled_ends_its_span(studio: Studio, spans: tuple[Traces, Any], tmp_path: Path) -> None:
    cancel = Cancel()

    def stop(event: Any) -> None:
        if isinstance(event, NodeProgress):
            cancel.set()

    assert ran(studio, single("steps"), tmp_path, emit=stop, cancel=cancel).status == "cancelled"
    (node,) = named(spans[1])["node trivial/work.steps"]
    assert node.attributes["safelight.cancelled"] is True


def test_a_run_of_the_server_holds_its_attempts(spans: tuple[Traces, Any]) -> None:
    traces, exporter = spans
    runs: RunSpans = traces.runs()
    run = Run(id="r7", name="apple", status="running", attempts=1, created=100.0, started=102.5)
    parent = runs.began(run, "w1")
    version, trace, span, _ = parent.split("-")
    assert version == "00"
    with traces.below(parent), traces.document("r7", "apple", {}, None):
        pass
    died = Problem(code="worker_died", message="It was killed.")
    run.status = "interrupted"
    runs.ended(run, died)
    run.status, run.attempts = "running", 2
    runs.began(run, "w2")
    run.status = "done"
    runs.ended(run)
    found = named(exporter)
    (whole,), (first,), (second,), (document,) = (
        found[name] for name in ("run apple", "worker w1", "worker w2", "document apple")
    )
    assert whole.parent is None and whole.start_time == 100 * 10**9
    assert whole.attributes["safelight.wait_seconds"] == 2.5 and whole.attributes["safelight.status"] == "done"
    assert first.parent.span_id == whole.context.span_id == second.parent.span_id
    assert first.attributes["safelight.code"] == "worker_died" and not first.status.is_ok
    assert f"{document.context.trace_id:032x}" == trace and f"{document.parent.span_id:016x}" == span
    runs.began(run, "w1")
    runs.close()
    assert len(named(exporter)["run apple"]) == 2, "what is open when the server ends is sent, too"


class Collector:
    """What an OTLP exporter has sent to this address."""

    def __init__(self) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        self.spans: list[Any] = []
        self.services: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = ExportTraceServiceRequest()
                request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
                for resource in request.resource_spans:
                    named = {one.key: one.value.string_value for one in resource.resource.attributes}
                    collector.services.add(named["service.name"])
                    collector.spans += [span for scope in resource.scope_spans for span in scope.spans]
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def collector() -> Iterator[Collector]:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    made = Collector()
    yield made
    made.server.shutdown()


def test_server_and_worker_send_one_trace(collector: Collector, tmp_path: Path) -> None:
    with serving(tmp_path / "home", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as server:
        run = server.ask("POST", "/runs", {"document": chain(3), "inputs": {"value": 4}})
        assert server.wait(run["id"])["status"] == "done"
    found = {span.name: span for span in collector.spans}
    assert {"run test", "worker w1", "document test", "node trivial/work.add"} <= found.keys()
    assert len({span.trace_id for span in collector.spans}) == 1
    order = ["node trivial/work.add", "document test", "worker w1", "run test"]
    for below, above in itertools.pairwise(order):
        assert found[below].parent_span_id == found[above].span_id, f"{below} is below {above}"
    assert not found["run test"].parent_span_id and collector.services == {"safelight"}


def test_a_run_that_ends_while_it_waits_ends_its_span_and_its_log(collector: Collector, tmp_path: Path) -> None:
    def statuses() -> list[str]:
        wholes = [span for span in collector.spans if span.name == "run test"]
        return [one.value.string_value for span in wholes for one in span.attributes if one.key == "safelight.status"]

    home = tmp_path / "home"
    with serving(home, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="100") as server:
        paused: list[str] = []
        for number in range(3):
            document = single("steps", count=1_000, seconds=0.05)
            run = server.ask("POST", "/runs", {"document": document, "inputs": {"value": number}})["id"]
            until(lambda run=run: server.ask("GET", f"/runs/{run}")["status"] == "running")
            server.ask("POST", f"/runs/{run}/pause")
            until(lambda run=run: server.ask("GET", f"/runs/{run}")["status"] == "paused")
            paused.append(run)
        server.ask("POST", f"/runs/{paused[0]}/cancel")
        until(lambda: statuses() == ["cancelled"])
        until(lambda: b"cancelled while it waited" in server.ask("GET", f"/runs/{paused[0]}/log"))
        server.ask("DELETE", f"/runs/{paused[1]}")
        until(lambda: len([span for span in collector.spans if span.name == "run test"]) == 2)
        server.ask("POST", "/queue/pause")
        server.ask("POST", f"/runs/{paused[2]}/resume")
        server.ask("POST", "/queue/clear")
        until(lambda: statuses() == ["cancelled", "cancelled"])


OFF = """
import sys
from pathlib import Path
from safelight.app import Studio
from safelight.graph import Document
with Studio.open() as studio:
    studio.run(Document.loads({document!r}), output=Path({folder!r}))
print(any(name.partition(".")[0] == "opentelemetry" for name in sys.modules))
"""


def test_without_a_collector_nothing_is_imported(tmp_path: Path) -> None:
    script = OFF.format(document=json.dumps(chain(2)), folder=str(tmp_path / "out"))

    def said(**more: str) -> str:
        environment = test_environment(tmp_path / "home") | more
        line = [sys.executable, "-c", script]
        return subprocess.run(line, env=environment, capture_output=True, text=True, check=True, timeout=120).stdout

    assert said().strip() == "False"
    there = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    assert said(**there, OTEL_SDK_DISABLED="true").strip() == "False"
    assert said(**there, OTEL_TRACES_EXPORTER="none").strip() == "False"


def test_a_collector_without_the_extra_is_told_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    environment = Environment.read({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces"})
    assert environment.traces
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert Traces.by_environment(environment) is None
    assert "pip install 'safelight[traces]'" in caplog.text
    assert Traces.by_environment(Environment.read({})) is None
    assert os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") is None
