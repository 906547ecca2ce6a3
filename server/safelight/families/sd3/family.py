"""Stable Diffusion 3 as a family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safelight.families._clip.towers import CLIP_BIG_G, CLIP_L, Tower
from safelight.families._modular.controlnet import saved_together
from safelight.families._modular.detect import JOINT, Blocks, Signs
from safelight.families._modular.family import Encoder, ModularFamily
from safelight.families._original.names import Rule, Shapes
from safelight.families.base import Held, LatentSpace, Lora
from safelight.sdk.leased import Presets

from .controlnet import CONTROLNET

if TYPE_CHECKING:
    from safelight.sdk.context import DenoiserModel, TextModel

# Of the preview in the makers' reference code, there for colours in -1..1: github.com/Stability-AI/sd3.5, sd3_impls.py.
_COLOURS = (
    (-0.0645, 0.0177, 0.1052),
    (0.0028, 0.0312, 0.0650),
    (0.1848, 0.0762, 0.0360),
    (0.0944, 0.0360, 0.0889),
    (0.0897, 0.0506, -0.0364),
    (-0.0020, 0.1203, 0.0284),
    (0.0855, 0.0118, 0.0283),
    (-0.0539, 0.0658, 0.1047),
    (-0.0057, 0.0116, 0.0700),
    (-0.0412, 0.0281, -0.0039),
    (0.1106, 0.1171, 0.1220),
    (-0.0248, 0.0682, -0.0481),
    (0.0815, 0.0846, 0.1207),
    (-0.0120, -0.0055, -0.0867),
    (-0.0749, -0.0634, -0.0456),
    (-0.1418, -0.1457, -0.1259),
)


@dataclass(frozen=True)
class StableDiffusion3(ModularFamily):
    def rules(self, shapes: Shapes) -> Sequence[Rule]:
        from .original import rules

        return rules(shapes)

    def layer_rules(self, transformer: Any) -> Sequence[Rule]:
        from .original import layer_rules

        return layer_rules(transformer.config.num_layers)

    def read_lora(self, name: str, tensors: Mapping[str, Any], modules: Mapping[str, Any]) -> Lora:
        from safelight.families._modular.lora import unfused

        transformer = modules.get("transformer")
        if transformer is not None:  # diffusers knows its own names alone
            names = dict(transformer.named_modules())
            tensors = unfused(tensors, "transformer", self.fused_names("transformer", transformer, names), names)
        return super().read_lora(name, tensors, modules)

    def config_of(self, shapes: Shapes) -> dict[str, Any]:
        from .original import config_of

        return config_of(shapes)

    def denoiser(self, held: Held) -> DenoiserModel:
        from .denoiser import SD3Denoiser

        return SD3Denoiser(self, held, self.presets)

    def text_encoder(self, held: Held) -> TextModel:
        from .text import SD3Text

        return SD3Text(self, held)


FAMILY = StableDiffusion3(
    id="sd3",
    title="Stable Diffusion 3",
    latent=LatentSpace(
        "sd3",
        channels=16,
        scaling=1.5305,
        shift=0.0609,
        rgb=(*((r / 2, g / 2, b / 2) for r, g, b in _COLOURS), (0.5, 0.5, 0.5)),
    ),
    presets=Presets(steps=28, guidance=7.0, sampler="euler", width=1024, height=1024),
    architectures=("stable-diffusion-v3", "stable-diffusion-3", "sd3"),
    transformer="SD3Transformer2DModel",
    blocks="StableDiffusion3AutoBlocks",
    schedule={"shift": 3.0},
    lora_loader="SD3LoraLoaderMixin",
    pipelines=("StableDiffusion3Pipeline", "StableDiffusion3Img2ImgPipeline", "StableDiffusion3InpaintPipeline"),
    others={
        "StableDiffusion3ControlNetPipeline": saved_together("Stable Diffusion 3"),
        "StableDiffusion3ControlNetInpaintingPipeline": saved_together("Stable Diffusion 3"),
        "StableDiffusion3PAGPipeline": "is a Stable Diffusion 3 with perturbed attention, which is not supported yet",
    },
    encoders=(
        Encoder(
            "text_encoder",
            "tokenizer",
            tower=Tower("text_encoder", "tokenizer", "text_encoders.clip_l.", CLIP_L, projected=True),
        ),
        Encoder(
            "text_encoder_2",
            "tokenizer_2",
            tower=Tower(
                "text_encoder_2", "tokenizer_2", "text_encoders.clip_g.", CLIP_BIG_G, "!", projected=True, sort="clip_g"
            ),
        ),
        Encoder("text_encoder_3", "tokenizer_3", kind="t5", optional=True),
    ),
    controlnet=CONTROLNET,
    signs=Signs(
        names=(
            ("joint_blocks.0.context_block.adaLN_modulation.1.bias",),
            ("transformer_blocks.0.attn.add_k_proj.weight", "pos_embed.proj.weight"),
        ),
        lora=("joint_blocks_",),
        adapters=(("ip_adapter.0.norm_ip.linear.weight", "image_proj.time_embedding.linear_1.weight"),),
        # Medium has 24 blocks of 1536 channels, Large of 3.5 has 38 of 2432.
        blocks=Blocks((*JOINT, "attn2_", "ff_net_", "ff_context_net_", "norm1_"), widths=(1536, 2432), last=range(38)),
        others=("single_transformer_blocks", "controlnet_blocks"),
    ),
)
