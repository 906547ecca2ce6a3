"""Files to components: what families load, and what goes beside them."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from safelight.families import Families, Family, Held
from safelight.families.files import embedding_vectors
from safelight.sdk.memory import is_out_of_memory
from safelight.sdk.models import ModelRef
from safelight.sdk.problem import Cancelled, Problem, ProblemError

from .adapter_files import GROUPS, adapter_header, adapter_name, lacking
from .files import ModelFiles, empty, filled
from .foreign import load_pipeline, modules_of
from .gans import KIND as GAN
from .gans import part_of
from .gans import told as gan_told
from .headers import read_header
from .image_encoders import Sight, said, wanted_by
from .layout import SAID, Layout, Part, read_json
from .motion_files import load_motion
from .offloading import Pieces
from .onnx_files import is_onnx
from .onnx_networks import load_onnx
from .preprocessors import load_folder, load_preprocessor
from .readers import load_reader
from .seeing import load_image_encoder
from .upscalers import load_upscaler
from .weights import Target, module_bytes, tensors

if TYPE_CHECKING:
    import torch

_FITS = {
    "Denoiser": ("pipeline", "unet"),
    "TextEncoder": ("pipeline", "text_encoder"),
    "VAE": ("pipeline", "vae"),
    "ControlNet": ("controlnet",),
    "IPAdapter": ("ip_adapter",),
    "ImageEncoder": ("ip_adapter", "image_encoder", "pipeline", "reader"),
    "Embedding": ("embedding",),
    "Upscaler": ("upscaler",),
    "Pipeline": ("foreign",),
    "Reader": ("reader",),
    "Preprocessor": ("preprocessor",),
    "GAN": ("gan",),
    "Variational": ("variational",),
    "Motion": ("motion",),
}
_FAMILYS_OWN = ("Denoiser", "TextEncoder", "VAE")
"""Kinds for which a lease gives an object of the family."""
_NEEDED = {
    "Denoiser": "a denoiser",
    "TextEncoder": "text encoders",
    "VAE": "a VAE",
    "ControlNet": "a ControlNet",
    "IPAdapter": "an IP-Adapter",
    "ImageEncoder": "an image encoder",
    "Embedding": "an embedding",
    "Upscaler": "an upscaler",
    "Pipeline": "a pipeline of diffusers",
    "Reader": "a model that reads images or texts",
    "Preprocessor": "a preprocessor",
    "GAN": "a generator of a GAN",
    "Variational": "a variational autoencoder",
    "Motion": "a motion module",
}


@dataclass
class Loaded:
    """A component in memory. `modules` are the torch modules it consists of, by the part of the model they are.

    `component` is what a lease gives where no family makes an object of its own: adapters, embeddings, image encoders.
    It computes on `device`; where it comes there in `pieces`, its weights lie at `place`. `packed` says that they are
    in 8 bits.
    """

    component: Any
    dtype: torch.dtype
    device: torch.device
    modules: dict[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    family: str = ""
    pieces: Pieces | None = None
    main: torch.device | None = None
    packed: bool = False

    @property
    def place(self) -> torch.device:
        return self.device if self.pieces is None or self.main is None else self.main

    def bytes(self) -> int:
        if self.modules:
            return sum(module_bytes(module) for module in self.modules.values())
        groups = self.component.values()
        return sum(tensor.numel() * tensor.element_size() for group in groups for tensor in group.values())

    def move(self, device: torch.device) -> None:
        for module in self.modules.values():
            module.to(device)
        if not self.modules:
            for group in self.component.values():
                for name, tensor in group.items():
                    group[name] = tensor.to(device)
        self.device = device


def weights_of(kind: str, layout: Layout) -> list[Part]:
    """The parts whose weights a lease of this kind loads.

    Raises:
        ProblemError: `wrong_model`, when the model has nothing of the kind.
    """
    if layout.kind not in _FITS[kind]:
        message = f"{layout.root.name!r} is {SAID[layout.kind]}, and {_NEEDED[kind]} is needed here."
        raise ProblemError(Problem(code="wrong_model", message=message, hint="Choose another model.", value=kind))
    if layout.kind == "text_encoder":
        return [part for part in layout.parts.values() if part.weights]
    if layout.single and kind != "ImageEncoder":
        return [part for name, part in layout.parts.items() if not name or name.startswith("transformer_")]
    if kind == "Pipeline":
        return list(layout.parts.values())
    names = {"Denoiser": layout.denoiser, "VAE": "vae", "ImageEncoder": "image_encoder"}
    beside = layout.beside.get(kind, ())
    if kind == "TextEncoder":
        return [part for name, part in layout.parts.items() if name.startswith("text_encoder") or name in beside]
    if kind == "ImageEncoder" and layout.kind != "reader" and "image_encoder" not in layout.parts:
        raise _no_encoder(layout)
    named = names.get(kind, "")
    # Some models have two denoisers, one for each half of the noise.
    found = [layout.parts[name] for name in (named, f"{named}_2", *beside) if name in layout.parts]
    return found or [layout.parts[""]]


def _no_encoder(layout: Layout) -> ProblemError:
    """That a model, or an IP-Adapter, has no image encoder: which one is wanted, and where to put it."""
    name = layout.root.name
    if layout.kind == "pipeline":
        message = f"There is no image encoder in {name!r}."
        hint = "Choose a model that looks at images, or an image encoder by itself."
        return ProblemError(Problem(code="model_incomplete", message=message, hint=hint, value=name))
    adapter = adapter_header(read_header(layout.parts[""].weights[0]))
    wanted = wanted_by(adapter) if adapter is not None else Sight()
    if not any(wanted):
        message = f"The IP-Adapter {name!r} needs no image encoder: it is for faces alone."
        return ProblemError(Problem(code="model_incomplete", message=message, hint="Disconnect it.", value=name))
    message = f"The IP-Adapter {name!r} looks at images with {said(wanted)}, which is not here."
    hint = (
        "Put its .safetensors file into the folder clip_vision of a model folder, or its folder, called image_encoder, "
        "beside the adapter. Its name does not matter."
    )
    return ProblemError(Problem(code="model_incomplete", message=message, hint=hint, value=name))


def load(kind: str, layout: Layout, target: Target, families: Families) -> Loaded:
    """Loads a component of a model, or an adapter, whatever layout it has.

    It is in evaluation mode, and nothing in it asks for gradients.

    Raises:
        ProblemError: the files do not hold it, or do not fit each other.
    """
    parts = weights_of(kind, layout)
    if kind == "Pipeline":
        pipeline = load_pipeline(layout, target)
        return Loaded(pipeline, pipeline.dtype, target.device, modules_of(pipeline))
    if kind == "Reader":
        config = parts[0].config
        assert config is not None
        reader = load_reader(layout.root, read_json(config), target)
        return Loaded(reader, target.dtype, target.device, {"reader": reader.model})
    if kind == "Preprocessor":
        part = parts[0]
        if is_onnx(part.weights[0]):
            found = load_onnx(part.weights[0], target.device)
        elif part.config is None:
            found = load_preprocessor(part.weights[0], target)
        else:
            found = load_folder(layout.root, read_json(part.config), target)
        return Loaded(found, target.dtype, target.device, {"preprocessor": found.network})
    if kind in _BESIDE:
        return _BESIDE[kind](parts[0], target)
    # A file that several families claim is read as any of them reads it.
    family = families.require(layout.family or layout.candidates[0])
    try:
        made = family.load(kind, ModelFiles(layout, target))
    except Exception as error:
        # The configuration of a single file is made of its shapes: where some are missing or odd, it may be none.
        if not layout.single or isinstance(error, ProblemError | OSError | Cancelled) or is_out_of_memory(error):
            raise
        raise _odd(kind, layout.root.name, family, error) from error
    component = None if kind in _FAMILYS_OWN else next(iter(made.modules.values()))
    return Loaded(component, target.dtype, target.device, made.modules, made.settings, family.id)


def _odd(kind: str, name: str, family: Family, error: Exception) -> ProblemError:
    message = f"The weights of {name} do not make {_NEEDED[kind]} of {family.title}: {type(error).__name__}: {error}"
    hint = "Some are missing, or have other shapes than they should: copy or download the file again."
    details = "".join(traceback.format_exception(error))[-4000:]
    problem = Problem(code="weights_mismatch", message=message[:1000], hint=hint, value=name, details=details)
    return ProblemError(problem)


def leased(ref: ModelRef[Any], loaded: Loaded, families: Families, settings: Mapping[str, Any]) -> Any:
    """What a lease gives as its component: the object of the recipe's family, or what goes beside one as it is."""
    if ref.kind not in _FAMILYS_OWN:
        return loaded.component
    family = families.require(ref.family or loaded.family)
    held = Held(ref, loaded.modules, settings, loaded.device, loaded.dtype)
    return {"Denoiser": family.denoiser, "TextEncoder": family.text_encoder, "VAE": family.vae}[ref.kind](held)


def _image_encoder(part: Part, target: Target) -> Loaded:
    shown = str(part.config.parent if part.config is not None else part.weights[0])
    made = load_image_encoder(part, target, lambda make, given: filled(empty(make), given.items(), target, shown))
    return Loaded(made, target.dtype, target.device, {"image_encoder": made.encoder})


def _upscaler(part: Part, target: Target) -> Loaded:
    made, module = load_upscaler(part.weights[0], target)
    return Loaded(made, next(module.parameters()).dtype, target.device, {"upscaler": module})


def _gan(part: Part, target: Target) -> Loaded:
    """The tensors of a generator, and its configuration, which a file alone tells by its names and shapes. The nodes
    that call it make the network of them."""
    config = read_json(part.config) if part.config is not None else {}
    wanted: Callable[[str], bool] | None = None
    if config.get("_class_name") != GAN:
        header = read_header(part.weights[0])
        config = gan_told(header) | {"said": config}
        wanted = frozenset(part_of(config, header.tensors)).__contains__
    found = {"generator": dict(tensors(part.weights, target, wanted))}
    return Loaded(found, target.dtype, target.device, settings={"config": config})


def _ip_adapter(part: Part, target: Target) -> Loaded:
    _require_whole(part.weights[0])
    groups: dict[str, dict[str, Any]] = {group: {} for group in GROUPS}
    for name, tensor in tensors(part.weights, target):
        group, _, rest = adapter_name(name).partition(".")
        if group in groups:
            groups[group][rest] = tensor
    return Loaded(groups, target.dtype, target.device)


def _require_whole(file: Path) -> None:
    """Raises `model_incomplete` for an IP-Adapter that lacks weights."""
    found = adapter_header(read_header(file))
    missing = lacking(found) if found is not None else list(GROUPS)
    if missing:
        more = f" (and {len(missing) - 3} more)" if len(missing) > 3 else ""
        message = f"The IP-Adapter {file.name} lacks {', '.join(missing[:3])}{more}."
        hint = "Copy or download it again."
        raise ProblemError(Problem(code="model_incomplete", message=message, hint=hint, value=file.name))


def _embedding(part: Part, target: Target) -> Loaded:
    names = embedding_vectors(read_header(part.weights[0]))
    found = dict(tensors(part.weights, target, names.__contains__))
    vectors = {name: found[name].reshape(-1, found[name].shape[-1]) for name in names}
    return Loaded({"vectors": vectors}, target.dtype, target.device)


def _variational(part: Part, target: Target) -> Loaded:
    from safelight.diffusion.variational import FlatAutoencoder, Shape, fresh

    assert part.config is not None
    name = part.config.parent.name
    shape = Shape.of(read_json(part.config), name)
    network = filled(empty(lambda: fresh(shape)), dict(tensors(part.weights, target)).items(), target, name)
    return Loaded(FlatAutoencoder(shape, network), target.dtype, target.device, {"variational": network})


def _motion(part: Part, target: Target) -> Loaded:
    found = load_motion(part, target)
    return Loaded(found, target.dtype, target.device, {"motion": found})


_BESIDE: Mapping[str, Callable[[Part, Target], Loaded]] = MappingProxyType(
    {
        "IPAdapter": _ip_adapter,
        "ImageEncoder": _image_encoder,
        "Embedding": _embedding,
        "GAN": _gan,
        "Upscaler": _upscaler,
        "Variational": _variational,
        "Motion": _motion,
    }
)
"""What goes beside a family, by kind."""
