"""Models of transformers that read images or texts: loaded whole, by the class that their configuration names.

Only classes of the installed transformers are made, and only safetensors are read: nothing in a folder runs as code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.sdk.problem import Problem, ProblemError

if TYPE_CHECKING:
    from .weights import Target

_ENDINGS = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel", "ForImageTextToText")
_OTHERS = ("CLIPModel", "SiglipModel", "Siglip2Model", "VisionEncoderDecoderModel", "BertModel", "MPNetModel")


def is_reader(architecture: str) -> bool:
    """Whether a class of transformers writes texts, or embeds images or texts, by its name."""
    return architecture.endswith(_ENDINGS) or architecture in _OTHERS


@dataclass(frozen=True)
class ReaderParts:
    """A model, and what prepares images and texts for it: a processor of both, or a tokenizer alone."""

    model: Any
    processor: Any
    name: str

    @property
    def tokenizer(self) -> Any:
        return getattr(self.processor, "tokenizer", self.processor)

    @property
    def sees(self) -> bool:
        """Whether it takes images."""
        return hasattr(self.processor, "image_processor")


def load_reader(
    root: Path, said: Mapping[str, Any], target: Target, fits: Callable[[str], bool] = is_reader
) -> ReaderParts:
    """The model of a folder with this configuration, on the device; `fits` says which classes may be made.

    Raises:
        ProblemError: `reader_unknown` when the installed transformers has no such class; `model_incomplete`.
    """
    import transformers as library

    transformers: Any = library
    made = str((said.get("architectures") or [""])[0])
    cls = getattr(transformers, made, None) if re.fullmatch(r"[A-Za-z0-9_]+", made) else None
    if not (isinstance(cls, type) and fits(made)):
        message = f"{root.name!r} is a {made}, which the installed transformers {transformers.__version__} lacks."
        hint = "Update transformers, if a newer one has it; code that lies in the folder is not run."
        raise ProblemError(Problem(code="reader_unknown", message=message, hint=hint, value=root.name))
    own = {"local_files_only": True, "trust_remote_code": False}
    try:
        model = cls.from_pretrained(str(root), use_safetensors=True, dtype=target.dtype, **own)
        processor = transformers.AutoProcessor.from_pretrained(str(root), **own)
        if made == "VisionEncoderDecoderModel" and not hasattr(processor, "image_processor"):
            # Older ones have both parts beside one another, and name no processor of them.
            images = transformers.AutoImageProcessor.from_pretrained(str(root), **own)
            texts = transformers.AutoTokenizer.from_pretrained(str(root), **own)
            processor = _Both(images, texts)
    except (OSError, ValueError, TypeError, KeyError, ImportError) as error:
        message = f"The model {root.name!r} does not load: {error}"
        hint = "Get its files again: configuration, weights as safetensors, tokenizer and processor."
        raise ProblemError(
            Problem(code="model_incomplete", message=message[:1000], hint=hint, value=root.name)
        ) from error
    return ReaderParts(model.eval().requires_grad_(False).to(target.device), processor, root.name)


class _Both:
    """An image processor and a tokenizer, called as one processor."""

    def __init__(self, image_processor: Any, tokenizer: Any) -> None:
        self.image_processor = image_processor
        self.tokenizer = tokenizer

    def __call__(self, images: Any = None, text: Any = None, **options: Any) -> Any:
        if images is not None:
            return self.image_processor(images, return_tensors=options.get("return_tensors"))
        return self.tokenizer(text, **options)

    def batch_decode(self, *given: Any, **options: Any) -> list[str]:
        return self.tokenizer.batch_decode(*given, **options)
