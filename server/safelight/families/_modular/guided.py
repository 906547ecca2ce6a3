"""Denoisers that are guided against a negative prompt, by a guider of diffusers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from safelight.sdk import Context

from .denoiser import ModularDenoiser, Work
from .guiders import guider

if TYPE_CHECKING:
    from safelight.sdk import Prompt
    from safelight.sdk.leased import SampleRequest


class GuidedDenoiser(ModularDenoiser):
    """`reads` are the inputs of the blocks that come from a prompt, each with the name of the prompt's tensor; those
    of the negative prompt have `negative_` before them."""

    guiders: tuple[str, ...] = ("cfg", "apg", "tcfg", "cfg_zero")
    reads: ClassVar[Mapping[str, str]] = {"prompt_embeds": "embeddings"}

    def guided(self, request: SampleRequest, ctx: Context) -> bool:
        del ctx
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
