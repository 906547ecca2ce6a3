"""CLIP's two encoders (Radford et al. 2021), and the contrastive loss that fits them to each other.

The text encoder has no projection: its pooled state *is* the shared embedding, so a plain `CLIPTextModel` and a
`CLIPVisionModelWithProjection` need nothing between them. With a text encoder that is given, the image encoder is
fitted to it and it stays as it is (LiT, Zhai et al. 2022).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from safelight.sdk import Context, ImageEncoder, ModelRef, Problem, ProblemError, TextEncoder
from safelight_nodes.training_values import ImageSet, Tokenizer, Weights

from .captions import PALETTE, draw_colour
from .computing import half_precision, own_copy, own_image_encoder
from .course import Course
from .folders import plain_config, plain_tensors
from .images import WHITE, WHITE_SHARE, composited, of_one_size, scaled
from .loop import fit, numpy_generator
from .text import tokens
from .tokenizer import from_files, to_files

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_SCALE = 100.0
_SHARPNESS = (0.35, 1.0)
"""What soft images keep of their side: as drawn by a small autoencoder, up to all of it."""


@dataclass(frozen=True)
class Settings:
    """What the node is set to; see there."""

    updates: int
    batch: int
    learning_rate: float
    warmup_steps: int
    ema_decay: float
    width: int
    layers: int
    patch: int
    text_width: int
    text_layers: int
    soft: float
    seed: int


class Learned(NamedTuple):
    image: Weights
    text: Weights
    tokenizer: Tokenizer


def text_tower(vocabulary: int, length: int, width: int, layers: int, seed: int) -> Any:
    """A new `CLIPTextModel`."""
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers,
        num_attention_heads=heads_of(width, 64), max_position_embeddings=length, projection_dim=width,
        bos_token_id=vocabulary - 2, eos_token_id=vocabulary - 1, pad_token_id=vocabulary - 1,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CLIPTextModel(config)


def heads_of(width: int, each: int = 48) -> int:
    """Heads of attention over so many channels: of about `each`, as many as share them evenly."""
    return next(heads for heads in range(max(1, width // each), 0, -1) if width % heads == 0)


def image_tower(side: int, patch: int, width: int, layers: int, shared: int, seed: int) -> Any:
    """A new `CLIPVisionModelWithProjection` into `shared` channels."""
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=width, intermediate_size=round(width * 8 / 3), num_hidden_layers=layers,
        num_attention_heads=heads_of(width), image_size=side, patch_size=patch, projection_dim=shared,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CLIPVisionModelWithProjection(config)


class Pairs:
    """Batches of different subjects; a fifth of them come twice, in another style or colour, with all of it said.

    The twins make style and background count, the rest makes the subject count.
    """

    def __init__(self, images: ImageSet, batch: int, seed: int, soft: float = 0.0) -> None:
        import numpy as np

        self.images, self.batch, self.seed, self.soft = of_one_size(images), batch, seed, soft
        by_subject: dict[str, list[int]] = {}
        for number, entry in enumerate(images.entries):
            by_subject.setdefault(entry["subject"], []).append(number)
        self.options = list(by_subject.values())
        weights = np.array([images.weights[numbers].sum() for numbers in self.options])
        # The root: a batch is drawn without putting back, and heavy subjects would else be in every one.
        self.chances = np.sqrt(weights) / np.sqrt(weights).sum()
        self.twins = batch // 5
        if len(self.options) < batch - self.twins:
            message = f"A batch of {batch} needs {batch - self.twins} subjects, and the set has {len(self.options)}."
            hint = "Make the batch smaller."
            raise ProblemError(Problem(code="too_few_images", message=message, hint=hint, port="batch", value=batch))

    def draw(self, step: int) -> tuple[Tensor, list[str]]:
        """Images (B, 3, H, W) in -1..1 and their captions."""
        from .captions import caption

        rng = numpy_generator(self.seed, step)
        chosen = rng.choice(len(self.options), self.batch - self.twins, replace=False, p=self.chances)
        numbers: list[int] = []
        colours: list[tuple[int, int, int]] = []
        texts: list[str] = []
        for place, at in enumerate([*chosen, *chosen[: self.twins]]):
            number = self.options[at][int(rng.integers(len(self.options[at])))]
            entry = self.images.entries[number]
            twin = place < self.twins or place >= len(chosen)
            plain = not twin and rng.random() < WHITE_SHARE
            colour, rgb = draw_colour(rng, WHITE if plain else int(rng.integers(len(PALETTE))))
            numbers.append(number)
            colours.append(rgb)
            texts.append(caption(rng, self.images.subjects[entry["subject"]], entry["style"], colour, twin))
        made = composited(self.images.pixels[numbers], colours)
        for place in range(len(made) if self.soft else 0):
            if rng.random() < self.soft:
                made[place] = softened(made[place], float(rng.uniform(*_SHARPNESS)))
        return made, texts


def softened(image: Tensor, sharpness: float) -> Tensor:
    """An image (3, H, W) without its finest lines: reduced to the part `sharpness` of its side, and enlarged again."""
    from torch.nn.functional import interpolate

    height, width = image.shape[1:]
    small = (max(1, round(height * sharpness)), max(1, round(width * sharpness)))
    reduced = interpolate(image[None], small, mode="bilinear", antialias=True)
    return interpolate(reduced, (height, width), mode="bicubic")[0].clamp(-1, 1)


def learn(
    images: ImageSet,
    tokenizer: Tokenizer | None,
    text: ModelRef[TextEncoder] | None,
    start: ModelRef[ImageEncoder] | None,
    settings: Settings,
    ctx: Context,
) -> Learned:
    """Trains both encoders, or the image encoder to a given text encoder; goes on with `start`, if there is one.

    Raises:
        ProblemError: `wrong_model`, when `start` sums images up in other channels than the text encoder its texts.
    """
    import torch
    from torch.nn.functional import cross_entropy, normalize

    device, dtype = ctx.models.device()
    width, layers = settings.text_width, settings.text_layers
    reader, tower = text_side(tokenizer, text, width, layers, settings.seed, ctx)
    frozen = text is not None
    tower.to(device).requires_grad_(not frozen)
    pairs = Pairs(images, settings.batch, settings.seed, settings.soft)
    side, shared = images.pixels.shape[1], tower.config.hidden_size
    if start is not None:
        image = _going_on(ctx, start, shared)
    else:
        image = image_tower(side, settings.patch, settings.width, settings.layers, shared, settings.seed + 1)
    image.to(device)
    scale = torch.nn.Parameter(torch.tensor(math.log(20.0), device=device))
    same = torch.arange(settings.batch, device=device)

    def loss(step: int) -> Tensor:
        x, texts = pairs.draw(step)
        ids = tokens(reader, texts)
        # Attention is causal: nothing after the first end token reaches the pooled state.
        ids = ids[:, : int((ids != reader.eos_token_id).sum(1).max()) + 1].to(device)
        with half_precision(device, dtype):
            with torch.set_grad_enabled(not frozen):
                said = tower(input_ids=ids).pooler_output
            seen = image(pixel_values=scaled(x, image.config.image_size).to(device)).image_embeds
        said, seen = normalize(said.float(), dim=-1), normalize(seen.float(), dim=-1)
        alike = scale.clamp(max=math.log(LARGEST_SCALE)).exp() * said @ seen.T
        return (cross_entropy(alike, same) + cross_entropy(alike.T, same)) / 2

    groups: list[dict[str, Any]] = [{"params": [*image.parameters(), scale]}]
    if not frozen:
        groups.append({"params": list(tower.parameters())})
    course = Course.of(settings, weight_decay=0.05, betas=(0.9, 0.98))
    curve = tuple(fit(groups, loss, course, ctx).points)
    own = image.config
    about = asdict(settings) | {"width": own.hidden_size, "layers": own.num_hidden_layers, "patch": own.patch_size}
    parts = {"CLIPVisionModelWithProjection": image, "CLIPTextModel": tower}
    made = [Weights(kind, plain_config(part), plain_tensors(part), curve, about) for kind, part in parts.items()]
    return Learned(made[0], made[1], Tokenizer(to_files(reader)))


def _going_on(ctx: Context, start: ModelRef[ImageEncoder], shared: int) -> Any:
    """A copy of an image encoder with summaries of `shared` channels."""
    made = own_image_encoder(ctx, start)
    if getattr(made, "visual_projection", None) is None or made.config.projection_dim != shared:
        raise ProblemError(
            Problem(
                code="wrong_model",
                message=f"This image encoder does not sum images up in {shared} channels, as the text encoder does.",
                hint="Connect one that was fitted to this text encoder, or begin with a new one.",
                port="start",
            )
        )
    return made.requires_grad_(True)


def text_side(
    tokenizer: Tokenizer | None, text: ModelRef[TextEncoder] | None, width: int, layers: int, seed: int, ctx: Context
) -> tuple[Any, Any]:
    """Tokenizer and text encoder: a copy of the given one, or a new one for the given tokenizer."""
    if text is not None:
        own = own_copy(ctx, text, "text")
        return own.tokenizers[0], own.module
    if tokenizer is None:
        raise ProblemError(
            Problem(
                code="no_text_side",
                message="There is neither a tokenizer to make a new text encoder for, nor a text encoder to fit to.",
                hint="Connect training.tokenizer, or the text encoder of a model.",
                port="tokenizer",
            )
        )
    reader = from_files(tokenizer.files)
    return reader, text_tower(len(reader), reader.model_max_length, width, layers, seed)
