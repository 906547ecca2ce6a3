"""Images: PNG, JPEG, WebP and TIFF are written, and many more are read."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from safelight.sdk import image_files
from safelight.sdk.image_files import FORMATS, ImageFault, ImageFile, image_size, read_image
from safelight.sdk.media import Format, Measures, MediaFile
from safelight.sdk.problem import ProblemError
from safelight.sdk.values import Image

from . import embedding, xmp
from .base import Accepted, Limits, Medium, Source, no_thumbnail, problem, unreadable
from .cleaning import animation, clean
from .containers import webp_chunks

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage
    from torch import Tensor


class ImageMedium(Medium):
    """Images, as batches of pixels."""

    name = "image"
    values = (Image,)
    formats = FORMATS
    written = ("png", "webp", "jpeg", "tiff")
    carries = embedding.CARRIERS
    view = "image"
    thumbnails = True
    limits = Limits(pixels=image_files.MAX_PIXELS)

    def encode(self, value: Image, format: Format, **options: Any) -> list[MediaFile]:
        """A file for each image of the batch. `quality`: 1..100 for JPEG and WebP; 100 keeps every pixel of a WebP.

        `depth`: bits a channel for PNG and TIFF, 8 or 16. The same pixels and settings give the same bytes.
        """
        quality = int(options.get("quality", 90))
        deep = int(options.get("depth", 8)) == 16 and format.name in ("PNG", "TIFF")
        return [_deep(pixels, format) if deep else _encoded(pixels, format, quality) for pixels in value.pixels]

    def decode(self, source: Source, shown: str) -> Image:
        import torch

        try:
            pixels = torch.tensor(read_image(source).pixels)
        except ImageFault as fault:
            raise unreadable(shown, str(fault)) from fault
        return Image((pixels if pixels.is_floating_point() else pixels / 255)[None])

    def measure(self, source: Source) -> Measures:
        width, height = image_size(source)
        return Measures(width=width, height=height)

    def thumbnail(self, source: Source, side: int) -> PILImage:
        try:
            return read_image(source, near=side).pil_image()
        except ImageFault as fault:
            raise no_thumbnail(str(fault)) from fault

    def preview(self, value: Image) -> PILImage:
        """The first image of the batch."""
        return pil_image(value.pixels[0]).convert("RGB")

    def embed(self, data: bytes, media_type: str, packed: bytes) -> bytes:
        return embedding.embed(data, media_type, packed)

    def extract(self, data: bytes, media_type: str) -> bytes | None:
        return embedding.extract(data, media_type)

    def mark(self, data: bytes, media_type: str) -> bytes:
        """By the IPTC's Digital Source Type in XMP."""
        return xmp.put(data, media_type, xmp.packet()) if media_type in xmp.CARRIERS else data

    def accept(self, data: bytes, format: Format, shown: str) -> Accepted:
        """An image is decoded whole, which proves that it can be; its size is read from the header first: a small file
        may claim to be a huge image. What is kept are its encoded pixels, or, where those would not show the right
        colours everywhere, a PNG of what they mean. A WebP or GIF that moves keeps its frames as they are.
        """
        image = _read(data, shown)
        moving = animation(data, image.format.media_type)
        if moving is not None:
            width, height = image.size
            measures = Measures(width=width, height=height, frames=moving.frames, seconds=moving.seconds)
            return Accepted(moving.data, image.format, measures)
        kept, form = _kept(data, image)
        width, height = image.size
        return Accepted(kept, form, Measures(width=width, height=height))


def pil_image(pixels: Tensor) -> PILImage:
    """(H, W, 3 or 4) in 0..1, or uint8, as a Pillow image, rounded to 8 bits."""
    from PIL import Image as pillow

    exact = not pixels.is_floating_point()
    return pillow.fromarray((pixels if exact else (pixels.clamp(0, 1) * 255).round().byte()).cpu().numpy())


def on_white(pil_image: PILImage) -> PILImage:
    """Without transparency, for formats that have none."""
    from PIL import Image as pillow

    if pil_image.mode != "RGBA":
        return pil_image.convert("RGB")
    ground = pillow.new("RGBA", pil_image.size, "white")
    return pillow.alpha_composite(ground, pil_image).convert("RGB")


def _encoded(pixels: Tensor, form: Format, quality: int) -> MediaFile:
    if form.name == "JPEG" and pixels.shape[-1] == 4:
        alpha = pixels[..., 3:].clamp(0, 1)
        pixels = pixels[..., :3] * alpha + (1 - alpha)
    drawn = pil_image(pixels)
    buffer = io.BytesIO()
    if form.name == "PNG":
        drawn.save(buffer, "PNG", compress_level=4)
    elif form.name == "TIFF":
        drawn.save(buffer, "TIFF", compression="tiff_adobe_deflate")
    elif form.name == "WEBP":
        drawn.save(buffer, "WEBP", quality=quality, lossless=quality == 100, method=4, exact=True)
    else:
        drawn.save(buffer, "JPEG", quality=quality, subsampling=0 if quality >= 90 else 2)
    return MediaFile(buffer.getvalue(), form, Measures(width=drawn.width, height=drawn.height))


def _deep(pixels: Tensor, form: Format) -> MediaFile:
    """With 16 bits a channel, which Pillow writes of grey images only; OpenCV puts blue first."""
    import cv2
    import numpy

    order = [2, 1, 0, 3][: pixels.shape[-1]]
    samples = (pixels[..., order].clamp(0, 1).double() * 65535).round().numpy().astype(numpy.uint16)
    options = [cv2.IMWRITE_TIFF_COMPRESSION, 8] if form.name == "TIFF" else []  # 8: deflate
    data = cv2.imencode(form.suffixes[0], samples, options)[1].tobytes()
    return MediaFile(data, form, Measures(width=pixels.shape[1], height=pixels.shape[0]))


def _read(data: bytes, name: str) -> ImageFile:
    try:
        return read_image(data)
    except ImageFault as fault:
        if fault.kind == "unknown":
            raise unknown_image(name) from fault
        if fault.kind == "too_large":
            hint = f"At most {image_files.MAX_PIXELS // 1_000_000} million are taken. Make it smaller first."
            raise problem("image_too_large", f"{name!r} has {fault} pixels.", hint, name) from fault
        message = f"The image {name!r} cannot be decoded: {str(fault)[:200].rstrip('.')}."
        raise problem("image_damaged", message, "Take another copy of the file.", name) from fault


def unknown_image(name: str) -> ProblemError:
    hint = f"Images ({', '.join(one.name for one in FORMATS)}) are known."
    return problem("upload_type", f"{name!r} is not an image that is known here.", hint, name)


def _kept(data: bytes, image: ImageFile) -> tuple[bytes, Format]:
    """What is kept of an upload, and its format.

    Bytes that lost something when they were encoded are not encoded again: a JPEG keeps its pixels, and with them the
    orientation and the profile that go with them. Others are turned upright and brought to sRGB once and for all.
    """
    plain = image.orientation == 1 and image.profile is None
    if plain or _would_lose(data, image):
        cleaned = clean(data, image.format.media_type, image.orientation, image.profile)
        if cleaned is not None:
            return cleaned, image.format
    return image.png(), FORMATS[0]


def _would_lose(data: bytes, image: ImageFile) -> bool:
    if image.format.name == "PNG":
        return data[24] == 16  # bits a channel; a profile is applied in 8
    if image.format.name == "WEBP":
        return all(kind != b"VP8L" for kind, _ in webp_chunks(data))
    return image.format.name == "JPEG"
