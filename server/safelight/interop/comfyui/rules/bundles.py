"""Pipes and contexts: nodes that carry a model, its text encoder, its VAE, prompts and more over one wire. Here each
goes over its own: what comes out of a bundle is led back to what went in."""

from __future__ import annotations

from dataclasses import dataclass

from ..graph import OUTSIDE, Wire
from .base import Made, Rule, Site, Unfit


@dataclass(frozen=True)
class Bundle:
    """`bases` are inputs that bring a bundle, the first that has what is asked for counts. `outputs` are the names of
    inputs by the slot that hands on what came into them; "" is the bundle itself."""

    bases: tuple[str, ...]
    outputs: tuple[str, ...]

    def __call__(self, site: Site) -> Made:
        if "" in self.outputs:
            kept_inside(site, self.outputs.index(""))
        return Made({}, [inside(site, name) if name and site.takes(slot) else None for slot, name in self._slots(site)])

    def _slots(self, site: Site) -> list[tuple[int, str]]:
        given = len(site.node.outputs) or len(self.outputs)
        return list(enumerate(self.outputs[:given]))


def kept_inside(site: Site, slot: int) -> None:
    """Raises Unfit where a bundle leads to a node that is not known to take one."""
    if not set(site.takers(slot)) <= CARRIED.keys():
        raise Unfit("What takes its bundle is not known here: lead each of its inputs there by itself.")


def unpacked(site: Site) -> Site:
    """A node that takes a bundle, as if each thing in it came in by itself."""
    return site.wired({name: wire for name in _DETAILER if (wire := inside(site, name)) is not None})


def inside(site: Site, name: str) -> Wire | None:
    """What went into a bundle by a name; None where nothing did."""
    todo, seen = [site], set[str]()
    while todo:
        at = todo.pop(0)
        own = at.wire(name)
        if own is not None:
            return own
        seen.add(at.node.id)
        bases: list[Site] = []
        for base in CARRIED[at.node.type]:
            before = at.giver(at.wire(base))
            if before is None:
                if _from_outside(at.wire(base)):
                    raise Unfit("Its bundle comes from outside of the subgraph: lead what is in it there by itself.")
            elif before.node.type not in CARRIED:
                raise Unfit(f"What is in the bundle of {before.node.type} is not known here.")
            elif before.node.id not in seen:
                bases.append(before)
        todo = bases + todo
    return None


def _from_outside(wire: Wire | None) -> bool:
    return wire is not None and wire.node == OUTSIDE


_BASIC = ("model", "clip", "vae", "positive", "negative")
_DETAILER = (*_BASIC, "bbox_detector", "sam_model_opt", "segm_detector_opt", "detailer_hook")
_CONTEXT = (*_BASIC, "latent", "images", "seed")
_BIG = (
    *(*_CONTEXT, "steps", "step_refiner", "cfg", "ckpt_name", "sampler", "scheduler", "clip_width", "clip_height"),
    *("text_pos_g", "text_pos_l", "text_neg_g", "text_neg_l", "mask", "control_net"),
)
_CONTEXTS = tuple(f"ctx_0{number}" for number in range(1, 6))
BUNDLES: dict[str, Bundle] = {
    "ToBasicPipe": Bundle((), ("",)),
    "EditBasicPipe": Bundle(("basic_pipe",), ("",)),
    "FromBasicPipe": Bundle(("basic_pipe",), _BASIC),
    "FromBasicPipe_v2": Bundle(("basic_pipe",), ("", *_BASIC)),
    "ToDetailerPipe": Bundle((), ("",)),
    "BasicPipeToDetailerPipe": Bundle(("basic_pipe",), ("",)),
    "EditDetailerPipe": Bundle(("detailer_pipe",), ("",)),
    "FromDetailerPipe": Bundle(("detailer_pipe",), _DETAILER),
    "DetailerPipeToBasicPipe": Bundle(("detailer_pipe",), ("",)),
    "Bus Node": Bundle(("bus",), ("", *_BASIC)),
    "Context (rgthree)": Bundle(("base_ctx",), ("", *_CONTEXT)),
    "Context Big (rgthree)": Bundle(("base_ctx",), ("", *_BIG)),
    "Context Switch (rgthree)": Bundle(_CONTEXTS, ("", *_CONTEXT)),
    "Context Switch Big (rgthree)": Bundle(_CONTEXTS, ("", *_BIG)),
    "Context Merge (rgthree)": Bundle(_CONTEXTS[::-1], ("", *_CONTEXT)),
    "Context Merge Big (rgthree)": Bundle(_CONTEXTS[::-1], ("", *_BIG)),
}
CARRIED: dict[str, tuple[str, ...]] = {
    **{name: bundle.bases for name, bundle in BUNDLES.items()},
    **{"FaceDetailer": (), "FaceDetailerPipe": ("detailer_pipe",), "ImpactKSamplerBasicPipe": ("basic_pipe",)},
    "ImpactKSamplerAdvancedBasicPipe": ("basic_pipe",),
}
"""What brings a bundle to each node that gives or takes one."""
RULES: dict[str, Rule] = {**BUNDLES}
