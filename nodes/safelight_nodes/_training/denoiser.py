"""Text-conditional denoisers on latents that were encoded before; `conditional` has their loss."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from safelight.sdk import VAE, Context, Denoiser, Image, ModelRef, Problem, ProblemError, Team, TextEncoder
from safelight_nodes.training_values import ImageSet, LatentSet, Tokenizer, Weights

from .computing import half_precision, own_copy
from .conditional import SHOWN, SHOWN_STEP, Drawn, Examples, Loss, Told, check_fit, check_latents, shown
from .course import Course
from .folders import plain_config, plain_tensors
from .images import Drawer, tiled
from .loop import fit
from .text import plain_unet
from .tokenizer import to_files
from .towers import text_side

if TYPE_CHECKING:
    from torch import Tensor

TEXT_RATE = 0.5


@dataclass(frozen=True)
class Settings:
    """What the node is set to; see there."""

    learn_text: bool
    updates: int
    batch: int
    learning_rate: float
    warmup_steps: int
    schedule: Literal["cosine", "linear", "constant"]
    ema_decay: float
    prediction: Literal["v_prediction", "epsilon"]
    gamma: float
    beta_end: float
    width: int
    widest: int
    levels: int
    heads: int
    text_width: int
    text_layers: int
    seed: int


class Learned(NamedTuple):
    denoiser: Weights
    text: Weights
    tokenizer: Tokenizer


def learn(
    latents: LatentSet,
    images: ImageSet,
    tokenizer: Tokenizer | None,
    start: ModelRef[Denoiser] | None,
    text: ModelRef[TextEncoder] | None,
    vae: ModelRef[VAE] | None,
    settings: Settings,
    ctx: Context,
    team: Team,
) -> Learned:
    """Trains a denoiser, and its text encoder along with it where that is wanted."""
    import torch

    device, dtype = ctx.models.device()
    _check(latents, images, start, text)
    width, layers = settings.text_width, settings.text_layers
    reader, tower = text_side(tokenizer, text, width, layers, settings.seed, ctx)
    if start is not None:
        own = own_copy(ctx, start, "start")
        unet, scheduler = plain_unet(own, "start"), own.scheduler
    else:
        unet, scheduler = fresh(latents, tower.config.hidden_size, settings), scheduler_settings(settings)
    check_fit(unet, tower.config.hidden_size, latents)
    unet.to(device, memory_format=torch.channels_last).requires_grad_(True).train()
    learn_text = settings.learn_text or text is None
    tower.to(device).requires_grad_(learn_text)
    drawer = Drawer(images, settings.seed)
    told = Told(tower, reader, images, learn_text, device, dtype)

    def guess(noisy: Tensor, t: Tensor, context: Tensor, drawn: Drawn, step: int) -> Tensor:
        del drawn, step
        return unet(noisy, t, context, return_dict=False)[0]

    loss = Loss(
        guess, told, Examples(latents, drawer, settings.seed), scheduler, batch=settings.batch, gamma=settings.gamma,
        seed=settings.seed, device=device, dtype=dtype,
    )  # fmt: skip
    groups: list[dict[str, Any]] = [{"params": list(unet.parameters())}]
    if learn_text:
        groups.append({"params": list(tower.parameters()), "scale": TEXT_RATE})
    show = None
    if vae is not None:
        texts = drawer.captions(SHOWN_STEP, SHOWN, explicit=1.0)

        def predict(z: Tensor, time: Tensor, said: Tensor) -> Tensor:
            with half_precision(device, dtype):
                return unet(z, time, said, return_dict=False)[0]

        def drawn() -> Image:
            made = shown(predict, told, texts, vae, scheduler, latents, settings.seed, device, ctx)
            return Image(tiled(made, SHOWN // 2))

        show = drawn
    course = Course.of(settings, schedule=settings.schedule)
    curve = tuple(fit(groups, loss, course, ctx, show, team).points)
    about = {**asdict(settings), "scheduler": scheduler}
    parts = {"UNet2DConditionModel": unet, "CLIPTextModel": tower}
    made = [Weights(kind, plain_config(part), plain_tensors(part), curve, about) for kind, part in parts.items()]
    return Learned(made[0], made[1], Tokenizer(to_files(reader)))


def scheduler_settings(settings: Settings) -> dict[str, Any]:
    """What `scheduler_config.json` says of a new model."""
    return {
        "_class_name": "DDIMScheduler",
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": settings.beta_end,
        "beta_schedule": "scaled_linear",
        "prediction_type": settings.prediction,
        "clip_sample": False,
        "set_alpha_to_one": True,
        "steps_offset": 1,
        "timestep_spacing": "trailing",
    }


def fresh(latents: LatentSet, text_width: int, settings: Settings) -> Any:
    """A new `UNet2DConditionModel` with attention at every level and one layer a block."""
    import torch
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    widths = tuple(min(settings.widest, settings.width << level) for level in range(settings.levels))
    channels = latents.samples.shape[2]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return UNet2DConditionModel(
            sample_size=latents.samples.shape[-1],
            in_channels=channels,
            out_channels=channels,
            down_block_types=("CrossAttnDownBlock2D",) * len(widths),
            mid_block_type="UNetMidBlock2DCrossAttn",
            up_block_types=("CrossAttnUpBlock2D",) * len(widths),
            block_out_channels=widths,
            layers_per_block=1,
            attention_head_dim=settings.heads,
            norm_num_groups=next(groups for groups in (16, 4, 2, 1) if all(width % groups == 0 for width in widths)),
            cross_attention_dim=text_width,
        )


def _check(
    latents: LatentSet,
    images: ImageSet,
    start: ModelRef[Denoiser] | None,
    text: ModelRef[TextEncoder] | None,
) -> None:
    check_latents(latents, images)
    if text is None and start is not None:
        message, hint = "A denoiser that is gone on with needs its text encoder.", "Connect that of the same model."
        raise ProblemError(Problem(code="no_text_side", message=message, hint=hint, port="text"))
