"""A model that says what an image shows: an image encoder, and a decoder that looks at it while it writes.

O. Vinyals et al., "Show and Tell: A Neural Image Caption Generator", 2015, with the Transformers of M. Li et al.,
"TrOCR: Transformer-based Optical Character Recognition with Pre-trained Models", 2021, which transformers has as
`VisionEncoderDecoderModel`. The loss is the cross-entropy of each token after those before it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from safelight.sdk import Context, Image, ImageEncoder, ModelRef, Problem, ProblemError, Reader
from safelight_nodes.training_values import ImageSet, Tokenizer, Weights

from .caption_data import Drawn, Pictures, held_apart, names_subject, sentences
from .computing import half_precision, own_image_encoder
from .course import Course
from .folders import plain_config, plain_tensors
from .loop import fit
from .towers import heads_of
from .writing import learn as learn_tokenizer
from .writing import to_files

if TYPE_CHECKING:
    from torch import Tensor

SHOWN, COLUMNS = 8, 4
MEASURED, MEASURED_IN_SAMPLES, AT_ONCE = 256, 64, 64
_SHOWN_SIDE = 224
_WORDS = 16


@dataclass(frozen=True)
class Settings:
    """What the node is set to; see there."""

    updates: int
    batch: int
    learning_rate: float
    warmup_steps: int
    ema_decay: float
    moved: float
    anywhere: float
    ramps: float
    held_out: float
    vocabulary: int
    length: int
    width: int
    layers: int
    patch: int
    text_width: int
    text_layers: int
    seed: int


class Learned(NamedTuple):
    captioner: Weights
    tokenizer: Tokenizer
    sheet: Image
    named: float


def learn(
    images: ImageSet,
    encoder: ModelRef[ImageEncoder] | None,
    start: ModelRef[Reader] | None,
    settings: Settings,
    ctx: Context,
) -> Learned:
    """Trains a captioner: on from one, from an image encoder, or from nothing.

    Raises:
        ProblemError: `too_few_images`, when nothing can be held out; `wrong_model`, when `start` is another reader.
    """
    device, dtype = ctx.models.device()
    learned, held = held_apart(images, settings.held_out, settings.seed)
    if start is not None:
        model, tokenizer = _captioner(ctx, start)
    else:
        tokenizer = learn_tokenizer(sentences(images, settings.seed), settings.vocabulary, settings.length)
        eye = None if encoder is None else own_image_encoder(ctx, encoder)
        model = fresh(settings, tokenizer, eye, images.pixels.shape[1])
    model.to(device).train()
    settings = replace(settings, length=min(settings.length, model.config.decoder.max_position_embeddings))
    side = int(model.config.encoder.image_size)
    loss = Loss(model, tokenizer, Pictures(learned, settings.seed, side, settings.moved), settings, device, dtype)
    test = Test(Pictures(held, settings.seed + 1, side, settings.moved), settings)

    def write(pixels: Tensor) -> list[str]:
        with half_precision(device, dtype):
            return written(model, tokenizer, pixels.to(device), settings.length)

    def show() -> Image:
        return test.sheet(write, test.share(write, MEASURED_IN_SAMPLES, ctx))

    course = Course.of(settings, weight_decay=0.05, betas=(0.9, 0.98))
    # What was trained before moves less than what begins with chance.
    scale = 0.3 if encoder is not None and start is None else 1.0
    first = {id(parameter) for parameter in model.encoder.parameters()}
    groups = [
        {"params": [one for one in model.parameters() if id(one) in first], "scale": scale},
        {"params": [one for one in model.parameters() if id(one) not in first]},
    ]
    curve = fit(groups, loss, course, ctx, show)
    named = test.share(write, MEASURED, ctx)
    about = {**asdict(settings), "named": named, "held_out_images": len(held.entries) if settings.held_out else 0}
    weights = Weights(
        "VisionEncoderDecoderModel", plain_config(model), plain_tensors(model), tuple(curve.points), about
    )
    return Learned(weights, Tokenizer(to_files(tokenizer)), test.sheet(write, named), named)


def _captioner(ctx: Context, start: ModelRef[Reader]) -> tuple[Any, Any]:
    """A float32 copy of a captioner that may be changed, and its tokenizer."""
    with ctx.models.lease(replace(start, precision="float32")) as lease:
        reader = lease.component
        if type(reader.model).__name__ != "VisionEncoderDecoderModel":
            raise ProblemError(
                Problem(
                    code="wrong_model",
                    message=f"{reader.name!r} is a {type(reader.model).__name__}, which cannot be gone on from here.",
                    hint="Choose one that weights.save_captioner wrote, or another VisionEncoderDecoderModel.",
                    port="start",
                    value=reader.name,
                )
            )
        return copy.deepcopy(reader.model).cpu().float().requires_grad_(True), copy.deepcopy(reader.tokenizer)


def fresh(settings: Settings, tokenizer: Any, eye: Any | None, side: int) -> Any:
    """A new `VisionEncoderDecoderModel`; its encoder has the weights of `eye`, a vision model of transformers."""
    import torch
    from transformers import AutoModel, CLIPVisionConfig, GPT2Config, VisionEncoderDecoderConfig
    from transformers import VisionEncoderDecoderModel as Model

    if eye is None:
        sight: Any = CLIPVisionConfig(
            hidden_size=settings.width, intermediate_size=round(settings.width * 8 / 3),
            num_hidden_layers=settings.layers, num_attention_heads=heads_of(settings.width), image_size=side,
            patch_size=settings.patch, projection_dim=settings.width,
        )  # fmt: skip
    else:
        sight = type(eye.config).from_dict(eye.config.to_dict())
    sight.dtype = None
    marks = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    words = GPT2Config(
        vocab_size=len(tokenizer), n_positions=settings.length, n_embd=settings.text_width,
        n_layer=settings.text_layers, n_head=max(1, settings.text_width // 48), n_inner=2 * settings.text_width,
        # What is drawn is new at every step already.
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, **marks,
    )  # fmt: skip
    config: Any = VisionEncoderDecoderConfig.from_encoder_decoder_configs(sight, words)
    config.decoder_start_token_id = tokenizer.bos_token_id
    config.eos_token_id, config.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        made = Model(config)
        if eye is not None:
            made_eye: Any = AutoModel.from_config(sight)
            level = "vision_model."
            given = {name.removeprefix(level): tensor for name, tensor in eye.state_dict().items()}
            made_eye.load_state_dict({name: given[name.removeprefix(level)] for name in made_eye.state_dict()})
            made.encoder = made_eye
    return made.float()


class Loss:
    """The loss of a step: the mean cross-entropy over all tokens of the captions, the mark at their end among them."""

    def __init__(
        self, model: Any, tokenizer: Any, pictures: Pictures, settings: Settings, device: Any, dtype: Any
    ) -> None:
        self._model, self._tokenizer, self._pictures, self._settings = model, tokenizer, pictures, settings
        self._device, self._dtype = device, dtype

    def __call__(self, step: int) -> Tensor:
        drawn = self._pictures.draw(step, self._settings.batch, self._settings.anywhere, self._settings.ramps)
        labels = labelled(self._tokenizer, drawn.texts, self._settings.length)
        with half_precision(self._device, self._dtype):
            made = self._model(pixel_values=drawn.pixels.to(self._device), labels=labels.to(self._device))
        return made.loss.float()


def labelled(tokenizer: Any, texts: Sequence[str], length: int) -> Tensor:
    """Tokens (B, T) of captions and the mark at their end, -100 after it: these places are not looked at.

    Captions beyond `length` tokens are cut, and have no such mark.
    """
    import torch

    rows = [[*tokenizer(text)["input_ids"], tokenizer.eos_token_id][:length] for text in texts]
    most = max(map(len, rows))
    return torch.tensor([row + [-100] * (most - len(row)) for row in rows])


def written(model: Any, tokenizer: Any, pixels: Tensor, length: int) -> list[str]:
    """The likeliest caption, word by word, of images (B, 3, H, W) in -1..1."""
    import torch

    was = model.training
    model.eval()
    try:
        with torch.no_grad():
            rows = model.generate(pixel_values=pixels, max_new_tokens=length, do_sample=False, num_beams=1)
    finally:
        model.train(was)
    return [str(text).strip() for text in tokenizer.batch_decode(rows, skip_special_tokens=True)]


class Test:
    """Images to caption as it goes, always the same ones."""

    __test__ = False
    """It is no test of pytest's."""

    def __init__(self, pictures: Pictures, settings: Settings) -> None:
        self._pictures, self._settings = pictures, settings

    def share(self, write: Callable[[Tensor], list[str]], count: int, ctx: Context) -> float:
        """Share of captions, in 0..1, that name the subject."""
        right = 0
        for start in range(0, count, AT_ONCE):
            ctx.check_cancelled()
            some = self._draw(1 + start, min(AT_ONCE, count - start))
            found = write(some.pixels)
            right += sum(self._right(text, number) for text, number in zip(found, some.numbers, strict=True))
        return right / count

    def sheet(self, write: Callable[[Tensor], list[str]], named: float) -> Image:
        """Images with what is said of them, and the share above."""
        import torch

        from safelight_nodes._sheets import Sheet, arranged

        some = self._draw(0, SHOWN)
        side = max(_SHOWN_SIDE, some.pixels.shape[-1])
        seen = torch.nn.functional.interpolate(some.pixels, (side, side), mode="bilinear", antialias=True)
        shown = list((seen / 2 + 0.5).clamp(0, 1).movedim(1, -1))
        plan = Sheet((), (), (f"named: {100 * named:.0f} %",), tuple(write(some.pixels)), 13, 8, COLUMNS)
        return Image(torch.stack(arranged(shown, plan, torch.ones(3), torch.full((3,), 0.1))))

    def _draw(self, step: int, count: int) -> Drawn:
        return self._pictures.draw(step, count, self._settings.anywhere, self._settings.ramps)

    def _right(self, text: str, number: int) -> bool:
        images = self._pictures.images
        entry = images.entries[number]
        return names_subject(text, images.subjects[entry["subject"]], entry["style"])


__all__ = ["Learned", "Loss", "Settings", "fresh", "labelled", "learn", "written"]
