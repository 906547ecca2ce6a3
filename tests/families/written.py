"""Writes miniatures of Stable Diffusion 3, Flux.1 and Z-Image as their makers and ComfyUI do: whole, or split.

Names come from the package's own table, read backwards; `test_written_files` holds that table against diffusers.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file, save_file

from models.original_layout import vae_in_original_names

if TYPE_CHECKING:
    from torch import Tensor

PARTS = {
    "sd3": {"clip_l": "text_encoder", "clip_g": "text_encoder_2", "t5xxl": "text_encoder_3"},
    "flux": {"clip_l": "text_encoder", "t5xxl": "text_encoder_2"},
    "z_image": {"qwen3_4b": "text_encoder"},
}


def denoiser(family: Any, folder: Path) -> dict[str, Tensor]:
    """The tensors of a folder's transformer by the names of the makers."""
    import torch

    given = load_file(folder / "transformer" / "diffusion_pytorch_model.safetensors")
    layers = 1 + max(int(number) for name in given for number in re.findall(r"^\w+\.(\d+)\.", name))
    # Just enough for the table to be made.
    seeds = {
        f"joint_blocks.{layers - 1}.x": (1,),
        "double_blocks.0.img_attn.qkv.weight": (1,),
        "x_embedder.weight": (1,),
    }
    made: dict[str, Tensor] = {}
    renamed: set[str] = set()
    for rule in family.rules(seeds):
        for number in range(layers) if "{}" in rule.old else (0,):
            old, new = rule.old.format(number), [name.format(number) for name in rule.new]
            if old in made or any(f"{old}.{kind}" in made for kind in ("weight", "scale")):
                continue
            for kind in ("weight", "bias", ""):
                names = [f"{name}.{kind}" if kind else name for name in new]
                if not all(name in given for name in names):
                    continue
                renamed.update(names)
                pieces = [given[name] for name in names]
                whole = torch.cat(pieces) if len(pieces) > 1 else pieces[0]
                swapped = rule.swap or old == f"joint_blocks.{layers - 1}.context_block.adaLN_modulation.1"
                ending = "scale" if old.endswith(("query_norm", "key_norm")) else kind
                made[f"{old}.{ending}" if ending else old] = (
                    torch.cat(whole.chunk(2)[::-1]) if swapped else whole
                ).contiguous()
    return made | {name: tensor for name, tensor in given.items() if name not in renamed}


def vae(folder: Path) -> dict[str, Tensor]:
    return vae_in_original_names(load_file(folder / "vae" / "diffusion_pytorch_model.safetensors"))


def encoders(name: str, folder: Path) -> dict[str, dict[str, Tensor]]:
    """The tensors of each text encoder, as they lie in files of their own."""
    found = {sort: load_file(folder / part / "model.safetensors") for sort, part in PARTS[name].items()}
    for sort, tensors in found.items():
        if sort.startswith("clip"):
            level = "text_model."
            found[sort] = {
                key if key.startswith((level, "text_projection")) else level + key: tensor
                for key, tensor in tensors.items()
            }
    return found


def write_whole(family: Any, folder: Path, file: Path, dtype: Any = None) -> None:
    """A whole model in one file, as ComfyUI saves it."""
    tensors = {f"model.diffusion_model.{name}": tensor for name, tensor in denoiser(family, folder).items()}
    tensors |= {f"first_stage_model.{name}": tensor for name, tensor in vae(folder).items()}
    for sort, found in encoders(family.id, folder).items():
        tensors |= {f"text_encoders.{sort}.transformer.{name}": tensor for name, tensor in found.items()}
    save(tensors, file, dtype)


def save(tensors: dict[str, Tensor], file: Path, dtype: Any = None, **metadata: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: (one.to(dtype) if dtype else one).contiguous().clone() for name, one in tensors.items()}, file, metadata
    )


def eight_bits(tensors: dict[str, Tensor], dtype: Any, scaled: bool) -> dict[str, Tensor]:
    """Matrices in eight bits; `scaled` ones fill their range, and their scale lies beside them."""
    import torch

    made: dict[str, Tensor] = {"scaled_fp8": torch.empty(2, dtype=dtype)} if scaled else {}
    for name, tensor in tensors.items():
        if tensor.dim() != 2:
            made[name] = tensor
        elif scaled and name.endswith(".weight"):
            scale = tensor.abs().max() / torch.finfo(dtype).max
            made[name] = (tensor / scale).to(dtype)
            made[name.removesuffix("weight") + "scale_weight"] = scale
        else:
            made[name] = tensor.to(dtype)
    return made


def write_gguf(tensors: dict[str, Tensor], file: Path, kind: str, architecture: str) -> None:
    """As quantisers of denoisers do: matrices that fit its blocks in `kind`, everything else plain."""
    import gguf
    import numpy

    file.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(file, architecture)
    wanted = gguf.GGMLQuantizationType[kind]
    for name, tensor in tensors.items():
        numbers = tensor.numpy().astype(numpy.float32)
        if tensor.dim() == 2 and tensor.shape[1] % gguf.GGML_QUANT_SIZES[wanted][0] == 0:
            writer.add_tensor(name, gguf.quants.quantize(numbers, wanted), raw_dtype=wanted)
        else:
            writer.add_tensor(name, numbers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
