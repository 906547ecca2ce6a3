"""LoRAs: laid on models, whole, by block, for a part of the steps, or as a prompt names them."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, NamedTuple

from safelight.sdk import (
    Choice,
    Context,
    Denoiser,
    ModelPick,
    ModelRef,
    Number,
    Patch,
    Problem,
    ProblemError,
    Slider,
    Source,
    Text,
    TextEncoder,
    node,
)

from ._blocks import Blocks, block_factors
from ._refusal import require_part
from .models import found

_HOW_STRONGLY = "How strongly it counts. 0 is not at all, 1 as it was trained."
Weight = Annotated[float, Number(-10, 10, step=0.05, usual=3), _HOW_STRONGLY]
Which = Annotated[
    Literal["both", "high_noise", "low_noise"],
    Choice(advanced=True),
    "Which denoiser of a model of two it changes: Wan 2.2 has LoRAs in pairs, one for much noise and one for little.",
]
_SAID = {"high_noise": "much noise", "low_noise": "little noise"}
TextWeight = Annotated[float, Number(-10, 10, step=0.05, usual=3, advanced=True), _HOW_STRONGLY]

Start = Annotated[
    float, Slider(0, 1, step=0.01, advanced=True, group="Part of the steps"), "On from this fraction of the steps."
]
End = Annotated[
    float, Slider(0, 1, step=0.01, advanced=True, group="Part of the steps"), "On up to this fraction of the steps."
]
_TAG = re.compile(r"<lora:([^<>]*)>", re.IGNORECASE)


class Patched(NamedTuple):
    """A denoiser and its text encoders with a LoRA on them."""

    model: ModelRef[Denoiser]
    text: ModelRef[TextEncoder]


class PromptPatched(NamedTuple):
    """A denoiser and its text encoders with the LoRAs of a prompt on them."""

    model: ModelRef[Denoiser]
    text: ModelRef[TextEncoder]
    prompt: Annotated[str, "What is left of the prompt, to be encoded."]


@node(version=1, category="models", title="Apply LoRA", light=True, tags=("Load LoRA", "LoraLoader", "lora", "lycoris"))
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


@node(
    version=1,
    category="models",
    title="Apply LoRA to model only",
    light=True,
    tags=("LoraLoaderModelOnly", "Load LoRA"),
)
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
    category="models",
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
