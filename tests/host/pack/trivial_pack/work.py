"""Nodes that do what a test of the server needs."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path

from safelight.sdk import Context, File, Lazy, node


@node()
def number(*, value: int = 0) -> int:
    """A number."""
    return value


@node()
def add(a: int, b: int = 1) -> int:
    """The sum."""
    return a + b


@node()
def text(a: int) -> str:
    """The number as text."""
    return str(a)


@node()
def length(*, texts: list[str]) -> int:
    """How long some texts are together."""
    return sum(len(text) for text in texts)


@node(cache=False)
def steps(a: int, *, count: int = 10, seconds: float = 0.05, ctx: Context) -> int:
    """Takes its time, in steps that can be cancelled."""
    for step in range(count):
        ctx.check_cancelled()
        time.sleep(seconds)
        ctx.progress(step + 1, count)
    return a


@node()
def resumable(a: int, *, count: int = 20, seconds: float = 0.05, journal: str = "", ctx: Context) -> int:
    """Steps that go on where they were; each is written into a journal."""
    state = ctx.restore()
    done = int(state["done"]) if state is not None else 0
    for step in range(done, count):
        if ctx.checkpoint_due(step, count):
            ctx.checkpoint({"done": step})
        ctx.check_cancelled()
        time.sleep(seconds)
        with Path(journal).open("a", encoding="utf-8") as file:
            file.write(f"{step}\n")
        ctx.progress(step + 1, count)
    return a


@node()
def slow(a: int, *, seconds: float = 1.0, journal: str = "", ctx: Context) -> int:
    """Takes its time, and is kept; a line for each call says in which process."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ctx.check_cancelled()
        time.sleep(0.01)
    with Path(journal).open("a", encoding="utf-8") as file:
        file.write(f"{a} {os.getpid()}\n")
    return a


@node()
def deaf(a: int, *, seconds: float = 30.0) -> int:
    """Takes its time, is kept, and hears nothing meanwhile."""
    time.sleep(seconds)
    return a


@node()
def numbers(a: int, *, count: int = 3) -> list[int]:
    """So many numbers from this one on."""
    return [a + place for place in range(count)]


@node()
def total(*, numbers: list[int]) -> int:
    """The sum of a list."""
    return sum(numbers)


@node(cache=False)
def device(a: int) -> str:
    """What the process is told to compute on."""
    del a
    return os.environ.get("SAFELIGHT_DEVICE", "")


@node(cache=False)
def stubborn(a: int, *, seconds: float = 30.0) -> int:
    """Takes long and cannot be cancelled."""
    time.sleep(seconds)
    return a


@node(cache=False)
def die(a: int, *, times: int = 1, journal: str = "") -> int:
    """Ends its own process, the first few times."""
    path = Path(journal)
    before = len(path.read_text(encoding="utf-8")) if path.exists() else 0
    if before < times:
        path.write_text("x" * (before + 1), encoding="utf-8")
        os.kill(os.getpid(), signal.SIGKILL)
    return a


@node(cache=False)
def leave_a_child(a: int, *, seconds: float = 30.0) -> int:
    """Forks a process that lives on, with all that is open here, and ends its own."""
    if os.fork() == 0:
        time.sleep(seconds)
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)
    return a


@node()
def either(a: Lazy[int], b: Lazy[int], *, first: bool = True, journal: str = "") -> int:
    """A choice that leaves the number of the process that it is made in."""
    Path(journal).write_text(str(os.getpid()), encoding="utf-8")
    return a.get() if first else b.get()


@node()
def fail(a: int) -> int:
    """Raises."""
    raise ValueError(f"{a} is a bad number")


@node(cache=False)
def remark(a: int) -> int:
    """Logs, as libraries do."""
    logging.getLogger("trivial").warning("%d is rather small \ud83d", a)
    return a


@node(cache=False)
def sampled(a: int, *, count: int = 20, seconds: float = 0.02, ctx: Context) -> int:
    """Steps with previews."""
    for step in range(count):
        ctx.check_cancelled()
        time.sleep(seconds)
        preview = None
        if ctx.wants_preview():
            import torch

            from safelight.sdk import Image

            preview = Image(torch.full((1, 8, 8, 3), step / count))
        ctx.progress(step + 1, count, preview)
    return a


@node(output=True)
def save(value: int, *, name: str = "number_{counter}.txt", ctx: Context) -> File:
    """Saves the number as a text file."""
    return ctx.save(f"{value}\n".encode(), name=name, media_type="text/plain", embed="nothing")
