"""Motion that a denoiser of images learns beside what it can."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal, NamedTuple

from safelight.sdk import Context, Denoiser, ModelRef, Slider, node

from ..training_values import ClipSet, Weights
from ._fields import Devices, EmaDecay, ItsText, LearningRate, RandomSeed, Shown, Updates, WarmupSteps


class Moving(NamedTuple):
    """A motion module, and what has learned along beside the model."""

    weights: Annotated[Weights, "The motion module. Save it with weights.save_motion."]
    lora: Annotated[
        Weights, "The LoRA that has learned along, where rank is more than 0. Save it with weights.save_lora."
    ]


@node(version=1, title="Train motion module", tags=("AnimateDiff", "MotionAdapter", "video", "text to video", "loop"))
def motion(
    clips: Annotated[ClipSet, "Short videos to learn from, such as those of dataset.loops."],
    model: Annotated[ModelRef[Denoiser], "The model that is to move; it stays as it is."],
    text: ItsText,
    vae: Shown,
    *,
    blocks: Annotated[
        Literal["all", "outer"],
        "Which blocks of the denoiser attend over time. outer: those that see the latent in its full size; a quarter "
        "of the size, and less to learn with.",
    ] = "all",
    rank: Annotated[
        int,
        Slider(0, 128, zero="no LoRA"),
        "Rank of a LoRA that learns along, beside the model: what it does not know of frames of videos, such as where "
        "subjects are then. AnimateDiff calls it a domain adapter. Draw with both.",
    ] = 0,
    updates: Updates = 1000,
    batch: Annotated[int, Slider(1, 128), "Clips of an update."] = 4,
    devices: Devices = 1,
    learning_rate: LearningRate = 5e-4,
    warmup_steps: WarmupSteps = 50,
    ema_decay: EmaDecay = 0.99,
    empty_captions: Annotated[
        float, Slider(0, 1, step=0.05), "Part of the captions that are left empty, for the unguided half of guidance."
    ] = 0.1,
    gamma: Annotated[float, Slider(1, 50, step=0.5), "Cut-off of the weighting by signal to noise (min-SNR)."] = 5.0,
    seed: RandomSeed = 0,
    ctx: Context,
) -> Moving:
    """Train a motion module: what lets a model of images draw the frames of a video that belong together.

    Behind each layer of the denoiser, places attend to themselves in the other frames. At first that changes nothing;
    then the frames of a clip, which share one noise level, teach how things move. Samples show a clip a row.
    Source: Y. Guo et al., "AnimateDiff: Animate Your Personalized Text-to-Image Diffusion Models without Specific
    Tuning", 2023.
    """
    from .._training.motion import Settings, learn

    settings = Settings(
        blocks, rank, updates, batch, learning_rate, warmup_steps, ema_decay, empty_captions, gamma, seed
    )
    return Moving(*ctx.models.spread(partial(learn, clips, model, text, vae, settings), ctx, devices))
