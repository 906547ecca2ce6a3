"""Trained weights as folders in the layout of diffusers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.diffusion.variational import CLASS as VARIATIONAL
from safelight.sdk import Problem, ProblemError
from safelight.sdk.file_names import ABOUT
from safelight_nodes.training_values import Tokenizer, Weights

from .adapters import SHAPE, Layout, bare, kohya
from .computing import cast

if TYPE_CHECKING:
    from torch import Tensor

CLASSIFIER = "ResNetForImageClassification"
NO_LORA = "no_lora"
"""What a training gives in place of a LoRA that was not asked for."""
_SAID = {
    "AutoencoderKL": "an autoencoder",
    "UNet2DConditionModel": "a denoiser",
    "UNet2DModel": "a denoiser of pixels",
    "CLIPTextModel": "a text encoder",
    "CLIPVisionModelWithProjection": "an image encoder",
    "ControlNetModel": "a ControlNet",
    "MotionAdapter": "a motion module",
    "lora": "a LoRA",
    NO_LORA: "no LoRA, for rank is 0",
    "SafelightGAN": "a generator of a GAN",
    VARIATIONAL: "a variational autoencoder",
    "embedding": "a word of textual inversion",
    "ip_adapter": "an IP-Adapter",
    "VisionEncoderDecoderModel": "a captioner",
    "upscaler": "an upscaler",
    CLASSIFIER: "a classifier",
}


def check_kind(weights: Weights, wanted: str, port: str = "weights") -> None:
    if weights.kind != wanted:
        raise ProblemError(
            Problem(
                code="wrong_weights",
                message=f"These are weights of {_SAID.get(weights.kind, weights.kind)}, "
                f"and {_SAID[wanted]} is needed here.",
                hint="Connect the training node that makes it.",
                port=port,
            )
        )


def module(weights: Weights) -> Any:
    """The module of diffusers or transformers, in float32."""
    import diffusers
    import torch
    import transformers

    cls = getattr(diffusers, weights.kind, None) or getattr(transformers, weights.kind)
    with torch.random.fork_rng(devices=[]):
        if hasattr(cls, "config_class") and cls.config_class is not None:
            made = cls(cls.config_class.from_dict(weights.config))
        else:
            made = cls.from_config(weights.config)
    made.load_state_dict(weights.tensors)
    return made.eval()


def plain_config(made: Any) -> dict[str, Any]:
    """The configuration of a module as plain data."""
    found = made.config.to_dict() if hasattr(made.config, "to_dict") else dict(made.config)
    # Where it was loaded from is nobody's business.
    found = {key: item for key, item in found.items() if key not in ("_name_or_path", "name_or_path")}
    return json.loads(json.dumps(found, default=str))


def plain_tensors(made: Any) -> dict[str, Tensor]:
    """The weights of a module, on the CPU."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in made.state_dict().items()}


def write_part(folder: Path, weights: Weights, precision: str) -> None:
    import torch

    cast(module(weights), getattr(torch, precision)).save_pretrained(folder)
    write_about(folder, weights)


def write_image_encoder(folder: Path, weights: Weights, precision: str) -> None:
    """An image encoder with the settings that prepare images for it."""
    from transformers import CLIPImageProcessor

    write_part(folder, weights, precision)
    side = weights.config["image_size"]
    CLIPImageProcessor(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side},
        image_mean=(0.5,) * 3, image_std=(0.5,) * 3,
    ).save_pretrained(folder)  # fmt: skip


def write_captioner(folder: Path, weights: Weights, tokenizer: Tokenizer, precision: str) -> None:
    """A captioner with its tokenizer and the settings that prepare images for it, whole and not cropped."""
    from transformers import CLIPImageProcessor

    write_part(folder, weights, precision)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text(tokenizer.files[name], encoding="utf-8")
    side = weights.config["encoder"]["image_size"]
    CLIPImageProcessor(
        size={"height": side, "width": side}, do_center_crop=False, image_mean=(0.5,) * 3, image_std=(0.5,) * 3
    ).save_pretrained(folder)


def write_classifier(folder: Path, weights: Weights, precision: str) -> None:
    """A classifier with the settings that prepare images for it, whole and not cropped."""
    from transformers import ViTImageProcessor

    write_part(folder, weights, precision)
    side = weights.about["side"]
    ViTImageProcessor(
        size={"height": side, "width": side}, image_mean=(0.5,) * 3, image_std=(0.5,) * 3
    ).save_pretrained(folder)


def write_pipeline(
    folder: Path, denoiser: Weights, text: Weights, tokenizer: Tokenizer, vae: Any, precision: str
) -> None:
    """A whole model. `vae` is an autoencoder in float32."""
    import copy

    import diffusers
    import torch

    dtype = getattr(torch, precision)
    cast(module(denoiser), dtype).save_pretrained(folder / "unet")
    cast(module(text), dtype).save_pretrained(folder / "text_encoder")
    cast(copy.deepcopy(vae), dtype).save_pretrained(folder / "vae")
    (folder / "tokenizer").mkdir()
    for name, content in tokenizer.files.items():
        (folder / "tokenizer" / name).write_text(content, encoding="utf-8")
    scheduler = dict(denoiser.about["scheduler"])
    kind = scheduler.pop("_class_name", "DDIMScheduler")
    getattr(diffusers, kind).from_config(scheduler).save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": diffusers.__version__,
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", kind],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    write_about(folder, denoiser, text)


def write_pixel_pipeline(folder: Path, weights: Weights, precision: str) -> None:
    """A model without prompts, as `DDPMPipeline`."""
    import diffusers
    import torch

    made = cast(module(weights), getattr(torch, precision))
    made.save_pretrained(folder / "unet")
    scheduler = dict(weights.about["scheduler"])
    kind = scheduler.pop("_class_name")
    getattr(diffusers, kind).from_config(scheduler).save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "DDPMPipeline",
        "_diffusers_version": diffusers.__version__,
        "scheduler": ["diffusers", kind],
        "unet": ["diffusers", "UNet2DModel"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    write_about(folder, weights)


def write_gan(folder: Path, weights: Weights, precision: str) -> None:
    """`config.json` and `model.safetensors`, as `gan.load` finds them in a folder."""
    _write_own(folder / "model.safetensors", weights, precision)


def write_variational(folder: Path, weights: Weights, precision: str) -> None:
    """A variational autoencoder: `config.json` and its weights, by the names that diffusers gives such files."""
    _write_own(folder / "diffusion_pytorch_model.safetensors", weights, precision)


def _write_own(file: Path, weights: Weights, precision: str) -> None:
    """Weights of a network of ours, its configuration beside them. Counts stay whole numbers."""
    import torch
    from safetensors.torch import save_file

    dtype = getattr(torch, precision)
    tensors = {
        name: (tensor.to(dtype) if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in weights.tensors.items()
    }
    save_file(tensors, file, {"format": "pt"})
    file.with_name("config.json").write_text(json.dumps(weights.config, indent=2) + "\n", encoding="utf-8")
    write_about(file.parent, weights)


def write_finetuned(folder: Path, weights: Weights, denoiser: Any, text: Any, vae: Any, precision: str) -> None:
    """A whole model with other weights of its denoiser. The other parts are those of leased components.

    Raises:
        ProblemError: `wrong_weights`, when they are no weights of this denoiser.
    """
    import copy

    import diffusers
    import torch

    trained = next((part for part, one in denoiser.modules.items() if type(one).__name__ == weights.kind), None)
    if trained is None:
        message = f"These are weights of {_SAID.get(weights.kind, weights.kind)}, which the model does not have."
        hint = "Connect the model that was trained on from."
        raise ProblemError(Problem(code="wrong_weights", message=message, hint=hint, port="weights"))
    dtype = getattr(torch, precision)
    given = {**denoiser.modules, **text.modules, **vae.modules, trained: module(weights)}
    index: dict[str, Any] = {"_class_name": _pipeline(denoiser, weights), "_diffusers_version": diffusers.__version__}
    for part, one in given.items():
        kept = cast(bare(copy.deepcopy(one)), dtype)
        kept.save_pretrained(folder / part)
        index[part] = [type(kept).__module__.partition(".")[0], type(kept).__name__]
    for part, tokenizer in zip(text.modules, text.tokenizers, strict=False):
        name = part.replace("text_encoder", "tokenizer")
        tokenizer.save_pretrained(folder / name)
        index[name] = ["transformers", type(tokenizer).__name__.removesuffix("Fast")]
    settings = {key: value for key, value in denoiser.scheduler.items() if key != "_use_default_values"}
    kind = settings.pop("_class_name", "DDIMScheduler")
    getattr(diffusers, kind).from_config(settings).save_pretrained(folder / "scheduler")
    index["scheduler"] = ["diffusers", kind]
    if index["_class_name"] in ("StableDiffusionPipeline", "StableDiffusionInpaintPipeline"):
        index |= {"safety_checker": [None, None], "feature_extractor": [None, None], "requires_safety_checker": False}
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    write_about(folder, weights)


def _pipeline(denoiser: Any, weights: Weights) -> str:
    """The class of diffusers that runs such a model: another one where it sees a hole and what is around it."""
    taken, latent = weights.config.get("in_channels"), weights.config.get("out_channels")
    plain = denoiser.family.pipeline
    if weights.kind != "UNet2DConditionModel" or not latent or taken != 2 * latent + 1:
        return plain
    return plain.replace("Img2Img", "").replace("Pipeline", "InpaintPipeline")


def write_lora(folder: Path, weights: Weights, precision: str, layout: Layout = "diffusers") -> None:
    """`pytorch_lora_weights.safetensors`, as `load_lora_weights` finds it in a folder.

    Raises:
        ProblemError: `wrong_weights`, for a layout that there is for UNets alone, or has no name for a wider layer.
    """
    import torch
    from safetensors.torch import save_file

    named = weights.tensors
    if layout == "kohya":
        if not any(name.startswith("unet.") for name in named):
            message = "The layout kohya is for models with a UNet, and this LoRA is for a transformer."
            hint = "Set layout to diffusers; other programs read that of transformers."
            raise ProblemError(Problem(code="wrong_weights", message=message, hint=hint, port="layout", value=layout))
        if any(name.endswith(f".{SHAPE}") for name in named):
            message = "The layout kohya has no name for the layer that this LoRA widens."
            hint = "Set layout to diffusers."
            raise ProblemError(Problem(code="wrong_weights", message=message, hint=hint, port="layout", value=layout))
        named = kohya(named)
    dtype = getattr(torch, precision)
    tensors = {
        name: (tensor.to(dtype) if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in named.items()
    }
    save_file(tensors, folder / "pytorch_lora_weights.safetensors", {"format": "pt"})
    write_about(folder, weights)


def write_upscaler(folder: Path, weights: Weights, precision: str) -> None:
    """`upscaler.safetensors` by the names that spandrel reads: their shapes say all of the network."""
    import torch
    from safetensors.torch import save_file

    tensors = {name: tensor.to(getattr(torch, precision)).contiguous() for name, tensor in weights.tensors.items()}
    save_file(tensors, folder / "upscaler.safetensors", {"format": "pt"})
    write_about(folder, weights)


def write_embedding(folder: Path, file: str, weights: Weights) -> None:
    """The file of an embedding: `emb_params`, or `clip_l` and `clip_g` for Stable Diffusion XL."""
    from safetensors.torch import save_file

    # Not how it was trained: safetensors writes several entries in any order, and the same word is to be the same file.
    save_file(dict(weights.tensors), folder / Path(file).name, {"format": "pt"})


def write_ip_adapter(folder: Path, weights: Weights, encoder: Any, processor: Any, precision: str) -> None:
    """`ip_adapter.safetensors` by the names of the published ones, and beside it its image encoder."""
    import copy

    import torch
    from safetensors.torch import save_file

    dtype = getattr(torch, precision)
    tensors = {name: tensor.to(dtype).contiguous() for name, tensor in weights.tensors.items()}
    save_file(tensors, folder / "ip_adapter.safetensors", {"format": "pt"})
    cast(copy.deepcopy(encoder), dtype).save_pretrained(folder / "image_encoder")
    processor.save_pretrained(folder / "image_encoder")
    write_about(folder, weights)


def write_about(folder: Path, *weights: Weights) -> None:
    """Settings and curve of each, by kind."""
    said = {one.kind: {**one.about, **_curves(one)} for one in weights}
    (folder / ABOUT).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def _curves(weights: Weights) -> dict[str, Any]:
    if not weights.curves:
        return {"curve": [list(point) for point in weights.curve]}
    return {"curves": {name: [list(point) for point in line] for name, line in weights.curves}}
