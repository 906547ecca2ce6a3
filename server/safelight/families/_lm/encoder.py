"""A language model from a model's folder, and prompts through it.

Its hidden layers are what a denoiser reads; nothing is generated. Of models that also see, the half that reads text is
loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from safelight.families.base import unsupported
from safelight.sdk import Problem, ProblemError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from safelight.families.base import Files

_PREFIXES = ("model.language_model.", "language_model.model.", "language_model.", "model.")
"""What programs put before the names of the half that reads text, the longest first."""
_OTHER_HALVES = ("lm_head.", "visual.", "vision_tower.", "multi_modal_projector.")
_READ = ("model.", "language_model.", "embed_tokens.", "layers.", "norm.")
"""How the names begin that are looked at: a head or eyes that lie beside are not read from the disk."""


@dataclass(frozen=True)
class Reading:
    """How a family has its language model read prompts.

    A prompt is put into `template` in the place of `{}`; where that is empty, it is a user's message in the chat
    template of the tokenizer, with `options`. Of that `length` tokens are read, and the first `skip` left out of what
    is handed on, which is the states behind `layers`, side by side or (`stacked`) one behind the other. `padded` fills
    up to `length`, for denoisers that were trained to see what lies behind a text. `ending` is read after that: then
    only what is text counts for the positions.
    """

    length: int
    layers: tuple[int, ...]
    template: str = ""
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    skip: int = 0
    padded: bool = False
    stacked: bool = False
    ending: str = ""

    def asked(self, tokenizer: Any, text: str) -> str:
        """What the language model is given to read.

        Raises:
            ProblemError: `model_incomplete`, for a tokenizer without a chat template where it is needed.
        """
        if self.template:
            return self.template.format(text)
        if not tokenizer.chat_template:
            message = "The tokenizer of this model has no chat template, which prompts are put into."
            hint = "Get the whole model: chat_template.jinja, or a tokenizer_config.json that has it."
            raise ProblemError(Problem(code="model_incomplete", message=message, hint=hint, port="encoder"))
        messages = [{"role": "user", "content": text}]
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **self.options)


class Encoded(NamedTuple):
    """`embeddings` (1, tokens, channels), or (1, tokens, layers, channels) where they are stacked, and `mask`
    (1, tokens), 1 where text is, float32 on the CPU; `cut` tokens of the text did not fit in."""

    embeddings: Tensor
    mask: Tensor
    cut: int


def encoder(files: Files, part: str) -> Any:
    """The half of a language model that reads text.

    Raises:
        ProblemError: `unsupported_family`, when the library knows no such model.
    """
    import torch
    from transformers import AutoConfig, AutoModel

    config = files.config(part)
    try:
        known: Any = AutoConfig.for_model(**config).get_text_config()
    except (KeyError, TypeError, ValueError):
        kind = config.get("model_type") or "another model"
        raise unsupported(files.name, f"reads prompts with {kind} in {part}") from None

    def make() -> Any:
        module: Any = AutoModel.from_config(known)
        # It computes its frequencies from the configuration, so no file has them.
        with torch.device("cpu"):
            module.rotary_emb = type(module.rotary_emb)(module.config)
        return module

    given = {_plain(name): tensor for name, tensor in files.tensors(part, _READ).items()}
    module = files.filled(make, {name: tensor for name, tensor in given.items() if name})
    module.rotary_emb.to(files.device)
    return module


def _plain(name: str) -> str:
    """A tensor's name in the half that reads text; empty for one of another half."""
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            rest = name.removeprefix(prefix)
            return "" if rest.startswith(_OTHER_HALVES) else rest
    return name


def tokenizer(files: Files, part: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(files.folder(part), local_files_only=True)


def encode(tokenizer: Any, encoder: Any, text: str, reading: Reading, device: torch.device) -> Encoded:
    """A prompt as a denoiser takes it."""
    import torch

    ids = tokenizer(reading.asked(tokenizer, text), truncation=False, verbose=False).input_ids
    cut = max(0, len(ids) - reading.length)
    ids = ids[: reading.length]
    real = len(ids)
    if reading.padded:
        ids = ids + [tokenizer.pad_token_id] * (reading.length - real)
    mask = torch.zeros(1, len(ids), dtype=torch.long)
    mask[:, :real] = 1
    places: dict[str, Any] = {}
    if reading.ending:
        last = tokenizer(reading.ending).input_ids
        ids = ids + last
        mask = torch.cat([mask, torch.ones(1, len(last), dtype=torch.long)], dim=1)
        places["position_ids"] = (mask.cumsum(dim=-1) - 1).clamp(min=0).expand(3, -1, -1).to(device)
    found = encoder(
        input_ids=torch.tensor([ids], device=device),
        attention_mask=mask.to(device),
        output_hidden_states=True,
        use_cache=False,
        **places,
    ).hidden_states
    layers = [found[layer].to("cpu", torch.float32)[:, reading.skip :] for layer in reading.layers]
    embeddings = torch.stack(layers, dim=2) if reading.stacked else torch.cat(layers, dim=-1)
    return Encoded(embeddings, mask[:, reading.skip :].float(), cut)
