"""T5 from a model's folder, and prompts through it: https://arxiv.org/abs/1910.10683."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from safelight.families._original.names import count, shapes_of
from safelight.families.base import unsupported
from safelight.sdk.problem import Problem, ProblemError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from safelight.families.base import Files
    from safelight.families.files import Vocabulary
    from safelight.sdk.prompt_syntax import Piece


_T5S = "tokenizer_2 of a Flux.1, or tokenizer_3 of a Stable Diffusion 3"


class Encoded(NamedTuple):
    """`embeddings` (1, length, channels) float32 on the CPU, of which the first `said` are of the text; `cut` tokens of
    it did not fit in."""

    embeddings: Tensor
    cut: int
    said: int


def encoder(files: Files, part: str) -> Any:
    """The encoder half of a T5, or of a UMT5 (https://arxiv.org/abs/2304.09151), in a model's folder.

    Raises:
        ProblemError: `unsupported_family`, when it is another model.
    """
    config = files.config(part)
    if config.get("model_type") not in ("t5", "umt5"):
        raise unsupported(files.name, f"reads prompts with {config.get('model_type') or 'another model'} in {part}")
    return _with_words(files.build(part, lambda: _empty(config)))


def original(files: Files, part: str, prefix: str, kind: str = "t5") -> Any:
    """The encoder in a single file, whose names begin so: its configuration is what its shapes say."""
    shapes = shapes_of(files.header(part), prefix)
    layer = "encoder.block.0.layer."
    words = next(name for name in ("shared.weight", "encoder.embed_tokens.weight") if name in shapes)
    heads = shapes[f"{layer}0.SelfAttention.relative_attention_bias.weight"][1]
    gated = f"{layer}1.DenseReluDense.wi_0.weight" in shapes
    inner = shapes[f"{layer}1.DenseReluDense.{'wi_0' if gated else 'wi'}.weight"][0]
    config = {
        "model_type": kind,
        "vocab_size": shapes[words][0],
        "d_model": shapes[words][1],
        "d_kv": shapes[f"{layer}0.SelfAttention.q.weight"][0] // heads,
        "d_ff": inner,
        "num_layers": count(shapes, "encoder.block."),
        "num_heads": heads,
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
    """The tokenizer of a model's folder."""
    # What transformers 5 calls T5Tokenizer, and 4 so: there the other one wants sentencepiece.
    from transformers import T5TokenizerFast  # pyright: ignore[reportAttributeAccessIssue]

    return T5TokenizerFast.from_pretrained(files.folder(part), local_files_only=True)


def original_tokenizer(files: Files, part: str, kind: str = "t5") -> Any:
    """The tokenizer inside the file of a T5, or of the folder `tokenizer` that lies beside it.

    Raises:
        ProblemError: `tokenizer_missing`, when there is neither, or what lies there is of another model.
    """
    vocabulary = files.vocabulary(part)
    if vocabulary is not None:
        return _unigram(vocabulary)
    there_is = "tokenizer" in files.parts
    if there_is and _is_of_pieces(files.folder("tokenizer") / "tokenizer.json"):
        return tokenizer(files, "tokenizer")
    called, where = ("UMT5", "tokenizer of a Wan 2.1") if kind == "umt5" else ("T5", _T5S)
    there = "that beside it is of another model" if there_is else "there is none in it or beside it"
    message = f"{files.name} holds a {called}, which needs its tokenizer, and {there}."
    hint = (
        f"Put the folder {where} repository beside the file, called {Path(files.name).stem}_tokenizer: its "
        "tokenizer.json is all that is read. A GGUF file has its own."
    )
    raise ProblemError(Problem(code="tokenizer_missing", message=message, hint=hint, value=files.name))


def _is_of_pieces(file: Path) -> bool:
    try:
        return json.loads(file.read_bytes())["model"]["type"] == "Unigram"
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _unigram(vocabulary: Vocabulary) -> Any:
    """Of the pieces that the training of a T5 left: Kudo and Richardson 2018, https://arxiv.org/abs/1808.06226."""
    from tokenizers import Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import Unigram
    from transformers import PreTrainedTokenizerFast

    pieces = list(zip(vocabulary.tokens, vocabulary.scores, strict=True))
    unknown = vocabulary.tokens.index("<unk>")
    made = Tokenizer(Unigram(pieces, unknown, byte_fallback="<0x00>" in vocabulary.tokens))
    if vocabulary.charsmap:
        made.normalizer = normalizers.Precompiled(vocabulary.charsmap)
    space = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), space])
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>", unk_token="<unk>", pad_token="<pad>")


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
    return Encoded(found, cut, len(tokens) + 1)
