"""What guides a denoiser beside its text, and is learned while the denoiser stays as it is."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from safelight.sdk import (
    Context,
    ControlNet,
    Denoiser,
    Image,
    ImageEncoder,
    ModelRef,
    Slider,
    node,
)

from ..training_values import Weights
from ._fields import (
    Batch,
    Captioned,
    Devices,
    EmaDecay,
    ItsText,
    Latents,
    LearningRate,
    RandomSeed,
    Shown,
    Updates,
    WarmupSteps,
)

_Model = Annotated[ModelRef[Denoiser], "The model to guide; it stays as it is."]
_Gamma = Annotated[float, Slider(1, 50, step=0.5), "Cut-off of the weighting by signal to noise (min-SNR)."]


@node(version=1, title="Train ControlNet", tags=("Train ControlNet", "control image", "canny", "edges", "conditioning"))
def controlnet(
    latents: Latents,
    images: Captioned,
    model: _Model,
    text: ItsText,
    controls: Annotated[
        Image | None,
        "A control image for each image of the set, in its order, made with any preprocessor. Without them, condition "
        "says what is made of the images.",
    ],
    start: Annotated[ModelRef[ControlNet] | None, "A ControlNet to go on from. Without one, a new one is made."],
    vae: Shown,
    *,
    condition: Annotated[
        Literal["edges", "shape", "brightness"],
        "What it learns to obey: edges (Canny), the shape (white where an image is not transparent), or blurred light "
        "and dark.",
    ] = "edges",
    updates: Updates = 4000,
    batch: Batch = 32,
    devices: Devices = 1,
    learning_rate: LearningRate = 3e-4,
    warmup_steps: WarmupSteps = 100,
    ema_decay: EmaDecay = 0.995,
    empty_captions: Annotated[
        float,
        Slider(0, 1, step=0.05),
        "Part of the captions that are left empty, so that the control image alone has to say what is there. 0.5 in "
        "the paper.",
    ] = 0.3,
    empty_controls: Annotated[
        float, Slider(0, 0.5, step=0.01), "Part of the control images that are left black: they ask for nothing."
    ] = 0.05,
    gamma: _Gamma = 5.0,
    seed: RandomSeed = 0,
    ctx: Context,
) -> Annotated[Weights, "Save it with weights.save_controlnet."]:
    """Train a ControlNet: a network that makes a model obey a control image, such as edges.

    It begins as a copy of the first half of the denoiser, joined to it by convolutions that are zero, so that at first
    it changes nothing. Samples show control images above and what is made of them below.
    Source: L. Zhang et al., "Adding Conditional Control to Text-to-Image Diffusion Models", 2023.
    """
    from .._training.controlnet import Settings, learn

    settings = Settings(
        condition, updates, batch, learning_rate, warmup_steps, ema_decay, empty_captions, empty_controls, gamma, seed
    )
    work = partial(learn, latents, images, model, text, controls, start, vae, settings)
    return ctx.models.spread(work, ctx, devices)


@node(version=1, title="Train IP-Adapter", tags=("Train IP-Adapter", "IPAdapter", "image prompt", "reference"))
def ip_adapter(
    latents: Latents,
    images: Captioned,
    model: _Model,
    text: ItsText,
    encoder: Annotated[ModelRef[ImageEncoder], "The image encoder whose summary of an image is the prompt."],
    vae: Shown,
    *,
    updates: Updates = 3000,
    batch: Batch = 32,
    devices: Devices = 1,
    learning_rate: LearningRate = 5e-4,
    warmup_steps: WarmupSteps = 100,
    ema_decay: EmaDecay = 0.995,
    empty: Annotated[
        float,
        Slider(0, 0.3, step=0.01),
        "Part of the examples without their caption, as many without their image, and as many without both. 0.05 in "
        "the paper.",
    ] = 0.05,
    gamma: _Gamma = 5.0,
    seed: RandomSeed = 0,
    ctx: Context,
) -> Annotated[Weights, "Save it with weights.save_ip_adapter."]:
    """Train an IP-Adapter: an image as a prompt, beside the text or in its place.

    Every attention to the text gets a second one, to four words that are made of an image encoder's summary of the
    image. Samples show the images above and what is made of them, without any text, below.
    Source: H. Ye et al., "IP-Adapter: Text Compatible Image Prompt Adapter for Text-to-Image Diffusion Models", 2023.
    """
    from .._training.ip_adapter import Settings, learn

    settings = Settings(updates, batch, learning_rate, warmup_steps, ema_decay, empty, gamma, seed)
    work = partial(learn, latents, images, model, text, encoder, vae, settings)
    return ctx.models.spread(work, ctx, devices)
