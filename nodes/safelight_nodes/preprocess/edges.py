"""Edges and lines: what a drawing of the image would show. White on black."""

from __future__ import annotations

from typing import Annotated, Any

from safelight.sdk import Context, Image, ModelPick, Number, Slider, Toggle, node

from .._preprocessing import ANNOTATORS, MODEL_HELP, Resolution, annotated, each, scaled, side_of

_Scribble = Annotated[bool, Toggle(), "Thin the edges to the lines of a sketch: for a scribble ControlNet."]
_Safe = Annotated[
    bool, Toggle(advanced=True), "Leave only a few shades, so that nothing of the image itself is left in the edges."
]


@node(version=1, title="HED edges", tags=("HEDPreprocessor", "softedge", "Fake Scribble", "scribble_hed", "edges"))
def hed(
    image: Image,
    *,
    resolution: Resolution = 512,
    scribble: _Scribble = False,
    safe: _Safe = False,
    model: Annotated[str, ModelPick("preprocessor", advanced=True), MODEL_HELP] = f"{ANNOTATORS}/ControlNetHED.pth",
    ctx: Context,
) -> Image:
    """Find soft edges, as people would draw them: for a soft edge or scribble ControlNet.

    Source: S. Xie and Z. Tu, "Holistically-Nested Edge Detection", 2015, in ControlNet's own version (Apache-2.0).
    """
    return annotated(image, resolution, ctx, model, "hed", "an HED network", safe=safe, scribble=scribble)


@node(version=1, title="PiDiNet edges", tags=("PiDiNetPreprocessor", "softedge_pidinet", "scribble_pidinet", "edges"))
def pidinet(
    image: Image,
    *,
    resolution: Resolution = 512,
    scribble: _Scribble = False,
    safe: _Safe = False,
    model: Annotated[str, ModelPick("preprocessor", advanced=True), MODEL_HELP] = f"{ANNOTATORS}/table5_pidinet.pth",
    ctx: Context,
) -> Image:
    """Find soft edges with a small, fast network: for a soft edge or scribble ControlNet.

    Source: Z. Su et al., "Pixel Difference Networks for Efficient Edge Detection", 2021. Its weights are for research.
    """
    return annotated(image, resolution, ctx, model, "pidinet", "a PiDiNet", safe=safe, scribble=scribble)


@node(version=1, title="TEED edges", tags=("TEEDPreprocessor", "TEED_Preprocessor", "softedge_teed", "edges"))
def teed(
    image: Image,
    *,
    resolution: Resolution = 512,
    steps: Annotated[int, Slider(0, 10, zero="off"), "How many shades are left beside black. 0: all."] = 2,
    model: Annotated[str, ModelPick("preprocessor", advanced=True), MODEL_HELP] = "fal-ai/teed/5_model.pth",
    ctx: Context,
) -> Image:
    """Find soft edges with a network of 59 thousand numbers: for a soft edge ControlNet.

    Source: X. Soria, Y. Li, M. Rouhani and A. Sappa, "Tiny and Efficient Model for the Edge Detection Generalization",
    2023.
    """
    return annotated(
        image, resolution, ctx, model, "teed", "a TEED network", pick=lambda one: one.teed, sized="detect",
        safe_steps=steps,
    )  # fmt: skip


@node(version=1, title="AnyLine", tags=("AnyLinePreprocessor_aux", "AnyLine_Preprocessor", "MistoLine", "lineart"))
def anyline(
    image: Image,
    *,
    resolution: Resolution = 1280,
    sigma: Annotated[
        float, Number(0.1, 20, step=0.1, advanced=True), "How wide the blur is that lines are dark in."
    ] = 2.0,
    threshold: Annotated[int, Slider(0, 16, advanced=True), "How much darker than the blur counts as a line."] = 3,
    model: Annotated[
        str, ModelPick("preprocessor", advanced=True), MODEL_HELP
    ] = "TheMistoAI/MistoLine/Anyline/MTEED.pth",
    ctx: Context,
) -> Image:
    """Find lines of every kind, edges of TEED and fine dark lines together: for MistoLine."""
    return annotated(
        image, resolution, ctx, model, "teed", "AnyLine's network", pick=lambda one: one.anyline, sized="detect",
        guassian_sigma=sigma, intensity_threshold=threshold,
    )  # fmt: skip


@node(version=1, title="Line art", tags=("LineArtPreprocessor", "lineart_realistic", "lineart_coarse", "drawing"))
def lineart(
    image: Image,
    *,
    resolution: Resolution = 512,
    model: Annotated[
        str,
        ModelPick("preprocessor"),
        f"Its weights: a file below the model folders, or a hub id with the file's name. {ANNOTATORS}/sk_model2.pth "
        "draws coarser lines.",
    ] = f"{ANNOTATORS}/sk_model.pth",
    ctx: Context,
) -> Image:
    """Draw an image in lines: for a line art ControlNet.

    Source: C. Chan, F. Durand and P. Isola, "Learning to generate line drawings that convey geometry and semantics",
    2022 (MIT).
    """
    return annotated(image, resolution, ctx, model, "lineart", "a network for line art")


@node(version=1, title="Anime line art", tags=("AnimeLineArtPreprocessor", "lineart_anime", "drawing"))
def lineart_anime(
    image: Image,
    *,
    resolution: Resolution = 512,
    model: Annotated[str, ModelPick("preprocessor", advanced=True), MODEL_HELP] = f"{ANNOTATORS}/netG.pth",
    ctx: Context,
) -> Image:
    """Draw an anime image in lines: for an anime line art ControlNet."""
    return annotated(image, resolution, ctx, model, "lineart_anime", "a network for anime line art")


@node(version=1, title="Standard line art", tags=("LineartStandardPreprocessor", "lineart_standard", "sketch"))
def lineart_standard(
    image: Image,
    *,
    resolution: Resolution = 512,
    sigma: Annotated[
        float, Number(0.1, 100, step=0.1), "How wide the blur is that lines are dark in, in pixels."
    ] = 6.0,
    threshold: Annotated[int, Slider(0, 16), "How much darker than the blur counts as a line."] = 8,
    ctx: Context,
) -> Image:
    """Show what is darker than its surroundings as lines, without a network."""
    side = side_of(image, resolution)
    return each(image, lambda pixels: _darker(pixels, side, sigma, threshold), ctx)


def _darker(pixels: Any, side: int, sigma: float, threshold: int) -> Any:
    """Bytes (h, w, 3) of how much darker each place is than a blur."""
    import cv2
    import numpy

    given = scaled(pixels, side).astype(numpy.float32)
    darker = (cv2.GaussianBlur(given, (0, 0), sigma) - given).min(axis=2).clip(0, 255)
    lines = darker[darker > threshold]
    return (darker / max(16, numpy.median(lines) if lines.size else 0) * 127).clip(0, 255).astype(numpy.uint8)


@node(version=1, title="Straight lines (MLSD)", tags=("M-LSDPreprocessor", "MLSD", "architecture", "line segments"))
def mlsd(
    image: Image,
    *,
    resolution: Resolution = 512,
    score: Annotated[float, Slider(0.01, 2, step=0.01), "How sure a line has to be."] = 0.1,
    distance: Annotated[
        float, Slider(0.01, 20, step=0.01), "How long a line has to be; short ones are left out."
    ] = 0.1,
    model: Annotated[
        str, ModelPick("preprocessor", advanced=True), MODEL_HELP
    ] = f"{ANNOTATORS}/mlsd_large_512_fp32.pth",
    ctx: Context,
) -> Image:
    """Find straight lines, of buildings and rooms: for an MLSD ControlNet.

    Source: G. Gu et al., "Towards Light-weight and Real-time Line Segment Detection", 2022 (Apache-2.0).
    """
    return annotated(image, resolution, ctx, model, "mlsd", "an MLSD network", thr_v=score, thr_d=distance)
