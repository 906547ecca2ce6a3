"""Poses: read from JSON, drawn as controlnet-aux draws them, found and written again."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from node_bench import BenchContext, codes
from safelight.models.preprocessors import NETWORKS, Preprocessor, _aux
from safelight.sdk import Image, ProblemError
from safelight.testing import call
from safelight_nodes._face_mesh import COLOURS, drawn
from safelight_nodes._poses import parsed, written
from safelight_nodes.preprocess.pose import draw_pose, mediapipe_face, openpose

pytestmark = pytest.mark.filterwarnings("ignore:Please import:DeprecationWarning")
BODY = [(0.5, 0.15), (0.5, 0.3), (0.4, 0.3), (0.33, 0.45), None, (0.6, 0.3), (0.67, 0.45), (0.7, 0.6), (0.43, 0.6)]
BODY += [
    (0.42, 0.8),
    (0.41, 0.97),
    (0.57, 0.6),
    (0.58, 0.8),
    (0.59, 0.97),
    (0.48, 0.13),
    (0.53, 0.13),
    None,
    (0.56, 0.15),
]
HAND = [(0.7 + 0.012 * (place % 5), 0.6 + 0.01 * (place // 4)) for place in range(21)]
FACE = [(0.45 + 0.0015 * place, 0.1 + 0.001 * (place % 30)) for place in range(70)]


def flat(points: Any, width: int, height: int) -> list[float]:
    return [number for point in points for number in ((point[0] * width, point[1] * height, 1) if point else (0, 0, 0))]


def pose(width: int = 512, height: int = 384, **more: Any) -> dict[str, Any]:
    person = {"pose_keypoints_2d": flat(BODY, width, height), **more}
    return {"people": [person], "canvas_width": width, "canvas_height": height}


def as_bytes(image: Image) -> Any:
    return (image.pixels[0] * 255).round().to(torch.uint8).numpy()


def test_a_pose_is_drawn_as_the_library_draws_it() -> None:
    room = _aux("open_pose.util")
    points = [None if point is None else SimpleNamespace(x=point[0], y=point[1]) for point in BODY]
    canvas = room.draw_bodypose(np.zeros((384, 512, 3), np.uint8), points)
    assert np.array_equal(as_bytes(call(draw_pose, json.dumps(pose()), thickness=4)), canvas) and canvas.any()
    face = [SimpleNamespace(x=across, y=down) for across, down in FACE]
    canvas = room.draw_facepose(canvas, face)
    text = json.dumps(pose(face_keypoints_2d=flat(FACE, 512, 384)))
    made = as_bytes(call(draw_pose, text, thickness=4))
    assert np.array_equal(made, canvas)


def test_hands_are_drawn_in_all_hues() -> None:
    text = json.dumps(pose(hand_left_keypoints_2d=flat(HAND, 512, 384)))
    made, without = (
        as_bytes(call(draw_pose, text, body=False)),
        as_bytes(call(draw_pose, text, body=False, hands=False)),
    )
    assert not without.any()
    colours = {tuple(int(one) for one in colour) for colour in made.reshape(-1, 3)}
    assert (0, 0, 255) in colours and len(colours) > 10


def test_what_is_written_is_read_again() -> None:
    text = json.dumps([pose(), pose(hand_right_keypoints_2d=flat(HAND, 512, 384))])
    frames = parsed(text, "pose")
    again = parsed(written(frames), "pose")
    assert [len(frame.people) for frame in again] == [1, 1]
    assert again[0].people[0].body[4] is None and again[1].people[0].right_hand[3] == pytest.approx(HAND[3], abs=1e-5)
    assert call(draw_pose, text).pixels.shape == (2, 384, 512, 3)
    parts = {"people": [{"pose_keypoints_2d": flat(BODY, 1, 1)}]}
    small = call(draw_pose, json.dumps(parts), width=256, height=192)
    assert small.pixels.shape == (1, 192, 256, 3) and small.pixels.any()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "no JSON of a pose"),
        ('{"people": 3}', "people is no list"),
        ('{"persons": []}', "no JSON of a pose"),
        ('{"people": [{"pose_keypoints_2d": [1, 2]}], "canvas_width": 8, "canvas_height": 8}', "2 numbers"),
        ('{"people": [{"pose_keypoints_2d": [NaN]}], "canvas_width": 8, "canvas_height": 8}', "none"),
        (json.dumps({**pose(), "canvas_width": 0}), "canvas_width"),
        ("[]", "no pose"),
    ],
)
def test_what_is_no_pose_is_told(text: str, said: str) -> None:
    with pytest.raises(ProblemError) as caught:
        draw_pose(text, ctx=BenchContext())
    assert codes(caught) == [("pose_unreadable", "pose")]
    assert said in caught.value.problems[0].message


class Shelf:
    """In place of the store: a network for bodies whose answer is known."""

    def find(self, name: str, kind: str = "") -> Any:
        return SimpleNamespace(name=name)

    def family(self, source: Any) -> str:
        return ""

    def retry(self, attempt: Any) -> Any:
        return attempt()

    def lease(self, ref: Any, scratch: int = 0) -> Any:
        from contextlib import nullcontext

        row = next(row for row in NETWORKS if row.sort == "openpose_body")
        annotator = row.wrap(None)

        class Body:
            def __call__(self, pixels: Any) -> Any:
                height, width = pixels.shape[:2]
                known = [(place, point) for place, point in enumerate(BODY) if point]
                candidate = np.array(
                    [[point[0] * width, point[1] * height, 1.0, at] for at, (_, point) in enumerate(known)]
                )
                subset = np.full((1, 20), -1.0)
                for at, (place, _) in enumerate(known):
                    subset[0, place] = at
                return candidate, subset

            format_body_result = staticmethod(_aux("open_pose.body").Body.format_body_result)

        annotator.body_estimation = Body()
        return nullcontext(SimpleNamespace(component=Preprocessor("openpose_body", None, annotator)))


def test_poses_that_are_found_are_drawn_and_written() -> None:
    given = Image(torch.zeros(2, 384, 512, 3))
    found = openpose(given, resolution=384, ctx=BenchContext(models=Shelf()))
    assert found.people == 2 and found.image.pixels.shape == given.pixels.shape
    frames = parsed(found.pose, "pose")
    assert frames[0].people[0].body[0] == pytest.approx(BODY[0], abs=1e-4) and frames[0].people[0].body[4] is None
    again = call(draw_pose, found.pose, thickness=4).pixels
    assert (again - found.image.pixels).abs().mean() < 1e-3


def test_openpose_reads_its_makers_files(tmp_path: Path) -> None:
    """What lies in its files lacks a level of names that its class has."""
    from safelight.models.preprocessors import _fitting

    row = next(row for row in NETWORKS if row.sort == "openpose_body")
    with torch.device("meta"):
        own = row.build().state_dict()
    given = {name.partition(".")[2]: tensor for name, tensor in own.items()}
    assert {name for name, _ in _fitting(own, given)} == set(own)


def test_the_face_mesh_needs_its_package_and_is_drawn_in_its_colours() -> None:
    from importlib.util import find_spec

    if not find_spec("mediapipe"):
        with pytest.raises(ProblemError) as missing:
            mediapipe_face(Image(torch.zeros(1, 64, 64, 3)), ctx=BenchContext())
        assert codes(missing) == [("needs_package", None)]
    face = [(place / 480, 0.5) for place in range(478)]
    made = drawn([face], [(COLOURS[0][1], [(10, 200)]), (COLOURS[2][1], [(250, 300)])], 96, 64)
    colours = {tuple(int(one) for one in colour) for colour in made.reshape(-1, 3)}
    assert colours == {(0, 0, 0), (10, 200, 10), (10, 200, 180), (10, 200, 250), (250, 200, 10)}
