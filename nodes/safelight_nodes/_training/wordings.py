"""New words for what a text encoder knows: a copy of it is the teacher, told the words it knows; a LoRA learns to
answer alike when it is told the new ones.

Source: Z. Chen et al., "AltCLIP: Altering the Language Encoder in CLIP for Extended Language Capabilities", 2022,
https://arxiv.org/abs/2211.06679, stage one (there the words are of another language, and only states are compared).
States alone were not enough for a small encoder: where a new word is several tokens, the first of them cannot know yet
what the last will say, and the denoiser looks at all. So the denoiser is asked as well. No image is needed.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from safelight.sdk import Context, Denoiser, ModelRef, Problem, ProblemError, TextEncoder
from safelight_nodes.training_values import ImageSet, Weights

from .adapters import add_lora, lora_tensors
from .captions import PALETTE
from .composing import NUMBERS, STYLE_PLACE, plural, thing, ways_to_ask
from .computing import cast, half_precision, own_copy
from .conditional import check_told
from .course import Course
from .distilling import Pair, Unlearning
from .few_step import Route
from .images import WHITE, WHITE_SHARE, Drawer
from .loop import fit, numpy_generator, torch_generator
from .text import plain_unet, tokens

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

STEPS, PASSES = 10, 2
"""Steps of the ways that the model walks, and how often a round's places are gone over."""
PREDICTED, STATES = 5.0, 0.5
GROWN = ((1, 1), (1, 2), (2, 2), (2, 2))
"""Sizes of images of one thing, of two, of three and of four, in those of one."""
DIGITS = dict(zip(NUMBERS, ("2", "3", "4"), strict=True))
_PAINTED, _DIGIT, _BARE = 0.25, 0.15, 0.1
"""Parts of what is counted: in a color, with a digit, and without a number."""
_TRIES = 200
"""So often another subject is drawn, where one has no plural."""


@dataclass(frozen=True)
class Settings:
    """What the node is set to; see there."""

    wordings: str
    counted: float
    grow: bool
    guidance: float
    hold: float
    rank: int
    updates: int
    batch: int
    learning_rate: float
    warmup_steps: int
    ema_decay: float
    seed: int


class Said(NamedTuple):
    """What is said in new words, and the known ones that it is to mean."""

    said: str
    meant: str


def wordings(said: str) -> list[Said]:
    """The pairs of a text with a line each, "kitty = cat".

    Raises:
        ProblemError: `bad_wording`, for a line that is not of this form.
    """
    found: list[Said] = []
    for line in filter(None, map(str.strip, said.splitlines())):
        new, sign, known = (part.strip() for part in line.partition("="))
        if not (new and sign and known):
            message = f"“{line}” does not say which words it means."
            hint = "Write a line for each: the new words, an equals sign, the known ones, as in “kitty = cat”."
            raise ProblemError(Problem(code="bad_wording", message=message, hint=hint, port="wordings", value=line))
        found.append(Said(new, known))
    return found


class Lessons:
    """Draws what is said and what it is to mean, from (seed, step) alone.

    Raises:
        ProblemError: `bad_wording`; `nothing_to_learn`, where there are neither wordings nor anything to count.
    """

    def __init__(self, prompts: ImageSet, kept: ImageSet | None, settings: Settings) -> None:
        self._settings = settings
        self._drawers = [Drawer(images, settings.seed) for images in (prompts, kept) if images is not None]
        self._worded = [self._in_names(pair) for pair in wordings(settings.wordings)]
        self._counted = settings.counted if self._worded else 1.0
        if not self._worded and not settings.counted:
            message = "There are no new words to learn."
            hint = "Write wordings, such as “kitty = cat”, or set counted above 0."
            raise ProblemError(Problem(code="nothing_to_learn", message=message, hint=hint, port="wordings"))

    def new(self, step: int, count: int) -> list[Said]:
        """New words in captions."""
        rng = numpy_generator(self._settings.seed, step)
        return [self._count(rng) if rng.random() < self._counted else self._word(rng) for _ in range(count)]

    def held(self, step: int, count: int) -> list[str]:
        """Captions that keep their meaning."""
        rng = numpy_generator(self._settings.seed + 1, step)
        drawers = [self._drawers[int(at)] for at in rng.integers(len(self._drawers), size=count)]
        return [drawer.captions(int(rng.integers(1 << 40)), 1, 0.3)[0] for drawer in drawers]

    def _in_names(self, pair: Said) -> list[tuple[Said, int]]:
        """The pair within names of subjects that say the known words, with the style of an image; alone where none
        does."""
        images = self._drawers[0].images
        whole = re.compile(rf"(?<!\w){re.escape(pair.meant)}(?!\w)", re.IGNORECASE)
        # A function, for a backslash in what is put in is no group.
        found = [
            (Said(whole.sub(lambda _: pair.said, name), name), int(entry["style"]))
            for entry in images.entries
            for name in images.subjects[entry["subject"]]["names"]
            if whole.search(name)
        ]
        return found or [(pair, int(entry["style"])) for entry in images.entries]

    def _word(self, rng: np.random.Generator) -> Said:
        found = self._worded[int(rng.integers(len(self._worded)))]
        (said, meant), style = found[int(rng.integers(len(found)))]
        return _both(f"{STYLE_PLACE}{said}", f"{STYLE_PLACE}{meant}", style, rng)

    def _count(self, rng: np.random.Generator) -> Said:
        """Several of a kind by their plural, which is to mean the number and the name of one."""
        drawer = self._drawers[0]
        for _ in range(_TRIES):
            one = thing(drawer, rng, _PAINTED)
            several = plural(one.name)
            if not several or several == one.name:
                continue
            style = int(drawer.images.entries[one.image]["style"])
            paint = f"{one.paint} " if one.paint else ""
            number, way = NUMBERS[int(rng.integers(len(NUMBERS)))], rng.random()
            if way < _BARE:
                return _both(f"{STYLE_PLACE}{paint}{several}", f"{STYLE_PLACE}{paint}{one.name}", style, rng)
            written = DIGITS[number] if way < _BARE + _DIGIT else number
            return _both(
                f"{written} {STYLE_PLACE}{paint}{several}", f"{number} {STYLE_PLACE}{paint}{one.name}", style, rng
            )
        message = "No name of this set has a plural, so nothing can be counted."
        hint = "Connect a set whose captions are English names of single things, or set counted to 0."
        raise ProblemError(Problem(code="nothing_to_learn", message=message, hint=hint, port="counted"))


def _both(said: str, meant: str, style: int, rng: np.random.Generator) -> Said:
    """Two wordings in the same style, over the same ground; as they stand where captions are one's own."""
    if style < 0:
        return Said(said.replace(STYLE_PLACE, ""), meant.replace(STYLE_PLACE, ""))
    ground = WHITE if rng.random() < WHITE_SHARE else int(rng.integers(len(PALETTE)))
    seed = int(rng.integers(1 << 40))
    one, other = (ways_to_ask(words, style, ground, numpy_generator(seed, 0))[0] for words in (said, meant))
    return Said(one, other)


class Loss:
    """The loss of a step, of three parts.

    The model walks from noise to images of what is meant, guided. At places of these ways, what it predicts when it is
    told the new words is to be what it predicts when it is told the known ones: the mean square of the difference. The
    states of the text encoder are to be alike as well, which leads there faster; they need not, where the new words
    are more tokens than the known ones. Third, captions that keep their meaning keep their states, `hold` times.

    Args:
        pair: the denoiser, which learns nothing.
        encoders: the text encoder that learns, and a copy that does not.
        reader: their tokenizer.
        shape: (C, h, w) of a latent.
        device, dtype: what is computed with.
    """

    def __init__(
        self, pair: Pair, route: Route, encoders: tuple[Any, Any], reader: Any, lessons: Lessons, shape: Sequence[int],
        settings: Settings, device: Any, dtype: Any,
    ) -> None:  # fmt: skip
        self._pair, self._route, self._encoders, self._reader = pair, route, encoders, reader
        self._lessons, self._shape, self._settings = lessons, tuple(shape), settings
        self._device, self._dtype = device, dtype
        self._round = -1
        self._states: Any = None
        self._said: list[Said] = []

    def __call__(self, step: int) -> Tensor:
        import torch

        settings, route = self._settings, self._route
        number, at, rows = route.drawn(step, 1, settings.batch, PASSES, settings.seed)
        if number != self._round:
            self._walk(number)
        noisy, times = self._states[at, rows], route.times[at].to(self._device)
        new = [self._said[row] for row in rows.tolist()]
        held = self._lessons.held(step, settings.batch)
        student, teacher = self._encoders
        with torch.no_grad():
            meant, kept = self._told(teacher, [one.meant for one in new]), self._told(teacher, held)
            wanted = self._pair(noisy, times, meant)
        said = self._told(student, [one.said for one in new])
        predicted = (self._pair(noisy, times, said) - wanted).square().mean()
        states = (said - meant).square().mean() / meant.var()
        staying = (self._told(student, held) - kept).square().mean() / kept.var()
        return PREDICTED * predicted + STATES * states + settings.hold * staying

    def _walk(self, number: int) -> None:
        """The states (steps + 1, batch, C, h, w) of a round's ways: all of one size, where things keep theirs."""
        import torch

        settings, route = self._settings, self._route
        said = self._lessons.new(number, settings.batch)
        generator = torch_generator(settings.seed, number)
        channels, height, width = self._shape
        down, across = GROWN[int(torch.randint(len(GROWN), (1,), generator=generator))] if settings.grow else (1, 1)
        noise = torch.randn((len(said), channels, height * down, width * across), generator=generator).to(self._device)
        with torch.no_grad():
            meant = self._told(self._encoders[1], [one.meant for one in said])
            empty = self._told(self._encoders[1], [""])
            guide = settings.guidance
            states = route.walked(lambda x, t: self._pair.guided(x, t, meant, empty, guide), noise)
        self._round, self._states, self._said = number, states, said

    def _told(self, encoder: Any, texts: Sequence[str]) -> Tensor:
        with half_precision(self._device, self._dtype):
            return encoder(input_ids=tokens(self._reader, texts).to(self._device)).last_hidden_state.float()


def learn(
    model: ModelRef[Denoiser],
    text: ModelRef[TextEncoder],
    prompts: ImageSet,
    kept: ImageSet | None,
    settings: Settings,
    ctx: Context,
) -> Weights:
    """Trains the LoRA. Raises ProblemError for models that it is not made for, and for what cannot be learned."""
    lessons = Lessons(prompts, kept, settings)
    lessons.new(0, 1)
    own, said = own_copy(ctx, model, "model"), own_copy(ctx, text, "text")
    device, dtype = ctx.models.device()
    unet = plain_unet(own, "model")
    check_told(unet, said.module.config.hidden_size)
    cast(unet, device, dtype).requires_grad_(False)
    encoder = said.module.to(device).eval()
    teacher = copy.deepcopy(encoder).requires_grad_(False)
    learned = add_lora(encoder, settings.rank, settings.seed)
    route = Route.of(own.scheduler, STEPS, 1)
    shape = (unet.config.in_channels, unet.config.sample_size, unet.config.sample_size)
    pair = Unlearning(unet, device, dtype)
    loss = Loss(pair, route, (encoder, teacher), said.tokenizers[0], lessons, shape, settings, device, dtype)
    curve = fit([{"params": learned}], loss, Course.of(settings), ctx)
    about = {"method": "distillation of a text encoder", "family": text.family, **asdict(settings)}
    tensors = lora_tensors(encoder, "text_encoder")
    return Weights("lora", {"rank": settings.rank}, tensors, tuple(curve.points), about)
