"""Denoisers that are guided against a negative prompt, by a guider of diffusers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from safelight.sdk import Context

from .denoiser import ModularDenoiser, Work
from .guiders import guider

if TYPE_CHECKING:
    from safelight.families.base import Held
    from safelight.sdk import Prompt
    from safelight.sdk.leased import Presets, SampleRequest

    from .family import ModularFamily


class GuidedDenoiser(ModularDenoiser):
    """`reads` are the inputs of the blocks that come from a prompt, each with the name of the prompt's tensor; those
    of the negative prompt have `negative_` before them. A model that was `distilled` to do without guidance takes none.
    """

    guiders: tuple[str, ...] = ("cfg", "apg", "tcfg", "cfg_zero")
    reads: ClassVar[Mapping[str, str]] = {"prompt_embeds": "embeddings"}

    def __init__(self, family: ModularFamily, held: Held, presets: Presets, *, distilled: bool = False) -> None:
        super().__init__(family, held, presets)
        self.distilled = distilled
        if distilled:
            self.guiders = ()

    def guided(self, request: SampleRequest, ctx: Context) -> bool:
        if self.distilled:
            self.tell_undirected(request, ctx)
            return False
        return request.guidance > 1

    def components(self, work: Work) -> dict[str, Any]:
        return {"guider": guider(work.request, compared=work.negative is not None)}

    def inputs(self, work: Work) -> dict[str, Any]:
        given = self.said(work, work.positive)
        if work.negative is not None:
            given |= {f"negative_{name}": found for name, found in self.said(work, work.negative).items()}
        return given

    def said(self, work: Work, prompt: Prompt) -> dict[str, Any]:
        """What the blocks take of a prompt."""
        return {name: work.text(prompt, tensor) for name, tensor in self.reads.items()}
