"""Calling models of transformers: prompts and images in, texts or vectors out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from safelight.sdk import Context, Image, Lease, ProblemError

from ._refusal import refusal

if TYPE_CHECKING:
    from torch import Tensor

AT_ONCE = 8
"""Images or texts in one call."""


def described(
    lease: Lease[Any], image: Image, prompt: str, length: int, temperature: float, seed: int, ctx: Context
) -> list[str]:
    """A text about each image of a batch.

    Raises:
        ProblemError: `wrong_model`, for a model that takes no images or writes no text.
    """
    from ._pixels import flattened, to_bytes

    reader = lease.component
    if not reader.sees or not _writes(reader):
        raise _unfit(reader.name, "describes no images", "Choose one that does, such as BLIP.")
    pixels = to_bytes(flattened(image.pixels, 1.0))
    found: list[str] = []
    for place, picture in enumerate(pixels):
        ctx.check_cancelled()
        given = _asked(reader, prompt, picture)
        found.append(_generated(lease, given, length, temperature, seed + place, ctx))
        ctx.progress(place + 1, len(pixels))
    return found


def written(
    lease: Lease[Any], prompt: str, system: str, length: int, temperature: float, seed: int, ctx: Context
) -> str:
    """What a language model writes.

    Raises:
        ProblemError: `wrong_model`, for a model that writes no text by itself.
    """
    reader = lease.component
    if not _writes(reader):
        raise _unfit(reader.name, "writes no texts", "Choose a language model.")
    tokenizer = reader.tokenizer
    if getattr(tokenizer, "chat_template", None):
        said = [{"role": "system", "content": system}] if system else []
        text = tokenizer.apply_chat_template(
            [*said, {"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
        )
        given = tokenizer(text, return_tensors="pt", add_special_tokens=False)
        return _generated(lease, given, length, temperature, seed, ctx)
    start = prompt or tokenizer.bos_token or tokenizer.eos_token or " "
    given = tokenizer(start, return_tensors="pt")
    made = _generated(lease, given, length, temperature, seed, ctx)
    joined = reader.model.config.is_encoder_decoder or not prompt
    return made if joined else (prompt + (" " if made and not prompt[-1].isspace() else "") + made)


def image_vectors(lease: Lease[Any], images: Sequence[Image], ctx: Context) -> Tensor:
    """(N, width) of each image of each batch.

    Raises:
        ProblemError: `wrong_model`, for a model that embeds no images.
    """
    from ._pixels import flattened, to_bytes

    reader = lease.component
    if not hasattr(reader.model, "get_image_features"):
        raise _unfit(reader.name, "embeds no images", "Choose one such as CLIP or SigLIP.")
    pictures = [one for image in images for one in to_bytes(flattened(image.pixels, 1.0))]

    def part(some: Sequence[Any]) -> Any:
        given = reader.processor(images=list(some), return_tensors="pt")
        return reader.model.get_image_features(**_placed(lease, given))

    return _in_parts(pictures, part, ctx)


def encoder_vectors(lease: Lease[Any], images: Sequence[Image], ctx: Context) -> Tensor:
    """(N, width) of each image of each batch, by an image encoder; without a projection, its pooled state."""
    from ._pixels import flattened, prepared

    pictures = [one for image in images for one in flattened(image.pixels, 1.0)]

    def part(some: Sequence[Any]) -> Any:
        made = lease.component.encoder(prepared(lease, some))
        embeds = getattr(made, "image_embeds", None)
        return made.pooler_output if embeds is None else embeds

    return _in_parts(pictures, part, ctx)


def text_vectors(lease: Lease[Any], texts: Sequence[str], ctx: Context) -> Tensor:
    """(N, width) of each text. Models without a vector for texts give the mean of their last states.

    Raises:
        ProblemError: `wrong_model`, for a model that embeds no texts.
    """
    reader = lease.component
    known = hasattr(reader.model, "get_text_features")
    if not known and _writes(reader):
        raise _unfit(reader.name, "embeds no texts", "Choose one such as CLIP, or a model of sentences.")

    def part(some: Sequence[str]) -> Any:
        # SigLIP was trained on texts filled up to one length; others do not mind.
        filled = "max_length" if "siglip" in reader.model.config.model_type else True
        given = _placed(lease, reader.tokenizer(list(some), padding=filled, truncation=True, return_tensors="pt"))
        if known:
            return reader.model.get_text_features(**given)
        states, mask = reader.model(**given).last_hidden_state, given["attention_mask"][..., None]
        return (states * mask).sum(dim=1) / mask.sum(dim=1)

    return _in_parts(texts, part, ctx)


def _in_parts(items: Sequence[Any], part: Any, ctx: Context) -> Tensor:
    import torch

    found: list[Tensor] = []
    with torch.no_grad():
        for place in range(0, len(items), AT_ONCE):
            ctx.check_cancelled()
            made = part(items[place : place + AT_ONCE])
            made = getattr(made, "pooler_output", made)
            found.append(made.float().cpu())
            ctx.progress(min(place + AT_ONCE, len(items)), len(items))
    return torch.cat(found)


def _writes(reader: Any) -> bool:
    return (
        bool(getattr(reader.model, "can_generate", lambda: False)()) or "ForConditional" in type(reader.model).__name__
    )


def _asked(reader: Any, prompt: str, picture: Any) -> Any:
    processor = reader.processor
    if getattr(processor, "chat_template", None):
        words = {"type": "text", "text": prompt or "Describe this image."}
        content = [{"type": "image"}, words]
        prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    if prompt:
        return processor(images=picture, text=prompt, return_tensors="pt")
    return processor(images=picture, return_tensors="pt")


def _placed(lease: Lease[Any], given: Any) -> dict[str, Any]:
    return {
        name: tensor.to(lease.device, lease.dtype) if tensor.is_floating_point() else tensor.to(lease.device)
        for name, tensor in given.items()
    }


def _generated(lease: Lease[Any], given: Any, length: int, temperature: float, seed: int, ctx: Context) -> str:
    """What the model goes on with, without what it was given. Chance comes from the seed alone."""
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList

    class Watch(StoppingCriteria):
        """Stops where the run is cancelled."""

        def __call__(self, input_ids: Any, *_: Any, **__: Any) -> Any:
            ctx.check_cancelled()
            return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)

    reader = lease.component
    placed = _placed(lease, given)
    chance = {"do_sample": True, "temperature": temperature, "top_p": 0.95} if temperature > 0 else {"do_sample": False}
    before = placed["input_ids"].shape[1] if "input_ids" in placed else 0
    room = getattr(_writing(reader.model.config), "max_position_embeddings", None)
    if room and before >= room:
        message = f"The prompt has {before} tokens, and {reader.name!r} reads {room}."
        raise refusal(code="text_too_long", message=message, hint="Make it shorter.", port="prompt")
    most = min(length, room - before) if room else length
    devices = [lease.device] if lease.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        torch.manual_seed(seed % 2**64)
        tokens = reader.model.generate(
            **placed, max_new_tokens=most, num_beams=1, stopping_criteria=StoppingCriteriaList([Watch()]), **chance
        )
    row = tokens[0]
    if before and not reader.model.config.is_encoder_decoder and row[:before].equal(placed["input_ids"][0]):
        row = row[before:]
    return str(reader.tokenizer.decode(row, skip_special_tokens=True)).strip()


def _writing(config: Any) -> Any:
    """The configuration of the part of a model that writes, where it has one of its own."""
    for part in ("text_config", "decoder"):
        own = getattr(config, part, None)
        if own is not None:
            return own
    return config


def _unfit(name: str, what: str, hint: str) -> ProblemError:
    return refusal(code="wrong_model", message=f"{name!r} {what}.", hint=hint, port="model", value=name)
