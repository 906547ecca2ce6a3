"""Images and texts from outside: looked at before they are believed, and nothing but the image itself is kept.

An image is decoded whole, which proves that it can be; its size in pixels is read from the header first: a small file
may claim to be a huge image. What is kept are its encoded pixels, or, where those would not show the right colours
everywhere, a PNG of what they mean.
"""

from __future__ import annotations

import io
import re
import unicodedata
from pathlib import PurePosixPath

from safelight.interop.cleaning import clean
from safelight.interop.containers import webp_chunks
from safelight.interop.pictures import extract
from safelight.sdk import image_files
from safelight.sdk.image_files import FORMATS, ImageFault, ImageFile, image_format, read_image
from safelight.sdk.problem import Problem, ProblemError

MAX_BYTES = 64 << 20
_TEXTS = (".txt", ".md", ".csv", ".json")
_UNMARKED = tuple(suffix for one in FORMATS if one.head is None for suffix in one.suffixes)
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)")


class Upload:
    """An upload that was accepted: its bytes as they are to be kept, its name, and the workflow that was in it."""

    def __init__(self, name: str, data: bytes, workflow: str | None, width: int, height: int) -> None:
        self.name = name
        self.data = data
        self.workflow = workflow
        self.width = width
        self.height = height


def accept(name: str, data: bytes) -> Upload:
    """Looks at an upload.

    Raises:
        ProblemError: `bad_path`, `upload_empty`, `upload_type`, `picture_too_large`, `picture_damaged`.
    """
    name = clean_name(name)
    if not data:
        raise _problem("upload_empty", f"The file {name!r} is empty.", "Choose another file.", name)
    suffix = PurePosixPath(name).suffix.lower()
    # A text that begins like an image, with P1 or BM, is still a text.
    if (suffix in _TEXTS and _is_text(data)) or (image_format(data) is None and suffix not in _UNMARKED):
        return Upload(name, _text(name, data), None, 0, 0)
    image = _read(data, name)
    try:
        workflow = extract(data)
    except ProblemError:
        workflow = None  # the image may be good even if the workflow in it is not
    kept, media_type = _kept(data, image)
    suffixes = next(one.suffixes for one in FORMATS if one.media_type == media_type)
    if suffix not in suffixes:
        name = str(PurePosixPath(name).with_suffix(suffixes[0]))
    return Upload(name, kept, workflow, *image.size)


def clean_name(name: str) -> str:
    """The name of a file in the input folder: one level of folders at most, nothing that any system trips over."""
    name = unicodedata.normalize("NFC", name)
    parts = name.split("/")
    bad = (
        not name
        or len(name.encode("utf-8", "replace")) > 200
        or len(parts) > 4
        or any(
            not part
            or part.startswith(".")
            or part.strip(" .") != part
            or _RESERVED.match(part)
            or re.search(r'[\\<>:"|?*\x00-\x1f\x7f]', part)
            or any(unicodedata.category(mark) in ("Cc", "Cf", "Cs") for mark in part)
            for part in parts
        )
    )
    if bad:
        hint = "Use a plain name such as apple.png, or folder/apple.png."
        raise _problem("bad_path", f"{name[:200]!r} cannot be the name of a file here.", hint, name[:200])
    return name


def _text(name: str, data: bytes) -> bytes:
    if PurePosixPath(name).suffix.lower() not in _TEXTS:
        raise _unknown(name)
    if not _is_text(data):
        raise _problem("upload_type", f"{name!r} is not UTF-8 text.", "Save it as UTF-8.", name)
    return data


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode("utf-8-sig")
    except ValueError:
        return False


def _unknown(name: str) -> ProblemError:
    formats = ", ".join(one.name for one in FORMATS)
    hint = f"Images ({formats}) and texts ({', '.join(_TEXTS)}) are taken."
    return _problem("upload_type", f"{name!r} is not an image or text that is known here.", hint, name)


def _read(data: bytes, name: str) -> ImageFile:
    try:
        return read_image(data)
    except ImageFault as fault:
        if fault.kind == "unknown":
            raise _unknown(name) from fault
        if fault.kind == "too_large":
            hint = f"At most {image_files.MAX_PIXELS // 1_000_000} million are taken. Make it smaller first."
            raise _problem("picture_too_large", f"{name!r} has {fault} pixels.", hint, name) from fault
        message = f"The image {name!r} cannot be decoded: {str(fault)[:200].rstrip('.')}."
        raise _problem("picture_damaged", message, "Take another copy of the file.", name) from fault


def _kept(data: bytes, image: ImageFile) -> tuple[bytes, str]:
    """What is kept of an upload, and its media type.

    Bytes that lost something when they were encoded are not encoded again: a JPEG keeps its pixels, and with them the
    orientation and the profile that go with them. Others are turned upright and brought to sRGB once and for all.
    """
    media_type = image.format.media_type
    plain = image.orientation == 1 and image.profile is None
    if plain or _would_lose(data, image):
        cleaned = clean(data, media_type, image.orientation, image.profile)
        if cleaned is not None:
            return cleaned, media_type
    return image.png(), "image/png"


def _would_lose(data: bytes, image: ImageFile) -> bool:
    if image.format.name == "PNG":
        return data[24] == 16  # bits a channel; a profile is applied in 8
    if image.format.name == "WEBP":
        return all(kind != b"VP8L" for kind, _ in webp_chunks(data))
    return image.format.name == "JPEG"


def thumbnail(data: bytes, side: int) -> bytes:
    """A WebP of at most `side` pixels on a side, upright and in sRGB. Raises ProblemError `no_thumbnail`."""
    try:
        small = read_image(data, near=side).picture()
    except ImageFault as fault:
        raise _problem("no_thumbnail", f"There is no thumbnail of this file: {fault}.", "", None) from fault
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=82)
    return buffer.getvalue()


def _problem(code: str, message: str, hint: str, value: object) -> ProblemError:
    return ProblemError(Problem(code=code, message=message, hint=hint, value=value))
