"""Images: reading, writing, showing and simple changes."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from safelight.sdk import (
    Choice,
    Color,
    Context,
    File,
    FilePick,
    Image,
    Mask,
    Number,
    Problem,
    ProblemError,
    Slider,
    Text,
    Toggle,
    node,
)

_Quality = Annotated[
    int,
    Slider(1, 100, shown_if={"format": ["jpeg", "webp"]}),
    "For JPEG and WebP: higher is better and larger. WebP with 100 keeps every pixel exactly.",
]


class Loaded(NamedTuple):
    """What a file holds."""

    image: Image
    mask: Annotated[Mask, "Opaque parts white; all white for an image without transparency."]


@node(version=1, tags=("Load Image",))
def load(*, file: Annotated[str, FilePick("image"), "An image in the input folder."], ctx: Context) -> Loaded:
    """Read an image from the input folder: PNG, JPEG, WebP, AVIF, TIFF, BMP, GIF (its first frame) and more.

    It is turned upright as its camera says, and its colours are brought to sRGB. Transparency is kept, and so
    are depths of 16 bits, unless a colour profile has to be converted: that is done with 8 bits.
    """
    import torch

    from ._files import read_image_file

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
    from ._files import read_image_file
    from ._pixels import brightness

    pixels = read_image_file(ctx.files.path(file), file)
    coverage = brightness(pixels)
    return Mask((coverage * pixels[..., 3] if pixels.shape[-1] == 4 else coverage)[None])


@node(version=1, output=True, tags=("Save Image",))
def save(
    image: Image,
    *,
    name: Annotated[
        str,
        Text(placeholder="flowers/apple_{counter}", max_length=200, file_name=True),
        "Where below the output folder. {counter} becomes the next free number; {date}, {time}, {seed} and the value "
        "of a port, {sample.steps}, are filled in; a / makes a folder.",
    ] = "safelight_{counter}",
    format: Annotated[Literal["png", "webp", "jpeg"], Choice()] = "png",
    quality: _Quality = 90,
    embed_workflow: Annotated[
        bool, Toggle(advanced=True), "Put the workflow into the file, so that it can be opened from the image."
    ] = True,
    ctx: Context,
) -> list[File]:
    """Save images in the output folder."""
    from ._files import save_all

    return save_all(image, name, format, embed_workflow, ctx, quality=quality)


@node(version=1, output=True, tags=("Preview Image",))
def preview(image: Image, *, ctx: Context) -> list[File]:
    """Show images without saving them."""
    from ._files import save_all

    return save_all(image, "preview", "png", False, ctx, keep=False)


@node(version=1, tags=("Upscale Image", "ImageScale", "Image Resize"))
def resize(
    image: Image,
    *,
    width: Annotated[int, Number(0, 16384, zero="auto"), "In pixels. 0: in proportion to the height."] = 0,
    height: Annotated[int, Number(0, 16384, zero="auto"), "In pixels. 0: in proportion to the width."] = 0,
    fit: Annotated[
        Literal["stretch", "crop", "pad"],
        "When the proportions differ: stretch the image, cut off what is too much, or put black around it.",
    ] = "stretch",
    method: Annotated[Literal["lanczos", "bicubic", "bilinear", "nearest"], "How pixels are made from others."] = (
        "lanczos"
    ),
) -> Image:
    """Change the size of images. With both sides at 0 they stay as they are."""
    from ._pixels import resized

    old_height, old_width = image.pixels.shape[1:3]
    if not width and not height:
        return image
    width = width or max(1, round(old_width * height / old_height))
    height = height or max(1, round(old_height * width / old_width))
    return Image(resized(image.pixels, height, width, fit, method))


@node(version=1, cheap=True, tags=("ImageCrop",))
def crop(
    image: Image,
    *,
    left: Annotated[int, Number(0, 16384), "Pixels cut off on the left."] = 0,
    top: Annotated[int, Number(0, 16384), "Pixels cut off at the top."] = 0,
    width: Annotated[int, Number(0, 16384, zero="rest"), "Width that is kept. 0: all that is left."] = 0,
    height: Annotated[int, Number(0, 16384, zero="rest"), "Height that is kept. 0: all that is left."] = 0,
) -> Image:
    """Cut a rectangle out of images."""
    old_height, old_width = image.pixels.shape[1:3]
    width, height = width or old_width - left, height or old_height - top
    if left + width > old_width or top + height > old_height or width <= 0 or height <= 0:
        raise ProblemError(
            Problem(
                code="area_outside",
                message=f"{width} x {height} pixels from ({left}, {top}) reach outside {old_width} x {old_height}.",
                hint="Make the rectangle smaller, or move it.",
                port="left" if left + width > old_width else "top",
            )
        )
    return Image(image.pixels[:, top : top + height, left : left + width].contiguous())


@node(version=1, cheap=True, tags=("remove alpha", "transparency"))
def flatten(image: Image, *, background: Annotated[str, Color()] = "#ffffff") -> Image:
    """Put a colour behind transparent images."""
    from ._pixels import color_of, flattened

    return image if image.pixels.shape[-1] == 3 else Image(flattened(image.pixels, color_of(background)))


@node(version=1, cheap=True, tags=("Convert Image to Mask", "ImageToMask"))
def to_mask(
    image: Image,
    *,
    channel: Annotated[
        Literal["brightness", "red", "green", "blue", "alpha"], "What becomes white in the mask."
    ] = "brightness",
    invert: Annotated[bool, Toggle(), "Swap white and black."] = False,
) -> Mask:
    """Make a mask of an image."""
    import torch

    from ._pixels import brightness

    pixels = image.pixels
    if channel == "brightness":
        coverage = brightness(pixels)
    elif channel == "alpha":
        coverage = pixels[..., 3].clone() if pixels.shape[-1] == 4 else torch.ones(pixels.shape[:3])
    else:
        coverage = pixels[..., ("red", "green", "blue").index(channel)].clone()
    return Mask(1 - coverage if invert else coverage)


@node(version=1, cheap=True, tags=("Convert Mask to Image", "MaskToImage"))
def from_mask(mask: Mask) -> Image:
    """Show a mask as an image in black and white."""
    return Image(mask.coverage[..., None].repeat(1, 1, 1, 3))


@node(version=1, tags=("GrowMask", "FeatherMask", "dilate", "erode"))
def grow_mask(
    mask: Mask,
    *,
    pixels: Annotated[int, Slider(-128, 128), "Outwards; below 0 inwards."] = 8,
    blur: Annotated[int, Slider(0, 128), "Softens the edge over about so many pixels."] = 0,
) -> Mask:
    """Make masks larger or smaller, and soften their edges."""
    from ._pixels import blurred, grown

    coverage = grown(mask.coverage, pixels)
    return Mask(blurred(coverage, blur) if blur else coverage)


@node(version=1, tags=("ImageCompositeMasked", "paste", "blend"))
def composite(
    base: Annotated[Image, "Stays where the mask is black, pixel for pixel."],
    over: Annotated[Image, "Covers it where the mask is white; brought to its size."],
    mask: Annotated[Mask, "Grey mixes the two; brought to the same size."],
) -> Image:
    """Put one image over another inside a mask, as after painting a part of it again.

    One image or mask serves a whole batch of the others.
    """
    from ._pixels import blended, common_batch, mask_like, opaque, resized

    below = base.pixels
    common_batch(base=len(below), over=len(over.pixels), mask=len(mask.coverage))
    height, width = below.shape[1:3]
    above = resized(over.pixels, height, width, "stretch", "bicubic")
    if below.shape[-1] != above.shape[-1]:
        below, above = opaque(below), opaque(above)
    coverage = mask_like(mask.coverage, below)[..., None]
    return Image(blended(below, above, coverage))


@node(version=1, tags=("Canny", "edge detection", "preprocessor"))
def canny(
    image: Image,
    *,
    low: Annotated[int, Slider(0, 255), "Weaker edges than this are left out."] = 100,
    high: Annotated[int, Slider(0, 255), "Stronger edges than this begin a line."] = 200,
) -> Image:
    """Find edges, white on black: the hint of a canny ControlNet.

    Source: Canny 1986, in OpenCV's implementation.
    """
    import cv2
    import torch

    from ._pixels import flattened, to_bytes

    if low > high:
        raise ProblemError(
            Problem(
                code="empty_range",
                message=f"The lower threshold {low} is above the upper one {high}.",
                hint="Let low be at most high.",
                port="low",
                value=low,
            )
        )
    found = [cv2.Canny(to_bytes(pixels), low, high) for pixels in flattened(image.pixels, 1.0)]
    edges = torch.stack([torch.from_numpy(edge) for edge in found]).float() / 255
    return Image(edges[..., None].repeat(1, 1, 1, 3))


@node(version=1, cheap=True, tags=("Batch Images", "ImageBatch"))
def batch(images: Annotated[list[Image], "Images of one size, in the order in which they were connected."]) -> Image:
    """Put images of one size together as a batch."""
    from ._pixels import joined

    return Image(joined(images))


@node(version=1, cheap=True, tags=("unbatch", "ImageFromBatch"))
def split(image: Image) -> list[Image]:
    """The images of a batch one by one. What is connected runs once for each."""
    return [Image(pixels[None].clone()) for pixels in image.pixels]


@node(version=1, tags=("contact sheet", "XY plot", "X/Y/Z plot"))
def grid(
    images: Annotated[list[Image], "Images, or batches of them, in the order in which they were connected."],
    *,
    columns: Annotated[
        int, Number(0, 100, zero="auto"), "Images in a row. 0: about as many as there will be rows."
    ] = 0,
    gap: Annotated[int, Slider(0, 128), "Pixels between and around them."] = 8,
    background: Annotated[str, Color(), "What is seen between them, and behind transparent ones."] = "#ffffff",
) -> Image:
    """Lay images out in rows, to compare them or to show them together. Smaller ones stand in the middle."""
    import math

    import torch

    from ._pixels import color_of, flattened

    color = color_of(background)
    pil_images = [one for image in images for one in flattened(image.pixels, color)]
    if not pil_images:
        raise ProblemError(
            Problem(code="wrong_batch", message="There are no images.", hint="Connect at least one.", port="images")
        )
    columns = min(columns or math.ceil(len(pil_images) ** 0.5), len(pil_images))
    rows = math.ceil(len(pil_images) / columns)
    height, width = (max(pil_image.shape[side] for pil_image in pil_images) for side in (0, 1))
    sheet = color.repeat(rows * (height + gap) + gap, columns * (width + gap) + gap, 1)
    for place, pil_image in enumerate(pil_images):
        row, column = divmod(place, columns)
        top = gap + row * (height + gap) + (height - pil_image.shape[0]) // 2
        left = gap + column * (width + gap) + (width - pil_image.shape[1]) // 2
        sheet[top : top + pil_image.shape[0], left : left + pil_image.shape[1]] = pil_image
    return Image(torch.stack([sheet]))
