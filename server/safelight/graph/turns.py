"""How many turns a call has, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from safelight.sdk.problem import Problem, ProblemError

from .structure import Body, GraphNode


@dataclass
class Turned:
    """What a survey has learned of the turns of a call.

    `total` is None where it cannot be known before the run. `needs` are the references without which a turn that is
    remembered is of no use, `seconds` what these turns took. `run` turns are to run, for about `to_run` seconds. Where
    it is `unsure` there were too many to look at, and the rest may be remembered or not.
    """

    total: int | None = None
    needs: list[tuple[Any, ...]] = field(default_factory=list)
    seconds: float = 0.0
    run: int = 0
    to_run: float = 0.0
    unsure: bool = False

    def guess(self, seen: int, usual: float) -> None:
        """The turns after the first `seen` ones are not known: they will run, and take what is usual."""
        rest = self.total - seen if self.total is not None else 0
        self.run += rest
        self.to_run += rest * usual


def number_of_turns(node: GraphNode, lengths: Mapping[str, int], times: Any) -> int | None:
    """How many turns a call has, given the lengths of the lists that it takes apart; None: while a condition holds.

    Lists of one length go in step, and a list of one element gives it to every turn.

    Raises:
        ProblemError: `length_mismatch`, `out_of_range` or `too_many_turns`.
    """
    assert node.body is not None
    most = node.body.repeat.most
    if lengths:
        several = {port: length for port, length in lengths.items() if length != 1}
        if len(set(several.values())) > 1:
            said = ", ".join(f"{port} has {length}" for port, length in lengths.items())
            message = f"The lists that come in are not of one length: {said}."
            raise ProblemError(
                Problem(code="length_mismatch", message=message, hint="Make them equally long.", node=node.id)
            )
        turns = next(iter(several.values()), 1)
    elif times is None:
        return None
    else:
        if not isinstance(times, int) or isinstance(times, bool) or times < 0:
            message = f"{times!r} is not a number of turns."
            raise ProblemError(
                Problem(code="out_of_range", message=message, hint="Give 0 or more.", node=node.id, value=times)
            )
        turns = times
    if turns > most:
        raise ProblemError(too_many(node, most, turns))
    return turns


def too_many(node: GraphNode, most: int, turns: int | None = None) -> Problem:
    """More turns than the document allows."""
    if turns is None:
        message = f"{node.id} has made {most:,} turns, and its condition still holds."
    else:
        message = f"{node.id} would make {turns:,} turns, and may make {most:,}."
    hint = "Raise its greatest number of turns (`most`), or let it end sooner."
    return Problem(code="too_many_turns", message=message, hint=hint, node=node.id, value=turns)


def force_of_turn(node: GraphNode, body: Body, turn: int, force: frozenset[str]) -> frozenset[str]:
    """Which nodes of a turn are to run even if their result is known. To force a call is to force all inside it;
    `upscale/blur` is that node in every turn, `upscale/3/blur` that of one."""
    if not force:
        return force
    prefix = f"{node.id}/{turn}/"
    if node.id in force:
        return frozenset(prefix + one.id for one in body.graph.nodes)
    inside = {name for name in force if name.startswith(f"{node.id}/")}
    return frozenset(inside | {prefix + name.removeprefix(f"{node.id}/") for name in inside})
