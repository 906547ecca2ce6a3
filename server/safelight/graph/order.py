"""An order in which sources come before what needs them; and where there is none, the circles that prevent it."""

from __future__ import annotations

from collections.abc import Sequence

from .expand import Step


def topological(steps: Sequence[Step]) -> tuple[list[int], list[list[str]]]:
    """The order of steps by number, and each circle as the ids along it (Kahn's algorithm).

    Steps in a circle, and those behind one, are not in the order.
    """
    waiting = [0] * len(steps)
    users: list[list[int]] = [[] for _ in steps]
    for number, step in enumerate(steps):
        for sources in step.links.values():
            for source, _ in sources:
                waiting[number] += 1
                users[source].append(number)
    order = [number for number, count in enumerate(waiting) if count == 0]
    for number in order:  # grows while it is walked
        for user in users[number]:
            waiting[user] -= 1
            if waiting[user] == 0:
                order.append(user)
    if len(order) == len(steps):
        return order, []
    return order, _circles(steps, waiting)


def _circles(steps: Sequence[Step], waiting: list[int]) -> list[list[str]]:
    """One circle for each separate knot: from any node that waits, sources that wait lead into one."""
    found: list[list[str]] = []
    done: set[int] = set()
    for start in [number for number, count in enumerate(waiting) if count]:
        path: list[int] = []
        place: dict[int, int] = {}
        at = start
        while at not in place and at not in done:
            place[at] = len(path)
            path.append(at)
            before = (source for sources in steps[at].links.values() for source, _ in sources)
            at = next(source for source in before if waiting[source])
        if at in place:
            circle = [*path[place[at] :], at]
            found.append([steps[number].id for number in reversed(circle)])
        done.update(path)
    return found
