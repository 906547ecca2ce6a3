"""Inpainting denoisers: they see, beside the noisy latent, where the hole of an image is and what is left around it.

R. Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", 2022,
https://arxiv.org/abs/2112.10752, and the inpainting model of Stable Diffusion 1.5 that was trained after it: the first
convolution takes the latent, the mask and the latent of the image with its hole greyed out. What is new counts
nothing at first, so training starts from the model's own images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from safelight.sdk import (
    VAE,
    Conditioning,
    Context,
    Denoiser,
    Image,
    Latent,
    ModelRef,
    Problem,
    ProblemError,
    SampleRequest,
    Team,
    TextEncoder,
)
from safelight_nodes.training_values import ImageSet, Weights

from .adapters import SHAPE, add_lora, lora_tensors
from .captions import draw_colour
from .computing import half_precision, own_model
from .course import Schedule
from .finetune import SHOWN_STEPS, Noising, course, placed, prepared
from .folders import plain_config, plain_tensors
from .holes import Holes
from .images import WHITE, WHITE_SHARE, Drawer, composited, tiled
from .loop import fit, numpy_generator, torch_generator
from .optimisers import Name
from .quiet import Quiet

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

ROUND, PASSES = 4, 4
"""Batches that are encoded at once, and how often each is learned from, with other noise each time. Encoding images
and what is left of them costs as much as an update, and holes differ from example to example."""
SHOWN, SHOWN_ROUND = 4, 1 << 40


@dataclass(frozen=True)
class Settings:
    """What the node is set to; see there."""

    rank: int
    updates: int
    batch: int
    accumulate: int
    learning_rate: float
    warmup_steps: int
    schedule: Schedule
    optimiser: Name
    ema_decay: float
    gamma: float
    drop_captions: float
    checkpointing: bool
    seed: int


class Given(NamedTuple):
    """What is trained, and on what."""

    model: ModelRef[Denoiser]
    text: ModelRef[TextEncoder]
    vae: ModelRef[VAE]
    images: ImageSet


class Batch(NamedTuple):
    """Examples: `clean` latents (B, C, h, w), what is `seen` of them (B, 1 + C, h, w), `pixels` and `coverage` that
    they were made of, (B, H, W, 3) in 0..1 and (B, H, W), and what is `said` of each."""

    clean: Tensor
    seen: Tensor
    pixels: Tensor
    coverage: Tensor
    said: list[Conditioning]


def widen(unet: Any) -> None:
    """Lets a UNet see a hole and what is left around it; changed in place. One that does stays as it is.

    The weights for that are zero: whatever it is shown, it predicts what it did before.

    Raises:
        ProblemError: `model_not_supported`, for one that sees something else, such as depth.
    """
    import torch

    latent, old = unet.config.out_channels, unet.conv_in
    wanted = 2 * latent + 1
    if unet.config.in_channels == wanted:
        return
    if unet.config.in_channels != latent:
        raise _not_supported(f"This denoiser takes {unet.config.in_channels} channels where its latent has {latent}.")
    new: Any = torch.nn.utils.skip_init(
        torch.nn.Conv2d, wanted, old.out_channels, old.kernel_size, padding=old.padding, device=old.weight.device,
        dtype=old.weight.dtype,
    )  # fmt: skip
    with torch.no_grad():
        new.weight.zero_()[:, :latent] = old.weight
        new.bias.copy_(old.bias)
    unet.conv_in = new
    unet.register_to_config(in_channels=wanted)


class Examples:
    """Images of a set with holes, drawn in rounds of a few batches. What is drawn depends on (seed, round) alone.

    Transparent images lie on palette colours, which their captions name. A batch holds images of one size.
    """

    def __init__(self, given: Given, holes: Holes, batch: int, seed: int, family: str, ctx: Context) -> None:
        self._given, self._holes, self._batch, self._seed = given, holes, batch, seed
        self._family, self._ctx = family, ctx
        self._drawer = Drawer(given.images, seed)
        self._number, self._round, self.downsampling = -1, list[Batch](), 1
        self.empty = self._said([""])[0]

    def at(self, step: int) -> Batch:
        """The examples of a step."""
        number, place = divmod(step, ROUND * PASSES)
        if number != self._number:
            # Let go of the last round first: this one takes its place.
            self._round = []
            self._round, self._number = self.round(number), number
        return self._round[place % ROUND]

    def round(self, number: int, batches: int = ROUND, size: int = 0) -> list[Batch]:
        """So many batches of `size` examples each, as many as an update has by default."""
        from safelight.diffusion.autoencoder import leased_codec

        rng = numpy_generator(self._seed, number)
        drawn = [self._draw(rng, size or self._batch) for _ in range(batches)]
        made: list[Batch] = []
        tall, wide = self._given.images.pixels.shape[1:3]
        with leased_codec(self._ctx, self._given.vae, (tall, wide), self._family) as codec:
            self.downsampling = codec.downsampling
            for numbers, colours, texts in drawn:
                self._ctx.check_cancelled()
                pixels = self._pixels(numbers, colours)
                coverage = self._coverage(rng, pixels)
                clean, seen = self._encoded(codec, pixels, coverage)
                made.append(Batch(clean, seen, pixels, coverage, self._said(texts)))
        return made

    def _draw(self, rng: np.random.Generator, count: int) -> tuple[list[int], list[tuple[int, int, int]], list[str]]:
        """Which images, over which colours, and their captions."""
        images, drawer = self._given.images, self._drawer
        numbers = [int(number) for number in drawer.numbers(rng, count)]
        if images.sizes:
            alike = [number for number, size in enumerate(images.sizes) if size == images.sizes[numbers[0]]]
            weights = images.weights.numpy()[alike]
            chosen = rng.choice(alike, count - 1, p=weights / weights.sum())
            numbers = [numbers[0], *(int(number) for number in chosen)]
        colours: list[tuple[int, int, int]] = []
        texts: list[str] = []
        for number in numbers:
            own = images.entries[number]["style"] < 0  # a caption of its own says nothing of the colour
            plain = own or bool((images.alone(number)[..., 3] == 255).all())  # as that of an opaque image
            colour, rgb = draw_colour(rng, WHITE if plain or rng.random() < WHITE_SHARE else None)
            colours.append((255, 255, 255) if own else rgb)
            texts.append(drawer.text(rng, number, colour))
        return numbers, colours, texts

    def _pixels(self, numbers: Sequence[int], colours: Sequence[tuple[int, int, int]]) -> Tensor:
        """(B, H, W, 3) in 0..1, cut at the right and below to whole cells."""
        import torch

        pixels = torch.stack([self._given.images.alone(number) for number in numbers])
        height, width = (side // self.downsampling * self.downsampling for side in pixels.shape[1:3])
        return (composited(pixels, colours) / 2 + 0.5).movedim(1, -1)[:, :height, :width].contiguous()

    def _coverage(self, rng: np.random.Generator, pixels: Tensor) -> Tensor:
        import torch

        return torch.stack([self._holes.draw(rng, *pixels.shape[1:3]) for _ in pixels])

    def _encoded(self, codec: Any, pixels: Tensor, coverage: Tensor) -> tuple[Tensor, Tensor]:
        """As vae.encode_inpaint does it."""
        import torch

        from safelight.diffusion.latents import cell_picks

        clean = codec.encode(pixels)
        if clean.ndim != 4:
            raise _not_supported("This VAE makes latents of videos, and training goes by images.", "vae")
        masked = codec.encode(greyed(pixels, coverage))
        return clean, torch.cat([cell_picks(coverage[:, None], clean.shape[-2:]), masked], dim=1)

    def _said(self, texts: Sequence[str]) -> list[Conditioning]:
        import torch

        with self._ctx.models.lease(self._given.text) as lease, torch.no_grad():
            return [lease.component.encode(text, self._ctx) for text in texts]


def greyed(pixels: Tensor, coverage: Tensor) -> Tensor:
    """Images (B, H, W, 3) with middle grey in their holes (B, H, W)."""
    return pixels.where(coverage[..., None] < 0.5, 0.5)


@dataclass
class Loss:
    """The loss of a step, for `loop.fit`: that of the denoiser's own training, with more to see."""

    denoiser: Any
    examples: Examples
    noising: Noising
    settings: Settings
    device: torch.device
    dtype: torch.dtype

    def __call__(self, step: int) -> Tensor:
        import torch

        settings, batch = self.settings, self.examples.at(step)
        rng = numpy_generator(settings.seed + 1, step)
        said = [self.examples.empty if rng.random() < settings.drop_captions else one for one in batch.said]
        noised = self.noising(batch.clean, torch_generator(settings.seed, step))
        shown = torch.cat([noised.noisy, batch.seen], dim=1)
        with half_precision(self.device, self.dtype, shown, fused=settings.checkpointing):
            guess = self.denoiser.predict(shown, noised.levels, said)
        wrong = (guess - noised.aim.to(guess.device)).square().mean((1, 2, 3))
        return (wrong * noised.weights.to(guess.device)).mean()


def learn(given: Given, holes: Holes, settings: Settings, ctx: Context, team: Team) -> Weights:
    """Trains a UNet to fill holes: all its weights, or a LoRA of `rank` beside them.

    Raises:
        ProblemError: `model_not_supported`, for a denoiser of another kind.
    """
    import torch

    device, dtype = ctx.models.device()
    whole = not settings.rank
    denoiser = own_model(ctx, placed(given.model, whole), "model")
    unet = denoiser.modules.get("unet")
    if unet is None or type(unet).__name__ != "UNet2DConditionModel":
        raise _not_supported(f"Training covers UNets, and this is a {denoiser.family.title} model.")
    seeing = unet.config.in_channels != unet.config.out_channels
    widen(unet)
    prepared(unet, settings.checkpointing)
    learned = list(unet.requires_grad_(True).parameters()) if whole else add_lora(unet, settings.rank, settings.seed)
    family = denoiser.family.id
    examples = Examples(given, holes, settings.batch, settings.seed, family, ctx)
    noising = Noising(denoiser.scheduler, denoiser.prediction, settings.gamma, 0.0)
    loss = Loss(denoiser, examples, noising, settings, device, dtype)
    show = previews(ctx, denoiser, examples, given.vae, settings.seed, device, dtype)
    points = tuple(fit([{"params": learned}], loss, course(settings), ctx, show, team).points)
    about = {**asdict(settings), "holes": asdict(holes), "model": given.model.source.name, "family": family}
    if whole:
        said = {**about, "method": "inpainting", "scheduler": dict(denoiser.scheduler)}
        return Weights(type(unet).__name__, plain_config(unet), plain_tensors(unet), points, said)
    tensors = lora_tensors(unet)
    if not seeing:
        tensors[f"unet.conv_in.{SHAPE}"] = torch.tensor(list(unet.conv_in.base_layer.weight.shape))
    return Weights("lora", {"rank": settings.rank}, tensors, points, {**about, "method": "LoRA for inpainting"})


def previews(
    ctx: Context,
    denoiser: Any,
    examples: Examples,
    vae: ModelRef[VAE],
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
) -> Callable[[], Image]:
    """Draws images, the same with their holes, and how the denoiser fills these as it is, below each other."""
    import torch

    from safelight.diffusion.autoencoder import leased_codec

    kept: list[Batch] = []
    presets, quiet, unet = denoiser.presets, Quiet(ctx), denoiser.modules["unet"]

    def show() -> Image:
        if not kept:
            kept.extend(examples.round(SHOWN_ROUND, 1, SHOWN))
        batch = kept[0]
        learning = unet.training
        unet.eval()
        made: list[Tensor] = []
        try:
            with torch.no_grad(), half_precision(device, dtype):
                for place, said in enumerate(batch.said):
                    hole, masked = batch.seen[place : place + 1].split([1, batch.clean.shape[1]], dim=1)
                    latent = Latent(
                        torch.zeros_like(masked), denoiser.family.id, examples.downsampling, masked=masked, hole=hole
                    )
                    request = SampleRequest(
                        positive=said,
                        negative=examples.empty if presets.guidance > 1 else None,
                        latent=latent,
                        steps=min(presets.steps, SHOWN_STEPS),
                        guidance=presets.guidance,
                        sampler=presets.sampler,
                        scheduler=presets.scheduler,
                        seed=seed + place,
                    )
                    made.append(denoiser.sample(request, quiet).samples)
        finally:
            unet.train(learning)
        with leased_codec(ctx, vae, family=denoiser.family.id) as codec:
            filled = codec.decode(torch.cat(made))[..., :3]
        filled = batch.pixels.where(batch.coverage[..., None] < 0.5, filled)
        rows = torch.cat([batch.pixels, greyed(batch.pixels, batch.coverage), filled])
        return Image(tiled(rows.movedim(-1, 1), SHOWN))

    return show


def _not_supported(message: str, port: str = "model") -> ProblemError:
    hint = "Connect a model of Stable Diffusion 1, 2 or XL, as it draws images from prompts."
    return ProblemError(Problem(code="model_not_supported", message=message, hint=hint, port=port))
