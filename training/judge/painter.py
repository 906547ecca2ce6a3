"""Images from a model folder, made by the product itself: its nodes, its sampler, its default precision."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH = 20
"""Images that are made at once."""


@dataclass(frozen=True)
class Settings:
    """How images are sampled. A guidance of 1 looks at no negative prompt; `scale` is that of an IP-Adapter, `strength`
    that of a ControlNet."""

    steps: int = 20
    guidance: float = 2.0
    sampler: str = "dpmpp_2m"
    scale: float = 1.0
    strength: float = 1.0


class Painter:
    """An open model, and what is named beside it: a LoRA and a motion module on it, a ControlNet, an IP-Adapter, a
    captioner."""

    def __init__(
        self,
        model: Path,
        lora: Path | None = None,
        weight: float = 1.0,
        controlnet: Path | None = None,
        adapter: Path | None = None,
        captioner: Path | None = None,
        motion: Path | None = None,
    ) -> None:
        from safelight.app import Budgets, Studio
        from safelight.engine import Cancel, NodeContext, Services
        from safelight.environment import Environment
        from safelight.models import ModelStore
        from safelight_nodes import loras, models
        from safelight_nodes import motion as moving
        from safelight_nodes.reading import models as readers

        self._home = tempfile.TemporaryDirectory(prefix="judge-")
        home = Path(self._home.name)
        self._studio = Studio.open(home, budgets=Budgets(memory=1 << 20, disk=1 << 20))
        model = model.resolve()
        folders = [path.resolve().parent for path in (model, lora, controlnet, adapter, captioner, motion) if path]
        environment = replace(Environment.read(), models=tuple(folders))
        store = ModelStore(home, fingerprint=self._studio.cache.fingerprint, environment=environment)
        services = Services(self._studio.cache, store, self._studio.services.files, self._studio.media)

        class Forgetful(NodeContext):
            """Every call is other work: none may go on from the checkpoint of the one before."""

            def restore(self) -> None:
                return None

            def checkpoint_due(self, step: int, total: int) -> bool:
                del step, total
                return False

        self._ctx: Any = Forgetful(services, "judge", Cancel(), lambda *_: None, False, 1e9)
        self._parts = models.load(model=str(model), ctx=self._ctx)
        if lora:
            name = str(lora.resolve())
            changed = loras.apply_lora(self._parts.model, self._parts.text, lora=name, weight=weight, ctx=self._ctx)
            self._parts = self._parts._replace(model=changed.model, text=changed.text)
        if motion:
            module = models.load_motion(motion=str(motion.resolve()), ctx=self._ctx)
            self._parts = self._parts._replace(model=moving.apply(self._parts.model, module, ctx=self._ctx))
        self._controlnet = self._adapter = self._captioner = None
        if controlnet:
            self._controlnet = models.load_controlnet(controlnet=str(controlnet.resolve()), ctx=self._ctx)
        if adapter:
            self._adapter = models.load_ip_adapter(adapter=str(adapter.resolve()), ctx=self._ctx)
        if captioner:
            self._captioner = readers.load(model=str(captioner.resolve()), ctx=self._ctx)

    def __enter__(self) -> Painter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._studio.close()
        self._home.cleanup()

    def paint(
        self,
        prompts: Sequence[str],
        seed: int,
        settings: Settings,
        hints: NDArray[np.float32] | None = None,
        references: NDArray[np.float32] | None = None,
        holes: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
        size: tuple[int, int] = (0, 0),
    ) -> NDArray[np.float32]:
        """(N, H, W, 3) in 0..1, all at once. Image k has the noise of seed + k, in whatever batch it is made. `size` is
        (height, width) in pixels; 0 is what the model was made for. With a motion module they are frames of one video.

        `hints` are control images, `references` images to take after, one for each prompt (N, H, W, 3) in 0..1. `holes`
        are images (N, H, W, 3) and where to paint in them (N, H, W), 0 or 1: what is painted is put into the image, as
        the workflow inpaint does it.
        """
        import torch

        from safelight.sdk import Conditioning, Image, Mask
        from safelight_nodes import controlnet, ip_adapter, latent, sampling, text, vae
        from safelight_nodes.image import layers

        parts, ctx = self._parts, self._ctx
        said = [text.encode(parts.text, text=prompt, ctx=ctx) for prompt in prompts]
        first = [one.prompts[0] for one in said]
        # One batch of different prompts: a node that takes a single prompt would make them one by one.
        names = first[0].tensors
        together = replace(first[0], tensors={name: torch.cat([one.tensors[name] for one in first]) for name in names})
        positive = Conditioning((together,), family=said[0].family)
        negative = text.encode(parts.text, text="", ctx=ctx) if settings.guidance > 1 else None
        if hints is not None:
            assert self._controlnet is not None
            hint = Image(torch.from_numpy(hints))
            positive, other = controlnet.apply(positive, self._controlnet, hint, negative, strength=settings.strength)
            negative = None if negative is None else other
        if references is not None:
            assert self._adapter is not None
            seen = Image(torch.from_numpy(references))
            positive = ip_adapter.apply(positive, *self._adapter, seen, scale=settings.scale, ctx=ctx)
            # The node takes several images as one prompt; here each is that of its own image.
            (one,) = positive.adapters
            each, none = one.embeddings.movedim(0, 1), one.negative.movedim(0, 1)
            positive = replace(positive, adapters=(replace(one, embeddings=each, negative=none),))
        base = mask = None
        start = latent.empty(parts.vae, height=size[0], width=size[1], batch=len(prompts), ctx=ctx)
        if holes is not None:
            base, mask = Image(torch.from_numpy(holes[0])), Mask(torch.from_numpy(holes[1]))
            start = vae.encode_inpaint(parts.vae, base, mask, ctx=ctx)
        made = sampling.sample(
            parts.model,
            positive,
            negative,
            start,
            steps=settings.steps,
            guidance=settings.guidance,
            sampler=settings.sampler,  # pyright: ignore[reportArgumentType]
            seed=seed,
            ctx=ctx,
        )
        drawn = vae.decode(parts.vae, made, ctx=ctx)
        if base is not None and mask is not None:
            drawn = layers.composite(base, drawn, mask)
        return drawn.pixels.numpy()

    def series(
        self,
        prompts: Sequence[str],
        seed: int,
        settings: Settings,
        hints: NDArray[np.float32] | None = None,
        references: NDArray[np.float32] | None = None,
        holes: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
        size: tuple[int, int] = (0, 0),
    ) -> NDArray[np.float32]:
        """As `paint`, of any number, BATCH of them at once."""
        parts = [
            self.paint(
                prompts[part],
                seed + part.start,
                settings,
                None if hints is None else hints[part],
                None if references is None else references[part],
                None if holes is None else (holes[0][part], holes[1][part]),
                size,
            )
            for part in (slice(at, at + BATCH) for at in range(0, len(prompts), BATCH))
        ]
        return np.concatenate(parts)

    def reconstruct(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """The autoencoder's version of images (N, H, W, 3) in 0..1, its mean as latent."""
        import torch

        from safelight.sdk import Image
        from safelight_nodes import vae

        encoded = vae.encode(self._parts.vae, Image(torch.from_numpy(pixels)), ctx=self._ctx)
        return vae.decode(self._parts.vae, encoded, ctx=self._ctx).pixels.numpy()

    def describe(self, pixels: NDArray[np.float32]) -> list[str]:
        """What the captioner says of each of the images (N, H, W, 3) in 0..1."""
        import torch

        from safelight.sdk import Image
        from safelight_nodes.reading import write

        assert self._captioner is not None
        return write.describe(Image(torch.from_numpy(pixels)), self._captioner, ctx=self._ctx)
