"""EXR: linear light with more range than a screen shows."""

from __future__ import annotations

from typing import Annotated, Literal

from safelight.sdk import Choice, Context, File, FilePick, Image, Mask, Problem, Slider, Text, node

from .files import Loaded


@node(version=1, title="Load EXR", tags=("Load EXR", "LoadEXR", "OpenEXR", "HDR", "linear"))
def load_exr(
    *,
    file: Annotated[str, FilePick("any"), "An EXR in the input folder, with RGB, RGBA or grey channels."],
    exposure: Annotated[
        float, Slider(-16, 16, step=0.1), "In stops: what is brighter than white afterwards is cut."
    ] = 0,
    ctx: Context,
) -> Loaded:
    """Read an EXR: its linear light becomes sRGB.

    A warning says how much was brighter than white. Needs the package OpenEXR: pip install 'safelight[exr]'.
    """
    import torch

    from .._colours import from_linear
    from .._exr import read_exr

    light, alpha = read_exr(ctx.files.path(file), file)
    light = light * 2.0**exposure
    over = float((light > 1).any(dim=-1).float().mean())
    if over:
        hint = "Lower the exposure to keep it."
        message = f"{over:.1%} of {file} is brighter than white, and is cut."
        ctx.warn(Problem(code="range_cut", message=message, hint=hint, port="exposure", value=exposure))
    colours = from_linear(light.clamp(0, 1))
    if alpha is None:
        return Loaded(Image(colours[None]), Mask(torch.ones(1, *colours.shape[:2])))
    return Loaded(Image(torch.cat([colours, alpha[..., None]], dim=-1)[None]), Mask(alpha[None].clone()))


@node(version=1, title="Save EXR", output=True, tags=("Save EXR", "SaveEXR", "OpenEXR", "linear"))
def save_exr(
    image: Image,
    *,
    name: Annotated[
        str, Text(placeholder="plates/apple_{counter}", max_length=200, file_name=True), "Below the output folder."
    ] = "safelight_{counter}",
    precision: Annotated[Literal["half", "float"], Choice(), "16 or 32 bits a channel."] = "half",
    ctx: Context,
) -> list[File]:
    """Save images as EXR, in linear light, for compositing programs.

    Needs the package OpenEXR: pip install 'safelight[exr]'.
    """
    from .._colours import to_linear
    from .._exr import EXR, exr_file
    from .._files import checked_name, numbered

    stem = checked_name(name, "exr", [EXR])
    files: list[File] = []
    for place, pixels in enumerate(image.pixels):
        alpha = pixels[..., 3] if pixels.shape[-1] == 4 else None
        data = exr_file(to_linear(pixels[..., :3]), alpha, precision == "half")
        height, width = pixels.shape[:2]
        saved = ctx.save(
            data,
            name=f"{numbered(stem, place, len(image.pixels))}.exr",
            media_type=EXR.media_type,
            width=width,
            height=height,
            embed="nothing",
        )
        files.append(saved)
    return files
