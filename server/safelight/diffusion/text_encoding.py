"""Prompts to embeddings: tokens in chunks, weights, and the hidden layer that a family's denoiser reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safelight.sdk import Problem, ProblemError
from safelight.sdk.prompt_syntax import Piece

from .embeddings import Vocabulary

if TYPE_CHECKING:
    import torch
    from torch import Tensor

WORD_END = "</w>"
"""How the tokens that end a word are written in CLIP's vocabulary."""


@dataclass(frozen=True)
class Chunk:
    """Tokens between the start and end marks of one pass through the encoder, with a weight each.

    Tokens below 0 are learned vectors (see `Vocabulary`).
    """

    tokens: tuple[int, ...]
    weights: tuple[float, ...]


def check_clip_skip(encoders: Sequence[Any], clip_skip: int) -> None:
    """Raises ProblemError `clip_skip_too_large` where an encoder has no layer left."""
    layers = min(encoder.config.num_hidden_layers for encoder in encoders)
    if clip_skip >= layers:
        raise ProblemError(
            Problem(
                code="clip_skip_too_large",
                message=f"The text encoder has {layers} layers, so {clip_skip} cannot be left out.",
                hint=f"Choose at most {layers - 1}.",
                port="clip_skip",
                value=clip_skip,
            )
        )


def split(tokenizer: Any, pieces: Sequence[Piece], learned: Vocabulary) -> list[Chunk]:
    """Tokens in as many chunks as they need. A chunk ends at a BREAK, or at the last word that fits."""
    room = tokenizer.model_max_length - 2
    done: list[Chunk] = []
    tokens: list[int] = []
    weights: list[float] = []

    def close(end: int) -> None:
        done.append(Chunk(tuple(tokens[:end]), tuple(weights[:end])))
        del tokens[:end], weights[:end]

    for piece in pieces:
        if piece.starts_chunk:
            close(len(tokens))
        if piece.embedding:
            ids = learned.tokens(piece.embedding)
        else:
            ids = tokenizer(piece.text, add_special_tokens=False, truncation=False, verbose=False).input_ids
        tokens += ids
        weights += [piece.weight] * len(ids)
        while len(tokens) > room:
            close(_last_word(tokenizer, tokens[:room], learned))
    close(len(tokens))
    return done


def _last_word(tokenizer: Any, tokens: Sequence[int], learned: Vocabulary) -> int:
    """How many of the tokens end with a whole word or embedding; all, when there is but one."""

    def ends(token: int) -> bool:
        return learned.ends_word(token) if token < 0 else tokenizer.convert_ids_to_tokens(token).endswith(WORD_END)

    return next((end for end in range(len(tokens), 0, -1) if ends(tokens[end - 1])), len(tokens))


def encode(
    tokenizers: Sequence[Any],
    encoders: Sequence[Any],
    pieces: Sequence[Piece],
    learned: Sequence[Mapping[str, Tensor]],
    layer: int,
    skip: int,
    device: torch.device,
) -> tuple[Tensor, Tensor | None]:
    """Embeddings (1, tokens, channels) and, where an encoder gives them, pooled embeddings (1, channels), float32.

    Several encoders stand beside each other in the channels of both. Weights move a token's embedding away from, or
    towards, what the encoder gives at its place for an empty text: 0 is as if nothing were said, 1 changes nothing.
    `learned` are the vectors of the embeddings that the pieces name, for each encoder. `layer` is the hidden layer that
    the denoiser was trained on, counted from the end, or 0 for the normalised output of the last one; `skip` leaves out
    as many more.
    """
    import torch

    vocabularies = [Vocabulary(vectors) for vectors in learned]
    split_up = [split(tokenizer, pieces, words) for tokenizer, words in zip(tokenizers, vocabularies, strict=True)]
    count = max(len(chunks) for chunks in split_up)
    parts: list[Tensor] = []
    summaries: list[Tensor] = []
    for tokenizer, encoder, words, found in zip(tokenizers, encoders, vocabularies, split_up, strict=True):
        chunks = found + [Chunk((), ())] * (count - len(found))
        weighted = any(weight != 1 for chunk in chunks for weight in chunk.weights)
        # The empty text is one more row of the same call.
        ids = torch.tensor([_row(tokenizer, chunk) for chunk in chunks + [Chunk((), ())] * weighted])
        # The stand-in must not be the token that ends a text: encoders look for that one.
        with words.placed(encoder, ids, tokenizer.bos_token_id) as tokens:
            hidden, summary = _hidden(encoder, tokens.to(device), tokenizer, layer, skip)
        hidden = hidden.to("cpu", torch.float32)
        if weighted:
            hidden = _weigh(hidden[:-1], hidden[-1:], chunks)
        parts.append(hidden.reshape(1, -1, hidden.shape[-1]))
        if summary is not None:
            summaries.append(summary[:1].to("cpu", torch.float32))
    tokens = max(part.shape[1] for part in parts)
    assert all(part.shape[1] == tokens for part in parts)
    return torch.cat(parts, dim=-1), torch.cat(summaries, dim=-1) if summaries else None


def _row(tokenizer: Any, chunk: Chunk) -> list[int]:
    row = [tokenizer.bos_token_id, *chunk.tokens, tokenizer.eos_token_id]
    return row + [tokenizer.pad_token_id] * (tokenizer.model_max_length - len(row))


def _hidden(encoder: Any, ids: Tensor, tokenizer: Any, layer: int, skip: int) -> tuple[Tensor, Tensor | None]:
    """The layer that the denoiser reads, and the pooled output of an encoder with a projection."""
    mask = None
    if getattr(encoder.config, "use_attention_mask", False):
        first_end = (ids == tokenizer.eos_token_id).int().argmax(dim=1, keepdim=True)
        mask = (ids.new_ones(ids.shape).cumsum(dim=1) - 1 <= first_end).long()
    deep = skip > 0 or layer != 0
    found = encoder(ids, attention_mask=mask, output_hidden_states=deep)
    summary = getattr(found, "text_embeds", None)
    if not deep:
        return found.last_hidden_state, summary
    if layer:
        return found.hidden_states[layer - skip], summary
    # The layer was trained to be read through the last norm, wherever in the model that lies.
    norm = getattr(encoder, "text_model", encoder).final_layer_norm
    return norm(found.hidden_states[-1 - skip]), summary


def _weigh(hidden: Tensor, empty: Tensor, chunks: Sequence[Chunk]) -> Tensor:
    import torch

    weights = torch.ones(hidden.shape[:2])
    for row, chunk in enumerate(chunks):
        weights[row, 1 : 1 + len(chunk.weights)] = torch.tensor(chunk.weights)
    return empty + (hidden - empty) * weights[..., None]
