"""Details: sharpness, noise that is removed, edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from safelight.sdk import Context, Image, Mask, Problem, ProblemError, Slider, Toggle, node

if TYPE_CHECKING:
    from torch import Tensor


@node(version=1, title="Sharpen image", tags=("Sharpen", "Unsharp Mask", "ImageSharpen", "Image Sharpen"))
def sharpen(
    image: Image,
    *,
    amount: Annotated[float, Slider(0, 5, step=0.05), "How much of the detail is added."] = 0.8,
    sigma: Annotated[float, Slider(0.1, 20, step=0.1), "Size of the details in pixels."] = 1.0,
    threshold: Annotated[
        float, Slider(0, 0.5, step=0.005, advanced=True), "Weaker differences are left alone, such as noise."
    ] = 0.0,
) -> Image:
    """Sharpen images by an unsharp mask: what a blur takes away is added once more. Transparency stays."""
    import torch

    from .._colours import recoloured
    from .._pixels import smoothed

    def sharper(colours: Tensor) -> Tensor:
        detail = colours - smoothed(colours.movedim(-1, 1), sigma).movedim(1, -1)
        return colours + amount * detail.where(detail.abs() >= threshold, 0.0)

    made = torch.empty_like(image.pixels)
    for place, one in enumerate(image.pixels):
        made[place] = recoloured(one[None], sharper)[0]
    return Image(made)


@node(version=1, tags=("High Pass Filter", "Image High Pass Filter", "frequency separation"))
def high_pass(
    image: Image,
    *,
    sigma: Annotated[float, Slider(0.5, 100, step=0.5), "Larger shapes than about this many pixels are left out."] = 4,
    strength: Annotated[float, Slider(0.1, 8, step=0.1), "How strong the details are."] = 1.0,
) -> Image:
    """The fine details of images, around middle grey. Blended by overlay they sharpen."""
    from .._colours import recoloured
    from .._pixels import smoothed

    return Image(
        recoloured(
            image.pixels,
            lambda colours: 0.5 + strength * (colours - smoothed(colours.movedim(-1, 1), sigma).movedim(1, -1)),
        )
    )


@node(version=1, tags=("Median Filter", "Image Median Filter", "despeckle"))
def median(
    image: Image,
    *,
    radius: Annotated[int, Slider(1, 16), "Pixels to each side that are looked at."] = 1,
) -> Image:
    """Replace each pixel by the middle one around it: specks go, edges stay.

    It works with 8 bits a channel where the radius is above 2. In OpenCV's implementation. Transparency stays.
    """
    import cv2

    from .._colours import each_recoloured
    from .._pixels import to_bytes

    def change(pixels: Any) -> Any:
        import torch

        if radius <= 2:
            return cv2.medianBlur(pixels, 2 * radius + 1)
        return cv2.medianBlur(to_bytes(torch.from_numpy(pixels)), 2 * radius + 1) / 255

    return Image(each_recoloured(image.pixels, change))


@node(version=1, tags=("Morphology", "erode", "dilate", "opening", "closing", "top hat", "Image Dilate", "Image Erode"))
def morphology(
    image: Image,
    *,
    operation: Annotated[
        Literal["erode", "dilate", "open", "close", "gradient", "top_hat", "bottom_hat"],
        "The darkest or the brightest around each pixel; open removes small bright parts, close small dark ones. "
        "gradient is the brightest less the darkest; top_hat is what open removes, bottom_hat what close fills.",
    ] = "dilate",
    radius: Annotated[int, Slider(1, 64), "Pixels to each side that are looked at, in a square."] = 1,
) -> Image:
    """Make bright or dark parts of images larger or smaller, each channel by itself. Transparency stays.

    Source: J. Serra, "Image Analysis and Mathematical Morphology", 1982, in OpenCV's implementation.
    """
    import cv2
    import numpy

    from .._colours import each_recoloured

    ways = {
        **{"erode": cv2.MORPH_ERODE, "dilate": cv2.MORPH_DILATE, "open": cv2.MORPH_OPEN, "close": cv2.MORPH_CLOSE},
        **{"gradient": cv2.MORPH_GRADIENT, "top_hat": cv2.MORPH_TOPHAT, "bottom_hat": cv2.MORPH_BLACKHAT},
    }
    square = numpy.ones((2 * radius + 1, 2 * radius + 1), numpy.uint8)
    return Image(each_recoloured(image.pixels, lambda pixels: cv2.morphologyEx(pixels, ways[operation], square)))


@node(version=1, title="Denoise image", tags=("Denoise", "noise reduction", "Non-local means", "NLM", "FastDenoise"))
def denoise(
    image: Image,
    *,
    strength: Annotated[
        float, Slider(0, 1, step=0.01), "Standard deviation of the noise in 0 to 1. 0: measured in each image."
    ] = 0.0,
    method: Annotated[
        Literal["non_local_means", "total_variation"],
        "Averages of parts that look alike, which keeps texture, or flat areas with clear edges.",
    ] = "non_local_means",
    rician: Annotated[
        bool,
        Toggle(advanced=True),
        "The noise is that of magnetic resonance, which makes everything brighter: black becomes black again.",
    ] = False,
    ctx: Context,
) -> Image:
    """Remove noise from images. Transparency stays.

    Source: Buades et al. 2005 and Chambolle 2004, both in scikit-image's implementation; noise is measured after
    Immerkaer 1996. Where it is Rician, the mean of the squares is that of the image and twice the variance of the noise
    (Gudbjartsson and Patz 1995).
    """
    import torch
    from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

    from .._colours import recoloured
    from .._measures import noise_of
    from .._pixels import smoothed

    def darker(noisy: Tensor, found: Tensor, sigma: float) -> Tensor:
        left = smoothed((noisy - found).square().movedim(-1, 0)[None], 2.0)[0].movedim(0, -1)
        return (found.square() + left - 2 * sigma**2).clamp(min=0).sqrt()

    def change(colours: Tensor) -> Tensor:
        made: list[Tensor] = []
        for place, one in enumerate(colours):
            ctx.check_cancelled()
            pixels = one.numpy()
            sigma = strength or noise_of(one)
            if method == "non_local_means":
                near = {"patch_size": 5, "patch_distance": 6, "h": 0.8 * sigma, "sigma": sigma}
                found = denoise_nl_means(pixels, fast_mode=True, channel_axis=-1, **near) if sigma else pixels
            else:
                found = denoise_tv_chambolle(pixels, weight=max(2 * sigma, 1e-6), channel_axis=-1)
            clean = torch.from_numpy(found).float().view(one.shape)  # sides of 1 are lost on the way
            made.append(darker(one, clean, sigma) if rician else clean)
            ctx.progress(place + 1, len(colours))
        return torch.stack(made)

    return Image(recoloured(image.pixels, change))


@node(version=1, tags=("Sobel", "edge detection", "find edges", "Image Edge Detection", "emboss"))
def find_edges(
    image: Image,
    *,
    method: Annotated[Literal["sobel", "laplacian", "emboss"], "Strength of the slope, of its change, or a relief."] = (
        "sobel"
    ),
    strength: Annotated[float, Slider(0.1, 10, step=0.1), "How bright the edges are."] = 1.0,
) -> Image:
    """Show where the brightness of images changes."""
    import torch
    from torch.nn.functional import conv2d, pad

    from .._pixels import brightness, flattened

    light = pad(brightness(flattened(image.pixels, 1.0))[:, None], (1, 1, 1, 1), mode="replicate")
    kernels = {
        "sobel": [[[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]],
        "laplacian": [[[0, 1, 0], [1, -4, 1], [0, 1, 0]]],
        "emboss": [[[-2, -1, 0], [-1, 0, 1], [0, 1, 2]]],
    }[method]
    found = conv2d(light, torch.tensor(kernels).float()[:, None])
    if method == "sobel":
        found = found.square().sum(dim=1, keepdim=True).sqrt() / 4
    elif method == "laplacian":
        found = found.abs()
    found = found * strength + (0.5 if method == "emboss" else 0)
    return Image(found.clamp(0, 1).movedim(1, -1).repeat(1, 1, 1, 3))


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

    from .._pixels import flattened, to_bytes

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


@node(
    version=1,
    tags=("cv2.inpaint", "Inpaint Telea", "scratch removal", "content-aware fill", "remove object", "heal", "repair"),
)
def heal(
    image: Image,
    mask: Annotated[Mask, "White where it is to be made again; grey mixes. Brought to the size of the image."],
    *,
    radius: Annotated[float, Slider(1, 32, step=0.5), "How far around each pixel is looked at, in pixels."] = 3.0,
    method: Annotated[
        Literal["navier_stokes", "telea"],
        "So that lines go on as they enter (Navier and Stokes), or from the edge inwards, by what lies near (Telea).",
    ] = "navier_stokes",
) -> Image:
    """Fill scratches, dust and other small holes from what lies around them. Everything else stays pixel for pixel.

    For what is thin: a large hole becomes a blur, and a model draws it better. One image or mask serves a whole batch
    of the other. Sources: A. Telea, "An Image Inpainting Technique Based on the Fast Marching Method", 2004;
    M. Bertalmio et al., "Navier-Stokes, Fluid Dynamics, and Image and Video Inpainting", 2001; both in OpenCV's
    implementation.
    """
    import cv2
    import numpy
    import torch

    from .._pixels import blended, common_batch, mask_like

    count = common_batch(image=len(image.pixels), mask=len(mask.coverage))
    cover = mask_like(mask.coverage, image.pixels).expand(count, -1, -1)
    given = image.pixels.expand(count, -1, -1, -1)
    way = cv2.INPAINT_TELEA if method == "telea" else cv2.INPAINT_NS

    def filled(pixels: Tensor, hole: Tensor) -> Tensor:
        holes = (hole > 0).numpy().astype(numpy.uint8)
        if pixels.shape[-1] == 4:  # weighed by opacity: what lies hidden must not bleed in
            pixels = torch.cat([pixels[..., :3] * pixels[..., 3:], pixels[..., 3:]], dim=-1)
        # In 16 bits: Telea's way is rounded to whole numbers whatever it is given.
        given = (pixels.movedim(-1, 0).clamp(0, 1) * 65535).round().numpy().astype(numpy.uint16)
        planes = [cv2.inpaint(plane, holes, radius, way) for plane in given]
        made = torch.from_numpy(numpy.stack(planes, axis=-1).astype(numpy.float32) / 65535)
        if made.shape[-1] == 4:
            alpha = made[..., 3:]
            colours = made[..., :3] / alpha.where(alpha > 1 / 512, torch.ones(()))
            made = torch.cat([colours.clamp(0, 1), alpha], dim=-1)
        return made

    made = torch.stack([filled(pixels, hole) for pixels, hole in zip(given, cover, strict=True)])
    return Image(blended(given, made, cover[..., None]))
