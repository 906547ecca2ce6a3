"""Poses of people: found in images, edited as JSON, drawn."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated, Any, NamedTuple

from safelight.sdk import Context, Image, ModelPick, Number, Problem, ProblemError, Slider, Text, Toggle, node

from .._poses import Frame, Person, drawn, parsed, written
from .._preprocessing import ANNOTATORS, MODEL_HELP, Resolution, each, leased, scaled, side_of

_MAX_SIDE = 8192


class Posed(NamedTuple):
    """Who was found."""

    image: Annotated[Image, "The poses, drawn on black."]
    pose: Annotated[str, "Their points as JSON, as OpenPose's editors read it: of several images a list."]
    people: Annotated[int, "How many people were found in all images."]


@node(
    version=1,
    title="OpenPose",
    tags=(
        "OpenposePreprocessor",
        "openpose_full",
        "openpose_hand",
        "openpose_face",
        "DWPreprocessor",
        "pose",
        "DWPose",
    ),
)
def openpose(
    image: Image,
    *,
    resolution: Resolution = 512,
    body: Annotated[bool, Toggle(), "Draw bodies."] = True,
    model: Annotated[str, ModelPick("preprocessor", advanced=True), MODEL_HELP] = f"{ANNOTATORS}/body_pose_model.pth",
    hands: Annotated[
        str,
        ModelPick("preprocessor"),
        "The weights for hands, to look for them as well: lllyasviel/Annotators/hand_pose_model.pth.",
    ] = "",
    face: Annotated[
        str,
        ModelPick("preprocessor"),
        "The weights for faces, to look for them as well: lllyasviel/Annotators/facenet.pth.",
    ] = "",
    ctx: Context,
) -> Posed:
    """Find the poses of people, with hands and faces if wanted: for an OpenPose ControlNet.

    Edit the JSON, and draw it by preprocess.draw_pose. OpenPose's weights are for non-commercial use alone.
    Source: Z. Cao et al., "OpenPose: Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", 2019.
    """
    side = side_of(image, resolution)
    height, width = image.pixels.shape[1:3]
    frames: list[Frame] = []
    hands, face = hands.strip(), face.strip()
    shown = [part for part, on in (("body", body), ("hands", hands), ("face", face)) if on]
    with ExitStack() as held:

        def annotator(name: str, sort: str, said: str, port: str) -> Any:
            if not name:
                return None
            lease = held.enter_context(leased(ctx, name, (sort,), said, port=port, side=side))
            return lease.component.annotator

        found = annotator(model, "openpose_body", "OpenPose's network for bodies", "model")
        of_hands = annotator(hands, "openpose_hand", "OpenPose's network for hands", "hands")
        of_faces = annotator(face, "openpose_face", "OpenPose's network for faces", "face")
        detector = type(found)(found.body_estimation, of_hands, of_faces)

        def read(pixels: Any) -> Any:
            given = scaled(pixels, side)
            poses = ctx.models.retry(
                lambda: detector.detect_poses(given, include_hand=bool(hands), include_face=bool(face))
            )
            frame = Frame(tuple(_person(pose) for pose in poses), width, height)
            frames.append(frame)
            return drawn(frame, given.shape[1], given.shape[0], 4, shown)

        made = each(image, read, ctx)
    return Posed(made, written(frames), sum(len(frame.people) for frame in frames))


def _person(pose: Any) -> Person:
    return Person(_points(pose.body.keypoints), _points(pose.left_hand), _points(pose.right_hand), _points(pose.face))


def _points(found: Any) -> tuple[tuple[float, float] | None, ...]:
    """Points as the drawing takes them; what was looked for and not found lies left of the image."""
    return tuple(
        None if point is None or point.x < 0 or point.y < 0 else (float(point.x), float(point.y))
        for point in found or ()
    )


@node(
    version=1,
    title="Draw a pose",
    tags=("OpenPose editor", "Render Pose", "OpenPose JSON", "Load Openpose JSON", "pose editor"),
)
def draw_pose(
    pose: Annotated[
        str,
        Text(multiline=True),
        'As OpenPose writes it: {"people": [{"pose_keypoints_2d": [x, y, confidence, ...]}], "canvas_width": 512, '
        '"canvas_height": 768}; hands and faces as hand_left_keypoints_2d, hand_right_keypoints_2d, face_keypoints_2d.',
    ],
    *,
    width: Annotated[int, Number(0, _MAX_SIDE, step=8, zero="pose"), "In pixels. 0: as the pose says, else 512."] = 0,
    height: Annotated[int, Number(0, _MAX_SIDE, step=8, zero="pose"), "In pixels. 0: as the pose says, else 512."] = 0,
    thickness: Annotated[
        int, Slider(0, 64, zero="auto", advanced=True), "Half the width of a limb. 0: 4 for images of 512 pixels."
    ] = 0,
    body: Annotated[bool, Toggle(), "Draw bodies."] = True,
    hands: Annotated[bool, Toggle(), "Draw hands, where the pose has them."] = True,
    face: Annotated[bool, Toggle(), "Draw faces, where the pose has them."] = True,
    ctx: Context,
) -> Image:
    """Draw poses from their points: a hint for an OpenPose ControlNet, found elsewhere, edited or made of numbers.

    A list of poses makes a batch, in the size of the first.
    """
    import torch

    frames = parsed(pose, "pose")
    if not frames:
        message, hint = "There is no pose.", "Give at least one frame; one without people is black."
        raise ProblemError(Problem(code="pose_unreadable", message=message, hint=hint, port="pose", value=pose[:200]))
    across = min(width or frames[0].width or 512, _MAX_SIDE)
    down = min(height or frames[0].height or 512, _MAX_SIDE)
    wide = thickness or max(1, round(min(across, down) / 128))
    shown = [part for part, on in (("body", body), ("hands", hands), ("face", face)) if on]
    made: list[Any] = []
    for frame in frames:
        ctx.check_cancelled()
        made.append(torch.from_numpy(drawn(frame, across, down, wide, shown)).float() / 255)
    return Image(torch.stack(made))


@node(
    version=1,
    title="Face mesh (MediaPipe)",
    tags=("MediaPipe-FaceMeshPreprocessor", "mediapipe_face", "face mesh", "face landmarks"),
)
def mediapipe_face(
    image: Image,
    *,
    faces: Annotated[int, Slider(1, 50), "How many are looked for."] = 1,
    confidence: Annotated[float, Slider(0.01, 1, step=0.01), "How sure a face has to be."] = 0.5,
    resolution: Resolution = 512,
    ctx: Context,
) -> Image:
    """Draw the outlines of faces: eyes, brows, irises, mouth and oval, for a MediaPipe face ControlNet.

    MediaPipe is no part of Safelight: it is installed beside it, with its own weights inside.
    """
    from .._face_mesh import mesh

    side = side_of(image, resolution)
    with mesh(faces, confidence) as read:
        return each(image, lambda pixels: read(scaled(pixels, side)), ctx)
