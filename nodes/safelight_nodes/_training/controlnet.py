"""ControlNets: a copy of the denoiser's first half that looks at a control image and adds to what the denoiser sees.

L. Zhang, A. Rao and M. Agrawala, "Adding Conditional Control to Text-to-Image Diffusion Models", 2023,
https://arxiv.org/abs/2302.05543. The denoiser stays as it is. The copy's outputs pass through convolutions that are
zero at first, so training starts from the denoiser's own images.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from safelight.sdk import VAE, Context, ControlNet, Denoiser, Image, ModelRef, Problem, ProblemError, Team, TextEncoder
from safelight_nodes.training_values import ImageSet, LatentSet, Weights

from .captions import PALETTE
from .computing import cast, half_precision, own_copy
from .conditional import (
    SHOWN,
    SHOWN_STEP,
    Drawn,
    Examples,
    Loss,
    Told,
    check_fit,
    check_latents,
    course,
    shown,
    shown_with,
)
from .folders import plain_config, plain_tensors
from .images import Drawer, composited, of_one_size
from .loop import fit, numpy_generator
from .text import plain_unet

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Condition = Literal["edges", "shape", "brightness"]
LOWEST, HIGHEST = 50, 150
"""Lower thresholds that edges are found with, drawn at random as in the paper; the upper one is twice as high."""
_HINTED = 0.5
"""Deviation of what is added to the latents for a control image at first; theirs is about 1."""
_BLURRED = 1 / 32
"""Deviation of the blur of `brightness`, as a part of the image's side."""


@dataclass(frozen=True)
class Settings:
    """What the node is set to; see there."""

    condition: Condition
    updates: int
    batch: int
    learning_rate: float
    warmup_steps: int
    ema_decay: float
    empty_captions: float
    empty_controls: float
    gamma: float
    seed: int


class Controls:
    """Control images of examples: those that were given, one for each image of the set, or made of the images."""

    def __init__(self, images: ImageSet, condition: Condition, given: Image | None, seed: int) -> None:
        self._images, self._condition, self._given, self._seed = of_one_size(images), condition, given, seed

    def __call__(self, drawn: Drawn, step: int, empty: float = 0.0) -> Tensor:
        """(B, 3, H, W) in 0..1, the part `empty` of them black."""
        import torch

        # Of its own, so that what is learned from does not depend on what it is controlled by.
        rng = numpy_generator(self._seed + 1, step)
        pairs = zip(drawn.numbers, drawn.colours, strict=True)
        made = torch.stack([self._of(int(number), colour, rng) for number, colour in pairs])
        return made * torch.from_numpy(rng.random(len(made)) >= empty)[:, None, None, None]

    def _of(self, number: int, colour: int, rng: np.random.Generator) -> Tensor:
        """(3, H, W)"""
        if self._given is not None:
            return self._given.pixels[number, ..., :3].movedim(-1, 0)
        pixels = self._images.pixels[number : number + 1]
        if self._condition == "shape":
            return (pixels[0, ..., 3] / 255).expand(3, -1, -1)
        ground = list(PALETTE.values())[max(0, colour)]
        image = composited(pixels, [ground]).movedim(1, -1) / 2 + 0.5
        if self._condition == "edges":
            return edges(image, int(rng.integers(LOWEST, HIGHEST + 1)))[0].movedim(-1, 0)
        return brightness(image)[0].movedim(-1, 0)


def edges(pixels: Tensor, low: int = 100) -> Tensor:
    """What image.canny finds in images (B, H, W, 3) in 0..1: white lines on black."""
    from ..image.detail import canny

    return canny(Image(pixels), low=low, high=2 * low).pixels


def brightness(pixels: Tensor) -> Tensor:
    """Light and dark of images (B, H, W, 3) in 0..1, blurred: no lines and no colours."""
    from .._pixels import brightness as light
    from .._pixels import smoothed

    planes = light(pixels)[:, None]
    return smoothed(planes, _BLURRED * pixels.shape[1]).movedim(1, -1).expand(-1, -1, -1, 3)


def widths(downsampling: int, channels: int) -> tuple[int, ...]:
    """Channels of the network that brings a control image to the size of the latents: each but the first halves.

    `channels` are those of the denoiser's first level. Beside a small one the network would else take a third of the
    time: it works on whole images.
    """
    strides = downsampling.bit_length() - 1
    first = max(4, min(16, channels // 16))
    if strides == 3 and first == 16:
        return (16, 32, 96, 256)  # of the paper's release
    return tuple(first << level for level in range(strides + 1))


def fresh(unet: Any, hints: Tensor, downsampling: int, seed: int) -> Any:
    """A new `ControlNetModel` from a denoiser: the weights of its first half, and zero convolutions behind it.

    Two things are not as the paper has them, whose ControlNets see millions of images before they obey. The layers that
    look at the control image start so that some `hints` (B, 3, H, W) leave each of them with a deviation of 1 (Mishkin
    & Matas 2015, https://arxiv.org/abs/1511.06422): with torch's own start a millionth of thin lines was left after
    nine layers. And the convolution that closes them is not zero: those behind the copy are, so that it changes nothing
    all the same, and two zeros in a row learn slowly. Measured on the starter: before, the loss did not depend on the
    control image after 190 updates; after, it did within 36.
    """
    import torch
    from diffusers.models.controlnets.controlnet import ControlNetModel
    from torch.nn.functional import silu

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        channels = widths(downsampling, unet.config.block_out_channels[0])
        net: Any = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=channels)
        looking, seen = net.controlnet_cond_embedding, hints
        for layer in (looking.conv_in, *looking.blocks):
            torch.nn.init.zeros_(layer.bias)
            for _ in range(3):  # SiLU is not linear, so once is not enough
                layer.weight /= silu(layer(seen)).std() or 1.0  # nothing to go by in black ones
            seen = silu(layer(seen))
        torch.nn.init.normal_(looking.conv_out.weight)
        looking.conv_out.weight *= _HINTED / (looking.conv_out(seen).std() or 1.0)
    return net


def learn(
    latents: LatentSet,
    images: ImageSet,
    model: ModelRef[Denoiser],
    text: ModelRef[TextEncoder],
    controls: Image | None,
    start: ModelRef[ControlNet] | None,
    vae: ModelRef[VAE] | None,
    settings: Settings,
    ctx: Context,
    team: Team,
) -> Weights:
    """Trains a ControlNet; a new one where none is given to start from."""
    import torch

    device, dtype = ctx.models.device()
    check_latents(latents, images)
    _check_controls(controls, images)
    own, said = own_copy(ctx, model, "model"), own_copy(ctx, text, "text")
    unet = plain_unet(own, "model")
    check_fit(unet, said.module.config.hidden_size, latents)
    drawer = Drawer(images, settings.seed)
    examples = Examples(latents, drawer, settings.seed, settings.empty_captions)
    hints = Controls(images, settings.condition, controls, settings.seed)
    first = hints(examples.draw(0, settings.batch), 0)
    net = fresh(unet, first, latents.downsampling, settings.seed) if start is None else _copy(ctx, start)
    net.to(device, memory_format=torch.channels_last).requires_grad_(True).train()
    cast(unet, device, dtype).to(memory_format=torch.channels_last).requires_grad_(False)
    told = Told(said.module.to(device).requires_grad_(False), said.tokenizers[0], images, False, device, dtype)

    def guided(noisy: Tensor, t: Tensor, context: Tensor, hint: Tensor) -> Tensor:
        hint = hint.to(device).contiguous(memory_format=torch.channels_last)
        down, middle = net(noisy, t, context, hint, return_dict=False)
        more = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
        return unet(noisy.to(dtype), t, context.to(dtype), **more, return_dict=False)[0]

    def guess(noisy: Tensor, t: Tensor, context: Tensor, drawn: Drawn, step: int) -> Tensor:
        return guided(noisy, t, context, hints(drawn, step, settings.empty_controls))

    loss = Loss(
        guess, told, examples, own.scheduler, batch=settings.batch, gamma=settings.gamma, seed=settings.seed,
        device=device, dtype=dtype,
    )  # fmt: skip
    show: Callable[[], Image] | None = None
    if vae is not None:
        looked_at = Examples(latents, drawer, settings.seed, 0.0).draw(SHOWN_STEP, SHOWN)
        above = hints(looked_at, SHOWN_STEP)

        def predict(z: Tensor, time: Tensor, context: Tensor) -> Tensor:
            with half_precision(device, dtype):
                return guided(z, time, context, torch.cat([above, above]))

        def drawn() -> Image:
            texts = looked_at.texts
            return shown_with(
                above, shown(predict, told, texts, vae, own.scheduler, latents, settings.seed, device, ctx)
            )

        show = drawn
    curve = fit([{"params": list(net.parameters())}], loss, course(settings), ctx, show, team)
    about = {**asdict(settings), "condition": settings.condition if controls is None else "given"}
    return Weights("ControlNetModel", plain_config(net), plain_tensors(net), tuple(curve.points), about)


def _copy(ctx: Context, start: ModelRef[ControlNet]) -> Any:
    """A float32 copy of a ControlNet that may be changed."""
    from dataclasses import replace

    from diffusers.models.controlnets.controlnet import ControlNetModel

    with ctx.models.lease(replace(start, precision="float32")) as lease:
        if isinstance(lease.component, ControlNetModel):
            return copy.deepcopy(lease.component)
    message = "Training goes on with ControlNets alone, and this is another kind, such as a T2I-Adapter."
    hint = "Connect a ControlNet, or nothing for a new one."
    raise ProblemError(Problem(code="model_not_supported", message=message, hint=hint, port="start"))


def _check_controls(controls: Image | None, images: ImageSet) -> None:
    if controls is None or controls.pixels.shape[:3] == images.pixels.shape[:3]:
        return
    count, height, width = controls.pixels.shape[:3]
    wanted, high, wide = images.pixels.shape[:3]
    message = f"There are {count} control images of {width} x {height} pixels, and {wanted} images of {wide} x {high}."
    hint = "Make them of the very set that is connected here, with dataset.to_images and a preprocessor."
    raise ProblemError(Problem(code="wrong_batch", message=message, hint=hint, port="controls"))
