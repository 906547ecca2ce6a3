"""Qwen-Image Edit: what its kinds look at, and how they read an instruction with its images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safelight.families._lm import seeing
from safelight.families._lm.encoder import Reading
from safelight.families._modular.text import LanguageText
from safelight.sdk import Conditioning, Context, Prompt

if TYPE_CHECKING:
    from torch import Tensor

_SKIP = 64
"""Tokens in front of the instruction, which are left out of what the transformer sees."""
_TEMPLATE = (
    "<|im_start|>system\nDescribe the key features of the input image (color, shape, size, texture, objects, "
    "background), then explain how the user's text instruction should alter or modify the image. Generate a new image "
    "that meets the user's requirements while maintaining consistency with the original input where "
    "appropriate.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
READING = Reading(length=_SKIP + 1024, layers=(-1,), template=_TEMPLATE, skip=_SKIP)
_IMAGE = f"<|vision_start|>{seeing.MARK}<|vision_end|>"


@dataclass(frozen=True)
class Kind:
    """`most` is how many images it looks at (None: any number), `area` how many pixels of each its language model
    sees, `mark` what stands for an image in the instruction ({} is its number), `blocks` the class of its blocks."""

    most: int | None
    area: int
    mark: str
    blocks: str


EDIT = Kind(1, 1024 * 1024, _IMAGE, "QwenImageEditAutoBlocks")
PLUS = Kind(None, 384 * 384, f"Picture {{}}: {_IMAGE}", "QwenImageEditPlusAutoBlocks")
KINDS = {
    "QwenImageEditPipeline": EDIT,
    "QwenImageEditInpaintPipeline": EDIT,
    "QwenImageEditPlusPipeline": PLUS,
}
"""By the class of the pipeline; the weights alone do not tell."""


class EditText(LanguageText):
    """Reads instructions, and the images that they are about."""

    def __init__(self, family: Any, held: Any, kind: Kind) -> None:
        super().__init__(family, held, READING)
        self.images = kind.most
        self._kind = kind

    def encode_with(self, text: str, images: Sequence[Tensor], ctx: Context) -> Conditioning:
        """Images are (H, W, 3) in 0..1."""
        words = self.plain(text, ctx)
        marks = "".join(self._kind.mark.format(number) for number in range(1, len(images) + 1))
        tokenizer, processor = self.tokenizers
        found = seeing.encode(
            tokenizer,
            processor,
            self.modules["text_encoder"],
            self.reading.template.format(marks + words),
            images,
            self._kind.area,
            self.reading.skip,
            self.device,
        )
        self.require_finite(found.embeddings)
        return Conditioning((Prompt.of(found.embeddings, mask=found.mask),), family=self.family.id)
