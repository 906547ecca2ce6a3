"""ControlNets in one file, in the layout of the original release or in that of diffusers; also those of several kinds
in one (union), which exist in the latter alone.

Such a file holds weights alone. Its configuration is computed from their shapes, so that those with fewer blocks or
layers than the denoiser (the small and middle ones of Stable Diffusion XL) are read as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from safelight.families.base import Files, Loaded
from safelight.families.files import Header
from safelight.sdk.problem import Problem, ProblemError

if TYPE_CHECKING:
    from .generation import Generation

_ORIGINAL = "input_hint_block.0.weight"
_DIFFUSERS = "controlnet_cond_embedding.conv_in.weight"
_UNION = "task_embedding"
_PREFIXES = ("control_model.", "")
_DOWNSAMPLER = re.compile(r"input_blocks\.(\d+)\.0\.op\.weight")


def layout(header: Header) -> tuple[str, bool] | None:
    """How the names of a ControlNet in one file begin, and whether it has the original layout; None for others."""
    for prefix in _PREFIXES:
        for mark in (_ORIGINAL, _DIFFUSERS):
            if prefix + mark in header.tensors:
                return prefix, mark == _ORIGINAL
    return None


def load(family: Generation, files: Files) -> Loaded:
    """Raises ProblemError: weights are missing, or of other shapes than the rest of the file tells."""
    from diffusers.models.controlnets.controlnet import ControlNetModel
    from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel

    found = layout(files.header())
    assert found is not None, "a file that was told to be a ControlNet"
    prefix, original = found
    given = {name.removeprefix(prefix): tensor for name, tensor in files.tensors(prefix=prefix).items()}
    try:
        named = _converted(given) if original else given
        config = configuration(family, {name: tuple(tensor.shape) for name, tensor in named.items()})
    except (KeyError, IndexError, AttributeError, ValueError) as error:
        message = f"The ControlNet {files.name} lacks weights that every one has: {str(error).strip(chr(39))}."
        hint = "Copy or download it again."
        raise ProblemError(Problem(code="model_incomplete", message=message, hint=hint, value=files.name)) from error
    cls = ControlNetUnionModel if _UNION in named else ControlNetModel
    return Loaded({"controlnet": files.filled(lambda: cls(**config), named)})


def _converted(given: Mapping[str, Any]) -> dict[str, Any]:
    """The weights of the original layout by the names of diffusers."""
    from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint

    places = sorted(int(found[1]) for name in given if (found := _DOWNSAMPLER.fullmatch(name)))
    named = convert_controlnet_checkpoint(dict(given), {"layers_per_block": places[0] - 1})
    # diffusers passes over what Stable Diffusion XL is told beside the text.
    for number in (1, 2):
        for kind in ("weight", "bias"):
            place = f"label_emb.0.{2 * (number - 1)}.{kind}"
            if place in given:
                named[f"add_embedding.linear_{number}.{kind}"] = given[place]
    lacking = [name for name, tensor in named.items() if tensor is None]
    if lacking:
        raise KeyError(lacking[0])
    return named


def configuration(family: Generation, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The configuration of a ControlNet from the shapes of its weights, by the names of diffusers.

    What shapes do not tell (heads of the attention, groups of the normalisation) is that of the family's release.

    Raises:
        KeyError: a weight is not there that every ControlNet has.
    """
    count = _count(shapes, r"down_blocks\.(\d+)\.")
    blocks = [f"down_blocks.{number}." for number in range(count)]
    depths = [_count(shapes, re.escape(block) + r"attentions\.0\.transformer_blocks\.(\d+)\.") for block in blocks]
    middle = _count(shapes, r"mid_block\.attentions\.0\.transformer_blocks\.(\d+)\.")
    attention = next((block for block, depth in zip(blocks, depths, strict=True) if depth), "")
    release = {key: value for key, value in family.unet.items() if key in _OF_THE_RELEASE}
    hints = _count(shapes, r"controlnet_cond_embedding\.blocks\.(\d+)\.")
    embedding = "controlnet_cond_embedding."
    config: dict[str, Any] = {
        **release,
        "in_channels": shapes["conv_in.weight"][1],
        "conditioning_channels": shapes[f"{embedding}conv_in.weight"][1],
        "conditioning_embedding_out_channels": (
            shapes[f"{embedding}conv_in.weight"][0],
            *(shapes[f"{embedding}blocks.{number}.weight"][0] for number in range(1, hints, 2)),
        ),
        "down_block_types": tuple("CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths),
        "block_out_channels": tuple(shapes[f"{block}resnets.0.conv1.weight"][0] for block in blocks),
        "layers_per_block": _count(shapes, r"down_blocks\.0\.resnets\.(\d+)\."),
        "transformer_layers_per_block": tuple(depth or 1 for depth in depths),
    }
    if attention:
        inner = f"{attention}attentions.0."
        config["cross_attention_dim"] = shapes[f"{inner}transformer_blocks.0.attn2.to_k.weight"][1]
        config["use_linear_projection"] = len(shapes[f"{inner}proj_in.weight"]) == 2
    if _UNION in shapes:
        config["num_control_type"], config["num_trans_channel"] = shapes[_UNION]
        config["num_trans_layer"] = _count(shapes, r"transformer_layes\.(\d+)\.")
        config["num_proj_channel"] = shapes["spatial_ch_projs.weight"][0]
    elif not middle:
        config["mid_block_type"] = "UNetMidBlock2D"
    if "add_embedding.linear_1.weight" in shapes:
        config["addition_embed_type"] = "text_time"
        config["projection_class_embeddings_input_dim"] = shapes["add_embedding.linear_1.weight"][1]
    return config


_OF_THE_RELEASE = ("attention_head_dim", "norm_num_groups", "addition_time_embed_dim")


def _count(names: Iterable[str], pattern: str) -> int:
    """How many there are of what is numbered from 0 on."""
    return max((int(found[1]) for name in names if (found := re.match(pattern, name))), default=-1) + 1
