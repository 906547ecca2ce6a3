"""Miniatures of pipelines that no family knows: the classes of the published ones, only narrow."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safelight.families._clip.tiny import TEXT_WIDTH, seeded, text_tower, write_tokenizer
from safelight.families._modular.tiny import autoencoder, lively
from safelight.families._t5 import tiny as t5
from safelight.families._unet.tiny import vae


@dataclass(frozen=True)
class Kind:
    """A pipeline to be compared: how it is made, what the node is given, and what the pipeline is given instead.

    `own` are arguments beside prompt, steps and seed; `arguments` go through the field of that name, as they are.
    """

    make: Callable[[], Any]
    clip: tuple[str, ...] = ()
    node: dict[str, Any] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)
    count: str = "num_images_per_prompt"
    batch: int = 2

    def write(self, folder: Path) -> None:
        """Saves it; tokenizers of CLIP, which it was made without, are written as published repositories have them."""
        with seeded(3):
            made = self.make()
            for part in made.components.values():
                if hasattr(part, "parameters"):
                    lively(part)
        made.save_pretrained(folder)
        index = json.loads((folder / "model_index.json").read_text())
        for name in self.clip:
            write_tokenizer(folder / name, "<|endoftext|>")
            index[name] = ["transformers", "CLIPTokenizer"]
        (folder / "model_index.json").write_text(json.dumps(index))


def library() -> Any:
    import diffusers

    return diffusers


def pixels() -> Any:
    return library().UNet2DModel(
        sample_size=16, in_channels=3, out_channels=3, block_out_channels=(8, 16), layers_per_block=1,
        norm_num_groups=4, down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"), attention_head_dim=4,
    )  # fmt: skip


def gemma() -> Any:
    """A language model that reads with the tokenizer of T5, as nothing here looks at its words."""
    from transformers import Gemma2Config, Gemma2Model

    config = Gemma2Config(
        vocab_size=len(t5.tokenizer()), hidden_size=32, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, head_dim=16,
    )  # fmt: skip
    return Gemma2Model(config)


def ddpm() -> Any:
    return library().DDPMPipeline(pixels(), library().DDPMScheduler())


def ddim() -> Any:
    return library().DDIMPipeline(pixels(), library().DDIMScheduler())


def pixart() -> Any:
    transformer = library().PixArtTransformer2DModel(
        num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8, num_layers=2,
        cross_attention_dim=16, sample_size=8, patch_size=2, caption_channels=32, norm_type="ada_norm_single",
        use_additional_conditions=False,
    )  # fmt: skip
    return library().PixArtSigmaPipeline(
        tokenizer=t5.tokenizer(), text_encoder=t5.encoder(32), vae=vae(0.18215), transformer=transformer,
        scheduler=library().DPMSolverMultistepScheduler(),
    )  # fmt: skip


def chroma() -> Any:
    transformer = library().ChromaTransformer2DModel(
        in_channels=64, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, axes_dims_rope=(4, 4, 8), approximator_num_channels=8, approximator_hidden_dim=16,
        approximator_layers=1,
    )  # fmt: skip
    return library().ChromaPipeline(
        scheduler=library().FlowMatchEulerDiscreteScheduler(), vae=autoencoder(0.3611, 0.1159),
        text_encoder=t5.encoder(32), tokenizer=t5.tokenizer(), transformer=transformer,
    )  # fmt: skip


def lumina() -> Any:
    transformer = library().Lumina2Transformer2DModel(
        sample_size=8, in_channels=16, hidden_size=32, num_layers=1, num_refiner_layers=1, num_attention_heads=2,
        num_kv_heads=1, multiple_of=16, axes_dim_rope=(4, 6, 6), axes_lens=(300, 32, 32), cap_feat_dim=32,
    )  # fmt: skip
    return library().Lumina2Pipeline(
        transformer=transformer, scheduler=library().FlowMatchEulerDiscreteScheduler(),
        vae=autoencoder(0.3611, 0.1159), text_encoder=gemma(), tokenizer=t5.tokenizer(),
    )  # fmt: skip


def sana() -> Any:
    transformer = library().SanaTransformer2DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=8, num_layers=1,
        num_cross_attention_heads=2, cross_attention_head_dim=8, cross_attention_dim=16, caption_channels=32,
        sample_size=16,
    )  # fmt: skip
    coder = library().AutoencoderDC(
        latent_channels=4, attention_head_dim=2, encoder_block_types=("ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "EfficientViTBlock"), encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8), encoder_qkv_multiscales=((), (5,)), decoder_qkv_multiscales=((), (5,)),
        encoder_layers_per_block=(1, 1), decoder_layers_per_block=(1, 1), downsample_block_type="conv",
        upsample_block_type="interpolate", decoder_norm_types="rms_norm", decoder_act_fns="silu",
        scaling_factor=0.41407,
    )  # fmt: skip
    return library().SanaPipeline(
        tokenizer=t5.tokenizer(), text_encoder=gemma(), vae=coder, transformer=transformer,
        scheduler=library().FlowMatchEulerDiscreteScheduler(shift=3.0),
    )  # fmt: skip


def animated() -> Any:
    denoiser = library().UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(8, 16), layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        norm_num_groups=4, cross_attention_dim=TEXT_WIDTH, attention_head_dim=4,
    )  # fmt: skip
    motion = library().MotionAdapter(
        block_out_channels=(8, 16), motion_layers_per_block=1, motion_norm_num_groups=4, motion_num_attention_heads=2
    )
    return library().AnimateDiffPipeline(
        vae=vae(0.18215), text_encoder=text_tower("quick_gelu", False), tokenizer=None, unet=denoiser,
        motion_adapter=motion, scheduler=library().DDIMScheduler(clip_sample=False),
    )  # fmt: skip


def kandinsky() -> Any:
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    looking = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, projection_dim=TEXT_WIDTH, num_hidden_layers=1, num_attention_heads=2,
        image_size=16, patch_size=8,
    )  # fmt: skip
    coder = library().VQModel(
        block_out_channels=(32, 64), down_block_types=("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
        up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D"), num_vq_embeddings=12, latent_channels=4,
        vq_embed_dim=4, norm_num_groups=4, norm_type="spatial",
    )  # fmt: skip
    denoiser = library().UNet2DConditionModel(
        in_channels=4, out_channels=8, addition_embed_type="image", block_out_channels=(8, 16), layers_per_block=1,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn", encoder_hid_dim=TEXT_WIDTH,
        encoder_hid_dim_type="image_proj", cross_attention_dim=16, attention_head_dim=4, norm_num_groups=4,
        resnet_time_scale_shift="scale_shift",
    )  # fmt: skip
    return library().KandinskyV22CombinedPipeline(
        unet=denoiser, scheduler=library().DDPMScheduler(thresholding=False), movq=coder,

        prior_prior=library().PriorTransformer(
            num_attention_heads=2, attention_head_dim=8, num_layers=1, embedding_dim=TEXT_WIDTH
        ),
        prior_text_encoder=text_tower("quick_gelu", True),
        prior_image_encoder=CLIPVisionModelWithProjection(looking), prior_tokenizer=None,
        prior_scheduler=library().UnCLIPScheduler(
            variance_type="fixed_small_log", prediction_type="sample", clip_sample_range=5.0, num_train_timesteps=1000
        ),
        prior_image_processor=CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}),
    )  # fmt: skip


def stable_audio() -> Any:
    from diffusers.pipelines.stable_audio.modeling_stable_audio import StableAudioProjectionModel

    transformer = library().StableAudioDiTModel(
        sample_size=8, in_channels=3, out_channels=3, num_layers=1, attention_head_dim=8, num_attention_heads=2,
        num_key_value_attention_heads=2, cross_attention_dim=16, time_proj_dim=8, global_states_input_dim=32,
        cross_attention_input_dim=16,
    )  # fmt: skip
    coder = library().AutoencoderOobleck(
        encoder_hidden_size=6, downsampling_ratios=[1, 2], channel_multiples=[1, 1], decoder_channels=3,
        decoder_input_channels=3, audio_channels=2, sampling_rate=4,
    )  # fmt: skip
    words = t5.tokenizer()
    words.model_max_length = 20
    return library().StableAudioPipeline(
        vae=coder, text_encoder=t5.encoder(16), tokenizer=words, transformer=transformer,
        projection_model=StableAudioProjectionModel(16, 16, 0, 32),
        scheduler=library().CosineDPMSolverMultistepScheduler(
            solver_order=2, prediction_type="v_prediction", sigma_data=1.0, sigma_schedule="exponential"
        ),
    )  # fmt: skip


LED = {"prompt": "a red apple", "guidance": 3.0}
LED_OWN = {"prompt": "a red apple", "guidance_scale": 3.0}
SIZED = {"width": 64, "height": 64}
AGAINST = {"negative": "dark"}
AGAINST_OWN = {"negative_prompt": "dark"}
TEXT: dict[str, Any] = {"node": {**LED, **AGAINST, **SIZED}, "own": {**LED_OWN, **AGAINST_OWN, **SIZED}}

KINDS = {
    "ddpm": Kind(ddpm, count="batch_size"),
    "ddim": Kind(ddim, count="batch_size", arguments={"eta": 0.5}),
    "pixart": Kind(
        pixart,
        **TEXT,
        arguments={"clean_caption": False, "use_resolution_binning": False, "max_sequence_length": 20},
    ),
    "chroma": Kind(chroma, **TEXT, arguments={"max_sequence_length": 20}),
    "lumina2": Kind(lumina, **TEXT, arguments={"max_sequence_length": 20, "system_prompt": "a picture"}),
    "sana": Kind(
        sana,
        **TEXT,
        arguments={
            "use_resolution_binning": False,
            "max_sequence_length": 20,
            "complex_human_instruction": None,
        },
    ),
    # These two draw noise for one, in diffusers 0.42, however many are asked for.
    "animatediff": Kind(animated, ("tokenizer",), **TEXT, arguments={"num_frames": 4}, batch=1),
    "kandinsky22": Kind(kandinsky, ("prior_tokenizer",), **TEXT, arguments={"prior_num_inference_steps": 2}, batch=1),
}
"""Those that make images or frames."""
SOUND = {"stable_audio": Kind(stable_audio)}
