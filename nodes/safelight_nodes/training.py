"""Training: tokenizers, autoencoders, CLIP, denoisers, and versions of them that need few steps.

Every node here reports its loss and samples while it works, may be stopped at any step, and goes on from its last
checkpoint when the same work is run again: to the same weights, as if it had never been stopped.
"""

from __future__ import annotations

from typing import Annotated

from safelight.sdk import VAE, Context, Denoiser, ModelRef, Number, Seed, Slider, TextEncoder, node

from .dataset import PictureSet
from .weights import Weights

_Updates = Annotated[int, Number(1, 10_000_000), "Updates of the weights."]
_Batch = Annotated[int, Slider(1, 512), "Pictures of an update."]
_Rate = Annotated[float, Number(1e-7, 1, step=1e-5), "Learning rate: how far an update goes."]
_Warm = Annotated[int, Number(0, 100_000), "Updates over which the rate rises to its value."]
_Average = Annotated[
    float, Slider(0, 0.9999, step=0.0001), "Decay of the average of the weights, which is what is kept at the end."
]
_Seed = Annotated[int, Seed(), "Where all random numbers start."]


@node(version=1, title="Train few-step LoRA")
def few_step(
    model: Annotated[ModelRef[Denoiser], "The model to make faster."],
    text: Annotated[ModelRef[TextEncoder], "Its text encoder."],
    prompts: Annotated[PictureSet, "Captions are drawn from it; its pictures are not looked at."],
    vae: Annotated[ModelRef[VAE] | None, "Its VAE; only to show samples while it learns."],
    *,
    steps: Annotated[int, Slider(1, 16), "Steps that the result will make a picture in."] = 4,
    inner: Annotated[int, Slider(1, 20), "Steps of the model that each of them stands for."] = 5,
    guidance: Annotated[
        float, Slider(1, 15, step=0.5), "The guidance that is learned along; the result needs none."
    ] = 4.0,
    rank: Annotated[int, Slider(1, 128), "Rank of the LoRA: its size and its powers."] = 6,
    updates: _Updates = 1500,
    batch: _Batch = 32,
    rate: _Rate = 1e-3,
    warm: _Warm = 50,
    average: _Average = 0.995,
    explicit: Annotated[float, Slider(0, 1, step=0.05), "Part of the captions that say style and background."] = 0.5,
    seed: _Seed = 0,
    ctx: Context,
) -> Annotated[Weights, "Save it with weights.save_lora; sample with ddim, guidance 1 and so many steps."]:
    """Distil a model into a LoRA that makes a picture in a few steps, without guidance.

    The model draws pictures in many steps, the LoRA learns to jump over most of them (progressive distillation). Needs
    no pictures, only prompts.
    """
    from ._training.few_step import Settings, distil

    settings = Settings(steps, inner, guidance, rank, updates, batch, rate, warm, average, explicit, seed)
    return distil(model, text, prompts, vae, settings, ctx)
