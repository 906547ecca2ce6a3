"""Trained weights, and the models they are written to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from safelight.sdk import Context, Denoiser, Image, ModelRef, Patch, Text, node, value

if TYPE_CHECKING:
    from torch import Tensor


@value
@dataclass(frozen=True, eq=False)
class Weights:
    """What a training node has learned.

    `kind` is the class of diffusers or transformers, or `lora`; `config` what makes an empty one; `tensors` the
    averaged weights in float32 by their names there. `curve`: (step, loss) points. `about`: how it was
    trained, for its folder.
    """

    kind: str
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    curve: tuple[tuple[int, float], ...] = ()
    about: dict[str, Any] = field(default_factory=dict)


_Name = Annotated[str, Text(), "Name of the model: a folder below the model folder, replaced if it is there."]
_Precision = Annotated[
    Literal["float16", "bfloat16", "float32"], "How weights are kept on disk. Half precision is enough for use."
]


@node(version=1)
def draw_curve(
    weights: Weights,
    *,
    logarithmic: Annotated[bool, "Equal distances are equal ratios of the loss."] = True,
) -> Image:
    """Draw the loss over the steps of the training that made these weights."""
    from ._training.drawing import curve

    return Image(curve(weights.curve, logarithmic))


@node(version=1, title="Save LoRA", output=True, cache=False)
def save_lora(
    weights: Annotated[Weights, "A LoRA that was trained."],
    model: Annotated[ModelRef[Denoiser], "The model it was trained on."],
    *,
    name: _Name = "trained/lora",
    precision: _Precision = "float16",
    ctx: Context,
) -> Annotated[ModelRef[Denoiser], "The model with the LoRA on it."]:
    """Write a LoRA below the model folder, in the form that other programs load, too."""
    from ._training.folders import check_kind, write_lora

    check_kind(weights, "lora")
    with ctx.models.create(name) as folder:
        write_lora(folder, weights, precision)
    return model.patched(Patch("lora", ctx.models.find(name, "lora")))
