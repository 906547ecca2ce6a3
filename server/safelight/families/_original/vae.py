"""An AutoencoderKL in one file, in the layout of its makers or in the names of diffusers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .names import Shapes, count, shapes_of

if TYPE_CHECKING:
    from safelight.families.base import Files
    from safelight.families.files import Header

PREFIXES = ("first_stage_model.", "vae.", "")
GROUPS = 32
"""Groups of every norm in the releases; shapes do not tell it."""
_ORIGINAL = ("decoder.up.0.block.0.conv1.weight", "encoder.conv_in.weight")
_DIFFUSERS = ("decoder.up_blocks.0.resnets.0.conv1.weight", "encoder.conv_in.weight")


def vae_prefix(header: Header) -> str | None:
    """What stands before the names of the VAE in a file; None when it holds none."""
    for prefix in PREFIXES:
        for marks in (_ORIGINAL, _DIFFUSERS):
            if all(prefix + mark in header.tensors for mark in marks):
                return prefix
    return None


def channels(header: Header, prefix: str = "") -> int:
    """The channels of the latents that it decodes; 0 for one of videos."""
    shape = header.shape(f"{prefix}decoder.conv_in.weight")
    return shape[1] if len(shape) == 4 else 0


def load(files: Files, prefix: str, more: Mapping[str, Any]) -> Any:
    """The AutoencoderKL of a file. `more` is what its shapes do not tell: the scale of its latents above all.

    Raises:
        ProblemError: the weights are not whole.
    """
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    config = {**_config(shapes_of(files.header(), prefix)), **more}
    given = {name.removeprefix(prefix): tensor for name, tensor in files.tensors(prefix=prefix).items()}
    if _ORIGINAL[0] in given:
        given = convert_ldm_vae_checkpoint(given, config)
    return files.filled(lambda: AutoencoderKL.from_config(config), given)


def _config(shapes: Shapes) -> dict[str, Any]:
    original = _ORIGINAL[0] in shapes
    start, block, conv = (
        ("encoder.down.", ".block.", "conv1") if original else ("encoder.down_blocks.", ".resnets.", "conv1")
    )
    levels = count(shapes, start)
    return {
        "in_channels": shapes["encoder.conv_in.weight"][1],
        "out_channels": shapes["encoder.conv_in.weight"][1],
        "latent_channels": shapes["decoder.conv_in.weight"][1],
        "block_out_channels": [shapes[f"{start}{level}{block}0.{conv}.weight"][0] for level in range(levels)],
        "layers_per_block": count(shapes, f"{start}0{block}"),
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "norm_num_groups": GROUPS,
        "use_quant_conv": "quant_conv.weight" in shapes,
        "use_post_quant_conv": "post_quant_conv.weight" in shapes,
    }
