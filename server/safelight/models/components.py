"""Files to components: the modules, tokenizers and settings that a lease gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from safelight.sdk.problem import Problem, ProblemError

from .families import embedding_vectors
from .headers import read_header
from .layout import LATENT_RGB, SAID, Layout, Part, read_json
from .weights import Target, fill, module_bytes, tensors

if TYPE_CHECKING:
    import torch

_FITS = {
    "Denoiser": ("pipeline", "unet"),
    "TextEncoder": ("pipeline",),
    "VAE": ("pipeline", "vae"),
    "ControlNet": ("controlnet",),
    "IPAdapter": ("ip_adapter",),
    "ImageEncoder": ("ip_adapter", "image_encoder"),
    "Embedding": ("embedding",),
}
_NEEDED = {
    "Denoiser": "a denoiser",
    "TextEncoder": "text encoders",
    "VAE": "a VAE",
    "ControlNet": "a ControlNet",
    "IPAdapter": "an IP-Adapter",
    "ImageEncoder": "an image encoder",
    "Embedding": "an embedding",
}
_SCHEDULER: Mapping[str, Any] = {
    "_class_name": "DDIMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "steps_offset": 1,
    "clip_sample": False,
    "set_alpha_to_one": False,
}
"""The schedule that the Stable Diffusion families were trained on, for a UNet that comes without one."""


@dataclass(frozen=True)
class TextEncoders:
    """Tokenizers and text encoders in the family's order: one of each for SD 1 and 2, two for SDXL."""

    tokenizers: tuple[Any, ...]
    encoders: tuple[Any, ...]


@dataclass(frozen=True)
class ImageEncoderParts:
    """A CLIP image tower, and what prepares pictures for it."""

    encoder: Any
    processor: Any


@dataclass
class Loaded:
    """A component in memory. `modules` are the torch modules it consists of, by the part of the model they are."""

    component: Any
    dtype: torch.dtype
    device: torch.device
    modules: dict[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

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
    if layout.single:
        return [layout.parts[""]]
    names = {"Denoiser": "unet", "VAE": "vae", "ImageEncoder": "image_encoder"}
    if kind == "TextEncoder":
        return [layout.parts[name] for name in encoder_names(layout)]
    if kind == "ImageEncoder" and "image_encoder" not in layout.parts:
        message = f"There is no image encoder beside {layout.root.name!r} that fits it."
        hint = "Put the folder image_encoder of its repository next to it."
        raise ProblemError(Problem(code="model_incomplete", message=message, hint=hint))
    part = layout.parts.get(names.get(kind, "")) or layout.parts[""]
    return [part]


def encoder_names(layout: Layout) -> list[str]:
    return ["text_encoder", "text_encoder_2"] if layout.family == "sdxl" else ["text_encoder"]


def load(kind: str, layout: Layout, target: Target) -> Loaded:
    """Loads a component of a model in diffusers layout, or an adapter.

    It is in evaluation mode, and nothing in it asks for gradients.

    Raises:
        ProblemError: the files do not hold it, or do not fit each other.
    """
    parts = weights_of(kind, layout)
    if kind == "TextEncoder":
        return _text_encoders(layout, target)
    if kind == "IPAdapter":
        return _ip_adapter(parts[0], target)
    if kind == "ImageEncoder":
        return _image_encoder(parts[0], target)
    if kind == "Embedding":
        return _embedding(parts[0], target)
    module = _diffusers_module(parts[0], target)
    settings = _denoiser_settings(layout) if kind == "Denoiser" else {}
    name = {"Denoiser": "unet", "VAE": "vae", "ControlNet": "controlnet"}[kind]
    return Loaded(module, target.dtype, target.device, {name: module}, settings)


def denoiser_settings(scheduler: Mapping[str, Any], latent_rgb: Any = None) -> dict[str, Any]:
    """The settings of a denoiser's lease."""
    return {"scheduler": dict(scheduler), **({"latent_rgb": latent_rgb} if latent_rgb else {})}


def default_scheduler(velocity: bool = False, zero_snr: bool = False) -> dict[str, Any]:
    """The schedule, for a model that predicts velocity, or was trained from pure noise on (zero terminal SNR)."""
    # Such a model must see the very last timestep: https://arxiv.org/abs/2305.08891, sections 3.1 and 3.3.
    last = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"} if zero_snr else {}
    return {**_SCHEDULER, "prediction_type": "v_prediction" if velocity else "epsilon", **last}


def _denoiser_settings(layout: Layout) -> dict[str, Any]:
    scheduler = layout.parts.get("scheduler")
    if scheduler is None or scheduler.config is None:
        return denoiser_settings(default_scheduler())
    rows = [file for file in layout.parts[""].others if file.name == LATENT_RGB]
    colours = msgspec.json.decode(rows[0].read_bytes()) if rows else None
    return denoiser_settings(read_json(scheduler.config), colours)


def _diffusers_module(part: Part, target: Target) -> Any:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.controlnets.controlnet import ControlNetModel
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    assert part.config is not None
    config = read_json(part.config)
    classes = {cls.__name__: cls for cls in (AutoencoderKL, ControlNetModel, UNet2DConditionModel)}
    cls = classes[config["_class_name"]]
    return build(lambda: cls.from_config(config), part, target, str(part.config.parent))


def _text_encoders(layout: Layout, target: Target) -> Loaded:
    modules: dict[str, Any] = {}
    tokenizers: list[Any] = []
    for name in encoder_names(layout):
        part = layout.parts[name]
        modules[name] = _text_encoder(part, target)
        folder = layout.parts[name.replace("text_encoder", "tokenizer")].others[0].parent
        tokenizers.append(tokenizer(folder))
    component = TextEncoders(tuple(tokenizers), tuple(modules.values()))
    return Loaded(component, target.dtype, target.device, modules)


def _text_encoder(part: Part, target: Target) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    assert part.config is not None
    config = read_json(part.config)
    classes = {cls.__name__: cls for cls in (CLIPTextModel, CLIPTextModelWithProjection)}
    cls = classes.get((config.get("architectures") or [""])[0])
    if cls is None:
        message = f"{part.config} describes a text encoder that is not supported: {config.get('architectures')}."
        raise ProblemError(Problem(code="unsupported_family", message=message, hint="CLIP text encoders are."))
    return build(lambda: cls(CLIPTextConfig.from_dict(config)), part, target, str(part.config.parent))


def tokenizer(folder: Any) -> Any:
    """A CLIP tokenizer from its folder."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def _image_encoder(part: Part, target: Target) -> Loaded:
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    assert part.config is not None
    config = CLIPVisionConfig.from_dict(read_json(part.config))
    module = build(lambda: CLIPVisionModelWithProjection(config), part, target, str(part.config.parent))
    # As diffusers does: pictures are prepared for the tower's size, whatever lies in preprocessor_config.json.
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


def build(make: Any, part: Part, target: Target, shown: str) -> Any:
    """A module made without weights, filled from a part's files."""
    module = empty(make)
    return filled(module, tensors(part.weights, target), target, shown)


def filled(module: Any, given: Any, target: Target, shown: str) -> Any:
    """A module made by `empty`, with its weights put in, ready to be used."""
    import torch

    deprecated = _deprecated_attention(module)
    # transformers leaves this level out of CLIPTextModel since version 5; files have it, or not.
    level = "text_model."
    has_level = hasattr(module, "text_model")

    def rename(name: str) -> str:
        for old, new in deprecated.items():
            if name.startswith(old):
                return new + name.removeprefix(old)
        return level + name if has_level else name.removeprefix(level)

    fill(module, given, shown, rename)
    for name, buffer in list(module.named_buffers()):
        if buffer.is_meta:
            owner = module.get_submodule(name.rpartition(".")[0])
            assert name.endswith("position_ids"), name
            owner.position_ids = torch.arange(buffer.shape[-1], device=target.device).expand(buffer.shape)
    return module.eval().requires_grad_(False)


def empty(make: Any) -> Any:
    """What `make` builds, with all tensors on the meta device: nothing is allocated or initialised."""
    import torch

    with torch.device("meta"):
        return make()


def _deprecated_attention(module: Any) -> dict[str, str]:
    """Names that old autoencoders have for the projections of their attention, and today's."""
    parts = {"query.": "to_q.", "key.": "to_k.", "value.": "to_v.", "proj_attn.": "to_out.0."}
    return {
        f"{path}.{old}": f"{path}.{new}"
        for path, inner in module.named_modules()
        if getattr(inner, "_from_deprecated_attn_block", False)
        for old, new in parts.items()
    }
