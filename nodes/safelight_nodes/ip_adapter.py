"""IP-Adapters: an image as a prompt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from safelight.sdk import (
    Adapter,
    Conditioning,
    Context,
    Image,
    ImageEncoder,
    IPAdapter,
    ModelRef,
    Problem,
    ProblemError,
    Slider,
    node,
)

if TYPE_CHECKING:
    from torch import Tensor


@node(version=1, tags=("IPAdapter", "IPAdapterAdvanced", "image prompt"))
def apply(
    positive: Conditioning,
    adapter: ModelRef[IPAdapter],
    encoder: Annotated[ModelRef[ImageEncoder], "The image encoder that belongs to the adapter."],
    image: Annotated[Image, "Images to take after; all of a batch together. Transparent parts become white."],
    *,
    scale: Annotated[float, Slider(0, 2, step=0.05), "How much the images count beside the text."] = 0.6,
    start: Annotated[
        float, Slider(0, 1, step=0.01, group="Part of the steps"), "From this fraction of the steps on."
    ] = 0.0,
    end: Annotated[
        float, Slider(0, 1, step=0.01, group="Part of the steps"), "Up to this fraction of the steps."
    ] = 1.0,
    ctx: Context,
) -> Conditioning:
    """Let images guide a denoiser as a prompt does. Apply it to the positive conditioning.

    The unguided half of guidance looks at an empty image; to steer away from certain images instead, apply the same
    adapter to the negative conditioning as well. Several adapters, one node behind the other, act together.
    """
    from ._pixels import flattened

    if start >= end:
        raise ProblemError(
            Problem(
                code="empty_range",
                message=f"The range from {start:g} to {end:g} is empty.",
                hint="Let start be below end.",
                port="start",
                value=start,
            )
        )
    with ctx.models.lease(adapter) as weights:
        deep = _reads_patches(weights.component["image_proj"])
    wanted, unwanted = _embedded(ctx, encoder, flattened(image.pixels, 1.0), deep)
    one = Adapter(adapter, wanted[None], unwanted[None], scale, start, end)
    return replace(positive, adapters=(*positive.adapters, one))


def _reads_patches(projection: Any) -> bool:
    """Whether an adapter was trained on the encoder's patches (the Plus kinds) or on its one summary vector.

    The kinds are told apart by the names of their weights, in the same order as diffusers does it.
    """
    if "proj.weight" in projection:
        return False
    faces = "perceiver_resampler.proj_in.weight" in projection or "norm.weight" in projection
    if faces and "proj.3.weight" not in projection:
        raise ProblemError(
            Problem(
                code="model_not_supported",
                message="This IP-Adapter takes embeddings of a face recognition model.",
                hint="Choose one that takes CLIP image embeddings.",
                port="adapter",
            )
        )
    return True


def _embedded(ctx: Context, encoder: ModelRef[ImageEncoder], pixels: Tensor, deep: bool) -> tuple[Tensor, Tensor]:
    """Embeddings (images, ...) of the images, and of what stands for none."""
    import torch
    from PIL import Image as Images

    from ._pixels import to_bytes

    with ctx.models.lease(encoder) as lease, torch.no_grad():
        images = [Images.fromarray(to_bytes(pil_image)) for pil_image in pixels]
        given = lease.component.processor(images, return_tensors="pt").pixel_values.to(lease.device, lease.dtype)
        tower = lease.component.encoder
        if deep:
            found = tower(given, output_hidden_states=True).hidden_states[-2]
            empty = tower(torch.zeros_like(given), output_hidden_states=True).hidden_states[-2]
        else:
            found = tower(given).image_embeds
            empty = torch.zeros_like(found)
    return found.to("cpu", torch.float32), empty.to("cpu", torch.float32)
