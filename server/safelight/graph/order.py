"""An order in which sources come before what needs them; and where there is none, the circles that prevent it."""

from __future__ import annotations

from collections.abc import Sequence

from .flat import Step


def topological(steps: Sequence[Step]) -> tuple[list[int], set[int], list[list[str]]]:
    """The order of steps by number, those in circles, and each circle as the ids along it (Kahn's algorithm).

    Steps in a circle stand in the order as if nothing came into them.
    """
    users: list[list[int]] = [[] for _ in steps]
    for number, step in enumerate(steps):
        for sources in step.links.values():
            for source, _ in sources:
                users[source].append(number)
    order, waiting = _ordered(steps, users, set())
    if len(order) == len(steps):
        return order, set(), []
    circles = _circles(steps, waiting)
    knotted = {number for number, count in enumerate(waiting) if count}
    # What is behind a circle is not in one.
    todo = [number for number in knotted if not any(user in knotted for user in users[number])]
    while todo:
        number = todo.pop()
        knotted.discard(number)
        sources = {source for given in steps[number].links.values() for source, _ in given}
        todo += [source for source in sources & knotted if not any(user in knotted for user in users[source])]
    return _ordered(steps, users, knotted)[0], knotted, circles


def _ordered(steps: Sequence[Step], users: list[list[int]], free: set[int]) -> tuple[list[int], list[int]]:
    """The order as far as it goes, and for each step how many links it still waits for; `free` ones wait for none."""
    waiting = [
        0 if number in free else sum(len(sources) for sources in step.links.values())
        for number, step in enumerate(steps)
    ]
    order = [number for number, count in enumerate(waiting) if count == 0]
    for number in order:  # grows while it is walked
        for user in users[number]:
            if user in free:
                continue
            waiting[user] -= 1
            if waiting[user] == 0:
                order.append(user)
    return order, waiting


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
