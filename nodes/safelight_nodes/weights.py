"""Trained weights, and the models they are written to."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal, NamedTuple

from safelight.sdk import (
    GAN,
    VAE,
    Choice,
    Context,
    ControlNet,
    Denoiser,
    Image,
    ImageEncoder,
    ModelRef,
    Motion,
    Patch,
    Problem,
    Reader,
    Slider,
    Text,
    TextEncoder,
    Upscaler,
    Variational,
    node,
)

from .models import LoadedAdapter
from .training_values import Tokenizer, Weights


class Saved(NamedTuple):
    """The parts of a model that was written."""

    model: ModelRef[Denoiser]
    text: ModelRef[TextEncoder]
    vae: ModelRef[VAE]


_Name = Annotated[
    str,
    Text(model_name=True),
    "Name of the model: a folder below the model folder. What a training wrote there is replaced.",
]
_Precision = Annotated[
    Literal["float16", "bfloat16", "float32"], "How weights are kept on disk. Half precision is enough for use."
]


@node(version=1, tags=("loss curve", "LossGraphNode", "plot", "progress"))
def draw_curve(
    weights: Weights,
    *,
    logarithmic: Annotated[bool, "Equal distances are equal ratios of the loss."] = True,
) -> Image:
    """Draw the loss over the steps of the training that made these weights."""
    from ._training.drawing import curves

    return Image(curves(weights.curves or (("", weights.curve),), logarithmic))


@node(version=1, title="Save VAE", output=True, cache=False, tags=("VAESave", "export"))
def save_vae(
    weights: Annotated[Weights, "An autoencoder that was trained."],
    *,
    name: _Name = "trained/vae",
    precision: _Precision = "float32",
    ctx: Context,
) -> ModelRef[VAE]:
    """Write an autoencoder below the model folder, in diffusers layout."""
    from ._training.folders import check_kind, write_part

    check_kind(weights, "AutoencoderKL")
    with ctx.models.create(name) as folder:
        write_part(folder, weights, precision)
    source = ctx.models.find(name, "vae")
    return ModelRef("VAE", ctx.models.family(source), source, "vae")


@node(version=1, title="Save image encoder", output=True, cache=False, tags=("CLIPVisionSave", "export"))
def save_image_encoder(
    weights: Annotated[Weights, "An image encoder that was trained."],
    *,
    name: _Name = "trained/image_encoder",
    precision: _Precision = "float16",
    ctx: Context,
) -> ModelRef[ImageEncoder]:
    """Write a CLIP image encoder below the model folder, with the settings that prepare images for it."""
    from ._training.folders import check_kind, write_image_encoder

    check_kind(weights, "CLIPVisionModelWithProjection")
    with ctx.models.create(name) as folder:
        write_image_encoder(folder, weights, precision)
    return ModelRef("ImageEncoder", "", ctx.models.find(name, "image_encoder"), "image_encoder")


@node(version=1, title="Save captioner", output=True, cache=False, tags=("image to text", "caption", "export"))
def save_captioner(
    captioner: Annotated[Weights, "A captioner that was trained."],
    tokenizer: Annotated[Tokenizer, "Its tokenizer."],
    *,
    name: _Name = "trained/captioner",
    precision: _Precision = "float16",
    ctx: Context,
) -> ModelRef[Reader]:
    """Write a captioner below the model folder, as transformers has it: reading.describe takes it, and others do."""
    from ._training.folders import check_kind, write_captioner

    check_kind(captioner, "VisionEncoderDecoderModel", "captioner")
    with ctx.models.create(name) as folder:
        write_captioner(folder, captioner, tokenizer, precision)
    return ModelRef("Reader", "", ctx.models.find(name, "reader"))


@node(version=1, title="Save classifier", output=True, cache=False, tags=("image classification", "ResNet", "export"))
def save_classifier(
    weights: Annotated[Weights, "A classifier that was trained."],
    *,
    name: _Name = "trained/classifier",
    precision: _Precision = "float16",
    ctx: Context,
) -> Annotated[str, "Its name, for reading.classify."]:
    """Write a classifier below the model folder, as transformers has it: with the names of its classes."""
    from ._training.folders import CLASSIFIER, check_kind, write_classifier

    check_kind(weights, CLASSIFIER)
    with ctx.models.create(name) as folder:
        write_classifier(folder, weights, precision)
    return name


@node(
    version=1,
    title="Save model",
    output=True,
    cache=False,
    tags=("CheckpointSave", "ModelSave", "Save Checkpoint", "export"),
)
def save_model(
    denoiser: Annotated[Weights, "A denoiser that was trained."],
    text: Annotated[Weights, "Its text encoder."],
    tokenizer: Annotated[Tokenizer, "The tokenizer of the text encoder."],
    vae: Annotated[ModelRef[VAE], "The VAE whose latents it was trained on."],
    *,
    name: _Name = "trained/model",
    precision: _Precision = "float16",
    ctx: Context,
) -> Saved:
    """Write a whole model below the model folder, in diffusers layout: other programs load it, too."""
    from ._training.folders import check_kind, write_pipeline

    check_kind(denoiser, "UNet2DConditionModel", "denoiser")
    check_kind(text, "CLIPTextModel", "text")
    with (
        ctx.models.lease(replace(vae, precision="float32")) as lease,
        ctx.models.create(name) as folder,
    ):
        write_pipeline(folder, denoiser, text, tokenizer, lease.component.modules["vae"], precision)
    source = ctx.models.find(name, "pipeline")
    family = ctx.models.family(source)
    return Saved(
        ModelRef("Denoiser", family, source, "unet"),
        ModelRef("TextEncoder", family, source),
        ModelRef("VAE", family, source, "vae"),
    )


@node(version=1, title="Save pixel model", output=True, cache=False, tags=("DDPMPipeline", "export"))
def save_pixel_model(
    weights: Annotated[Weights, "A denoiser of pixels that was trained."],
    *,
    name: _Name = "trained/ddpm",
    precision: _Precision = "float16",
    ctx: Context,
) -> Annotated[str, "Its name, for pipeline.run."]:
    """Write a model that draws without prompts below the model folder, as diffusers' DDPMPipeline."""
    from ._training.folders import check_kind, write_pixel_pipeline

    check_kind(weights, "UNet2DModel")
    with ctx.models.create(name) as folder:
        write_pixel_pipeline(folder, weights, precision)
    return name


@node(version=1, title="Save GAN", output=True, cache=False, tags=("generator", "StyleGAN", "DCGAN", "export"))
def save_gan(
    weights: Annotated[Weights, "A generator that was trained."],
    *,
    name: _Name = "trained/gan",
    precision: _Precision = "float32",
    ctx: Context,
) -> ModelRef[GAN]:
    """Write the generator of a GAN below the model folder: its configuration, and its weights as safetensors."""
    from ._training.folders import check_kind, write_gan

    check_kind(weights, "SafelightGAN")
    with ctx.models.create(name) as folder:
        write_gan(folder, weights, precision)
    return ModelRef("GAN", "", ctx.models.find(name, "gan"))


@node(version=1, title="Save variational autoencoder", output=True, cache=False, tags=("VAE", "export"))
def save_variational(
    weights: Annotated[Weights, "A variational autoencoder that was trained."],
    *,
    name: _Name = "trained/variational",
    precision: _Precision = "float32",
    ctx: Context,
) -> ModelRef[Variational]:
    """Write a variational autoencoder below the model folder, for the nodes that draw and score images with it."""
    from ._training.folders import VARIATIONAL, check_kind, write_variational

    check_kind(weights, VARIATIONAL)
    with ctx.models.create(name) as folder:
        write_variational(folder, weights, precision)
    return ModelRef("Variational", "", ctx.models.find(name, "variational"), "", "float32")


@node(
    version=1,
    title="Save fine-tuned model",
    output=True,
    cache=False,
    tags=("CheckpointSave", "DreamBooth", "Save Checkpoint", "export"),
)
def save_finetuned(
    weights: Annotated[Weights, "A denoiser that was trained on from that of the model."],
    model: Annotated[ModelRef[Denoiser], "The model that it was trained on from."],
    text: Annotated[ModelRef[TextEncoder], "Its text encoder, which is written as it is."],
    vae: Annotated[ModelRef[VAE], "Its VAE, which is written as it is."],
    *,
    name: _Name = "trained/dreambooth",
    precision: _Precision = "float16",
    ctx: Context,
) -> Saved:
    """Write a model with other weights of its denoiser below the model folder, whole and in diffusers layout."""
    from ._training.folders import write_finetuned

    with (
        ctx.models.lease(model) as denoiser,
        ctx.models.lease(text) as encoder,
        ctx.models.lease(vae) as codec,
        ctx.models.create(name) as folder,
    ):
        write_finetuned(folder, weights, denoiser.component, encoder.component, codec.component, precision)
    source = ctx.models.find(name, "pipeline")
    return Saved(replace(model, source=source, schedule=()), replace(text, source=source), replace(vae, source=source))


@node(version=1, title="Take weights", tags=("ModelMergeSimple", "checkpoint merger", "model soup"))
def take(
    model: Annotated[ModelRef[Denoiser], "The model, as it was loaded."],
    *,
    ctx: Context,
) -> Weights:
    """The weights of a model's denoiser, to mix them with those of another or of a training."""
    from ._training.computing import own_copy
    from ._training.folders import plain_config, plain_tensors

    module = own_copy(ctx, model, "model").module
    return Weights(type(module).__name__, plain_config(module), plain_tensors(module), (), {"model": model.source.name})


@node(
    version=1,
    title="Mix weights",
    tags=("merge models", "ModelMergeSimple", "checkpoint merger", "model soup", "WiSE-FT", "interpolate"),
)
def mix(
    first: Annotated[Weights, "Weights of a model."],
    second: Annotated[Weights, "Weights of another that is built alike, or of a training that began with the first."],
    *,
    share: Annotated[float, Slider(0, 1, step=0.05), "How much of the second: 0 is the first, 1 the second."] = 0.5,
) -> Annotated[Weights, "Save it with weights.save_finetuned, or as what was trained."]:
    """Mix two models, or a model with what a training made of it, number by number.

    What a training forgot comes back by a little of what was before. Source: M. Wortsman et al., "Robust fine-tuning of
    zero-shot models", 2022.
    """
    from ._training.mixing import mixed

    return mixed(first, second, share)


@node(
    version=1, title="Save embedding", output=True, cache=False, tags=("textual inversion", "SaveEmbedding", "export")
)
def save_embedding(
    weights: Annotated[Weights, "The vectors of a word that were learned."],
    *,
    name: Annotated[
        str, Text(model_name=True), "The new word. In prompts it is embedding:NAME; its file is replaced."
    ] = "my-word",
    ctx: Context,
) -> Annotated[str, "How prompts say it."]:
    """Write a new word for prompts into the folder embeddings of the model folder, as other programs read it, too."""
    from ._training.folders import check_kind, write_embedding

    check_kind(weights, "embedding")
    file = f"embeddings/{name}.safetensors"
    with ctx.models.create(file) as folder:
        write_embedding(folder, file, weights)
    return f"embedding:{name}"


@node(version=1, title="Save LoRA", output=True, cache=False, tags=("SaveLoRA", "LoraSave", "export"))
def save_lora(
    weights: Annotated[Weights, "A LoRA that was trained."],
    model: Annotated[ModelRef[Denoiser], "The model it was trained on."],
    *,
    name: _Name = "trained/lora",
    precision: _Precision = "float16",
    layout: Annotated[
        Literal["diffusers", "kohya"],
        Choice(advanced=True),
        "How its layers are called. diffusers: as that library and this program do. kohya: as A1111 and ComfyUI want "
        "them of models with a UNet.",
    ] = "diffusers",
    ctx: Context,
) -> Annotated[ModelRef[Denoiser], "The model with the LoRA on it."]:
    """Write a LoRA below the model folder, in the form that other programs load, too."""
    from ._training.folders import NO_LORA

    if weights.kind == NO_LORA:
        message = "No LoRA has learned along, for the rank was 0: nothing is written, and the model stays as it is."
        hint = "Set the rank where it is trained to more than 0."
        ctx.warn(Problem(code="setting_unused", message=message, hint=hint, port="weights").warning())
        return model
    return model.patched(_written_lora(weights, name, precision, layout, ctx))


@node(version=1, title="Save LoRA of words", output=True, cache=False, tags=("SaveLoRA", "text encoder", "export"))
def save_words(
    weights: Annotated[Weights, "A LoRA of text encoders alone that was trained."],
    text: Annotated[ModelRef[TextEncoder], "The text encoders it was trained on."],
    *,
    name: _Name = "trained/words",
    precision: _Precision = "float16",
    ctx: Context,
) -> Annotated[ModelRef[TextEncoder], "The text encoders with the LoRA on them."]:
    """Write a LoRA of text encoders below the model folder, in the form that other programs load, too."""
    return text.patched(_written_lora(weights, name, precision, "diffusers", ctx))


def _written_lora(
    weights: Weights, name: str, precision: str, layout: Literal["diffusers", "kohya"], ctx: Context
) -> Patch:
    from ._training.folders import check_kind, write_lora

    check_kind(weights, "lora")
    with ctx.models.create(name) as folder:
        write_lora(folder, weights, precision, layout)
    return Patch("lora", ctx.models.find(name, "lora"))


@node(version=1, title="Save ControlNet", output=True, cache=False, tags=("ControlNetSave", "export"))
def save_controlnet(
    weights: Annotated[Weights, "A ControlNet that was trained."],
    *,
    name: _Name = "trained/controlnet",
    precision: _Precision = "float16",
    ctx: Context,
) -> ModelRef[ControlNet]:
    """Write a ControlNet below the model folder, in diffusers layout: other programs load it, too."""
    from ._training.folders import check_kind, write_part

    check_kind(weights, "ControlNetModel")
    with ctx.models.create(name) as folder:
        write_part(folder, weights, precision)
    source = ctx.models.find(name, "controlnet")
    return ModelRef("ControlNet", ctx.models.family(source), source)


@node(version=1, title="Save upscaler", output=True, cache=False, tags=("ESRGAN", "super resolution", "export"))
def save_upscaler(
    weights: Annotated[Weights, "An upscaler that was trained."],
    *,
    name: _Name = "trained/upscaler",
    precision: _Precision = "float16",
    ctx: Context,
) -> ModelRef[Upscaler]:
    """Write an upscaler below the model folder: upscaler.safetensors in it is read by other programs, too."""
    from ._training.folders import check_kind, write_upscaler

    check_kind(weights, "upscaler")
    with ctx.models.create(name) as folder:
        write_upscaler(folder, weights, precision)
    return ModelRef("Upscaler", "", ctx.models.find(name, "upscaler"), "", "auto")


@node(version=1, title="Save IP-Adapter", output=True, cache=False, tags=("IPAdapterSave", "export"))
def save_ip_adapter(
    weights: Annotated[Weights, "An IP-Adapter that was trained."],
    encoder: Annotated[ModelRef[ImageEncoder], "The image encoder it was trained with; it is written beside it."],
    *,
    name: _Name = "trained/ip_adapter",
    precision: _Precision = "float16",
    ctx: Context,
) -> LoadedAdapter:
    """Write an IP-Adapter and its image encoder below the model folder, in the form that other programs load, too."""
    from ._training.folders import check_kind, write_ip_adapter

    check_kind(weights, "ip_adapter")
    with (
        ctx.models.lease(replace(encoder, precision="float32")) as lease,
        ctx.models.create(name) as folder,
    ):
        sight = lease.component
        write_ip_adapter(folder, weights, sight.encoder, sight.processor, precision)
    source = ctx.models.find(name, "ip_adapter")
    family = ctx.models.family(source)
    return LoadedAdapter(
        ModelRef("IPAdapter", family, source),
        ModelRef("ImageEncoder", family, source, "image_encoder"),
    )


@node(version=1, title="Save motion module", output=True, cache=False, tags=("AnimateDiff", "MotionAdapter", "export"))
def save_motion(
    weights: Annotated[Weights, "A motion module that was trained."],
    *,
    name: _Name = "trained/motion",
    precision: _Precision = "float16",
    ctx: Context,
) -> ModelRef[Motion]:
    """Write a motion module below the model folder, in diffusers layout: other programs load it, too."""
    from ._training.folders import check_kind, write_part

    check_kind(weights, "MotionAdapter")
    with ctx.models.create(name) as folder:
        write_part(folder, weights, precision)
    return ModelRef("Motion", "", ctx.models.find(name, "motion"))
