"""Models: recipes for denoisers, text encoders, VAEs and adapters. Nothing is loaded before a node computes with it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
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
    Toggle,
    node,
)
from safelight.sdk.leased import TEXT_ENCODERS

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

    Folders are in diffusers layout; a single .safetensors file may hold a whole model. Denoisers, text encoders
    and VAEs in files of their own have nodes of their own.
    """
    source, family = found(ctx, model, "pipeline", "model")
    return Loaded(
        ModelRef("Denoiser", family, source, "unet", precision),
        ModelRef("TextEncoder", family, source, "", precision),
        ModelRef("VAE", family, source, "vae", precision),
    )


@node(
    version=1,
    title="Load denoiser",
    light=True,
    tags=("Load Diffusion Model", "UNETLoader", "Unet Loader GGUF", "unet"),
)
def load_denoiser(
    *,
    model: Annotated[
        str,
        ModelPick("unet"),
        "A denoiser in a file of its own (diffusion_models, unet), or a whole model to take it from.",
    ],
    precision: PrecisionChoice = "auto",
    ctx: Context,
) -> Annotated[ModelRef[Denoiser], "What is sampled with."]:
    """Choose a denoiser that lies in a file of its own. Load its text encoders and its VAE beside it."""
    source, family = found(ctx, model, "unet", "model")
    return ModelRef("Denoiser", family, source, "unet", precision)


@node(
    version=1,
    title="Load text encoders",
    light=True,
    tags=("CLIPLoader", "DualCLIPLoader", "TripleCLIPLoader", "Load CLIP", "T5"),
)
def load_text_encoders(
    *,
    first: Annotated[
        str, ModelPick("text_encoder"), "A text encoder in a file of its own: CLIP-L, CLIP-H, CLIP-G or T5."
    ],
    second: Annotated[str, ModelPick("text_encoder"), "Another one, for families that read with several."] = "",
    third: Annotated[str, ModelPick("text_encoder"), "A third one, as Stable Diffusion 3 has."] = "",
    family: Annotated[
        _FamilyName,
        "The family of the denoiser. auto is the one that reads with just these: CLIP-L alone is Stable "
        "Diffusion 1, CLIP-L and CLIP-G are Stable Diffusion XL, CLIP-L and T5 are Flux.1.",
    ] = "auto",
    precision: PrecisionChoice = "auto",
    ctx: Context,
) -> Annotated[ModelRef[TextEncoder], "What encodes prompts."]:
    """Choose text encoders that lie in files of their own, in any order.

    Which one a file holds is told by its tensors. T5 needs its tokenizer in a folder of that name beside it.
    """
    names = {port: name for port, name in (("first", first), ("second", second), ("third", third)) if name.strip()}
    given = {port: found(ctx, name, "text_encoder", port)[0] for port, name in names.items()}
    sorts = {ctx.models.encoder(source): (port, source) for port, source in given.items()}
    wanted = ctx.models.families[_family_of(ctx, sorts) if family == "auto" else family]
    order = [sort for sort, _ in wanted.text_sorts()]
    lacking = [sort for sort, optional in wanted.text_sorts() if sort not in sorts and not optional]
    unread = [sort for sort in sorts if sort not in order]
    if not sorts or lacking or unread or len(sorts) < len(given):
        has = ", ".join(TEXT_ENCODERS[sort] for sort in order) or "none in files of their own"
        message = f"The files hold {', '.join(TEXT_ENCODERS[sort] for sort in sorts)}; {wanted.title} reads with {has}."
        port = sorts[unread[0]][0] if unread else "first"
        hint = "Name one file for each of them, or choose another family."
        raise ProblemError(
            Problem(code="wrong_text_encoders", message=message, hint=hint, port=port, value=names.get(port, ""))
        )
    sources = [sorts[sort][1] for sort in order if sort in sorts]
    return ModelRef("TextEncoder", wanted.id, sources[0], "", precision, beside=tuple(sources[1:]))


def _family_of(ctx: Context, sorts: Collection[str]) -> str:
    """The family that reads with these text encoders: with all of its own, or with those it does not do without."""
    families = [one for one in ctx.models.families.values() if one.text_sorts()]
    whole = [one.id for one in families if {sort for sort, _ in one.text_sorts()} == set(sorts)]
    needed = [one.id for one in families if {sort for sort, optional in one.text_sorts() if not optional} == set(sorts)]
    if whole or needed:
        return (whole or needed)[0]
    said = ", ".join(TEXT_ENCODERS[sort] for sort in sorts)
    message = f"No family reads prompts with just {said}."
    hint = "Name the files of all text encoders that the model reads with."
    raise ProblemError(Problem(code="wrong_text_encoders", message=message, hint=hint, port="first", value=said))


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
    source, told = found(ctx, vae, "vae", "vae")
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
    source, family = found(ctx, controlnet, "controlnet", "controlnet")
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
    source, family = found(ctx, adapter, "ip_adapter", "adapter")
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


@node(
    version=1,
    light=True,
    tags=("ModelSamplingDiscrete", "v_prediction", "zsnr", "zero terminal SNR", "NoobAI", "Illustrious"),
)
def set_prediction(
    model: ModelRef[Denoiser],
    *,
    prediction: Annotated[
        Literal["noise", "velocity"],
        "What the denoiser was trained to predict. velocity is also known as v-prediction or v-pred.",
    ] = "velocity",
    zero_snr: Annotated[
        bool,
        Toggle(),
        "For a model that was trained from pure noise on (zero terminal SNR, ztsnr), as most that predict velocity.",
    ] = False,
) -> ModelRef[Denoiser]:
    """Say what a Stable Diffusion predicts, where its file does not, or says it wrongly.

    A wrong choice gives noise or faded colours, never an error. Most files tell it, and need no such node.
    """
    settings: dict[str, str | bool] = {"prediction_type": {"noise": "epsilon", "velocity": "v_prediction"}[prediction]}
    settings["rescale_betas_zero_snr"] = zero_snr
    if zero_snr:
        # Such a model must see the very last timestep: https://arxiv.org/abs/2305.08891, section 3.3.
        settings["timestep_spacing"] = "trailing"
    return replace(model, schedule=tuple(sorted({**dict(model.schedule), **settings}.items())))


def found(ctx: Context, name: str, kind: str, port: str) -> tuple[Source, str]:
    """The source of a model and its family; what is wrong with the name is told at the port."""
    try:
        source = ctx.models.find(name, kind)
        return source, ctx.models.family(source)
    except ProblemError as error:
        raise ProblemError(problem.at(port=port) for problem in error.problems) from None


def _lora(ctx: Context, name: str, model: ModelRef[Denoiser]) -> Source:
    source, family = found(ctx, name, "lora", "lora")
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
