"""The mark that a model made a file: which files get it, and that it is where others look for it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from PIL import Image as Images

from safelight.app import Studio
from safelight.environment import Environment
from safelight.graph import Document
from safelight.interop.origin import made_by_model
from safelight.media import xmp
from safelight.media.registry import built_in
from safelight.sdk import Image

PAINTED = {
    "model": {"type": "models.load", "version": 1, "values": {"model": "starter"}},
    "text": {"type": "text.encode", "version": 1},
    "empty": {"type": "latent.empty", "version": 1},
    "sample": {"type": "sampling.sample", "version": 2, "values": {"steps": 1}},
    "decode": {"type": "vae.decode", "version": 1},
    "save": {"type": "image.save", "version": 1},
    "photo": {"type": "image.load", "version": 1, "values": {"file": "apple.png"}},
    "small": {"type": "image.resize", "version": 1, "values": {"width": 16}},
    "keep": {"type": "image.save", "version": 1, "values": {"name": "small"}},
}
LINKS = [
    ("model.text", "text.encoder"),
    ("model.model", "sample.model"),
    ("text.conditioning", "sample.positive"),
    ("model.vae", "empty.vae"),
    ("empty.latent", "sample.latent"),
    ("sample.latent", "decode.latent"),
    ("model.vae", "decode.vae"),
    ("decode.image", "save.image"),
    ("photo.image", "small.image"),
    ("small.image", "keep.image"),
]


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("channels", [3, 4])
def test_the_mark_is_where_others_look_for_it(format: str, channels: int) -> None:
    pixels = torch.rand(1, 9, 11, channels, generator=torch.Generator().manual_seed(1))
    media = built_in()
    (file,) = media.encode(Image(pixels), format)
    marked = media.mark(file.data, file.format.media_type)
    assert media.mark(marked, file.format.media_type) == marked, "it stands there once"
    both = media.embed(marked, file.format.media_type, "{}")
    assert media.extract(both) == "{}"
    for data in (
        marked,
        both,
        media.mark(media.embed(file.data, file.format.media_type, "{}"), file.format.media_type),
    ):
        with Images.open(io.BytesIO(data)) as image, Images.open(io.BytesIO(file.data)) as plain:
            assert xmp.MADE_BY_MODEL in said(image)
            assert image.tobytes() == plain.tobytes()
            assert said(plain) == ""


def said(image: Images.Image) -> str:
    """The XMP packet as Pillow has it; empty without one."""
    found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp", "")
    return found.decode() if isinstance(found, bytes) else found


def test_what_has_no_place_for_it_stays() -> None:
    assert built_in().mark(b"text", "text/plain") == b"text"
    assert built_in().mark(b"BM", "image/bmp") == b"BM"


def test_images_of_a_sampler_are_marked_and_photographs_are_not(tmp_path: Path) -> None:
    links = [{"from": start, "to": end} for start, end in LINKS]
    document = Document.parse({"format": "safelight/1", "nodes": PAINTED, "links": links})
    studio = Studio.open(tmp_path)
    graph = studio.check(document).require()
    assert made_by_model(graph.trail("save")) and not made_by_model(graph.trail("keep"))


@pytest.mark.parametrize(("given", "marked"), [({}, True), ({"SAFELIGHT_MARK_ORIGIN": "0"}, False)])
def test_one_setting_turns_it_off(given: dict[str, str], marked: bool) -> None:
    assert Environment.read(given).mark_origin is marked
