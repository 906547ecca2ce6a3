"""The header of a file of weights, as families look at it."""

from __future__ import annotations

import math
import re

import msgspec

PREFIXES = ("", "model.diffusion_model.", "diffusion_model.", "transformer.", "model.", "net.", "module.")
"""What programs put before the names of a denoiser."""


class TensorEntry(msgspec.Struct, frozen=True):
    """A tensor of a file. `data_offsets` are its first byte and the one past its last, counted from `Header.start`."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


class Vocabulary(msgspec.Struct, frozen=True):
    """A tokenizer that lies inside a file of weights.

    `tokens` are in the order of their ids. One of pieces has their `scores` (log probabilities), and the table by which
    texts are normalised; one of byte pairs has its `merges` in their order, `marks` that are read as a whole, and a
    chat template.
    """

    tokens: tuple[str, ...]
    scores: tuple[float, ...] = ()
    charsmap: bytes = b""
    merges: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    template: str = ""


class Header(msgspec.Struct, frozen=True):
    """`start` is where the tensors begin in the file, `metadata` what its maker wrote beside them."""

    tensors: dict[str, TensorEntry]
    metadata: dict[str, str]
    start: int

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, or () when there is none of that name."""
        found = self.tensors.get(name)
        return found.shape if found else ()

    def dtypes(self) -> str:
        """The type that most bytes of the file are in, as the format writes it (`F16`, `BF16`, `F32`)."""
        sizes: dict[str, int] = {}
        for tensor in self.tensors.values():
            size = tensor.data_offsets[1] - tensor.data_offsets[0]
            sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + size
        return max(sizes, key=lambda dtype: sizes[dtype]) if sizes else ""


SCALES = (".scale_weight", ".weight_scale")
"""How the scale of a weight in eight bits is called, behind the name of its layer."""
BESIDE_WEIGHTS = (*SCALES, ".scale_input", ".input_scale", "scaled_fp8", ".comfy_quant")
"""Endings of what goes with weights in eight bits, and is no tensor of the model."""
_LORA_PREFIXES = (
    "base_model_model_",
    "transformer_",
    "diffusion_model_",
    "lora_unet_",
    "lora_transformer_",
    "lycoris_",
)
"""What programs put before the names of the layers that a LoRA changes, in the order in which they stand."""


def lora_module(name: str) -> str:
    """The layer that a tensor of a LoRA changes: its name without what stands before it, dots as underscores."""
    # Told by the dot: 'transformer.blocks' and 'transformer_blocks' are of other families.
    flat = name.removeprefix("base_model.model.").removeprefix("transformer.").replace(".", "_")
    for prefix in _LORA_PREFIXES:
        # 'transformer_blocks' is a name of its own.
        if flat.startswith(prefix) and not flat.startswith("transformer_blocks_"):
            flat = flat.removeprefix(prefix)
    return flat


_INPUTS = (
    (".lora_down.weight", 1),
    (".lora_A.weight", 1),
    (".lora.down.weight", 1),
    ("_lora.down.weight", 1),
    (".lora_linear_layer.down.weight", 1),
    (".hada_w1_b", 1),
    (".diff", 1),
    (".oft_blocks", None),
    (".oft_diag", None),
    (".diff_b", None),
    (".w_norm", None),
)
"""How the tensors end that files of changes have for a layer, and the axis that tells how many channels it takes in."""
_KRON = re.compile(r"(.+)\.lokr_w1(_a)?")


def lora_layers(header: Header) -> dict[str, int]:
    """The layers that a LoRA of whatever layout changes, by the names in the file, and how many channels each takes
    in: 0 where that is not told. Empty for a file that is no LoRA."""
    found: dict[str, int] = {}
    for name, entry in header.tensors.items():
        for ending, axis in _INPUTS:
            if name.endswith(ending):
                told = axis is not None and len(entry.shape) > axis
                found[name.removesuffix(ending)] = entry.shape[axis] if told and axis is not None else 0
        kron = _KRON.fullmatch(name)
        if kron:
            factors = [
                header.shape(f"{kron[1]}.lokr_{one}") or header.shape(f"{kron[1]}.lokr_{one}_b") for one in ("w1", "w2")
            ]
            found[kron[1]] = math.prod(shape[1] if len(shape) > 1 else 0 for shape in factors)
    return found


def embedding_vectors(header: Header) -> list[str]:
    """The tensors of an embedding (textual inversion) in the order of the text encoders; empty when it is none.

    Files have `clip_l` and `clip_g` for Stable Diffusion XL (or what the first scripts for it called them), otherwise
    one tensor, called `emb_params` or as the word that it stands for. Each is (n, width), or (width,) for one vector.
    """
    flat = [name for name, tensor in header.tensors.items() if len(tensor.shape) in (1, 2)]
    for pair in (["clip_l", "clip_g"], ["text_encoders_0", "text_encoders_1"]):
        if set(pair) <= set(flat):
            return pair
    return flat if len(header.tensors) == 1 else []
