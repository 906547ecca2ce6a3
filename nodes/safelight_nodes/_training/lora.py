"""Fine-tuning as a LoRA beside the weights, or of a denoiser's own weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from safelight.sdk import VAE, Context, Denoiser, ModelRef, Problem, ProblemError, Team, TextEncoder
from safelight_nodes.training_values import ImageSet, Weights

from .adapters import Targets, add_lora, lora_tensors
from .computing import own_model
from .finetune import Examples, Loss, Noising, Reader, Settings, about, course, placed, prepared, previews, taken
from .folders import plain_config, plain_tensors
from .loop import fit

PARTS = ("unet", "transformer")


@dataclass(frozen=True)
class Lora:
    """What the node for LoRAs is set to beside what all fine-tunings are."""

    rank: int
    alpha: float
    targets: Targets
    dropout: float
    text_rate: float


@dataclass(frozen=True)
class Given:
    """What is trained, and on what. `prompt` is what samples show."""

    model: ModelRef[Denoiser]
    text: ModelRef[TextEncoder]
    vae: ModelRef[VAE]
    images: ImageSet
    prior: ImageSet | None
    prompt: str


def learn_lora(given: Given, lora: Lora, settings: Settings, ctx: Context, team: Team) -> Weights:
    """A LoRA for the denoiser and, with a rate for it, for CLIP's text encoders."""
    work = _Work(given, settings, ctx, team, full=False, learns_text=lora.text_rate > 0)

    def laid(module: Any, number: int) -> list[Any]:
        alpha = lora.alpha or None
        return add_lora(
            prepared(module, settings.checkpointing),
            lora.rank,
            settings.seed + number,
            alpha=alpha,
            targets=lora.targets,
            dropout=lora.dropout,
        )

    parts = {PARTS[0] if PARTS[0] in work.denoiser.modules else PARTS[1]: work.module}
    groups: list[dict[str, Any]] = [{"params": laid(work.module, 0)}]
    towers = _towers(work.text.modules, given) if lora.text_rate else {}
    for number, module in enumerate(towers.values(), 1):
        groups.append({"params": laid(module, number), "scale": lora.text_rate})
    parts |= towers
    points = work.fit(groups, list(parts.values()), dropout=lora.dropout > 0)
    tensors = {name: tensor for part, module in parts.items() for name, tensor in lora_tensors(module, part).items()}
    said = about(settings, given.model, rank=lora.rank, alpha=lora.alpha or lora.rank, targets=lora.targets)
    return Weights("lora", {"rank": lora.rank}, tensors, points, {"method": "LoRA", **said})


def learn_whole(given: Given, settings: Settings, ctx: Context, team: Team) -> Weights:
    """All weights of the denoiser."""
    work = _Work(given, settings, ctx, team, full=True, learns_text=False)
    module = prepared(work.module, settings.checkpointing).requires_grad_(True)
    points = work.fit([{"params": list(module.parameters())}], [module])
    said = about(settings, given.model, method="fine-tuning of the whole denoiser", scheduler=work.scheduler)
    return Weights(type(module).__name__, plain_config(module), plain_tensors(module), points, said)


class _Work:
    """What both have in common: copies of the model, the examples, the loss and the course."""

    def __init__(
        self, given: Given, settings: Settings, ctx: Context, team: Team, *, full: bool, learns_text: bool
    ) -> None:
        self._given, self._settings, self._ctx, self._team = given, settings, ctx, team
        self._device, self._dtype = ctx.models.device()
        self.denoiser = own_model(ctx, placed(given.model, full), "model")
        self.text = own_model(ctx, given.text, "text")
        taken(self.denoiser.family, settings, self.denoiser.prediction, ctx)
        for module in (*self.denoiser.modules.values(), *self.text.modules.values()):
            module.requires_grad_(False)
        self.read = Reader(self.text, ctx, learns_text)
        family, seed = self.denoiser.family.id, settings.seed
        sets = [(given.images, 1.0, settings.flip), (given.prior, settings.prior_weight, False)]
        self._parts = [
            (Examples(ctx, images, given.vae, family, flip, seed + number), weight)
            for number, (images, weight, flip) in enumerate(sets)
            if images is not None and weight
        ]

    @property
    def module(self) -> Any:
        """The denoiser's own module. Raises ProblemError for a model of two denoisers, one after the other."""
        modules: Mapping[str, Any] = self.denoiser.modules
        return next(modules[part] for part in PARTS if part in modules)

    @property
    def scheduler(self) -> dict[str, Any]:
        return dict(self.denoiser.scheduler)

    def fit(
        self, groups: list[dict[str, Any]], modules: list[Any], *, dropout: bool = False
    ) -> tuple[tuple[int, float], ...]:
        settings, given = self._settings, self._given
        noising = Noising(self.denoiser.scheduler, self.denoiser.prediction, settings.gamma, settings.noise_offset)
        loss = Loss(self.denoiser, self.read, self._parts, noising, settings, self._device, self._dtype, dropout)
        show = previews(
            self._ctx, self.denoiser, self.read, given.vae, self._parts[0][0], given.prompt, modules, settings.seed,
            self._device, self._dtype,
        )  # fmt: skip
        return tuple(fit(groups, loss, course(settings), self._ctx, show, self._team).points)


def _towers(modules: Mapping[str, Any], given: Given) -> dict[str, Any]:
    """The text encoders that a LoRA can be for: those of CLIP, which other programs know it for."""
    found = {part: module for part, module in modules.items() if type(module).__name__.startswith("CLIPText")}
    if not found:
        message = f"The text encoders of {given.text.family} are language models, for which no LoRA is made."
        hint = "Set text_rate to 0: the denoiser learns alone."
        raise ProblemError(Problem(code="model_not_supported", message=message, hint=hint, port="text_rate"))
    return found
