"""Calling a pipeline of diffusers by its signature, with progress, previews and cancelling."""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import TYPE_CHECKING, Any

from safelight.sdk import Audio, Cancelled, Context, Image, Mask, Problem, ProblemError, is_out_of_memory

if TYPE_CHECKING:
    from torch import Tensor

_PORTS = {"negative_prompt": "negative", "num_inference_steps": "steps", "guidance_scale": "guidance",
          "mask_image": "mask", "audio_end_in_s": "seconds", "audio_length_in_s": "seconds"}  # fmt: skip
_COUNTS = ("num_images_per_prompt", "num_videos_per_prompt", "num_waveforms_per_prompt", "batch_size")
_LENGTHS = ("audio_end_in_s", "audio_length_in_s")
_OURS = ("generator", "output_type", "return_dict", "callback", "callback_steps", "callback_on_step_end",
         "callback_on_step_end_tensor_inputs")  # fmt: skip
"""Arguments that the node gives by itself."""


class Bar:
    """Stands in for the progress bar of a pipeline: tells of each step, and stops where the run is cancelled."""

    def __init__(self, ctx: Context, items: Iterable[Any] | None, total: int | None) -> None:
        self._ctx = ctx
        self._items = items
        self.total = total if total is not None else len(items) if isinstance(items, Sized) else 0
        self.n = 0
        self.preview: Image | None = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __iter__(self) -> Iterator[Any]:
        for item in () if self._items is None else self._items:
            self._ctx.check_cancelled()
            yield item
            self.update()

    def update(self, count: int = 1) -> None:
        self.n += count
        if self.total:
            self._ctx.progress(min(self.n, self.total), self.total, self.preview)
        self._ctx.check_cancelled()

    def __getattr__(self, name: str) -> Any:
        """Whatever else is asked of a bar changes nothing."""
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None


def call(
    pipeline: Any,
    ctx: Context,
    given: Mapping[str, Any],
    arguments: str,
    image: Image | None,
    mask: Mask | None,
    batch: int,
    seed: int,
    seconds: float | None = None,
    sampler: str = "auto",
) -> Any:
    """The output of a pipeline. `given` are the arguments that have ports; None stands for the pipeline's own.

    `seconds` are the length of sound, which pipelines have several names for; `sampler` takes the place of the
    pipeline's own, with the noise levels that it was trained on.

    Raises:
        ProblemError: `argument_not_taken`, `bad_arguments`, `pipeline_failed`.
    """
    import torch

    from safelight.diffusion.noise import generators

    bars: list[Bar] = []

    def progress_bar(iterable: Iterable[Any] | None = None, total: int | None = None) -> Bar:
        bars.append(Bar(ctx, iterable, total))
        return bars[-1]

    own = _copied(pipeline, progress_bar)
    if sampler != "auto":
        own.scheduler = _sampler(own, sampler)
    parameters = inspect.signature(type(own).__call__).parameters
    wanted: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    wanted |= {} if image is None else {"image": _pil_images(image.pixels)}
    wanted |= {} if mask is None else {"mask_image": _pil_images(mask.coverage[..., None].expand(-1, -1, -1, 3))}
    if batch > 1:
        wanted[next((name for name in _COUNTS if name in parameters), _COUNTS[0])] = batch
    if seconds is not None:
        wanted[next((name for name in _LENGTHS if name in parameters), _LENGTHS[0])] = seconds
    _require_taken(type(own).__name__, parameters, wanted, {name: _PORTS.get(name, name) for name in wanted})
    more = _extra(arguments)
    _require_taken(type(own).__name__, parameters, more, dict.fromkeys(more, "arguments"))
    wanted |= more
    sources = generators(seed, batch)
    wanted["generator"] = sources if batch > 1 else sources[0]
    wanted |= {"output_type": "np"} if "output_type" in parameters else {}

    def after_step(_pipeline: Any, _step: int, _timestep: Any, kept: dict[str, Any]) -> dict[str, Any]:
        _see(own, ctx, bars, kept.get("latents"))
        return kept

    if "callback_on_step_end" in parameters:
        wanted["callback_on_step_end"] = after_step
    elif "callback" in parameters:
        wanted["callback"] = lambda _step, _timestep, latents: _see(own, ctx, bars, latents)
    try:
        # For those that draw from torch's own generator instead of the one they are given.
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made = own(**{name: value for name, value in wanted.items() if name in parameters})
    except (Cancelled, ProblemError):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        message = f"{type(own).__name__} fails: {type(error).__name__}: {error}"
        hint = f"It takes {_taken(parameters)}."
        raise ProblemError(
            Problem(code="pipeline_failed", message=message[:1000], hint=hint, port="pipeline")
        ) from error
    return made


def _copied(pipeline: Any, progress_bar: Callable[..., Bar]) -> Any:
    """A copy, so that what is changed for a run is gone with it; its modules are the same. So are those inside it."""
    from diffusers import DiffusionPipeline  # pyright: ignore[reportPrivateImportUsage]

    own = copy.copy(pipeline)
    if hasattr(own, "scheduler"):
        own.scheduler = type(own.scheduler).from_config(own.scheduler.config)
    own.progress_bar = progress_bar
    for name, part in vars(own).items():
        if isinstance(part, DiffusionPipeline):
            setattr(own, name, _copied(part, progress_bar))
    return own


def _sampler(pipeline: Any, name: str) -> Any:
    """The scheduler of diffusers that makes the steps of a sampler, on the schedule of a pipeline's own.

    Raises:
        ProblemError: `argument_not_taken`, where it is none that the pipeline's own can be changed for.
    """
    import diffusers

    from safelight.diffusion import samplers

    row = samplers.SAMPLERS[name]
    own: Any = getattr(pipeline, "scheduler", None)
    fitting = [] if own is None else [kind.__name__ for kind in own.compatibles]
    if own is None or row.method not in fitting:
        raise ProblemError(
            Problem(
                code="argument_not_taken",
                message=f"{type(pipeline).__name__} cannot be run with the sampler {name}.",
                hint="Set the sampler to auto.",
                port="sampler",
                value=name,
            )
        )
    # Noise levels alone: what else is set there belongs to the method of before.
    return getattr(diffusers, row.method).from_config(own.config, **row.options)


def _see(pipeline: Any, ctx: Context, bars: list[Bar], latents: Tensor | None) -> None:
    """Called by the pipeline after each step, before its bar goes on."""
    if bars and latents is not None and ctx.wants_preview():
        bars[-1].preview = _preview(pipeline, latents)
    ctx.check_cancelled()


def _preview(pipeline: Any, latents: Tensor) -> Image | None:
    """A small image of latents (B, C, h, w) of a space that some family knows."""
    from safelight.diffusion.preview import Previewer
    from safelight.families import load_families

    vae = getattr(pipeline, "vae", None)
    scaling = None if vae is None else getattr(vae.config, "scaling_factor", None)
    for family in load_families().there():
        space = family.latent
        if latents.ndim == 4 and space.rgb and (space.channels, space.scaling) == (latents.shape[1], scaling):
            return Previewer(space.rgb, space.channels)(latents.float())
    return None


def _pil_images(pixels: Tensor) -> list[Any]:
    from PIL import Image as Pictures

    from ._pixels import flattened

    rows = (flattened(pixels, 1.0) * 255).round().clamp(0, 255).byte().numpy()
    return [Pictures.fromarray(row) for row in rows]


def _extra(arguments: str) -> dict[str, Any]:
    if not arguments.strip():
        return {}
    try:
        found = json.loads(arguments)
    except ValueError as error:
        raise _bad(f"The arguments are no JSON: {error}.", arguments) from None
    if not isinstance(found, dict):
        raise _bad("The arguments are no JSON object.", arguments)
    ours = sorted(set(found) & set(_OURS))
    if ours:
        raise _bad(f"{ours[0]} is given by the node itself.", arguments)
    return found


def _bad(message: str, value: str) -> ProblemError:
    hint = 'Write an object such as {"eta": 0.5}, with names in quotes.'
    return ProblemError(Problem(code="bad_arguments", message=message, hint=hint, port="arguments", value=value[:200]))


def _require_taken(
    name: str, parameters: Mapping[str, Any], given: Mapping[str, Any], ports: Mapping[str, str]
) -> None:
    problems = [
        Problem(
            code="argument_not_taken",
            message=f"{name} takes no {argument}.",
            hint=f"It takes {_taken(parameters)}.",
            port="batch" if argument in _COUNTS and ports[argument] == argument else ports[argument],
        )
        for argument in given
        if argument not in parameters
    ]
    if problems:
        raise ProblemError(problems)


def _taken(parameters: Mapping[str, Any]) -> str:
    return ", ".join(name for name in parameters if name not in (*_OURS, "self", "args", "kwargs"))


def images(pipeline: Any, made: Any) -> Image:
    """The images of an output, (B, H, W, C); the frames of a video one after the other.

    Raises:
        ProblemError: `pipeline_failed`, when it has neither.
    """
    import numpy
    import torch

    found = _found(pipeline, made, ("images", "frames"), "images or frames")
    if isinstance(found, list):
        # Of pipelines that know no other form: images, or lists of them.
        flat = [one for part in found for one in (part if isinstance(part, list) else [part])]
        found = numpy.stack([numpy.asarray(one) for one in flat])
    pixels = torch.as_tensor(found)
    pixels = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels.float()
    pixels = pixels.reshape(-1, *pixels.shape[-3:]) if pixels.ndim > 3 else pixels[None]
    channels = pixels.shape[-1]
    pixels = pixels.expand(-1, -1, -1, 3) if channels == 1 else pixels[..., : min(channels, 4)]
    return Image(pixels.clamp(0, 1).contiguous())


def sound(pipeline: Any, made: Any) -> Audio:
    """The sound of an output, in the rate that its VAE or its vocoder says.

    Raises:
        ProblemError: `pipeline_failed`, when it has none.
    """
    import torch

    samples = torch.as_tensor(_found(pipeline, made, ("audios",), "sound")).float()
    # Those of one channel leave that side out: (B, T).
    samples = samples[:, None] if samples.ndim == 2 else samples
    parts = [getattr(pipeline, name, None) for name in ("vocoder", "vae")]
    rates = [getattr(part.config, "sampling_rate", None) for part in parts if part is not None]
    rate = next((int(rate) for rate in rates if rate), None)
    if rate is None:
        message = f"{type(pipeline).__name__} does not say in which rate its sound is."
        raise ProblemError(Problem(code="pipeline_failed", message=message, hint="Use another one.", port="pipeline"))
    return Audio(samples.clamp(-1, 1).contiguous(), rate)


_GIVERS = {"images": "pipeline.run", "frames": "pipeline.run", "audios": "pipeline.run_sound"}


def _found(pipeline: Any, made: Any, names: tuple[str, ...], what: str) -> Any:
    """The first field of an output that is there."""
    for name in names:
        if getattr(made, name, None) is not None:
            return getattr(made, name)
    fields = list(made.keys())
    message = f"{type(pipeline).__name__} does not give {what}, but {', '.join(fields)}."
    other = next((_GIVERS[field] for field in fields if field in _GIVERS), None)
    hint = f"Use the node {other}." if other else "Use another one."
    raise ProblemError(Problem(code="pipeline_failed", message=message, hint=hint, port="pipeline"))
