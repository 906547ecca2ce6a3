"""`/metrics`: what Prometheus reads. Collected when it is asked for; nothing is counted twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .state import State

_HISTORY = ("done", "failed", "cancelled")


def render(state: State, runs: dict[str, int], cache: Any, tasks: int) -> bytes:
    """The text format. `runs` are counts by status, `tasks` how many the event loop has."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(state, runs, cache, tasks))
    return generate_latest(registry)


class _Collector:
    def __init__(self, state: State, runs: dict[str, int], cache: Any, tasks: int) -> None:
        self._tasks = tasks
        self._state = state
        self._runs = runs
        self._cache = cache

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        state = self._state
        runs = GaugeMetricFamily("safelight_runs", "Runs on record by status.", labels=["status"])
        for status, count in self._runs.items():
            runs.add_metric([status], count)
        yield runs
        workers = GaugeMetricFamily("safelight_worker_up", "1 for a worker that takes runs.", labels=["worker"])
        memory = GaugeMetricFamily("safelight_worker_memory_bytes", "Resident memory.", labels=["worker"])
        restarts = CounterMetricFamily("safelight_worker_restarts", "Times it was replaced.", labels=["worker"])
        done = CounterMetricFamily("safelight_worker_runs", "Runs it was given.", labels=["worker"])
        for worker in state.host.pool.workers():
            workers.add_metric([worker.id], worker.state in ("warming", "idle", "busy"))
            memory.add_metric([worker.id], worker.memory)
            restarts.add_metric([worker.id], worker.restarts)
            done.add_metric([worker.id], worker.runs)
        yield from (workers, memory, restarts, done)
        requests = CounterMetricFamily("safelight_http_requests", "Requests.", labels=["method", "route", "status"])
        for (method, route, status), count in state.counts.requests.items():
            requests.add_metric([method, route, str(status)], count)
        seconds = CounterMetricFamily("safelight_http_request_seconds", "Time in handlers.", labels=["method", "route"])
        for (method, route), spent in state.counts.seconds.items():
            seconds.add_metric([method, route], spent)
        yield from (requests, seconds)
        yield GaugeMetricFamily("safelight_event_listeners", "Open websockets.", value=len(state.host.stream))
        yield CounterMetricFamily(
            "safelight_events", "Events since the start.", value=state.host.stream.last % (1 << 32)
        )
        lag = GaugeMetricFamily(
            "safelight_loop_lag_seconds", "How late the event loop was: lately, by computing, at worst.", labels=["of"]
        )
        lag.add_metric(["recent"], max(state.counts.lags, default=0.0))
        lag.add_metric(["computing"], max(state.counts.computing, default=0.0))
        lag.add_metric(["worst"], state.counts.worst_lag)
        yield lag
        yield GaugeMetricFamily("safelight_tasks", "Tasks of the event loop.", value=self._tasks)
        info = self._cache
        sizes = GaugeMetricFamily("safelight_cache_disk_bytes", "Bytes of the cache on disk.", value=info.disk_bytes)
        yield sizes
        yield GaugeMetricFamily("safelight_cache_disk_values", "Values on disk.", value=info.disk_values)
        if info.shared is not None:
            yield from _shared(info.shared)


def _shared(info: Any) -> Iterator[Any]:
    """The team's cache, as this machine uses it."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    for name, told, value in (
        ("hits", "Results that were there.", info.hits),
        ("misses", "Results that were not.", info.misses),
        ("refused", "Entries whose bytes or signature were wrong.", info.refused),
        ("sent", "Results that were sent.", info.sent),
        ("lost", "Results that were given up before they were sent.", info.lost),
        ("bytes_down", "Bytes that were fetched.", info.bytes_down),
        ("bytes_up", "Bytes that were sent.", info.bytes_up),
    ):
        yield CounterMetricFamily(f"safelight_shared_cache_{name}", told, value=value)
    yield GaugeMetricFamily("safelight_shared_cache_waiting", "Results that have still to be sent.", value=info.waiting)
