"""Files that break off: they are told to be damaged, in our words, and never taken for whole ones."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest

from safelight.interop.foreign import carried
from safelight.media import glb, riff
from safelight.media.registry import MediaRegistry, built_in
from safelight.sdk.problem import ProblemError

LEAKS = ("buffer", "decoder", "truncated", "bytes", "object")


def drawn(form: str, frames: int = 1) -> bytes:
    from PIL import Image

    noise = random.Random(0)
    images = [Image.frombytes("RGB", (64, 64), noise.randbytes(64 * 64 * 3)) for _ in range(frames)]
    buffer = io.BytesIO()
    images[0].save(buffer, form, **({"save_all": True, "append_images": images[1:]} if frames > 1 else {}))
    return buffer.getvalue()


def sound() -> bytes:
    return riff.pack(numpy.zeros((1, 4000), numpy.float32), 8000)


def mesh() -> bytes:
    corners = numpy.eye(3, dtype=numpy.float32)
    return glb.pack(glb.Triangles(corners, numpy.array([[0, 1, 2]])))


MADE: dict[str, Callable[[], bytes]] = {
    "x.png": lambda: drawn("PNG"),
    "x.jpg": lambda: drawn("JPEG"),
    "x.webp": lambda: drawn("WEBP"),
    "x.gif": lambda: drawn("GIF"),
    "x.wav": sound,
    "x.glb": mesh,
}


@pytest.fixture
def media() -> MediaRegistry:
    return built_in()


@pytest.mark.parametrize("name", MADE)
def test_a_workflow_that_may_have_been_cut_off_is_not_said_to_be_missing(media: MediaRegistry, name: str) -> None:
    whole = MADE[name]()
    with pytest.raises(ProblemError) as none:
        carried(whole, media, name)
    assert none.value.problems[0].code == "no_workflow_inside"
    cut = whole[: min(300, len(whole) // 2)] if name == "x.jpg" else whole[: len(whole) * 2 // 3]
    with pytest.raises(ProblemError) as broken:
        carried(cut, media, name)
    assert broken.value.problems[0].code == "image_damaged" and "it breaks off" in str(broken.value)


def test_a_file_that_can_carry_none_says_so(media: MediaRegistry) -> None:
    with pytest.raises(ProblemError, match="BMP files cannot carry one"):
        carried(drawn("BMP"), media, "x.bmp")


def test_a_cut_wav_is_not_read_short(media: MediaRegistry, tmp_path: Path) -> None:
    whole = sound()
    file = tmp_path / "x.wav"
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ProblemError, match="it breaks off"):
        media.decode(file, "audio")
    streamed = whole[:4] + b"\xff" * 4 + whole[8:40] + b"\xff" * 4 + whole[44:]
    file.write_bytes(streamed)
    assert media.decode(file, "audio").samples.shape == (1, 1, 4000)


@pytest.mark.parametrize("form", ["GIF", "WEBP"])
@pytest.mark.parametrize("frames", [1, 2])
def test_a_cut_animation_is_told_in_our_words(media: MediaRegistry, tmp_path: Path, form: str, frames: int) -> None:
    whole = drawn(form, frames)
    file = tmp_path / f"x.{form.lower()}"
    for part in (0.2, 0.5, 0.9):
        file.write_bytes(whole[: int(len(whole) * part)])
        for medium in ("image", "video"):
            try:
                media.decode(file, medium)
            except ProblemError as error:
                said = error.problems[0].message
                assert "breaks off" in said and not any(word in said for word in LEAKS), said
            else:
                assert form == "GIF" and medium == "image" and frames > 1  # its first frame is whole
