"""Tiny random models of families whose modular blocks differ in what they carry from step to step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch


class Set(NamedTuple):
    """`blocks` is the denoise room of a family; `components` are made for one run, from one model."""

    blocks: Any
    components: Callable[[], dict[str, Any]]
    inputs: dict[str, Any]


def drawn(*shape: int, seed: int = 7) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def model(cls: Any, **config: Any) -> Any:
    """A random model in which no weight is zero, so that all of its inputs count."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = cls(**config).eval()
        for parameter in made.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.05)
    return made


def sd3(guider: Any = None) -> Set:
    from diffusers import ClassifierFreeGuidance, FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel
    from diffusers.modular_pipelines import StableDiffusion3AutoBlocks

    transformer = model(
        SD3Transformer2DModel,
        sample_size=32,
        patch_size=1,
        in_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=32,
        pooled_projection_dim=64,
        out_channels=4,
    )

    def components() -> dict[str, Any]:
        made = guider() if guider else ClassifierFreeGuidance(guidance_scale=5.0)
        return {"transformer": transformer, "scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0), "guider": made}

    inputs = {
        "prompt_embeds": drawn(2, 12, 32),
        "negative_prompt_embeds": drawn(2, 12, 32) * 0.5,
        "pooled_prompt_embeds": drawn(2, 64),
        "negative_pooled_prompt_embeds": drawn(2, 64) * 0.5,
        "latents": drawn(2, 4, 8, 8, seed=3),
        "height": 64,
        "width": 64,
    }
    return Set(StableDiffusion3AutoBlocks().sub_blocks["denoise"], components, inputs)


def sd3_with_momentum() -> Set:
    from diffusers import AdaptiveProjectedGuidance

    return sd3(lambda: AdaptiveProjectedGuidance(guidance_scale=5.0, adaptive_projected_guidance_momentum=-0.5))


def flux() -> Set:
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel
    from diffusers.modular_pipelines import FluxAutoBlocks

    transformer = model(
        FluxTransformer2DModel,
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=[4, 4, 8],
        guidance_embeds=True,
    )

    def components() -> dict[str, Any]:
        scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
        return {"transformer": transformer, "scheduler": scheduler}

    inputs = {
        "prompt_embeds": drawn(1, 12, 32),
        "pooled_prompt_embeds": drawn(1, 32),
        "latents": drawn(1, 16, 16, seed=3),
        "height": 64,
        "width": 64,
    }
    return Set(FluxAutoBlocks().sub_blocks["denoise"], components, inputs)


def wan() -> Set:
    """A scheduler that remembers what earlier steps predicted."""
    from diffusers import ClassifierFreeGuidance, UniPCMultistepScheduler, WanTransformer3DModel
    from diffusers.modular_pipelines import WanBlocks

    transformer = model(
        WanTransformer3DModel,
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=16,
        out_channels=16,
        text_dim=16,
        freq_dim=256,
        ffn_dim=32,
        num_layers=1,
        rope_max_seq_len=32,
    )

    def components() -> dict[str, Any]:
        scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
        return {"transformer": transformer, "scheduler": scheduler, "guider": ClassifierFreeGuidance(3.0)}

    inputs = {
        "prompt_embeds": drawn(1, 12, 16),
        "negative_prompt_embeds": drawn(1, 12, 16) * 0.5,
        "latents": drawn(1, 16, 2, 8, 8, seed=3),
        "height": 64,
        "width": 64,
        "num_frames": 5,
    }
    return Set(WanBlocks().sub_blocks["denoise"], components, inputs)


SETS = {"sd3": sd3, "sd3 with momentum": sd3_with_momentum, "flux": flux, "wan": wan}
