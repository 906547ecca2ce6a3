"""Models: recipes for denoisers, text encoders, VAEs and adapters. Nothing is loaded before a node computes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from safelight.families import family_names
from safelight.sdk import (
    VAE,
    Choice,
    Context,
    ControlNet,
    Denoiser,
    ImageEncoder,
    IPAdapter,
    ModelPick,
    ModelRef,
    Number,
    Patch,
    Precision,
    Problem,
    ProblemError,
    Source,
    TextEncoder,
    node,
)

PrecisionChoice = Annotated[
    Precision,
    Choice(advanced=True),
    "How numbers are kept and computed with. auto is what this machine is fastest in without visible harm.",
]
_HOW_STRONGLY = "How strongly it counts. 0 is not at all, 1 as it was trained."
Weight = Annotated[float, Number(-10, 10, step=0.05), _HOW_STRONGLY]
TextWeight = Annotated[float, Number(-10, 10, step=0.05, advanced=True), _HOW_STRONGLY]


if TYPE_CHECKING:
    _FamilyName = str
else:  # with those of installed packs
    _FamilyName = Literal["auto", *family_names()]


class Loaded(NamedTuple):
    """The parts of a model."""

    model: Annotated[ModelRef[Denoiser], "What is sampled with."]
    text: Annotated[ModelRef[TextEncoder], "What encodes prompts."]
    vae: Annotated[ModelRef[VAE], "What turns latents into images, and back."]


class LoadedAdapter(NamedTuple):
    """An IP-Adapter, and what prepares images for it."""

    adapter: ModelRef[IPAdapter]
    encoder: Annotated[ModelRef[ImageEncoder], "The image encoder that the adapter was trained with."]


class Patched(NamedTuple):
    """A denoiser and its text encoders with a LoRA on them."""

    model: ModelRef[Denoiser]
    text: ModelRef[TextEncoder]


@node(
    version=1,
    title="Load model",
    light=True,
    tags=("Load Checkpoint", "CheckpointLoaderSimple", "load diffusion model", "safetensors"),
)
def load(
    *,
    model: Annotated[
        str, ModelPick("pipeline"), "starter, a hub id such as org/name, or a folder or file below the model folders."
    ] = "starter",
    precision: PrecisionChoice = "auto",
    ctx: Context,
) -> Loaded:
    """Choose a model. `starter` is a miniature one that comes with Safelight.

    Folders are in diffusers layout; a single .safetensors file may hold a whole model.
    """
    source, family = _found(ctx, model, "pipeline", "model")
    return Loaded(
        ModelRef("Denoiser", family, source, "unet", precision),
        ModelRef("TextEncoder", family, source, "", precision),
        ModelRef("VAE", family, source, "vae", precision),
    )


@node(version=1, title="Load VAE", light=True, tags=("VAELoader",))
def load_vae(
    *,
    vae: Annotated[str, ModelPick("vae"), "A VAE, or a whole model to take it from."],
    precision: PrecisionChoice = "auto",
    family: Annotated[
        _FamilyName,
        Choice(advanced=True),
        "The family of models that its latents are for. auto is what its files say. A VAE in a single file seldom says "
        "it; decoding then goes by the latent, and encoding needs it here.",
    ] = "auto",
    ctx: Context,
) -> Annotated[ModelRef[VAE], "Connect it in place of the model's own."]:
    """Choose a VAE other than the model's own. It must be of the model's family, or of one with the same latents."""
    source, told = _found(ctx, vae, "vae", "vae")
    families = ctx.models.families
    if told and family != "auto" and families[told].space != families[family].space:
        raise ProblemError(
            Problem(
                code="wrong_family",
                message=f"The VAE {vae!r} is of {families[told].title}, not of {families[family].title}.",
                hint="Set family to auto.",
                port="family",
                value=family,
            )
        )
    return ModelRef("VAE", told or ("" if family == "auto" else family), source, "vae", precision)


@node(version=1, title="Load ControlNet", light=True, tags=("Load ControlNet Model", "ControlNetLoader"))
def load_controlnet(
    *,
    controlnet: Annotated[
        str, ModelPick("controlnet"), "A ControlNet: a folder in diffusers layout, or a file in either layout."
    ],
    precision: PrecisionChoice = "auto",
    ctx: Context,
) -> ModelRef[ControlNet]:
    """Choose a ControlNet. It must be of the model's family."""
    source, family = _found(ctx, controlnet, "controlnet", "controlnet")
    return ModelRef("ControlNet", family, source, "", precision)


@node(version=1, title="Load IP-Adapter", light=True, tags=("IPAdapterModelLoader", "IPAdapter Unified Loader"))
def load_ip_adapter(
    *,
    adapter: Annotated[
        str,
        ModelPick("ip_adapter"),
        "A .safetensors file, on the hub for example h94/IP-Adapter/models/ip-adapter_sd15.safetensors.",
    ],
    precision: PrecisionChoice = "auto",
    ctx: Context,
) -> LoadedAdapter:
    """Choose an IP-Adapter. The folder image_encoder of its repository must lie near it."""
    source, family = _found(ctx, adapter, "ip_adapter", "adapter")
    return LoadedAdapter(
        ModelRef("IPAdapter", family, source, "", precision),
        ModelRef("ImageEncoder", family, source, "image_encoder", precision),
    )


@node(version=1, title="Apply LoRA", light=True, tags=("Load LoRA", "LoraLoader", "lycoris"))
def apply_lora(
    model: ModelRef[Denoiser],
    text: Annotated[ModelRef[TextEncoder], "The text encoders of the same model; a LoRA may change them as well."],
    *,
    lora: Annotated[str, ModelPick("lora"), "A LoRA file below the model folders, or a hub id."],
    weight: Weight = 1.0,
    text_weight: TextWeight = 1.0,
    ctx: Context,
) -> Patched:
    """Change a model's style or subject by a LoRA. Several add up, one node behind the other, in any order."""
    source = _lora(ctx, lora, model)
    return Patched(_patched(model, source, weight), _patched(text, source, text_weight))


@node(version=1, title="Apply LoRA to model only", light=True, tags=("LoraLoaderModelOnly", "Load LoRA"))
def apply_lora_to_model(
    model: ModelRef[Denoiser],
    *,
    lora: Annotated[str, ModelPick("lora"), "A LoRA file below the model folders, or a hub id."],
    weight: Weight = 1.0,
    ctx: Context,
) -> ModelRef[Denoiser]:
    """Apply a LoRA to the denoiser and leave the text encoders alone, as for one that makes sampling faster."""
    return _patched(model, _lora(ctx, lora, model), weight)


def _found(ctx: Context, name: str, kind: str, port: str) -> tuple[Source, str]:
    try:
        source = ctx.models.find(name, kind)
        return source, ctx.models.family(source)
    except ProblemError as error:
        raise ProblemError(problem.at(port=port) for problem in error.problems) from None


def _lora(ctx: Context, name: str, model: ModelRef[Denoiser]) -> Source:
    source, family = _found(ctx, name, "lora", "lora")
    if family and family != model.family:
        raise ProblemError(
            Problem(
                code="wrong_family",
                message=f"{name!r} was made for {family}, and the model is of the family {model.family}.",
                hint=f"Choose a LoRA that was made for {model.family}.",
                port="lora",
                value=name,
            )
        )
    return source


def _patched(ref: ModelRef[Any], source: Source, weight: float) -> ModelRef[Any]:
    # A weight of nothing is no patch, so what was made without it is found again.
    return ref.patched(Patch("lora", source, weight)) if weight else ref
