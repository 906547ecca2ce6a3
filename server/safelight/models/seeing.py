"""Image encoders to memory, from folders of transformers and from single files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .headers import read_header
from .image_encoders import Names, start_of
from .layout import Part, read_json
from .weights import Target, tensors

if TYPE_CHECKING:
    from torch import Tensor

_OPEN_CLIP_NAMES = (
    ("class_embedding", "embeddings.class_embedding"),
    ("positional_embedding", "embeddings.position_embedding.weight"),
    ("conv1.", "embeddings.patch_embedding."),
    ("ln_pre.", "pre_layrnorm."),
    ("ln_post.", "post_layernorm."),
    ("transformer.resblocks.", "encoder.layers."),
)
_OPEN_CLIP_LAYERS = (
    (".ln_1.", ".layer_norm1."),
    (".ln_2.", ".layer_norm2."),
    (".mlp.c_fc.", ".mlp.fc1."),
    (".mlp.c_proj.", ".mlp.fc2."),
    (".attn.out_proj.", ".self_attn.out_proj."),
)


@dataclass(frozen=True)
class ImageEncoderParts:
    """An image encoder, and what prepares images for it."""

    encoder: Any
    processor: Any


def load_image_encoder(
    part: Part, target: Target, build: Callable[[Callable[[], Any], Mapping[str, Tensor]], Any]
) -> ImageEncoderParts:
    """`build` makes a module from a function and named tensors.

    Raises:
        ProblemError: the weights are not those of one.
    """
    import transformers

    given: dict[str, Tensor] = dict(tensors(part.weights, target))
    if part.config is not None:
        told = read_json(part.config)
        siglip = "siglip" in str(told.get("model_type", ""))
        both = transformers.SiglipConfig if siglip else transformers.CLIPConfig
        alone = transformers.SiglipVisionConfig if siglip else transformers.CLIPVisionConfig
        config: Any = both.from_dict(told).vision_config if "vision_config" in told else alone.from_dict(told)
    else:
        header = read_header(part.weights[0])
        start = start_of(header)
        assert start is not None
        names = Names(header, start)
        siglip = names.siglip
        config = (transformers.SiglipVisionConfig if siglip else transformers.CLIPVisionConfig)(**names.config())
        given = _renamed(given, start, names.open_clip)
    if siglip:
        made: Any = transformers.SiglipVisionModel
        size = {"height": config.image_size, "width": config.image_size}
        processor: Any = transformers.SiglipImageProcessor(size=size)
    else:
        # Where only its states are looked at, the last layer is left out.
        projected = "visual_projection.weight" in given
        made = transformers.CLIPVisionModelWithProjection if projected else transformers.CLIPVisionModel
        # As diffusers does: images are prepared for the tower's size, whatever lies in preprocessor_config.json.
        processor = transformers.CLIPImageProcessor(size=config.image_size, crop_size=config.image_size)
    # Some versions of transformers have this level, and files have it or not.
    level = "vision_model."
    has_level = made is transformers.CLIPVisionModelWithProjection
    bare = {name.removeprefix(level): tensor for name, tensor in given.items()}
    named = {level + name if has_level and name != "visual_projection.weight" else name: t for name, t in bare.items()}
    return ImageEncoderParts(build(lambda: made(config), named), processor)


def _renamed(given: Mapping[str, Tensor], start: str, open_clip: bool) -> dict[str, Tensor]:
    """The tensors of an image encoder by the names of transformers, without what else is in the file."""
    before = start.removesuffix("vision_model.")
    found = {name.removeprefix(start): tensor for name, tensor in given.items() if name.startswith(start)}
    if not open_clip:
        last = "visual_projection.weight"
        return found | ({last: given[before + last]} if before + last in given else {})
    made: dict[str, Tensor] = {}
    for name, tensor in ((_from_open_clip(name), tensor) for name, tensor in found.items()):
        if name == "proj":
            made["visual_projection.weight"] = tensor.T.contiguous()
        elif ".attn.in_proj_" in name:
            layer, _, kind = name.partition(".attn.in_proj_")
            for part, third in zip("qkv", tensor.chunk(3), strict=True):
                made[f"{layer}.self_attn.{part}_proj.{kind}"] = third.contiguous()
        else:
            made[name] = tensor
    return made


def _from_open_clip(name: str) -> str:
    old, new = next((pair for pair in _OPEN_CLIP_NAMES if name.startswith(pair[0])), ("", ""))
    made = new + name.removeprefix(old)
    for old, new in _OPEN_CLIP_LAYERS:
        made = made.replace(old, new)
    return made
