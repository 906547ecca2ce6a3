"""Changes of layers that are more than a low-rank pair: LoHa, LoKr, OFT, DoRA, LoCon with a core, whole differences of
weights, norms and biases.

A layer that is linear in its weights gives `f(x; W + s D) = f(x; W) + s f(x; D)`, so each change adds its own part to
what the layer gives, and the weights are never touched. D is kept as its factors, and made for each call.

Sources: LoHa, LoKr, Tucker cores: Yeh et al. 2023, https://arxiv.org/abs/2309.14859; OFT: Qiu et al. 2023,
https://arxiv.org/abs/2306.07280; DoRA: Liu et al. 2024, https://arxiv.org/abs/2402.09353.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

_ENDINGS: Mapping[str, str] = {
    ".lora_down.weight": "down",
    ".lora_A.weight": "down",
    ".lora_up.weight": "up",
    ".lora_B.weight": "up",
    ".lora_mid.weight": "core",
    ".hada_w1_a": "w1_a",
    ".hada_w1_b": "w1_b",
    ".hada_w2_a": "w2_a",
    ".hada_w2_b": "w2_b",
    ".hada_t1": "t1",
    ".hada_t2": "t2",
    ".lokr_w1": "w1",
    ".lokr_w1_a": "w1_a",
    ".lokr_w1_b": "w1_b",
    ".lokr_w2": "w2",
    ".lokr_w2_a": "w2_a",
    ".lokr_w2_b": "w2_b",
    ".lokr_t2": "t2",
    ".oft_blocks": "blocks",
    ".oft_diag": "blocks",
    ".rescale": "rescale",
    ".diff": "diff",
    ".w_norm": "diff",
    ".diff_b": "bias",
    ".b_norm": "bias",
    ".dora_scale": "magnitude",
    ".lora_magnitude_vector": "magnitude",
    ".lora_magnitude_vector.weight": "magnitude",
    ".alpha": "alpha",
}
"""What the tensors of a change are called, and what they are here."""
_PAIR = {"down", "up", "alpha"}
_TEXT = re.compile(r"(?:lora_te|lycoris_te|text_encoder_|text_encoder)(\d?)_(.+)")
_MARKS = ("lora_unet_", "lora_transformer_", "lycoris_", "base_model_model_", "model_diffusion_model_",
          "diffusion_model_", "unet_", "transformer_")  # fmt: skip
"""What programs put before the names of a denoiser's layers."""


Strengths = Mapping[str, Mapping[str, float]]
"""How strongly each adapter counts at each layer, by their names."""


@dataclass
class Change:
    """What a file has for one layer. `name` is the layer's name as the file has it.

    `rows` are the first row, the one past the last, and the number of all of a weight of which a layer has only these.
    """

    name: str
    tensors: dict[str, Tensor] = field(default_factory=dict)
    kron: bool = False
    rows: tuple[int, int, int] | None = None

    def piece(self, start: int, stop: int, total: int) -> Change:
        """The change for some of the outputs of a layer that has `total` of them in the file.

        Raises:
            ValueError: it has another number of outputs, or cannot be cut there.
        """
        late = {"w1", "w2", "w1_a", "w1_b", "w2_a", "w2_b", "t2"} if self.kron else set[str]()
        cut = {
            name: tensor if name in late else self._cut(name, tensor, start, stop, total)
            for name, tensor in self.tensors.items()
        }
        return Change(self.name, cut, self.kron, (start, stop, total) if self.kron else None)

    def _cut(self, name: str, tensor: Tensor, start: int, stop: int, total: int) -> Tensor:
        if name in ("alpha", "down", "core", "t1", "t2", "w1_b", "w2_b"):
            return tensor
        if name == "blocks":
            count, size = tensor.shape[:2]
            bounded = float(self.tensors.get("alpha", 0.0)) > 0
            if bounded or count * size != total or start % size or stop % size:
                raise ValueError("these blocks cannot be cut there")
            return tensor[start // size : stop // size]
        axis = 1 if name in ("w1_a", "w2_a") and f"t{name[1]}" in self.tensors else 0
        if tensor.shape[axis] != total:
            raise ValueError(f"{name} is not for {total} outputs")
        return tensor.narrow(axis, start, stop - start)


def split(given: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[Change]]:
    """The tensors of plain low-rank pairs, by their names, and what is more than that."""
    changes: dict[str, Change] = {}
    owners: dict[str, str] = {}
    for key, tensor in given.items():
        ending = next((ending for ending in _ENDINGS if key.endswith(ending)), "")
        if not ending:
            continue
        stem = owners[key] = key.removesuffix(ending)
        change = changes.setdefault(stem, Change(stem))
        change.tensors[_ENDINGS[ending]] = tensor
        change.kron = change.kron or ".lokr_" in ending
    more = {stem for stem, change in changes.items() if not set(change.tensors) <= _PAIR}
    rest = {key: tensor for key, tensor in given.items() if owners.get(key) not in more}
    return rest, [changes[stem] for stem in changes if stem in more]


def layer_of(name: str) -> tuple[str, str]:
    """The part that a layer belongs to, empty for the denoiser, and its flat name there: dots as underscores."""
    flat = name.replace(".", "_")
    text = _TEXT.fullmatch(flat)
    if text:
        number = text[1] if text[1] not in ("", "1") else ""
        return f"text_encoder_{number}" if number else "text_encoder", text[2]
    for mark in _MARKS:
        # 'transformer_blocks' is a name of its own.
        if flat.startswith(mark) and not flat.startswith("transformer_blocks_"):
            flat = flat.removeprefix(mark)
    return "", flat


def layers(module: Any) -> dict[str, Any]:
    """The layers of a module by their names without what peft wraps them in: the innermost of each name."""
    return {name.replace(".base_layer", ""): layer for name, layer in module.named_modules()}


class Changes:
    """The changes that lie beside the layers of a component, by the adapter that they belong to."""

    def __init__(self) -> None:
        self._strengths: Strengths = {}
        self._held: dict[str, list[tuple[Any, Any, list[str]]]] = {}

    def lay(self, adapter: str, place: str, layer: Any, change: Change) -> bool:
        """Lays a change beside a layer, turned off; `place` is the layer's name.

        False when it has another shape than the layer, or is of a kind that such a layer does not take.
        """
        parts = _prepared(layer, change)
        if parts is None:
            return False
        buffers: dict[str, str] = {}
        for part, tensor in parts.items():
            buffers[part] = f"{adapter}_{part}"
            like = getattr(layer, "weight", None)
            placed = tensor if like is None else tensor.to(like.device, like.dtype)
            # As buffers they move with the layer, and count as its memory.
            layer.register_buffer(buffers[part], placed.clone(), persistent=False)

        def add(module: Any, inputs: tuple[Any, ...], output: Any) -> Any:
            strength = self._strengths.get(adapter, {}).get(place, 0.0)
            if not strength:
                return None
            # Where layers come to the device one by one, this one has left it already.
            found = {part: getattr(module, name).to(output.device) for part, name in buffers.items()}
            return output + _added(module, inputs[0], found, change, strength)

        handle = layer.register_forward_hook(add)
        self._held.setdefault(adapter, []).append((layer, handle, list(buffers.values())))
        return True

    def turn_on(self, strengths: Strengths) -> None:
        self._strengths = strengths

    def remove(self, adapter: str) -> None:
        for layer, handle, buffers in self._held.pop(adapter, ()):
            handle.remove()
            for name in buffers:
                delattr(layer, name)


def _prepared(layer: Any, change: Change) -> dict[str, Tensor] | None:
    """The factors of a change with its scale in one of them; None when they do not fit the layer."""
    import torch

    weight = getattr(layer, "weight", None)
    linear = isinstance(layer, torch.nn.Linear | torch.nn.Conv2d | torch.nn.LayerNorm | torch.nn.GroupNorm)
    if not linear or weight is None:
        return None
    parts = {name: tensor.float() for name, tensor in change.tensors.items() if name != "alpha"}
    alpha = change.tensors.get("alpha")
    try:
        if "blocks" in parts:
            parts["blocks"] = _rotation(parts["blocks"], 0.0 if alpha is None else float(alpha), weight.shape[0])
        elif alpha is not None:
            _scale(parts, float(alpha))
        if parts.keys() - {"bias"}:
            wanted = _difference(parts, weight.float(), change, 1.0)
            if not bool(wanted.isfinite().all()):
                return None
        if "bias" in parts:
            parts["bias"] = parts["bias"].reshape(weight.shape[0])
    except (RuntimeError, KeyError, IndexError, ValueError):
        return None
    return parts


def _scale(parts: dict[str, Tensor], alpha: float) -> None:
    """Puts alpha / rank into a factor. A LoKr of two whole factors has no rank, and no scale."""
    ranked = next((name for name in ("down", "w2_b", "w1_b") if name in parts), None)
    if ranked is None:
        return
    first = next(name for name in ("up", "w1", "w1_a") if name in parts)
    parts[first] = parts[first] * (alpha / parts[ranked].shape[0])


def _rotation(blocks: Tensor, bound: float, outputs: int) -> Tensor:
    """What an OFT turns the outputs by, less the identity: (blocks, n, n), from the skew part by Cayley's transform."""
    import torch

    count, size = blocks.shape[:2]
    if count * size != outputs:
        raise ValueError("the blocks are for another number of outputs")
    skew = blocks - blocks.transpose(1, 2)
    norm = skew.norm() + 1e-8
    if 0 < bound < float(norm):
        skew = skew * (bound / norm)
    one = torch.eye(size).expand_as(skew)
    return (one + skew) @ torch.linalg.inv(one - skew) - one


def _difference(parts: Mapping[str, Tensor], weight: Tensor, change: Change, strength: float) -> Tensor:
    """The difference D of the weights, in the shape of `weight`.

    Raises:
        RuntimeError, KeyError: the factors do not make one of that shape.
    """
    import torch

    if "blocks" in parts:
        turn = parts["blocks"]
        found = torch.einsum("knm,kn...->km...", turn, weight.unflatten(0, turn.shape[:2])).reshape(weight.shape)
        if "rescale" in parts:
            found = (weight + found) * parts["rescale"].reshape(-1, *[1] * (weight.dim() - 1)) - weight
    elif "diff" in parts:
        found = parts["diff"].reshape(weight.shape)
    elif change.kron:
        start, stop, total = change.rows or (0, len(weight), len(weight))
        one = _factor(parts, "w1")
        two = _factor(parts, "w2")
        found = torch.kron(one.reshape(*one.shape[:2], *[1] * (two.dim() - 2)), two)
        found = found.reshape(total, *weight.shape[1:])[start:stop]
    elif "w2_a" in parts:
        found = (_factor(parts, "w1") * _factor(parts, "w2")).reshape(weight.shape)
    elif "core" in parts:
        found = torch.einsum("op,prkl,ri->oikl", parts["up"].flatten(1), parts["core"], parts["down"].flatten(1))
        found = found.reshape(weight.shape)
    else:
        found = (parts["up"].flatten(1) @ parts["down"].flatten(1)).reshape(weight.shape)
    found = found * strength
    if "magnitude" not in parts:
        return found
    moved = weight + found
    magnitude = parts["magnitude"]
    along_inputs = magnitude.dim() > 1 and magnitude.shape[0] == 1 and weight.shape[0] > 1
    # One for each output, as peft writes it, or one for each input.
    kept = 1 if along_inputs and magnitude.numel() == weight.shape[1] else 0
    others = [axis for axis in range(weight.dim()) if axis != kept]
    norm = torch.linalg.vector_norm(moved, dim=others, keepdim=True)
    return moved * (magnitude.reshape(norm.shape) / norm) - weight


def _factor(parts: Mapping[str, Tensor], name: str) -> Tensor:
    """A factor, or the product that it is kept as."""
    import torch

    if name in parts:
        return parts[name]
    first, second = parts[f"{name}_a"], parts[f"{name}_b"]
    core = parts.get(f"t{name[1]}")
    return first @ second if core is None else torch.einsum("ijkl,jr,ip->prkl", core, second, first)


def _added(layer: Any, given: Tensor, parts: Mapping[str, Tensor], change: Change, strength: float) -> Tensor:
    """What a change adds to what its layer gives."""
    import torch
    from torch.nn import functional

    bias = parts["bias"] * strength if "bias" in parts else None
    spatial = isinstance(layer, torch.nn.Conv2d | torch.nn.GroupNorm)
    if not parts.keys() - {"bias"}:
        assert bias is not None
        return bias.reshape(-1, *[1] * (given.dim() - 2)) if spatial else bias
    difference = _difference(parts, layer.weight.to(given.device), change, strength)
    if isinstance(layer, torch.nn.Conv2d):
        # As the layer itself pads.
        return layer._conv_forward(given, difference, bias)  # pyright: ignore[reportPrivateUsage]
    if isinstance(layer, torch.nn.GroupNorm):
        return functional.group_norm(given, layer.num_groups, difference, bias, layer.eps)
    if isinstance(layer, torch.nn.LayerNorm):
        return functional.layer_norm(given, layer.normalized_shape, difference, bias, layer.eps)
    return functional.linear(given, difference, bias)


def named(names: Iterable[str]) -> str:
    """A few of the names, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return ", ".join(listed[:3]) + more
