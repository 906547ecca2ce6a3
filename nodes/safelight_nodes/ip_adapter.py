"""IP-Adapters: an image as a prompt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from safelight.sdk import (
    Adapter,
    Choice,
    Conditioning,
    Context,
    Image,
    ImageEncoder,
    IPAdapter,
    Mask,
    ModelRef,
    Slider,
    node,
)

from ._blocks import Blocks, block_factors
from ._refusal import refusal, require_part
from .reading_values import Vectors

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.diffusion.adapter_kinds import Looks


@node(
    version=1,
    title="Apply IP-Adapter",
    tags=(
        "IPAdapter",
        "IPAdapterAdvanced",
        "image prompt",
        "IPAdapterFaceID",
        "FaceID",
        "InsightFace",
        "Redux",
        "Apply Style Model",
    ),
)
def apply(
    positive: Conditioning,
    adapter: ModelRef[IPAdapter],
    encoder: Annotated[
        ModelRef[ImageEncoder] | None, "The image encoder that belongs to the adapter. Plain FaceID needs none."
    ] = None,
    image: Annotated[
        Image | None, "Images to take after; all of a batch together. Transparent parts become white."
    ] = None,
    mask: Annotated[Mask | None, "Where they count; everywhere when nothing is connected."] = None,
    faces: Annotated[
        Vectors | None,
        "For FaceID: embeddings of faces by a face recognition model, all of them together, from reading.load_vectors. "
        "FaceID Plus looks at an image of each face as well.",
    ] = None,
    *,
    scale: Annotated[float, Slider(0, 2, step=0.05), "How much the images count beside the text."] = 0.6,
    start: Annotated[
        float, Slider(0, 1, step=0.01, group="Part of the steps"), "From this fraction of the steps on."
    ] = 0.0,
    end: Annotated[
        float, Slider(0, 1, step=0.01, group="Part of the steps"), "Up to this fraction of the steps."
    ] = 1.0,
    blocks: Blocks = "",
    plus_version: Annotated[
        Literal["auto", "1", "2"],
        Choice(advanced=True, group="FaceID"),
        "Of a FaceID Plus, whose weights do not tell it. auto goes by the name of its file; for Stable Diffusion XL "
        "there is version 2 alone.",
    ] = "auto",
    structure: Annotated[
        float,
        Slider(0, 2, step=0.05, advanced=True, group="FaceID"),
        "How much the image of a face counts beside its embedding, in FaceID Plus version 2.",
    ] = 1.0,
    lora_weight: Annotated[
        float,
        Slider(0, 2, step=0.05, advanced=True, group="FaceID"),
        "Of the LoRA inside a FaceID file. 0 where it is applied from a file of its own.",
    ] = 1.0,
    ctx: Context,
) -> Conditioning:
    """Let images guide a denoiser as a prompt does. Apply it to the positive conditioning.

    The unguided half of guidance looks at an empty image; to steer away from certain images instead, apply the same
    adapter to the negative conditioning as well. Several adapters, one node behind the other, act together.

    Flux.1 Redux is one as well: it makes words of the images, which stand behind those of the prompt.
    """
    from safelight.diffusion.adapter_kinds import face_width, looks_at

    require_part(start, end)
    with ctx.models.lease(adapter) as weights:
        projection = weights.component["image_proj"]
        looks = looks_at(projection)
        width = face_width(projection) if looks.faces else 0
    parts: list[tuple[Tensor, Tensor]] = []
    if looks.faces:
        parts.append(_known(faces, width))
    elif faces is not None:
        message = f"The IP-Adapter {adapter.source.name!r} looks at images alone."
        raise refusal(code="adapter_input", message=message, hint="Disconnect faces, or choose a FaceID.", port="faces")
    if looks.image:
        parts.append(_embedded(ctx, adapter, encoder, image, looks))
    if looks.last:
        return _said(ctx, positive, adapter, parts[0][0], scale, mask, (start, end) != (0, 1) or bool(blocks))
    shortcut = structure if looks.faces and looks.image and _is_second(adapter, plus_version) else None
    wanted, unwanted = (_joined(side) for side in zip(*parts, strict=True))
    one = Adapter(adapter, wanted, unwanted, scale, start, end, block_factors(blocks), mask, shortcut, lora_weight)
    return replace(positive, adapters=(*positive.adapters, one))


def _said(
    ctx: Context,
    positive: Conditioning,
    adapter: ModelRef[IPAdapter],
    states: Tensor,
    scale: float,
    mask: Mask | None,
    partly: bool,
) -> Conditioning:
    """The prompt with the words that Flux.1 Redux makes of images behind its own."""
    import torch

    from safelight.diffusion.adapter_kinds import words

    if positive.family != adapter.family:
        message = f"The prompt is for {positive.family or 'an unknown model'}, and Redux is for Flux.1."
        hint = "Encode it with the text encoders of Flux.1."
        raise refusal(code="wrong_family", message=message, hint=hint, port="positive")
    if partly or mask is not None:
        message = "Redux makes words of the images: they count in all steps, blocks and places."
        hint = "Leave start, end, blocks and the mask as they are; scale weakens it."
        raise refusal(code="adapter_input", message=message, hint=hint, port="adapter")
    with ctx.models.lease(adapter) as weights, torch.no_grad():
        made = words(weights.component["image_proj"], states.to(weights.device, weights.dtype)) * scale
    more = made.to("cpu", torch.float32).flatten(0, 1)[None]
    prompts = []
    for prompt in positive.prompts:
        text = prompt.embeddings
        if text.shape[-1] != more.shape[-1]:
            message = f"The prompt has {text.shape[-1]} channels, and Redux makes {more.shape[-1]}."
            hint = "Encode it with the text encoders of the model that Redux was made for."
            raise refusal(code="wrong_family", message=message, hint=hint, port="positive")
        longer = torch.cat([text, more.expand(len(text), -1, -1)], dim=1)
        prompts.append(replace(prompt, tensors={**prompt.tensors, "embeddings": longer}))
    return replace(positive, prompts=tuple(prompts))


def _known(faces: Vectors | None, width: int) -> tuple[Tensor, Tensor]:
    """Embeddings (faces, width) of faces, and of what stands for none."""
    import torch

    if faces is None:
        message = "This IP-Adapter is for faces (FaceID), and none is connected."
        hint = f"Connect the {width} numbers that a face recognition model gives for a face (reading.load_vectors)."
        raise refusal(code="adapter_input", message=message, hint=hint, port="faces")
    if faces.values.shape[1] != width:
        message = f"A face has {faces.values.shape[1]} numbers here, and the IP-Adapter takes {width}."
        hint = "Use the embedding of the face recognition model it was made for: those of InsightFace have 512 numbers."
        raise refusal(code="adapter_input", message=message, hint=hint, port="faces", value=faces.model)
    # Trained on embeddings of length 1; what is of that length stays.
    found = faces.unit()
    return found, torch.zeros_like(found)


def _joined(parts: tuple[Tensor, ...]) -> Tensor:
    """What an adapter takes of each image, (1, images, ...)."""
    import torch

    if len(parts) == 1:
        return parts[0][None]
    of_faces, of_images = parts
    if len(of_faces) != len(of_images):
        message = f"There are {len(of_faces)} faces and {len(of_images)} images."
        raise refusal(code="wrong_batch", message=message, hint="Give one image of each face.", port="image")
    return torch.cat([of_faces, of_images.flatten(1)], dim=1)[None]


def _is_second(adapter: ModelRef[IPAdapter], version: str) -> bool:
    """Whether a FaceID Plus is of version 2."""
    if version != "auto":
        return version == "2"
    return adapter.family == "sdxl" or "v2" in adapter.source.name.lower()


def _embedded(
    ctx: Context,
    adapter: ModelRef[IPAdapter],
    encoder: ModelRef[ImageEncoder] | None,
    image: Image | None,
    looks: Looks,
) -> tuple[Tensor, Tensor]:
    """Embeddings (images, ...) of the images, and of what stands for none."""
    import torch

    from ._pixels import flattened, prepared

    for given, port in ((encoder, "encoder"), (image, "image")):
        if given is None:
            said = {"encoder": "an image encoder", "image": "an image"}[port]
            message = f"The IP-Adapter {adapter.source.name!r} needs {said}, and none is connected."
            hint = {"encoder": "Connect that of models.load_ip_adapter.", "image": "Connect one to take after."}[port]
            raise refusal(code="adapter_input", message=message, hint=hint, port=port)
    assert encoder is not None and image is not None
    with ctx.models.lease(encoder) as lease, torch.no_grad():
        given = prepared(lease, flattened(image.pixels, 1.0))
        tower = lease.component.encoder
        if looks.last:
            found = tower(given).last_hidden_state
        elif looks.patches:
            found = tower(given, output_hidden_states=True).hidden_states[-2]
        else:
            found = tower(given).image_embeds
        empty = torch.zeros_like(found)
        if looks.blank:
            empty = tower(torch.zeros_like(given), output_hidden_states=True).hidden_states[-2]
    return found.to("cpu", torch.float32), empty.to("cpu", torch.float32)
