"""Few-step distillation: a LoRA that makes in one step what the model makes, guided, in several.

Progressive distillation (Salimans & Ho 2022, https://arxiv.org/abs/2202.00512) in a single stage, with the guidance
distilled along (Meng et al. 2022, https://arxiv.org/abs/2210.03142). The teacher walks from noise to an image in
`steps` x `inner` deterministic steps; the student learns to jump from each `inner`-th place to the next. It learns on
the very states that it will meet, at the very timesteps that it will be asked at, so a small LoRA is enough, and the
only data are prompts.

Latent consistency (Luo et al. 2023) was the alternative: it teaches jumps to the end from anywhere, by its own
predictions, and needs many more samples before the first timestep has heard of the last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from safelight.sdk import VAE, Context, Denoiser, Image, ModelRef, TextEncoder
from safelight_nodes.training_values import ImageSet, Weights

from .adapters import add_lora, lora_tensors
from .computing import cast, own_copy
from .course import Course
from .distilling import Meaning, Pair
from .images import Drawer, tiled
from .loop import fit, torch_generator
from .text import embedded, plain_unet

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_WEIGHT = 5.0
SHOWN, SHOWN_ROUND = 8, 1 << 40  # samples to look at, and a round of captions that training never comes to
WALKS = 4
"""Walks of a round, in batches: enough that an update mixes prompts and places of the way."""


@dataclass(frozen=True)
class Route(Meaning):
    """The places of a deterministic sampler's way: `times` (steps * inner,) from noise to image, and the cumulative
    signal power `alphas` (steps * inner + 1,) there and at the end."""

    times: Tensor
    alphas: Tensor
    inner: int

    @classmethod
    def of(cls, settings: Mapping[str, Any], steps: int, inner: int) -> Route:
        """With the scheduler that leaves out nothing of the noise: the first place is the noisiest timestep."""
        import torch
        from diffusers.schedulers.scheduling_ddim import DDIMScheduler

        made: Any = DDIMScheduler.from_config({**settings, "timestep_spacing": "trailing", "clip_sample": False})
        made.set_timesteps(steps * inner)
        end = torch.as_tensor(made.final_alpha_cumprod).reshape(1)
        alphas = torch.cat([made.alphas_cumprod[made.timesteps], end]).float()
        return cls(made.config["prediction_type"], made.timesteps.long(), alphas, inner)

    @property
    def steps(self) -> int:
        return len(self.times) // self.inner

    def drawn(self, step: int, walks: int, batch: int, passes: int, seed: int) -> tuple[int, Tensor, Tensor]:
        """The round of a step, and which places (batch,) of which of its ways (batch,) the step looks at. A round is
        `walks` x `batch` ways, and all their places are gone over `passes` times, each time in an order of its own."""
        import torch

        parts = walks * self.steps
        number, place = divmod(step, parts * passes)
        lap, part = divmod(place, parts)
        order = torch.randperm(parts * batch, generator=torch_generator(seed + 1 + lap, number))
        chosen = order[part * batch : (part + 1) * batch]
        return number, chosen % self.steps, chosen // self.steps

    def walked(self, guided: Callable[[Tensor, Tensor], Tensor], state: Tensor) -> Tensor:
        """The states (steps + 1, B, C, h, w) of the way from noise, by what is predicted of them at timesteps."""
        import torch

        states = [state]
        for place, time in enumerate(self.times):
            power, after = (self.alphas[at].to(state.device) for at in (place, place + 1))
            state = self.moved(state, self.clean(state, guided(state, time), power), power, after)
            if (place + 1) % self.inner == 0:
                states.append(state)
        return torch.stack(states)

    @staticmethod
    def implied(noisy: Tensor, moved: Tensor, power: Tensor, after: Tensor) -> Tensor:
        """The clean latent with which one step leads from `noisy` to `moved`."""
        ratio = ((1 - after) / (1 - power)).sqrt()
        return (moved - ratio * noisy) / (after.sqrt() - ratio * power.sqrt())


class FewStep:
    """The loss of the student.

    Args:
        draw: the embeddings (walks, tokens, channels) of the prompts of a round, counted from 0.
        empty: (1, tokens, channels), those of the unguided half.
        shape: (C, H, W) of a latent.
        batch: images of an update; it divides the walks of a round.
        passes: how often the student goes over a round's states. The teacher's walks are what costs most.
    """

    def __init__(
        self,
        unet: Any,
        route: Route,
        draw: Callable[[int], Tensor],
        empty: Tensor,
        shape: Sequence[int],
        *,
        batch: int,
        guidance: float,
        seed: int,
        device: Any,
        dtype: Any,
        passes: int = 3,
    ) -> None:
        self._pair, self._route, self._draw, self._empty = Pair(unet, device, dtype), route, draw, empty
        self._shape, self._guidance, self._seed = tuple(shape), guidance, seed
        self._batch, self._passes = batch, passes
        self._device = device
        self._round = -1
        self._states: Any = None
        self._text: Any = None

    def __call__(self, step: int) -> Tensor:
        route = self._route
        number, at, rows = route.drawn(step, WALKS, self._batch, self._passes, self._seed)
        if number != self._round:
            self._walk(number)
        noisy, goal = self._states[at, rows], self._states[at + 1, rows]
        power = route.alphas[at * route.inner][:, None, None, None].to(self._device)
        after = route.alphas[(at + 1) * route.inner][:, None, None, None].to(self._device)
        wanted = route.implied(noisy, goal, power, after)
        guess = self._pair(noisy, route.times[at * route.inner].to(self._device), self._text[rows])
        error = (route.clean(noisy, guess, power) - wanted).square().mean((1, 2, 3))
        ratio = (power / (1 - power)).flatten()
        # As in training: SNR + 1 makes it the error of v, SNR alone that of the noise.
        weight = (ratio + (route.prediction == "v_prediction")).clamp(max=LARGEST_WEIGHT)
        return (error * weight).mean()

    def _walk(self, number: int) -> None:
        """The teacher's states (steps + 1, walks, C, H, W) in float32 for the prompts of a round."""
        import torch

        text = self._draw(number).to(self._device)
        empty = self._empty.to(self._device)
        noise = torch.randn((len(text), *self._shape), generator=torch_generator(self._seed, number)).to(self._device)
        states = self._route.walked(lambda x, t: self._pair.guided(x, t, text, empty, self._guidance), noise)
        self._round, self._states, self._text = number, states, text

    def sample(self, text: Tensor, seed: int) -> Tensor:
        """The student's latents (B, C, H, W) for prompts (B, tokens, channels)."""
        import torch

        route = self._route
        state = torch.randn((len(text), *self._shape), generator=torch_generator(seed, 0)).to(self._device)
        with torch.no_grad():
            for place in range(route.steps):
                power = route.alphas[place * route.inner].to(self._device)
                after = route.alphas[(place + 1) * route.inner].to(self._device)
                time = route.times[place * route.inner].to(self._device)
                predicted = self._pair(state, time, text.to(self._device))
                state = route.moved(state, route.clean(state, predicted, power), power, after)
        return state


@dataclass(frozen=True)
class Settings:
    """What the node is set to; see there."""

    steps: int
    inner: int
    guidance: float
    rank: int
    updates: int
    batch: int
    learning_rate: float
    warmup_steps: int
    ema_decay: float
    explicit: float
    seed: int


def distil(
    model: ModelRef[Denoiser],
    text: ModelRef[TextEncoder],
    prompts: ImageSet,
    vae: ModelRef[VAE] | None,
    settings: Settings,
    ctx: Context,
) -> Weights:
    """Trains the LoRA. Raises ProblemError for models that it is not made for."""
    from safelight.diffusion.autoencoder import leased_codec

    own = own_copy(ctx, model, "model")
    device, dtype = ctx.models.device()
    unet = cast(plain_unet(own, "model"), device, dtype)
    config = unet.config
    learned = add_lora(unet, settings.rank, settings.seed)
    route = Route.of(own.scheduler, settings.steps, settings.inner)
    drawer = Drawer(prompts, settings.seed)
    with ExitStack() as stack:
        lease = stack.enter_context(ctx.models.lease(text))

        def embed(texts: Sequence[str]) -> Tensor:
            return embedded(lease.component, texts, lease.device)

        loss = FewStep(
            unet,
            route,
            lambda number: embed(drawer.captions(number, WALKS * settings.batch, settings.explicit)),
            embed([""]),
            (config.in_channels, config.sample_size, config.sample_size),
            batch=settings.batch,
            guidance=settings.guidance,
            seed=settings.seed,
            device=device,
            dtype=dtype,
        )
        show: Callable[[], Image] | None = None
        if vae is not None:
            shown = embed(drawer.captions(SHOWN_ROUND, SHOWN, 1.0))

            def drawn() -> Image:
                latents = loss.sample(shown, settings.seed).cpu()
                with leased_codec(ctx, vae) as codec:
                    return Image(tiled(codec.decode(latents).movedim(-1, 1), SHOWN // 2))

            show = drawn
        course = Course.of(settings)
        curve = fit([{"params": learned}], loss, course, ctx, show)
    about = {"method": "progressive distillation of the guided model", **asdict(settings)}
    return Weights("lora", {"rank": settings.rank}, lora_tensors(unet), tuple(curve.points), about)
