"""Prompts: encoding them, putting them together, and saying where and when each counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from safelight.sdk import (
    Area,
    Conditioning,
    Context,
    Image,
    Mask,
    ModelRef,
    Number,
    Problem,
    ProblemError,
    Prompt,
    Slider,
    Text,
    TextEncoder,
    node,
)

from ._refusal import require_part

if TYPE_CHECKING:
    from torch import Tensor

_Fraction = Slider(0, 1, step=0.01)
ClipSkip = Annotated[
    int,
    Slider(0, 8, advanced=True),
    "Last layers of the text encoder to leave out. 0 is what the model was trained with.",
]


@contextmanager
def reader(encoder: ModelRef[TextEncoder], ctx: Context) -> Iterator[Any]:
    """The text encoder, leased; what is odd about it is told."""
    import torch

    with ctx.models.lease(encoder) as lease, torch.no_grad():
        for problem in lease.settings.get("warnings", ()):
            ctx.warn(problem.at(port="encoder"))
        yield lease.component


@node(
    version=1,
    title="Encode text",
    tags=(
        "CLIP Text Encode",
        "CLIPTextEncode",
        "text encode",
        "prompt",
        "negative prompt",
        "clip skip",
        "CLIPSetLastLayer",
    ),
)
def encode(
    encoder: ModelRef[TextEncoder],
    *,
    text: Annotated[
        str,
        Text(multiline=True, prompt=True, placeholder="What the image shows, or should avoid"),
        "What to show, or to avoid. (word:1.3) weighs a word more, (word:0.7) less; (word) is 1.1 times, [word] the "
        "inverse; \\( and \\) are brackets themselves. BREAK begins a new chunk. embedding:name puts in what the file "
        "embeddings/name.safetensors of the model folder has learned.",
    ] = "",
    clip_skip: ClipSkip = 0,
    ctx: Context,
) -> Conditioning:
    """Encode a prompt for a denoiser of the same family.

    CLIP takes 75 words and word parts at once, and a longer prompt in chunks: nothing is cut off. T5, which Stable
    Diffusion 3 and Flux.1 have, takes 255 or 511 of them; a warning says when that was not all.
    """

    with reader(encoder, ctx) as model:
        return model.encode(text, ctx, clip_skip=clip_skip)


@node(
    version=1,
    title="Encode prompt in steps",
    tags=("A1111", "prompt editing", "prompt scheduling", "alternating words", "AND", "composable diffusion"),
)
def encode_schedule(
    encoder: ModelRef[TextEncoder],
    *,
    text: Annotated[
        str,
        Text(multiline=True, prompt=True, scheduled=True, placeholder="a [cat:dog:0.4] AND a night sky :0.5"),
        "[a:b:0.4] is a for that part of the steps, then b; [a:0.4] adds a from there on, [a::0.4] takes it away; a "
        "whole number is a step. [a|b] is both by turns. AND parts prompts, each with a weight such as :0.5 at its "
        "end. All else is as in text.encode.",
    ] = "",
    steps: Annotated[int, Number(1, 1000), "As many as the sampler makes: at each of them [a|b] takes its turn."] = 20,
    clip_skip: ClipSkip = 0,
    ctx: Context,
) -> Conditioning:
    """Encode a prompt of A1111 that changes from step to step, or several prompts in one.

    What AND parts is added up: each does its weight of what it would do alone, as composable diffusion has it. So two
    prompts of weight 1 are guided twice as strongly; text.combine averages instead.
    """

    from safelight.sdk.prompt_schedule import scheduled, weighed

    parts = weighed(text)
    known: dict[str, Conditioning] = {}
    prompts: list[Prompt] = []
    with reader(encoder, ctx) as model:
        for part, weight in parts:
            for told in scheduled(part, steps):
                ctx.check_cancelled()
                if told.text not in known:
                    known[told.text] = model.encode(told.text, ctx, clip_skip=clip_skip)
                prompts += [
                    replace(prompt, spans=told.spans, strength=weight, added=len(parts) > 1)
                    for prompt in known[told.text].prompts
                ]
    return replace(next(iter(known.values())), prompts=tuple(prompts))


@node(
    version=1,
    title="Encode an instruction with images",
    tags=("TextEncodeQwenImageEdit", "TextEncodeQwenImageEditPlus", "Qwen-Image Edit", "image to edit"),
)
def encode_with_images(
    encoder: Annotated[ModelRef[TextEncoder], "The text encoder of a Qwen-Image Edit."],
    image: Annotated[Image, "What the instruction is about. Of several the first counts."],
    second: Annotated[Image | None, "Another one, for models that look at several (Edit Plus)."] = None,
    third: Annotated[Image | None, "One more."] = None,
    *,
    text: Annotated[
        str,
        Text(multiline=True, prompt=True, placeholder="What is to become of the image"),
        "An instruction, such as 'make it winter'. Edit Plus knows its images by their numbers, 1 to 3.",
    ] = "",
    ctx: Context,
) -> Conditioning:
    """Encode an instruction together with the images that it is about, for models whose text encoder sees.

    The negative prompt is encoded so as well. The transformer looks at the same images: add each of them, encoded by
    the VAE, to the positive side with guide.edit. Transparent parts become white.
    """

    from ._pixels import flattened

    images = [flattened(one.pixels, 1.0)[0] for one in (image, second, third) if one is not None]
    with reader(encoder, ctx) as model:
        most: int | None = getattr(model, "images", 0)
        if most is not None and len(images) > most:
            known = "no images" if not most else "one image at a time"
            message = f"This text encoder of {model.family.title} looks at {known}."
            hint = "Choose a model that was made for it, such as a Qwen-Image Edit, or use text.encode."
            if most:
                hint = "Disconnect the second and third; a Qwen-Image Edit Plus looks at several."
            raise ProblemError(Problem(code="feature_not_in_family", message=message, hint=hint, port="encoder"))
        return model.encode_with(text, images, ctx)


@node(version=1, title="Combine conditioning", tags=("ConditioningCombine", "Conditioning (Combine)"))
def combine(
    first: Conditioning, second: Conditioning, third: Conditioning | None = None, fourth: Conditioning | None = None
) -> Conditioning:
    """Let several prompts speak at once: the denoiser follows their average, each within its own area and range.

    Costs one more pass through the denoiser a prompt and step. ControlNets and IP-Adapters of all of them act together;
    of images to edit and of depth the first counts.
    """
    given = [part for part in (first, second, third, fourth) if part is not None]
    family = _one_family(*given)
    return Conditioning(
        prompts=tuple(prompt for part in given for prompt in part.prompts),
        controls=tuple(control for part in given for control in part.controls),
        adapters=tuple(adapter for part in given for adapter in part.adapters),
        family=family,
        shown=next((part.shown for part in given if part.shown is not None), None),
    )


@node(version=1, title="Concatenate conditioning", tags=("ConditioningConcat", "Conditioning (Concat)", "BREAK"))
def concatenate(
    first: Annotated[Conditioning, "What it says comes first. Its areas, ControlNets and the rest stay."],
    second: Annotated[Conditioning, "What it says is put behind; only its words count."],
) -> Conditioning:
    """Put the words of one prompt behind those of another, each read by itself, as BREAK does within a text.

    Costs no further pass. The summary of the whole (pooled), where the family has one, stays that of the first.
    """
    import torch

    _one_family(first, second)
    said = _words(second).embeddings

    def joined(prompt: Prompt) -> Prompt:
        ours, behind = _alike(_words(Conditioning((prompt,), family=first.family)).embeddings, said)
        return replace(prompt, tensors={**prompt.tensors, "embeddings": torch.cat([ours, behind], dim=1)})

    return replace(first, prompts=tuple(joined(prompt) for prompt in first.prompts))


@node(
    version=1,
    title="Average conditioning",
    tags=("ConditioningAverage", "Conditioning (Average)", "blend prompts", "mix prompts"),
)
def average(
    first: Annotated[Conditioning, "The one whose areas, ControlNets and the rest stay."],
    second: Annotated[Conditioning, "The other; only what it says counts."],
    *,
    amount: Annotated[float, Slider(0, 1, step=0.01), "0 is the first alone, 1 the second alone."] = 0.5,
) -> Conditioning:
    """Mix what two prompts say, number by number: something between the two.

    Unlike text.combine it costs no further pass. A shorter prompt counts as zeros behind its end.
    """
    import torch

    _one_family(first, second)
    other = _words(second)

    def mixed(prompt: Prompt) -> Prompt:
        ours, theirs = _alike(_words(Conditioning((prompt,), family=first.family)).embeddings, other.embeddings)
        length = max(ours.shape[1], theirs.shape[1])
        long = [torch.nn.functional.pad(one, (0, 0, 0, length - one.shape[1])) for one in (ours, theirs)]
        tensors = {"embeddings": torch.lerp(long[0], long[1], amount)}
        if prompt.pooled is not None and other.pooled is not None:
            tensors["pooled"] = torch.lerp(*_alike(prompt.pooled, other.pooled), amount)
        return replace(prompt, tensors={**prompt.tensors, **tensors})

    return replace(first, prompts=tuple(mixed(prompt) for prompt in first.prompts))


def _one_family(*given: Conditioning) -> str:
    """The family of all of them. Raises ProblemError `wrong_family` where there are several."""
    families = sorted({part.family for part in given})
    if len(families) > 1:
        message = f"These prompts were encoded for different models: {' and '.join(families)}."
        hint = "Encode them with the same text encoder."
        raise ProblemError(Problem(code="wrong_family", message=message, hint=hint))
    return families[0]


def _words(conditioning: Conditioning) -> Prompt:
    """The first prompt, where it is embeddings and a pooled one alone. Other families have more, which cannot be put
    together. Raises ProblemError `feature_not_in_family`."""
    prompt = conditioning.prompts[0]
    if not {"embeddings"} <= set(prompt.tensors) <= {"embeddings", "pooled"}:
        message = f"Prompts for {conditioning.family} are more than embeddings, and are not put together."
        hint = "Write both into one text, or use text.combine."
        raise ProblemError(Problem(code="feature_not_in_family", message=message, hint=hint))
    return prompt


def _alike(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """For equally many images: one text serves a whole batch of the other."""
    batch = max(one.shape[0], other.shape[0])
    if {one.shape[0], other.shape[0]} - {1, batch}:
        message = f"One prompt is for {one.shape[0]} images, the other for {other.shape[0]}."
        raise ProblemError(Problem(code="wrong_batch", message=message, hint="Encode one text, or equally many."))
    return one.expand(batch, *one.shape[1:]), other.expand(batch, *other.shape[1:])


@node(version=1, tags=("ConditioningSetArea", "Conditioning (Set Area)", "regional prompt"))
def set_area(
    conditioning: Conditioning,
    *,
    x: Annotated[float, _Fraction, "Left edge, as a fraction of the width."] = 0.0,
    y: Annotated[float, _Fraction, "Upper edge, as a fraction of the height."] = 0.0,
    width: Annotated[float, Slider(0.01, 1, step=0.01), "Fraction of the width."] = 0.5,
    height: Annotated[float, Slider(0.01, 1, step=0.01), "Fraction of the height."] = 0.5,
    strength: Annotated[float, Slider(0, 10, step=0.05), "Weight against other prompts in the same place."] = 1.0,
) -> Conditioning:
    """Let a prompt speak in a rectangle only. Combine it with prompts for the rest of the image."""
    if x + width > 1 + 1e-6 or y + height > 1 + 1e-6:
        raise ProblemError(
            Problem(
                code="area_outside",
                message=f"The area ends at {x + width:.0%} of the width and {y + height:.0%} of the height.",
                hint="Make it smaller, or move it left and up.",
                port="width" if x + width > 1 + 1e-6 else "height",
            )
        )
    return _changed(conditioning, area=Area(x, y, width, height), strength=strength)


@node(version=1, tags=("ConditioningSetMask", "Conditioning (Set Mask)", "regional prompt"))
def set_mask(
    conditioning: Conditioning,
    mask: Annotated[Mask, "Where the prompt speaks: white inside, grey partly."],
    *,
    strength: Annotated[float, Slider(0, 10, step=0.05), "Weight against other prompts in the same place."] = 1.0,
) -> Conditioning:
    """Let a prompt speak inside a mask only. Combine it with prompts for the rest of the image."""
    return _changed(conditioning, mask=mask.coverage, strength=strength)


@node(version=1, tags=("ConditioningSetTimestepRange", "prompt editing"))
def set_range(
    conditioning: Conditioning,
    *,
    start: Annotated[float, _Fraction, "From this fraction of the steps on."] = 0.0,
    end: Annotated[float, _Fraction, "Up to this fraction of the steps."] = 1.0,
) -> Conditioning:
    """Let a prompt speak during a part of the steps only: early steps decide the layout, late ones the details."""
    require_part(start, end)
    return _changed(conditioning, start=start, end=end)


@node(version=1, tags=("ConditioningZeroOut", "Conditioning Zero Out", "empty prompt"))
def zero_out(conditioning: Conditioning) -> Conditioning:
    """Take all that a prompt says: zeros in the place of its embeddings.

    It is not what an empty text gives. Some models were trained to be guided away from it, such as Stable Diffusion 3,
    as the negative prompt. Areas, masks and parts of the steps stay.
    """
    prompts = tuple(
        replace(
            prompt,
            # What is not of floating point are masks and token ids: they say where words are, not what they mean.
            tensors={name: one * 0 if one.is_floating_point() else one for name, one in prompt.tensors.items()},
        )
        for prompt in conditioning.prompts
    )
    return replace(conditioning, prompts=prompts)


@node(version=1, tags=("CLIPTextEncodeSDXL", "size conditioning"))
def set_size(
    conditioning: Conditioning,
    *,
    width: Annotated[int, Number(1, 16384), "Width that the image is said to have had before scaling, in pixels."],
    height: Annotated[int, Number(1, 16384), "Height that the image is said to have had, in pixels."],
    crop_left: Annotated[int, Number(0, 16384), "Pixels said to be cut off on the left."] = 0,
    crop_top: Annotated[int, Number(0, 16384), "Pixels said to be cut off at the top."] = 0,
) -> Conditioning:
    """Set the size conditions of Stable Diffusion XL. Other families do not look at them.

    Without this node they are those of the image being made, which is nearly always right. A larger size than that
    asks for an image that looks scaled down: sharper and fuller.
    """
    size = {"original": (height, width), "crop": (crop_top, crop_left)}
    prompts = tuple(replace(prompt, size={**prompt.size, **size}) for prompt in conditioning.prompts)
    return replace(conditioning, prompts=prompts)


@node(version=1, title="Set aesthetic score", tags=("CLIPTextEncodeSDXLRefiner", "ascore", "refiner"))
def set_score(
    conditioning: Conditioning,
    *,
    score: Annotated[float, Slider(0, 10, step=0.1), "How beautiful the image is said to be, 0 to 10."] = 6.0,
) -> Conditioning:
    """Set the aesthetic score of the refiner of Stable Diffusion XL. Other models do not look at it.

    Without this node it is 6 for the positive prompt and 2.5 for the negative one.
    """
    import torch

    tensors = {"aesthetic_score": torch.tensor([[float(score)]])}
    prompts = tuple(replace(prompt, tensors={**prompt.tensors, **tensors}) for prompt in conditioning.prompts)
    return replace(conditioning, prompts=prompts)


def _changed(conditioning: Conditioning, **changes: object) -> Conditioning:
    prompts = tuple(replace(prompt, **changes) for prompt in conditioning.prompts)
    return replace(conditioning, prompts=prompts)
