"""The components of Stable Diffusion 1, 2 and XL, from folders and from whole models in one file.

Such a file has the layout of the original releases and holds weights alone: the configurations are those of the
releases, and the vocabulary of CLIP, which all of them share, comes with Safelight. Names are translated by diffusers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from safelight.families._clip import towers
from safelight.families.base import Files, Loaded
from safelight.sdk.problem import Problem, ProblemError

from . import control_loras, controlnets, t2i
from .detect import ORIGINAL, unet_prefix
from .presets import told_by
from .releases import SCHEDULER, VAE_OF_NONE
from .shapes import unet_config

if TYPE_CHECKING:
    from safelight.families.files import Header

    from .generation import Generation

_UNET = "model.diffusion_model."


def load(family: Generation, kind: str, files: Files) -> Loaded:
    """Loads a component.

    Raises:
        ProblemError: the files do not hold it, or do not fit each other.
    """
    if files.single:
        return _SINGLE[kind](family, files)
    if kind == "TextEncoder":
        modules = {tower.part: towers.tower(files, tower.part) for tower in family.towers}
        tokenizers = tuple(towers.tokenizer(files, tower.tokenizer) for tower in family.towers)
        return Loaded(modules, {"tokenizers": tokenizers})
    name = {"Denoiser": "unet", "VAE": "vae", "ControlNet": "controlnet"}[kind]
    module = _module(files, name if files.kind == "pipeline" else "")
    return Loaded({name: module}, _settings(files) if kind == "Denoiser" else {})


UNKNOWN = "unknown"
"""What a model predicts whose file does not say it, and of whose family there are both."""


def default_scheduler(prediction: str = "epsilon", zero_snr: bool = False) -> dict[str, Any]:
    """The schedule, for what a model predicts, and whether it was trained from pure noise on (zero terminal SNR)."""
    # Such a model must see the very last timestep: https://arxiv.org/abs/2305.08891, sections 3.1 and 3.3.
    last = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"} if zero_snr else {}
    return {**SCHEDULER, "prediction_type": prediction, **last}


def _settings(files: Files) -> dict[str, Any]:
    scheduler = files.config("scheduler") or default_scheduler()
    rows = files.latent_rgb()
    return {"scheduler": scheduler, **({"latent_rgb": rows} if rows else {})}


def _module(files: Files, part: str) -> Any:
    from diffusers.models.adapter import T2IAdapter
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.controlnets.controlnet import ControlNetModel
    from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    config = files.config(part)
    known = (AutoencoderKL, ControlNetModel, ControlNetUnionModel, T2IAdapter, UNet2DConditionModel)
    classes = {"ControlNetModel_Union": ControlNetUnionModel} | {cls.__name__: cls for cls in known}
    cls = classes[config["_class_name"]]
    return files.build(part, lambda: cls.from_config(config))


def config_of(family: Generation, files: Files) -> dict[str, Any]:
    """The configuration of a denoiser, told without loading it."""
    if not files.single:
        return files.config("unet" if files.kind == "pipeline" else "")
    header = files.header()
    prefix = unet_prefix(header)
    if f"{prefix}{ORIGINAL}" in header.tensors:
        return unet_config(family, files.name, header, prefix)
    # Inpainting models take the mask and the masked image beside the latent.
    return {**family.unet, "in_channels": header.shape(f"{prefix}conv_in.weight")[1]}


def _original_unet(family: Generation, files: Files) -> Loaded:
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    header = files.header()
    predicted = prediction(family, header)
    prefix = unet_prefix(header)
    given = {name.removeprefix(prefix): tensor for name, tensor in files.tensors(prefix=prefix).items()}
    config = config_of(family, files)
    if ORIGINAL in given:
        given = convert_ldm_unet_checkpoint({_UNET + name: tensor for name, tensor in given.items()}, config)
    module = files.filled(lambda: UNet2DConditionModel(**config), given)
    schedule = default_scheduler(predicted, "ztsnr" in header.tensors)
    return Loaded({"unet": module}, {"scheduler": schedule, **told_by(header.metadata)})


def _original_vae(family: Generation, files: Files) -> Loaded:
    from safelight.families._original import vae

    prefix = vae.vae_prefix(files.header())
    if prefix is None:
        raise _lacks(files, "VAE", "Load one by itself, and connect that.")
    # The scale of one that tells no family comes from what it is used with.
    more = {**family.vae_config, **({} if files.family else VAE_OF_NONE)}
    return Loaded({"vae": vae.load(files, prefix, more)})


def _original_towers(family: Generation, files: Files) -> Loaded:
    modules = {tower.part: towers.original_tower(files, tower) for tower in family.towers}
    return Loaded(modules, {"tokenizers": tuple(towers.original_tokenizer(tower) for tower in family.towers)})


def _guide(family: Generation, files: Files) -> Loaded:
    """A ControlNet, or what is used in the place of one."""
    header = files.header()
    if t2i.is_one(header):
        return t2i.load(files)
    return control_loras.load(files) if control_loras.MARK in header.tensors else controlnets.load(family, files)


_SINGLE: dict[str, Callable[[Generation, Files], Loaded]] = {
    "Denoiser": _original_unet,
    "VAE": _original_vae,
    "TextEncoder": _original_towers,
    "ControlNet": _guide,
}


def prediction(family: Generation, header: Header) -> str:
    """What a model predicts is not in its weights; some files say it beside them. `UNKNOWN` for a generation that was
    released both ways, when nothing tells."""
    told = header.metadata.get("modelspec.prediction_type", "").lower()
    if "v_pred" in header.tensors or told.startswith("v"):
        return "v_prediction"
    # Those that see more than the latent (inpainting, depth) were released predicting noise alone.
    plain = header.shape(f"{unet_prefix(header)}{ORIGINAL}")[1:2] in ((), (family.latent.channels,))
    return UNKNOWN if family.both and not told and plain else "epsilon"


def _lacks(files: Files, what: str, hint: str) -> ProblemError:
    message = f"{files.name} holds no {what}."
    return ProblemError(Problem(code="model_incomplete", message=message, hint=hint, value=files.name))
