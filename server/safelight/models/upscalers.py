"""Networks from images to images, in one file: upscalers, and those that take out noise, blur or damage.

Which one a file holds is told here by its names, without torch; spandrel (https://github.com/chaiNNer-org/spandrel)
knows the architectures, reads their sizes off the shapes and builds them.
"""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Any, NamedTuple

from safelight.families.files import Header
from safelight.sdk.problem import Problem, ProblemError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from .weights import Target

_RRDB = "conv_first.weight"
ARCHITECTURES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ATD", ("relative_position_index_SA", "layers.0.residual_group.td")),
    ("AuraSR", ("mid_attn.layers.0.0.to_out.weight", "final_res_block.block1.proj.weights")),
    ("RGT", (_RRDB, "layers.0.blocks.0.gamma", "layers.0.blocks.0.attn.attns.0.rpe_biases")),
    ("DAT", (_RRDB, "layers.0.blocks.0.norm1.weight", "layers.0.blocks.0.ffn.sg.conv.weight")),
    ("DRCT", (_RRDB, "layers.0.swin1.norm1.weight", "layers.0.adjust1.weight")),
    ("HAT", (_RRDB, "layers.0.residual_group.blocks.0.conv_block.cab.0.weight")),
    ("Swin2SR", ("patch_embed.proj.weight", "layers.0.residual_group.blocks.0.attn.logit_scale")),
    ("SwinIR", ("layers.0.residual_group.blocks.0.norm1.weight", "layers.0.residual_group.blocks.0.mlp.fc1.bias")),
    ("ESRGAN", (_RRDB, "body.0.rdb1.conv1.weight", "conv_last.weight")),
    ("ESRGAN", (_RRDB, "RRDB_trunk.0.RDB1.conv1.weight", "conv_last.weight")),
    ("ESRGAN", ("model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight")),
    ("ESRGAN", ("model.0.weight", "model.1.sub.0.RDB1.conv1x1.weight")),
    ("GFPGAN", ("toRGB.0.weight", "stylegan_decoder.style_mlp.1.weight")),
    ("RestoreFormer", ("quantize.embedding.weight", "quant_conv.weight", "encoder.down.0.block.0.norm1.weight")),
    ("CodeFormer", ("position_emb", "idx_pred_layer.1.weight", "quantize.embedding.weight", "encoder.blocks.0.weight")),
    ("SPAN", ("conv_1.sk.weight", "block_1.c1_r.eval_conv.weight", "upsampler.0.weight")),
    ("RealCUGAN", ("unet1.conv1.conv.0.weight", "unet2.conv1.conv.0.weight", "unet2.conv_bottom.weight")),
    ("OmniSR", ("residual_layer.0.residual_layer.0.layer.0.fn.0.weight", "up.0.weight")),
    ("PLKSR", ("feats.0.weight", "feats.1.refine.weight")),
    ("MoSR", ("gblocks.0.weight", "gblocks.1.conv.weight")),
    ("SAFMN", ("to_feat.weight", "feats.0.safm.mfr.0.weight")),
    ("DITN", ("sft.weight", "UFONE.0.ITLs.0.attn.temperature")),
    ("RCAN", ("tail.1.weight", "body.0.body.0.body.3.conv_du.0.weight")),
    ("NAFNet", ("intro.weight", "ending.weight", "middle_blks.0.sca.1.weight")),
    ("SCUNet", ("m_head.0.weight", "m_tail.0.weight")),
    ("FBCNN", ("m_head.weight", "m_tail.weight", "qf_pred.0.res.0.weight")),
    ("DRUNet", ("m_head.weight", "m_tail.weight", "m_body.0.res.0.weight")),
    ("Compact", ("body.0.weight", "body.1.weight", "body.2.weight")),
)
"""Architectures, and names that tell them; the first row that fits holds."""

_EXTRA = ("CodeFormer",)
"""Those whose code may not be sold: it is in a package of its own, which users install if its licence suits them."""

_LEVELS = ("", "module.", "netG.", "params_ema.", "params.", "state_dict.")
"""What programs put before all names."""


def architecture(header: Header) -> str:
    """Which network from images to images a file holds ('ESRGAN'); empty for anything else."""
    return _told(header.tensors)[1]


def _told(names: Container[str]) -> tuple[str, str]:
    """What stands before all names, and the architecture; both empty when it is none of them."""
    for level in _LEVELS:
        for name, marks in ARCHITECTURES:
            if all(level + mark in names for mark in marks):
                return level, name
    return "", ""


class Upscaler(NamedTuple):
    """Implements `sdk.UpscalerModel`."""

    network: Any
    scale: int
    channels: int
    tiled: bool
    faces: bool

    def __call__(self, pixels: Tensor) -> Tensor:
        import torch

        weight = next(self.network.model.parameters())
        given = pixels.movedim(-1, 1).to(weight.device, weight.dtype)
        if self.channels == 1:  # such as a denoiser of grey images: each colour by itself
            given = given.flatten(0, 1).unsqueeze(1)
        elif self.channels == 4:
            given = torch.cat([given, torch.ones_like(given[:, :1])], 1)
        made = self.network(given).float().cpu()
        if self.channels == 1:
            made = made.squeeze(1).unflatten(0, (len(pixels), 3))
        return made[:, :3].movedim(1, -1).clamp(0, 1).contiguous()


def load_upscaler(file: Path, target: Target) -> tuple[Upscaler, Any]:
    """The network of a file, on the device, and its torch module; in single precision where it cannot be computed in
    the one that is asked for.

    Raises:
        ProblemError: `model_incomplete`, when its weights do not make up a network; `wrong_model`; `needs_package`.
    """
    import torch
    from spandrel import MAIN_REGISTRY, ImageModelDescriptor, ModelLoader, ModelTiling

    from .weights import Target, tensors

    single = Target(torch.float32, torch.device("cpu"), channels_last=False)
    given = {name: tensor.clone() for name, tensor in tensors([file], single)}
    level, name = _told(given)
    registry = _extra(file) if name in _EXTRA else None
    try:
        network = ModelLoader("cpu", registry=registry or MAIN_REGISTRY).load_from_state_dict(
            {name.removeprefix(level): tensor for name, tensor in given.items()}
        )
    except Exception as error:  # spandrel reads sizes off the shapes; what does not fit breaks anywhere
        said = str(error).partition("\n")[0][:200] or type(error).__name__
        message = f"The weights of {file.name} do not make up an upscaler: {said}"
        hint = "Copy or download it again, or choose another one."
        raise ProblemError(Problem(code="model_incomplete", message=message, hint=hint, value=file.name)) from error
    if not isinstance(network, ImageModelDescriptor):
        message = f"{file.name} paints masked parts of images; it makes none larger and mends none as a whole."
        hint = "Choose an upscaler, or a model that mends images."
        raise ProblemError(Problem(code="wrong_model", message=message, hint=hint, value=file.name))
    half = {torch.float16: network.supports_half, torch.bfloat16: network.supports_bfloat16}
    network.model.to(target.device, target.dtype if half.get(target.dtype, True) else torch.float32)
    network.model.eval().requires_grad_(False)
    made = Upscaler(
        network,
        network.scale,
        network.input_channels,
        network.tiling != ModelTiling.INTERNAL,
        network.purpose == "FaceSR",
    )
    return made, network.model


def _extra(file: Path) -> Any:
    """The architectures of spandrel-extra-arches."""
    from importlib import import_module

    try:
        return import_module("spandrel_extra_arches").EXTRA_REGISTRY  # by name: types are checked without it, too
    except ImportError:
        message = f"{file.name} is a CodeFormer, whose code is for non-commercial use alone (S-Lab License 1.0)."
        hint = "`pip install spandrel-extra-arches`, if that suits you; GFPGAN and RestoreFormer need nothing more."
        raise ProblemError(Problem(code="needs_package", message=message, hint=hint, value=file.name)) from None
