"""Put a starter model together: all parts in float16, in the layout of diffusers.

    python -m training.export --model FOLDER [--vae FOLDER] [--image-encoder FOLDER] [--few-step LORA]
                              [--inpainting LORA] [--style LORA] [--subject LORA] [--colors LORA]
                              [--controlnet-edges FOLDER] [--controlnet-shape FOLDER] [--ip-adapter FOLDER]
                              [--captioner FOLDER] [--upscaler FOLDER] [--motion FOLDER] [--motion-lora LORA]
                              [--anomaly FOLDER] [--words LORA] [--cut NAME=RANK ...] --target DIR
    python -m training.export --checkpoint unet.pt ...      denoiser and text encoder from the averages of a checkpoint

`--words` is added to the weights of the text encoder. `--cut colors=8` keeps the eight largest of what a LoRA changes
in each layer. What is not named comes from `--model`, the shipped starter by default. A checkpoint is a file of torch
with `average.shadow`: tensors named `unet.*` and `text.*`. `latent_rgb.json`, with which samples are shown while they
are made, is fitted to the autoencoder when `--cache` names the image set.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

SHIPPED = Path(__file__).parents[1] / "server" / "safelight" / "starter"
LIMIT = 97_000_000
"""Bytes of weights that the package may carry: packed they are a twelfth less, and a wheel may have 95 MB."""


def parts_of(model: Path, checkpoint: Path | None, vae: Path | None, words: Path | None = None) -> dict[str, Any]:
    """Denoiser, text encoder and autoencoder in float32; what a LoRA of words has learned is added to the encoder."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    full = {"torch_dtype": torch.float32}
    unet: Any = UNet2DConditionModel.from_pretrained(model / "unet", **full)
    text: Any = CLIPTextModel.from_pretrained(model / "text_encoder", **full)
    if checkpoint:
        found = torch.load(checkpoint, map_location="cpu", weights_only=True)
        shadow = found["average"]["shadow"]
        for prefix, part in (("unet.", unet), ("text.", text)):
            part.load_state_dict({k.removeprefix(prefix): v for k, v in shadow.items() if k.startswith(prefix)})
    if words:
        _add(words, text)
    autoencoder = AutoencoderKL.from_pretrained(vae or model / "vae", **full)
    return {"unet": unet, "text_encoder": text, "vae": autoencoder}


def _add(lora: Path, text: Any) -> None:
    """Adds a LoRA for text encoders to the weights of one, which is changed."""
    import torch
    from safetensors.torch import load_file

    tensors = load_file(lora)
    with torch.no_grad():
        for name, down in tensors.items():
            path, mark, _ = name.removeprefix("text_encoder.").partition(".lora_A.")
            if mark:
                path = path if hasattr(text, "text_model") else path.removeprefix("text_model.")
                up = tensors[name.replace(mark, ".lora_B.")]
                text.get_submodule(path).weight += up.float() @ down.float()


def export(
    target: Path,
    model: Path = SHIPPED,
    parts: Mapping[str, Path] | None = None,
    *,
    checkpoint: Path | None = None,
    vae: Path | None = None,
    words: Path | None = None,
    cache: Path | None = None,
    cut: Mapping[str, int] | None = None,
) -> int:
    """Writes the folder and returns the bytes of its weights. `parts` are what was trained, by name (`LORAS`, `PARTS`);
    `cut` has the rank that a LoRA among them is cut to. What else lies there (card, licences) stays."""
    target.mkdir(parents=True, exist_ok=True)
    for name, part in parts_of(model, checkpoint, vae, words).items():
        _half(part, target / name)
    if model.resolve() != target.resolve():
        for name in ("tokenizer", "scheduler"):
            shutil.copytree(model / name, target / name, dirs_exist_ok=True)
        shutil.copy(model / "model_index.json", target / "model_index.json")
    given = dict(parts or {})
    if (model / "image_encoder").is_dir():
        given.setdefault("image_encoder", model / "image_encoder")
    ranks = cut or {}
    for name, source in given.items():
        if name in LORAS:
            _half_tensors(source, target / name / "pytorch_lora_weights.safetensors", ranks.get(name, 0))
        else:
            PARTS[name](source, target / name)
    if cache:
        rows = [[round(value, 4) for value in row] for row in latent_rgb(target, cache)]
        (target / "latent_rgb.json").write_text(json.dumps(rows) + "\n")
    return sum(path.stat().st_size for path in target.rglob("*.safetensors"))


def _half(part: Any, target: Path) -> None:
    """Writes a part in float16, without where it was loaded from."""
    import torch

    from safelight_nodes._training.computing import cast

    cast(part.eval(), torch.float16).save_pretrained(target)
    config = target / "config.json"
    said = json.loads(config.read_text())
    said.pop("_name_or_path", None)
    config.write_text(json.dumps(said, indent=2) + "\n")


def narrowed(tensors: Mapping[str, Any], rank: int) -> dict[str, Any]:
    """A LoRA of at most this rank that is as near as can be to one by the names of peft: the best of a lower rank is
    made of the largest singular values (Eckart & Young, 1936)."""
    import torch

    found = dict(tensors)
    for name, down in tensors.items():
        other = name.replace(".lora_A.", ".lora_B.")
        if other == name:
            continue
        up = tensors[other]
        left, upper = torch.linalg.qr(up.flatten(1).float())
        right, lower = torch.linalg.qr(down.flatten(1).float().T)
        turned, sizes, back = torch.linalg.svd(upper @ lower.T)
        kept = min(rank, len(sizes))
        root = sizes[:kept].sqrt()
        found[name] = (root[:, None] * back[:kept] @ right.T).reshape(kept, *down.shape[1:])
        found[other] = (left @ turned[:, :kept] * root).reshape(len(up), kept, *up.shape[2:])
    return found


def _half_tensors(source: Path, target: Path, rank: int = 0) -> None:
    """A file of tensors in float16; the shape of a layer that a LoRA widens stays in whole numbers. A LoRA is cut to a
    rank, if one is named."""
    import torch
    from safetensors.torch import load_file, save_file

    loaded = load_file(source)
    tensors = {
        name: (tensor.to(torch.float16) if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in (narrowed(loaded, rank) if rank else loaded).items()
    }
    target.parent.mkdir(exist_ok=True)
    save_file(tensors, target, {"format": "pt"})


def _module(kind: str, source: Path, target: Path) -> None:
    """A module of diffusers, by its class."""
    import diffusers
    import torch

    made: Any = getattr(diffusers, kind).from_pretrained(source, torch_dtype=torch.float32)
    _half(made, target)


def _tower(source: Path, target: Path) -> None:
    import torch
    from transformers import CLIPVisionModelWithProjection

    CLIPVisionModelWithProjection.from_pretrained(source).to(torch.float16).save_pretrained(target)
    _copy(source, target, "preprocessor_config.json")


def _captioner(source: Path, target: Path) -> None:
    from transformers import VisionEncoderDecoderModel

    made: Any = VisionEncoderDecoderModel.from_pretrained(source)
    _half(made, target)
    _copy(source, target, "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json")


def _anomaly(source: Path, target: Path) -> None:
    weights = "diffusion_pytorch_model.safetensors"
    _half_tensors(source / weights, target / weights)
    _copy(source, target, "config.json")


def _one_file(source: Path, target: Path) -> None:
    """A folder whose weights have its part's name."""
    weights = f"{target.name}.safetensors"
    _half_tensors(source / weights, target / weights)


def _copy(source: Path, target: Path, *names: str) -> None:
    """Files beside the weights, where they are there and not the same ones."""
    for name in names:
        if (source / name).is_file() and source.resolve() != target.resolve():
            shutil.copy(source / name, target)


LORAS = ("few_step", "inpainting", "style", "subject", "colors", "motion_lora")
PARTS: Mapping[str, Callable[[Path, Path], None]] = {
    "image_encoder": _tower,
    "controlnet_edges": partial(_module, "ControlNetModel"),
    "controlnet_shape": partial(_module, "ControlNetModel"),
    "ip_adapter": _one_file,
    "captioner": _captioner,
    "upscaler": _one_file,
    "motion": partial(_module, "MotionAdapter"),
    "anomaly": _anomaly,
}
"""What stands beside the model: the folder of each part, and what writes it there in float16 from where it was trained.
LoRAs are all written alike, and may be cut to a rank."""


def latent_rgb(model: Path, cache: Path, count: int = 200) -> list[list[float]]:
    """The linear map from latent channels to red, green and blue (0..1) that fits best, by least squares.

    A row a channel, and a last one that is added to all.
    """
    import numpy as np
    import torch
    from diffusers import AutoencoderKL

    from safelight_nodes._training.captions import draw_colour
    from safelight_nodes._training.images import composited
    from training.fetch import load

    images, _ = load(cache)
    rng = np.random.default_rng(1)
    chosen = np.sort(rng.choice(len(images), min(count, len(images)), replace=False))
    x = composited(torch.from_numpy(np.array(images[chosen])), [draw_colour(rng)[1] for _ in chosen])
    vae: Any = AutoencoderKL.from_pretrained(model / "vae", torch_dtype=torch.float32).eval()
    with torch.inference_mode():
        z = torch.cat([vae.encode(part).latent_dist.mode() for part in x.split(20)]) * vae.config.scaling_factor
    small = torch.nn.functional.interpolate(x / 2 + 0.5, z.shape[-2:], mode="area")
    cells = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])
    cells = torch.cat([cells, torch.ones(len(cells), 1)], 1)
    wanted = small.permute(0, 2, 3, 1).reshape(-1, 3)
    return torch.linalg.lstsq(cells, wanted).solution.tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=SHIPPED)
    for name in ("checkpoint", "vae", "words", "cache"):
        parser.add_argument(f"--{name}", type=Path)
    for name in (*LORAS, *PARTS):
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path)
    parser.add_argument("--cut", nargs="*", default=(), metavar="NAME=RANK", help="LoRAs to cut to a rank")
    args = parser.parse_args()
    parts = {name: path for name in (*LORAS, *PARTS) if (path := getattr(args, name))}
    cut = {name: int(rank) for name, _, rank in (one.partition("=") for one in args.cut)}
    given = {"checkpoint": args.checkpoint, "vae": args.vae, "words": args.words, "cache": args.cache}
    size = export(args.target, args.model, parts, **given, cut=cut)
    print(f"{size / 1e6:.2f} MB of weights in {args.target}")
    if size > LIMIT:
        raise SystemExit(f"That is more than the {LIMIT / 1e6:.0f} MB that the package may carry.")


if __name__ == "__main__":
    main()
