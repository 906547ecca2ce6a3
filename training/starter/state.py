"""Checkpoints that a killed run goes on from bit for bit, and a stop on a signal or a time limit.

Random numbers of a step come from generators seeded with (seed, step), so weights, optimiser, average and step
number are the whole state.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np


def generator(seed: int, step: int) -> np.random.Generator:
    return np.random.default_rng([seed, step])


def torch_generator(seed: int, step: int) -> Any:
    import torch

    return torch.Generator().manual_seed((seed << 40) + step)


def save(path: Path, state: dict[str, Any]) -> None:
    """Write next to the file, sync, rename: a kill leaves the old checkpoint."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read(path: Path) -> dict[str, Any] | None:
    import torch

    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None


class Ema:
    """Exponential moving average of parameters; a short memory at first: min(decay, (1 + n) / (10 + n))."""

    def __init__(self, module: Any, decay: float) -> None:
        self.decay = decay
        self.count = 0
        self.shadow = {k: v.detach().clone() for k, v in module.state_dict().items()}

    def update(self, module: Any) -> None:
        import torch

        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        current = module.state_dict()
        with torch.no_grad():
            torch._foreach_lerp_(list(self.shadow.values()), [current[k] for k in self.shadow], 1 - decay)

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "shadow": self.shadow}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count = state["count"]
        for key, value in state["shadow"].items():
            self.shadow[key].copy_(value)


class Run:
    """A module, its optimiser, its average and the step number, kept in one file."""

    def __init__(self, path: Path, module: Any, optimiser: Any, decay: float = 0.998) -> None:
        self.path, self.module, self.optimiser = path, module, optimiser
        self.average = Ema(module, decay)
        self.step = 0
        if found := read(path):
            module.load_state_dict(found["model"])
            optimiser.load_state_dict(found["optimiser"])
            self.average.load_state_dict(found["average"])
            self.step = found["step"]

    def keep(self) -> None:
        state = {"model": self.module.state_dict(), "optimiser": self.optimiser.state_dict()}
        save(self.path, {**state, "average": self.average.state_dict(), "step": self.step})

    def update(self, loss: Any, rate: float) -> None:
        """Backward pass, gradient norm at most 1, one step at this rate."""
        import torch

        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimiser.step()
        self.average.update(self.module)
        self.step += 1


class Clock:
    """Says when to save and when to stop: after ``minutes`` of this process or at SIGTERM or SIGINT."""

    def __init__(self, minutes: float | None, every: float = 4.0) -> None:
        self.start = self.last = time.monotonic()
        self.limit = minutes * 60 if minutes else None
        self.every = every * 60
        self.asked = False
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True

    def stop(self) -> bool:
        return self.asked or (self.limit is not None and time.monotonic() - self.start > self.limit)

    def due(self) -> bool:
        if time.monotonic() - self.last < self.every:
            return False
        self.last = time.monotonic()
        return True


class Log:
    """Appends a line with seconds and step to a file and prints it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.start = path, time.monotonic()

    def __call__(self, step: int, **values: float) -> None:
        line = f"{time.strftime('%H:%M:%S')} {time.monotonic() - self.start:7.0f}s step {step:6d} " + " ".join(
            f"{k} {v:.5g}" for k, v in values.items()
        )
        print(line, flush=True)
        with self.path.open("a") as file:
            file.write(line + "\n")


class Threads:
    """One thread while another process is busy, else ``most``.

    Two threads that wait for each other at every operation are slower than one when something else holds a core
    (measured: 8 to 29 samples a second against 40). Linux only; elsewhere it stays at ``most``.
    """

    def __init__(self, most: int, window: float = 4.0) -> None:
        self.most, self.window = most, window
        self.current = most
        self.set(most)
        self.last = self._read()

    def set(self, count: int) -> None:
        import torch

        self.current = count
        torch.set_num_threads(count)

    def _read(self) -> tuple[float, float, float]:
        try:
            fields = [int(v) for v in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        except OSError:
            return time.monotonic(), 0.0, 0.0
        busy = sum(fields) - fields[3] - fields[4]
        return time.monotonic(), busy / os.sysconf("SC_CLK_TCK"), time.process_time()

    def adapt(self) -> None:
        """Call once a step; looks at most every ``window`` seconds."""
        if time.monotonic() - self.last[0] < self.window:
            return
        now = self._read()
        seconds, busy, own = (b - a for a, b in zip(self.last, now, strict=True))
        self.last = now
        wanted = 1 if (busy - own) / seconds > 0.4 else self.most
        if wanted != self.current:
            self.set(wanted)
