"""Workflows of ComfyUI are found in every kind of file that it writes them into."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from comfyui_files import api, canvas
from safelight.interop.reading import read
from safelight.media.registry import built_in
from safelight.sdk.problem import ProblemError
from tiny_images import chunk, encoded

PROMPT = json.dumps(api() | {"note": {"class_type": "Note", "inputs": {"text": "木 🍎"}}})
WORKFLOW = json.dumps(canvas()[0].data)
TEXTS = {"prompt": PROMPT, "workflow": WORKFLOW}


def movie(form: str, **options: str) -> bytes:
    """A film or a sound by FFmpeg, whose metadata is that of the container."""
    av = pytest.importorskip("av")
    import numpy

    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form, options=options) as container:
        container.metadata.update(TEXTS)
        if form in ("mp4", "webm", "matroska"):
            stream = container.add_stream("mpeg4" if form == "mp4" else "libvpx", rate=8)
            stream.width = stream.height = 32
            stream.pix_fmt = "yuv420p"
            frames: list[Any] = [av.VideoFrame.from_ndarray(numpy.zeros((32, 32, 3), "uint8"), "rgb24")] * 2
        else:
            name = {"flac": "flac", "mp3": "libmp3lame", "opus": "libopus"}[form]
            stream = container.add_stream(name, rate=48_000, layout="mono")
            sound = numpy.zeros((1, 4800), "float32")
            shape = "s16" if form == "flac" else "flt" if form == "opus" else "fltp"
            given = (sound * 32767).astype("int16") if form == "flac" else sound
            frames = [av.AudioFrame.from_ndarray(given, shape, "mono")]
            frames[0].sample_rate = 48_000
        for frame in frames:
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def animated() -> bytes:
    """As ComfyUI's SaveAnimatedPNG: private chunks behind the image."""
    whole = encoded(Image.new("RGB", (8, 8)), save_all=True, append_images=[Image.new("RGB", (8, 8), "red")])
    chunks = [chunk(b"comf", key.encode() + b"\0" + text.encode("latin-1", "replace")) for key, text in TEXTS.items()]
    return whole[:-12] + b"".join(chunks) + whole[-12:]


def webp() -> bytes:
    """Its EXIF has the prompt as the model of the camera, further keys in the tags before."""
    tags = Image.Exif()
    tags[0x0110], tags[0x010F] = f"prompt:{PROMPT}", f"workflow:{WORKFLOW}"
    return encoded(Image.new("RGB", (8, 8)), "WEBP", exif=tags.tobytes())


def drawing() -> bytes:
    said = json.dumps({"prompt": json.loads(PROMPT), "workflow": json.loads(WORKFLOW)})
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<!-- drawn --><svg xmlns="http://www.w3.org/2000/svg">'
    return f"{head}<metadata><![CDATA[{said}]]></metadata><path d='M0 0'/></svg>".encode()


def scene(extras: Any) -> bytes:
    text = json.dumps({"asset": {"version": "2.0", "extras": extras}}).encode()
    text += b" " * (-len(text) % 4)
    return b"glTF" + struct.pack("<III", 2, 20 + len(text), len(text)) + b"JSON" + text


def weights() -> bytes:
    header = json.dumps(
        {"__metadata__": TEXTS, "latent_tensor": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    )
    return struct.pack("<Q", len(header.encode())) + header.encode() + bytes(4)


def comments(**texts: str) -> bytes:
    """Vorbis comments, as in FLAC, Vorbis and Opus."""
    entries = [f"{key.upper()}={text}".encode() for key, text in texts.items()]
    listed = b"".join(struct.pack("<I", len(one)) + one for one in entries)
    return struct.pack("<I", 4) + b"test" + struct.pack("<I", len(entries)) + listed


def ogg(*packets: bytes) -> bytes:
    """Packets in pages of at most 255 pieces of 255 bytes; what is left of one goes on in the next page."""
    pages: list[bytes] = []
    for packet in packets:
        sizes = [255] * (len(packet) // 255) + [len(packet) % 255]
        for at in range(0, len(sizes), 255):
            table = bytes(sizes[at : at + 255])
            body = packet[at * 255 : at * 255 + sum(table)]
            pages.append(b"OggS\0\0" + bytes(8) + b"\1\0\0\0" + bytes(8) + bytes([len(table)]) + table + body)
    return b"".join(pages)


FILES: dict[str, Callable[[], bytes]] = {
    "a.mp4": lambda: movie("mp4", movflags="use_metadata_tags"),
    "a.webm": lambda: movie("webm"),
    "a.mkv": lambda: movie("matroska"),
    "a.flac": lambda: movie("flac"),
    "a.mp3": lambda: movie("mp3"),
    "a.opus": lambda: movie("opus"),
    "a.ogg": lambda: ogg(b"\x01vorbis" + bytes(23), b"\x03vorbis" + comments(**TEXTS)),
    "a.apng": animated,
    "a.webp": webp,
    "a.svg": drawing,
    "a.glb": lambda: scene(TEXTS),
    "objects.glb": lambda: scene({key: json.loads(text) for key, text in TEXTS.items()}),
    "a.safetensors": weights,
    "a.latent": weights,
}


@pytest.mark.parametrize("name", FILES)
def test_a_workflow_is_found(name: str) -> None:
    document, report = read(FILES[name](), built_in(), name)
    assert report is not None and report.program == "ComfyUI" and report.whole, report
    assert document.ui["nodes"], "what was on the canvas comes before what was run"


@pytest.mark.parametrize("name", FILES)
def test_cut_anywhere_it_is_found_or_told(name: str) -> None:
    data = FILES[name]()
    for end in (*range(0, min(len(data), 400), 7), *range(400, len(data), max(1, len(data) // 60))):
        try:
            read(data[:end], built_in(), name)
        except ProblemError as error:
            assert all(problem.message and problem.hint for problem in error.problems)


@pytest.mark.parametrize("name", FILES)
def test_changed_anywhere_nothing_worse_than_a_problem_happens(name: str) -> None:
    data = FILES[name]()
    for place in range(0, len(data), max(1, len(data) // 120)):
        changed = bytearray(data)
        changed[place] ^= 0xFF
        try:
            read(bytes(changed), built_in(), name)
        except ProblemError as error:
            assert all(problem.message and problem.hint for problem in error.problems)


def test_more_text_than_is_read_is_told() -> None:
    pages = ogg(b"OpusHead" + bytes(11), b"OpusTags" + comments(workflow="x" * (17 << 20)))
    with pytest.raises(ProblemError) as caught:
        read(pages, built_in(), "a.opus")
    assert caught.value.problems[0].code == "embedded_text_too_large"
