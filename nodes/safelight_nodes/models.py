"""Models: recipes for denoisers, text encoders, VAEs and adapters. Nothing is loaded before a node computes with it."""

from __future__ import annotations

import math
import re
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
    MemoryWay,
    ModelPick,
    ModelRef,
    Motion,
    Number,
    Patch,
    Precision,
    Problem,
    ProblemError,
    Running,
    Slider,
    Source,
    Text,
    TextEncoder,
    Toggle,
    Wraps,
    node,
)
from safelight.sdk.leased import TEXT_ENCODERS, FamilyFacts

from ._blocks import Blocks, block_factors
from ._refusal import require_part

PrecisionChoice = Annotated[
    Precision,
    Choice(advanced=True),
    "How numbers are kept and computed with. auto is what this machine is fastest in without visible harm.",
]
_HOW_STRONGLY = "How strongly it counts. 0 is not at all, 1 as it was trained."
Weight = Annotated[float, Number(-10, 10, step=0.05), _HOW_STRONGLY]
Which = Annotated[
    Literal["both", "high_noise", "low_noise"],
    Choice(advanced=True),
    "Which denoiser of a model of two it changes: Wan 2.2 has LoRAs in pairs, one for much noise and one for little.",
]
_SAID = {"high_noise": "much noise", "low_noise": "little noise"}
TextWeight = Annotated[float, Number(-10, 10, step=0.05, advanced=True), _HOW_STRONGLY]

Start = Annotated[
    float, Slider(0, 1, step=0.01, advanced=True, group="Part of the steps"), "On from this fraction of the steps."
]
End = Annotated[
    float, Slider(0, 1, step=0.01, advanced=True, group="Part of the steps"), "On up to this fraction of the steps."
]
_TAG = re.compile(r"<lora:([^<>]*)>", re.IGNORECASE)

if TYPE_CHECKING:
    _FamilyName = str
else:  # with those of installed packs
    _FamilyName = Literal["auto", *family_names()]


class Loaded(NamedTuple):
    """The parts of a model."""

    model: Annotated[ModelRef[Denoiser], "What is sampled with."]
    text: Annotated[ModelRef[TextEncoder], "What encodes prompts."]
    vae: Annotated[ModelRef[VAE], "What turns latents into images, and back."]


class Seamless(NamedTuple):
    """A denoiser and its VAE that make images which continue at their edges."""

    model: ModelRef[Denoiser]
    vae: ModelRef[VAE]


class LoadedAdapter(NamedTuple):
    """An IP-Adapter, and what prepares images for it."""

    adapter: ModelRef[IPAdapter]
    encoder: Annotated[ModelRef[ImageEncoder], "The image encoder that the adapter was trained with."]


class Patched(NamedTuple):
    """A denoiser and its text encoders with a LoRA on them."""

    model: ModelRef[Denoiser]
    text: ModelRef[TextEncoder]


class PromptPatched(NamedTuple):
    """A denoiser and its text encoders with the LoRAs of a prompt on them."""

    model: ModelRef[Denoiser]
    text: ModelRef[TextEncoder]
    prompt: Annotated[str, "What is left of the prompt, to be encoded."]


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


@node(version=1, title="Apply LoRA", light=True, tags=("Load LoRA", "LoraLoader", "lora", "lycoris"))
def apply_lora(
    model: ModelRef[Denoiser],
    text: Annotated[ModelRef[TextEncoder], "The text encoders of the same model; a LoRA may change them as well."],
    *,
    lora: Annotated[str, ModelPick("lora"), "A LoRA file below the model folders, or a hub id."],
    weight: Weight = 1.0,
    text_weight: TextWeight = 1.0,
    blocks: Blocks = "",
    start: Start = 0.0,
    end: End = 1.0,
    denoiser: Which = "both",
    ctx: Context,
) -> Patched:
    """Change a model's style or subject by a LoRA. Several add up, one node behind the other, in any order."""
    source = _lora(ctx, lora, model)
    patch = _part(source, weight, blocks, start, end, denoiser, model, ctx)
    return Patched(_patched(model, patch), _patched(text, Patch("lora", source, text_weight)))


@node(version=1, title="Apply LoRA to model only", light=True, tags=("LoraLoaderModelOnly", "Load LoRA"))
def apply_lora_to_model(
    model: ModelRef[Denoiser],
    *,
    lora: Annotated[str, ModelPick("lora"), "A LoRA file below the model folders, or a hub id."],
    weight: Weight = 1.0,
    blocks: Blocks = "",
    start: Start = 0.0,
    end: End = 1.0,
    denoiser: Which = "both",
    ctx: Context,
) -> ModelRef[Denoiser]:
    """Apply a LoRA to the denoiser and leave the text encoders alone, as for one that makes sampling faster."""
    source = _lora(ctx, lora, model)
    return _patched(model, _part(source, weight, blocks, start, end, denoiser, model, ctx))


@node(
    version=1,
    title="Apply LoRAs of a prompt",
    light=True,
    tags=("lora tag", "Load LoRA Text", "<lora:name:1>", "A1111"),
)
def apply_prompt_loras(
    model: ModelRef[Denoiser],
    text: Annotated[ModelRef[TextEncoder], "The text encoders of the same model."],
    prompt: Annotated[
        str, Text(multiline=True), "A prompt with <lora:name:0.8> in it, anywhere and as many as wanted."
    ],
    *,
    ctx: Context,
) -> PromptPatched:
    """Apply the LoRAs that a prompt names, and take their names out of it, as A1111 does.

    `<lora:name>` counts with 1, `<lora:name:0.8>` with 0.8, `<lora:name:0.5:0.8>` with 0.5 in the text encoders and 0.8
    in the denoiser. The name is that of the file, with or without its ending or folder.
    """
    problems: list[Problem] = []
    for found_tag in _TAG.finditer(prompt):
        try:
            source, text_weight, weight = _tagged(ctx, found_tag, model)
        except ProblemError as error:
            problems += error.problems
            continue
        model = _patched(model, Patch("lora", source, weight))
        text = _patched(text, Patch("lora", source, text_weight))
    if problems:
        raise ProblemError(problems)
    return PromptPatched(model, text, re.sub(r"[ \t]{2,}", " ", _TAG.sub("", prompt)).strip())


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


@node(
    version=1,
    title="Set memory",
    light=True,
    tags=("offload", "low VRAM", "lowvram", "fp8", "float8", "block swap", "out of memory"),
)
def set_memory(
    model: ModelRef[Denoiser],
    text: Annotated[ModelRef[TextEncoder], "The text encoders of the same model, which are held in the same way."],
    *,
    memory: Annotated[
        MemoryWay,
        "How they are held on a device with memory of its own. auto: whole while they fit, else offload. swap: off "
        "the device as soon as nobody uses them. offload: in main memory, and piece by piece on the device; slower. "
        "None of them changes the image.",
    ] = "auto",
    storage: Annotated[
        Literal["full", "float8", "int8"],
        Choice(advanced=True),
        "float8 keeps weights in 8 bits and makes them whole layer by layer: half the memory of 16 bits, a little "
        "slower, and the image changes a little. int8 changes it less, keeps linear layers alone, and needs torchao.",
    ] = "full",
) -> Patched:
    """Say how a model is held in memory. Seldom needed: what does not fit is offloaded without it."""
    how = Running(memory, storage)
    return Patched(replace(model, running=how), replace(text, running=how))


@node(
    version=1,
    title="Set cache of steps",
    light=True,
    tags=("First Block Cache", "FBCache", "WaveSpeed", "TeaCache", "EasyCache", "faster"),
)
def set_cache(
    model: ModelRef[Denoiser],
    *,
    method: Annotated[
        Literal["first_block", "forecast"],
        "First block: of each step, whether it changes little is looked at, and then it is left out. Forecast: one of "
        "so many steps is computed, and the others go on as the last ones changed (TaylorSeer).",
    ] = "first_block",
    threshold: Annotated[
        float,
        Slider(0, 1, step=0.01, zero="off", shown_if={"method": "first_block"}),
        "How little a step has to change for most of it to be left out: 0.05 to 0.15 are usual. More is faster and "
        "farther from the image without it.",
    ] = 0.0,
    interval: Annotated[
        int,
        Slider(1, 10, shown_if={"method": "forecast"}),
        "Of so many steps one is computed; 1 computes all, 3 to 5 are usual. The first three always are.",
    ] = 4,
    ctx: Context,
) -> ModelRef[Denoiser]:
    """Make sampling faster by leaving out most of the steps that change little. The image changes: this is approximate.

    First block: it runs in every step. Where it does nearly what it did before, the others do again what they did.
    Forecast: no block runs in the steps between, and what the last one gives is continued along its last change; the
    fewer steps are computed, the coarser the image. Both pay with many steps, not with models for few. A run that is
    killed begins again.
    """
    family = ctx.models.families.get(model.family)
    forecast = interval if method == "forecast" and interval > 1 else 0
    threshold = threshold if method == "first_block" else 0.0
    if (threshold or forecast) and family is not None and not family.caches_steps:
        message = f"Models of the family {family.title} do not take a cache of steps."
        problem = Problem(code="feature_not_in_family", message=message, hint="Take out this node.", port="model")
        raise ProblemError(problem)
    return replace(model, step_cache=threshold, step_forecast=forecast)


@node(
    version=1,
    light=True,
    tags=(
        "Seamless Tile",
        "SeamlessTile",
        "Circular VAE Decode",
        "Make Circular VAE",
        "Tiling",
        "circular padding",
        "asymmetric tiling",
        "texture",
        "panorama",
        "A1111",
    ),
)
def set_seamless(
    model: ModelRef[Denoiser],
    vae: Annotated[ModelRef[VAE], "The VAE that decodes what it makes."],
    *,
    edges: Annotated[
        Literal["both", "horizontal", "vertical"],
        "Which edges meet: the left and the right one (horizontal), the upper and the lower one (vertical), or both. "
        "A panorama of a full turn is horizontal.",
    ] = "both",
    ctx: Context,
) -> Seamless:
    """Let a model draw images that continue at their edges: tiles of a texture, or a panorama.

    Convolutions see what lies at the opposite edge in the place of nothing, while sampling and in the VAE, so no seam
    is made that would have to be hidden. ControlNets are not changed: their lines may break at the edges. For Stable
    Diffusion 1, 2 and XL, whose attention knows no places; models that tell places by number cannot do so.
    """
    for port, ref in (("model", model), ("vae", vae)):
        named = ref.family or (model.family if port == "vae" else "")  # files of a VAE alone do not tell
        family = ctx.models.families.get(named)
        if family is None or not family.wraps:
            told = family.title if family is not None else named or "an unknown family"
            message = f"Models of {told} cannot let images continue at their edges."
            hint = "Take a model of Stable Diffusion 1, 2 or XL, or put image.make_seamless behind the image."
            problem = Problem(code="feature_not_in_family", message=message, hint=hint, port=port, value=ref.family)
            raise ProblemError(problem)
    ways: dict[str, Wraps] = {"both": "both", "horizontal": "x", "vertical": "y"}
    return Seamless(replace(model, wraps=ways[edges]), replace(vae, wraps=ways[edges]))


def found(ctx: Context, name: str, kind: str, port: str) -> tuple[Source, str]:
    """The source of a model and its family; what is wrong with the name is told at the port."""
    try:
        source = ctx.models.find(name, kind)
        return source, ctx.models.family(source)
    except ProblemError as error:
        raise ProblemError(problem.at(port=port) for problem in error.problems) from None


def _lora(ctx: Context, name: str, model: ModelRef[Denoiser], port: str = "lora") -> Source:
    source, family = found(ctx, name, "lora", port)
    if family and family != model.family:
        raise ProblemError(
            Problem(
                code="wrong_family",
                message=f"{name!r} was made for {family}, and the model is of the family {model.family}.",
                hint=f"Choose a LoRA that was made for {model.family}.",
                port=port,
                value=name,
            )
        )
    return source


def _tagged(ctx: Context, tag: re.Match[str], model: ModelRef[Denoiser]) -> tuple[Source, float, float]:
    """The LoRA that a tag in a prompt names, its weight in the text encoders, and that in the denoiser."""
    name, *told = (part.strip() for part in tag[1].split(":"))
    try:
        weights = [float(one) for one in told] or [1.0]
    except ValueError:
        weights = []
    if not name or len(weights) not in (1, 2) or not all(math.isfinite(weight) for weight in weights):
        message = f"{tag[0]!r} cannot be read."
        hint = "Write <lora:name:0.8>, or <lora:name:0.5:0.8> with the weight for the text encoders first."
        raise ProblemError(Problem(code="lora_tag", message=message, hint=hint, port="prompt", value=tag[0]))
    return _lora(ctx, name, model, "prompt"), weights[0], weights[-1]


def _part(
    source: Source,
    weight: float,
    blocks: str,
    start: float,
    end: float,
    denoiser: str,
    model: ModelRef[Denoiser],
    ctx: Context,
) -> Patch:
    """A LoRA weighed by block, for a part of the steps, or for one of two denoisers."""
    factors = block_factors(blocks)
    require_part(start, end)
    family = ctx.models.families.get(model.family)
    if denoiser != "both" and (family is None or not family.in_two):
        message = f"The model has one denoiser, and the LoRA {source.name!r} is to change that for {_SAID[denoiser]}."
        problem = Problem(code="lora_unfit", message=message, hint="Set denoiser to both.", port="denoiser")
        raise ProblemError(problem)
    part = {"both": "", "high_noise": "transformer", "low_noise": "transformer_2"}[denoiser]
    return Patch("lora", source, weight, factors, start, end, part)


def _patched(ref: ModelRef[Any], patch: Patch) -> ModelRef[Any]:
    # A weight of nothing is no patch, so what was made without it is found again.
    return ref.patched(patch) if patch.weight else ref
