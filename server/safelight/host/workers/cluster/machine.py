"""A machine's part in a cluster: Ray's processes, held from here until it is told to leave.

`python -m safelight.host.workers.cluster.machine ...` is `ray ...` that ends with who has started it.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

log = logging.getLogger(__name__)

PAUSE_SECONDS = 5.0
_TRIES = 4
_LIVED_SECONDS = 90.0
"""Ray gives a machine half a minute to join, which is too little for a busy one; one that lives longer had joined."""
_LEAVE_SECONDS = 40.0


class Machine:
    """Joins, and joins again when it has lost the cluster, until `leave`."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], pause: float = PAUSE_SECONDS) -> None:
        self._command = [sys.executable, "-P", "-m", "safelight.host.workers.cluster.machine", *arguments]
        self._environment = dict(environment)
        self._pause = pause
        self._process: subprocess.Popen[bytes] | None = None
        self._leaving = False

    def stay(self, start: Callable[..., subprocess.Popen[bytes]] = subprocess.Popen) -> int:
        """Gives 0 when it was told to leave, and Ray's exit code when it could not join, several times in a row."""
        failed = 0
        while not self._leaving:
            began = time.monotonic()
            self._process = start(self._command, env=self._environment)
            if self._leaving:  # told while it was started
                self._process.terminate()
            code = self._process.wait()
            if self._leaving:
                break
            failed = 0 if time.monotonic() - began > _LIVED_SECONDS else failed + 1
            if failed >= _TRIES:
                return code or 1
            log.warning("this machine is not one of the cluster any more (exit code %d): it joins again", code)
            time.sleep(self._pause)
        return 0

    def leave(self) -> None:
        """May be called by a signal's handler: what runs here goes on elsewhere."""
        self._leaving = True
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        # Not waited for here: a handler runs inside the wait of `stay`, which alone learns of the end.
        late = threading.Timer(_LEAVE_SECONDS, process.kill)
        late.daemon = True
        late.start()


def main() -> None:
    """Ray's command line."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    # Ctrl-C reaches every process of a terminal; the one that was started there decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import_module("ray.scripts.scripts").main()


if __name__ == "__main__":
    main()
