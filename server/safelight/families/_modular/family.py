"""Families whose denoiser is a transformer that predicts a flow, run by modular blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from safelight.families._clip.towers import Tower
from safelight.families._modular.detect import Signs, claims, denoiser_prefix
from safelight.families._original.names import Rule, Shapes, shapes_of, translated, translated_shapes
from safelight.families.base import Family, FileKind, Files, Folder, Held, Loaded, Lora, Parts, unsupported
from safelight.families.files import Header
from safelight.sdk.leased import TEXT_ENCODERS
from safelight.sdk.problem import Problem, ProblemError

if TYPE_CHECKING:
    from safelight.sdk.leased import VAEModel


@dataclass(frozen=True)
class Encoder:
    """A text encoder: its part, that of its tokenizer, and what it is. A model may lack it if it is `optional`.

    `tower` says what a CLIP is in a single file."""

    part: str
    tokenizer: str
    kind: Literal["clip", "t5", "language model"] = "clip"
    optional: bool = False
    tower: Tower | None = None

    @property
    def sort(self) -> str:
        """Which one it is in a file of its own."""
        return self.tower.sort if self.tower else "t5"

    @property
    def prefix(self) -> str:
        """How its names begin in a whole model's file."""
        return self.tower.prefix if self.tower else "text_encoders.t5xxl."


@dataclass(frozen=True)
class ModularFamily(Family):
    """One family.

    `pipelines` are the classes of its models in `model_index.json`, `others` those of related models that cannot be
    run, with what they are. `transformer` is the class of its denoiser, `autoencoder` that of its VAE, `blocks` that of
    its modular blocks, `lora_loader` that of diffusers which reads its LoRAs, `schedulers` those that its models may
    come with. `cells` is how many cells of a latent along one side make a token of the transformer, `channels` how many
    it takes in a token's cells (relatives take more, beside the latent). `signs` tell its files. `text_settings` is the
    denoiser's configuration that its text encoders go by where they are loaded without one.
    """

    transformer: str = ""
    autoencoder: str = "AutoencoderKL"
    lora_loader: str = ""
    schedulers: tuple[str, ...] = ("FlowMatchEulerDiscreteScheduler",)
    blocks: str = ""
    pipelines: tuple[str, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict, hash=False)
    encoders: tuple[Encoder, ...] = ()
    cells: int = 2
    channels: int = 16
    text_settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    signs: Signs = field(default_factory=lambda: Signs((), (), ()))

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
        if made != self.autoencoder:
            return None
        scale = round(config.get("scaling_factor") or 0, 4)
        channels = config.get("latent_channels")
        # Many families have an AutoencoderKL of their own; other classes are of one alone.
        mine = made != "AutoencoderKL" or (channels, scale) == (self.latent.channels, self.latent.scaling)
        return "vae" if mine else None

    def claims(self, kind: FileKind, name: str, header: Header) -> bool:
        if not claims(self.signs, self.title, kind, name, header, self.latent.channels):
            return False
        if kind in ("pipeline", "unet"):
            # A damaged file tells no channels; what it lacks is named when it is loaded.
            self._require_channels(name, self.original_config(header).get("in_channels") or self.channels)
        return True

    # Single files. A later family gives these two.

    def rules(self, shapes: Shapes) -> Sequence[Rule]:
        """How the layers of its denoiser are called by its makers; `shapes` are those of a file in their layout."""
        del shapes
        return ()

    def config_of(self, shapes: Shapes) -> dict[str, Any]:
        """The configuration of a denoiser whose tensors have these shapes, by the names of diffusers."""
        raise NotImplementedError

    def original_config(self, header: Header) -> dict[str, Any]:
        """The configuration of the denoiser in a single file."""
        prefix = denoiser_prefix(self.signs, header) or ""
        shapes = shapes_of(header, prefix)
        return self.config_of(translated_shapes(shapes, self.rules(shapes)))

    def text_sorts(self) -> tuple[tuple[str, bool], ...]:
        alone = () if self.signs.get else self.encoders
        return tuple((encoder.sort, encoder.optional) for encoder in alone)

    def prefixes(self, kind: str) -> tuple[str, ...]:
        return {
            "Denoiser": ("model.diffusion_model.", *(key.split(".")[0] for keys in self.signs.names for key in keys)),
            "VAE": ("first_stage_model.", "vae."),
            "TextEncoder": ("text_encoders.",),
        }[kind]

    def load(self, kind: str, files: Files) -> Loaded:
        if files.single:
            return {"Denoiser": self._single, "VAE": self._single_vae, "TextEncoder": self._single_text}[kind](files)
        if kind == "TextEncoder":
            return self._load_text(files)
        if kind == "Denoiser":
            module = _module(files, "transformer", self.transformer, self.complete)
            scheduler = files.config("scheduler") or self.default_scheduler(module.config)
            return Loaded({"transformer": module}, {"scheduler": scheduler, "latent_rgb": files.latent_rgb()})
        if kind == "VAE":
            return Loaded({"vae": _module(files, "vae", self.autoencoder)})
        raise unsupported(files.name, f"is a {kind} for {self.title}, which is not supported yet")

    def _single(self, files: Files) -> Loaded:
        import diffusers

        header = files.header()
        prefix = denoiser_prefix(self.signs, header) or ""
        rules = self.rules(shapes_of(header, prefix))
        config = self.original_config(header)
        given = {name.removeprefix(prefix): tensor for name, tensor in files.tensors(prefix=prefix).items()}
        module = files.filled(lambda: getattr(diffusers, self.transformer)(**config), translated(given, rules))
        return Loaded({"transformer": module}, {"scheduler": self.default_scheduler(config), "latent_rgb": ()})

    def _single_vae(self, files: Files) -> Loaded:
        from safelight.families._original import vae

        prefix = vae.vae_prefix(files.header())
        if prefix is None:
            message = f"{files.name} holds no VAE."
            hint = "Load one by itself, and connect that."
            raise ProblemError(Problem(code="model_incomplete", message=message, hint=hint, value=files.name))
        # The scale of one that tells no family comes from what it is used with.
        scale = {"scaling_factor": self.latent.scaling, "shift_factor": self.latent.shift} if files.family else {}
        scale = scale or {"scaling_factor": None, "shift_factor": None}
        return Loaded({"vae": vae.load(files, prefix, {**scale, "force_upcast": True, "sample_size": 1024})})

    def _single_text(self, files: Files) -> Loaded:
        from safelight.families._clip import towers
        from safelight.families._original.text import clip_prefix, t5_prefix
        from safelight.families._t5 import encoder as t5

        modules: dict[str, Any] = {}
        tokenizers: list[Any] = []
        for encoder in self.encoders:
            part, prefix = towers.place(files, encoder.sort, encoder.prefix)
            header = files.header(part) if part in files.parts else Header({}, {}, 0)
            start = t5_prefix(header, prefix) if encoder.kind == "t5" else None
            if encoder.tower and clip_prefix(header, prefix):
                modules[encoder.part] = towers.original_tower(files, encoder.tower)
                tokenizers.append(towers.original_tokenizer(encoder.tower))
            elif start is not None:
                modules[encoder.part] = t5.original(files, part, start)
                tokenizers.append(t5.tokenizer(files, "tokenizer"))
            elif not encoder.optional:
                raise towers.lacks(files, TEXT_ENCODERS[encoder.sort])
        whole = files.kind == "pipeline"
        config = self.original_config(files.header()) if whole else self.text_settings
        return Loaded(modules, {"tokenizers": tuple(tokenizers), "transformer": config})

    def default_scheduler(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of the schedule for a denoiser (with this configuration) that comes without."""
        raise NotImplementedError

    def complete(self, transformer: Any) -> None:
        """Makes again what a transformer computes when it is made, and keeps beside its weights: it was made without
        memory for either. What is made here lies where the weights will."""

    def vae(self, held: Held) -> VAEModel:
        from safelight.diffusion.autoencoder import Codec

        module = held.modules["vae"]
        told = module.config.scaling_factor
        if told is None:
            return Codec(self, module, held.device, held.dtype, self.latent.scaling, self.latent.shift)
        return Codec(self, module, held.device, held.dtype, told)

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
        self._require_channels(folder.name, config.get("in_channels", self.channels))

    def _require_channels(self, name: str, channels: int) -> None:
        if channels != self.channels:
            what = f"is a {self.title} that takes {channels} channels instead of {self.channels}"
            raise unsupported(name, f"{what}: one led by an image, which is not supported yet")

    def _load_text(self, files: Files) -> Loaded:
        from safelight.families._clip import towers
        from safelight.families._lm import encoder as lm
        from safelight.families._t5 import encoder as t5

        loaders = {
            "clip": (towers.tower, towers.tokenizer),
            "t5": (t5.encoder, t5.tokenizer),
            "language model": (lm.encoder, lm.tokenizer),
        }
        there = [encoder for encoder in self.encoders if encoder.part in files.parts]
        modules = {encoder.part: loaders[encoder.kind][0](files, encoder.part) for encoder in there}
        tokenizers = tuple(loaders[encoder.kind][1](files, encoder.tokenizer) for encoder in there)
        return Loaded(modules, {"tokenizers": tokenizers, "transformer": files.config("transformer")})


def has(folder: Folder, part: str) -> bool:
    """Whether a model_index.json names a part."""
    entry = folder.index.get(part)
    return isinstance(entry, list) and len(entry) == 2 and entry[0] is not None


def _module(files: Files, part: str, made: str, complete: Callable[[Any], None] | None = None) -> Any:
    import diffusers
    import torch

    part = part if files.kind == "pipeline" else ""
    config = files.config(part)
    if config.get("_class_name") != made:
        raise unsupported(files.name, f"holds a {config.get('_class_name') or 'model without a class'} as its {part}")
    cls = getattr(diffusers, made)

    def make() -> Any:
        module = cls.from_config(config)
        if complete is not None:
            with torch.device(files.device):
                complete(module)
        return module

    return files.build(part, make)
