"""T5 from a model's folder, and prompts through it: https://arxiv.org/abs/1910.10683."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from safelight.families.base import unsupported

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from safelight.families.base import Files
    from safelight.sdk.prompt_syntax import Piece


class Encoded(NamedTuple):
    """`embeddings` (1, length, channels) float32 on the CPU; `cut` tokens of the text did not fit in."""

    embeddings: Tensor
    cut: int


def encoder(files: Files, part: str) -> Any:
    """The encoder half of a T5, or of a UMT5 (https://arxiv.org/abs/2304.09151), in a model's folder.

    Raises:
        ProblemError: `unsupported_family`, when it is another model.
    """
    import transformers

    config = files.config(part)
    name = {"t5": "T5", "umt5": "UMT5"}.get(config.get("model_type", ""))
    if name is None:
        raise unsupported(files.name, f"reads prompts with {config.get('model_type') or 'another model'} in {part}")

    def make() -> Any:
        settings = getattr(transformers, f"{name}Config").from_dict(config)
        module = getattr(transformers, f"{name}EncoderModel")(settings)
        # One table of tokens under two names: files have it as `shared`, some a second time.
        module.encoder.embed_tokens = None
        return module

    module = files.build(part, make)
    module.encoder.set_input_embeddings(module.shared)
    return module


def tokenizer(files: Files, part: str) -> Any:
    # What transformers 5 calls T5Tokenizer, and 4 so: there the other one wants sentencepiece.
    from transformers import T5TokenizerFast  # pyright: ignore[reportAttributeAccessIssue]

    return T5TokenizerFast.from_pretrained(files.folder(part), local_files_only=True)


def encode(
    tokenizer: Any,
    encoder: Any,
    pieces: Sequence[Piece],
    length: int,
    device: torch.device,
    *,
    masked: bool = False,
) -> Encoded:
    """A prompt as `length` tokens: cut to that, or filled up.

    What lies behind the text is encoded with it, or, where the denoiser was trained so (`masked`), is not looked at and
    becomes zeros.

    Weights move a token's embedding away from, or towards, what the encoder gives at its place for an empty text.
    """
    import torch

    tokens: list[int] = []
    weights: list[float] = []
    for piece in pieces:
        ids = tokenizer(piece.text, add_special_tokens=False, truncation=False, verbose=False).input_ids
        tokens += ids
        weights += [piece.weight] * len(ids)
    cut = max(0, len(tokens) - (length - 1))
    tokens, weights = tokens[: length - 1], weights[: length - 1]
    weighted = any(weight != 1 for weight in weights)

    def row(ids: list[int]) -> list[int]:
        return ids + [tokenizer.eos_token_id] + [tokenizer.pad_token_id] * (length - 1 - len(ids))

    # The empty text is one more row of the same call.
    texts = [tokens] + [[]] * weighted
    rows = torch.tensor([row(ids) for ids in texts], device=device)
    if masked:
        ends = torch.tensor([len(ids) + 1 for ids in texts], device=device)
        mask = torch.arange(length, device=device) < ends[:, None]
        found = encoder(rows, mask.long())[0].to("cpu", torch.float32) * mask[..., None].cpu()
    else:
        found = encoder(rows)[0].to("cpu", torch.float32)
    if weighted:
        each = torch.ones(length)
        each[: len(weights)] = torch.tensor(weights)
        found = found[1:] + (found[:1] - found[1:]) * each[:, None]
    return Encoded(found, cut)
