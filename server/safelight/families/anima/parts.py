"""The parts of Anima beside those of all."""

from __future__ import annotations

CONDITIONER, TOKENS = "text_conditioner", "t5_tokenizer"
