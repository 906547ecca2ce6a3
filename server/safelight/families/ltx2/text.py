"""The text encoder of LTX-2: all layers of a Gemma, and what the connectors make of them for video and sound."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from safelight.families._lm.encoder import Reading
from safelight.families._modular.text import LanguageText
from safelight.sdk import Conditioning, Context, Prompt

from .parts import CONNECTORS

if TYPE_CHECKING:
    from safelight.families._modular.family import ModularFamily
    from safelight.families.base import Held

TOKENS = 1024


class Ltx2Text(LanguageText):
    def __init__(self, family: ModularFamily, held: Held) -> None:
        layers = tuple(range(held.modules["text_encoder"].config.num_hidden_layers + 1))
        super().__init__(family, held, Reading(TOKENS, layers, template="{}", padded=True, stacked=True))
        self.tokenizers[0].padding_side = "left"

    def encode(self, text: str, ctx: Context, *, clip_skip: int = 0) -> Conditioning:
        import torch

        made = super().encode(text.strip(), ctx, clip_skip=clip_skip)
        (prompt,) = made.prompts
        connectors = self.modules[CONNECTORS]
        states = prompt.embeddings.transpose(2, 3).flatten(2).to(self.device, connectors.dtype)
        with torch.no_grad():
            seen = connectors(states, prompt.tensors["mask"].long().to(self.device), padding_side="left")
        names = ("embeddings", "sound", "mask")
        tensors = {name: one.to("cpu", torch.float32) for name, one in zip(names, seen, strict=True)}
        for name in names:
            self.require_finite(tensors[name])
        return replace(made, prompts=(Prompt(tensors),))
