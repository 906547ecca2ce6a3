"""Families whose denoiser is a transformer that predicts a flow, run by modular blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from safelight.families._modular.detect import Signs, claims
from safelight.families.base import Family, FileKind, Files, Folder, Held, Loaded, Lora, Parts, unsupported
from safelight.sdk.problem import Problem, ProblemError

if TYPE_CHECKING:
    from safelight.families.files import Header
    from safelight.sdk.leased import VAEModel


@dataclass(frozen=True)
class Encoder:
    """A text encoder: its part, that of its tokenizer, and whether it is a T5 (else CLIP). A model may lack it if it is
    `optional`."""

    part: str
    tokenizer: str
    t5: bool = False
    optional: bool = False


@dataclass(frozen=True)
class ModularFamily(Family):
    """One family.

    `pipelines` are the classes of its models in `model_index.json`, `others` those of related models that cannot be
    run, with what they are. `transformer` is the class of its denoiser, `blocks` that of its modular blocks,
    `lora_loader` that of diffusers which reads its LoRAs, `autoencoder` that of its VAE, `schedulers` those that its
    models may come with. `cells` is how many cells of a latent along one side make a
    token of the transformer, `channels` how many it takes in a token's cells (relatives take more, beside the latent).
    `signs` tell its files.
    """

    transformer: str = ""
    lora_loader: str = ""
    autoencoder: str = "AutoencoderKL"
    schedulers: tuple[str, ...] = ("FlowMatchEulerDiscreteScheduler",)
    blocks: str = ""
    pipelines: tuple[str, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict, hash=False)
    encoders: tuple[Encoder, ...] = ()
    cells: int = 2
    channels: int = 16
    signs: Signs = field(default_factory=lambda: Signs((), (), (), ""))

    def is_pipeline(self, folder: Folder) -> bool:
        made = str(folder.index.get("_class_name", ""))
        if made in self.others:
            raise unsupported(folder.name, self.others[made])
        if made not in self.pipelines:
            return False
        self._require_plain(folder, "transformer")
        scheduler = folder.config("scheduler").get("_class_name")
        if scheduler and scheduler not in self.schedulers:
            raise unsupported(folder.name, f"has the scheduler {scheduler}, which {self.title} is not run with here")
        for encoder in self.encoders:
            if not encoder.optional and not has(folder, encoder.part):
                message = f"{folder.name!r} is a {self.title} whose model_index.json names no {encoder.part}."
                hint = "Get the whole model; it reads prompts with that."
                raise ProblemError(Problem(code="model_incomplete", message=message, hint=hint, value=folder.name))
        return True

    def parts(self, folder: Folder) -> Parts:
        there = [encoder for encoder in self.encoders if has(folder, encoder.part)]
        weights = ("transformer", "vae", *(encoder.part for encoder in there))
        return Parts(weights, tuple(encoder.tokenizer for encoder in there), denoiser="transformer")

    def component(self, folder: Folder) -> FileKind | None:
        config = folder.config("")
        made = config.get("_class_name")
        if made == self.transformer:
            self._require_plain(folder, "")
            return "unet"
        scale = round(config.get("scaling_factor") or 0, 4)
        channels = config.get("latent_channels")
        mine = made == "AutoencoderKL" and (channels, scale) == (self.latent.channels, self.latent.scaling)
        return "vae" if mine else None

    def claims(self, kind: FileKind, name: str, header: Header) -> bool:
        return claims(self.signs, self.title, kind, name, header)

    def load(self, kind: str, files: Files) -> Loaded:
        if kind == "TextEncoder":
            return self._load_text(files)
        if kind == "Denoiser":
            module = _module(files, "transformer", self.transformer, self.complete)
            scheduler = files.config("scheduler") or self.default_scheduler(module.config)
            return Loaded({"transformer": module}, {"scheduler": scheduler, "latent_rgb": files.latent_rgb()})
        if kind == "VAE":
            return Loaded({"vae": _module(files, "vae", self.autoencoder)})
        raise unsupported(files.name, f"is a {kind} for {self.title}, which is not supported yet")

    def complete(self, transformer: Any, files: Files) -> None:
        """Gives a transformer that was made without memory what no file holds, such as tables of positions."""

    def default_scheduler(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of the schedule for a denoiser (with this configuration) that comes without."""
        raise NotImplementedError

    def vae(self, held: Held) -> VAEModel:
        from safelight.diffusion.autoencoder import Codec

        module = held.modules["vae"]
        return Codec(self, module, held.device, held.dtype, module.config.scaling_factor or self.latent.scaling)

    def read_lora(self, name: str, tensors: Mapping[str, Any], modules: Mapping[str, Any]) -> Lora:
        from .lora import read

        del modules
        return read(self.lora_loader, self.title, name, tensors)

    def attach_lora(self, part: str, module: Any, lora: Lora, adapter: str) -> None:
        from .lora import attach

        attach(self.lora_loader, part, module, lora, adapter)

    def _require_plain(self, folder: Folder, part: str) -> None:
        """Raises ProblemError for a transformer of another class, or one that takes more than a latent."""
        config = folder.config(part)
        if not config:
            return
        if config.get("_class_name") != self.transformer:
            raise unsupported(folder.name, f"holds a {config.get('_class_name') or 'model without a class'}")
        channels = config.get("in_channels", self.channels)
        if channels != self.channels:
            what = f"is a {self.title} that takes {channels} channels instead of {self.channels}"
            raise unsupported(folder.name, f"{what}: one led by an image, which is not supported yet")

    def _load_text(self, files: Files) -> Loaded:
        from safelight.families._clip import towers
        from safelight.families._t5 import encoder as t5

        there = [encoder for encoder in self.encoders if encoder.part in files.parts]
        modules = {encoder.part: (t5.encoder if encoder.t5 else towers.tower)(files, encoder.part) for encoder in there}
        tokenizers = tuple(
            (t5.tokenizer if encoder.t5 else towers.tokenizer)(files, encoder.tokenizer) for encoder in there
        )
        return Loaded(modules, {"tokenizers": tokenizers, "transformer": files.config("transformer")})


def has(folder: Folder, part: str) -> bool:
    """Whether a model_index.json names a part."""
    entry = folder.index.get(part)
    return isinstance(entry, list) and len(entry) == 2 and entry[0] is not None


def _module(files: Files, part: str, made: str, complete: Callable[[Any, Files], None] | None = None) -> Any:
    import diffusers

    part = part if files.kind == "pipeline" else ""
    config = files.config(part)
    if config.get("_class_name") != made:
        raise unsupported(files.name, f"holds a {config.get('_class_name') or 'model without a class'} as its {part}")
    cls = getattr(diffusers, made)

    def make() -> Any:
        module = cls.from_config(config)
        if complete is not None:
            complete(module, files)
        return module

    return files.build(part, make)
