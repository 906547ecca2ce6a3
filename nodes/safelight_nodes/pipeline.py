"""Any pipeline of diffusers, run as it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from safelight.sdk import (
    Audio,
    Choice,
    Context,
    Image,
    Mask,
    ModelPick,
    ModelRef,
    Number,
    Pipeline,
    Precision,
    ProblemError,
    Seed,
    Slider,
    Text,
    node,
)

From = Annotated[str, ModelPick("foreign"), "A folder in the layout of diffusers, or a hub id."]
Negative = Annotated[str, Text(multiline=True), "What to avoid. Left out where it is empty."]
Steps = Annotated[int, Slider(0, 1000, zero="auto"), "Number of steps. 0, auto: the pipeline's own."]
Guidance = Annotated[float, Slider(0, 30, step=0.1, zero="auto"), "0, auto: the pipeline's own."]
NoiseSeed = Annotated[int, Seed(), "Where the random noise starts."]
Arguments = Annotated[
    str,
    Text(multiline=True, placeholder='{"eta": 0.5}'),
    "Any other arguments of the pipeline, as a JSON object. What it takes is told when one is wrong.",
]
Kept = Annotated[Precision, Choice(advanced=True), "How numbers are kept and computed with. auto suits the machine."]


@node(
    version=1,
    title="Run a pipeline of diffusers",
    tags=("PixArt", "Sana", "Kandinsky", "Lumina", "HiDream", "AnimateDiff", "DDPM", "DDIM", "DiffusionPipeline"),
)
def run(
    image: Annotated[Image | None, "For pipelines that start from an image, or are led by one."] = None,
    mask: Annotated[Mask | None, "For pipelines that paint a part of an image: white is painted."] = None,
    *,
    pipeline: From,
    prompt: Annotated[str, Text(multiline=True), "What to show. Left out where it is empty."] = "",
    negative: Negative = "",
    steps: Steps = 0,
    sampler: Annotated[
        Literal["auto", "ddpm", "ddim", "dpmpp_2m"],
        "What makes the steps. auto: the pipeline's own.",
    ] = "auto",
    guidance: Guidance = 0.0,
    width: Annotated[int, Number(0, 16384, zero="auto"), "In pixels. 0, auto: the pipeline's own."] = 0,
    height: Annotated[int, Number(0, 16384, zero="auto"), "In pixels. 0, auto: the pipeline's own."] = 0,
    batch: Annotated[int, Slider(1, 64), "Number of images made at once."] = 1,
    seed: NoiseSeed = 0,
    arguments: Arguments = "",
    precision: Kept = "auto",
    ctx: Context,
) -> Annotated[Image, "The images, or the frames of a video one after the other."]:
    """Run a model of a family that no other node knows: PixArt, Sana, Kandinsky, AnimateDiff, DDPM and others.

    It is one step for the graph: a run that is killed begins it again, and nothing inside can be rewired. It shows its
    progress and can be cancelled. Only classes of the installed diffusers are used, never code of the folder.
    """
    from ._pipelines import call, images

    given = {
        "prompt": prompt or None,
        "negative_prompt": negative or None,
        "num_inference_steps": steps or None,
        "guidance_scale": guidance or None,
        "width": width or None,
        "height": height or None,
    }
    with _leased(ctx, pipeline, precision) as component:
        return images(component, call(component, ctx, given, arguments, image, mask, batch, seed, sampler=sampler))


@node(
    version=1,
    title="Run a pipeline of sound",
    tags=("Stable Audio", "AudioLDM", "MusicLDM", "text to audio", "music", "DiffusionPipeline"),
)
def run_sound(
    *,
    pipeline: From,
    prompt: Annotated[str, Text(multiline=True), "What to hear. Left out where it is empty."] = "",
    negative: Negative = "",
    seconds: Annotated[float, Number(0, 3600, step=0.5, zero="auto"), "Its length. 0, auto: the pipeline's own."] = 0.0,
    steps: Steps = 0,
    guidance: Guidance = 0.0,
    batch: Annotated[int, Slider(1, 64), "Number of sounds made at once."] = 1,
    seed: NoiseSeed = 0,
    arguments: Arguments = "",
    precision: Kept = "auto",
    ctx: Context,
) -> Annotated[Audio, "The sounds, all of one length."]:
    """Make sound with a model that diffusers has a pipeline for: Stable Audio, AudioLDM and others.

    It is one step for the graph, as the node for images: it shows its progress and can be cancelled, and a run that is
    killed begins it again. Only classes of the installed diffusers are used, never code of the folder.
    """
    from ._pipelines import call, sound

    given = {
        "prompt": prompt or None,
        "negative_prompt": negative or None,
        "num_inference_steps": steps or None,
        "guidance_scale": guidance or None,
    }
    with _leased(ctx, pipeline, precision) as component:
        made = call(component, ctx, given, arguments, None, None, batch, seed, seconds or None)
        return sound(component, made)


@contextmanager
def _leased(ctx: Context, pipeline: str, precision: Precision) -> Iterator[Any]:
    """The pipeline, for as long as it computes; what is wrong is told at its port, or at that of the argument."""
    from .models import found

    source, _ = found(ctx, pipeline, "foreign", "pipeline")
    ref: ModelRef[Pipeline] = ModelRef("Pipeline", "", source, "", precision)
    try:
        with ctx.models.lease(ref) as lease:
            yield lease.component
    except ProblemError as error:
        raise ProblemError(problem.at(port=problem.port or "pipeline") for problem in error.problems) from None
