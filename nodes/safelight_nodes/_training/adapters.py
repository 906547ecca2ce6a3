"""LoRA: low-rank changes learned beside the weights of a module, by peft.

Source: E. Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021, https://arxiv.org/abs/2106.09685. A
layer W x becomes W x + (alpha / rank) B A x, with A (rank, in) drawn at random and B (out, rank) zero at first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor

Targets = Literal["attention", "blocks", "all"]
Layout = Literal["diffusers", "kohya"]
SHAPE = "reshape_weight"
"""What files of LoRAs call the shape that a layer is widened to before they are laid beside it."""
_ATTENTION = re.compile(r"(^|[._])(attn\d?|attention|cross_attn|self_attn)\.")
_BLOCK = re.compile(r"\.\d+\.|^mid_block\.")
_LEVEL = "text_model."


def add_lora(
    module: Any, rank: int, seed: int, *, alpha: float | None = None, targets: Targets = "all", dropout: float = 0.0
) -> list[Any]:
    """Lays a LoRA beside the matrices and kernels of a module; returns its parameters, float32. All else stands still.

    `targets` are those of its attentions, of its blocks (all but what comes before, between and after them, for which
    other programs have no names), or all. `alpha` is `rank` where none is given, so that it counts whole.
    """
    import torch
    from diffusers.models.modeling_utils import ModelMixin
    from peft import LoraConfig, inject_adapter_in_model

    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    # A projection of pooled text lies outside of what LoRAs for text encoders are read for.
    names = [name for name, inner in module.named_modules() if isinstance(inner, kinds) and name != "text_projection"]
    if targets != "all":
        inside = _ATTENTION if targets == "attention" else _BLOCK
        names = [name for name in names if inside.search(name)]
    module.requires_grad_(False)
    config = LoraConfig(
        r=rank,
        lora_alpha=rank if alpha is None else alpha,  # pyright: ignore[reportArgumentType]
        lora_dropout=dropout,
        target_modules=names,
        init_lora_weights="gaussian",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(module, ModelMixin):
            module.add_adapter(config)
        else:  # transformers has such a method as well, for some releases of peft
            inject_adapter_in_model(config, module)
            module.peft_config = {"default": config}
    learned = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in learned:
        parameter.data = parameter.data.float()
    return learned


def lora_tensors(module: Any, part: str = "unet") -> dict[str, Tensor]:
    """The LoRA of a part by the names that diffusers loads, on the CPU. What alpha multiplies by is in the weights, so
    that programs which do not look for an alpha read it right."""
    from peft import get_peft_model_state_dict

    config = next(iter(module.peft_config.values()))
    scale = config.lora_alpha / config.r
    # By the names of peft: those that diffusers had before it are for attentions alone, and a file of both is misread.
    found: dict[str, Any] = get_peft_model_state_dict(module)
    level = _LEVEL if part.startswith("text_encoder") and not any(_LEVEL in name for name in found) else ""
    return {
        f"{part}.{level}{name}": (tensor * scale if ".lora_B." in name else tensor).detach().cpu().contiguous()
        for name, tensor in found.items()
    }


def bare(module: Any) -> Any:
    """A module without the LoRAs that lie beside its weights; changed in place."""
    from diffusers.utils.peft_utils import recurse_remove_peft_layers
    from peft.tuners.tuners_utils import BaseTunerLayer

    if any(isinstance(inner, BaseTunerLayer) for inner in module.modules()):
        recurse_remove_peft_layers(module)
        module.peft_config = {}
        module._hf_peft_config_loaded = False
    return module


def kohya(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a LoRA for a UNet by the names that most other programs read: flat, each pair with its alpha."""
    import torch

    two = any(name.startswith("text_encoder_2.") for name in tensors)
    starts = {"unet": "lora_unet", "text_encoder": "lora_te1" if two else "lora_te", "text_encoder_2": "lora_te2"}
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        part, _, path = name.partition(".")
        for ours, theirs in ((".lora_A.weight", "lora_down"), (".lora_B.weight", "lora_up")):
            if path.endswith(ours):
                stem = f"{starts[part]}_{path.removesuffix(ours).replace('.', '_')}"
                found[f"{stem}.{theirs}.weight"] = tensor
                if theirs == "lora_down":
                    found[f"{stem}.alpha"] = torch.tensor(float(len(tensor)))
    return found
