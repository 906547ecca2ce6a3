"""Checks a graphics card: the same images as on the CPU, each way to hold models, speed and memory beside diffusers.

Takes some ten minutes and prints a report to paste. Weights are random, so nothing is downloaded.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.engine.cache.fingerprints import Fingerprints
from safelight.environment import Environment
from safelight.families import load_families
from safelight.media.registry import built_in
from safelight.models import ModelStore, Numerics, numerics
from safelight.models.devices import DeviceKind, kind_of
from safelight.models.offloading import window
from safelight.sdk import Problem, Running
from safelight_nodes import latent, models, sampling, text, vae

from .machine import machine
from .sampling import full_size
from .table import Row, paired

if TYPE_CHECKING:
    from torch import Tensor

FAMILIES = ("sd1", "sd2", "sdxl", "sd3", "flux", "flux2", "z_image", "qwen_image", "krea2")
GUIDED = ("sd1", "sd2", "sdxl", "sd3")
WAYS: Mapping[str, Running] = {
    "swap": Running("swap"),
    "offload": Running("offload"),
    "float8": Running(storage="float8"),
}
HEAD = """# Check of a graphics card

Made by `{command}`.

{machine}

| what | measured | bar | reached |
|---|---|---|---|"""
STAND_IN = Numerics(
    # torch computes with `cpu:1` as with the CPU, and copies what is sent there: it is held as a card would be.
    device="cpu:1",
    precision="float32",
    vae="float32",
    text="",
    kind=DeviceKind(name="stand-in", own=True, main="cpu:0"),
)
NONE = "No graphics card was found, so nothing was checked: 0 checks."


class Alone:
    """A context (`sdk.Context`) for nodes that run by themselves, and that nobody watches."""

    media = built_in()

    def __init__(self, store: ModelStore) -> None:
        self.models = store
        self.warned: list[Problem] = []

    def progress(self, step: int, total: int, preview: Any = None, curve: Any = None) -> None:
        del step, total, preview, curve

    def wants_preview(self) -> bool:
        return False

    def check_cancelled(self) -> None: ...

    def warn(self, problem: Problem) -> None:
        self.warned.append(problem)

    def restore(self) -> None:
        return None

    def checkpoint_due(self, step: int, total: int) -> bool:
        del step, total
        return False


@dataclass(frozen=True)
class Drawn:
    """An image (1, H, W, 3), the seconds of sampling it, and the most bytes on the device: until it was sampled, and
    until it was decoded (0: the device does not tell)."""

    pixels: Tensor
    seconds: float
    peak: int
    most: int


@dataclass(frozen=True)
class Work:
    """What is drawn with the large model."""

    steps: int
    size: int
    times: int


class Card:
    """A device, by the name that torch has for it. `cpu` is no card: it stands in for one, to try the checks."""

    def __init__(self, device: str, folder: Path) -> None:
        self.device = device
        self.real = device != "cpu"
        self._counts = device.startswith(("cuda", "xpu"))
        self._folder = folder

    @property
    def title(self) -> str:
        import torch

        if not self.real:
            return "the CPU in place of a card, so figures mean nothing"
        if not self._counts:
            return self.device
        asked = torch.get_device_module(self.device)
        total = asked.mem_get_info(self.device)[1] / 1e9
        return f"{asked.get_device_name(self.device)} ({self.device}) with {total:.1f} GB"

    def store(self, device: str = "", precision: str = "", budget: float = 0) -> ModelStore:
        """A store of its own, on this device unless another is named; `budget` is in bytes."""
        wishes = {
            "SAFELIGHT_DEVICE": device or self.device,
            "SAFELIGHT_PRECISION": precision,
            "SAFELIGHT_DEVICE_MEMORY": f"{budget / 1e9:.9f}" if budget else "",
        }
        environment = replace(Environment.read(wishes), models=(self._folder / "models",))
        here = None if self.real or device else STAND_IN
        return ModelStore(
            self._folder / "home", fingerprint=Fingerprints(None).digest, environment=environment, here=here
        )

    @property
    def kind(self) -> DeviceKind:
        import torch

        return kind_of(self.device, torch.version.hip is not None) if self.real else STAND_IN.kind

    def settle(self) -> None:
        """Waits for the device, and begins to count its memory again."""
        import torch

        if self._counts:
            asked = torch.get_device_module(self.device)
            asked.synchronize()
            asked.reset_peak_memory_stats(self.device)

    def peak(self) -> int:
        import torch

        if not self._counts:
            return 0
        asked = torch.get_device_module(self.device)
        asked.synchronize()
        return asked.max_memory_allocated(self.device)


def drawn(card: Card, store: ModelStore, name: str, work: Work, how: Running | None = None, seed: int = 3) -> Drawn:
    """An image by our own nodes, from prompt to pixels; `name` is that of the model."""
    ctx: Any = Alone(store)
    loaded = models.load(model=name, ctx=ctx)
    model, said, codec = (replace(ref, running=how or Running()) for ref in loaded)
    guided = model.family in GUIDED
    positive = text.encode(said, text=f"a red apple {seed}", ctx=ctx)
    negative = text.encode(said, text="", ctx=ctx) if guided else None
    canvas = latent.empty(codec, width=work.size, height=work.size, ctx=ctx)
    card.settle()
    started = time.perf_counter()
    sampled = sampling.sample(
        model,
        positive,
        negative,
        canvas,
        steps=work.steps,
        seed=seed,
        guidance=7.0 if guided else 1.0,
        sampler="euler",
        ctx=ctx,
    )
    peak, seconds = card.peak(), time.perf_counter() - started
    pixels = vae.decode(codec, sampled, ctx=ctx).pixels
    return Drawn(pixels, seconds, peak, card.peak())


def parity(card: Card, folder: Path, families: Sequence[str]) -> Iterator[Row]:
    """Each family in miniature, on the card and on the CPU, in float32."""
    import torch

    # Shortened products are what is measured elsewhere; here it is whether the card does the same.
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        for family in families:
            load_families().require(family).tiny(folder / "models" / family)
            work = Work(4, 64, 1)
            here = drawn(card, card.store(precision="float32"), family, work).pixels
            there = drawn(card, card.store("cpu", "float32"), family, work).pixels
            off = float((here - there).abs().max())
            yield Row(f"parity with the CPU, {family}", f"{off:.1e}", "≤ 1e-3", off <= 1e-3)
    finally:
        torch.backends.cudnn.allow_tf32 = before


def memory(card: Card, work: Work) -> Iterator[Row]:
    """The large model held in every way; what is drawn stays the same, and takes less."""
    import torch

    store = card.store()
    whole = drawn(card, store, "large", work)
    sizes = {one.kind: one.bytes for one in store.loaded()}
    ctx: Any = Alone(store)
    with store.lease(models.load(model="large", ctx=ctx).model) as lease:
        # One layer, or two where the next one is copied meanwhile.
        layers = window("layers", lease.component.modules, card.kind)
    yield Row("models held whole", _figures(whole, work), "", None)
    store.clear()
    for name, how in WAYS.items():
        store = card.store()
        found = drawn(card, store, "large", work, how)
        off = float((found.pixels - whole.pixels).abs().mean())
        if name == "float8":
            less = {one.kind: one.bytes for one in store.loaded()}["Denoiser"] / sizes["Denoiser"]
            shown = f"{off:.1e} off in the mean, weights {less:.2f} ×; {_figures(found, work)}"
            yield Row("weights in 8 bits", shown, "≤ 0.05, ≤ 0.6 ×", off <= 0.05 and less <= 0.6)
        else:
            same = torch.equal(found.pixels, whole.pixels)
            held = name != "offload" or offloads(card, store)
            shown = f"{'same bits' if same else f'{off:.1e} off'}; {_figures(found, work)}"
            yield Row(f"models held by {name}", shown, "same bits", same and held)
        store.clear()
    for part in (2, 4):
        budget = sizes["Denoiser"] // part
        store = card.store(budget=budget)
        found = drawn(card, store, "large", work)
        held = offloads(card, store)
        store.clear()
        # All beside the weights is the same as it was when those lay there whole.
        weights = found.peak - (whole.peak - sizes["Denoiser"]) if whole.peak else 0
        same = torch.equal(found.pixels, whole.pixels)
        told = f", {weights / 1e9:.3f} GB of weights" if whole.peak else ""
        shown = f"{'same bits' if same else 'NOT the same bits'}{told}; {_figures(found, work)}"
        bar = f"same bits, ≤ {(budget + layers) / 1e9:.3f} GB"
        reached = same and held and weights <= budget + layers
        yield Row(f"a budget of 1/{part} of the denoiser", shown, bar, reached)


def speed(card: Card, folder: Path, work: Work) -> Iterator[Row]:
    """Our image and that of the diffusers pipeline, in turn, in the precision that is taken here."""
    import torch
    from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline

    store = card.store()
    dtype = store.device()[1]
    seeds = count(10)
    drawn(card, store, "large", work)
    ours_peak = drawn(card, store, "large", work).most
    # The peak of each is taken while it has the card for itself.
    store.clear()

    pipeline: Any = StableDiffusionPipeline.from_pretrained(folder / "models" / "large", torch_dtype=dtype)
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)

    def theirs() -> None:
        seed = next(seeds)
        pipeline(
            f"a red apple {seed}",
            num_inference_steps=work.steps,
            guidance_scale=7.0,
            height=work.size,
            width=work.size,
            output_type="pt",
            generator=torch.Generator().manual_seed(seed),
        )

    pipeline.to(card.device)
    theirs()
    card.settle()
    theirs()
    theirs_peak = card.peak()
    ours_s, theirs_s, ratio = paired(
        lambda: drawn(card, store, "large", work, seed=next(seeds)), theirs, max(1, work.times)
    )
    rates = f"{work.steps / ours_s:.2f} steps a second against {work.steps / theirs_s:.2f}, decoding included"
    reached = ratio <= 1.05 if card.real else None
    yield Row(f"time against diffusers, {dtype}", f"{ratio:.3f} ({rates})", "≤ 1.05", reached)
    if theirs_peak:
        more = ours_peak / theirs_peak
        shown = f"{more:.2f} ({ours_peak / 1e9:.2f} GB against {theirs_peak / 1e9:.2f} GB)"
        yield Row("peak memory against diffusers", shown, "≤ 1.05", more <= 1.05)


def offloads(card: Card, store: ModelStore) -> bool:
    """Whether the denoiser comes in pieces, where the device has memory of its own."""
    return not card.kind.own or any(one.offloaded for one in store.loaded() if one.kind == "Denoiser")


def _figures(found: Drawn, work: Work) -> str:
    peak = f", peak {found.peak / 1e9:.2f} GB" if found.peak else ""
    return f"{work.steps / found.seconds:.2f} steps a second{peak}"


def checks(card: Card, folder: Path, families: Sequence[str]) -> Iterator[Row]:
    yield from parity(card, folder, families)
    work = Work(20, 512, 5)
    if not card.real:
        work = Work(2, 64, 1)
        load_families().require("sd1").tiny(folder / "models" / "large")
    else:
        full_size(folder / "models" / "large")
    yield from memory(card, work)
    yield from speed(card, folder, work)


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    # The CPU with a model in miniature in place of the large one: whether the checks themselves work.
    parser.add_argument("--device", default="", help=argparse.SUPPRESS)
    parser.add_argument("--family", choices=FAMILIES, action="append", help="for parity (may be repeated)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the report there, too")
    wished = parser.parse_args(given)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        device = wished.device or numerics(folder, Environment.read()).device
        if device == "cpu" and not wished.device:
            print(NONE)
            return 0
        card = Card(device, folder)
        page = [HEAD.format(command="python -m benchmarks.gpu", machine=machine(card.title))]
        print(page[0])
        reached: list[bool] = []
        for row in checks(card, folder, wished.family or FAMILIES):
            page.append(str(row))
            print(row, flush=True)
            reached += [] if row.reached is None else [row.reached]
        page.append(f"\n{len(reached)} checks, {len(reached) - sum(reached)} failed.")
        print(page[-1])
    if wished.output:
        wished.output.write_text("\n".join(page) + "\n", encoding="utf-8")
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
