"""ControlNets of Flux.1: of InstantX and Shakker Labs (also union), which look at a latent, and of XLabs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safelight.families._modular.controlnet import Guided, NetKind, Residuals, for_blocks
from safelight.families._original.names import Shapes, sides_of

from .original import AXES, sizes_of

if TYPE_CHECKING:
    from torch import Tensor


class FluxNet(NetKind):
    def config_of(self, shapes: Shapes) -> dict[str, Any]:
        side, found = sides_of(shapes), sizes_of(shapes)
        head, pixels = found["attention_head_dim"], side("input_hint_block.conv_out.weight", 0)
        return {
            **found,
            # Those that look at pixels make their own tokens of two by two.
            "patch_size": 2 if pixels else 1,
            "axes_dims_rope": AXES.get(head, (head // 4, head // 4, head // 2)),
            "num_mode": side("controlnet_mode_embedder.weight", 0) or None,
            "conditioning_embedding_channels": pixels or None,
        }

    def sees_pixels(self, net: Any) -> bool:
        return net.input_hint_block is not None

    def says(
        self, net: Any, guided: Guided, guidance: float, given: Mapping[str, Any], hint: Tensor, mode: int | None
    ) -> Residuals:
        import torch

        hidden = given["hidden_states"]
        strength = torch.full((len(hidden),), guidance, device=hidden.device, dtype=torch.float32)
        modes = None if mode is None else torch.full((len(hidden), 1), mode, device=hidden.device)
        double, single = net(
            hidden_states=hidden,
            controlnet_cond=hint,
            controlnet_mode=modes,
            timestep=given["timestep"],
            guidance=strength if net.config.guidance_embeds else None,
            pooled_projections=given["pooled_projections"],
            encoder_hidden_states=given["encoder_hidden_states"],
            txt_ids=given["txt_ids"],
            img_ids=given["img_ids"],
            return_dict=False,
        )
        transformer = guided.transformer
        return {
            "controlnet_block_samples": for_blocks(
                double, len(transformer.transformer_blocks), repeated=self.sees_pixels(net)
            ),
            "controlnet_single_block_samples": for_blocks(single, len(transformer.single_transformer_blocks)),
        }


CONTROLNET = FluxNet(
    "FluxControlNetModel",
    ("controlnet_x_embedder.weight", "x_embedder.weight", "context_embedder.weight"),
    shared=True,
    # What the union of InstantX, and that of Shakker Labs after it, were trained to tell apart.
    types={"line": 0, "tile": 1, "depth": 2, "openpose": 4},
)
