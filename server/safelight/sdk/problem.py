"""The one shape of everything that can be wrong, from a mistyped port to a missing model."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong, where, and what to do about it.

    `code` is stable and listed in docs/problems.md; `message` shows the offending value as the user typed it;
    `hint` names the remedy. `details` holds a traceback for the log and the details view, never the message.
    A `warning` stops nothing: it tells of what a run leaves out, or does otherwise than may have been meant.
    """

    code: str
    message: str
    hint: str = ""
    node: str | None = None
    port: str | None = None
    value: Any = None
    details: str | None = None
    level: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        where = f"{self.node}.{self.port}" if self.node and self.port else self.node or self.port or ""
        return (f"{where}: " if where else "") + self.message + (f" {self.hint}" if self.hint else "")

    def at(self, node: str | None = None, port: str | None = None) -> Problem:
        """The same problem, placed at a node and port where it does not name one yet."""
        return msgspec.structs.replace(self, node=self.node or node, port=self.port or port)

    def warning(self) -> Problem:
        """The same problem, where it stops nothing."""
        return msgspec.structs.replace(self, level="warning")


def errors(problems: Iterable[Problem]) -> list[Problem]:
    """Those that stop a run."""
    return [problem for problem in problems if problem.level == "error"]


class ProblemError(Exception):
    """Raised where work cannot go on; carries every problem found, not only the first."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Cancelled(Exception):
    """Raised by `Context.check_cancelled` when the user has asked the run to stop."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence that proposes the closest known names, or the empty string when nothing is close."""
    names = list(dict.fromkeys(name for name in known if isinstance(name, str)))
    close = difflib.get_close_matches(word.lower(), [name.lower() for name in names], n=3, cutoff=0.6)
    found = [name for name in names if name.lower() in close]
    found.sort(key=lambda name: close.index(name.lower()))
    return f"Did you mean {one_of(found[:3])}?" if found else ""


def one_of(names: Sequence[object], limit: int = 12) -> str:
    """'a', 'a or b', 'a, b or c': choices as a person would list them."""
    words = [str(name) for name in names[:limit]]
    if len(names) > limit:
        return ", ".join(words) + f" (and {len(names) - limit} more)"
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
