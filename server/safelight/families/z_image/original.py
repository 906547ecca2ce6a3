"""Z-Image as its makers write it: github.com/Tongyi-MAI/Z-Image, and ComfyUI's files of it."""

from __future__ import annotations

from typing import Any

from safelight.families._original.names import Rule, Shapes, count, sides_of
from safelight.families._original.names import rules as table

AXES = {128: (32, 48, 48)}
"""How the channels of an attention head are shared among the axes of a position; shapes do not tell it."""
LENGTHS = (1536, 512, 512)
"""How far positions reach along each axis."""
_PATCH = 2
_TOP = (
    ("x_embedder", "all_x_embedder.2-1"),
    ("final_layer.linear", "all_final_layer.2-1.linear"),
    ("final_layer.adaLN_modulation.1", "all_final_layer.2-1.adaLN_modulation.1"),
)
_ATTENTION = (
    ("qkv", "to_q to_k to_v"),
    ("out", "to_out.0"),
    ("q_norm", "norm_q"),
    ("k_norm", "norm_k"),
)


def rules(shapes: Shapes) -> list[Rule]:
    if "x_embedder.weight" not in shapes:
        return []
    groups = ("layers", "noise_refiner", "context_refiner")
    places = [f"{group}.{{}}.attention." for group in groups]
    return [*table(*_TOP), *(rule for place in places for rule in table(*_ATTENTION, start=(place, place)))]


def config_of(shapes: Shapes) -> dict[str, Any]:
    side = sides_of(shapes)
    head = side("layers.0.attention.norm_q.weight", 0) or 128
    return {
        "in_channels": side("all_x_embedder.2-1.weight", 1) // _PATCH**2,
        "dim": side("all_x_embedder.2-1.weight", 0),
        "n_layers": count(shapes, "layers."),
        "n_refiner_layers": count(shapes, "noise_refiner."),
        "n_heads": side("layers.0.attention.to_q.weight", 0) // head,
        "n_kv_heads": side("layers.0.attention.to_k.weight", 0) // head,
        "cap_feat_dim": side("cap_embedder.1.weight", 1),
        "axes_dims": list(AXES.get(head, (32, 48, 48))),
        "axes_lens": list(LENGTHS),
    }
