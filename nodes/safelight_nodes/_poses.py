"""Poses as OpenPose writes them in JSON, and drawn as its ControlNets were trained to see them."""

from __future__ import annotations

import colorsys
import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from safelight.sdk import Problem, ProblemError

Point = tuple[float, float] | None
"""Across and down in parts of the canvas, 0..1; None for what is not seen."""
_LIMBS = (
    *((2, 3), (2, 6), (3, 4), (4, 5), (6, 7), (7, 8), (2, 9), (9, 10), (10, 11), (2, 12), (12, 13), (13, 14)),
    *((2, 1), (1, 15), (15, 17), (1, 16), (16, 18)),
)
"""Which of the 18 points of a body belong together, counted from 1: nose, neck, right arm, left arm, right leg, left
leg, eyes, ears."""
_FINGERS = tuple(
    (4 * finger + joint if joint else 0, 4 * finger + joint + 1) for finger in range(5) for joint in range(4)
)
"""Which of the 21 points of a hand belong together: each finger from the wrist outwards."""
PARTS: tuple[tuple[str, str, int], ...] = (
    ("body", "pose_keypoints_2d", 18),
    ("left_hand", "hand_left_keypoints_2d", 21),
    ("right_hand", "hand_right_keypoints_2d", 21),
    ("face", "face_keypoints_2d", 0),
)
"""Parts of a person, their names in the JSON, and how many points each has; a face has 68 to 71."""


class Person(NamedTuple):
    """The points of a person; a part that is not known is empty."""

    body: tuple[Point, ...] = ()
    left_hand: tuple[Point, ...] = ()
    right_hand: tuple[Point, ...] = ()
    face: tuple[Point, ...] = ()


class Frame(NamedTuple):
    """The persons of an image, whose size the canvas had; 0 x 0 where the JSON does not say."""

    people: tuple[Person, ...]
    width: int = 0
    height: int = 0


def written(frames: Sequence[Frame]) -> str:
    """Frames as JSON: that of an editor for a single one, a list of such for several."""
    made: list[dict[str, Any]] = []
    for frame in frames:
        people = [
            {key: _flat(getattr(person, part), frame) for part, key, _ in PARTS if getattr(person, part)}
            for person in frame.people
        ]
        made.append({"people": people, "canvas_width": frame.width, "canvas_height": frame.height})
    return json.dumps(made[0] if len(made) == 1 else made)


def _flat(points: Sequence[Point], frame: Frame) -> list[float]:
    flat: list[float] = []
    for point in points:
        across, down = point or (0.0, 0.0)
        flat += [round(across * frame.width, 3), round(down * frame.height, 3), 1.0 if point else 0.0]
    return flat


def parsed(text: str, port: str) -> list[Frame]:
    """The frames that a JSON tells: of OpenPose, of its editors, of ComfyUI's pose nodes.

    Raises:
        ProblemError: `pose_unreadable`, at the port.
    """
    try:
        told = json.loads(text)
        return [_frame(one) for one in (told if isinstance(told, list) else [told])]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        said = str(error) if isinstance(error, _Fault) else "it is no JSON of a pose"
        message = f"The pose cannot be read: {said}."
        hint = 'Give what OpenPose writes: {"people": [{"pose_keypoints_2d": [x, y, confidence, ...]}], '
        hint += '"canvas_width": 512, "canvas_height": 768}.'
        raise ProblemError(
            Problem(code="pose_unreadable", message=message, hint=hint, port=port, value=text[:200])
        ) from None


class _Fault(ValueError):
    """What is wrong with a pose, in words."""


def _frame(told: Any) -> Frame:
    width, height = (int(told.get(key) or 0) for key in ("canvas_width", "canvas_height"))
    if width < 0 or height < 0 or not isinstance(told["people"], list):
        raise _Fault("its canvas has no size" if width < 0 or height < 0 else "people is no list")
    flat = [[float(one) for one in person.get(key) or ()] for person in told["people"] for _, key, _ in PARTS]
    largest = max((abs(number) for numbers in flat for place, number in enumerate(numbers) if place % 3 < 2), default=0)
    if any(not math.isfinite(number) for numbers in flat for number in numbers):
        raise _Fault("a number is none")
    # Some tools write parts of the canvas, some pixels of it.
    whole = (1, 1) if largest <= 2 else (width, height)
    if not all(whole):
        raise _Fault("it has pixels, and canvas_width and canvas_height are missing")
    people: list[Person] = []
    for place in range(0, len(flat), len(PARTS)):
        parts = {
            part: _points(numbers, count, key, whole)
            for numbers, (part, key, count) in zip(flat[place : place + len(PARTS)], PARTS, strict=True)
        }
        people.append(Person(**parts))
    return Frame(tuple(people), width, height)


def _points(numbers: Sequence[float], count: int, key: str, whole: tuple[int, int]) -> tuple[Point, ...]:
    if len(numbers) % 3 or (numbers and count and len(numbers) < 3 * count):
        wanted = f"{3 * count} numbers, three a point" if count else "three numbers a point"
        raise _Fault(f"{key} has {len(numbers)} numbers, and {wanted}, are needed")
    points = [
        (numbers[place] / whole[0], numbers[place + 1] / whole[1]) if numbers[place + 2] > 0 else None
        for place in range(0, len(numbers), 3)
    ]
    return tuple(points[:count] if count else points)


def drawn(
    frame: Frame, width: int, height: int, thickness: int, parts: Sequence[str] = ("body", "hands", "face")
) -> Any:
    """Bytes (height, width, 3) of the persons on black, limbs as wide as twice the thickness."""
    import numpy

    canvas = numpy.zeros((height, width, 3), numpy.uint8)
    for person in frame.people:
        if "body" in parts and person.body:
            _draw_body(canvas, person.body, thickness)
        if "hands" in parts:
            _draw_hand(canvas, person.left_hand, thickness)
            _draw_hand(canvas, person.right_hand, thickness)
        if "face" in parts:
            _dots(canvas, [point for point in person.face if _seen(canvas, point)], (255, 255, 255), 3 * thickness // 4)
    return canvas


def _draw_body(canvas: Any, points: Sequence[Point], thickness: int) -> None:
    import cv2

    height, width = canvas.shape[:2]
    colours = [[round(255 * one) for one in colorsys.hsv_to_rgb(place / 18, 1, 1)] for place in range(18)]
    for (one, other), colour in zip(_LIMBS, colours, strict=False):
        first, second = points[one - 1], points[other - 1]
        if first is None or second is None:
            continue
        across, down = (first[0] * width, second[0] * width), (first[1] * height, second[1] * height)
        centre = int(sum(across) / 2), int(sum(down) / 2)
        length = math.dist((across[0], down[0]), (across[1], down[1]))
        angle = math.degrees(math.atan2(down[0] - down[1], across[0] - across[1]))
        shape: Any = cv2.ellipse2Poly(centre, (int(length / 2), thickness), int(angle), 0, 360, 1)
        cv2.fillConvexPoly(canvas, shape, [int(0.6 * one) for one in colour])
    for point, colour in zip(points, colours, strict=False):
        if point is not None:
            _dots(canvas, [point], colour, thickness)


def _draw_hand(canvas: Any, points: Sequence[Point], thickness: int) -> None:
    import cv2

    if not points:
        return
    height, width = canvas.shape[:2]
    for place, (one, other) in enumerate(_FINGERS):
        first, second = points[one], points[other]
        if _seen(canvas, first) and _seen(canvas, second) and first is not None and second is not None:
            colour = [255 * part for part in colorsys.hsv_to_rgb(place / len(_FINGERS), 1, 1)]
            ends = [(int(point[0] * width), int(point[1] * height)) for point in (first, second)]
            cv2.line(canvas, ends[0], ends[1], colour, max(1, thickness // 2))
    _dots(canvas, [point for point in points if _seen(canvas, point)], (0, 0, 255), thickness)


def _seen(canvas: Any, point: Point) -> bool:
    """Whether a point lies right of and below the first pixel: what OpenPose did not find lies there."""
    height, width = canvas.shape[:2]
    return point is not None and int(point[0] * width) > 0 and int(point[1] * height) > 0


def _dots(canvas: Any, points: Sequence[Point], colour: Sequence[int], radius: int) -> None:
    import cv2

    height, width = canvas.shape[:2]
    for point in points:
        if point is not None:
            cv2.circle(canvas, (int(point[0] * width), int(point[1] * height)), max(1, radius), list(colour), -1)
