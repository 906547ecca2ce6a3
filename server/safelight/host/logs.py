"""Structured logs: one line an event, with the run it belongs to, as text or as JSON."""

from __future__ import annotations

import contextvars
import json
import logging
import sys
import time

run_id: contextvars.ContextVar[str] = contextvars.ContextVar("run_id", default="")
"""The run that the current thread or task works for."""

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, run, and what was passed as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        data: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        run = run_id.get() or getattr(record, "run", "")
        if run:
            data["run"] = run
        data |= {key: value for key, value in vars(record).items() if key not in _PLAIN and key not in data}
        if record.exc_info:
            data["traceback"] = self.formatException(record.exc_info)
        return json.dumps(data, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """The same for people."""

    def format(self, record: logging.LogRecord) -> str:
        run = run_id.get() or getattr(record, "run", "")
        when = time.strftime("%H:%M:%S", time.localtime(record.created))
        line = f"{when} {record.levelname.lower():7} {f'[{run}] ' if run else ''}{record.getMessage()}"
        return line + ("\n" + self.formatException(record.exc_info) if record.exc_info else "")


def start_logging(form: str, level: int = logging.INFO) -> None:
    """Logs go to standard error. `form` is `json` or `text`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("safelight").setLevel(level)
