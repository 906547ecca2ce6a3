"""How far things are, and which way they face."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from safelight.sdk import Choice, Context, Image, ModelPick, Number, Precision, Slider, Toggle, node

from .._preprocessing import ANNOTATORS, MODEL_HELP, Resolution, annotated, each, leased

Edges = Annotated[
    Literal["end", "meet"],
    Choice(advanced=True),
    "What lies beyond the edges: nothing more (end), or the opposite side, as of a texture that repeats (meet).",
]


@node(
    version=1,
    title="Depth",
    tags=("DepthAnythingPreprocessor", "DepthAnythingV2Preprocessor", "depth_anything", "DPT", "Depth Pro", "Metric3D"),
)
def depth(
    image: Image,
    *,
    model: Annotated[
        str,
        ModelPick("preprocessor"),
        "A model of transformers that estimates depth, a folder or hub id: Depth Anything, DPT, Depth Pro, ZoeDepth.",
    ] = "depth-anything/Depth-Anything-V2-Small-hf",
    precision: Annotated[Precision, Choice(advanced=True), "What it computes with. auto suits the machine."] = "auto",
    ctx: Context,
) -> Image:
    """Estimate depth: what is nearer is brighter, from black for the farthest point to white for the nearest.

    For a depth ControlNet. Each image has its own range.
    """
    import torch

    with leased(ctx, model, ("ForDepthEstimation",), "a model that estimates depth", precision=precision) as lease:
        network, processor = lease.component.network, lease.component.processor
        distances = _distances(network.config)

        def read(pixels: Any) -> Any:
            given = processor(images=pixels, return_tensors="pt").pixel_values.to(lease.device, lease.dtype)
            found = ctx.models.retry(lambda: network(pixel_values=given))
            one = _unpadded(processor, found, pixels.shape[:2]).float().cpu()
            one = one.reshape(1, 1, *one.shape[-2:])
            one = torch.nn.functional.interpolate(one, pixels.shape[:2], mode="bicubic", align_corners=False)[0, 0]
            near = 1 / one.clamp(min=1e-3) if distances else one
            low, high = near.min(), near.max()
            return ((near - low) / (high - low).clamp(min=1e-8) * 255).round().to(torch.uint8).numpy()

        return each(image, read, ctx)


def _distances(config: Any) -> bool:
    """Whether a model gives distances, in metres, rather than how near things are."""
    metric = getattr(config, "depth_estimation_type", "") == "metric"
    return metric or config.model_type in ("zoedepth", "depth_pro")


def _unpadded(processor: Any, found: Any, size: tuple[int, int]) -> Any:
    """The depth of one image, without the borders that ZoeDepth's processor puts around it."""
    if type(processor).__name__.startswith("ZoeDepth"):
        sizes: dict[str, Any] = {"source_sizes": [size], "target_sizes": [size]}
        return processor.post_process_depth_estimation(found, **sizes)[0]["predicted_depth"]
    return found.predicted_depth[0]


@node(version=1, title="MiDaS depth", tags=("MiDaS-DepthMapPreprocessor", "depth_midas", "DPT hybrid"))
def midas(
    image: Image,
    *,
    resolution: Resolution = 512,
    model: Annotated[
        str, ModelPick("preprocessor", advanced=True), MODEL_HELP
    ] = f"{ANNOTATORS}/dpt_hybrid-midas-501f0c75.pt",
    ctx: Context,
) -> Image:
    """Estimate depth; what is nearer is brighter: for a depth ControlNet.

    Source: R. Ranftl, A. Bochkovskiy and V. Koltun, "Vision Transformers for Dense Prediction", 2021 (MIT).
    """
    return annotated(image, resolution, ctx, model, "midas", "a MiDaS network")


@node(version=1, title="ZoE depth", tags=("Zoe-DepthMapPreprocessor", "depth_zoe", "ZoeDepth"))
def zoe(
    image: Image,
    *,
    resolution: Resolution = 512,
    gamma: Annotated[bool, Toggle(advanced=True), "Make what is far darker still."] = False,
    model: Annotated[str, ModelPick("preprocessor", advanced=True), MODEL_HELP] = f"{ANNOTATORS}/ZoeD_M12_N.pt",
    ctx: Context,
) -> Image:
    """Estimate depth from distances; what is nearer is brighter: for a depth ControlNet.

    Source: S. F. Bhat et al., "ZoeDepth: Zero-shot Transfer by Combining Relative and Metric Depth", 2023 (MIT).
    """
    return annotated(image, resolution, ctx, model, "zoe", "a ZoeDepth network", gamma_corrected=gamma)


@node(version=1, title="LeReS depth", tags=("LeReS-DepthMapPreprocessor", "depth_leres"))
def leres(
    image: Image,
    *,
    resolution: Resolution = 512,
    near: Annotated[float, Slider(0, 100, step=0.1), "Percent of the range that is cut off at the near end."] = 0.0,
    background: Annotated[
        float, Slider(0, 100, step=0.1), "Percent of the range that is cut off at the far end."
    ] = 0.0,
    model: Annotated[str, ModelPick("preprocessor", advanced=True), MODEL_HELP] = f"{ANNOTATORS}/res101.pth",
    ctx: Context,
) -> Image:
    """Estimate depth with much detail; what is nearer is brighter: for a depth ControlNet.

    Source: W. Yin et al., "Learning to Recover 3D Scene Shape from a Single Image", 2021.
    """
    return annotated(image, resolution, ctx, model, "leres", "a LeReS network", thr_a=near, thr_b=background)


@node(version=1, title="BAE normals", tags=("BAE-NormalMapPreprocessor", "normal_bae", "normal map"))
def normal_bae(
    image: Image,
    *,
    resolution: Resolution = 512,
    model: Annotated[str, ModelPick("preprocessor", advanced=True), MODEL_HELP] = f"{ANNOTATORS}/scannet.pt",
    ctx: Context,
) -> Image:
    """Estimate which way surfaces face, as a normal map: for a normal map ControlNet.

    Source: G. Bae, I. Budvytis and R. Cipolla, "Estimating and Exploiting the Aleatoric Uncertainty in Surface Normal
    Estimation", 2021 (MIT).
    """
    return annotated(image, resolution, ctx, model, "normal_bae", "a BAE network")


@node(
    version=1, title="Normals from depth", tags=("normal map", "MiDaS-NormalMapPreprocessor", "bump map", "height map")
)
def normals_from_depth(
    image: Annotated[Image, "Depth or height: what is nearer, or higher, is brighter."],
    *,
    strength: Annotated[float, Number(0.01, 100, step=0.1), "How deep it is; more makes slopes steeper."] = 8.0,
    background: Annotated[float, Slider(0, 1, step=0.01), "What is darker than this is shown as flat."] = 0.0,
    green_down: Annotated[bool, Toggle(advanced=True), "Let green grow downwards, as DirectX has it."] = False,
    edges: Edges = "end",
) -> Image:
    """Make a normal map of depth: red grows to the right, green upwards, blue towards the viewer."""
    import torch
    from torch.nn.functional import conv2d, normalize, pad

    from .._pixels import brightness, flattened

    light = brightness(flattened(image.pixels, 0.0))
    sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
    beyond = pad(light[:, None], (1, 1, 1, 1), mode="circular" if edges == "meet" else "replicate")
    slopes = conv2d(beyond, torch.stack([sobel, sobel.T])[:, None])
    slopes = slopes * strength * (light >= background)[:, None]
    right, down = -slopes[:, 0], -slopes[:, 1]
    facing = normalize(torch.stack([right, down if green_down else -down, torch.ones_like(right)], dim=-1), dim=-1)
    return Image((facing + 1) / 2)


@node(
    version=1,
    title="Height from brightness",
    tags=("height map", "displacement map", "bump map", "image to height", "texture"),
)
def height(
    image: Annotated[Image, "The colours of a surface. Transparent parts are low."],
    *,
    smooth: Annotated[
        float, Slider(0, 50, step=0.1), "Standard deviation, in pixels, of the Gaussian that takes grain out of it."
    ] = 1.0,
    flatten: Annotated[
        float,
        Slider(0, 500, step=1, zero="off"),
        "Differences wider than this many pixels are levelled, such as light that falls from one side. 0: kept.",
    ] = 0.0,
    invert: Annotated[bool, Toggle(), "Let what is dark be high."] = False,
    edges: Edges = "end",
) -> Image:
    """Guess the height of a surface by how bright it is, from black for the lowest point to white for the highest.

    A guess, as ridges catch the light and grooves do not. Each image has its own range; one of a single shade is
    grey. Colours that differ but are as bright lie at one height.
    """
    import math

    import torch

    from .._pixels import brightness, flattened, smoothed

    def soft(planes: Any, sigma: float) -> Any:
        if edges == "end" or sigma <= 0:
            return smoothed(planes, sigma)
        # Over a period, by its spectrum: wide ones would reach around many times.
        down, across = (torch.exp(-2 * (math.pi * sigma * torch.fft.fftfreq(side)) ** 2) for side in planes.shape[-2:])
        return torch.fft.ifft2(torch.fft.fft2(planes) * down[:, None] * across).real

    light = brightness(flattened(image.pixels, 0.0))[:, None]
    found = soft(light, smooth)
    if flatten > 0:
        found = found - soft(light, flatten)
    low, high = found.amin(dim=(1, 2, 3), keepdim=True), found.amax(dim=(1, 2, 3), keepdim=True)
    spread = high - low
    found = ((found - low) / spread.clamp(min=1e-6)).where(spread > 1e-6, 0.5)
    if invert:
        found = 1 - found
    return Image(found[:, 0, :, :, None].expand(-1, -1, -1, 3).contiguous())
