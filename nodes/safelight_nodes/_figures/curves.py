"""Outlines as points: smooth curves, strokes and ellipses."""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = tuple[float, float]


def loop(points: Sequence[Point], tight: bool = False) -> list[Point]:
    """A closed smooth curve through points (Catmull and Rom 1974); `tight` bends it less between them."""
    count, pull = len(points), 0.28 if tight else 0.5
    return [
        point
        for place in range(count)
        for point in _between([points[(place + step) % count] for step in (-1, 0, 1, 2)], pull)
    ]


def curve(points: Sequence[Point], bend: float = 0.5) -> list[Point]:
    """An open smooth curve through points."""
    whole = [points[0], *points, points[-1]]
    made = [point for place in range(len(points) - 1) for point in _between(whole[place : place + 4], bend)]
    return [*made, points[-1]]


def _between(points: Sequence[Point], pull: float) -> list[Point]:
    """The way from the second of four points to the third."""
    before, one, two, after = points
    made: list[Point] = []
    for step in range(12):
        t = step / 12
        weights = 2 * t**3 - 3 * t**2 + 1, 3 * t**2 - 2 * t**3, t**3 - 2 * t**2 + t, t**3 - t**2
        x, y = (
            weights[0] * one[axis] + weights[1] * two[axis]
            + pull * (weights[2] * (two[axis] - before[axis]) + weights[3] * (after[axis] - one[axis]))
            for axis in (0, 1)
        )  # fmt: skip
        made.append((x, y))
    return made


def brush(line: Sequence[Point], first: float, last: float, *, flat: bool = False) -> list[Point]:
    """The outline of a stroke that is `first` wide where it begins and `last` where it ends; its ends are round, the
    last one is straight where it is `flat`."""
    left: list[Point] = []
    right: list[Point] = []
    count = len(line) - 1
    way = 0.0
    for place, (x, y) in enumerate(line):
        before, after = line[max(0, place - 1)], line[min(count, place + 1)]
        way = math.atan2(after[1] - before[1], after[0] - before[0])
        half = (first + (last - first) * place / count) / 2
        left.append((x + half * math.sin(way), y - half * math.cos(way)))
        right.append((x - half * math.sin(way), y + half * math.cos(way)))
    begun = math.atan2(line[1][1] - line[0][1], line[1][0] - line[0][0])
    ends = [
        _half(line[0], first / 2, begun + math.pi / 2),
        [] if flat else _half(line[-1], last / 2, way - math.pi / 2),
    ]
    return [*ends[0], *left, *ends[1], *reversed(right)]


def _half(middle: Point, radius: float, start: float) -> list[Point]:
    turns = (start + math.pi * step / 10 for step in range(11))
    return [(middle[0] + radius * math.cos(turn), middle[1] + radius * math.sin(turn)) for turn in turns]


def oval(x: float, y: float, across: float, down: float, turn: float = 0.0) -> list[Point]:
    """An ellipse by its half axes, the first of which is turned by `turn` radians."""
    cos, sin = math.cos(turn), math.sin(turn)
    made: list[Point] = []
    for step in range(40):
        way = step / 40 * math.tau
        right, below = across * math.cos(way), down * math.sin(way)
        made.append((x + right * cos - below * sin, y + right * sin + below * cos))
    return made
