"""Heads: hair behind them, faces, and hair before them."""

from __future__ import annotations

import math

from .curves import Point, brush, curve, loop, oval
from .paint import Paint, mixed


def hair_behind(paint: Paint) -> None:
    look = paint.look
    match look.haircut:
        case "long":
            back = [(0, 0.05), (0.085, 0.1), (0.1, 0.2), (0.108, 0.36), (0.05, 0.385), (-0.05, 0.385), (-0.108, 0.36)]
            paint.lay(loop([*back, (-0.1, 0.2), (-0.085, 0.1)]), look.hair, round_by=0.03, dark=0.3)
        case "bob":
            back = [
                (0, 0.05),
                (0.088, 0.1),
                (0.102, 0.19),
                (0.096, 0.245),
                (0.0, 0.25),
                (-0.096, 0.245),
                (-0.102, 0.19),
            ]
            paint.lay(loop([*back, (-0.088, 0.1)]), look.hair, round_by=0.03, dark=0.3)
        case "bun":
            paint.lay(oval(0, 0.051, 0.04, 0.035), look.hair, round_by=0.02, dark=0.25)
        case "ponytail":
            tail = [(0.04, 0.085), (0.105, 0.11), (0.128, 0.2), (0.1, 0.305), (0.082, 0.22), (0.06, 0.16)]
            paint.lay(loop(tail), look.hair, round_by=0.02, dark=0.28)
        case "curls":
            for turn in range(13):
                way = math.radians(-205 + turn * 19.2)
                x, y = 0.085 * math.cos(way), 0.145 + 0.09 * math.sin(way)
                paint.lay(oval(x, y, 0.037, 0.037), look.hair, round_by=0.016, dark=0.22)
        case _:
            pass


def head(paint: Paint) -> None:
    look = paint.look
    for side in (-1, 1):
        paint.lay(oval(side * 0.078, 0.168, 0.015, 0.02), look.skin, round_by=0.01, dark=0.14)
    face = [
        (0.0, 0.068), (0.056, 0.084), (0.077, 0.135), (0.072, 0.19), (0.04, 0.232), (0.0, 0.243), (-0.04, 0.232),
        (-0.072, 0.19), (-0.077, 0.135), (-0.056, 0.084),
    ]  # fmt: skip
    paint.lay(loop(face), look.skin, round_by=0.03, dark=0.11, casts=0.02)
    for side in (-1, 1):
        paint.tint(oval(side * 0.045, 0.195, 0.017, 0.011), "#f0605a", 0.3, 0.006)
        eye = side * 0.031
        paint.lay(oval(eye, 0.167, 0.0078, 0.0105), "#332a30", dark=0.0)
        paint.lay(oval(eye - 0.0025, 0.1635, 0.0026, 0.003), "#ffffff", dark=0.0)
        brow = [(eye - side * 0.014, 0.147), (eye, 0.1425), (eye + side * 0.014, 0.1475)]
        paint.lay(brush(curve(brow), 0.0055, 0.004), mixed(look.hair, "#332a30", 0.35), dark=0.0)
    paint.lay(
        brush(curve([(0.001, 0.172), (0.007, 0.188), (-0.002, 0.19)]), 0.003, 0.004),
        mixed(look.skin, "#7a3a28", 0.3),
        dark=0.0,
    )
    if "wave" in look.arms:
        paint.lay(
            loop([(-0.022, 0.203), (0.022, 0.203), (0.012, 0.219), (-0.012, 0.219)], tight=True), "#8f3a3c", dark=0.0
        )
        paint.lay(loop([(-0.017, 0.2045), (0.017, 0.2045), (0.0, 0.2085)], tight=True), "#ffffff", dark=0.0)
    else:
        smile = [(-0.023, 0.205), (-0.012, 0.2125), (0.0, 0.215), (0.012, 0.2125), (0.023, 0.205)]
        paint.lay(brush(curve(smile), 0.0055, 0.004), "#8f3a3c", dark=0.0)
    if look.glasses:
        _glasses(paint)
    _hair_before(paint)


def _glasses(paint: Paint) -> None:
    frame = "#3a3640"
    for side in (-1, 1):
        ring = [
            (side * 0.031 + 0.022 * math.cos(turn / 24 * math.tau), 0.168 + 0.021 * math.sin(turn / 24 * math.tau))
            for turn in range(25)
        ]
        paint.lay(brush(ring, 0.0045, 0.0045), frame, dark=0.0)
        paint.lay(brush([(side * 0.053, 0.165), (side * 0.077, 0.162)], 0.0045, 0.0045), frame, dark=0.0)
    paint.lay(brush(curve([(-0.009, 0.165), (0.0, 0.1625), (0.009, 0.165)]), 0.0045, 0.0045), frame, dark=0.0)


def _hair_before(paint: Paint) -> None:
    look = paint.look
    fringe: list[Point]
    match look.haircut:
        case "short":
            fringe = [
                (-0.08, 0.16), (-0.087, 0.11), (-0.06, 0.055), (0.005, 0.036), (0.066, 0.055), (0.088, 0.11),
                (0.08, 0.16), (0.071, 0.125), (0.05, 0.105), (0.0, 0.112), (-0.045, 0.1), (-0.07, 0.125),
            ]  # fmt: skip
        case "curls":
            for x, y in ((-0.062, 0.1), (-0.035, 0.078), (0.0, 0.07), (0.035, 0.078), (0.062, 0.1)):
                paint.lay(oval(x, y, 0.03, 0.027), look.hair, round_by=0.014, dark=0.2)
            return
        case "bob" | "long":
            fringe = [
                (-0.088, 0.205), (-0.096, 0.13), (-0.068, 0.06), (0.0, 0.038), (0.068, 0.06), (0.096, 0.13),
                (0.088, 0.205), (0.074, 0.15), (0.045, 0.118), (-0.005, 0.082), (-0.045, 0.13), (-0.073, 0.16),
            ]  # fmt: skip
        case _:
            fringe = [
                (-0.079, 0.165), (-0.086, 0.115), (-0.06, 0.06), (0.0, 0.043), (0.06, 0.06), (0.086, 0.115),
                (0.079, 0.165), (0.07, 0.125), (0.03, 0.1), (-0.03, 0.085), (-0.062, 0.125),
            ]  # fmt: skip
    paint.lay(loop(fringe), look.hair, round_by=0.022, dark=0.26, casts=0.008)
    shine = [(-0.052, 0.088), (-0.03, 0.068), (0.0, 0.06)]
    paint.tint(brush(curve(shine), 0.01, 0.004), mixed(look.hair, "#ffffff", 0.45), 0.55, 0.003)
