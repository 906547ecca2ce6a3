"""Settings that all fine-tunings have."""

from __future__ import annotations

from typing import Annotated, Literal

from safelight.sdk import VAE, Denoiser, ModelRef, Number, Slider, Text, TextEncoder, Toggle

from ..training_values import ImageSet

TunedModel = Annotated[ModelRef[Denoiser], "The model to train, as it was loaded."]
TunedText = Annotated[ModelRef[TextEncoder], "Its text encoder."]
TunedVAE = Annotated[ModelRef[VAE], "Its VAE: images are encoded by it once, and samples decoded."]
Examples = Annotated[ImageSet, "The images to learn from: ten are enough for one subject or style."]
Prior = Annotated[
    ImageSet | None,
    "Images of the class that the subject belongs to, made by the model itself: it is held to what it knew of them.",
]
PriorWeight = Annotated[
    float, Slider(0, 4, step=0.05), "How much the images of the class count beside those of the subject."
]
FewUpdates = Annotated[int, Number(1, 1_000_000), "Updates of the weights."]
SmallBatch = Annotated[int, Slider(1, 64), "Images of a pass."]
Accumulate = Annotated[
    int,
    Slider(1, 64, advanced=True),
    "Passes that one update goes by: as a larger batch, in the memory of a small one.",
]
Rate = Annotated[
    float,
    Number(1e-7, 2, step=1e-5),
    "Learning rate: how far an update goes. Lion wants a tenth of what AdamW does, Prodigy 1.",
]
RateSchedule = Annotated[
    Literal["constant", "cosine", "linear"],
    "How the learning rate falls after the warm-up steps. constant: not at all.",
]
Optimiser = Annotated[
    Literal["adamw", "lion", "prodigy"],
    "What follows the gradients. Prodigy finds the learning rate by itself, and needs the package prodigyopt.",
]
Gamma = Annotated[
    float,
    Slider(0, 50, step=0.5, zero="off", advanced=True),
    "Cut-off of the weighting by signal to noise (min-SNR). Models that learn a flow do without.",
]
NoiseOffset = Annotated[
    float,
    Slider(0, 0.5, step=0.01, zero="off", advanced=True),
    "Offset noise: lets the model learn images that are dark or bright as a whole.",
]
DropCaptions = Annotated[
    float, Slider(0, 0.9, step=0.05), "Part of the captions that are left empty, so that guidance learns along."
]
Flip = Annotated[
    bool, Toggle(), "Learn from the mirrored images, too. Not for letters, or what has a left and a right."
]
Checkpointing = Annotated[
    bool, Toggle(advanced=True), "Gradient checkpointing: a third of the memory, and a third slower."
]
Shown = Annotated[
    str,
    Text(multiline=True),
    "The prompt of the samples that are drawn while it learns. Empty: the first captions.",
]
