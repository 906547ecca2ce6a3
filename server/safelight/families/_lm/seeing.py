"""A language model that also sees, whole, and prompts with images through it: Qwen2.5-VL."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt
from typing import TYPE_CHECKING, Any

from safelight.families.base import unsupported

from .encoder import Encoded

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from safelight.families.base import Files

MARK = "<|image_pad|>"
"""Stands in a text for an image; there are as many of them as the model has tokens of it."""
_STEP = 32
"""Sides of images are brought to multiples of this, before the model's own processor brings them to its patches."""
_HALVES = (("model.language_model.", "language_model."), ("model.visual.", "visual."), ("model.", "language_model."))
"""How the names of its halves begin in files, by what they are called here; the longest first."""


def encoder(files: Files, part: str) -> Any:
    """The model with its eyes, without its head.

    Raises:
        ProblemError: `unsupported_family`, when the model is another one.
    """
    import torch
    from transformers import AutoConfig, AutoModel

    config = files.config(part)
    if config.get("model_type") != "qwen2_5_vl":
        raise unsupported(files.name, f"reads prompts with {config.get('model_type') or 'another model'} in {part}")
    known: Any = AutoConfig.for_model(**config)

    def make() -> Any:
        module: Any = AutoModel.from_config(known)
        # Frequencies are computed from the configuration, so no file has them.
        with torch.device("cpu"):
            reads = module.language_model
            reads.rotary_emb = type(reads.rotary_emb)(reads.config)
            eyes = module.visual
            eyes.rotary_pos_emb = type(eyes.rotary_pos_emb)(eyes.config)
        return module

    given = {_named(name): tensor for name, tensor in files.tensors(part, ("model.", "visual.")).items()}
    module = files.filled(make, given)
    module.language_model.rotary_emb.to(files.device)
    module.visual.rotary_pos_emb.to(files.device)
    return module


def _named(name: str) -> str:
    for there, here in _HALVES:
        if name.startswith(there):
            return here + name.removeprefix(there)
    return name


def processor(files: Files, part: str) -> Any:
    """What prepares images for the model."""
    from transformers import AutoImageProcessor

    return AutoImageProcessor.from_pretrained(files.folder(part), local_files_only=True)


def encode(
    tokenizer: Any,
    processor: Any,
    model: Any,
    text: str,
    images: Sequence[Tensor],
    area: int,
    skip: int,
    device: torch.device,
) -> Encoded:
    """A prompt that holds `MARK` for each of the images (H, W, 3) in 0..1, as the model understands it.

    Each image is brought to about `area` pixels. The first `skip` tokens are left out of what is handed on.
    """
    import torch

    seen = processor(images=[_brought_to(area, image) for image in images], return_tensors="pt")
    grid = seen["image_grid_thw"]
    # Every mark becomes as many as there are tokens of its image.
    first, *rest = text.split(MARK)
    for size, piece in zip(grid.tolist(), rest, strict=True):
        first += MARK * (prod(size) // processor.merge_size**2) + piece
    ids = torch.tensor([tokenizer(first, verbose=False).input_ids], device=device)
    found = model(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        pixel_values=seen["pixel_values"].to(device, model.dtype),
        image_grid_thw=grid.to(device),
        # Tokens of images have positions in two dimensions, which the model was trained with.
        mm_token_type_ids=(ids == model.config.image_token_id).int(),
        output_hidden_states=True,
        use_cache=False,
    ).hidden_states[-1]
    embeddings = found.to("cpu", torch.float32)[:, skip:]
    return Encoded(embeddings, torch.ones(embeddings.shape[:2]), 0)


def _brought_to(area: int, image: Tensor) -> Any:
    from PIL import Image

    height, width = image.shape[:2]
    wide = sqrt(area * width / height)
    size = _whole(wide), _whole(wide * height / width)
    made = Image.fromarray((image.clamp(0, 1) * 255).round().byte().cpu().numpy())
    return made.resize(size, Image.Resampling.LANCZOS)


def _whole(side: float) -> int:
    return max(_STEP, round(side / _STEP) * _STEP)
