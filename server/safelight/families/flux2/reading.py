"""How Flux.2 Klein has Qwen3 read prompts."""

from __future__ import annotations

from safelight.families._lm.encoder import Reading

READING = Reading(length=512, layers=(9, 18, 27), options={"enable_thinking": False}, padded=True)
