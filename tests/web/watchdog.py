"""Watches a process of tests from outside: `python tests/web/watchdog.py PID`, told on its standard input what runs.

A line `SECONDS NAME` begins a test, an empty line ends it. One that takes longer is reported with what keeps the
machine busy and where its threads are; then its browsers are killed, which ends every wait for them. A timer inside the
process cannot promise that: twice it did not come to its turn, and a run of an hour was lost with no word of why.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
import time

import psutil

GRACE = 60.0
"""Seconds between the end of a browser and that of the tests' own process, should it still hang."""


def browsers(process: psutil.Process) -> list[psutil.Process]:
    """Chromium's processes below it."""
    return [one for one in process.children(recursive=True) if "chrom" in one.name()]


def report(process: psutil.Process, test: str) -> None:
    """What is busy in the next two seconds, in one table."""
    before = {one: sum(one.cpu_times()[:2]) for one in psutil.process_iter()}
    time.sleep(2)
    rows = []
    for one, spent in before.items():
        try:
            used = (sum(one.cpu_times()[:2]) - spent) / 2
            kind = next((word for word in one.cmdline() if word.startswith("--type=")), "")
            rows.append((used, one.pid, one.name(), one.status(), one.num_threads(), one.memory_info().rss >> 20, kind))
        except psutil.Error:
            continue
    table = [f"{used:4.0%} " + " ".join(map(str, rest)) for used, *rest in sorted(rows, reverse=True)[:15]]
    machine = f"load {psutil.getloadavg()}, memory {psutil.virtual_memory().percent} %"
    sys.stderr.write("\n  ".join([f"\n{test} hangs; {machine}; processor, process, threads, MB:", *table, ""]) + "\n")
    sys.stderr.flush()
    process.send_signal(signal.SIGUSR1)  # faulthandler writes where each of its threads is, whatever holds the process


def watch(pid: int) -> None:
    process = psutil.Process(pid)
    waiting = selectors.DefaultSelector()
    waiting.register(0, selectors.EVENT_READ)
    test, deadline, killed, heard = "", None, False, b""
    while process.is_running():
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if waiting.select(left):
            # Read by hand: a buffered reader takes several lines at once, and then nothing seems to wait.
            more = os.read(0, 65536)
            if not more:
                return
            *lines, heard = (heard + more).split(b"\n")
            if lines:
                seconds, _, test = lines[-1].decode().partition(" ")
                deadline, killed = (time.monotonic() + float(seconds) if seconds else None), False
        elif not killed:
            report(process, test)
            for one in browsers(process):
                one.kill()
            deadline, killed = time.monotonic() + GRACE, True
        else:
            report(process, test)
            for one in [*process.children(recursive=True), process]:
                one.kill()
            return


if __name__ == "__main__":
    watch(int(sys.argv[1]))
