"""Settings that several trainings have."""

from __future__ import annotations

from typing import Annotated

from safelight.sdk import VAE, Migration, ModelRef, Number, Seed, Slider, TextEncoder

from ..training_values import ImageSet, LatentSet

Latents = Annotated[LatentSet, "The images, encoded."]
Captioned = Annotated[ImageSet, "The very set that was encoded: captions are drawn from it."]
ItsText = Annotated[ModelRef[TextEncoder], "Its text encoder."]
Shown = Annotated[ModelRef[VAE] | None, "Its VAE; only to show samples while it learns."]
Updates = Annotated[int, Number(1, 10_000_000), "Updates of the weights."]
Batch = Annotated[int, Slider(1, 512), "Images of an update."]
LearningRate = Annotated[float, Number(1e-7, 1, step=1e-5), "Learning rate: how far an update goes."]
WarmupSteps = Annotated[int, Number(0, 100_000), "Warm-up steps, over which the learning rate rises to its value."]
EmaDecay = Annotated[
    float, Slider(0, 0.9999, step=0.0001), "EMA decay: of the average of the weights, which is what is kept at the end."
]
Anywhere = Annotated[
    float, Slider(0, 1, step=0.05), "Part of the images over any colour; the rest is over colours with a name."
]
Rank = Annotated[int, Slider(1, 128), "Rank of the LoRA: its size and its powers."]
Devices = Annotated[
    int,
    Slider(1, 8, advanced=True),
    "Graphics cards of this machine that share an update: each makes its own passes, and all count alike.",
]
RandomSeed = Annotated[int, Seed(), "Where all random numbers start."]
TextWidth = Annotated[int, Slider(16, 1280), "Channels of a new text encoder."]
TextLayers = Annotated[int, Slider(1, 32), "Layers of a new text encoder."]

IMAGES_TO_2 = Migration(inputs={"pictures": "images"})
COURSE_TO_2 = Migration(inputs={"rate": "learning_rate", "warm": "warmup_steps", "average": "ema_decay"})
BOTH_TO_2 = Migration(inputs=IMAGES_TO_2.inputs | COURSE_TO_2.inputs)
