"""The face mesh of MediaPipe, drawn as its ControlNet was trained to see it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from safelight.sdk import Problem, ProblemError

COLOURS: tuple[tuple[str, tuple[int, int, int]], ...] = (
    ("FACEMESH_FACE_OVAL", (10, 200, 10)),
    ("FACEMESH_LIPS", (10, 180, 10)),
    ("FACEMESH_LEFT_EYE", (10, 200, 180)),
    ("FACEMESH_LEFT_EYEBROW", (10, 220, 180)),
    ("FACEMESH_RIGHT_EYE", (180, 200, 10)),
    ("FACEMESH_RIGHT_EYEBROW", (180, 220, 10)),
)
"""Lines of the mesh by MediaPipe's names, and their colours (red, green, blue)."""
PUPILS: tuple[tuple[int, tuple[int, int, int]], ...] = ((473, (10, 200, 250)), (468, (250, 200, 10)))
"""The centres of the left and the right iris among the 478 points."""


@contextmanager
def mesh(faces: int, confidence: float) -> Iterator[Callable[[Any], Any]]:
    """What draws the faces of bytes (H, W, 3) on black.

    Raises:
        ProblemError: `needs_package`.
    """
    os.environ.setdefault("GLOG_minloglevel", "2")  # it tells what it is doing, at length
    try:
        from mediapipe.python.solutions import face_mesh  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        message = f"The face mesh needs MediaPipe, which is not installed: {error}."
        hint = (
            "`pip install --no-deps mediapipe==0.10.21`, and what it imports: `pip install absl-py attrs flatbuffers "
        )
        hint += "matplotlib protobuf==4.25.8`. Later versions have no face mesh of this sort."
        raise ProblemError(Problem(code="needs_package", message=message, hint=hint)) from error
    lines = [(colour, sorted(getattr(face_mesh, name))) for name, colour in COLOURS]
    options = {"static_image_mode": True, "refine_landmarks": True, "min_detection_confidence": confidence}
    with face_mesh.FaceMesh(max_num_faces=faces, **options) as found:

        def read(pixels: Any) -> Any:
            points = [
                [(point.x, point.y) for point in face.landmark]
                for face in found.process(pixels).multi_face_landmarks or ()
            ]
            return drawn(points, lines, pixels.shape[1], pixels.shape[0])

        yield read


def drawn(faces: list[list[tuple[float, float]]], lines: Any, width: int, height: int) -> Any:
    """Bytes (height, width, 3) of faces on black, whose points are parts of the image."""
    import cv2
    import numpy

    canvas = numpy.zeros((height, width, 3), numpy.uint8)
    for face in faces:
        places = [(min(int(across * width), width - 1), min(int(down * height), height - 1)) for across, down in face]
        for colour, pairs in lines:
            for one, other in pairs:
                cv2.line(canvas, places[one], places[other], colour, 2)
        for place, colour in PUPILS:
            if place < len(places):
                across, down = places[place]
                canvas[max(0, down - 2) : down + 2, max(0, across - 2) : across + 2] = colour
    return canvas
