"""Models: recipes for denoisers, text encoders, VAEs and adapters. Nothing is loaded before a node computes with it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

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
    Motion,
    Precision,
    Problem,
    ProblemError,
    Source,
    TextEncoder,
    node,
)
from safelight.sdk.leased import TEXT_ENCODERS, FamilyFacts

PrecisionChoice = Annotated[
    Precision,
    Choice(advanced=True),
    "How numbers are kept and computed with. auto is what this machine is fastest in without visible harm.",
]
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
    low_noise: Annotated[
        str,
        ModelPick("unet", advanced=True),
        "The denoiser for little noise, of a model of two: Wan 2.2 has one for much noise, which goes above, and one "
        "for little.",
    ] = "",
    precision: PrecisionChoice = "auto",
    ctx: Context,
) -> Annotated[ModelRef[Denoiser], "What is sampled with."]:
    """Choose a denoiser that lies in a file of its own. Load its text encoders and its VAE beside it."""
    source, family = found(ctx, model, "unet", "model")
    if not low_noise.strip():
        return ModelRef("Denoiser", family, source, "unet", precision)
    second, other = found(ctx, low_noise, "unet", "low_noise")
    if other != family or not ctx.models.families[family].in_two:
        message = f"{low_noise!r} is no second denoiser beside {model!r}: only Wan 2.2 has two."
        hint = "Name the file for much noise above and that for little noise here, or leave this empty."
        raise ProblemError(Problem(code="wrong_family", message=message, hint=hint, port="low_noise", value=low_noise))
    return ModelRef("Denoiser", family, source, "unet", precision, beside=(second,))


@node(
    version=1,
    title="Load text encoders",
    light=True,
    tags=("CLIPLoader", "DualCLIPLoader", "TripleCLIPLoader", "Load CLIP", "T5"),
)
def load_text_encoders(
    *,
    first: Annotated[
        str,
        ModelPick("text_encoder"),
        "A text encoder in a file of its own: CLIP-L, -H or -G, T5, UMT5 or Qwen3.",
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

    Which one a file holds is told by its tensors. T5, UMT5 and Qwen3 need their
    tokenizer: inside the file, as GGUF has it, or in a folder of that name beside it.
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
        "it; decoding then goes by the latent, and encoding needs it here. That of Qwen-Image looks like that of Wan: "
        "it is told by its name, or here.",
    ] = "auto",
    ctx: Context,
) -> Annotated[ModelRef[VAE], "Connect it in place of the model's own."]:
    """Choose a VAE other than the model's own. It must be of the model's family, or of one with the same latents."""
    source, told = found(ctx, vae, "vae", "vae")
    families = ctx.models.families
    if told and family != "auto" and _twins(families[told], families[family]):
        told = family
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


def _twins(one: FamilyFacts, other: FamilyFacts) -> bool:
    """Whether the VAEs of two families cannot be told apart in a file, as those of Wan and Qwen-Image."""
    return one.space == other.alike or other.space == one.alike


@node(version=1, title="Load ControlNet", light=True, tags=("Load ControlNet Model", "ControlNetLoader", "T2I-Adapter"))
def load_controlnet(
    *,
    controlnet: Annotated[
        str,
        ModelPick("controlnet"),
        "A ControlNet, T2I-Adapter or Control-LoRA: a folder in diffusers layout, or a file in either layout.",
    ],
    precision: PrecisionChoice = "auto",
    ctx: Context,
) -> ModelRef[ControlNet]:
    """Choose a ControlNet. It must be of the model's family."""
    source, family = found(ctx, controlnet, "controlnet", "controlnet")
    return ModelRef("ControlNet", family, source, "", precision)


@node(
    version=1,
    title="Load IP-Adapter",
    light=True,
    tags=("IPAdapterModelLoader", "IPAdapter Unified Loader", "StyleModelLoader", "Redux"),
)
def load_ip_adapter(
    *,
    adapter: Annotated[
        str,
        ModelPick("ip_adapter"),
        "A .safetensors file, also of FaceID, or Flux.1 Redux; on the hub for example "
        "h94/IP-Adapter/models/ip-adapter_sd15.safetensors.",
    ],
    precision: PrecisionChoice = "auto",
    ctx: Context,
) -> LoadedAdapter:
    """Choose an IP-Adapter. Its image encoder is found beside it (image_encoder), or in clip_vision.

    Which one it was trained with is told by its weights, not by names.
    """
    source, family = found(ctx, adapter, "ip_adapter", "adapter")
    return LoadedAdapter(
        ModelRef("IPAdapter", family, source, "", precision),
        ModelRef("ImageEncoder", family, source, "image_encoder", precision),
    )


@node(version=1, light=True, tags=("CLIPVisionLoader", "Load CLIP Vision", "clip_vision"))
def load_image_encoder(
    *,
    encoder: Annotated[
        str,
        ModelPick("image_encoder"),
        "An image encoder in a file or folder of its own (CLIP, SigLIP), or a model that has one.",
    ],
    precision: PrecisionChoice = "auto",
    ctx: Context,
) -> ModelRef[ImageEncoder]:
    """Choose an image encoder, for models of videos that look at images with one, or in place of an adapter's own."""
    return ModelRef("ImageEncoder", "", found(ctx, encoder, "image_encoder", "encoder")[0], "image_encoder", precision)


@node(
    version=1,
    title="Load motion module",
    light=True,
    tags=(
        "AnimateDiff",
        "ADE_LoadAnimateDiffModel",
        "ADE_AnimateDiffLoaderGen1",
        "motion module",
        "MotionAdapter",
        "mm_sd_v15",
    ),
)
def load_motion(
    *,
    motion: Annotated[
        str,
        ModelPick("motion"),
        "A motion module of AnimateDiff: a folder in diffusers layout, or a file in either layout; on the hub for "
        "example guoyww/animatediff-motion-adapter-v1-5-2.",
    ],
    ctx: Context,
) -> Annotated[ModelRef[Motion], "Connect it to motion.apply."]:
    """Choose a motion module: what lets a Stable Diffusion draw short videos. It must be of the model's family."""
    return ModelRef("Motion", "", found(ctx, motion, "motion", "motion")[0])


def found(ctx: Context, name: str, kind: str, port: str) -> tuple[Source, str]:
    """The source of a model and its family; what is wrong with the name is told at the port."""
    try:
        source = ctx.models.find(name, kind)
        return source, ctx.models.family(source)
    except ProblemError as error:
        raise ProblemError(problem.at(port=port) for problem in error.problems) from None
