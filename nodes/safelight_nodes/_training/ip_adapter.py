"""IP-Adapters: an image as a prompt, by a second attention beside each one to the text.

H. Ye et al., "IP-Adapter: Text Compatible Image Prompt Adapter for Text-to-Image Diffusion Models", 2023,
https://arxiv.org/abs/2308.06721. What is learned are a projection of an image encoder's summary to four words, and
keys and values of these words for every attention to the text; they begin as those of the text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from safelight.sdk import (
    VAE,
    Context,
    Denoiser,
    Image,
    ImageEncoder,
    ModelRef,
    Problem,
    ProblemError,
    Team,
    TextEncoder,
)
from safelight_nodes.training_values import ImageSet, LatentSet, Weights

from .captions import PALETTE
from .computing import half_precision, own_copy
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
from .folders import plain_tensors
from .images import Drawer, composited
from .loop import fit, numpy_generator
from .text import plain_unet

if TYPE_CHECKING:
    from torch import Tensor

WORDS = 4
"""What an image becomes; diffusers reads as many."""
_SEEN = 64


@dataclass(frozen=True)
class Settings:
    """What the node is set to; see there."""

    updates: int
    batch: int
    learning_rate: float
    warmup_steps: int
    ema_decay: float
    empty: float
    gamma: float
    seed: int


def learn(
    latents: LatentSet,
    images: ImageSet,
    model: ModelRef[Denoiser],
    text: ModelRef[TextEncoder],
    encoder: ModelRef[ImageEncoder],
    vae: ModelRef[VAE] | None,
    settings: Settings,
    ctx: Context,
    team: Team,
) -> Weights:
    """Trains an IP-Adapter."""
    import torch

    device, dtype = ctx.models.device()
    check_latents(latents, images)
    own, said = own_copy(ctx, model, "model"), own_copy(ctx, text, "text")
    unet = plain_unet(own, "model")
    check_fit(unet, said.module.config.hidden_size, latents)
    summaries = seen(images, latents, encoder, ctx)
    unet.requires_grad_(False)
    learned = add_adapter(unet, summaries.shape[-1], settings.seed)
    unet.to(device, memory_format=torch.channels_last)
    told = Told(said.module.to(device).requires_grad_(False), said.tokenizers[0], images, False, device, dtype)

    def guided(noisy: Tensor, t: Tensor, context: Tensor, looks: Tensor) -> Tensor:
        looked_at = {"image_embeds": [looks[:, None].to(device)]}
        return unet(noisy, t, context, added_cond_kwargs=looked_at, return_dict=False)[0]

    def guess(noisy: Tensor, t: Tensor, context: Tensor, drawn: Drawn, step: int) -> Tensor:
        fate = torch.from_numpy(numpy_generator(settings.seed + 1, step).random(len(noisy)))
        part = settings.empty
        # The first part lacks the image, the second its caption, the third both.
        imageless = (fate < part) | ((fate >= 2 * part) & (fate < 3 * part))
        wordless = (fate >= part) & (fate < 3 * part)
        context = torch.where(wordless[:, None, None].to(device), told([""]), context)
        looks = summaries[drawn.numbers, places(latents, drawn)] * ~imageless[:, None]
        return guided(noisy, t, context, looks)

    drawer = Drawer(images, settings.seed)
    loss = Loss(
        guess, told, Examples(latents, drawer, settings.seed, 0.0), own.scheduler, batch=settings.batch,
        gamma=settings.gamma, seed=settings.seed, device=device, dtype=dtype,
    )  # fmt: skip
    show: Callable[[], Image] | None = None
    if vae is not None:
        examples = Examples(latents, drawer, settings.seed, 1.0).draw(SHOWN_STEP, SHOWN)
        above = _images(images, examples.numbers.tolist(), examples.colours)
        looks = summaries[examples.numbers, places(latents, examples)]
        both = torch.cat([torch.zeros_like(looks), looks])

        def predict(z: Tensor, time: Tensor, context: Tensor) -> Tensor:
            with half_precision(device, dtype):
                return guided(z, time, context, both)

        def drawn() -> Image:
            made = shown(predict, told, examples.texts, vae, own.scheduler, latents, settings.seed, device, ctx)
            return shown_with(above.movedim(-1, 1), made)

        show = drawn
    curve = fit([{"params": learned}], loss, course(settings), ctx, show, team)
    return Weights("ip_adapter", {"words": WORDS}, adapter_tensors(unet), tuple(curve.points), asdict(settings))


def add_adapter(unet: Any, summary: int, seed: int) -> list[Any]:
    """Lays a new adapter, for summaries of so many numbers, beside a denoiser; returns its parameters, float32."""
    import torch

    width = unet.config.cross_attention_dim
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        projection = torch.nn.Linear(summary, WORDS * width)
    norm = torch.nn.LayerNorm(width)
    image_proj = {f"proj.{name}": tensor for name, tensor in projection.state_dict().items()}
    image_proj |= {f"norm.{name}": tensor for name, tensor in norm.state_dict().items()}
    attentions: dict[str, Tensor] = {}
    for number, name in enumerate(unet.attn_processors):
        if name.endswith("attn2.processor"):
            attention = unet.get_submodule(name.removesuffix(".processor"))
            attentions[f"{number}.to_k_ip.weight"] = attention.to_k.weight.detach().clone()
            attentions[f"{number}.to_v_ip.weight"] = attention.to_v.weight.detach().clone()
    unet._load_ip_adapter_weights([{"image_proj": image_proj, "ip_adapter": attentions}], low_cpu_mem_usage=False)
    learned = [*unet.encoder_hid_proj.parameters()]
    for processor in unet.attn_processors.values():
        learned += list(processor.parameters()) if hasattr(processor, "to_k_ip") else []
    for parameter in learned:
        parameter.requires_grad_(True)
    return learned


def adapter_tensors(unet: Any) -> dict[str, Tensor]:
    """The adapter's tensors by the names of its published files, on the CPU."""
    (projection,) = unet.encoder_hid_proj.image_projection_layers
    named = {"image_embeds": "proj", "norm": "norm"}
    found: dict[str, Tensor] = {}
    for name, tensor in plain_tensors(projection).items():
        layer, _, rest = name.partition(".")
        found[f"image_proj.{named[layer]}.{rest}"] = tensor.clone()
    for number, processor in enumerate(unet.attn_processors.values()):
        if hasattr(processor, "to_k_ip"):
            for kind in ("to_k_ip", "to_v_ip"):
                weight = getattr(processor, kind)[0].weight
                found[f"ip_adapter.{number}.{kind}.weight"] = weight.detach().cpu().contiguous().clone()
    return found


def seen(images: ImageSet, latents: LatentSet, encoder: ModelRef[ImageEncoder], ctx: Context) -> Tensor:
    """The image encoder's summaries (N, S, channels) float32 of all images over the backgrounds they were encoded
    with, prepared as ip_adapter.apply does it.

    Raises:
        ProblemError: `adapter_input`, for an image encoder without summary.
    """
    import torch

    from .._pixels import prepared

    slots = latents.samples.shape[1]
    colours = latents.colours.flatten().tolist()
    numbers = [number for number in range(len(images.entries)) for _ in range(slots)]
    found: list[Tensor] = []
    with ctx.models.lease(encoder) as lease, torch.no_grad():
        tower = lease.component.encoder
        for start in range(0, len(numbers), _SEEN):
            ctx.check_cancelled()
            part = slice(start, start + _SEEN)
            told = tower(prepared(lease, _images(images, numbers[part], colours[part])))
            if getattr(told, "image_embeds", None) is None:
                message = "This image encoder has no summary of an image, which the IP-Adapter is to read."
                hint = "Connect one of CLIP with a projection."
                raise ProblemError(Problem(code="adapter_input", message=message, hint=hint, port="encoder"))
            found.append(told.image_embeds.to("cpu", torch.float32))
    return torch.cat(found).unflatten(0, (len(images.entries), slots))


def places(latents: LatentSet, drawn: Drawn) -> list[int]:
    """In which slots of the latents these examples are: those of the same colour are the same but for a shade."""
    wanted = zip(drawn.numbers.tolist(), drawn.colours, strict=True)
    return [latents.colours[number].tolist().index(colour) for number, colour in wanted]


def _images(images: ImageSet, numbers: list[int], colours: list[int]) -> Tensor:
    """(B, H, W, 3) in 0..1"""
    grounds = [list(PALETTE.values())[max(0, colour)] for colour in colours]
    return composited(images.pixels[numbers], grounds).movedim(1, -1) / 2 + 0.5
