"""Qwen-Image as a family: guidance keeps the norm of what the prompt alone gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families._lm.encoder import Reading
from safelight.families._modular.detect import Signs
from safelight.families._modular.family import Encoder, ModularFamily
from safelight.families.base import Held, LatentSpace
from safelight.sdk.leased import Presets, VAEModel

if TYPE_CHECKING:
    from safelight.sdk.context import DenoiserModel, TextModel

# The words in front of the prompt are left out of what the transformer sees: 34 tokens.
_TEMPLATE = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial "
    "relationships of the objects and background:<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
READING = Reading(length=34 + 512, layers=(-1,), template=_TEMPLATE, skip=34)
_EDITS = "which changes images in a way that is not supported yet"


@dataclass(frozen=True)
class QwenImage(ModularFamily):
    def default_scheduler(self, config: Mapping[str, Any]) -> dict[str, Any]:
        del config
        return {
            "_class_name": "FlowMatchEulerDiscreteScheduler",
            "num_train_timesteps": 1000,
            "base_image_seq_len": 256,
            "max_image_seq_len": 8192,
            "base_shift": 0.5,
            "max_shift": 0.9,
            "shift": 1.0,
            "shift_terminal": 0.02,
            "time_shift_type": "exponential",
            "use_dynamic_shifting": True,
        }

    def complete(self, transformer: Any) -> None:
        from diffusers.models.transformers.transformer_qwenimage import QwenEmbedRope

        # Of positions, complex numbers: they are no buffers, so nothing else fills them.
        axes = list(transformer.config.axes_dims_rope)
        transformer.pos_embed = QwenEmbedRope(theta=10000, axes_dim=axes, scale_rope=True)

    def denoiser(self, held: Held) -> DenoiserModel:
        from .denoiser import QwenImageDenoiser

        return QwenImageDenoiser(self, held, self.presets)

    def text_encoder(self, held: Held) -> TextModel:
        from safelight.families._modular.text import LanguageText

        return LanguageText(self, held, READING)

    def vae(self, held: Held) -> VAEModel:
        from .vae import QwenCodec

        return QwenCodec(self, held.modules["vae"], held.device, held.dtype, 1.0)

    def tiny(self, folder: Path, seed: int = 0) -> Path:
        from .tiny import write

        return write(self, folder, seed)


FAMILY = QwenImage(
    id="qwen_image",
    title="Qwen-Image",
    latent=LatentSpace("qwen", channels=16),
    presets=Presets(steps=50, guidance=4.0, sampler="euler", width=1328, height=1328),
    architectures=("qwen-image", "qwen_image"),
    transformer="QwenImageTransformer2DModel",
    autoencoder="AutoencoderKLQwenImage",
    blocks="QwenImageAutoBlocks",
    lora_loader="QwenImageLoraLoaderMixin",
    channels=64,
    pipelines=("QwenImagePipeline", "QwenImageImg2ImgPipeline", "QwenImageInpaintPipeline"),
    others={
        "QwenImageEditPipeline": f"is a Qwen-Image Edit, {_EDITS}",
        "QwenImageEditPlusPipeline": f"is a Qwen-Image Edit, {_EDITS}",
        "QwenImageEditInpaintPipeline": f"is a Qwen-Image Edit, {_EDITS}",
        "QwenImageLayeredPipeline": "is a Qwen-Image that takes images apart, which is not supported yet",
        "QwenImageControlNetPipeline": "is a Qwen-Image with a ControlNet, which is not supported yet",
        "QwenImageControlNetInpaintPipeline": "is a Qwen-Image with a ControlNet, which is not supported yet",
    },
    encoders=(Encoder("text_encoder", "tokenizer", kind="language model"),),
    signs=Signs(
        names=(("transformer_blocks.0.img_mlp.net.0.proj.weight", "txt_norm.weight", "img_in.weight"),),
        lora=("transformer_blocks_0_img_m", "transformer_blocks_0_txt_m", "transformer_blocks_59_attn_"),
        others=("single_transformer_blocks", "attn1", "controlnet_blocks"),
        get="Qwen/Qwen-Image",
    ),
)
