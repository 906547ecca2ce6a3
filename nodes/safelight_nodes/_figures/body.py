"""Whole figures: limbs and what they wear."""

from __future__ import annotations

import math

from .curves import Point, brush, curve, loop, oval
from .head import hair_behind, head
from .looks import Garment, Look
from .paint import FINE, Figure, Paint


def drawn(look: Look, garment: Garment, width: int, height: int) -> Figure:
    """A figure in the middle of an image, as large as fits. Sizes in pixels."""
    paint = Paint(look, garment, width * FINE, height * FINE)
    ground(paint)
    hair_behind(paint)
    _legs(paint)
    if look.legs != "dress":
        _bottom(paint)
    _top(paint)
    _neck(paint)
    for side, pose in zip((-1, 1), look.arms, strict=True):
        _arm(paint, side, pose)
    head(paint)
    return paint.done(width, height)


def ground(paint: Paint) -> None:
    paint.tint(oval(0.015, 0.962, 0.17, 0.016), "#5b5470", 0.28, 0.008)


def _legs(paint: Paint) -> None:
    for side in (-1, 1):
        path = [(side * 0.047, 0.57), (side * 0.05, 0.74), (side * 0.052, 0.93)]
        paint.lay(brush(curve(path), 0.062, 0.04), paint.look.skin, round_by=0.018, dark=0.16)
        shoe = [
            (side * 0.03, 0.925),
            (side * 0.075, 0.922),
            (side * 0.098, 0.948),
            (side * 0.094, 0.964),
            (side * 0.033, 0.964),
            (side * 0.026, 0.945),
        ]
        paint.lay(loop(shoe), paint.look.shoes, round_by=0.012, dark=0.22)


def _bottom(paint: Paint) -> None:
    look, worn = paint.look, paint.garment == "lower_body"
    wide = 0.094 * look.broad
    if look.legs == "skirt":
        skirt = [
            (-wide * 0.9, 0.5), (wide * 0.9, 0.5), (wide * 1.12, 0.6), (wide * 1.5, 0.74), (0.0, 0.757),
            (-wide * 1.5, 0.74), (-wide * 1.12, 0.6),
        ]  # fmt: skip
        cover = paint.lay(loop(skirt), look.below, worn=worn, round_by=0.035, casts=0.02)
        pleats = [[(x * wide, 0.6), (x * wide * 1.35, 0.75)] for x in (-0.75, -0.3, 0.2, 0.62)]
        paint.fold(cover, pleats, 0.012)
        return
    end = 0.73 if look.legs == "shorts" else 0.926
    hem = 0.047 if look.legs == "shorts" else 0.033
    for side in (-1, 1):
        leg = [
            (side * -0.004, 0.52), (side * wide, 0.52), (side * wide * 1.08, 0.6), (side * (0.052 + hem), end - 0.02),
            (side * (0.052 + hem), end), (side * (0.052 - hem), end), (side * (0.05 - hem), end - 0.03),
            (side * 0.006, 0.64), (side * -0.004, 0.6),
        ]  # fmt: skip
        cover = paint.lay(loop(leg, tight=True), look.below, worn=worn, round_by=0.022, casts=0.012)
        folds = [[(side * 0.012, 0.62), (side * 0.06, 0.6)], [(side * 0.012, 0.635), (side * 0.05, 0.65)]]
        if look.legs == "trousers":
            folds += [[(side * 0.03, 0.765), (side * 0.075, 0.755)], [(side * 0.03, 0.9), (side * 0.07, 0.892)]]
        paint.fold(cover, folds, 0.01)


def _top(paint: Paint) -> None:
    look = paint.look
    wide = look.broad
    right: list[Point]
    if look.legs == "dress":
        right = [
            (0.03, 0.268), (0.1 * wide, 0.288), (0.122 * wide, 0.33), (0.1 * wide, 0.38), (0.078 * wide, 0.455),
            (0.1 * wide, 0.55), (0.155 * wide, 0.78),
        ]  # fmt: skip
        low, worn = 0.797, paint.garment == "dress"
    else:
        right = [
            (0.03, 0.268), (0.1 * wide, 0.288), (0.122 * wide, 0.33), (0.1 * wide, 0.38), (0.09 * wide, 0.46),
            (0.099 * wide, 0.565),
        ]  # fmt: skip
        low, worn = 0.572, paint.garment == "upper_body"
    outline = [*right, (0.0, low), *((-x, y) for x, y in reversed(right))]
    cover = paint.lay(loop(outline, tight=True), look.cloth, worn=worn, round_by=0.045, casts=0.014)
    folds = [
        [(0.1 * wide, 0.37), (0.06 * wide, 0.4), (0.035, 0.41)],
        [(-0.1 * wide, 0.37), (-0.065 * wide, 0.405), (-0.04, 0.42)],
        [(0.09 * wide, 0.47), (0.05, 0.485), (0.02, 0.482)],
        [(-0.088 * wide, 0.455), (-0.05, 0.475), (-0.022, 0.475)],
        [(0.088 * wide, 0.53), (0.05, 0.535)],
    ]
    if look.legs == "dress":
        folds += [[(x, 0.5), (x * 2.1, 0.79)] for x in (-0.056, -0.02, 0.018, 0.054)]
    paint.fold(cover, folds, 0.014)


def _neck(paint: Paint) -> None:
    look = paint.look
    deep, half = {"round": (0.294, 0.043), "wide": (0.308, 0.056), "v": (0.335, 0.045)}[look.neck]
    hole = [(-half, 0.262), (-half * 0.86, 0.279), (0.0, deep), (half * 0.86, 0.279), (half, 0.262)]
    if look.neck == "v":
        paint.lay([(-half, 0.27), (0.0, deep), (half, 0.27), (0.0, 0.25)], look.skin, dark=0.08)
    else:
        paint.lay(loop([*hole, (0.0, 0.25)]), look.skin, dark=0.08)
    column = [(-0.03, 0.2), (-0.03, 0.262), (-0.036, 0.274), (0.0, 0.289), (0.036, 0.274), (0.03, 0.262), (0.03, 0.2)]
    paint.lay(loop(column), look.skin, dark=0.1)


def _arm(paint: Paint, side: int, pose: str) -> None:
    look = paint.look
    start = 0.094 * look.broad
    path = {
        "down": [(start, 0.321), (start + 0.038, 0.42), (start + 0.057, 0.54)],
        "hip": [(start, 0.321), (start + 0.093, 0.415), (start + 0.012, 0.505)],
        "wave": [(start, 0.321), (start + 0.098, 0.39), (start + 0.118, 0.262)],
    }[pose]
    line = [(side * x, y) for x, y in curve(path, bend=0.75)]
    end, before = line[-1], line[-5]
    along = math.atan2(end[1] - before[1], end[0] - before[0])
    palm = end[0] + 0.014 * math.cos(along), end[1] + 0.014 * math.sin(along)
    paint.lay(brush(line, 0.052, 0.038), look.skin, round_by=0.014, dark=0.16, casts=0.01)
    paint.lay(oval(*palm, 0.03, 0.0235, along), look.skin, round_by=0.012, dark=0.12)
    thumb = palm[0] - side * 0.014, palm[1] - 0.012
    if pose == "wave":
        paint.lay(oval(*thumb, 0.016, 0.009, math.radians(60 * side + 180)), look.skin, dark=0.05)
    length = {"short": 0.4, "long": 0.93}[look.sleeves]
    sleeve = line[: max(4, round(length * len(line)))]
    wider, cuff = (0.066, 0.071) if look.sleeves == "short" else (0.065, 0.052)
    worn = paint.garment in ("upper_body", "dress")
    cover = paint.lay(brush(sleeve, wider, cuff, flat=True), look.cloth, worn=worn, round_by=0.022, casts=0.005)
    bend = line[len(line) // 2]
    folds = [[(side * start * 0.98, 0.345), (side * (start + 0.03), 0.335)]]
    if look.sleeves == "long":
        folds += [[(bend[0] - 0.022, bend[1] + 0.006), (bend[0] + 0.018, bend[1] - 0.004)]]
    paint.fold(cover, folds, 0.01)
