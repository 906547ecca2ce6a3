"""Any pipeline of diffusers, run as it is."""

from __future__ import annotations

from typing import Annotated

from safelight.sdk import (
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


@node(
    version=1,
    title="Run a pipeline of diffusers",
    tags=("PixArt", "Sana", "Kandinsky", "Lumina", "HiDream", "AnimateDiff", "DDPM", "DDIM", "DiffusionPipeline"),
)
def run(
    image: Annotated[Image | None, "For pipelines that start from an image, or are led by one."] = None,
    mask: Annotated[Mask | None, "For pipelines that paint a part of an image: white is painted."] = None,
    *,
    pipeline: Annotated[str, ModelPick("foreign"), "A folder in the layout of diffusers, or a hub id."],
    prompt: Annotated[str, Text(multiline=True), "What to show. Left out where it is empty."] = "",
    negative: Annotated[str, Text(multiline=True), "What to avoid. Left out where it is empty."] = "",
    steps: Annotated[int, Slider(0, 1000, zero="auto"), "Number of steps. 0, auto: the pipeline's own."] = 0,
    guidance: Annotated[float, Slider(0, 30, step=0.1, zero="auto"), "0, auto: the pipeline's own."] = 0.0,
    width: Annotated[int, Number(0, 16384, zero="auto"), "In pixels. 0, auto: the pipeline's own."] = 0,
    height: Annotated[int, Number(0, 16384, zero="auto"), "In pixels. 0, auto: the pipeline's own."] = 0,
    batch: Annotated[int, Slider(1, 64), "Number of images made at once."] = 1,
    seed: Annotated[int, Seed(), "Where the random noise starts."] = 0,
    arguments: Annotated[
        str,
        Text(multiline=True, placeholder='{"eta": 0.5}'),
        "Any other arguments of the pipeline, as a JSON object. What it takes is told when one is wrong.",
    ] = "",
    precision: Annotated[
        Precision, Choice(advanced=True), "How numbers are kept and computed with. auto suits the machine."
    ] = "auto",
    ctx: Context,
) -> Annotated[Image, "The images, or the frames of a video one after the other."]:
    """Run a model of a family that no other node knows: PixArt, Sana, Kandinsky, AnimateDiff, DDPM and others.

    It is one step for the graph: a run that is killed begins it again, and nothing inside can be rewired. It shows its
    progress and can be cancelled. Only classes of the installed diffusers are used, never code of the folder.
    """
    from ._pipelines import call
    from .models import found

    source, _ = found(ctx, pipeline, "foreign", "pipeline")
    ref: ModelRef[Pipeline] = ModelRef("Pipeline", "", source, "", precision)
    given = {
        "prompt": prompt or None,
        "negative_prompt": negative or None,
        "num_inference_steps": steps or None,
        "guidance_scale": guidance or None,
        "width": width or None,
        "height": height or None,
    }
    try:
        with ctx.models.lease(ref) as lease:
            return call(lease.component, ctx, given, arguments, image, mask, batch, seed)
    except ProblemError as error:
        raise ProblemError(problem.at(port=problem.port or "pipeline") for problem in error.problems) from None
