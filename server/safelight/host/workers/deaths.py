"""Why a worker process ended, in words, and the problem that its run has then."""

from __future__ import annotations

import signal

from safelight.sdk.problem import Problem


def problem_of(reason: str, node: str | None, *, starved: bool) -> Problem:
    """The problem of a run whose worker is gone, at `node` if that is known.

    `starved`: the system ended it for want of memory.
    """
    message = f"The worker process died while it ran this: {reason or 'it was stopped'}"
    if starved:
        hint = "Use smaller images or batches, fewer workers, or free memory before the next run."
        return Problem(code="out_of_memory", message=message, hint=hint, node=node)
    hint = "Run it again; if it happens every time, a library crashes on this input. The log may say more."
    return Problem(code="worker_died", message=message, hint=hint, node=node)


def why(code: int, killed: str, *, starved: bool) -> str:
    """`code` is the exit code, `killed` why the server itself ended it, if it did."""
    if starved:
        return "the system ended it because memory ran out (SIGKILL)."
    if killed:
        return f"the server ended it ({killed})" if not killed.endswith(".") else f"the server ended it: {killed}"
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = str(-code)
        said = {"SIGSEGV": " (a library crashed)", "SIGKILL": " (somebody ended it, or memory ran out)"}.get(name, "")
        return f"it was ended by signal {name}{said}."
    return f"it ended with exit code {code}."
