"""A language model from a model's folder, and prompts through it.

Its hidden layers are what a denoiser reads; nothing is generated. Of models that also see, the half that reads text is
loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from safelight.families._original.names import count, shapes_of
from safelight.families.base import unsupported
from safelight.sdk import Problem, ProblemError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from safelight.families.base import Files
    from safelight.families.files import Vocabulary

_PREFIXES = ("model.language_model.", "language_model.model.", "language_model.", "model.")
"""What programs put before the names of the half that reads text, the longest first."""
_MARK = "<|im_start|>"
QWEN3_THETA = 1000000.0
_OTHER_HALVES = ("lm_head.", "visual.", "vision_tower.", "multi_modal_projector.")
_READ = ("model.", "language_model.", "embed_tokens.", "layers.", "norm.")
"""How the names begin that are looked at: a head or eyes that lie beside are not read from the disk."""


@dataclass(frozen=True)
class Reading:
    """How a family has its language model read prompts.

    A prompt is put into `template` in the place of `{}`; where that is empty, it is a user's message in the chat
    template of the tokenizer, with `options`. Of that `length` tokens are read, and the first `skip` left out of what
    is handed on, which is the states behind `layers`, side by side or (`stacked`) one behind the other. `padded` fills
    up to `length` on the tokenizer's side, for denoisers that were trained to see what lies beside a text; `multiple`
    fills up on the right to a multiple of so many tokens, all of whose fillers stand at the place 1. `ending` is
    read after that: then only what is text counts for the positions. `system` is a message in front of the user's;
    `pieces` says that messages are pieces without one. `raw` takes the states behind the last layer as they are, not
    through the norm that follows.
    """

    length: int
    layers: tuple[int, ...]
    template: str = ""
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    skip: int = 0
    padded: bool = False
    multiple: int = 0
    stacked: bool = False
    ending: str = ""
    system: str = ""
    pieces: bool = False
    raw: bool = False

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
        messages: list[dict[str, Any]] = [{"role": "user", "content": text}]
        if self.system or self.pieces:
            # Those that take such a message want the pieces of a message by what they are.
            said = (("system", self.system), ("user", text))[0 if self.system else 1 :]
            messages = [{"role": role, "content": [{"type": "text", "text": words}]} for role, words in said]
        options = {"add_generation_prompt": True, **self.options}
        return tokenizer.apply_chat_template(messages, tokenize=False, **options)


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
    from transformers import AutoConfig

    config = files.config(part)
    try:
        known: Any = AutoConfig.for_model(**config).get_text_config()
    except (KeyError, TypeError, ValueError):
        kind = config.get("model_type") or "another model"
        raise unsupported(files.name, f"reads prompts with {kind} in {part}") from None

    return _filled(files, part, known)


def original(files: Files, part: str, prefix: str) -> Any:
    """The Qwen3 in a single file, whose names begin so: its configuration is what its shapes say."""
    from transformers import Qwen3Config

    shapes = shapes_of(files.header(part), prefix)
    first = "layers.0."
    head = shapes[f"{first}self_attn.q_norm.weight"][0]
    config = Qwen3Config(
        vocab_size=shapes["embed_tokens.weight"][0],
        hidden_size=shapes["embed_tokens.weight"][1],
        intermediate_size=shapes[f"{first}mlp.gate_proj.weight"][0],
        num_hidden_layers=count(shapes, "layers."),
        num_attention_heads=shapes[f"{first}self_attn.q_proj.weight"][0] // head,
        num_key_value_heads=shapes[f"{first}self_attn.k_proj.weight"][0] // head,
        head_dim=head,
        max_position_embeddings=40960,
        rope_parameters={"rope_type": "default", "rope_theta": QWEN3_THETA},
    )
    return _filled(files, part, config, prefix)


def _filled(files: Files, part: str, known: Any, prefix: str = "") -> Any:
    import torch
    from transformers import AutoModel

    def make() -> Any:
        module: Any = AutoModel.from_config(known)
        # It computes its frequencies from the configuration, so no file has them.
        with torch.device("cpu"):
            module.rotary_emb = type(module.rotary_emb)(module.config)
            words = module.embed_tokens
            if hasattr(words, "embed_scale"):  # that of a Gemma, which no file has either
                words.embed_scale = torch.tensor(words.scalar_embed_scale)
        return module

    read = tuple(prefix + name for name in _READ)
    given = {_plain(name.removeprefix(prefix)): tensor for name, tensor in files.tensors(part, read).items()}
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


def original_tokenizer(files: Files, part: str) -> Any:
    """The tokenizer inside the file of a language model, or of the folder `tokenizer` that lies beside it.

    Raises:
        ProblemError: `tokenizer_missing`, when there is neither, or what lies there is of another model.
    """
    vocabulary = files.vocabulary(part)
    if vocabulary is not None and vocabulary.merges:
        return _byte_pairs(vocabulary)
    found = tokenizer(files, "tokenizer") if "tokenizer" in files.parts else None
    if found is not None and _MARK in found.get_vocab():
        return found
    there = "that beside it is of another model" if found is not None else "there is none in it or beside it"
    message = f"{files.name} holds a Qwen3, which needs its tokenizer, and {there}."
    hint = (
        f"Put the folder tokenizer of a Z-Image repository beside the file, called {Path(files.name).stem}_tokenizer. "
        "A GGUF file has its own."
    )
    raise ProblemError(Problem(code="tokenizer_missing", message=message, hint=hint, value=files.name))


def _byte_pairs(vocabulary: Vocabulary) -> Any:
    from transformers import Qwen2Tokenizer

    tokens = {token: number for number, token in enumerate(vocabulary.tokens)}
    merges = [tuple(merge.split(" ")) for merge in vocabulary.merges]
    made: Any = Qwen2Tokenizer(vocab=tokens, merges=merges)  # pyright: ignore[reportArgumentType]
    # A token is found in a text as a whole when it is one of these: marks of a chat among them.
    made.add_tokens(list(vocabulary.marks), special_tokens=True)
    made.chat_template = vocabulary.template or None
    return made


def encode(tokenizer: Any, encoder: Any, text: str, reading: Reading, device: torch.device) -> Encoded:
    """A prompt as a denoiser takes it."""
    import torch

    ids = tokenizer(reading.asked(tokenizer, text), truncation=False, verbose=False).input_ids
    if not ids:  # an empty prompt, of a tokenizer that puts nothing before it
        ids = [tokenizer.bos_token_id or 0]
    cut = max(0, len(ids) - reading.length)
    ids = ids[: reading.length]
    real = len(ids)
    short = reading.length - real if reading.padded else min(-real % (reading.multiple or 1), reading.length - real)
    filling = [tokenizer.pad_token_id] * short
    left = tokenizer.padding_side == "left" and not reading.multiple
    ids = filling + ids if left else ids + filling
    mask = torch.zeros(1, len(ids), dtype=torch.long)
    mask[:, len(filling) if left else 0 :][:, :real] = 1
    places: dict[str, Any] = {}
    if reading.ending:
        last = tokenizer(reading.ending).input_ids
        ids = ids + last
        mask = torch.cat([mask, torch.ones(1, len(last), dtype=torch.long)], dim=1)
        places["position_ids"] = (mask.cumsum(dim=-1) - 1).clamp(min=0).expand(3, -1, -1).to(device)
    if reading.multiple:
        stands = torch.arange(len(ids)).where(mask[0] == 1, torch.tensor(1))
        places["position_ids"] = stands.expand(3, 1, -1).to(device)
    with _normed(encoder, not reading.raw):
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


@contextmanager
def _normed(encoder: Any, through: bool) -> Iterator[None]:
    """Within it, the states behind the last layer go through the norm that follows, or pass it by."""
    if through:
        yield
        return
    handle = encoder.norm.register_forward_hook(lambda _, given, _made: given[0])
    try:
        yield
    finally:
        handle.remove()
