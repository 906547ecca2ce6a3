"""Wan as a family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families._modular.detect import Signs
from safelight.families._modular.family import Encoder, ModularFamily, has
from safelight.families.base import FileKind, Folder, Held, LatentSpace, unsupported
from safelight.sdk.leased import Presets

if TYPE_CHECKING:
    from safelight.sdk.context import DenoiserModel, TextModel
    from safelight.sdk.leased import VAEModel


@dataclass(frozen=True)
class Wan(ModularFamily):
    def is_pipeline(self, folder: Folder) -> bool:
        if folder.index.get("_class_name") in self.pipelines:
            if has(folder, "transformer_2"):
                raise unsupported(folder.name, "is a Wan 2.2 of two transformers, which is not supported yet")
            if folder.index.get("expand_timesteps"):
                raise unsupported(folder.name, "is the Wan 2.2 of 5B, which is not supported yet")
        return super().is_pipeline(folder)

    def component(self, folder: Folder) -> FileKind | None:
        config = folder.config("")
        # Qwen-Image has the same autoencoder under a name of its own.
        if config.get("_class_name") == self.autoencoder:
            return "vae" if config.get("z_dim", 16) == self.latent.channels else None
        return super().component(folder)

    def complete(self, transformer: Any) -> None:
        config = transformer.config
        transformer.rope = type(transformer.rope)(config.attention_head_dim, config.patch_size, config.rope_max_seq_len)

    def default_scheduler(self, config: Mapping[str, Any]) -> dict[str, Any]:
        del config
        return {
            "_class_name": "UniPCMultistepScheduler",
            "num_train_timesteps": 1000,
            "prediction_type": "flow_prediction",
            "use_flow_sigmas": True,
            "flow_shift": 3.0,
        }

    def denoiser(self, held: Held) -> DenoiserModel:
        from .denoiser import WanDenoiser

        return WanDenoiser(self, held, self.presets)

    def text_encoder(self, held: Held) -> TextModel:
        from .text import WanText

        return WanText(self, held)

    def vae(self, held: Held) -> VAEModel:
        from safelight.diffusion.video_autoencoder import WanCodec

        return WanCodec(self, held.modules["vae"], held.device, held.dtype, self.presets)

    def tiny(self, folder: Path, seed: int = 0) -> Path:
        from .tiny import write

        return write(self, folder, seed)


FAMILY = Wan(
    id="wan",
    title="Wan 2.1",
    latent=LatentSpace("wan", channels=16, frames=4),
    presets=Presets(steps=50, guidance=5.0, sampler="unipc", width=832, height=480, frames=81, fps=16.0),
    transformer="WanTransformer3DModel",
    blocks="WanBlocks",
    lora_loader="WanLoraLoaderMixin",
    autoencoder="AutoencoderKLWan",
    schedulers=("UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler"),
    pipelines=("WanPipeline",),
    others={
        "WanImageToVideoPipeline": "is a Wan that starts from an image, which is not supported yet",
        "WanVideoToVideoPipeline": "is a Wan that changes a video, which is not supported yet",
        "WanVACEPipeline": "is a Wan with VACE, which is not supported yet",
        "WanAnimatePipeline": "is a Wan-Animate, which is not supported yet",
    },
    encoders=(Encoder("text_encoder", "tokenizer", kind="t5"),),
    signs=Signs(
        names=(
            ("patch_embedding.weight", "head.modulation"),
            ("patch_embedding.weight", "condition_embedder.time_proj.weight"),
        ),
        lora=(),
        others=("vace_blocks", "img_emb_proj", "image_embedder"),
        get="Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
    ),
)
