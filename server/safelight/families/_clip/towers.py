"""CLIP text encoders and their tokenizers, from folders and from files that hold weights alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safelight.families._original.text import clip_prefix
from safelight.sdk.leased import TEXT_ENCODERS
from safelight.sdk.problem import Problem, ProblemError

from .vocabulary import CLIP_VOCABULARY, clip_tokenizer

if TYPE_CHECKING:
    from safelight.families.base import Files

_CLIP = {"vocab_size": CLIP_VOCABULARY, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
CLIP_L: Mapping[str, Any] = {
    **_CLIP,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
    "hidden_act": "quick_gelu",
}
CLIP_H: Mapping[str, Any] = {
    **_CLIP,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 23,
    "num_attention_heads": 16,
    "projection_dim": 512,
    "hidden_act": "gelu",
}
CLIP_BIG_G: Mapping[str, Any] = {
    **_CLIP,
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "projection_dim": 1280,
    "hidden_act": "gelu",
}


@dataclass(frozen=True)
class Tower:
    """A text encoder of a family: its part and that of its tokenizer, and how it stands in single files.

    In a whole model's file its names begin with `prefix`; `sort` is which one it is in a file of its own (see
    `_original.text`). `config` is that of the release, `pad` what texts are filled up with: those trained by OpenAI
    with their end mark, those by LAION with the token 0, "!". `projected` towers give a pooled embedding as well.
    """

    part: str
    tokenizer: str
    prefix: str
    config: Mapping[str, Any]
    pad: str = "<|endoftext|>"
    projected: bool = False
    sort: str = "clip_l"


def tower(files: Files, part: str) -> Any:
    """The text encoder of a model's folder.

    Raises:
        ProblemError: `unsupported_family`, when it is none of CLIP.
    """
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = files.config(part)
    classes = {cls.__name__: cls for cls in (CLIPTextModel, CLIPTextModelWithProjection)}
    cls = classes.get((config.get("architectures") or [""])[0])
    if cls is None:
        message = f"The {part} of {files.name!r} is not supported: {config.get('architectures')}."
        raise ProblemError(
            Problem(code="unsupported_family", message=message, hint="CLIP text encoders are.", value=files.name)
        )
    return files.build(part, lambda: cls(CLIPTextConfig.from_dict(config)))


def tokenizer(files: Files, part: str) -> Any:
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(files.folder(part), local_files_only=True)


def original_tower(files: Files, kind: Tower) -> Any:
    """The text encoder inside a whole model's file, or in one of its own; in names of transformers or of open_clip.

    Raises:
        ProblemError: `model_incomplete`, when it is not there.
    """
    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    cls = CLIPTextModelWithProjection if kind.projected else CLIPTextModel

    def make() -> Any:
        return cls(CLIPTextConfig(**kind.config))

    part, prefix = place(files, kind.sort, kind.prefix)
    found = clip_prefix(files.header(part), prefix)
    if found is None:
        raise lacks(files, TEXT_ENCODERS[kind.sort])
    start, open_clip = found
    given = files.tensors(part, start)
    if open_clip:
        return files.filled(make, convert_open_clip_checkpoint(files.empty(make), given, prefix=start))
    return files.filled(make, {name.removeprefix(start): tensor for name, tensor in given.items()})


def place(files: Files, sort: str, prefix: str) -> tuple[str, str]:
    """Where a text encoder stands: its part, and what its names begin with in a whole model's file."""
    return (sort, "") if files.kind == "text_encoder" else ("", prefix)


def lacks(files: Files, what: str) -> ProblemError:
    message = f"{files.name} holds no text encoder {what}."
    hint = "Load text encoders by themselves, and connect those."
    return ProblemError(Problem(code="model_incomplete", message=message, hint=hint, value=files.name))


def original_tokenizer(kind: Tower) -> Any:
    return clip_tokenizer(kind.pad)
