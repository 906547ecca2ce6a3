"""Text encoders in files of their own: which one a file holds, told by names and shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safelight.sdk.problem import Problem, ProblemError

if TYPE_CHECKING:
    from safelight.families.files import Header

WIDTHS = {768: "clip_l", 1024: "clip_h", 1280: "clip_g"}
"""CLIP's text encoders by their channels."""
_HUGGING_FACE = ("text_model.encoder.layers.0.self_attn.q_proj.weight", "encoder.layers.0.self_attn.q_proj.weight")
OPEN_CLIP = "transformer.resblocks.0.attn.in_proj_weight"
_T5 = "encoder.block.0.layer.0.SelfAttention.q.weight"
_UMT5 = "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight"
_QWEN3 = ("layers.0.self_attn.q_norm.weight", "layers.0.mlp.gate_proj.weight", "embed_tokens.weight")
_OTHERS = ("visual.", "model.visual.", "decoder.")
"""How names begin of what also sees, or writes."""
_GEMMA = "layers.0.pre_feedforward_layernorm.weight"
_LEVELS = ("", "transformer.", "model.", "transformer.model.")


def clip_prefix(header: Header, prefix: str = "") -> tuple[str, bool] | None:
    """What stands before the names of a CLIP text encoder, and whether they are those of open_clip; None for none."""
    for start in (prefix + level for level in _LEVELS):
        if any(start + name in header.tensors for name in _HUGGING_FACE):
            return start, False
        if start + OPEN_CLIP in header.tensors:
            return start, True
    return None


def t5_prefix(header: Header, prefix: str = "", kind: str = "t5") -> str | None:
    """What stands before the names of a T5, or of a UMT5 (`umt5`); None for none, and for the other one."""
    for start in (prefix + level for level in _LEVELS):
        if start + _T5 in header.tensors and (start + _UMT5 in header.tensors) == (kind == "umt5"):
            return start
    return None


def language_prefix(header: Header, prefix: str = "") -> str | None:
    """What stands before the names of a Qwen3; None for none, and for a language model of another kind."""
    for start in (prefix + level for level in _LEVELS):
        there = all(start + name in header.tensors for name in _QWEN3)
        if there and start + _GEMMA not in header.tensors:
            return start
    return None


def sort_of(header: Header) -> str:
    """Which text encoder a file holds alone (a key of `TEXT_ENCODERS`); empty when it is none that is read."""
    if any("vision_model." in name or name.startswith(_OTHERS) for name in header.tensors):
        return ""
    for kind in ("t5", "umt5"):
        if t5_prefix(header, kind=kind) is not None:
            return kind
    if language_prefix(header) is not None:
        return "qwen3"
    found = clip_prefix(header)
    if found is None:
        return ""
    start, open_clip = found
    names = [start + OPEN_CLIP] if open_clip else [start + name for name in _HUGGING_FACE]
    width = next(header.shape(name)[-1] for name in names if name in header.tensors)
    return WIDTHS.get(width, "")


def require_rows(name: str, module: Any, tokenizer: Any) -> None:
    """Raises ProblemError for a text encoder that has no embedding for each token that its tokenizer knows."""
    rows, tokens = len(module.get_input_embeddings().weight), len(tokenizer)
    if rows < tokens:
        message = f"The text encoder in {name} knows {rows} tokens, and its tokenizer {tokens}."
        hint = "One of the two is damaged or of another model: get both again."
        raise ProblemError(Problem(code="weights_mismatch", message=message, hint=hint, value=name))
