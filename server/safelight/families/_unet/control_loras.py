"""Control-LoRAs: ControlNets kept as low-rank differences to the encoder of the denoiser that they are used with.

A file holds the hint's network, the closing convolutions, norms and biases whole, and for other weights a pair `up`,
`down` whose product is added to the denoiser's. No weight of the denoiser is copied or changed: the ControlNet is built
over them. Source: https://huggingface.co/stabilityai/control-lora.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safelight.families.base import Files, Loaded
from safelight.sdk.problem import Problem, ProblemError

from .original import original_names

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.families.files import Header

MARK = "lora_controlnet"
_KEPT = "control_lora"
_NEEDED = ("input_hint_block.0.weight", "zero_convs.0.0.weight", "middle_block_out.0.weight")
_ENDS = (".up", ".down")


def text_width(header: Header) -> int:
    """The channels of the text that its attention takes in; 0 when nothing tells."""
    for name in header.tensors:
        if name.endswith(("attn2.to_k.down", "attn2.to_k.weight")):
            return header.shape(name)[-1]
    return 0


def load(files: Files) -> Loaded:
    """Raises ProblemError: weights are missing that every one has."""
    import torch

    lacking = [name for name in _NEEDED if name not in files.header().tensors]
    if lacking:
        raise _incomplete(files.name, lacking[0])
    kept = torch.nn.Module()
    for name, tensor in files.tensors().items():
        if name != MARK:
            # As buffers they are measured and moved; their names must not have dots.
            kept.register_buffer(name.replace(".", "/"), tensor)
    setattr(kept, _KEPT, files.name)
    return Loaded({"controlnet": kept})


def joined(unet: Any, component: Any) -> Any:
    """The ControlNet that a control-LoRA is over this denoiser; anything else as it is.

    Raises:
        ProblemError: it was made for another denoiser.
    """
    name = getattr(component, _KEPT, None)
    if name is None:
        return component
    given = {place.replace("/", "."): tensor for place, tensor in component.named_buffers()}
    net = _empty(unet, given)
    # Where a LoRA lies on the denoiser, its own weights are one level further down.
    own = {place.replace(".base_layer.", "."): tensor for place, tensor in unet.named_parameters()}
    originals = _originals(net)
    state: dict[str, Any] = {}
    for place, empty in net.state_dict().items():
        layer, _, kind = place.rpartition(".")
        tensor = given.get(f"{originals.get(layer, '')}.{kind}", own.get(place))
        if tensor is None:
            raise _incomplete(name, f"{originals.get(layer, layer)}.{kind}")
        if tensor.numel() != empty.numel():
            raise _unfit(name, f"{place} has {tuple(tensor.shape)}, and the model {tuple(empty.shape)}")
        state[place] = tensor.reshape(empty.shape) if tensor.shape != empty.shape else tensor
    net.load_state_dict(state, assign=True)
    for layer, original in originals.items():
        up, down = (given.get(original + end) for end in _ENDS)
        if up is not None and down is not None:
            _lay(name, net.get_submodule(layer), up, down)
    return net.eval()


def _empty(unet: Any, given: Mapping[str, Tensor]) -> Any:
    import torch
    from diffusers.models.controlnets.controlnet import ControlNetModel

    hints = sorted(
        int(place.split(".")[1])
        for place in given
        if place.startswith("input_hint_block.") and place.endswith("weight")
    )
    # Every second one keeps the size and is as wide as the one before; the last leads into the denoiser.
    widths = [given[f"input_hint_block.{place}.weight"].shape[0] for place in (hints[0], *hints[2:-1:2])]
    with torch.device("meta"):
        return ControlNetModel.from_unet(
            unet,
            load_weights_from_unet=False,
            conditioning_embedding_out_channels=tuple(widths),
            conditioning_channels=given["input_hint_block.0.weight"].shape[1],
        )


def _originals(net: Any) -> dict[str, str]:
    """The original names of a ControlNet's layers, by those of diffusers."""
    names = [name for name, _ in net.named_modules()]
    found = {made: layer for layer, made in original_names(names, net.config.layers_per_block)}
    blocks, closing = len(net.controlnet_cond_embedding.blocks), len(net.controlnet_down_blocks)
    embedding = "controlnet_cond_embedding."
    found |= {f"{embedding}blocks.{place}": f"input_hint_block.{2 * place + 2}" for place in range(blocks)}
    found |= {f"{embedding}conv_in": "input_hint_block.0"}
    found |= {f"{embedding}conv_out": f"input_hint_block.{2 * blocks + 2}"}
    found |= {f"controlnet_down_blocks.{place}": f"zero_convs.{place}.0" for place in range(closing)}
    return {**found, "controlnet_mid_block": "middle_block_out.0"}


def _lay(name: str, layer: Any, up: Tensor, down: Tensor) -> None:
    """Adds to what a layer gives what the product of a pair would add to its weights."""
    import torch
    from torch.nn.functional import conv2d, linear

    rank, outputs, inputs = down.shape[0], *layer.weight.shape[:2]
    if up.shape[:2] != (outputs, rank) or down.numel() != rank * layer.weight[0].numel() or down.shape[1] != inputs:
        raise _unfit(name, f"a pair of {tuple(up.shape)} and {tuple(down.shape)} is for other layers")
    spatial = isinstance(layer, torch.nn.Conv2d)
    first = down.reshape(rank, *layer.weight.shape[1:])
    second = up.reshape(outputs, rank, 1, 1) if spatial else up.reshape(outputs, rank)

    def add(module: Any, arguments: tuple[Any, ...], output: Any) -> Any:
        given = arguments[0]
        if not spatial:
            return output + linear(linear(given, first), second)
        return output + conv2d(conv2d(given, first, None, module.stride, module.padding, module.dilation), second)

    layer.register_forward_hook(add)


def _incomplete(name: str, lacking: str) -> ProblemError:
    message = f"The Control-LoRA {name} lacks {lacking}."
    return ProblemError(
        Problem(code="model_incomplete", message=message, hint="Copy or download it again.", value=name)
    )


def _unfit(name: str, why: str) -> ProblemError:
    message = f"The Control-LoRA {name} was made for another denoiser: {why}."
    hint = "Use it with the model that it was trained on; those for inpainting and editing have other inputs."
    return ProblemError(Problem(code="weights_mismatch", message=message, hint=hint, port="positive", value=name))
