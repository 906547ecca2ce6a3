"""The transformer of Z-Image: it takes prompts of any length as lists, and says the flow with its sign turned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safelight.families._modular.denoiser import Work
from safelight.families._modular.guided import GuidedDenoiser

if TYPE_CHECKING:
    from safelight.sdk import Prompt


class ZImageDenoiser(GuidedDenoiser):
    @property
    def widths(self) -> Mapping[str, int]:
        return {"embeddings": self.transformer.config.cap_feat_dim}

    def said(self, work: Work, prompt: Prompt) -> dict[str, Any]:
        return {name: list(found.unbind()) for name, found in super().said(work, prompt).items()}
