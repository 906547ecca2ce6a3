"""Every node for images and masks at the ends of its widgets, with the smallest images, transparent ones and batches:
it gives sound values or says what is wrong, and changes nothing that it was given.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from safelight.sdk import Image, Mask, NodeType, ProblemError, load_packs
from safelight.sdk.widgets import Number, Slider
from safelight.testing import BenchContext, call
from safelight_nodes.mask import inpaint

LARGE = 40
"""Numbers that are typed in are tried up to here: what they make takes time and memory."""
FILES = ("load", "load_mask", "load_exr", "save_exr", "read_metadata", "apply_lut", "matte")
KINDS = [
    kind
    for name, kind in load_packs().items()
    if name.startswith(("image.", "mask.")) and name.partition(".")[2] not in FILES
]


def values(kind: NodeType) -> Iterator[dict[str, Any]]:
    """Its defaults, and each widget at each end, or with each choice."""
    yield {}
    for port in kind.spec.inputs:
        if port.choices:
            yield from ({port.name: choice} for choice in port.choices)
        elif port.type == "bool":
            yield {port.name: not port.default}
        elif isinstance(port.widget, Slider | Number):
            low, high = port.widget.min, port.widget.max
            ends = (-LARGE if low is None else max(low, -LARGE), LARGE if high is None else min(high, LARGE))
            yield from ({port.name: int(end) if port.type == "int" else float(end)} for end in ends)


def given(kind: NodeType, image: Image, mask: Mask) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for port in kind.spec.inputs:
        if port.widget is None:
            made[port.name] = {
                "Image": image,
                "Mask": mask,
                "list[Image]": [image, image],
                "list[Mask]": [mask, mask],
            }.get(port.type)
        elif port.type == "int" and port.name in ("width", "height"):
            made[port.name] = 24  # instead of 512, which takes longer and shows no more
    if "cutout" in made:
        made["cutout"] = inpaint.crop(Image(torch.rand(len(image.pixels), 9, 9, 3)), Mask(torch.ones(1, 9, 9))).cutout
    return made


def sound(result: Any) -> None:
    for value in result if isinstance(result, tuple | list) else [result]:
        if isinstance(value, Image | Mask):
            assert value.fault() is None
            numbers = value.pixels if isinstance(value, Image) else value.coverage
            assert float(numbers.min()) >= 0 and float(numbers.max()) <= 1
        elif isinstance(value, list):
            sound(value)


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (2, 9, 7, 4)], ids=str)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.spec.id)
def test_the_ends_of_widgets(kind: NodeType, shape: tuple[int, ...], tmp_path: Path) -> None:
    source = torch.Generator().manual_seed(1)
    image, mask = Image(torch.rand(shape, generator=source)), Mask(torch.rand(shape[:3], generator=source))
    inputs = given(kind, image, mask)
    for changed in values(kind):
        context = {kind.context: BenchContext(folder=tmp_path)} if kind.context else {}
        try:
            sound(call(kind.function, **{**inputs, **changed, **context}))
        except ProblemError as error:
            for problem in error.problems:
                assert problem.code not in ("bad_result", "input_changed", "not_repeatable"), (changed, problem)
                assert problem.message and problem.hint, changed
        except Exception as error:
            raise AssertionError(f"{kind.spec.id} with {changed}: {type(error).__name__}: {error}") from error
