"""Small helpers for images and masks as tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from safelight.sdk import Image, Problem, ProblemError

if TYPE_CHECKING:
    from torch import Tensor


def rgb_of(text: str) -> tuple[int, int, int]:
    """Red, green and blue, 0..255, of a colour written as `#rrggbb`."""
    red, green, blue = (int(text[place : place + 2], 16) for place in (1, 3, 5))
    return red, green, blue


def color_of(text: str) -> Tensor:
    """(3) in 0..1 of a colour written as `#rrggbb`."""
    import torch

    return torch.tensor([part / 255 for part in rgb_of(text)])


def joined(images: Sequence[Image]) -> Tensor:
    """(B, H, W, C) of all images of a list, which must have one size and one number of channels.

    Raises:
        ProblemError: `wrong_batch`, at `images`.
    """
    import torch

    require_alike(images, "images")
    return torch.cat([image.pixels for image in images])


def require_alike(images: Sequence[Image], port: str, *, batches: bool = False) -> None:
    """Raises ProblemError `wrong_batch`, at the port, where the images of a list differ in size or channels, or, with
    `batches`, in how many there are in each; and where there are none."""
    shapes = {tuple(image.pixels.shape[1:]) for image in images}
    counts = {len(image.pixels) for image in images}
    if not images:
        raise no_images(port)
    if len(shapes) == 1 and (len(counts) == 1 or not batches):
        return
    sizes = ", ".join(f"{width} x {height} ({channels} channels)" for height, width, channels in sorted(shapes))
    said, hint = (
        f"The images differ: {sizes}.",
        "Bring them to one size with image.resize, and flatten transparent ones.",
    )
    if len(shapes) == 1:
        said = f"The batches differ: {', '.join(map(str, sorted(counts)))} images."
        hint = "Give batches of one length."
    raise ProblemError(Problem(code="wrong_batch", message=said, hint=hint, port=port))


def no_images(port: str) -> ProblemError:
    """`wrong_batch`, where there is none of the images that are wanted: nothing is connected, or an empty list."""
    hint = "Connect at least one; a list that is empty gives none."
    return ProblemError(Problem(code="wrong_batch", message="There are no images.", hint=hint, port=port))


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
    """(..., H, W, C) in 0..1 to a numpy array of bytes."""
    import torch

    return (pixels.clamp(0, 1) * 255).round().to(torch.uint8).contiguous().numpy()


def prepared(lease: Any, pixels: Iterable[Tensor]) -> Tensor:
    """What a leased image encoder takes for images (H, W, 3) in 0..1, by its own processor."""
    from PIL import Image as Images

    images = [Images.fromarray(to_bytes(one)) for one in pixels]
    return lease.component.processor(images, return_tensors="pt").pixel_values.to(lease.device, lease.dtype)


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
    return smoothed(coverage[:, None], width / 3, 3)[:, 0].clamp(0, 1)


def otsu(light: Tensor) -> Tensor:
    """(B) thresholds of (B, H, W) in 0..1 by Otsu's method; what is above one is bright. One shade is its own."""
    import torch
    from skimage.filters import threshold_otsu

    return torch.tensor([float(threshold_otsu(one.numpy())) for one in light])


def filtered(pixels: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Images (B, H, W, 3 or 4) with `change` done to planes (B, C, H, W), clipped to 0..1.

    `change` has to be linear in its planes and the same for each, as a blur is: colours of transparent images are
    weighed by their opacity on the way, so what is not seen lends no colour to its neighbours.
    """
    import torch

    if pixels.shape[-1] == 3:
        return change(pixels.movedim(-1, 1)).clamp(0, 1).movedim(1, -1).contiguous()
    alpha = pixels[..., 3:]
    found = change(torch.cat([pixels[..., :3] * alpha, alpha], dim=-1).movedim(-1, 1)).movedim(1, -1)
    alpha = found[..., 3:].clamp(0, 1)
    seen = alpha > 1 / 512
    colours = (found[..., :3] / alpha.where(seen, 1.0)).where(seen, pixels[..., :3])
    return torch.cat([colours.clamp(0, 1), alpha], dim=-1)


_SHORT = 20
"""Pixels to each side up to which sums of moved planes are faster than a convolution, and take no memory."""


def smoothed(planes: Tensor, sigma: float, deviations: int = 4) -> Tensor:
    """(B, C, H, W) softened by a Gaussian of this standard deviation in pixels, as far as so many of them; edges go on
    as they end."""
    import torch
    from torch.nn.functional import conv2d, pad

    if sigma <= 0:
        return planes
    reach = max(1, round(deviations * sigma))
    kernel = torch.exp(-torch.arange(-reach, reach + 1).float().square() / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    made = torch.empty_like(planes, memory_format=torch.contiguous_format)
    height, width = planes.shape[2:]
    # One plane at a time: a convolution asks for many times the memory of what it works on.
    for plane, found in zip(planes.flatten(0, 1), made.view(-1, height, width), strict=True):
        given = pad(plane[None, None], (reach,) * 4, mode="replicate")
        if reach <= _SHORT:
            rows = torch.zeros(height, given.shape[-1], dtype=planes.dtype)
            for place, weight in enumerate(kernel.tolist()):
                rows.add_(given[0, 0, place : place + height], alpha=weight)
            found.zero_()
            for place, weight in enumerate(kernel.tolist()):
                found.add_(rows[:, place : place + width], alpha=weight)
            continue
        found.copy_(conv2d(conv2d(given, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))[0, 0])
    return made


def check_size(height: int, width: int, port: str) -> None:
    """Raises ProblemError `size_too_large`, at `port`, for images with more pixels than can be read back."""
    from safelight.sdk.image_files import MAX_PIXELS

    if height * width > MAX_PIXELS:
        message = f"An image of {width} x {height} has more than {MAX_PIXELS // 1_000_000} million pixels."
        raise ProblemError(Problem(code="size_too_large", message=message, hint="Make it smaller.", port=port))


def padded(pixels: Tensor, borders: tuple[int, int, int, int], fill: str, color: str = "#000000") -> Tensor:
    """Images (B, H, W, C) with borders (left, top, right, bottom) of a colour, transparent, or of their own pixels:
    `edge`, `reflect` (mirrored, the edge itself once) or `wrap`.
    """
    import torch

    left, top, right, bottom = borders
    count, height, width, _ = pixels.shape
    if fill in ("color", "transparent"):
        given = opaque(pixels) if fill == "transparent" else pixels
        ground = torch.zeros(4) if fill == "transparent" else torch.cat([color_of(color), torch.ones(1)])
        made = ground[: given.shape[-1]].repeat(count, height + top + bottom, width + left + right, 1)
        made[:, top : top + height, left : left + width] = given
        return made
    rows = _around(torch.arange(-top, height + bottom), height, fill)
    columns = _around(torch.arange(-left, width + right), width, fill)
    return pixels[:, rows][:, :, columns].contiguous()


def _around(places: Tensor, side: int, fill: str) -> Tensor:
    """Where pixels beyond the edge come from."""
    if fill == "edge":
        return places.clamp(0, side - 1)
    if fill == "wrap":
        return places % side
    period = max(1, 2 * side - 2)
    turned = places % period
    return turned.where(turned < side, period - turned) if side > 1 else places * 0


def check_range(low: float, high: float, first: str = "low", last: str = "high") -> None:
    """Raises ProblemError `empty_range`, at the port `first`, where a range ends before it begins."""
    if low > high:
        message, hint = f"The range from {low:g} to {high:g} is empty.", f"Let {first} be at most {last}."
        raise ProblemError(Problem(code="empty_range", message=message, hint=hint, port=first, value=low))
