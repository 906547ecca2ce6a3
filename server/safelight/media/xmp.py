"""XMP in images: the machine-readable mark that a model made them. Pixels are neither decoded nor changed.

Sources: XMP part 3 (ISO 16684-2) for where it lies in PNG, JPEG, WebP and GIF; the IPTC's Digital Source Type
vocabulary for what it says.
"""

from __future__ import annotations

import struct

from .containers import gif_with, jpeg_segment, jpeg_with, png_chunk, png_with, webp_chunks, webp_file, webp_flagged
from .packed import broken

MADE_BY_MODEL = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_PNG_KEY = b"XML:com.adobe.xmp\0"
_JPEG_KEY = b"http://ns.adobe.com/xap/1.0/\0"
_GIF_KEY = b"XMP DataXMP"
_WEBP_FLAG = 0x04


def packet() -> bytes:
    """An XMP packet that says that a model made an image."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="Safelight">'
        f"<Iptc4xmpExt:DigitalSourceType>{MADE_BY_MODEL}</Iptc4xmpExt:DigitalSourceType>"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def put(data: bytes, media_type: str, xmp: bytes) -> bytes:
    """The same image with this packet, in the place of one that was there. Raises ProblemError `image_damaged`."""
    return _PUT[media_type](data, xmp)


def _put_png(data: bytes, xmp: bytes) -> bytes:
    return png_with(data, png_chunk(b"iTXt", _PNG_KEY + b"\0\0\0\0" + xmp), _is_png)


def _is_png(data: bytes, kind: bytes, start: int) -> bool:
    return kind == b"iTXt" and data[start + 8 : start + 8 + len(_PNG_KEY)] == _PNG_KEY


def _put_jpeg(data: bytes, xmp: bytes) -> bytes:
    return jpeg_with(data, [jpeg_segment(_JPEG_KEY + xmp)], _is_jpeg, _comes_first)


def _comes_first(data: bytes, marker: int, start: int) -> bool:
    """JFIF and EXIF want to be the first."""
    return marker == 0xE0 or (marker == 0xE1 and data[start + 4 : start + 10] == b"Exif\0\0")


def _is_jpeg(data: bytes, marker: int, start: int, end: int) -> bool:
    return marker == 0xE1 and data[start + 4 : min(end, start + 4 + len(_JPEG_KEY))] == _JPEG_KEY


def _put_webp(data: bytes, xmp: bytes) -> bytes:
    chunks = webp_chunks(data)
    (size,) = struct.unpack_from("<I", data, 4)
    if 8 + size > len(data) or not chunks:
        raise broken("it breaks off")
    header, others = webp_flagged(chunks, _WEBP_FLAG)
    kept = [item for item in others if item[0] != b"XMP "]
    return webp_file([header, *kept, (b"XMP ", xmp)]) + data[8 + size + size % 2 :]


def _put_gif(data: bytes, xmp: bytes) -> bytes:
    # The packet lies there as it is; whoever reads pieces by their lengths lands in the numbers behind it, and at 0.
    behind = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    return gif_with(data, b"\x21\xff\x0b" + _GIF_KEY + xmp + behind, _GIF_KEY)


_PUT = {"image/png": _put_png, "image/jpeg": _put_jpeg, "image/webp": _put_webp, "image/gif": _put_gif}
CARRIERS = frozenset(_PUT)
"""Media types of images that can be marked."""
