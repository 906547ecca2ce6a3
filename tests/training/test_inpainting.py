"""Training of inpainting models: they begin as what they were, see holes as the sampler shows them, and learn."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny_sets
from node_bench import BenchContext, offline_store
from safelight.engine import NodeProgress
from safelight.families import load_families
from safelight.sdk import Cancelled, Image, Mask, ModelRef, Patch, ProblemError
from safelight_nodes import latent as latents
from safelight_nodes import models, sampling, text, vae
from safelight_nodes import weights as writing
from safelight_nodes._training.finetune import Noising
from safelight_nodes._training.holes import Holes
from safelight_nodes._training.inpainting import (
    PASSES,
    ROUND,
    Examples,
    Given,
    Loss,
    Settings,
    greyed,
    widen,
)
from safelight_nodes.training import inpainting
from small_denoiser import CPU, small_unet

UNETS = ("sd1", "sd2", "sdxl")
QUICK: dict[str, Any] = {"batch": 2, "learning_rate": 5e-3, "warmup_steps": 2, "ema_decay": 0.5, "seed": 3}
SETTINGS = Settings(0, 1, 3, 1, 1e-3, 1, "constant", "adamw", 0.0, 5.0, 0.0, False, 5)


class Kit:
    """The parts of a tiny model of a family, from a store as the program has it."""

    def __init__(self, home: Path, family: str) -> None:
        if not (home / "models" / family).exists():
            load_families().require(family).tiny(home / "models" / family)
        self.store = offline_store(home)
        self.store.device = lambda: (CPU, torch.float32)
        source = self.store.find(family, "pipeline")
        self.denoiser, self.text, self.vae = (
            ModelRef(kind, family, source, precision="float32") for kind in ("Denoiser", "TextEncoder", "VAE")
        )
        self.family = family

    def context(self, **more: Any) -> BenchContext:
        return BenchContext(self.store, **more)

    def given(self, images: Any = None) -> Given:
        return Given(self.denoiser, self.text, self.vae, images or tiny_sets.image_set(64))

    def learn(self, ctx: BenchContext | None = None, **more: Any) -> Any:
        given = {"updates": 3, **QUICK, **more}
        ctx = ctx or self.context()
        images = given.pop("images", None)
        return inpainting.inpainting(*self.given(images), **given, ctx=ctx)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("families")


def holed(kit: Kit, ctx: BenchContext, seed: int = 1) -> Any:
    """A latent of a noisy image whose hole lies between the cells."""
    pixels = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(seed))
    mask = torch.zeros(1, 64, 64)
    mask[:, 10:50, 20:59] = 1
    return vae.encode_inpaint(kit.vae, Image(pixels), Mask(mask), ctx=ctx)


def drawn(kit: Kit, denoiser: ModelRef[Any], ctx: BenchContext, start: Any = None, **more: Any) -> torch.Tensor:
    positive, negative = (text.encode(kit.text, text=said, ctx=ctx) for said in ("a cat", ""))
    start = holed(kit, ctx) if start is None else start
    given = {"steps": 2, "guidance": 3.0, "seed": 4, "sampler": "euler", **more}
    return sampling.sample(denoiser, positive, negative, start, **given, ctx=ctx).samples


@pytest.mark.parametrize("kind", ["boxes", "ellipses", "strokes", "mixed"])
def test_holes_are_as_large_as_they_are_told(kind: Any) -> None:
    holes = Holes(kind, 0.25, 0.5, 0.0)
    for seed in range(60):
        found = holes.draw(np.random.default_rng(seed), 40, 80)
        assert found.shape == (40, 80) and set(found.unique().tolist()) == {0.0, 1.0}
        down, across = found.amax(1).nonzero(), found.amax(0).nonzero()
        sides = (int(down.max() - down.min()) + 1, int(across.max() - across.min()) + 1)
        assert sides[0] <= 20 and sides[1] <= 40
        if kind in ("boxes", "ellipses"):
            assert sides[0] >= 10 and sides[1] >= 20
            share = float(found.sum()) / (sides[0] * sides[1])
            assert share == (1.0 if kind == "boxes" else pytest.approx(np.pi / 4, abs=0.06))
        assert torch.equal(found, holes.draw(np.random.default_rng(seed), 40, 80)), "the same each time"


def test_mixed_holes_are_of_every_kind_and_some_are_whole() -> None:
    found = [Holes("mixed", 0.3, 0.6, 0.25).draw(np.random.default_rng(seed), 32, 32) for seed in range(200)]
    whole = [float(one.mean()) == 1 for one in found]
    assert 0.15 < sum(whole) / len(whole) < 0.35
    boxes = [float(one.sum()) == float(one.amax(1).sum() * one.amax(0).sum()) for one in found]
    assert 0.15 < (sum(boxes) - sum(whole)) / len(boxes) < 0.45


def test_a_stroke_is_the_way_of_a_round_brush() -> None:
    """Every pixel of it is near another, and it does not fill its box."""
    for seed in range(20):
        found = Holes("strokes", 0.9, 1.0, 0.0).draw(np.random.default_rng(seed), 64, 64)
        assert 0.02 < float(found.mean()) < 0.95
        around = torch.nn.functional.max_pool2d(found[None, None], 3, 1, 1) - found
        assert float(around.sum()) > 0
        import cv2

        count, _ = cv2.connectedComponents(found.numpy().astype(np.uint8))
        assert count == 2, "one stroke, beside what is around it"


def test_a_widened_denoiser_predicts_what_it_did() -> None:
    unet = small_unet().eval()
    plain, before = copy.deepcopy(unet), {name: value.clone() for name, value in unet.state_dict().items()}
    widen(unet)
    assert unet.config.in_channels == 9
    noisy, seen, said = torch.randn(2, 4, 8, 8), torch.randn(2, 5, 8, 8), torch.randn(2, 5, 32)
    with torch.no_grad():
        wanted = plain(noisy, 7, said).sample
        assert torch.allclose(unet(torch.cat([noisy, seen], 1), 7, said).sample, wanted, atol=1e-6)
        assert not torch.allclose(wanted, plain(noisy + 0.1, 7, said).sample, atol=1e-3), "it looks at what it is given"
    after = unet.state_dict()
    assert torch.equal(after["conv_in.weight"][:, :4], before["conv_in.weight"])
    assert not bool(after["conv_in.weight"][:, 4:].any())
    assert all(torch.equal(after[name], value) for name, value in before.items() if name != "conv_in.weight")
    widen(unet)
    assert unet.conv_in.weight.shape[1] == 9, "one that sees holes stays as it is"
    unet.register_to_config(in_channels=5)
    with pytest.raises(ProblemError) as caught:
        widen(unet)
    assert [(one.code, one.port) for one in caught.value.problems] == [("model_not_supported", "model")]


def test_what_is_seen_is_what_the_node_for_inpainting_makes(place: Path) -> None:
    """Holes and masked latents of training are those that vae.encode_inpaint gives the sampler."""
    kit = Kit(place, "sd1")
    ctx = kit.context()
    batch = Examples(kit.given(), Holes(whole=0.2), 3, 5, kit.family, ctx).round(0, 1)[0]
    made = vae.encode_inpaint(kit.vae, Image(batch.pixels), Mask(batch.coverage), ctx=ctx)
    assert made.hole is not None and made.masked is not None
    assert torch.equal(batch.clean, made.samples)
    assert torch.equal(batch.seen, torch.cat([made.hole, made.masked], 1))
    assert bool((greyed(batch.pixels, batch.coverage)[batch.coverage > 0] == 0.5).all())
    assert len(batch.said) == 3


def test_a_round_is_learned_from_several_times_and_depends_on_its_number_alone(place: Path) -> None:
    kit = Kit(place, "sd1")
    one, other = (Examples(kit.given(), Holes(), 2, 5, kit.family, kit.context()) for _ in range(2))
    first = [one.at(step).clean for step in range(ROUND * PASSES)]
    assert all(torch.equal(first[step], first[step % ROUND]) for step in range(len(first)))
    assert not torch.equal(first[0], first[1])
    late = ROUND * PASSES + 1
    assert not torch.equal(one.at(late).clean, first[1])
    assert torch.equal(one.at(late).seen, other.at(late).seen), "a run that goes on there has the same examples"


def test_images_of_several_sizes_come_by_size(place: Path) -> None:
    kit = Kit(place, "sd1")
    images = tiny_sets.image_set(64)
    images = replace(images, sizes=tuple((64, 64) if number % 2 else (40, 61) for number in range(18)))
    examples = Examples(kit.given(images), Holes(), 3, 5, kit.family, kit.context())
    cells = examples.downsampling
    sizes = {tuple(batch.pixels.shape[1:3]) for number in range(4) for batch in examples.round(number)}
    cells = examples.downsampling
    assert sizes == {(64, 64), (40 // cells * cells, 61 // cells * cells)}


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_loss_is_that_of_its_formula(prediction: str, place: Path) -> None:
    """A guess that is off by a constant has, as the loss, its square, weighed by min(SNR (+ 1), gamma) / SNR (+ 1)."""
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    kit = Kit(place, "sd1")
    schedule: Any = DDPMScheduler(beta_schedule="scaled_linear", prediction_type=prediction)
    examples = Examples(kit.given(), Holes(), 3, 5, kit.family, kit.context())
    batch = examples.at(7)
    seen: dict[str, torch.Tensor] = {}

    class Denoiser:
        def predict(self, shown: Any, levels: Any, said: Any) -> Any:
            noisy, more = shown.split([4, 5], dim=1)
            assert torch.equal(more, batch.seen) and list(said) == batch.said
            power = schedule.alphas_cumprod[levels][:, None, None, None]
            noise = (noisy - power.sqrt() * batch.clean) / (1 - power).sqrt()
            seen["snr"] = (power / (1 - power)).flatten()
            velocity = power.sqrt() * noise - (1 - power).sqrt() * batch.clean
            return (noise if prediction == "epsilon" else velocity) + 0.5

    noising = Noising(dict(schedule.config), prediction, 5.0, 0.0)
    loss = Loss(Denoiser(), examples, noising, SETTINGS, CPU, torch.float32)
    ratio = float(loss(7)), seen["snr"] + (prediction == "v_prediction")
    assert ratio[0] == pytest.approx(float((ratio[1].clamp(max=5) / ratio[1] * 0.25).mean()), rel=1e-3)


@pytest.mark.parametrize("rank", [0, 4])
@pytest.mark.parametrize("family", UNETS)
def test_every_unet_learns(family: str, rank: int, place: Path) -> None:
    kit = Kit(place, family)
    ctx = kit.context()
    made = kit.learn(ctx, updates=60, rank=rank, learning_rate=1e-2 if rank else 3e-3, drop_captions=0.0)
    values = [value for _, value in made.curve]
    assert sum(values[-20:]) < 0.95 * sum(values[:20])
    assert made.kind == ("lora" if rank else "UNet2DConditionModel")
    assert made.about["holes"] == {"kind": "mixed", "smallest": 0.2, "largest": 0.9, "whole": 0.1}
    assert ctx.steps[-1] == (60, 60)
    if not rank:
        assert made.config["in_channels"] == 9
        assert bool(made.tensors["conv_in.weight"][:, 4:].any())
    assert ctx.warned == []


@pytest.mark.parametrize("family", UNETS)
def test_a_lora_on_the_model_is_the_model_with_it_in_its_weights(family: str, place: Path) -> None:
    """The LoRA, laid on the model it was trained on by the store, draws what the widened and merged UNet draws."""
    kit = Kit(place, family)
    ctx = kit.context()
    made = kit.learn(ctx, updates=4, rank=3, learning_rate=5e-2)
    shape = made.tensors["unet.conv_in.reshape_weight"]
    with ctx.models.lease(kit.denoiser) as lease:
        unet = copy.deepcopy(lease.component.modules["unet"])
    widen(unet)
    assert shape.tolist() == list(unet.conv_in.weight.shape)
    from safelight_nodes._training.folders import plain_config

    state = unet.state_dict()
    for name, down in made.tensors.items():
        if name.endswith(".lora_A.weight"):
            place_of = f"{name.removeprefix('unet.').removesuffix('.lora_A.weight')}.weight"
            up = made.tensors[name.replace("lora_A", "lora_B")]
            state[place_of] += (up.flatten(1) @ down.flatten(1)).reshape(state[place_of].shape)
    merged = replace(made, kind="UNet2DConditionModel", config=plain_config(unet), tensors=state)
    whole = writing.save_finetuned(
        merged, kit.denoiser, kit.text, kit.vae, name=f"{family}_merged", precision="float32", ctx=ctx
    )
    before = drawn(kit, kit.denoiser, ctx)
    laid = writing.save_lora(made, kit.denoiser, name=f"{family}_fills", precision="float32", ctx=ctx)
    found, wanted = drawn(kit, laid, ctx), drawn(kit, whole.model, ctx)
    assert torch.allclose(found, wanted, atol=2e-4 * float(wanted.abs().max()))
    assert not torch.allclose(found, before, atol=1e-2)
    assert ctx.warned == [], "all of it fits"
    assert torch.equal(drawn(kit, kit.denoiser, ctx), before), "the model itself is as it was"


def test_a_lora_that_widens_is_weighed_and_lies_beside_others(place: Path) -> None:
    from safelight_nodes.training import finetuned

    kit = Kit(place, "sd1")
    ctx = kit.context()
    laid = writing.save_lora(
        kit.learn(ctx, updates=4, rank=3, learning_rate=5e-2), kit.denoiser, name="fills", precision="float32", ctx=ctx
    )
    other = finetuned.lora(
        kit.denoiser, kit.text, kit.vae, tiny_sets.image_set(64), None, updates=3, rank=2, **QUICK, ctx=ctx
    )
    styled = writing.save_lora(other, kit.denoiser, name="style", precision="float32", ctx=ctx)
    both = laid.patched(*styled.patches)
    one, two = drawn(kit, laid, ctx), drawn(kit, both, ctx)
    assert not torch.allclose(one, two, atol=1e-3)
    assert torch.equal(one, drawn(kit, laid, ctx))
    (patch,) = laid.patches
    half = kit.denoiser.patched(replace(patch, weight=0.5))
    weaker = drawn(kit, half, ctx)
    assert not torch.allclose(weaker, one, atol=1e-3)
    # Turned off for part of the steps, it is the plain model there.
    late = kit.denoiser.patched(Patch("lora", patch.source, start=0.99, end=1.0))
    assert not torch.allclose(drawn(kit, late, ctx), one, atol=1e-3)
    # Laid on model and text encoder at once, as loras.apply_lora does it, it changes no text.
    plain = text.encode(kit.text, text="a cat", ctx=ctx).prompts[0].embeddings
    said = text.encode(kit.text.patched(*laid.patches), text="a cat", ctx=ctx).prompts[0].embeddings
    assert torch.equal(plain, said)
    assert ctx.warned == []
    # A latent that tells of no hole is refused, as by every inpainting model.
    with pytest.raises(ProblemError) as caught:
        drawn(kit, laid, ctx, latents.empty(kit.vae, width=64, height=64, ctx=ctx))
    assert caught.value.problems[0].code == "inpainting_latent_needed"


def test_going_on_with_an_inpainting_model(place: Path) -> None:
    """A model that sees holes is trained on as it is; a LoRA for it widens nothing."""
    kit = Kit(place, "sd1")
    ctx = kit.context()
    whole = writing.save_finetuned(
        kit.learn(ctx), kit.denoiser, kit.text, kit.vae, name="sees", precision="float32", ctx=ctx
    )
    index = json.loads((place / "models" / "sees" / "model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusionInpaintPipeline"
    loaded = models.load(model="sees", precision="float32", ctx=ctx)
    first = drawn(kit, loaded.model, ctx)
    assert torch.allclose(first, drawn(kit, whole.model, ctx))
    more = inpainting.inpainting(
        loaded.model, loaded.text, loaded.vae, tiny_sets.image_set(64), updates=3, rank=3, **QUICK, ctx=ctx
    )
    assert not any(name.endswith("reshape_weight") for name in more.tensors)
    laid = writing.save_lora(more, loaded.model, name="more", precision="float32", ctx=ctx)
    assert not torch.allclose(drawn(kit, laid, ctx), first, atol=1e-4)
    assert ctx.warned == []


def test_diffusers_runs_what_was_saved(place: Path) -> None:
    import diffusers

    for family, kind in (("sd1", "StableDiffusionInpaintPipeline"), ("sdxl", "StableDiffusionXLInpaintPipeline")):
        kit = Kit(place, family)
        ctx = kit.context()
        name = f"{family}_whole"
        made = kit.learn(ctx, updates=1)
        writing.save_finetuned(made, kit.denoiser, kit.text, kit.vae, name=name, precision="float32", ctx=ctx)
        loaded: Any = diffusers.DiffusionPipeline.from_pretrained(place / "models" / name)
        assert type(loaded).__name__ == kind
        assert loaded.unet.config.in_channels == 9
        loaded.set_progress_bar_config(disable=True)
        image = torch.rand(1, 3, 64, 64)
        mask = torch.zeros(1, 1, 64, 64)
        mask[..., 10:40, 10:40] = 1
        size = {"height": 64, "width": 64}
        found = loaded("a cat", image=image, mask_image=mask, num_inference_steps=2, **size, output_type="pt").images
        assert found.shape == (1, 3, 64, 64)


def test_cancelled_it_goes_on_to_the_same_weights(place: Path) -> None:
    kit = Kit(place, "sd1")
    steps = ROUND * PASSES + 3
    straight = kit.learn(updates=steps)
    stopped = kit.context(cancel_at=ROUND * PASSES + 1)
    with pytest.raises(Cancelled):
        kit.learn(stopped, updates=steps)
    again = kit.learn(kit.context(state=stopped.kept[-1]), updates=steps)
    assert all(torch.equal(value, again.tensors[name]) for name, value in straight.tensors.items())
    assert straight.curve == again.curve


def test_other_models_and_layouts_are_refused(place: Path) -> None:
    kit = Kit(place, "sd3")
    with pytest.raises(ProblemError) as caught:
        kit.learn()
    assert [(one.code, one.port) for one in caught.value.problems] == [("model_not_supported", "model")]
    kit = Kit(place, "sd1")
    ctx = kit.context()
    made = kit.learn(ctx, updates=1, rank=2)
    with pytest.raises(ProblemError) as caught:
        writing.save_lora(made, kit.denoiser, name="flat", layout="kohya", ctx=ctx)
    assert [(one.code, one.port) for one in caught.value.problems] == [("wrong_weights", "layout")]


@pytest.mark.parametrize("name", ["inpainting", "inpainting_lora"])
def test_the_workflow_ends_in_a_model_that_the_inpaint_workflow_uses(
    name: str, run: Callable[..., Any], home: Path, studio: Any, tmp_path: Path
) -> None:
    rank = {"rank": 2} if name == "inpainting_lora" else {}
    outcome, events = run(name, name=name, model="tiny", updates=3, batch=2, steps=2, shown=2, **rank)
    assert {"curve", "sheet"} <= set(outcome.outputs)
    sheet = outcome.outputs["sheet"][0]
    assert sheet["height"] > 4 * tiny_sets.SIDE and sheet["width"] > 2 * tiny_sets.SIDE
    shown = [event.preview for event in events if isinstance(event, NodeProgress) and event.preview is not None]
    assert shown
    kind = "lora" if rank else "UNet2DConditionModel"
    about = json.loads((home / "models" / name / "training.json").read_text())[kind]
    assert about["updates"] == 3
    if rank:
        return
    config = json.loads((home / "models" / name / "unet" / "config.json").read_text())
    assert config["in_channels"] == 2 * config["out_channels"] + 1
    document = studio.read(Path("workflows") / "inpaint.json").with_inputs({"model": name, "steps": 2})
    made = studio.run(document, output=tmp_path)
    assert [problem.message for problem in made.result.problems] == []
