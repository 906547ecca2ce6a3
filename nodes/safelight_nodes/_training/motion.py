"""Motion modules: attention over the frames of a video beside a denoiser of images, which stays as it is.

Y. Guo et al., "AnimateDiff: Animate Your Personalized Text-to-Image Diffusion Models without Specific Tuning", 2023,
https://arxiv.org/abs/2307.04725. Their last layer begins at zero, so that at first each frame is an image of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from safelight.diffusion.motion import attentions_in_the_middle, moving
from safelight.sdk import VAE, Context, Denoiser, Image, ModelRef, Team, TextEncoder
from safelight_nodes.training_values import ClipSet, Weights

from .adapters import add_lora, lora_tensors
from .computing import half_precision, own_copy
from .conditional import Drawn, Loss, check_fit, course, shown
from .folders import NO_LORA, plain_config, plain_tensors
from .images import tiled
from .loop import fit, numpy_generator
from .text import plain_unet, tokens

if TYPE_CHECKING:
    from torch import Tensor

Blocks = Literal["all", "outer"]
KIND = "MotionAdapter"
_HEADS = 8
_SHOWN = 4
_EMBEDDED = 64


@dataclass(frozen=True)
class Settings:
    """What the node is set to; see there."""

    blocks: Blocks
    rank: int
    updates: int
    batch: int
    learning_rate: float
    warmup_steps: int
    ema_decay: float
    empty_captions: float
    gamma: float
    seed: int


def learn(
    clips: ClipSet,
    model: ModelRef[Denoiser],
    text: ModelRef[TextEncoder],
    vae: ModelRef[VAE] | None,
    settings: Settings,
    ctx: Context,
    team: Team,
) -> tuple[Weights, Weights]:
    """Trains a motion module, and the LoRA that learns along, if any."""
    import torch

    device, dtype = ctx.models.device()
    own, said = own_copy(ctx, model, "model"), own_copy(ctx, text, "text")
    unet = plain_unet(own, "model").requires_grad_(False)
    check_fit(unet, said.module.config.hidden_size, clips, "clips")
    frames = clips.samples.shape[1]
    motion = fresh(unet, frames, settings.blocks, settings.seed)
    beside = add_lora(unet, settings.rank, settings.seed, targets="blocks") if settings.rank else []
    unet.to(device, memory_format=torch.channels_last)
    motion.to(device)
    told = _Told(said.module.to(device), said.tokenizers[0], clips.texts, device)

    def guess(noisy: Tensor, t: Tensor, context: Tensor, drawn: Drawn, step: int) -> Tensor:
        del drawn, step
        return unet(noisy, t, context.repeat_interleave(frames, dim=0), return_dict=False)[0]

    loss = Loss(
        guess, told, _Examples(clips, settings.seed, settings.empty_captions), own.scheduler, batch=settings.batch,
        gamma=settings.gamma, seed=settings.seed, device=device, dtype=dtype, frames=frames,
    )  # fmt: skip
    show: Callable[[], Image] | None = None
    if vae is not None:
        texts = list(dict.fromkeys(clips.texts))[:_SHOWN]
        repeated = [text for text in texts for _ in range(frames)]

        def predict(z: Tensor, time: Tensor, context: Tensor) -> Tensor:
            ctx.check_cancelled()
            # A video at a time: what trains in batches of one must show its samples as well.
            parts = zip(z.split(frames), context.split(frames), strict=True)
            with half_precision(device, dtype):
                return torch.cat([unet(video, time, what, return_dict=False)[0] for video, what in parts])

        def drawn_sheet() -> Image:
            made = shown(predict, told, repeated, vae, own.scheduler, clips, settings.seed, device, ctx)
            return Image(tiled(made, frames))

        show = drawn_sheet
    learned = [parameter for parameter in motion.parameters() if parameter.requires_grad]
    with moving(unet, motion, frames):
        curve = fit([{"params": [*learned, *beside]}], loss, course(settings), ctx, show, team)
    points, said = tuple(curve.points), asdict(settings)
    module = Weights(KIND, plain_config(motion), plain_tensors(motion), points, said)
    if not settings.rank:
        return module, Weights(NO_LORA, {}, {}, points, said)
    return module, Weights("lora", {"rank": settings.rank}, lora_tensors(unet), points, {"method": "LoRA", **said})


def fresh(unet: Any, frames: int, blocks: Blocks, seed: int) -> Any:
    """A motion module for a UNet and at most so many frames that changes nothing yet, float32.

    With `outer` blocks only those that see the latent in its full size attend over time; the others have two linear
    layers alone, as the layout wants a module in each.
    """
    import torch
    from diffusers.models.unets.unet_motion_model import MotionAdapter

    channels = tuple(unet.config.block_out_channels)
    everywhere = blocks == "all"
    # Of the library's type for it only tuples of one number would be.
    layers: Any = tuple(int(everywhere or not place) for place in range(len(channels)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        motion = MotionAdapter(
            block_out_channels=channels,
            motion_layers_per_block=unet.config.layers_per_block,
            motion_transformer_layers_per_block=layers,
            motion_num_attention_heads=math.gcd(_HEADS, *channels),
            motion_norm_num_groups=unet.config.norm_num_groups,
            motion_max_seq_length=frames,
            use_motion_mid_block=everywhere and attentions_in_the_middle(unet) == 1,
        )
    for name, parameter in motion.named_parameters():
        parameter.requires_grad_(True)
        if ".proj_out." in name:
            torch.nn.init.zeros_(parameter)
    return motion.train()


class _Examples:
    """Draws clips, all alike; the part `empty` of their captions is left empty."""

    def __init__(self, clips: ClipSet, seed: int, empty: float) -> None:
        self._clips, self._seed, self._empty = clips, seed, empty

    def draw(self, step: int, size: int) -> Drawn:
        import torch

        rng = numpy_generator(self._seed, step)
        numbers = rng.integers(0, len(self._clips.texts), size)
        bare = rng.random(size) < self._empty
        texts = ["" if empty else self._clips.texts[number] for number, empty in zip(numbers, bare, strict=True)]
        frames = self._clips.samples[torch.from_numpy(numbers)].float().flatten(0, 1)
        return Drawn(frames, texts, np.asarray(numbers), [-1] * size)


class _Told:
    """What the denoiser is told for each caption (B, tokens, channels), embedded once."""

    def __init__(self, encoder: Any, reader: Any, texts: Sequence[str], device: Any) -> None:
        import torch

        self._device = device
        self._known: dict[str, Tensor] = {}
        listed = sorted({"", *texts})
        with torch.no_grad():
            for start in range(0, len(listed), _EMBEDDED):
                part = listed[start : start + _EMBEDDED]
                found = encoder(input_ids=tokens(reader, part).to(device)).last_hidden_state.float().cpu()
                self._known.update(zip(part, found.clone(), strict=True))

    def __call__(self, texts: Sequence[str]) -> Tensor:
        import torch

        return torch.stack([self._known[text] for text in texts]).to(self._device)
