"""`/metrics`: what Prometheus reads. Collected when it is asked for; nothing is counted twice.

Names are as Prometheus has them: seconds and bytes, counters end in `_total`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from safelight.host.measures import Histogram
from safelight.host.workers import resident_bytes
from safelight.models.hardware import free_memory, total_memory

from .state import State

_UP = ("warming", "idle", "busy")
_STATES = ("starting", "warming", "idle", "busy", "stopping", "dead")


def render(state: State, runs: dict[str, int], cache: Any, disk_free: int, tasks: int) -> bytes:
    """The text format. `runs` are counts by status, `disk_free` bytes where the data is, `tasks` those of the loop."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(lambda: _families(state, runs, cache, disk_free, tasks)))
    return generate_latest(registry)


class _Collector:
    def __init__(self, families: Callable[[], Iterator[Any]]) -> None:
        self.collect = families


def _families(state: State, runs: dict[str, int], cache: Any, disk_free: int, tasks: int) -> Iterator[Any]:
    yield _gauge("safelight_runs", "Runs on record by status.", "status", runs)
    yield from _queue(state)
    yield from _workers(state)
    yield from _requests(state)
    yield from _memory(state, disk_free)
    yield from _cache(state, cache)
    yield _gauge("safelight_event_listeners", "Open websockets.", value=len(state.host.stream))
    yield _counter("safelight_events", "Events since the start.", value=state.host.stream.last % (1 << 32))
    lags = {
        "recent": max(state.counts.lags, default=0.0),
        "computing": max(state.counts.computing, default=0.0),
        "worst": state.counts.worst_lag,
    }
    told = "How late the event loop was: lately, by computing, at worst."
    yield _gauge("safelight_loop_lag_seconds", told, "of", lags)
    yield _gauge("safelight_tasks", "Tasks of the event loop.", value=tasks)
    yield _gauge("safelight_start_time_seconds", "When the server was started.", value=state.started)


def _queue(state: State) -> Iterator[Any]:
    queue, measures = state.host.queue(), state.host.measures
    counts = {"waiting": queue.waiting, "running": queue.running}
    yield _gauge("safelight_queue_runs", "Runs that have not ended.", "state", counts)
    yield _gauge("safelight_queue_paused", "1 while nothing new is started.", value=queue.paused)
    if queue.seconds is not None:
        yield _gauge("safelight_queue_left_seconds", "Until the queue is empty, as expected.", value=queue.seconds)
    yield _histogram("safelight_queue_wait_seconds", "From acceptance to the first start.", "", {"": measures.waits})
    yield _histogram("safelight_run_seconds", "What runs took, by how they ended.", "status", measures.runs)
    yield _histogram("safelight_node_seconds", "What nodes took that ran, by type.", "type", measures.nodes)
    yield _counter("safelight_nodes", "Nodes of runs by what became of them.", "status", measures.ends)


def _workers(state: State) -> Iterator[Any]:
    workers = state.host.pool.workers()
    states = {one: sum(worker.state == one for worker in workers) for one in _STATES}
    yield _gauge("safelight_workers", "Worker processes by state.", "state", states)

    def each(what: Callable[[Any], float]) -> dict[str, float]:
        return {worker.id: what(worker) for worker in workers}

    yield _gauge("safelight_worker_up", "1 for a worker that takes runs.", "worker", each(lambda one: one.state in _UP))
    yield _gauge("safelight_worker_memory_bytes", "Resident memory.", "worker", each(lambda one: one.memory))
    yield _counter("safelight_worker_restarts", "Times it was replaced.", "worker", each(lambda one: one.restarts))
    yield _counter("safelight_worker_runs", "Runs it was given.", "worker", each(lambda one: one.runs))
    told = "Times a value that was kept has been read."
    yield _counter("safelight_worker_cache_hits", told, "worker", each(lambda one: one.hits))
    told = "Times a value that was kept was gone: evicted, or damaged."
    yield _counter("safelight_worker_cache_misses", told, "worker", each(lambda one: one.misses))


def _requests(state: State) -> Iterator[Any]:
    from prometheus_client.core import CounterMetricFamily

    requests = CounterMetricFamily("safelight_http_requests", "Requests.", labels=["method", "route", "status"])
    for (method, route, status), count in state.counts.requests.items():
        requests.add_metric([method, route, str(status)], count)
    seconds = CounterMetricFamily("safelight_http_request_seconds", "Time in handlers.", labels=["method", "route"])
    for (method, route), spent in state.counts.seconds.items():
        seconds.add_metric([method, route], spent)
    yield from (requests, seconds)


def _memory(state: State, disk_free: int) -> Iterator[Any]:
    yield _gauge("safelight_server_memory_bytes", "Resident memory of the server's process.", value=resident_bytes())
    yield _gauge("safelight_memory_bytes", "Main memory of the machine or container.", value=total_memory())
    yield _gauge("safelight_memory_free_bytes", "Main memory that can be had now.", value=free_memory())
    devices = state.host.pool.devices()
    memory = {device.name: device.memory for device in devices}
    yield _gauge("safelight_device_memory_bytes", "Memory of what workers compute on.", "device", memory)
    free = {device.name: device.free for device in devices}
    yield _gauge("safelight_device_memory_free_bytes", "What of it is free.", "device", free)
    yield _gauge("safelight_disk_free_bytes", "What is free where the data folder is.", value=disk_free)


def _cache(state: State, info: Any) -> Iterator[Any]:
    workers = state.host.pool.workers()
    used = {"memory": sum(worker.cache for worker in workers), "disk": info.disk_bytes}
    yield _gauge("safelight_cache_bytes", "Results that are kept, in all workers' memory and on disk.", "tier", used)
    limits = {"memory": state.host.options.budgets.memory * len(workers), "disk": info.disk_limit}
    yield _gauge("safelight_cache_limit_bytes", "What they may take.", "tier", limits)
    yield _gauge("safelight_cache_disk_values", "Values on disk.", value=info.disk_values)
    yield _gauge("safelight_cache_state_bytes", "States of nodes on disk, to go on from.", value=info.state_bytes)
    if info.shared is not None:
        yield from _shared(info.shared)


def _shared(info: Any) -> Iterator[Any]:
    """The team's cache, as this machine uses it."""
    for name, told, value in (
        ("hits", "Results that were there.", info.hits),
        ("misses", "Results that were not.", info.misses),
        ("refused", "Entries whose bytes or signature were wrong.", info.refused),
        ("sent", "Results that were sent.", info.sent),
        ("lost", "Results that were given up before they were sent.", info.lost),
        ("received_bytes", "Bytes that were fetched.", info.bytes_down),
        ("sent_bytes", "Bytes that were sent.", info.bytes_up),
    ):
        yield _counter(f"safelight_shared_cache_{name}", told, value=value)
    yield _gauge("safelight_shared_cache_waiting", "Results that have still to be sent.", value=info.waiting)


def _gauge(name: str, told: str, label: str = "", values: Mapping[str, float] | None = None, value: float = 0) -> Any:
    from prometheus_client.core import GaugeMetricFamily

    return _family(GaugeMetricFamily, name, told, label, values, value)


def _counter(name: str, told: str, label: str = "", values: Mapping[str, float] | None = None, value: float = 0) -> Any:
    """`_total` is added to the name."""
    from prometheus_client.core import CounterMetricFamily

    return _family(CounterMetricFamily, name, told, label, values, value)


def _family(kind: Any, name: str, told: str, label: str, values: Mapping[str, float] | None, value: float) -> Any:
    if not label:
        return kind(name, told, value=float(value))
    family = kind(name, told, labels=[label])
    for key, one in (values or {}).items():
        family.add_metric([key], float(one))
    return family


def _histogram(name: str, told: str, label: str, histograms: Mapping[str, Histogram]) -> Any:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(name, told, labels=[label] if label else [])
    for key, one in histograms.items():
        family.add_metric([key] if label else [], list(one.buckets()), one.sum)
    return family
