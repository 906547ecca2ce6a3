"""Families whose denoiser is a transformer that predicts a flow, run by modular blocks."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from safelight.families._clip.towers import Tower
from safelight.families._modular.controlnet import NetKind
from safelight.families._modular.detect import Signs, claims, denoiser_prefix, odd_heads
from safelight.families._modular.lora import PARTS
from safelight.families._original.names import Rule, Shapes, shapes_of, translated, translated_shapes
from safelight.families.base import Family, FileKind, Files, Folder, Held, Loaded, Lora, Parts, unsupported
from safelight.families.files import Header
from safelight.sdk.leased import TEXT_ENCODERS
from safelight.sdk.problem import Problem, ProblemError

if TYPE_CHECKING:
    from safelight.sdk.leased import VAEModel


_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")
_WHOLE = {"t5": "t5xxl", "umt5": "umt5xxl", "qwen3": "qwen3_4b"}
"""How ComfyUI calls text encoders in the file of a whole model."""


@dataclass(frozen=True)
class Encoder:
    """A text encoder: its part, that of its tokenizer (empty for one that reads bytes), and what it is.

    A model may lack it if it is `optional`. `tower` says what a CLIP is in a single file, `alone` which one a language
    model is in a file of its own.
    """

    part: str
    tokenizer: str
    kind: Literal["clip", "t5", "umt5", "language model"] = "clip"
    optional: bool = False
    tower: Tower | None = None
    alone: str = ""

    @property
    def sort(self) -> str:
        """Which one it is in a file of its own (a key of `TEXT_ENCODERS`); empty for one that is not read so."""
        if self.tower:
            return self.tower.sort
        return self.kind if self.kind in ("t5", "umt5") else self.alone

    @property
    def prefix(self) -> str:
        """How its names begin in a whole model's file."""
        return self.tower.prefix if self.tower else f"text_encoders.{_WHOLE.get(self.sort, self.sort)}."


@dataclass(frozen=True)
class ModularFamily(Family):
    """One family.

    `pipelines` are the classes of its models in `model_index.json`, `others` those of related models that cannot be
    run, with what they are. `transformer` is the class of its denoiser, `autoencoder` that of its VAE; where that is
    another family's, a VAE that lies alone belongs there (`owns_autoencoder` off). `blocks` is the class of its
    modular blocks, `lora_loader` that of diffusers which reads its LoRAs, `schedulers` those that its models may come
    with, `schedule` what is set for one that comes without. `cells` is how many cells of a latent along one side make
    a token of the transformer, `channels` how many it takes in a token's cells; relatives that are run as well take
    those of `takes` (more, beside the latent). `signs` tell its files, `controlnet` what its ControlNets are.
    `text_settings` is the denoiser's configuration that its text encoders go by where they are loaded without one.
    `beside` are parts of its folders that are loaded with a kind of component. `lora_rules` are how its makers call
    the layers that LoRAs change; with None diffusers translates those names.
    """

    transformer: str = ""
    autoencoder: str = "AutoencoderKL"
    owns_autoencoder: bool = True
    lora_loader: str = ""
    lora_rules: tuple[Rule, ...] | None = None
    schedulers: tuple[str, ...] = ("FlowMatchEulerDiscreteScheduler",)
    schedule: Mapping[str, Any] = field(default_factory=dict, hash=False)
    blocks: str = ""
    pipelines: tuple[str, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict, hash=False)
    encoders: tuple[Encoder, ...] = ()
    cells: int = 2
    channels: int = 16
    takes: tuple[int, ...] = ()
    text_settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    signs: Signs = field(default_factory=lambda: Signs((), (), ()))
    controlnet: NetKind | None = None
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    @property
    def pipeline(self) -> str:
        return self.pipelines[0]

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
        eyes = ("image_encoder",) if has(folder, "image_encoder") else ()
        beside = (name for names in self.beside.values() for name in names)
        weights = ("transformer", "vae", *(encoder.part for encoder in there), *eyes, *beside)
        tokenizers = tuple(filter(None, (encoder.tokenizer for encoder in there)))
        return Parts(weights, tokenizers, denoiser="transformer", beside=self.beside)

    def component(self, folder: Folder) -> FileKind | None:
        config = folder.config("")
        made = config.get("_class_name")
        if made == self.transformer:
            self._require_plain(folder, "")
            return "unet"
        if self.controlnet is not None and self.controlnet.is_folder(folder.name, config):
            return "controlnet"
        if made != self.autoencoder or not self.owns_autoencoder:
            return None
        scale = round(config.get("scaling_factor") or 0, 4)
        channels = config.get("latent_channels")
        # Many families have an AutoencoderKL of their own; other classes are of one alone.
        mine = made != "AutoencoderKL" or (channels, scale) == (self.latent.channels, self.latent.scaling)
        return "vae" if mine else None

    def claims(self, kind: FileKind, name: str, header: Header) -> bool:
        if kind == "controlnet":
            return self.controlnet is not None and self.controlnet.is_file(name, header)
        if not claims(self.signs, self.title, kind, name, header, self.latent.channels):
            return False
        if kind in ("pipeline", "unet"):
            # A damaged file tells no channels; what it lacks is named when it is loaded.
            config = self.original_config(header)
            self._require_channels(name, config.get("in_channels") or self.channels)
            self._require_heads(
                name, config, "Get it as a folder in the layout of diffusers, which says its positions."
            )
        return True

    # Single files. A later family gives these two.

    def rules(self, shapes: Shapes) -> Sequence[Rule]:
        """How the layers of its denoiser are called by its makers; `shapes` are those of a file in their layout."""
        del shapes
        return ()

    def layer_rules(self, transformer: Any) -> Sequence[Rule]:
        """The rules by which the layers of a transformer are called in LoRAs made for its makers' layout."""
        del transformer
        return self.lora_rules or ()

    def layer_names(self, part: str, module: Any, names: Iterable[str]) -> dict[str, str]:
        # A decoder or a second transformer beside the first takes none.
        return super().layer_names(part, module, names) if part.startswith((*PARTS, "text_encoder")) else {}

    def fused_names(self, part: str, module: Any, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        there = set(names) if part.startswith("transformer") else set[str]()
        most = 1 + max((int(number) for name in there for number in _NUMBER.findall(name)), default=-1)
        for rule in self.layer_rules(module) if there else ():
            for number in range(most if "{}" in rule.old else 1):
                flat = rule.old.format(number).replace(".", "_")
                places = tuple(name.format(number) for name in rule.new)
                if rule.swap:  # what changes such a layer would have to be swapped as well
                    found.pop(flat, None)
                elif there.issuperset(places):
                    found[flat] = places
        return found

    def config_of(self, shapes: Shapes) -> dict[str, Any]:
        """The configuration of a denoiser whose tensors have these shapes, by the names of diffusers."""
        raise NotImplementedError

    def original_config(self, header: Header) -> dict[str, Any]:
        """The configuration of the denoiser in a single file."""
        prefix = denoiser_prefix(self.signs, header) or ""
        shapes = shapes_of(header, prefix)
        return self.config_of(translated_shapes(shapes, self.rules(shapes)))

    def width(self, config: Mapping[str, Any]) -> int:
        """Channels of the transformer's own states, by its configuration."""
        return config["num_attention_heads"] * config["attention_head_dim"]

    def step_bytes(self, files: Files, shape: Sequence[int], itemsize: int) -> int:
        from .working_memory import USUAL_TEXT, working_bytes

        whole = "transformer" if files.kind == "pipeline" else ""
        config = self.original_config(files.header()) if files.single else files.config(whole)
        return working_bytes(self.width(config), self.cells, shape, USUAL_TEXT, itemsize)

    def text_sorts(self) -> tuple[tuple[str, bool], ...]:
        alone = all(encoder.sort for encoder in self.encoders)
        return tuple((encoder.sort, encoder.optional) for encoder in self.encoders) if alone else ()

    def prefixes(self, kind: str) -> tuple[str, ...]:
        return {
            "Denoiser": ("model.diffusion_model.", *(key.split(".")[0] for keys in self.signs.names for key in keys)),
            "VAE": ("first_stage_model.", "vae."),
            "TextEncoder": ("text_encoders.",),
            "ControlNet": ("",),
        }[kind]

    def load(self, kind: str, files: Files) -> Loaded:
        if kind == "ControlNet" and self.controlnet is not None:
            return self.controlnet.load(files, self.complete)
        if files.single:
            return {"Denoiser": self._single, "VAE": self._single_vae, "TextEncoder": self._single_text}[kind](files)
        if kind == "TextEncoder":
            return self._load_text(files)
        if kind == "Denoiser":
            more = (name for name in files.parts if name.startswith("transformer_"))
            names = ["transformer", *more]
            modules = {name: loaded_module(files, name, self.transformer, self.complete) for name in names}
            scheduler = files.config("scheduler") or self.default_scheduler(modules["transformer"].config)
            return Loaded(modules, {"scheduler": scheduler, "latent_rgb": files.latent_rgb()})
        if kind == "VAE":
            return Loaded({"vae": loaded_module(files, "vae", self.autoencoder)})
        raise unsupported(files.name, f"is a {kind} for {self.title}, which is not supported yet")

    def _single(self, files: Files) -> Loaded:
        import diffusers
        import torch

        def module(part: str) -> Any:
            header = files.header(part)
            prefix = denoiser_prefix(self.signs, header) or ""
            rules = self.rules(shapes_of(header, prefix))
            config = self.original_config(header)
            given = {name.removeprefix(prefix): tensor for name, tensor in files.tensors(part, prefix).items()}

            def make() -> Any:
                made = getattr(diffusers, self.transformer)(**config)
                with torch.device(files.device):
                    self.complete(made)
                return made

            return files.filled(make, translated(given, rules))

        names = {"transformer": "", **{name: name for name in files.parts if name.startswith("transformer_")}}
        modules = {name: module(part) for name, part in names.items()}
        scheduler = self.default_scheduler(self.original_config(files.header()))
        return Loaded(modules, {"scheduler": scheduler, "latent_rgb": ()})

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
        from safelight.families._lm import encoder as lm
        from safelight.families._original.text import clip_prefix, language_prefix, require_rows, t5_prefix
        from safelight.families._t5 import encoder as t5

        modules: dict[str, Any] = {}
        tokenizers: list[Any] = []
        for encoder in self.encoders:
            part, prefix = towers.place(files, encoder.sort, encoder.prefix)
            header = files.header(part) if part in files.parts else Header({}, {}, 0)
            start = t5_prefix(header, prefix, encoder.kind) if encoder.kind in ("t5", "umt5") else None
            if encoder.tower and clip_prefix(header, prefix):
                modules[encoder.part] = towers.original_tower(files, encoder.tower)
                tokenizers.append(towers.original_tokenizer(encoder.tower))
            elif start is not None:
                modules[encoder.part] = t5.original(files, part, start, encoder.kind)
                tokenizers.append(t5.original_tokenizer(files, part, encoder.kind))
            elif encoder.kind == "language model" and (start := language_prefix(header, prefix)) is not None:
                modules[encoder.part] = lm.original(files, part, start)
                tokenizers.append(lm.original_tokenizer(files, part))
            elif not encoder.optional:
                raise towers.lacks(files, TEXT_ENCODERS[encoder.sort])
            if encoder.part in modules:
                require_rows(files.name, modules[encoder.part], tokenizers[-1])
        whole = files.kind == "pipeline"
        config = self.original_config(files.header()) if whole else self.text_settings
        return Loaded(modules, {"tokenizers": tuple(tokenizers), "transformer": config})

    def default_scheduler(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of the schedule for a denoiser (with this configuration) that comes without."""
        del config
        return {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, **self.schedule}

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

    def tiny(self, folder: Path, seed: int = 0) -> Path:
        """By `write` of the module `tiny` in the family's folder."""
        home = type(self).__module__.rpartition(".")[0]
        return importlib.import_module(f"{home}.tiny").write(self, folder, seed)

    def read_lora(self, name: str, tensors: Mapping[str, Any], modules: Mapping[str, Any]) -> Lora:
        from .lora import is_named, own_names, read, unfused

        told = tensors
        for part, module in modules.items():
            if part in PARTS:
                inner = dict(module.named_modules())
                names = own_names(part, inner) | self.fused_names(part, module, inner)
                told = unfused(told, part, names, inner)
        # What diffusers translates itself it takes whole, or not at all.
        given = told if self.lora_rules is not None or all(map(is_named, told)) else tensors
        return read(self.lora_loader, self.title, name, given)

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
        self._require_heads(folder.name, config, "Get its config.json again: both are said there.")

    def _require_channels(self, name: str, channels: int) -> None:
        if channels not in (self.channels, *self.takes):
            what = f"is a {self.title} that takes {channels} channels instead of {self.channels}"
            raise unsupported(name, f"{what}: one led by an image, which is not supported yet")

    def _require_heads(self, name: str, config: Mapping[str, Any], hint: str) -> None:
        if odd := odd_heads(config):
            raise unsupported(name, f"is a {self.title} {odd}", hint)

    def _load_text(self, files: Files) -> Loaded:
        from safelight.families._clip import towers
        from safelight.families._lm import encoder as lm
        from safelight.families._t5 import encoder as t5

        loaders = {
            "clip": (towers.tower, towers.tokenizer),
            "t5": (t5.encoder, t5.tokenizer),
            "umt5": (t5.encoder, t5.tokenizer),
            "language model": (lm.encoder, lm.tokenizer),
        }
        there = [encoder for encoder in self.encoders if encoder.part in files.parts]
        modules = {encoder.part: loaders[encoder.kind][0](files, encoder.part) for encoder in there}
        tokenizers = tuple(loaders[one.kind][1](files, one.tokenizer) for one in there if one.tokenizer)
        return Loaded(modules, {"tokenizers": tokenizers, "transformer": files.config("transformer")})


def has(folder: Folder, part: str) -> bool:
    """Whether a model_index.json names a part."""
    entry = folder.index.get(part)
    return isinstance(entry, list) and len(entry) == 2 and entry[0] is not None


def loaded_module(
    files: Files, part: str, made: str, complete: Callable[[Any], None] | None = None, home: str = "diffusers"
) -> Any:
    """A part that is of the class `made` of diffusers (its module `home`); `complete` makes again what it keeps beside
    its weights.

    Raises:
        ProblemError: `unsupported_family`, when it is of another class.
    """
    import torch

    part = part if part in files.parts else ""
    config = files.config(part)
    if config.get("_class_name") != made:
        raise unsupported(files.name, f"holds a {config.get('_class_name') or 'model without a class'} as its {part}")
    cls = getattr(importlib.import_module(home), made)

    def make() -> Any:
        module = cls.from_config(config)
        if complete is not None:
            with torch.device(files.device):
                complete(module)
        return module

    return files.build(part, make)
