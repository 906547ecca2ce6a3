"""Pipes and contexts: nodes that carry a model, its text encoder, its VAE, prompts and more over one wire. Here each
goes over its own: what comes out of a bundle is led back to what went in."""

from __future__ import annotations

from dataclasses import dataclass

from ..graph import OUTSIDE, Wire
from .base import Made, Out, Rule, Site, Unfit


@dataclass(frozen=True)
class Bundle:
    """`bases` are inputs that bring a bundle, the first that has what is asked for counts. `outputs` are the names of
    inputs by the slot that hands on what came into them; "" is the bundle itself."""

    bases: tuple[str, ...]
    outputs: tuple[str, ...]

    def __call__(self, site: Site) -> Made:
        if self.outputs and self.outputs[0] == "" and site.takes(0) and not set(site.takers()) <= _KNOWN:
            raise Unfit("What takes its bundle is not known here: lead each of its inputs there by itself.")
        return Made(
            {}, [_inside(site, name) if name and site.takes(slot) else None for slot, name in self._slots(site)]
        )

    def _slots(self, site: Site) -> list[tuple[int, str]]:
        given = len(site.node.outputs) or len(self.outputs)
        return list(enumerate(self.outputs[:given]))


def _inside(site: Site, name: str) -> Out:
    """What went into a bundle by a name; None where nothing did."""
    todo, seen = [site], set[str]()
    while todo:
        at = todo.pop(0)
        own = at.wire(name)
        if own is not None:
            return own
        seen.add(at.node.id)
        bases: list[Site] = []
        for base in BUNDLES[at.node.type].bases:
            before = at.giver(at.wire(base))
            if before is None:
                if _from_outside(at.wire(base)):
                    raise Unfit("Its bundle comes from outside of the subgraph: lead what is in it there by itself.")
            elif before.node.type not in BUNDLES:
                raise Unfit(f"What is in the bundle of {before.node.type} is not known here.")
            elif before.node.id not in seen:
                bases.append(before)
        todo = bases + todo
    return None


def _from_outside(wire: Wire | None) -> bool:
    return wire is not None and wire.node == OUTSIDE


_BASIC = ("model", "clip", "vae", "positive", "negative")
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
    "Bus Node": Bundle(("bus",), ("", *_BASIC)),
    "Context (rgthree)": Bundle(("base_ctx",), ("", *_CONTEXT)),
    "Context Big (rgthree)": Bundle(("base_ctx",), ("", *_BIG)),
    "Context Switch (rgthree)": Bundle(_CONTEXTS, ("", *_CONTEXT)),
    "Context Switch Big (rgthree)": Bundle(_CONTEXTS, ("", *_BIG)),
    "Context Merge (rgthree)": Bundle(_CONTEXTS[::-1], ("", *_CONTEXT)),
    "Context Merge Big (rgthree)": Bundle(_CONTEXTS[::-1], ("", *_BIG)),
}
_KNOWN = frozenset(BUNDLES)
RULES: dict[str, Rule] = {**BUNDLES}
