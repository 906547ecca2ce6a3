"""What UNets with more input channels see beside the latent: the part to paint, an image to edit, depth.

Sources: Rombach et al. 2022, https://arxiv.org/abs/2112.10752 (inpainting); Brooks et al. 2023,
https://arxiv.org/abs/2211.09800 (InstructPix2Pix); the depth model of Stable Diffusion 2,
https://github.com/Stability-AI/stablediffusion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from safelight.diffusion.denoiser import cannot_see
from safelight.diffusion.latents import inpainting_planes, on_canvas
from safelight.sdk import Latent, Problem, ProblemError, Shown

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.sdk.leased import SampleRequest

    from .generation import Generation


def planes_of(wanted: int, taken: int, family: Generation, request: SampleRequest) -> Tensor | None:
    """The planes (B or 1, channels, H, W) for a run; None for a UNet that sees the latent alone.

    `wanted` is how many channels its latents have, `taken` how many it takes.

    Raises:
        ProblemError: the latent does not fit the UNet; it needs what it is not given, or is given what it cannot see.
    """
    latent, shown = request.latent, request.positive.shown
    if latent.samples.shape[1] != wanted:
        raise ProblemError(
            Problem(
                code="wrong_latent",
                message=f"The latent has {latent.samples.shape[1]} channels, and the model works on {wanted}.",
                hint="Make or encode the latent with the VAE that belongs to the model.",
                port="latent",
                value=latent.family,
            )
        )
    kind = {0: "", 1: "depth", wanted: "image", wanted + 1: "hole"}.get(taken - wanted)
    if kind is None:
        raise ProblemError(
            Problem(
                code="model_not_supported",
                message=f"This denoiser takes {taken} channels where its latent has {wanted}.",
                hint="Inpainting, instruction and depth models are supported; upscaling models are not.",
                port="model",
            )
        )
    for side in (request.positive, request.negative):
        if side is not None and side.shown is not None and side.shown.kind != kind:
            raise cannot_see(family.title, side.shown.kind)
    if kind == "":
        return None
    if kind == "hole":
        import torch

        return torch.cat(inpainting_planes(latent), dim=1)
    if shown is None:
        raise _needed(kind)
    if shown.more:
        message = f"The model looks at one image to edit, and is shown {len(shown.images)}."
        hint = "Take out all but one guide.edit."
        raise ProblemError(Problem(code="feature_not_in_family", message=message, hint=hint, port="positive"))
    batch = latent.samples.shape[0]
    if shown.planes.shape[0] not in (1, batch):
        message = f"The model is shown {shown.planes.shape[0]} images, and the latent holds {batch}."
        raise ProblemError(Problem(code="wrong_batch", message=message, hint="Give one, or as many.", port="positive"))
    return _depth(shown, latent) if kind == "depth" else _image(shown, latent, family.latent.scaling)


def _image(shown: Shown, latent: Latent, scaling: float) -> Tensor:
    cells, wanted = shown.planes.shape[-2:], latent.samples.shape[-2:]
    if cells != wanted:
        sizes = [f"{width * latent.downsampling} x {height * latent.downsampling}" for height, width in (cells, wanted)]
        raise ProblemError(
            Problem(
                code="wrong_size",
                message=f"The image to edit is {sizes[0]} pixels, and the latent {sizes[1]}.",
                hint="Connect the latent of guide.edit to the sampler as well.",
                port="latent",
            )
        )
    # These models were trained on what the VAE gives, not scaled as what is denoised.
    return shown.planes / scaling


def _depth(shown: Shown, latent: Latent) -> Tensor:
    from torch.nn.functional import interpolate

    planes = shown.planes
    if latent.size:
        low, high = planes.amin(), planes.amax()
        planes = on_canvas((planes - low) / (high - low).clamp(min=1e-8), latent)
    planes = interpolate(planes, tuple(latent.samples.shape[-2:]), mode="bicubic", align_corners=False)
    low, high = planes.amin(dim=(1, 2, 3), keepdim=True), planes.amax(dim=(1, 2, 3), keepdim=True)
    # Depth that is the same everywhere says nothing: it is as far as all else.
    return 2 * (planes - low) / (high - low).clamp(min=1e-8) - 1


def _needed(kind: str) -> ProblemError:
    what, node = {"image": ("edits an image", "guide.edit"), "depth": ("is led by depth", "guide.depth")}[kind]
    return ProblemError(
        Problem(
            code="shown_missing",
            message=f"This model {what}, and the conditioning shows it none.",
            hint=f"Put the node {node} between the positive prompt and the sampler.",
            port="positive",
        )
    )
