"""Training: tokenizers, autoencoders, CLIP, denoisers, and versions of them that need few steps.

Every node here reports its loss and samples while it works, may be stopped at any step, and goes on from its last
checkpoint when the same work is run again: to the same weights, as if it had never been stopped.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from safelight.sdk import VAE, Context, Denoiser, Migration, ModelRef, Number, Seed, Slider, TextEncoder, Toggle, node

from .training_values import ImageSet, LatentSet, Tokenizer, Weights

_Updates = Annotated[int, Number(1, 10_000_000), "Updates of the weights."]
_Batch = Annotated[int, Slider(1, 512), "Images of an update."]
_LearningRate = Annotated[float, Number(1e-7, 1, step=1e-5), "Learning rate: how far an update goes."]
_WarmupSteps = Annotated[int, Number(0, 100_000), "Warm-up steps, over which the learning rate rises to its value."]
_EmaDecay = Annotated[
    float, Slider(0, 0.9999, step=0.0001), "EMA decay: of the average of the weights, which is what is kept at the end."
]
_Seed = Annotated[int, Seed(), "Where all random numbers start."]
_TextWidth = Annotated[int, Slider(16, 1280), "Channels of a new text encoder."]
_TextLayers = Annotated[int, Slider(1, 32), "Layers of a new text encoder."]

_IMAGES_TO_2 = Migration(inputs={"pictures": "images"})
_COURSE_TO_2 = Migration(inputs={"rate": "learning_rate", "warm": "warmup_steps", "average": "ema_decay"})
_BOTH_TO_2 = Migration(inputs=_IMAGES_TO_2.inputs | _COURSE_TO_2.inputs)


class Towers(NamedTuple):
    """The two encoders of a CLIP model."""

    image: Annotated[Weights, "The image encoder; save it with weights.save_image_encoder."]
    text: Annotated[Weights, "The text encoder; the given one, where one was given."]
    tokenizer: Tokenizer


class Model(NamedTuple):
    """What weights.save_model wants, beside a VAE."""

    denoiser: Weights
    text: Annotated[Weights, "Its text encoder."]
    tokenizer: Tokenizer


@node(
    version=2, title="Train tokenizer", migrations={1: _IMAGES_TO_2}, tags=("BPE", "vocabulary", "byte pair encoding")
)
def tokenizer(
    images: ImageSet,
    *,
    vocabulary: Annotated[int, Number(600, 100_000), "Number of tokens; 514 are single bytes and marks."] = 2048,
    length: Annotated[int, Slider(8, 512), "Tokens of a prompt; longer ones are cut, or encoded in parts."] = 32,
    seed: _Seed = 0,
) -> Tokenizer:
    """Learn which letters go together from captions, in the form of CLIP's tokenizer. Any text can be encoded."""
    from ._training.tokenizer import corpus, learn, to_files

    return Tokenizer(to_files(learn(corpus(images, seed), vocabulary, length)))


@node(version=2, title="Train autoencoder", migrations={1: _BOTH_TO_2}, tags=("Train VAE", "KL", "reconstruction"))
def autoencoder(
    images: ImageSet,
    start: Annotated[ModelRef[VAE] | None, "An autoencoder to go on from. Without one, a new one is made."],
    *,
    learn: Annotated[
        Literal["all", "decoder"],
        "decoder: the encoder stays as it is, so latents, and denoisers that were trained on them, stay valid.",
    ] = "all",
    updates: _Updates = 10_000,
    batch: _Batch = 12,
    learning_rate: _LearningRate = 5e-4,
    warmup_steps: _WarmupSteps = 100,
    ema_decay: _EmaDecay = 0.998,
    crop: Annotated[
        int,
        Number(0, 2048, multiple_of=8, zero="off"),
        "Side of random crops in pixels, which are cheaper. 0: whole images.",
    ] = 0,
    anywhere: Annotated[
        float, Slider(0, 1, step=0.05), "Part of the images over any colour; the rest is over colours with a name."
    ] = 0.5,
    squares: Annotated[
        float, Slider(0, 50, step=1), "Weight of squared differences, which PSNR counts, beside that of plain ones, 1."
    ] = 10.0,
    edges: Annotated[float, Slider(0, 5, step=0.1), "Weight of the difference of gradients: sharper edges."] = 0.5,
    kl: Annotated[
        float,
        Number(0, 1, step=1e-4),
        "Weight of the pull on the latents' distribution: mean 0, little noise.",
    ] = 1e-3,
    noise: Annotated[float, Slider(0, 1, step=0.01), "Deviation of the noise on the latents while learning."] = 0.05,
    anchor: Annotated[
        float,
        Number(0, 100, step=0.1, zero="off"),
        "Weight that holds latents near those of the autoencoder it starts from, so that a denoiser that was trained "
        "on the old ones adapts quickly. 0: free.",
    ] = 0.0,
    standardise: Annotated[
        bool, Toggle(), "At the end, give latents mean 0 and deviation 1 in every channel. Not where they are held."
    ] = True,
    width: Annotated[int, Slider(4, 256), "Channels of the first level of a new autoencoder."] = 16,
    widest: Annotated[int, Slider(4, 1024), "Each level doubles the channels, up to so many."] = 128,
    levels: Annotated[int, Slider(2, 6), "Levels of a new one. 5 make latents of a sixteenth of the side."] = 5,
    channels: Annotated[int, Slider(1, 64), "Latent channels of a new one."] = 16,
    seed: _Seed = 0,
    ctx: Context,
) -> Annotated[Weights, "Save it with weights.save_vae."]:
    """Train an autoencoder: from images to latents and back.

    The loss is the difference of pixels and of gradients, and a pull on the latents' distribution. Samples show
    images above and what comes back below; the PSNR is kept in the model's training.json.
    """
    from ._training.autoencoder import Settings
    from ._training.autoencoder import learn as train

    settings = Settings(
        learn, updates, batch, learning_rate, warmup_steps, ema_decay, crop, anywhere, squares, edges, kl, noise,
        anchor, standardise and not (start and anchor), width, widest, levels, channels, seed,
    )  # fmt: skip
    return train(images, start, settings, ctx)


@node(
    version=2,
    title="Train CLIP",
    migrations={1: _BOTH_TO_2},
    tags=("Train CLIP", "contrastive", "text encoder", "image encoder"),
)
def clip(
    images: ImageSet,
    tokenizer: Annotated[Tokenizer | None, "For a new text encoder."],
    text: Annotated[ModelRef[TextEncoder] | None, "A text encoder to fit the image encoder to; it stays as it is."],
    *,
    updates: _Updates = 1500,
    batch: _Batch = 192,
    learning_rate: _LearningRate = 1e-3,
    warmup_steps: _WarmupSteps = 150,
    ema_decay: _EmaDecay = 0.998,
    width: Annotated[int, Slider(16, 1280), "Channels of the image encoder."] = 192,
    layers: Annotated[int, Slider(1, 32), "Layers of the image encoder."] = 4,
    patch: Annotated[int, Slider(4, 32), "Side of the patches that the image is cut into, in pixels."] = 16,
    text_width: _TextWidth = 256,
    text_layers: _TextLayers = 3,
    seed: _Seed = 0,
    ctx: Context,
) -> Towers:
    """Train an image encoder and a text encoder to agree on which caption belongs to which image.

    A batch is a puzzle: every caption has to find its image among all of the batch, so larger batches teach more.
    """
    from ._training.towers import Settings, learn

    settings = Settings(
        updates, batch, learning_rate, warmup_steps, ema_decay, width, layers, patch, text_width, text_layers, seed
    )
    return Towers(*learn(images, tokenizer, text, settings, ctx))


@node(
    version=2,
    title="Train denoiser",
    migrations={1: _BOTH_TO_2},
    tags=("Train UNet", "diffusion", "flow matching", "from scratch"),
)
def denoiser(
    latents: Annotated[LatentSet, "The images, encoded."],
    images: Annotated[ImageSet, "The very set that was encoded: captions are drawn from it."],
    tokenizer: Annotated[Tokenizer | None, "For a new text encoder, which then learns along."],
    start: Annotated[ModelRef[Denoiser] | None, "A denoiser to go on from; its text encoder is needed, too."],
    text: Annotated[ModelRef[TextEncoder] | None, "A text encoder that was trained before."],
    vae: Annotated[ModelRef[VAE] | None, "Only to show samples while it learns."],
    *,
    learn_text: Annotated[bool, Toggle(), "Let the given text encoder learn along. Off: it stays as it is."] = False,
    updates: _Updates = 40_000,
    batch: _Batch = 64,
    learning_rate: _LearningRate = 8e-4,
    warmup_steps: _WarmupSteps = 300,
    schedule: Annotated[
        Literal["cosine", "linear", "constant"],
        "How the learning rate falls after the warm-up steps. constant: not at all.",
    ] = "cosine",
    ema_decay: _EmaDecay = 0.9995,
    prediction: Annotated[
        Literal["v_prediction", "epsilon"], "What a new model predicts: the velocity, or the noise."
    ] = "v_prediction",
    gamma: Annotated[float, Slider(1, 50, step=0.5), "Cut-off of the weighting by signal to noise (min-SNR)."] = 5.0,
    beta_end: Annotated[
        float,
        Number(0.001, 0.1, step=0.001),
        "Noise of the last timestep of a new model. 0.012 is Stable Diffusion's; small latents need more to hide all.",
    ] = 0.03,
    width: Annotated[int, Slider(8, 1024), "Channels of the first level of a new denoiser."] = 128,
    widest: Annotated[int, Slider(8, 2048), "Each level doubles the channels, up to so many."] = 240,
    levels: Annotated[int, Slider(1, 5), "Levels of a new denoiser."] = 2,
    heads: Annotated[int, Slider(1, 32), "Heads of each attention of a new denoiser."] = 4,
    text_width: _TextWidth = 256,
    text_layers: _TextLayers = 3,
    seed: _Seed = 0,
    ctx: Context,
) -> Model:
    """Train a denoiser on encoded images and their captions: the heart of a Stable Diffusion model.

    Every tenth caption is left empty, so that the model can be guided. Samples show the same captions from the same
    noise each time.
    """
    from ._training.denoiser import Settings, learn

    settings = Settings(
        learn_text, updates, batch, learning_rate, warmup_steps, schedule, ema_decay, prediction, gamma, beta_end,
        width, widest, levels, heads, text_width, text_layers, seed,
    )  # fmt: skip
    return Model(*learn(latents, images, tokenizer, start, text, vae, settings, ctx))


@node(
    version=1,
    title="Train DDPM",
    tags=("Train UNet", "diffusion", "unconditional", "pixels", "from scratch", "denoising diffusion"),
)
def pixel_denoiser(
    images: ImageSet,
    *,
    prediction: Annotated[
        Literal["epsilon", "v_prediction", "sample"], "What it predicts: the noise, the velocity, or the image."
    ] = "epsilon",
    updates: _Updates = 10_000,
    batch: _Batch = 64,
    learning_rate: _LearningRate = 4e-4,
    warmup_steps: _WarmupSteps = 200,
    ema_decay: _EmaDecay = 0.999,
    side: Annotated[
        int, Number(0, 512, multiple_of=8, zero="as they are"), "Side of the images in pixels; they are scaled to it."
    ] = 32,
    anywhere: Annotated[
        float, Slider(0, 1, step=0.05), "Part of the images over any colour; the rest is over colours with a name."
    ] = 0.0,
    width: Annotated[int, Number(8, 1024, multiple_of=8), "Channels of the first level."] = 64,
    widest: Annotated[int, Number(8, 2048, multiple_of=8), "Each level doubles the channels, up to so many."] = 192,
    levels: Annotated[int, Slider(1, 6), "Levels; each but the first halves the side."] = 3,
    layers: Annotated[int, Slider(1, 4), "Layers of a level."] = 1,
    seed: _Seed = 0,
    ctx: Context,
) -> Annotated[Weights, "Save it with weights.save_pixel_model."]:
    """Train a model that draws images from noise, in pixels and without prompts, as in the paper that began it.

    One training serves all samplers: run the saved model with ddpm in 1,000 steps, or with ddim in 50 or 20.
    Source: J. Ho et al., "Denoising Diffusion Probabilistic Models", 2020.
    """
    from ._training.pixel_denoiser import Settings, learn

    settings = Settings(
        prediction, updates, batch, learning_rate, warmup_steps, ema_decay, side, anywhere, width, widest, levels,
        layers, seed,
    )  # fmt: skip
    return learn(images, settings, ctx)


@node(
    version=2,
    title="Train few-step LoRA",
    migrations={1: _COURSE_TO_2},
    tags=("LCM", "distillation", "Train LoRA", "consistency", "turbo"),
)
def few_step(
    model: Annotated[ModelRef[Denoiser], "The model to make faster."],
    text: Annotated[ModelRef[TextEncoder], "Its text encoder."],
    prompts: Annotated[ImageSet, "Captions are drawn from it; its images are not looked at."],
    vae: Annotated[ModelRef[VAE] | None, "Its VAE; only to show samples while it learns."],
    *,
    steps: Annotated[int, Slider(1, 16), "Steps that the result will make an image in."] = 4,
    inner: Annotated[int, Slider(1, 20), "Steps of the model that each of them stands for."] = 5,
    guidance: Annotated[
        float, Slider(1, 15, step=0.5), "The guidance that is learned along; the result needs none."
    ] = 3.0,
    rank: Annotated[int, Slider(1, 128), "Rank of the LoRA: its size and its powers."] = 6,
    updates: _Updates = 1500,
    batch: _Batch = 32,
    learning_rate: _LearningRate = 1e-3,
    warmup_steps: _WarmupSteps = 50,
    ema_decay: _EmaDecay = 0.995,
    explicit: Annotated[float, Slider(0, 1, step=0.05), "Part of the captions that say style and background."] = 0.5,
    seed: _Seed = 0,
    ctx: Context,
) -> Annotated[Weights, "Save it with weights.save_lora; sample with ddim, guidance 1 and so many steps."]:
    """Distil a model into a LoRA that makes an image in a few steps, without guidance.

    The model draws images in many steps, the LoRA learns to jump over most of them (progressive distillation). Needs
    no images, only prompts.
    """
    from ._training.few_step import Settings, distil

    settings = Settings(
        steps, inner, guidance, rank, updates, batch, learning_rate, warmup_steps, ema_decay, explicit, seed
    )
    return distil(model, text, prompts, vae, settings, ctx)
