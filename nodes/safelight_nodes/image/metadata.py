"""What files say of themselves."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from safelight.sdk import Context, FilePick, node


class Metadata(NamedTuple):
    """What a file says of itself."""

    json: Annotated[str, "All of it as JSON: format, size, EXIF by the names of its tags, and texts by their keys."]
    parameters: Annotated[str, "The text that A1111 writes: the prompt and the settings; empty without one."]
    origin: Annotated[str, "The IPTC's digital source type, such as trainedAlgorithmicMedia; empty without one."]
    width: Annotated[int, "In pixels, upright."]
    height: Annotated[int, "In pixels, upright."]


@node(version=1, tags=("Read Metadata", "EXIF", "Image Metadata", "PNG Info", "Load Image Metadata", "XMP", "IPTC"))
def read_metadata(
    *, file: Annotated[str, FilePick("image"), "An image in the input folder."], ctx: Context
) -> Metadata:
    """Read what an image says of itself: EXIF of the camera, texts of other programs, the mark of its origin.

    Places and names of people are among it, where the file has them.
    """
    import json

    from .._metadata import metadata_of

    found = metadata_of(ctx.files.path(file), file)
    return Metadata(
        json.dumps(found, ensure_ascii=False, indent=2),
        str(found["texts"].get("parameters", "")),
        str(found["origin"]),
        found["width"],
        found["height"],
    )
