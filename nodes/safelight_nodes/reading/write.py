"""Texts that models write: what an image shows, and prompts."""

from __future__ import annotations

from typing import Annotated

from safelight.sdk import Context, Image, ModelRef, Reader, Seed, Slider, Text, node

_Length = Annotated[int, Slider(1, 2048), "The longest that it may write, in tokens: about a word each."]
_Temperature = Annotated[
    float,
    Slider(0, 2, step=0.05, zero="off"),
    "0 takes the likeliest word each time. Higher ones choose by chance, and write other texts with other seeds.",
]
_Seed = Annotated[int, Seed(), "Where chance starts, when the temperature is above 0."]


@node(
    version=1,
    title="Describe an image",
    tags=(
        "BLIP",
        "Florence2",
        "image to text",
        "caption",
        "interrogate",
        "CLIP Interrogator",
        "WD14 tagger",
        "JoyCaption",
    ),
)
def describe(
    image: Annotated[Image, "One image or several."],
    model: Annotated[ModelRef[Reader], "The model that reads."],
    *,
    prompt: Annotated[
        str,
        Text(multiline=True),
        "How the text is to begin, or what is asked, as the model was trained for it. Empty: a caption.",
    ] = "",
    length: _Length = 60,
    temperature: _Temperature = 0.0,
    seed: _Seed = 0,
    ctx: Context,
) -> list[str]:
    """A text about each image of a batch: a caption, or the answer to a question."""
    from .._readers import described

    with ctx.models.lease(model) as lease:
        return described(lease, image, prompt, length, temperature, seed, ctx)


@node(
    version=1,
    title="Write a text",
    tags=("LLM", "prompt generator", "prompt enhancer", "MagicPrompt", "GPT", "Qwen", "language model", "chat"),
)
def write(
    model: Annotated[ModelRef[Reader], "The model that reads."],
    *,
    prompt: Annotated[str, Text(multiline=True), "What it goes on from, or what it is asked."] = "",
    system: Annotated[str, Text(multiline=True), "How it is to behave. Only models of chats look at it."] = "",
    length: _Length = 120,
    temperature: _Temperature = 0.7,
    seed: _Seed = 0,
    ctx: Context,
) -> str:
    """Let a language model write: a longer prompt out of a few words, or the answer to a question.

    A model that was trained on chats is asked; any other goes on from the prompt, which then stands before what it
    wrote.
    """
    from .._readers import written

    with ctx.models.lease(model) as lease:
        return written(lease, prompt, system, length, temperature, seed, ctx)
