"""Models that read images or texts."""

from __future__ import annotations

from typing import Annotated

from safelight.sdk import Choice, Context, ModelPick, ModelRef, Precision, Reader, node


@node(
    version=1, title="Load reading model", tags=("BLIP loader", "Florence2 loader", "LLM loader", "CLIP loader", "VLM")
)
def load(
    *,
    model: Annotated[
        str,
        ModelPick("reader"),
        "A folder of transformers, or a hub id: BLIP, GIT, a vision or language model, CLIP, SigLIP.",
    ],
    precision: Annotated[
        Precision, Choice(advanced=True), "How numbers are kept and computed with. auto suits the machine."
    ] = "auto",
    ctx: Context,
) -> ModelRef[Reader]:
    """Open a model of transformers that describes images, writes texts, or embeds both.

    Only classes of the installed transformers are used, never code of the folder.
    """
    from ..models import found

    source, _ = found(ctx, model, "reader", "model")
    return ModelRef("Reader", "", source, "", precision)
