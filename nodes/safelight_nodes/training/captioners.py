"""Models that say what an image shows."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from safelight.sdk import Context, Image, ImageEncoder, ModelRef, Number, Reader, Slider, node

from ..training_values import ImageSet, Tokenizer, Weights
from ._fields import Anywhere, Batch, EmaDecay, LearningRate, RandomSeed, Updates, WarmupSteps


class Captioner(NamedTuple):
    """A captioner, and how good it is."""

    captioner: Annotated[Weights, "Save it with weights.save_captioner."]
    tokenizer: Annotated[Tokenizer, "Its own tokenizer, which is saved with it."]
    sheet: Annotated[Image, "Images as it has not learned them, and what it says of each."]
    named: Annotated[float, "Share of captions that name the subject, in 0..1."]


@node(
    version=1,
    title="Train captioner",
    tags=("image to text", "image captioning", "BLIP", "TrOCR", "VisionEncoderDecoder", "from scratch"),
)
def captioner(
    images: Annotated[ImageSet, "Images with captions or names."],
    encoder: Annotated[
        ModelRef[ImageEncoder] | None, "An image encoder to begin with, such as that of the starter model."
    ] = None,
    start: Annotated[
        ModelRef[Reader] | None, "A captioner to go on from, with its tokenizer; then the encoder is not looked at."
    ] = None,
    *,
    updates: Updates = 3_000,
    batch: Batch = 64,
    learning_rate: LearningRate = 1e-3,
    warmup_steps: WarmupSteps = 200,
    ema_decay: EmaDecay = 0.998,
    moved: Annotated[
        float,
        Slider(0, 0.5, step=0.01, zero="off"),
        "Images are moved by up to this part of their side, made smaller and turned, another way each time.",
    ] = 0.15,
    anywhere: Anywhere = 0.2,
    ramps: Annotated[
        float,
        Slider(0, 1, step=0.05, zero="none"),
        "Part of the images over a ramp of two colours, whose captions name no background.",
    ] = 0.0,
    held_out: Annotated[
        float,
        Slider(0, 0.5, step=0.01, zero="none"),
        "Part of the images that is not learned from, but captioned; of each subject one image is always learned. "
        "0: learned images are captioned over other colours and in other places.",
    ] = 0.1,
    vocabulary: Annotated[int, Number(300, 100_000), "Number of tokens; 259 are single bytes and marks."] = 2048,
    length: Annotated[int, Slider(8, 512), "Tokens of a caption; longer ones are cut."] = 32,
    width: Annotated[int, Slider(16, 1280), "Channels of a new image encoder."] = 192,
    layers: Annotated[int, Slider(1, 32), "Layers of a new image encoder."] = 4,
    patch: Annotated[int, Slider(4, 32), "Side of the patches that a new one cuts the image into, in pixels."] = 16,
    text_width: Annotated[int, Number(48, 1536, multiple_of=48), "Channels of the part that writes."] = 192,
    text_layers: Annotated[int, Slider(1, 32), "Layers of the part that writes."] = 2,
    seed: RandomSeed = 0,
    ctx: Context,
) -> Captioner:
    """Train a model that says what an image shows, from an image encoder or from nothing.

    It writes token by token and looks at the image for each. Samples show what it says of images that it did not learn
    from, and above them the share of captions that name the subject.
    Source: O. Vinyals et al., "Show and Tell: A Neural Image Caption Generator", 2015.
    """
    from .._training.captioner import Settings, learn

    settings = Settings(
        updates, batch, learning_rate, warmup_steps, ema_decay, moved, anywhere, ramps, held_out, vocabulary, length,
        width, layers, patch, text_width, text_layers, seed,
    )  # fmt: skip
    return Captioner(*learn(images, encoder, start, settings, ctx))
