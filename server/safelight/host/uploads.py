"""Pictures and texts from outside: looked at before they are believed, and pictures are written anew.

Writing a picture anew leaves behind whatever else was in the file (places in EXIF, appended archives) and proves that
it can be decoded. The size in pixels is read from the header first: a small file may claim to be a huge picture.
"""

from __future__ import annotations

import io
import re
import unicodedata
import warnings
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from safelight.interop.pictures import extract, sniff
from safelight.sdk.problem import Problem, ProblemError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_BYTES = 64 << 20
MAX_PIXELS = 64_000_000
_SUFFIX = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/gif": ".png"}
_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP", "image/gif": "GIF"}
_TEXTS = (".txt", ".md", ".csv", ".json")
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
    kind = sniff(data)
    if kind is None:
        return Upload(name, _text(name, data), None, 0, 0)
    try:
        workflow = extract(data)
    except ProblemError:
        workflow = None  # the picture may be good even if the workflow in it is not
    anew, width, height = _anew(data, kind, name)
    stem = PurePosixPath(name)
    suffixes = (".jpg", ".jpeg") if kind == "image/jpeg" else (_SUFFIX[kind],)
    if stem.suffix.lower() not in suffixes:
        name = str(stem.with_suffix(_SUFFIX[kind]))
    return Upload(name, anew, workflow, width, height)


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
    suffix = PurePosixPath(name).suffix.lower()
    hint = "Pictures (PNG, JPEG, WebP, GIF) and texts (.txt, .md, .csv, .json) are taken."
    if suffix not in _TEXTS:
        raise _problem("upload_type", f"{name!r} is not a picture or text that is known here.", hint, name)
    try:
        if "\0" in data.decode("utf-8-sig"):
            raise ValueError("it holds NUL characters")
    except ValueError:
        raise _problem("upload_type", f"{name!r} is not UTF-8 text.", hint, name) from None
    return data


def _anew(data: bytes, kind: str, name: str) -> tuple[bytes, int, int]:
    from PIL import Image as pillow
    from PIL import ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pillow.open(io.BytesIO(data), formats=[_FORMATS[kind]]) as picture:
                width, height = picture.size
                if width * height > MAX_PIXELS:
                    message = (
                        f"{name!r} says it is {width} x {height} pixels, more than {MAX_PIXELS // 1_000_000} million."
                    )
                    raise _problem("picture_too_large", message, "Make it smaller first.", [width, height])
                picture.load()
                return _written(picture, kind, ImageOps.exif_transpose(picture))
    except ProblemError:
        raise
    except Exception as error:  # Pillow raises all sorts of things for files that are broken on purpose
        if isinstance(error, MemoryError) or "bomb" in type(error).__name__.lower():
            raise _problem("picture_too_large", f"{name!r} is too large.", "Make it smaller first.", name) from None
        message = f"The picture {name!r} cannot be decoded."
        raise _problem("picture_damaged", message, "Take another copy of the file.", name) from error


def _written(picture: Image, kind: str, turned: Image) -> tuple[bytes, int, int]:
    buffer = io.BytesIO()
    if kind == "image/jpeg":
        # With its own tables a JPEG is written anew almost without loss; a turned one has none any more.
        if turned.size == picture.size and picture.getexif().get(0x0112, 1) == 1:
            picture.save(buffer, "JPEG", quality="keep", exif=b"", icc_profile=None, comment=b"")
        else:
            turned.save(buffer, "JPEG", quality=95, subsampling=0, exif=b"")
    elif kind == "image/webp":
        turned.convert("RGBA" if "A" in turned.getbands() else "RGB").save(buffer, "WEBP", lossless=True, quality=50)
    else:
        still = turned if turned.mode in ("L", "LA", "RGB", "RGBA", "I;16", "1") else turned.convert("RGBA")
        still.info.clear()
        still.save(buffer, "PNG")
    return buffer.getvalue(), turned.width, turned.height


def thumbnail(data: bytes, side: int) -> bytes:
    """A WebP of at most `side` pixels on a side. Raises ProblemError as `accept` does."""
    kind = sniff(data)
    if kind is None:
        raise _problem("no_thumbnail", "This file is no picture.", "", None)
    from PIL import Image as pillow

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pillow.open(io.BytesIO(data), formats=[_FORMATS[kind]]) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise _problem("picture_too_large", "The picture is too large for a thumbnail.", "", None)
                picture.draft("RGB", (side * 2, side * 2))
                small = picture.convert(
                    "RGBA" if "A" in picture.getbands() or "transparency" in picture.info else "RGB"
                )
                small.thumbnail((side, side))
                buffer = io.BytesIO()
                small.save(buffer, "WEBP", quality=82)
                return buffer.getvalue()
    except ProblemError:
        raise
    except Exception as error:
        raise _problem("picture_damaged", "The picture cannot be decoded.", "", None) from error


def workflow_in(data: bytes) -> str:
    """The text of the workflow that a file is or carries.

    Raises:
        ProblemError: `no_workflow_inside`, or what reading the picture raises.
    """
    if sniff(data) is None:
        return data.decode("utf-8-sig", "replace")
    text = extract(data)
    if text is None:
        hint = "Programs that send pictures often strip it; use the file that Safelight saved."
        raise _problem("no_workflow_inside", "The picture carries no workflow.", hint, None)
    return text


def _problem(code: str, message: str, hint: str, value: object) -> ProblemError:
    return ProblemError(Problem(code=code, message=message, hint=hint, value=value))
