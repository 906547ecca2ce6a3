"""The text encoder of Qwen-Image 2.1: the states of Qwen3-VL before its last norm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safelight.families._lm.encoder import Reading
from safelight.families._modular.text import LanguageText
from safelight.sdk import Conditioning, Context

if TYPE_CHECKING:
    from safelight.families._modular.family import ModularFamily
    from safelight.families.base import Held

_SYSTEM = "<|im_start|>system\nComprehend and analyze the provided prompt.<|im_end|>\n"
_TEMPLATE = f"{_SYSTEM}<|im_start|>user\n{{}}<|im_end|>\n<|im_start|>assistant\n"
TOKENS = 4096


class QwenImage21Text(LanguageText):
    def __init__(self, family: ModularFamily, held: Held) -> None:
        skip = len(held.settings["tokenizers"][0](_SYSTEM).input_ids)
        reading = Reading(length=skip + TOKENS, layers=(-1,), template=_TEMPLATE, skip=skip, raw=True)
        super().__init__(family, held, reading)

    def encode(self, text: str, ctx: Context, *, clip_skip: int = 0) -> Conditioning:
        return super().encode(text or " ", ctx, clip_skip=clip_skip)
