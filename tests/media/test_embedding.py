"""Documents in images: they come back, the pixels stay, and nothing that strangers send does harm."""

from __future__ import annotations

import io
import json
import random
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.media import exif
from safelight.media.embedding import texts
from safelight.media.packed import TEXT_LIMIT
from safelight.media.registry import built_in
from safelight.sdk import ProblemError

Image = pytest.importorskip("PIL.Image")
PngImagePlugin = pytest.importorskip("PIL.PngImagePlugin")

MEDIA = built_in()
can_embed, embed, extract = MEDIA.can_embed, MEDIA.embed, MEDIA.extract
DOCUMENT = json.dumps({"format": "safelight/1", "name": "grüße 写真", "nodes": {}}, ensure_ascii=False)


def sniff(data: bytes) -> str | None:
    found = MEDIA.sniff(data)
    return found.media_type if found else None


def image(mode: str = "RGB", size: tuple[int, int] = (37, 21)) -> Any:
    source = random.Random(7)
    bands = len(Image.new(mode, (1, 1)).getbands())
    return Image.frombytes(mode, size, source.randbytes(size[0] * size[1] * bands))


def encoded(form: str, mode: str = "RGB", **options: Any) -> bytes:
    stream = io.BytesIO()
    image(mode).save(stream, form, **options)
    return stream.getvalue()


def animation() -> bytes:
    stream = io.BytesIO()
    frames = [image(), image().rotate(180)]
    frames[0].save(stream, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    return stream.getvalue()


def tiff_exif() -> bytes:
    tags = Image.Exif()
    tags[0x0112] = 6
    tags[0x010E] = "a description that does not fit into four bytes"
    tags.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + "steps: 20".encode("utf-16-be")
    return tags.tobytes()


IMAGES: dict[str, Callable[[], bytes]] = {
    "png": lambda: encoded("PNG"),
    "png-alpha": lambda: encoded("PNG", "RGBA"),
    "png-grey": lambda: encoded("PNG", "L"),
    "jpeg": lambda: encoded("JPEG"),
    "jpeg-exif": lambda: encoded("JPEG", exif=tiff_exif()),
    "jpeg-progressive": lambda: encoded("JPEG", progressive=True),
    "webp": lambda: encoded("WEBP"),
    "webp-alpha": lambda: encoded("WEBP", "RGBA"),
    "webp-lossless": lambda: encoded("WEBP", lossless=True),
    "webp-lossless-alpha": lambda: encoded("WEBP", "RGBA", lossless=True),
    "webp-exif": lambda: encoded("WEBP", exif=tiff_exif()),
    "webp-xmp": lambda: encoded("WEBP", xmp=b"<x:xmpmeta/>"),
    "webp-animated": animation,
    "gif": lambda: encoded("GIF"),
}
TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif"}
every = pytest.mark.parametrize("name", IMAGES)


def media_type(name: str) -> str:
    return TYPES[name.split("-", maxsplit=1)[0]]


def pixels(data: bytes) -> list[tuple[str, tuple[int, int], bytes]]:
    found = []
    with Image.open(io.BytesIO(data)) as opened:
        for number in range(getattr(opened, "n_frames", 1)):
            opened.seek(number)
            opened.load()
            found.append((opened.mode, opened.size, opened.tobytes()))
    return found


@every
@pytest.mark.parametrize("length", [0, 1, 300_000])
def test_a_document_comes_back_and_the_pixels_stay(name: str, length: int) -> None:
    plain = IMAGES[name]()
    document = DOCUMENT + random.Random(1).randbytes(length).hex()
    carrying = embed(plain, media_type(name), document)
    assert extract(plain) is None
    assert extract(carrying) == document
    assert pixels(carrying) == pixels(plain)
    assert sniff(carrying) == media_type(name)


@every
def test_embedding_twice_replaces(name: str) -> None:
    plain = IMAGES[name]()
    once = embed(plain, media_type(name), "second")
    twice = embed(embed(plain, media_type(name), "first" * 50_000), media_type(name), "second")
    assert twice == once
    assert extract(twice) == "second"


@every
def test_what_else_is_in_the_file_stays(name: str) -> None:
    plain = IMAGES[name]()
    with Image.open(io.BytesIO(plain)) as before, Image.open(io.BytesIO(embed(plain, media_type(name), "x"))) as after:
        old, new = before.getexif(), after.getexif()
        assert {key: value for key, value in new.items() if key != 65112} == dict(old)
        assert dict(new.get_ifd(0x8769)) == dict(old.get_ifd(0x8769))
        assert before.info.get("xmp") == after.info.get("xmp")
        assert before.info.get("icc_profile") == after.info.get("icc_profile")


def test_png_text_is_readable_by_others() -> None:
    with Image.open(io.BytesIO(embed(encoded("PNG"), "image/png", DOCUMENT))) as opened:
        assert opened.text == {"safelight": DOCUMENT}


def test_png_chunks_are_all_sound() -> None:
    data = embed(encoded("PNG"), "image/png", DOCUMENT)
    place, kinds = 8, []
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        assert struct.unpack_from(">I", data, place + 8 + length)[0] == zlib.crc32(data[place + 4 : place + 8 + length])
        kinds.append(kind)
        place += 12 + length
    assert kinds[0] == b"IHDR" and kinds[-1] == b"IEND" and kinds.count(b"iTXt") == 1


def test_a_lone_surrogate_is_written_as_json_escapes_it() -> None:
    document = json.dumps({"text": "a\ud800b"}, ensure_ascii=False)
    for form in ("PNG", "JPEG", "WEBP"):
        found = extract(embed(encoded(form), f"image/{form.lower()}", document))
        assert found is not None and json.loads(found) == {"text": "a\ud800b"}


def test_texts_of_other_programs() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a cat\nSteps: 20")
    info.add_text("prompt", '{"3": {}}', zip=True)
    info.add_itxt("workflow", '{"name": "写真"}')
    info.add_itxt("more", "grüße", lang="de", tkey="mehr", zip=True)
    data = encoded("PNG", pnginfo=info)
    expected = {
        "parameters": "a cat\nSteps: 20",
        "prompt": '{"3": {}}',
        "workflow": '{"name": "写真"}',
        "more": "grüße",
    }
    assert texts(data) == expected
    assert texts(embed(data, "image/png", DOCUMENT)) == expected


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
@pytest.mark.parametrize("little", [True, False])
def test_texts_in_exif(form: str, little: bool) -> None:
    parameters = "a cat, grüße\nSteps: 20"
    tags = Image.Exif()
    tags.endian = "<" if little else ">"
    tags[0x010F] = 'workflow:{"nodes": []}'
    tags[0x0110] = 'Prompt:{"3": {}}'
    tags.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + parameters.encode("utf-16-be")
    data = encoded(form, exif=tags.tobytes())
    expected = {"workflow": '{"nodes": []}', "prompt": '{"3": {}}', "parameters": parameters}
    assert texts(data) == expected
    assert texts(embed(data, f"image/{form.lower()}", DOCUMENT)) == expected


def test_plain_comments_in_exif() -> None:
    for raw in (b"ASCII\0\0\0Steps: 20", b"\0" * 8 + b"Steps: 20", b"UNICODE\0" + "Steps: 20".encode("utf-16-le")):
        tags = Image.Exif()
        tags.get_ifd(0x8769)[0x9286] = raw
        assert texts(encoded("JPEG", exif=tags.tobytes())) == {"parameters": "Steps: 20"}


def test_sniff() -> None:
    assert sniff(encoded("GIF")) == "image/gif"
    for data in (b"", b"RIFF", b"\x89PN", b"{}", b"\xff\xd8"):
        assert sniff(data) is None
        assert extract(data) is None
        assert texts(data) == {}
    assert can_embed("image/webp") and not can_embed("image/bmp")


def test_what_cannot_carry_a_document_is_said() -> None:
    with pytest.raises(ProblemError) as caught:
        embed(encoded("BMP"), "image/bmp", "x")
    assert caught.value.problems[0].code == "cannot_carry_workflow"
    with pytest.raises(ProblemError) as caught:
        embed(encoded("PNG"), "image/jpeg", "x")
    assert caught.value.problems[0].code == "image_damaged"
    with pytest.raises(ProblemError) as caught:
        embed(encoded("PNG"), "image/png", "x" * (TEXT_LIMIT + 1))
    assert caught.value.problems[0].code == "embedded_text_too_large"


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunk(kind: bytes, body: bytes) -> bytes:
    plain = encoded("PNG")
    return plain[:33] + chunk(kind, body) + plain[33:]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_bomb_is_refused_without_the_memory(form: str) -> None:
    machine = zlib.compressobj(9)
    bomb = b"".join([machine.compress(bytes(1 << 20)) for _ in range(128)]) + machine.flush()
    if form == "PNG":
        data = with_chunk(b"iTXt", b"safelight\0\1\0\0\0" + bomb)
    elif form == "JPEG":
        plain, pieces = encoded("JPEG"), [bomb[place : place + 60_000] for place in range(0, len(bomb), 60_000)]
        segments = [b"safelight\0" + struct.pack(">HH", at, len(pieces)) + piece for at, piece in enumerate(pieces)]
        data = plain[:2] + b"".join(struct.pack(">BBH", 255, 0xE1, len(s) + 2) + s for s in segments) + plain[2:]
    else:
        body = struct.pack("<4sI", b"EXIF", len(block := exif.set_ours(b"", bomb))) + block + b"\0" * (len(block) % 2)
        rest = encoded("WEBP")[12:]
        data = struct.pack("<4sI4s", b"RIFF", len(rest) + len(body) + 4, b"WEBP") + rest + body
    tracemalloc.start()
    try:
        with pytest.raises(ProblemError) as caught:
            extract(data)
        assert tracemalloc.get_traced_memory()[1] < 3 * TEXT_LIMIT
    finally:
        tracemalloc.stop()
    assert caught.value.problems[0].code == "embedded_text_too_large"


def test_many_texts_are_bounded_together() -> None:
    plain = encoded("PNG")
    packed = zlib.compress(b"x" * (TEXT_LIMIT // 2 + 1))
    bodies = b"".join(chunk(b"zTXt", b"key%d\0\0" % number + packed) for number in range(2))
    with pytest.raises(ProblemError):
        texts(plain[:33] + bodies + plain[33:])
    many = b"".join(chunk(b"tEXt", b"key%d\0v" % number) for number in range(5_000))
    assert len(texts(plain[:33] + many + plain[33:])) == 1_000


def test_a_damaged_document_is_a_problem_and_not_a_guess() -> None:
    for form in ("PNG", "JPEG", "WEBP"):
        data = bytearray(embed(encoded(form), f"image/{form.lower()}", DOCUMENT))
        place = data.index(b"safelight\0") + 50
        data[place] ^= 4
        with pytest.raises(ProblemError) as caught:
            extract(bytes(data))
        assert caught.value.problems[0].code == "image_damaged"


def test_a_missing_jpeg_part_is_a_problem() -> None:
    data = embed(encoded("JPEG"), "image/jpeg", random.Random(1).randbytes(100_000).hex())
    places = [place for place in range(len(data)) if data.startswith(b"safelight\0", place)]
    assert len(places) == 2
    cut = data[: places[1] - 4] + data[places[1] - 2 + struct.unpack_from(">H", data, places[1] - 2)[0] :]
    assert pixels(cut) == pixels(data)
    with pytest.raises(ProblemError):
        extract(cut)


@every
def test_cut_anywhere_nothing_worse_than_a_problem_happens(name: str) -> None:
    data = embed(IMAGES[name](), media_type(name), DOCUMENT)
    for length in range(len(data)):
        survive(data[:length], media_type(name))


@every
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_changed_anywhere_nothing_worse_than_a_problem_happens(name: str, data: st.DataObject) -> None:
    raw = bytearray(embed(IMAGES[name](), media_type(name), DOCUMENT))
    head = data.draw(st.booleans())
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, min(len(raw), 120 if head else 1 << 30) - 1))
        raw[place] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
    survive(bytes(raw), media_type(name))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"]))
def test_any_exif_is_survived(body: bytes, head: bytes) -> None:
    payload = b"payload"
    changed = exif.set_ours(head + body, payload)
    assert exif.get_ours(changed) == payload
    assert exif.set_ours(changed, payload) == changed


def test_a_foreign_tag_of_our_number_does_not_hide_ours() -> None:
    tags = Image.Exif()
    tags[65112] = b"of another program"
    assert exif.get_ours(tags.tobytes()) is None
    assert exif.get_ours(exif.set_ours(tags.tobytes(), b"payload")) == b"payload"


def survive(data: bytes, kind: str) -> None:
    for call in (extract, texts, sniff, lambda data: embed(data, kind, "again")):
        try:
            result = call(data)
        except ProblemError as error:
            assert error.problems[0].message
            continue
        if isinstance(result, bytes):
            assert extract(result) == "again"
