"""The classes that the images of a set fall into."""

from __future__ import annotations

from typing import Literal

import numpy as np

from safelight.sdk import Problem, ProblemError
from safelight_nodes.training_values import ImageSet

from .captions import STYLES

Classes = Literal["none", "style", "group", "subject"]


def classes_of(images: ImageSet, by: Classes) -> tuple[tuple[str, ...], np.ndarray]:
    """The names of the classes of a set, and the number of each image's.

    The subject of an image with a caption of its own is that caption.

    Raises:
        ProblemError: `bad_image_set`, when the set does not say it.
    """
    if by == "none":
        return (), np.zeros(len(images.entries), np.int64)
    said: list[str] = []
    for entry in images.entries:
        subject = images.subjects[entry["subject"]]
        if by == "style":
            said.append(STYLES[entry["style"]] if entry["style"] >= 0 else "")
        else:
            said.append(str(subject.get("group", "")) if by == "group" else str(subject["names"][0]))
    if not all(said):
        message = f"This image set does not say the {by} of each image."
        hint = "Give each image a caption." if by == "subject" else "Choose the subject, or no classes."
        raise ProblemError(Problem(code="bad_image_set", message=message, hint=hint, port="classes", value=by))
    names = tuple(sorted(set(said)))
    place = {name: number for number, name in enumerate(names)}
    return names, np.array([place[name] for name in said])
