"""Files to components: what families load, and what goes beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families import Families, Held
from safelight.families.files import embedding_vectors
from safelight.sdk.models import ModelRef
from safelight.sdk.problem import Problem, ProblemError

from .files import ModelFiles, empty, filled
from .foreign import load_pipeline, modules_of
from .headers import read_header
from .layout import SAID, Layout, Part, read_json
from .weights import Target, module_bytes, tensors

if TYPE_CHECKING:
    import torch

_FITS = {
    "Denoiser": ("pipeline", "unet"),
    "TextEncoder": ("pipeline", "text_encoder"),
    "VAE": ("pipeline", "vae"),
    "ControlNet": ("controlnet",),
    "IPAdapter": ("ip_adapter",),
    "ImageEncoder": ("ip_adapter", "image_encoder"),
    "Embedding": ("embedding",),
    "Pipeline": ("foreign",),
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
    "Pipeline": "a pipeline of diffusers",
}


@dataclass(frozen=True)
class ImageEncoderParts:
    """A CLIP image encoder, and what prepares images for it."""

    encoder: Any
    processor: Any


@dataclass
class Loaded:
    """A component in memory. `modules` are the torch modules it consists of, by the part of the model they are.

    `component` is what a lease gives where no family makes an object of its own: adapters, embeddings, image encoders.
    """

    component: Any
    dtype: torch.dtype
    device: torch.device
    modules: dict[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    family: str = ""

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
    if layout.single:
        return [layout.parts[""]]
    if kind == "Pipeline":
        return list(layout.parts.values())
    names = {"Denoiser": layout.denoiser, "VAE": "vae", "ImageEncoder": "image_encoder"}
    if kind == "TextEncoder":
        return [part for name, part in layout.parts.items() if name.startswith("text_encoder")]
    if kind == "ImageEncoder" and "image_encoder" not in layout.parts:
        message = f"There is no image encoder beside {layout.root.name!r} that fits it."
        hint = "Put the folder image_encoder of its repository next to it."
        raise ProblemError(Problem(code="model_incomplete", message=message, hint=hint))
    part = layout.parts.get(names.get(kind, "")) or layout.parts[""]
    return [part]


def load(kind: str, layout: Layout, target: Target, families: Families) -> Loaded:
    """Loads a component of a model, or an adapter, whatever layout it has.

    It is in evaluation mode, and nothing in it asks for gradients.

    Raises:
        ProblemError: the files do not hold it, or do not fit each other.
    """
    parts = weights_of(kind, layout)
    if kind == "Pipeline":
        pipeline = load_pipeline(layout, target)
        return Loaded(pipeline, target.dtype, target.device, modules_of(pipeline))
    beside = {"IPAdapter": _ip_adapter, "ImageEncoder": _image_encoder, "Embedding": _embedding}
    if kind in beside:
        return beside[kind](parts[0], target)
    # A file that several families claim is read as any of them reads it.
    family = families.require(layout.family or layout.candidates[0])
    made = family.load(kind, ModelFiles(layout, target))
    component = None if kind in _FAMILYS_OWN else next(iter(made.modules.values()))
    return Loaded(component, target.dtype, target.device, made.modules, made.settings, family.id)


def leased(ref: ModelRef[Any], loaded: Loaded, families: Families) -> Any:
    """What a lease gives as its component: the object of the recipe's family, or what goes beside one as it is."""
    if ref.kind not in _FAMILYS_OWN:
        return loaded.component
    family = families.require(ref.family or loaded.family)
    held = Held(ref, loaded.modules, loaded.settings, loaded.device, loaded.dtype)
    return {"Denoiser": family.denoiser, "TextEncoder": family.text_encoder, "VAE": family.vae}[ref.kind](held)


def _image_encoder(part: Part, target: Target) -> Loaded:
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    assert part.config is not None
    config = CLIPVisionConfig.from_dict(read_json(part.config))
    given = tensors(part.weights, target)
    module = filled(empty(lambda: CLIPVisionModelWithProjection(config)), given, target, str(part.config.parent))
    # As diffusers does: images are prepared for the tower's size, whatever lies in preprocessor_config.json.
    processor = CLIPImageProcessor(size=config.image_size, crop_size=config.image_size)
    component = ImageEncoderParts(module, processor)
    return Loaded(component, target.dtype, target.device, {"image_encoder": module})


def _ip_adapter(part: Part, target: Target) -> Loaded:
    _require_whole(part.weights[0])
    groups: dict[str, dict[str, Any]] = {"image_proj": {}, "ip_adapter": {}}
    for name, tensor in tensors(part.weights, target):
        group, _, rest = name.partition(".")
        if group in groups:
            groups[group][rest] = tensor
    return Loaded(groups, target.dtype, target.device)


def _require_whole(file: Path) -> None:
    """Raises `model_incomplete` for an IP-Adapter that lacks weights: a pair for every attention to the text."""
    names = read_header(file).tensors
    layers = {int(number) for name in names if (number := name.removeprefix("ip_adapter.").split(".")[0]).isdigit()}
    # Numbered as the attentions are, of which every second one looks at the text: 1, 3, 5, ...
    wanted = [
        f"ip_adapter.{layer}.{part}.weight"
        for layer in range(1, max(layers, default=1) + 1, 2)
        for part in ("to_k_ip", "to_v_ip")
    ]
    projected = any(name.startswith("image_proj.") for name in names)
    lacking = [name for name in wanted if name not in names] + ([] if projected else ["image_proj"])
    if lacking:
        more = f" (and {len(lacking) - 3} more)" if len(lacking) > 3 else ""
        message = f"The IP-Adapter {file.name} lacks {', '.join(lacking[:3])}{more}."
        hint = "Copy or download it again."
        raise ProblemError(Problem(code="model_incomplete", message=message, hint=hint, value=file.name))


def _embedding(part: Part, target: Target) -> Loaded:
    names = embedding_vectors(read_header(part.weights[0]))
    found = dict(tensors(part.weights, target, names.__contains__))
    vectors = {name: found[name].reshape(-1, found[name].shape[-1]) for name in names}
    return Loaded({"vectors": vectors}, target.dtype, target.device)
