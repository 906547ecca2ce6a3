"""T5 from a model's folder, and prompts through it: https://arxiv.org/abs/1910.10683."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from safelight.families._original.names import count, shapes_of
from safelight.families.base import unsupported
from safelight.sdk.problem import Problem, ProblemError

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
    config = files.config(part)
    if config.get("model_type") not in ("t5", "umt5"):
        raise unsupported(files.name, f"reads prompts with {config.get('model_type') or 'another model'} in {part}")
    return _with_words(files.build(part, lambda: _empty(config)))


def original(files: Files, part: str, prefix: str) -> Any:
    """The encoder in a single file, whose names begin so: its configuration is what its shapes say."""
    shapes = shapes_of(files.header(part), prefix)
    layer = "encoder.block.0.layer."
    words = next(name for name in ("shared.weight", "encoder.embed_tokens.weight") if name in shapes)
    buckets, heads = shapes[f"{layer}0.SelfAttention.relative_attention_bias.weight"]
    gated = f"{layer}1.DenseReluDense.wi_0.weight" in shapes
    inner = shapes[f"{layer}1.DenseReluDense.{'wi_0' if gated else 'wi'}.weight"][0]
    config = {
        "vocab_size": shapes[words][0],
        "d_model": shapes[words][1],
        "d_kv": shapes[f"{layer}0.SelfAttention.q.weight"][0] // heads,
        "d_ff": inner,
        "num_layers": count(shapes, "encoder.block."),
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
        "feed_forward_proj": "gated-gelu" if gated else "relu",
        "is_encoder_decoder": False,
    }
    given = {name.removeprefix(prefix): tensor for name, tensor in files.tensors(part, prefix).items()}
    given.setdefault("shared.weight", given.get("encoder.embed_tokens.weight"))
    return _with_words(files.filled(lambda: _empty(config), given))


def _empty(config: dict[str, Any]) -> Any:
    import transformers

    name = "UMT5" if config.get("model_type") == "umt5" else "T5"
    module = getattr(transformers, f"{name}EncoderModel")(getattr(transformers, f"{name}Config").from_dict(config))
    # One table of tokens under two names: files have it as `shared`, some a second time.
    module.encoder.embed_tokens = None
    return module


def _with_words(module: Any) -> Any:
    module.encoder.set_input_embeddings(module.shared)
    return module


def tokenizer(files: Files, part: str) -> Any:
    """The tokenizer of a model's folder, or in the folder `tokenizer` that lies beside a single file.

    Raises:
        ProblemError: `tokenizer_missing`, when none lies beside the file.
    """
    if part not in files.parts:
        message = f"{files.name} holds a T5, which needs its tokenizer, and there is none beside it."
        hint = (
            "Put the folder tokenizer_2 of a Flux.1 repository, or tokenizer_3 of a Stable Diffusion 3 one, beside the "
            "file: its tokenizer.json is all that is read."
        )
        raise ProblemError(Problem(code="tokenizer_missing", message=message, hint=hint, value=files.name))
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
