"""Images from files and into files."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from safelight.sdk import Choice, Context, File, FilePick, Image, Mask, Slider, Text, Toggle, node

from .._files import WHERE


class Loaded(NamedTuple):
    """What a file holds."""

    image: Image
    mask: Annotated[Mask, "Opaque parts white; all white for an image without transparency."]


_Quality = Annotated[
    int,
    Slider(1, 100, shown_if={"format": ["jpeg", "webp"]}),
    "For JPEG and WebP: higher is better and larger. WebP with 100 keeps every pixel exactly.",
]


@node(version=1, title="Load image", tags=("Load Image",))
def load(*, file: Annotated[str, FilePick("image"), "An image in the input folder."], ctx: Context) -> Loaded:
    """Read an image from the input folder: PNG, JPEG, WebP, AVIF, TIFF, BMP, GIF (its first frame) and more.

    It is turned upright as its camera says, and its colours are brought to sRGB. Transparency is kept, and so
    are depths of 16 bits, unless a colour profile has to be converted: that is done with 8 bits.
    """
    import torch

    from .._files import read_image_file

    pixels = read_image_file(ctx.files.path(file), file)
    opaque = pixels[..., 3] if pixels.shape[-1] == 4 else torch.ones(pixels.shape[:2])
    return Loaded(Image(pixels[None]), Mask(opaque[None].clone()))


@node(version=1, tags=("Load Image (as Mask)", "Load Image Mask"))
def load_mask(
    *,
    file: Annotated[str, FilePick("mask"), "An image in the input folder: white is chosen, black is not."],
    ctx: Context,
) -> Mask:
    """Read a mask from the input folder, or paint one in the editor.

    Colours count by their brightness, and transparent parts as black.
    """
    from .._files import read_image_file
    from .._pixels import brightness

    pixels = read_image_file(ctx.files.path(file), file)
    coverage = brightness(pixels)
    return Mask((coverage * pixels[..., 3] if pixels.shape[-1] == 4 else coverage)[None])


@node(version=1, title="Save image", output=True, tags=("Save Image",))
def save(
    image: Image,
    *,
    name: Annotated[
        str,
        Text(placeholder="flowers/apple_{counter}", max_length=200, file_name=True),
        WHERE,
    ] = "safelight_{counter}",
    format: Annotated[
        Literal["png", "webp", "jpeg", "tiff"], Choice(), "PNG and TIFF keep every pixel. TIFF carries no workflow."
    ] = "png",
    quality: _Quality = 90,
    depth: Annotated[
        Literal["8", "16"],
        Choice(advanced=True, shown_if={"format": ["png", "tiff"]}),
        "Bits of each channel. 16 keep fine gradients for work in other programs; files are larger.",
    ] = "8",
    embed_workflow: Annotated[
        bool, Toggle(advanced=True), "Put the workflow into the file, so that it can be opened from the image."
    ] = True,
    ctx: Context,
) -> list[File]:
    """Save images in the output folder."""
    from .._files import save_all

    return save_all(image, name, format, embed_workflow, ctx, quality=quality, depth=int(depth))


@node(version=1, title="Preview image", output=True, tags=("Preview Image",))
def preview(image: Image, *, ctx: Context) -> list[File]:
    """Show images without saving them."""
    from .._files import save_all

    return save_all(image, "preview", "png", False, ctx, keep=False)
