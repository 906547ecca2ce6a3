"""Small helpers for images and masks as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from safelight.sdk import Image, Problem, ProblemError

if TYPE_CHECKING:
    from torch import Tensor


def color_of(text: str) -> Tensor:
    """(3) in 0..1 of a colour written as `#rrggbb`."""
    import torch

    return torch.tensor([int(text[place : place + 2], 16) / 255 for place in (1, 3, 5)])


def joined(images: Sequence[Image]) -> Tensor:
    """(B, H, W, C) of all images of a list, which must have one size and one number of channels.

    Raises:
        ProblemError: `wrong_batch`, at `images`.
    """
    import torch

    shapes = {tuple(image.pixels.shape[1:]) for image in images}
    if len(shapes) != 1:
        sizes = ", ".join(f"{width} x {height} ({channels} channels)" for height, width, channels in sorted(shapes))
        raise ProblemError(
            Problem(
                code="wrong_batch",
                message=f"The images differ: {sizes}." if shapes else "There are no images.",
                hint="Bring them to one size with image.resize, and flatten transparent ones.",
                port="images",
            )
        )
    return torch.cat([image.pixels for image in images])


def flattened(pixels: Tensor, background: float | Tensor) -> Tensor:
    """(B, H, W, 3) from images with or without transparency, on a colour (3) or a grey value in 0..1."""
    if pixels.shape[-1] == 3:
        return pixels
    alpha = pixels[..., 3:]
    return pixels[..., :3] * alpha + background * (1 - alpha)


def brightness(pixels: Tensor) -> Tensor:
    """(..., H, W) of images (..., H, W, 3 or 4): Rec. 709 luma, as sRGB is meant."""
    return pixels[..., :3] @ pixels.new_tensor([0.2126, 0.7152, 0.0722])


def opaque(pixels: Tensor) -> Tensor:
    """(B, H, W, 4) from images with or without transparency."""
    import torch

    return pixels if pixels.shape[-1] == 4 else torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1)


def mask_like(coverage: Tensor, pixels: Tensor) -> Tensor:
    """Masks (B, H, W) brought to the height and width of images (B, H, W, C)."""
    from torch.nn.functional import interpolate

    if coverage.shape[1:] == pixels.shape[1:3]:
        return coverage
    resized = interpolate(coverage[:, None], pixels.shape[1:3], mode="bilinear", antialias=True, align_corners=False)
    return resized[:, 0].clamp(0, 1)


def blended(below: Tensor, above: Tensor, share: Tensor) -> Tensor:
    """Images (B, H, W, 3 or 4) of one kind mixed: `share` (B, H, W, 1) of the upper one.

    Colours are weighed by their opacity. Where the share is 0 or 1, the pixels are those of the one image, bit for bit.
    """
    import torch

    lower, upper = 1 - share, share
    if below.shape[-1] == 3:
        # Not a difference added to the lower image: only so are both ends exact.
        return below * lower + above * upper
    lower, upper = below[..., 3:] * lower, above[..., 3:] * upper
    alpha = lower + upper
    colours = (below[..., :3] * lower + above[..., :3] * upper) / alpha.where(alpha > 0, 1.0)
    plain = below * (1 - share) + above * share
    mixed = torch.cat([colours.where(alpha > 0, plain[..., :3]), alpha], dim=-1)
    return plain.where((share == 0) | (share == 1), mixed)


def common_batch(**counts: int) -> int:
    """How many images come of batches of these lengths, by port: one serves all images of the others.

    Raises:
        ProblemError: `wrong_batch` at the first port whose length does not go with those before.
    """
    several = next((count for count in counts.values() if count != 1), 1)
    for port, count in counts.items():
        if count not in (1, several):
            said = ", ".join(f"{count} in {port}" for port, count in counts.items())
            message, hint = f"The batches differ: {said}.", "Give one of each, or as many as there are of the others."
            raise ProblemError(Problem(code="wrong_batch", message=message, hint=hint, port=port))
    return several


def to_bytes(pixels: Tensor) -> Any:
    """(H, W, C) in 0..1 to a numpy array of bytes."""
    import torch

    return (pixels.clamp(0, 1) * 255).round().to(torch.uint8).contiguous().numpy()


def resized(pixels: Tensor, height: int, width: int, fit: str, method: str) -> Tensor:
    """(B, H, W, C) brought to `height` and `width`; `fit` is stretch, crop or pad (with zeros)."""
    import torch

    old_height, old_width = pixels.shape[1:3]
    if fit == "stretch":
        return _scaled(pixels, height, width, method)
    factors = height / old_height, width / old_width
    factor = max(factors) if fit == "crop" else min(factors)
    inner = max(1, round(old_height * factor)), max(1, round(old_width * factor))
    scaled = _scaled(pixels, *inner, method)
    top, left = abs(inner[0] - height) // 2, abs(inner[1] - width) // 2
    if fit == "crop":
        return scaled[:, top : top + height, left : left + width].contiguous()
    padded = torch.zeros(pixels.shape[0], height, width, pixels.shape[-1])
    padded[:, top : top + inner[0], left : left + inner[1]] = scaled
    return padded


def _scaled(pixels: Tensor, height: int, width: int, method: str) -> Tensor:
    import torch

    if pixels.shape[1:3] == (height, width):
        return pixels
    if pixels.shape[-1] == 3 or method == "nearest":
        return _sampled(pixels, height, width, method)
    # Colours count as much as they are seen: what lies under transparent parts would darken the edges.
    alpha = pixels[..., 3:]
    found = _sampled(torch.cat([pixels[..., :3] * alpha, alpha], dim=-1), height, width, method)
    alpha = found[..., 3:]
    seen = alpha > 1 / 512
    colours = (found[..., :3] / alpha.where(seen, 1.0)).clamp(0, 1)
    if not seen.all():  # no byte of opacity is left there; the colours are kept for those who look at them alone
        colours = colours.where(seen, _sampled(pixels[..., :3], height, width, method))
    return torch.cat([colours, alpha], dim=-1)


def _sampled(pixels: Tensor, height: int, width: int, method: str) -> Tensor:
    import torch
    from torch.nn.functional import interpolate

    if method == "lanczos":
        from PIL import Image

        planes = [
            [Image.fromarray(plane.numpy()).resize((width, height), Image.Resampling.LANCZOS) for plane in planes]
            for planes in pixels.movedim(-1, 1).contiguous()
        ]
        import numpy

        rows = [torch.stack([torch.from_numpy(numpy.array(plane)) for plane in row], dim=-1) for row in planes]
        return torch.stack(rows).clamp(0, 1)
    smooth = {} if method == "nearest" else {"antialias": True, "align_corners": False}
    mode = "nearest-exact" if method == "nearest" else method
    found = interpolate(pixels.movedim(-1, 1), (height, width), mode=mode, **smooth)
    return found.clamp(0, 1).movedim(1, -1).contiguous()


def grown(coverage: Tensor, pixels: int) -> Tensor:
    """Masks (B, H, W) grown by a number of pixels in every direction, or shrunk by a negative one."""
    from torch.nn.functional import max_pool2d

    if not pixels:
        return coverage
    side = 2 * abs(pixels) + 1
    given = coverage[:, None] if pixels > 0 else 1 - coverage[:, None]
    found = max_pool2d(given, (side, 1), 1, (abs(pixels), 0))
    found = max_pool2d(found, (1, side), 1, (0, abs(pixels)))[:, 0]
    return found if pixels > 0 else 1 - found


def blurred(coverage: Tensor, width: int) -> Tensor:
    """Masks (B, H, W) softened by a Gaussian whose edge takes about `width` pixels."""
    import torch
    from torch.nn.functional import conv2d, pad

    sigma = width / 3
    reach = max(1, round(3 * sigma))
    kernel = torch.exp(-torch.arange(-reach, reach + 1).float().square() / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    given = pad(coverage[:, None], (reach,) * 4, mode="replicate")
    found = conv2d(conv2d(given, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))
    return found[:, 0].clamp(0, 1)
