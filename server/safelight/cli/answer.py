"""Standard output kept for the one JSON object of `--json`, whatever nodes, packs and libraries print meanwhile."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

import msgspec

from safelight.sdk.unicode import encode_json

_kept: TextIO | None = None


@contextmanager
def reserved() -> Iterator[None]:
    """Sends to standard error what is printed inside, also by C libraries and child processes, but for `print_json`."""
    global _kept  # noqa: PLW0603 (as sys.stdout itself is)
    own = sys.stdout is sys.__stdout__  # not while a test captures it
    sys.stdout.flush()
    with open(os.dup(1), "w", encoding="utf-8") if own else _borrowed(sys.stdout) as kept:  # noqa: PTH123
        _kept = kept
        if own:
            os.dup2(2, 1)
        try:
            with redirect_stdout(sys.stderr):
                yield
        finally:
            _kept = None
            kept.flush()
            if own:
                os.dup2(kept.fileno(), 1)


@contextmanager
def _borrowed(stream: TextIO) -> Iterator[TextIO]:
    yield stream


def print_json(data: Any) -> None:
    """Writes the answer of a command."""
    (_kept or sys.stdout).write(msgspec.json.format(encode_json(data), indent=2).decode() + "\n")
