"""Textual inversion: vectors that stand for a new word are learned, and the model stays as it is.

Source: R. Gal et al., "An Image is Worth One Word: Personalizing Text-to-Image Generation using Textual Inversion",
2022, https://arxiv.org/abs/2208.01618. The vectors are put where a prompt says `embedding:NAME`, by the very reader of
prompts that will use them, and the gradients of the denoiser's loss lead back to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from safelight.sdk import Context, Problem, ProblemError, Team
from safelight_nodes.training_values import Weights

from .computing import own_model
from .finetune import Examples, Loss, Noising, Reader, Settings, about, course, previews
from .loop import fit
from .lora import Given
from .quiet import WithVectors

if TYPE_CHECKING:
    from torch import Tensor

NAME = "learned"
KIND = "embedding"
_PLACE, _CAPTION = "{}", "{caption}"


@dataclass(frozen=True)
class Word:
    """What the node is set to beside what all fine-tunings are."""

    vectors: int
    initial: str
    templates: str


def learn_word(given: Given, word: Word, settings: Settings, ctx: Context, team: Team) -> Weights:
    """The vectors of a word, for each text encoder that has some."""
    denoiser = own_model(ctx, given.model, "model")
    text = own_model(ctx, given.text, "text")
    for module in (*denoiser.modules.values(), *text.modules.values()):
        module.requires_grad_(False)
    device, dtype = ctx.models.device()
    vectors = [
        _first(module, tokenizer, word)
        for module, tokenizer in zip(text.modules.values(), text.tokenizers, strict=True)
    ]
    inner = WithVectors(ctx, NAME, {str(place): one for place, one in enumerate(vectors)})
    images = replace(given.images, **_captioned(given, word))
    examples = Examples(ctx, images, given.vae, denoiser.family.id, settings.flip, settings.seed)
    read = Reader(text, inner, learns=True)  # pyright: ignore[reportArgumentType]
    noising = Noising(denoiser.scheduler, denoiser.prediction, settings.gamma, settings.noise_offset)
    loss = Loss(denoiser, read, [(examples, 1.0)], noising, settings, device, dtype)
    prompt = (given.prompt or "{}").replace(_PLACE, f"embedding:{NAME}")
    show = previews(ctx, denoiser, read, given.vae, examples, prompt, [], settings.seed, device, dtype)
    loss(0)  # so that a family whose prompts take no embeddings says so before anything is learned
    points = tuple(fit([{"params": vectors}], loss, course(settings), ctx, show, team).points)
    named = ["emb_params"] if len(vectors) == 1 else ["clip_l", "clip_g"]
    tensors = {name: one.detach().cpu() for name, one in zip(named, vectors, strict=True)}
    said = about(settings, given.model, method="textual inversion", initial=word.initial, vectors=word.vectors)
    return Weights(KIND, {"vectors": word.vectors}, tensors, points, said)


def _first(module: Any, tokenizer: Any, word: Word) -> Tensor:
    """(vectors, width) float32: those of the words to begin with, again from the first where there are too few.

    Raises:
        ProblemError: `bad_value`, for words without a token.
    """
    import torch

    ids = tokenizer(word.initial, add_special_tokens=False).input_ids
    if not ids:
        hint = "Write what the images show in a word or two, such as: toy."
        message = "The vectors begin as those of a word, and none is given."
        raise ProblemError(Problem(code="bad_value", message=message, hint=hint, port="initial", value=word.initial))
    chosen = torch.tensor([ids[place % len(ids)] for place in range(word.vectors)])
    weight = module.get_input_embeddings().weight
    return torch.nn.Parameter(weight[chosen.to(weight.device)].detach().float().clone())


def _captioned(given: Given, word: Word) -> dict[str, Any]:
    """The images with the templates for captions."""
    lines = [line.strip() for line in word.templates.splitlines() if line.strip()]
    if not lines or not all(_PLACE in line for line in lines):
        message = "Each line of the captions is to have {} where the new word stands."
        hint = "Write lines such as: a photo of {}."
        raise ProblemError(Problem(code="bad_value", message=message, hint=hint, port="captions", value=word.templates))
    images = given.images
    subjects = {key: {**one, "names": _said(one["names"], lines)} for key, one in images.subjects.items()}
    entries = tuple({**entry, "style": -1} for entry in images.entries)
    return {"subjects": subjects, "entries": entries}


def _said(names: Sequence[str], lines: Sequence[str]) -> list[str]:
    place = f"embedding:{NAME}"
    filled = [line.replace(_CAPTION, name) for line in lines for name in (names if _CAPTION in line else names[:1])]
    return [line.replace(_PLACE, place) for line in filled]
