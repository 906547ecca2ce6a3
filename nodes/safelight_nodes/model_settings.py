"""How a model is run: what it predicts, how it is held in memory, which steps it leaves out, whether edges meet."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal, NamedTuple

from safelight.sdk import (
    VAE,
    Choice,
    Context,
    Denoiser,
    MemoryWay,
    ModelRef,
    Problem,
    ProblemError,
    Running,
    Slider,
    TextEncoder,
    Toggle,
    Wraps,
    node,
)

from .loras import Patched


class Seamless(NamedTuple):
    """A denoiser and its VAE that make images which continue at their edges."""

    model: ModelRef[Denoiser]
    vae: ModelRef[VAE]


@node(
    version=1,
    category="models",
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
    category="models",
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
    category="models",
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
    category="models",
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
