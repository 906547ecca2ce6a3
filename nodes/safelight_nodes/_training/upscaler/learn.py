"""Training an upscaler: what it sees at an update, what it minimises, and how it is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from safelight.sdk import VAE, Context, Image, ImageEncoder, ModelRef, Problem, ProblemError, Upscaler
from safelight_nodes.training_values import ImageSet, Weights

from ..adversarial import Player, duel
from ..captions import draw_colour
from ..computing import half_precision
from ..course import Course, Curve
from ..folders import plain_tensors
from ..images import Drawer, composited, tiled
from ..loop import numpy_generator
from ..variational import Eyes
from .degradation import Degradation, enlarged, shrunk, spoiled
from .networks import KIND, Shape, discriminator, fresh, of_discriminator, of_generator, shape_of

if TYPE_CHECKING:
    from torch import Tensor

MEASURED, MEASURED_STEP = 12, 1 << 41
"""Images that are measured on the way. At the end all that are held out are, but no more than `MOST`."""
MOST, TIMES = 100, 20
SHOWN, SHOWN_SIDE = 4, 256
WHITE_SHARE = 0.4


@dataclass(frozen=True)
class Settings:
    """What the node is set to; see there."""

    shape: Shape
    degradation: Degradation
    pixel: float
    squares: float
    perceptual: float
    adversarial: float
    updates: int
    batch: int
    learning_rate: float
    warmup_steps: int
    ema_decay: float
    crop: int
    anywhere: float
    judge_width: int
    seed: int


class Learned(NamedTuple):
    """What was learned, held-out images beside what it makes of them, and its PSNR and that of bicubic in dB."""

    weights: Weights
    sheet: Image
    psnr: float
    bicubic: float


def learn(
    images: ImageSet,
    held: ImageSet | None,
    start: ModelRef[Upscaler] | None,
    eyes: ModelRef[ImageEncoder] | None,
    vae: ModelRef[VAE] | None,
    settings: Settings,
    ctx: Context,
) -> Learned:
    """Trains an upscaler, a new one where none is given to start from. `eyes` is what the perceptual term looks with;
    some copies go through `vae`.

    Raises:
        ProblemError: `crop_too_large`, when an image is smaller than the crops; `wrong_model`, for a start that is
            none of the networks that are trained here.
    """
    import torch

    device, dtype = ctx.models.device()
    network = fresh(settings.shape, settings.seed) if start is None else _own(ctx, start)
    settings = replace(settings, shape=shape_of(network) or settings.shape)
    require_room(images, settings)
    network = network.requires_grad_(True).to(device, memory_format=torch.channels_last).train()
    judge = None
    if settings.adversarial:
        judge = discriminator(settings.judge_width, settings.seed).to(device, memory_format=torch.channels_last).train()
    seen = Eyes(eyes, ctx, device) if eyes and settings.perceptual else None
    patches = Patches(Drawer(images, settings.seed), settings, _coded(ctx, vae, settings))
    game = Game(network, judge, seen, patches, settings, device, dtype)
    course = Course(
        settings.updates,
        settings.learning_rate,
        settings.warmup_steps,
        ema_decay=settings.ema_decay,
        weight_decay=0.0,
        seed=settings.seed,
    )
    maker = Player("upscaler", network, game.of_generator, course, averaged=True)
    maker.side.records["psnr"] = Curve()
    players = [maker] if judge is None else [Player("discriminator", judge, game.of_discriminator, course), maker]
    held = held or images
    measured = examples(held, MEASURED, settings)
    every = max(1, settings.updates // TIMES)

    def by_network(small: Tensor) -> Tensor:
        return _upscaled(network, small, device)

    def after(step: int) -> None:
        if (step + 1) % every == 0:
            with maker.side.averaged():
                maker.side.records["psnr"].add(step + 1, mean_psnr(measured, by_network))

    def show() -> Image:
        return sheet(network, measured, settings, device)

    curves = duel(players, ctx, show, after)
    record = maker.side.records["psnr"]
    judged = examples(held, MOST, settings)
    found = mean_psnr(judged, by_network)
    plain = mean_psnr(judged, lambda small: enlarged(small, settings.shape.scale))
    about = {
        **asdict(settings),
        "psnr": round(found, 2),
        "bicubic": round(plain, 2),
        "psnr_on_the_way": [[step, round(value, 2)] for step, value in record.points],
    }
    config = asdict(settings.shape)
    weights = Weights(KIND, config, plain_tensors(network), curves[-1][1], about, curves if judge is not None else ())
    return Learned(weights, sheet(network, measured, settings, device), found, plain)


def _own(ctx: Context, start: ModelRef[Upscaler]) -> Any:
    """A copy of an upscaler in float32 that may be changed."""
    import copy

    with ctx.models.lease(replace(start, precision="float32")) as lease:
        found: Any = lease.component
        network = copy.deepcopy(found.network.model).float()
    if shape_of(network) is None:
        message = f"{start.source.name} is a network that cannot be trained here."
        hint = "Start from one of Compact or ESRGAN for colours, or from none."
        raise ProblemError(
            Problem(code="wrong_model", message=message, hint=hint, port="start", value=start.source.name)
        )
    return network


def require_room(images: ImageSet, settings: Settings) -> None:
    """Raises ProblemError `crop_too_large` when an image is smaller than the crops, `size_not_a_multiple` when these
    are no whole number of small pixels."""
    scale, crop = settings.shape.scale, settings.crop
    smallest = min(min(size) for size in images.sizes) if images.sizes else min(images.pixels.shape[1:3])
    if crop > smallest:
        message = f"Crops of {crop} pixels a side do not fit into images of {smallest}."
        hint = f"Set crop to {smallest // 16 * 16 or smallest} or less, or give larger images."
        raise ProblemError(Problem(code="crop_too_large", message=message, hint=hint, port="crop", value=crop))
    if crop % scale:
        message = f"Crops of {crop} pixels a side cannot be made {scale} times smaller."
        hint = f"Set crop to a multiple of {scale}."
        raise ProblemError(Problem(code="size_not_a_multiple", message=message, hint=hint, port="crop", value=crop))


def _coded(ctx: Context, vae: ModelRef[VAE] | None, settings: Settings) -> Callable[[Tensor], Tensor] | None:
    """Sends images (B, 3, h, w) in 0..1 through an autoencoder.

    Raises:
        ProblemError: `size_not_a_multiple`, when small copies do not fit its steps.
    """
    from safelight.diffusion.autoencoder import leased_codec

    if vae is None or not settings.degradation.coded:
        return None
    scale, crop = settings.shape.scale, settings.crop
    side = crop // scale
    with leased_codec(ctx, vae, (side, side)) as codec:
        step = codec.downsampling
    if side % step:
        message = f"Small copies of {side} pixels a side do not go through a VAE that works in steps of {step}."
        hint = f"Set crop to a multiple of {step * scale}."
        raise ProblemError(Problem(code="size_not_a_multiple", message=message, hint=hint, port="crop", value=crop))

    def coded(small: Tensor) -> Tensor:
        # Leased each time: while it is, nothing has gradients.
        with leased_codec(ctx, vae, (side, side)) as codec:
            return codec.decode(codec.encode(small.movedim(1, -1))).movedim(-1, 1)

    return coded


class Patches:
    """Draws crops of images and their small copies. What is drawn depends on (seed, step) alone."""

    def __init__(self, drawer: Drawer, settings: Settings, coded: Callable[[Tensor], Tensor] | None) -> None:
        self._drawer, self._settings, self._coded = drawer, settings, coded

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Originals (B, 3, crop, crop) in 0..1 and their small copies, mirrored and turned by quarters."""
        import torch

        settings, images = self._settings, self._drawer.images
        rng = numpy_generator(settings.seed, step)
        side = settings.crop
        found: list[Tensor] = []
        for number in self._drawer.numbers(rng, settings.batch):
            whole = images.alone(int(number))
            top, left = (int(rng.integers(length - side + 1)) for length in whole.shape[:2])
            colour = ground(rng, settings.anywhere)
            turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
            crop = composited(whole[None, top : top + side, left : left + side], [colour])[0] / 2 + 0.5
            crop = crop.rot90(turns, (1, 2))
            found.append(crop.flip(2) if mirrored else crop)
        originals = torch.stack(found)
        with torch.no_grad():
            small = spoiled(originals, settings.shape.scale, settings.degradation, rng, self._coded)
        return originals, small


def ground(rng: np.random.Generator, anywhere: float) -> tuple[int, int, int]:
    """What shows through an image: white, a colour with a name, or the part `anywhere` of any colour."""
    if rng.random() < anywhere:
        red, green, blue = rng.integers(0, 256, 3)
        return int(red), int(green), int(blue)
    return draw_colour(rng, 0 if rng.random() < WHITE_SHARE else None)[1]


class Game:
    """The losses of both sides."""

    def __init__(
        self, network: Any, judge: Any, eyes: Eyes | None, patches: Patches, settings: Settings, device: Any, dtype: Any
    ) -> None:
        self._network, self._judge, self._eyes, self._patches = network, judge, eyes, patches
        self._settings, self._device, self._dtype = settings, device, dtype

    def of_generator(self, step: int) -> Tensor:
        settings = self._settings
        wanted, made = self._made(step)
        error = wanted - made
        total = settings.pixel * error.abs().mean() + settings.squares * error.square().mean()
        if self._eyes is not None:
            with half_precision(self._device, self._dtype):
                apart = self._eyes.apart(wanted * 2 - 1, made * 2 - 1)
            total = total + settings.perceptual * apart
        if self._judge is not None:
            with half_precision(self._device, self._dtype):
                real, fake = self._judge(wanted).float(), self._judge(made).float()
            total = total + settings.adversarial * of_generator(real, fake)
        return total

    def of_discriminator(self, step: int) -> Tensor:
        import torch

        with torch.no_grad():
            wanted, made = self._made(step)
        with half_precision(self._device, self._dtype):
            real, fake = self._judge(wanted).float(), self._judge(made).float()
        return of_discriminator(real, fake)

    def _made(self, step: int) -> tuple[Tensor, Tensor]:
        """Originals, and what the network makes of their small copies."""
        import torch

        wanted, small = self._patches(step)
        small = small.to(self._device).contiguous(memory_format=torch.channels_last)
        with half_precision(self._device, self._dtype):
            made = self._network(small).float()
        return wanted.to(self._device), made


class Example(NamedTuple):
    """A whole image (1, 3, H, W) in 0..1, and its small copy."""

    original: Tensor
    small: Tensor


def examples(images: ImageSet, count: int, settings: Settings) -> list[Example]:
    """So many images of a set, evenly spread, over backgrounds that are always the same; bicubic copies."""
    total, scale = len(images.entries), settings.shape.scale
    found: list[Example] = []
    for number in np.linspace(0, total - 1, min(count, total)).round().astype(int):
        colour = ground(numpy_generator(settings.seed, MEASURED_STEP + int(number)), settings.anywhere)
        whole = images.alone(int(number))
        height, width = (length // scale * scale for length in whole.shape[:2])
        original = composited(whole[None, :height, :width], [colour]) / 2 + 0.5
        found.append(Example(original, shrunk(original, scale)))
    return found


def mean_psnr(some: list[Example], made: Callable[[Tensor], Tensor]) -> float:
    """Mean PSNR in dB, peak 1, of what is made of small copies."""
    return float(np.mean([psnr(one.original, made(one.small)) for one in some]))


def psnr(wanted: Tensor, made: Tensor) -> float:
    """In dB, peak 1; 100 at most."""
    error = float((wanted - made).square().mean())
    return float(-10 * np.log10(max(error, 1e-10)))


def sheet(network: Any, some: list[Example], settings: Settings, device: Any) -> Image:
    """A row an image: bicubic, the network, the original; of large ones the middle."""
    import torch

    scale = settings.shape.scale
    chosen = [some[number] for number in np.linspace(0, len(some) - 1, min(SHOWN, len(some))).round().astype(int)]
    side = min(SHOWN_SIDE, *(min(one.original.shape[-2:]) for one in chosen)) // scale * scale
    found: list[Tensor] = []
    for one in chosen:
        top, left = ((length - side) // 2 // scale for length in one.original.shape[-2:])
        part = one.small[..., top : top + side // scale, left : left + side // scale]
        original = one.original[..., top * scale : top * scale + side, left * scale : left * scale + side]
        found += [enlarged(part, scale), _upscaled(network, part, device), original]
    return Image(tiled(torch.cat(found), 3))


def _upscaled(network: Any, small: Tensor, device: Any) -> Tensor:
    """(1, 3, H, W) in 0..1, in single precision."""
    import torch

    given = small.to(device).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        return network(given).float().clamp(0, 1).cpu()
