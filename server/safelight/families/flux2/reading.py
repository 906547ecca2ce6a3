"""How Flux.2 has its language models read prompts: Klein a Qwen3, dev a Mistral Small 3."""

from __future__ import annotations

from safelight.families._lm.encoder import Reading

READING = Reading(length=512, layers=(9, 18, 27), options={"enable_thinking": False}, padded=True)
DEV_READING = Reading(
    length=512,
    layers=(10, 20, 30),
    options={"add_generation_prompt": False},
    padded=True,
    system="You are an AI that reasons about image descriptions. You give structured responses focusing on object "
    "relationships, object\nattribution and actions without speculation.",
)
