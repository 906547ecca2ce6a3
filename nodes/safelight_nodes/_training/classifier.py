"""A classifier: which of several classes an image is of.

K. He et al., "Deep Residual Learning for Image Recognition", 2015, as transformers has it
(`ResNetForImageClassification`). The loss is the cross-entropy of the classes. Statistics of its normalisation are kept
with the weights, so both are those of the last update: an average of the weights alone would not fit them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from safelight.sdk import Context, Image, Problem, ProblemError
from safelight_nodes._confusion import accuracy, counted, drawn
from safelight_nodes.training_values import ImageSet, Weights

from .caption_data import Pictures, held_apart
from .classes import Classes, classes_of
from .computing import half_precision
from .course import Course
from .folders import CLASSIFIER, plain_config, plain_tensors
from .images import laid_out, of_one_size, some_of
from .loop import Side, train

if TYPE_CHECKING:
    from torch import Tensor

SHOWN, COLUMNS = 16, 8
MEASURED, MEASURED_IN_SAMPLES, AT_ONCE = 4096, 256, 64
"""Images that it is judged by at most: at the end, and on the way."""
_SHOWN_SIDE = 96
_REST = 16


@dataclass(frozen=True)
class Settings:
    """What the node is set to; see there."""

    classes: Classes
    updates: int
    batch: int
    learning_rate: float
    warmup_steps: int
    side: int
    moved: float
    anywhere: float
    held_out: float
    width: int
    levels: int
    layers: int
    seed: int


class Learned(NamedTuple):
    classifier: Weights
    sheet: Image
    accuracy: float


def learn(images: ImageSet, test: ImageSet | None, settings: Settings, ctx: Context) -> Learned:
    """Trains a new classifier; `test` are images to judge by, in the place of a held-out part.

    Raises:
        ProblemError: `too_few_classes`; `bad_image_set`, when a set does not say its classes, or `test` has others;
            `too_few_images`, when nothing can be held out.
    """
    device, dtype = ctx.models.device()
    images = _drawn_at_all(of_one_size(images))
    names, numbers = classes_of(images, settings.classes)
    if len(names) < 2:
        message = f"All images of this set are of one class: {', '.join(names)!r}."
        hint = "Give captions of two kinds or more, or choose another way to tell classes."
        raise ProblemError(Problem(code="too_few_classes", message=message, hint=hint, port="images"))
    if test is None:
        learned, held = held_apart(images, settings.held_out, settings.seed, numbers.tolist())
    else:
        learned, held = images, _drawn_at_all(of_one_size(test))
    judge = Test(held, numbered(held, settings.classes, names), names, settings.side or images.pixels.shape[1])
    if settings.batch == 1 and judge.side <= 2 << settings.levels:
        message = "The last level is a pixel wide, and normalisation needs more than one number of a batch there."
        hint = "Set batch to 2 or more, or take fewer levels."
        raise ProblemError(Problem(code="too_few_images", message=message, hint=hint, port="batch", value=1))
    model = fresh(settings, names).to(device).train()
    loss = Loss(model, learned, numbered(learned, settings.classes, names), settings, device, dtype)

    def told(pixels: Tensor) -> list[int]:
        with half_precision(device, dtype):
            return taken_for(model, pixels.to(device))

    course = Course(
        settings.updates, settings.learning_rate, settings.warmup_steps, weight_decay=0.05, betas=(0.9, 0.99),
        seed=settings.seed,
    )  # fmt: skip
    side = Side.of([{"params": list(model.parameters())}], course, model.buffers(), average=False)

    def update(step: int) -> None:
        side.note(step, side.learn([loss(step)], step))

    train([side], update, course.steps, ctx, lambda: judge.result(told, MEASURED_IN_SAMPLES, ctx)[0])
    sheet, right = judge.result(told, 0, ctx)
    about = {**asdict(settings), "side": judge.side, "accuracy": right, "tested_images": len(judge.numbers)}
    weights = Weights(CLASSIFIER, plain_config(model), plain_tensors(model), tuple(side.curve.points), about)
    return Learned(weights, sheet, right)


def _drawn_at_all(images: ImageSet) -> ImageSet:
    return some_of(images, images.weights.nonzero().flatten().tolist())


def fresh(settings: Settings, names: tuple[str, ...]) -> Any:
    """A new `ResNetForImageClassification` with two convolutions a layer; each level but the first halves the side and
    doubles the channels. Before the first level the side is a quarter of the image's."""
    import torch
    from transformers import ResNetConfig
    from transformers import ResNetForImageClassification as Model

    config = ResNetConfig(
        embedding_size=settings.width,
        hidden_sizes=[settings.width << level for level in range(settings.levels)],
        depths=[settings.layers] * settings.levels,
        layer_type="basic",
        id2label=dict(enumerate(names)),
        label2id={name: number for number, name in enumerate(names)},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return Model(config).float().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def numbered(images: ImageSet, by: Classes, names: tuple[str, ...]) -> list[int]:
    """The number of the class of each image, in the order of `names`.

    Raises:
        ProblemError: `bad_image_set`, at `test`, when an image is of another class.
    """
    own, numbers = classes_of(images, by)
    strange = [name for name in own if name not in names]
    if strange:
        message = f"The images to test with are of a class that is not learned: {strange[0]!r}."
        hint = f"Learned are {', '.join(map(repr, names[:_REST]))}."
        raise ProblemError(Problem(code="bad_image_set", message=message, hint=hint, port="test", value=strange[0]))
    place = [names.index(name) for name in own]
    return [place[number] for number in numbers]


class Loss:
    """The loss of a step: the mean cross-entropy of the classes of images (B, 3, side, side) in -1..1."""

    def __init__(
        self, model: Any, images: ImageSet, numbers: list[int], settings: Settings, device: Any, dtype: Any
    ) -> None:
        side = settings.side or images.pixels.shape[1]
        self.pictures = Pictures(images, settings.seed, side, settings.moved)
        self._model, self._numbers, self._settings = model, numbers, settings
        self._device, self._dtype = device, dtype

    def __call__(self, step: int) -> Tensor:
        import torch

        some = self.pictures.draw(step, self._settings.batch, self._settings.anywhere)
        aim = torch.tensor([self._numbers[number] for number in some.numbers], device=self._device)
        given = some.pixels.to(self._device).contiguous(memory_format=torch.channels_last)
        with half_precision(self._device, self._dtype):
            logits = self._model(pixel_values=given).logits
        return torch.nn.functional.cross_entropy(logits.float(), aim)


def taken_for(model: Any, pixels: Tensor) -> list[int]:
    """The likeliest class of each image (B, 3, H, W) in -1..1."""
    import torch

    was = model.training
    model.eval()
    try:
        with torch.no_grad():
            return model(pixel_values=pixels).logits.float().argmax(1).tolist()
    finally:
        model.train(was)


class Test:
    """Images to judge by, over white, always the same ones."""

    __test__ = False
    """It is no test of pytest's."""

    def __init__(self, images: ImageSet, numbers: list[int], names: tuple[str, ...], side: int) -> None:
        if len(numbers) > MEASURED:
            some = [place * len(numbers) // MEASURED for place in range(MEASURED)]
            images, numbers = some_of(images, some), [numbers[place] for place in some]
        self._images, self.numbers, self._names, self.side = images, numbers, names, side

    def _laid(self, places: list[int]) -> Tensor:
        """(B, 3, side, side) in 0..1: a part at a time, for all of them at once may fill the memory."""
        pixels, _ = laid_out(some_of(self._images, places), 0, self.side, "#ffffff", 0)
        return pixels.movedim(-1, 1)

    def result(self, told: Any, most: int, ctx: Context) -> tuple[Image, float]:
        """What it takes images for, `most` of them evenly spread (0: all), as a sheet; and the share that is right."""
        import torch

        count = len(self.numbers)
        chosen = list(range(count)) if not most or most >= count else torch.linspace(0, count - 1, most).long().tolist()
        found: list[int] = []
        for start in range(0, len(chosen), AT_ONCE):
            ctx.check_cancelled()
            found += told(self._laid(chosen[start : start + AT_ONCE]) * 2 - 1)
        matrix = counted([self.numbers[number] for number in chosen], found, len(self._names))
        share = accuracy(matrix)
        return Image(self._sheet(matrix, share, chosen, found)), share

    def _sheet(self, matrix: Tensor, share: float, chosen: list[int], found: list[int]) -> Tensor:
        """Images with the class that each was taken for, and what it is where that is wrong; the counts below."""
        import torch

        from safelight_nodes._sheets import Sheet, arranged

        shown = torch.linspace(0, len(chosen) - 1, min(SHOWN, len(chosen))).long().tolist()
        pixels = self._laid([chosen[place] for place in shown])
        side = max(_SHOWN_SIDE, pixels.shape[-1])
        pixels = torch.nn.functional.interpolate(pixels, (side, side), mode="nearest-exact").movedim(1, -1)
        words: list[str] = []
        for place in shown:
            said, true = self._names[found[place]], self._names[self.numbers[chosen[place]]]
            words.append(said if said == true else f"{said} (not {true})")
        plan = Sheet((), (), (f"right: {100 * share:.1f} %",), tuple(words), 12, 6, min(COLUMNS, len(shown)))
        above = arranged(list(pixels), plan, torch.ones(3), torch.full((3,), 0.1))[0]
        below = drawn(matrix, self._names)[0]
        width = max(above.shape[1], below.shape[1])
        made = torch.ones(above.shape[0] + below.shape[0], width, 3)
        made[: above.shape[0], : above.shape[1]] = above
        made[above.shape[0] :, : below.shape[1]] = below
        return made[None]


__all__ = ["Learned", "Loss", "Settings", "Test", "fresh", "learn", "numbered", "taken_for"]
