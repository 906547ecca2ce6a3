"""The text encoders of HunyuanVideo 1.5: Qwen2.5-VL, and ByT5 for words in quotes, which are to be seen as written."""

from __future__ import annotations

import re
from dataclasses import replace

from safelight.diffusion.finite import require_finite
from safelight.families._lm.encoder import Reading
from safelight.families._modular.text import LanguageText
from safelight.sdk import Conditioning, Context, Prompt

_SYSTEM = "        ".join(
    (
        "You are a helpful assistant. Describe the video by detailing the following aspects: ",
        "1. The main content and theme of the video. ",
        "2. The color, shape, size, texture, quantity, text, and spatial relationships of the objects. ",
        "3. Actions, events, behaviors temporal relationships, physical movement changes of the objects. ",
        "4. background environment, light, style and atmosphere. ",
        "5. camera angles, movements, and transitions used in the video.",
    )
)
_TEMPLATE = f"<|im_start|>system\n{_SYSTEM}<|im_end|>\n<|im_start|>user\n{{}}<|im_end|>\n<|im_start|>assistant\n"
SKIP = 108
"""Tokens in front of the prompt, which the denoiser does not see."""
READING = Reading(length=1000 + SKIP, layers=(-3,), template=_TEMPLATE, skip=SKIP, padded=True)
BYTES = 256
_END, _FIRST = 1, 3
"""The numbers of ByT5: the end of a text, and the byte 0."""


class HunyuanText(LanguageText):
    def encode(self, text: str, ctx: Context, *, clip_skip: int = 0) -> Conditioning:
        import torch

        made = super().encode(text or " ", ctx, clip_skip=clip_skip)
        (prompt,) = made.prompts
        encoder = self.modules["text_encoder_2"]
        words = list(dict.fromkeys(re.findall(r'"(.*?)"', text)))
        found = torch.zeros(1, BYTES, encoder.config.d_model)
        mask = torch.zeros(1, BYTES)
        if any(words):
            written = ". ".join(f'Text "{word}"' for word in words) + ". "
            ids = [*(_FIRST + byte for byte in written.encode()[: BYTES - 1]), _END]
            mask[:, : len(ids)] = 1
            rows = torch.tensor([ids + [0] * (BYTES - len(ids))], device=self.device)
            found = encoder(input_ids=rows, attention_mask=mask.to(self.device))[0].to("cpu", torch.float32)
            require_finite(found, *self.not_finite)
        tensors = {**prompt.tensors, "glyphs": found, "glyph_mask": mask}
        return replace(made, prompts=(Prompt(tensors),))
