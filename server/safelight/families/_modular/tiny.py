"""What the miniatures of modular families are made of, for tests: the classes of the real ones, only narrow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safelight.families._clip.tiny import write_tokenizer
from safelight.families._lm import tiny as lm
from safelight.families._t5 import tiny as t5

from .family import ModularFamily


def lively(module: Any) -> Any:
    """The module, with random numbers where weights start as zeros, so that everything it is given counts."""
    import torch

    with torch.no_grad():
        for parameter in module.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.05)
    return module.eval()


def autoencoder(scaling: float, shift: float) -> Any:
    import diffusers

    made: Any = diffusers.AutoencoderKL  # pyright: ignore[reportPrivateImportUsage]
    channels = (8, 8, 16, 16)
    return made(
        in_channels=3,
        out_channels=3,
        latent_channels=16,
        block_out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        norm_num_groups=4,
        sample_size=64,
        scaling_factor=scaling,
        shift_factor=shift,
        use_quant_conv=False,
        use_post_quant_conv=False,
        force_upcast=True,
    )


def save(family: ModularFamily, pipeline: Any, folder: Path) -> Path:
    """Saves a pipeline that was made without tokenizers, and writes those as published repositories have them."""
    pipeline.save_pretrained(folder, safe_serialization=True)
    index_file = folder / "model_index.json"
    index = json.loads(index_file.read_text())
    for encoder in (one for one in family.encoders if one.tokenizer):
        if encoder.kind == "language model":
            lm.write_tokenizer(folder / encoder.tokenizer)
            index[encoder.tokenizer] = ["transformers", "Qwen2Tokenizer"]
        elif encoder.kind in ("t5", "umt5"):
            t5.write_tokenizer(folder / encoder.tokenizer)
            index[encoder.tokenizer] = ["transformers", "T5TokenizerFast"]
        else:
            write_tokenizer(folder / encoder.tokenizer, "<|endoftext|>" if encoder.part == "text_encoder" else "!")
            index[encoder.tokenizer] = ["transformers", "CLIPTokenizer"]
    index_file.write_text(json.dumps(index, indent=2))
    return folder


def save_modular(family: ModularFamily, parts: dict[str, Any], folder: Path, made: str = "") -> Path:
    """Saves what a model of modular blocks alone consists of, tokenizers with it; `made` begins the names of its
    classes."""
    import diffusers

    names = (f"{made}ModularPipeline", f"{made}AutoBlocks") if made else (family.pipelines[0], family.blocks)
    index: dict[str, Any] = dict(zip(("_class_name", "_blocks_class_name"), names, strict=True))
    for name, part in parts.items():
        part.save_pretrained(folder / name)
        library = "diffusers" if hasattr(diffusers, type(part).__name__) else "transformers"
        kind = [library, type(part).__name__]
        source = {"pretrained_model_name_or_path": str(folder), "subfolder": name, "type_hint": kind}
        index[name] = [*kind, source]
    (folder / "modular_model_index.json").write_text(json.dumps(index, indent=2))
    return folder
