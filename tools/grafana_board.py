"""Writes docs/grafana/safelight.json, a board of Grafana for what `/metrics` exports.

python tools/grafana_board.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "docs" / "grafana" / "safelight.json"
_SOURCE = {"type": "prometheus", "uid": "${source}"}
_OF = '{instance=~"$instance"}'

Panel = tuple[str, str, list[tuple[str, str]]]
"""Title, unit, and queries with what their lines are called."""


def _of(labels: str) -> str:
    return '{instance=~"$instance",' + labels + "}"


def _quantile(part: float, name: str, by: str = "") -> str:
    labels = f"le,{by}" if by else "le"
    return f"histogram_quantile({part}, sum by ({labels}) (rate({name}_bucket{_OF}[$__rate_interval])))"


def _rate(name: str, by: str) -> str:
    return f"sum by ({by}) (rate({name}{_OF}[$__rate_interval]))"


ROWS: list[tuple[str, list[Panel]]] = [
    (
        "Queue and runs",
        [
            ("Queue", "short", [(f"safelight_queue_runs{_OF}", "{{state}}")]),
            ("Left in the queue", "s", [(f"safelight_queue_left_seconds{_OF}", "left")]),
            ("Paused", "bool_yes_no", [(f"safelight_queue_paused{_OF}", "paused")]),
            ("Runs that ended, a second", "cps", [(_rate("safelight_run_seconds_count", "status"), "{{status}}")]),
            (
                "What runs took",
                "s",
                [(_quantile(0.5, "safelight_run_seconds"), "half"), (_quantile(0.95, "safelight_run_seconds"), "95 %")],
            ),
            (
                "Wait for the first start",
                "s",
                [
                    (_quantile(0.5, "safelight_queue_wait_seconds"), "half"),
                    (_quantile(0.95, "safelight_queue_wait_seconds"), "95 %"),
                ],
            ),
        ],
    ),
    (
        "Nodes and cache",
        [
            (
                "Time by type of node",
                "s",
                [(f"topk(10, {_rate('safelight_node_seconds_sum', 'type')})", "{{type}}")],
            ),
            (
                "Nodes by type, 95 %",
                "s",
                [(f"topk(10, {_quantile(0.95, 'safelight_node_seconds', 'type')})", "{{type}}")],
            ),
            ("What became of nodes", "cps", [(_rate("safelight_nodes_total", "status"), "{{status}}")]),
            (
                "Cache",
                "bytes",
                [
                    (f"safelight_cache_bytes{_OF}", "{{tier}}"),
                    (f"safelight_cache_limit_bytes{_OF}", "{{tier}}, at most"),
                ],
            ),
            (
                "Values read from the cache, a second",
                "cps",
                [
                    (_rate("safelight_worker_cache_hits_total", "worker"), "{{worker}}, read"),
                    (_rate("safelight_worker_cache_misses_total", "worker"), "{{worker}}, gone"),
                ],
            ),
            ("Values on disk", "short", [(f"safelight_cache_disk_values{_OF}", "values")]),
        ],
    ),
    (
        "Workers and machine",
        [
            ("Workers", "short", [(f"safelight_workers{_OF}", "{{state}}")]),
            ("Workers replaced", "short", [(f"increase(safelight_worker_restarts_total{_OF}[1h])", "{{worker}}")]),
            (
                "Memory of processes",
                "bytes",
                [
                    (f"safelight_worker_memory_bytes{_OF}", "{{worker}}"),
                    (f"safelight_server_memory_bytes{_OF}", "server"),
                ],
            ),
            (
                "Main memory",
                "bytes",
                [(f"safelight_memory_free_bytes{_OF}", "free"), (f"safelight_memory_bytes{_OF}", "all")],
            ),
            (
                "Memory of devices",
                "bytes",
                [
                    (f"safelight_device_memory_free_bytes{_OF}", "{{device}}, free"),
                    (f"safelight_device_memory_bytes{_OF}", "{{device}}"),
                ],
            ),
            ("Free on disk", "bytes", [(f"safelight_disk_free_bytes{_OF}", "free")]),
        ],
    ),
    (
        "Server",
        [
            ("Requests, a second", "reqps", [(_rate("safelight_http_requests_total", "status"), "{{status}}")]),
            (
                "Time in handlers",
                "s",
                [(f"topk(10, {_rate('safelight_http_request_seconds_total', 'route')})", "{{route}}")],
            ),
            ("How late the event loop is", "s", [("safelight_loop_lag_seconds" + _of('of!="worst"'), "{{of}}")]),
            ("Open websockets", "short", [(f"safelight_event_listeners{_OF}", "websockets")]),
            ("Events, a second", "cps", [(f"rate(safelight_events_total{_OF}[$__rate_interval])", "events")]),
            ("Up since", "dateTimeAsIso", [(f"safelight_start_time_seconds{_OF} * 1000", "start")]),
        ],
    ),
]


def board() -> dict[str, Any]:
    """The board, as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS:
        panels.append(_panel(len(panels), title, "row", 0, y, 24, 1))
        y += 1
        for number, (name, unit, queries) in enumerate(row):
            kind = "stat" if unit in ("bool_yes_no", "dateTimeAsIso") else "timeseries"
            panel = _panel(len(panels), name, kind, 8 * (number % 3), y + 7 * (number // 3), 8, 7)
            panel["datasource"] = _SOURCE
            panel["fieldConfig"] = {"defaults": {"unit": unit, "min": 0}, "overrides": []}
            panel["targets"] = [
                {"refId": chr(65 + place), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
                for place, (query, legend) in enumerate(queries)
            ]
            panels.append(panel)
        y += 7 * ((len(row) + 2) // 3)
    return {
        "title": "Safelight",
        "uid": "safelight",
        "tags": ["safelight"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
                {
                    "name": "instance",
                    "type": "query",
                    "datasource": _SOURCE,
                    "query": "label_values(safelight_start_time_seconds, instance)",
                    "includeAll": True,
                    "multi": True,
                    "refresh": 2,
                    "label": "Server",
                },
            ]
        },
        "panels": panels,
    }


def _panel(number: int, title: str, kind: str, x: int, y: int, w: int, h: int) -> dict[str, Any]:
    return {"id": number + 1, "title": title, "type": kind, "gridPos": {"x": x, "y": y, "w": w, "h": h}}


def board_json() -> str:
    return json.dumps(board(), indent=1) + "\n"


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(board_json(), encoding="utf-8")
