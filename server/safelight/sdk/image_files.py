"""Image files: which are read, and how they become pixels.

One place for all that read images, so that a node, an upload and a thumbnail agree: the first frame, upright as the
camera says, in sRGB, with its transparency.
"""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .media import Format, file_format

if TYPE_CHECKING:
    from numpy import ndarray
    from PIL.Image import Image as PILImage

MAX_PIXELS = 80_000_000
"""Larger images are not unpacked: a small file may claim to be a huge image."""


FORMATS = (
    file_format("PNG", "image/png", ".png", rb"\x89PNG\r\n\x1a\n", inline=True),
    file_format("JPEG", "image/jpeg", ".jpg .jpeg .jfif", rb"\xff\xd8\xff", inline=True),
    file_format("WEBP", "image/webp", ".webp", rb"RIFF....WEBP", inline=True),
    file_format("AVIF", "image/avif", ".avif", rb"....ftypavi[fs]"),
    file_format("GIF", "image/gif", ".gif", rb"GIF8[79]a", inline=True),
    file_format("BMP", "image/bmp", ".bmp", rb"BM....\x00\x00"),
    file_format("TIFF", "image/tiff", ".tif .tiff", rb"II[*+]\x00|MM\x00[*+]"),
    file_format("JPEG2000", "image/jp2", ".jp2 .j2k .jpf .jpx", rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
    file_format("PPM", "image/x-portable-anymap", ".ppm .pgm .pbm .pnm .pfm", rb"P[1-6f]\s"),
    file_format("QOI", "image/x-qoi", ".qoi", rb"qoif"),
    file_format("ICO", "image/x-icon", ".ico", rb"\x00\x00\x01\x00"),
    file_format("PSD", "image/vnd.adobe.photoshop", ".psd", rb"8BPS"),
    file_format("TGA", "image/x-tga", ".tga"),
)
"""All that is read. Pillow knows more; some of those start other programs, or were hardly tried on hostile files."""

_ORIENTATION = 0x0112
_STREAMED_SIZE = 0xFFFFFFFF


def what_is_wrong(error: Exception, data: bytes) -> str:
    """Of a file that Pillow could not decode: its own words speak of buffers and decoder objects."""
    cut = isinstance(error, EOFError | IndexError | struct.error) or "truncated" in str(error).lower()
    return "it breaks off" if cut or (data[:4] == b"RIFF" and riff_breaks_off(data)) else "it is damaged"


def riff_breaks_off(data: bytes) -> bool:
    """Whether a RIFF file ends before it says. Its last byte may be padding, which some programs leave out; what is
    streamed does not know how long it will be."""
    if len(data) < 8:
        return True
    (size,) = struct.unpack_from("<I", data, 4)
    return size != _STREAMED_SIZE and 8 + size > len(data) + 1


class ImageFault(ValueError):
    """Why a file cannot be read. `kind`: it is no image of a known format, is damaged, or has too many pixels."""

    def __init__(self, kind: Literal["unknown", "damaged", "too_large"], why: str) -> None:
        super().__init__(why)
        self.kind = kind


@dataclass(frozen=True)
class ImageFile:
    """What a file holds.

    `pixels` is (H, W, 3 or 4), sRGB, with straight alpha: uint8 as most files have it, float32 in 0..1 where the file
    holds more than 8 bits a channel. `orientation` is the EXIF number that it was turned upright by, 1 to 8, and
    `profile` the ICC profile that its colours were converted from; None where they were in sRGB.
    """

    format: Format
    pixels: ndarray
    orientation: int = 1
    profile: bytes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), upright."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def pil_image(self) -> PILImage:
        """As a Pillow image with 8 bits a channel, RGB or RGBA."""
        import numpy
        from PIL import Image

        exact = self.pixels.dtype == numpy.uint8
        return Image.fromarray(self.pixels if exact else (self.pixels * 255).round().astype(numpy.uint8))

    def png(self) -> bytes:
        """As a PNG file of 8 bits a channel, or 16 where the pixels are float32."""
        import numpy

        if self.pixels.dtype == numpy.uint8:
            stream = io.BytesIO()
            self.pil_image().save(stream, "PNG", compress_level=4)
            return stream.getvalue()
        import cv2  # Pillow writes 16 bits of grey images only; here, blue comes first

        order = [2, 1, 0, 3][: self.pixels.shape[-1]]
        samples = (self.pixels[..., order] * 65535).round().astype(numpy.uint16)
        return cv2.imencode(".png", samples)[1].tobytes()


def image_format(data: bytes) -> Format | None:
    """The format by the first bytes; None for what is no image, and for TGA, which has no mark of its own."""
    return next((one for one in FORMATS if one.head and one.head.match(data)), None)


def image_size(source: Path | bytes) -> tuple[int, int]:
    """(width, height) of an image file, upright, by its header; (0, 0) where it cannot be read."""
    from PIL import Image

    try:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            known = image_format(file.read(32))
            if known is None:
                return 0, 0
            file.seek(0)
            with Image.open(file, formats=[known.name]) as opened:
                image: Any = opened
                # Pillow turns the size of a TIFF already, and unpacks a PNG to look for EXIF behind the pixels.
                stored = (image.tag_v2[256], image.tag_v2[257]) if known.name == "TIFF" else image.size
                turned = (known.name != "PNG" or "exif" in image.info) and _orientation(image) >= 5
                return (stored[1], stored[0]) if turned else stored
    except Exception:  # Pillow raises all sorts of things
        return 0, 0


def read_image(source: Path | bytes, *, near: int = 0) -> ImageFile:
    """Unpacks an image file.

    Args:
        source: a file, or its bytes.
        near: a side in pixels. A JPEG may then be unpacked at a fraction of its size, but not below twice this side.

    Raises:
        ImageFault: it is no image, damaged, or larger than `MAX_PIXELS`.
        OSError: the file cannot be opened.
    """
    data = source if isinstance(source, bytes) else source.read_bytes()
    from PIL import Image, UnidentifiedImageError

    Image.init()  # fills Image.OPEN
    known = image_format(data)
    likely = [known] if known else [one for one in FORMATS if one.head is None]
    wanted = [one.name for one in likely if one.name in Image.OPEN]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=wanted) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise ImageFault("too_large", f"{image.width} x {image.height}")
                name = "JPEG" if image.format == "MPO" else image.format
                found = known or next(one for one in FORMATS if one.name == name)
                return _unpacked(image, data, found, near)
    except ImageFault:
        raise
    except UnidentifiedImageError as error:
        if known:
            raise ImageFault("damaged", f"its {known.name} header is damaged") from error
        raise ImageFault("unknown", "it is no image of a known format") from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise ImageFault("too_large", "far too many") from error
    except Exception as error:  # Pillow raises all sorts of things for files that are broken on purpose
        raise ImageFault("damaged", what_is_wrong(error, data)) from error


def _unpacked(image: Any, data: bytes, form: Format, near: int) -> ImageFile:
    import numpy

    if near:
        image.draft(None, (near * 2, near * 2))
    layout = _layout(image)
    said = _orientation(image)
    image.load()
    orientation = _orientation(image)  # of TIFF, Pillow has turned it by now
    deep = None if near else _deep(image, data, layout)
    alpha = _alpha(image, layout, deep)
    profile, convert = _conversion(image, layout)
    if deep is not None and convert is None:
        pixels = _upright(deep, said if image.mode in ("RGB", "RGBA", "LA") else orientation)
        if alpha is not None and pixels.shape[-1] == 3:
            cover = _upright(numpy.asarray(alpha), orientation)
            pixels = numpy.concatenate([pixels, cover[..., None].astype(numpy.float32) / 255], axis=-1)
        return ImageFile(form, numpy.ascontiguousarray(pixels), said)
    colours = convert(_colours(image)) if convert else _colours(image).convert("RGB")
    if alpha is not None:
        colours.putalpha(alpha)
    return ImageFile(form, numpy.ascontiguousarray(_upright(numpy.asarray(colours), orientation)), said, profile)


def _orientation(image: Any) -> int:
    found = image.getexif().get(_ORIENTATION)
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _layout(image: Any) -> str:
    """How Pillow says that samples lie in the file, such as `L;4` and `RGB;16B`; empty where it does not."""
    for tile in image.tile:
        name = tile[3][0] if isinstance(tile[3], tuple) and tile[3] else tile[3]
        return name if isinstance(name, str) else ""
    return ""


def _upright(pixels: ndarray, orientation: int) -> ndarray:
    """(H, W, ...) turned as EXIF's orientation says."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    vertical = orientation in (3, 4, 7, 8)
    horizontal = orientation in (2, 3, 6, 7)
    return pixels[:: -1 if vertical else 1, :: -1 if horizontal else 1]


def _alpha(image: Any, layout: str, deep: ndarray | None) -> Any:
    """The opacity as a Pillow image of mode L; None for an opaque file.

    PNG may name one colour that is transparent. It is written in the depth of the file, while Pillow has spread the
    samples to 8 bits.
    """
    import numpy
    from PIL import Image

    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        return image.convert("RGBA").getchannel("A")
    key = image.info.get("transparency")
    if key is None:
        return None
    if image.mode == "P":
        return image.convert("RGBA").getchannel("A")
    if image.mode not in ("1", "L", "I", "I;16", "RGB"):
        return None
    values = numpy.asarray(image.convert("L") if image.mode == "1" else image)
    if image.mode == "1":
        key = 255 if key else 0
    elif image.mode == "L":
        key *= {"L;2": 85, "L;4": 17}.get(layout, 1)
    elif ";16" in layout and deep is not None:
        values = (deep * 65535).round().astype(int)
    elif ";16" in layout and image.mode == "RGB":
        key = tuple(part >> 8 for part in key)
    same = values == numpy.array(key)
    return Image.fromarray(numpy.where(same.all(-1) if same.ndim == 3 else same, 0, 255).astype(numpy.uint8))


def _deep(image: Any, data: bytes, layout: str) -> ndarray | None:
    """(H, W, 3 or 4) float32 in 0..1 of a file with more than 8 bits a channel; None for another.

    Pillow keeps 16 bits of grey images only; of colours, OpenCV does.
    """
    import numpy

    mode = image.mode
    if mode.startswith("I") or mode == "F":
        grey = numpy.nan_to_num(numpy.asarray(image).astype(numpy.float32))
        return numpy.repeat((grey if mode == "F" else grey / 65535).clip(0, 1)[..., None], 3, axis=-1)
    if ";16" not in layout or mode not in ("RGB", "RGBA", "LA"):
        return None
    import cv2

    found = cv2.imdecode(numpy.frombuffer(data, numpy.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != numpy.uint16 or found.ndim != 3 or found.shape[-1] not in (3, 4):
        return None
    # OpenCV puts blue first.
    order = [2, 1, 0, 3] if found.shape[-1] == 4 and mode != "RGB" else [2, 1, 0]
    return found[..., order].astype(numpy.float32) / 65535


def _colours(image: Any) -> Any:
    """The colours without the opacity, in 8 bits: mode L, RGB, CMYK or LAB."""
    import numpy
    from PIL import Image

    mode = image.mode
    if mode.startswith("I") or mode == "F":
        grey = numpy.nan_to_num(numpy.asarray(image).astype(numpy.float32)) * (255 if mode == "F" else 255 / 65535)
        return Image.fromarray(grey.clip(0, 255).round().astype(numpy.uint8))
    if mode in ("L", "RGB", "CMYK", "LAB"):
        return image.copy()
    if mode in ("1", "LA", "La"):
        return image.convert("RGBA").convert("RGB").getchannel("R")
    # By way of RGBA: colours that were weighed by the opacity have to be set free of it.
    return image.convert("RGBA").convert("RGB")


def _conversion(image: Any, layout: str) -> tuple[bytes | None, Any]:
    """The file's profile, and what brings its colours to sRGB in mode RGB; nothing for colours that are in sRGB.

    A profile that is broken, or for colours of another kind than the file's, counts for nothing.
    """
    from PIL import Image, ImageCms

    written = image.info.get("icc_profile")
    if not written and image.mode != "LAB":
        return None, None
    grey = (image.mode[:1] in ("1", "L", "I", "F") and image.mode != "LAB") or layout.startswith("LA;")
    kind = "L" if grey else image.mode if image.mode in ("CMYK", "LAB") else "RGB"
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(written) if written else ImageCms.createProfile("LAB"))
        space = written[16:20] if written else b"Lab "
        given = {b"GRAY": "L", b"RGB ": "RGB", b"CMYK": "CMYK", b"Lab ": "LAB"}.get(space, "")
        if given != kind and (given, kind) != ("RGB", "L"):
            return None, None
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), given, "RGB")
        if given in ("L", "RGB") and _changes_nothing(transform, given):
            return None, None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None, None

    def convert(colours: Image.Image) -> Any:
        return ImageCms.applyTransform(colours.convert(given) if colours.mode != given else colours, transform)

    return written, convert


def _changes_nothing(transform: Any, mode: str) -> bool:
    """Whether a transform leaves colours all over the space where they are, but for rounding: one of sRGB to sRGB."""
    import numpy
    from PIL import Image, ImageCms

    levels = numpy.linspace(0, 255, 9).round().astype(numpy.uint8)
    colours = numpy.stack(numpy.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    probe = Image.fromarray(colours if mode == "RGB" else levels[None])
    before = numpy.asarray(probe.convert("RGB")).astype(int)
    after = numpy.asarray(ImageCms.applyTransform(probe, transform)).astype(int)
    return int(abs(after - before).max()) <= 1
