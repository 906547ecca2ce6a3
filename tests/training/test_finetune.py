"""Fine-tuning: one trainer for every family, its noise held against diffusers, its results loaded by others."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_sets
from node_bench import BenchContext, offline_store
from safelight.families import load_families
from safelight.sdk import Conditioning, Latent, ModelRef, Patch, ProblemError, SampleRequest
from safelight.sdk.models import Source
from safelight_nodes import weights as writing
from safelight_nodes._training.adapters import add_lora, kohya, lora_tensors
from safelight_nodes._training.finetune import Examples, Loss, Noising, Reader, Settings
from safelight_nodes.training import finetuned

UNETS = ("sd1", "sd2", "sdxl")
FLOWS = ("sd3", "flux", "z_image", "qwen_image", "flux2")
QUICK: dict[str, Any] = {"batch": 2, "learning_rate": 5e-3, "warmup_steps": 2, "ema_decay": 0.5, "seed": 3}
SETTINGS = Settings(1, 2, 1, 1e-3, 1, "constant", "adamw", 0.0, 0.0, 0.0, 0.0, False, 1.0, False, 5)


class Kit:
    """The parts of a tiny model of a family, from a store as the program has it."""

    def __init__(self, home: Path, family: str) -> None:
        if not (home / "models" / family).exists():
            load_families().require(family).tiny(home / "models" / family)
        self.store = offline_store(home)
        self.store.device = lambda: (torch.device("cpu"), torch.float32)
        self.family = family
        self.denoiser, self.text, self.vae = (self.ref(kind, family) for kind in ("Denoiser", "TextEncoder", "VAE"))

    def ref(self, kind: str, name: str) -> ModelRef[Any]:
        return ModelRef(kind, self.family, self.store.find(name, "pipeline"), precision="float32")

    def context(self, **more: Any) -> BenchContext:
        return BenchContext(self.store, **more)

    def lora(self, ctx: BenchContext | None = None, **more: Any) -> Any:
        given = {"updates": 3, "rank": 2, **QUICK, **more}
        images, prior = given.pop("images", tiny_sets.image_set(64)), given.pop("prior", None)
        return finetuned.lora(self.denoiser, self.text, self.vae, images, prior, **given, ctx=ctx or self.context())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("families")


def request(denoiser: Any, samples: torch.Tensor, said: Conditioning, **more: Any) -> SampleRequest:
    return SampleRequest(
        positive=said,
        negative=None,
        latent=Latent(torch.zeros_like(samples), denoiser.family.id),
        guidance=1.0,
        scheduler="model",
        seed=0,
        **{"sampler": "euler", **more},
    )


@pytest.mark.parametrize("family", FLOWS)
def test_a_flow_is_what_the_sampler_goes_by(family: str, place: Path) -> None:
    """One step of euler from pure noise to 0 is the noise less the flow, whatever the family packs or turns round."""
    kit = Kit(place, family)
    ctx = kit.context()
    with ctx.models.lease(kit.denoiser) as lease, ctx.models.lease(kit.text) as text:
        said = text.component.encode("a cat", ctx)
        channels = kit.store.families[family].latent.channels
        noise = torch.randn(1, channels, 8, 8, generator=torch.Generator().manual_seed(1))
        step = request(lease.component, noise, said, steps=1, sigmas=(1.0, 0.0), noise=noise)
        reached = lease.component.sample(step, ctx).samples
        flow = lease.component.predict(noise, torch.ones(1), [said])
    assert torch.allclose(noise - flow, reached, atol=1e-4)


@pytest.mark.parametrize("family", UNETS)
def test_a_prediction_is_what_the_sampler_goes_by(family: str, place: Path) -> None:
    """One step of ddim to the clean latent, from the formula of diffusers and from our own call."""
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    kit = Kit(place, family)
    ctx = kit.context()
    with ctx.models.lease(kit.denoiser) as lease, ctx.models.lease(kit.text) as text:
        denoiser = lease.component
        said = text.component.encode("a cat", ctx)
        noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
        scheduler: Any = DDIMScheduler.from_config({**denoiser.scheduler, "clip_sample": False})
        scheduler.set_timesteps(1)
        (time,) = scheduler.timesteps
        with torch.no_grad():
            told = denoiser.predict(noise, time[None], [said])
        wanted = scheduler.step(told, time, noise).prev_sample
        step = request(denoiser, noise, said, steps=1, noise=noise, sampler="ddim")
        reached = denoiser.sample(step, ctx).samples
    assert torch.allclose(wanted, reached, atol=1e-3 * float(wanted.abs().max()))


@pytest.mark.parametrize("family", (*UNETS, *FLOWS))
def test_every_family_learns_what_it_is_shown(family: str, place: Path) -> None:
    """The error on the same noise falls: what is learned is the images, not one draw of noise."""
    kit = Kit(place, family)
    ctx = kit.context()
    images = tiny_sets.image_set(64)
    made = kit.lora(ctx, updates=16, rank=4, images=images, learning_rate=2e-2)
    part = "unet" if family in UNETS else "transformer"
    assert all(name.startswith(f"{part}.") for name in made.tensors)

    def error(denoiser: ModelRef[Any]) -> float:
        with torch.no_grad(), ctx.models.lease(denoiser) as lease, ctx.models.lease(kit.text) as text:
            examples = Examples(ctx, images, kit.vae, family, False, 9)
            noising = Noising(lease.component.scheduler, lease.component.prediction, 0.0, 0.0)
            read = Reader(text.component, ctx, learns=False)
            loss = Loss(lease.component, read, [(examples, 1.0)], noising, SETTINGS, torch.device("cpu"), torch.float32)
            return sum(float(loss(step)) for step in range(1000, 1006))

    with_it = writing.save_lora(made, kit.denoiser, name=f"{family}_lora", precision="float32", ctx=ctx)
    assert error(with_it) < 0.97 * error(kit.denoiser)
    assert ctx.warned == []


def test_text_encoders_learn_along(place: Path) -> None:
    kit = Kit(place, "sdxl")
    ctx = kit.context()
    made = kit.lora(ctx, text_rate=0.5)
    parts = {name.partition(".")[0] for name in made.tensors}
    assert parts == {"unet", "text_encoder", "text_encoder_2"}
    for part in parts:  # all but the last layer of a tower of which only the one before it is read
        moved = [float(one.abs().sum()) > 0 for name, one in made.tensors.items() if name.startswith(f"{part}.")]
        assert sum(moved) > 0.75 * len(moved)
    writing.save_lora(made, kit.denoiser, name="both", precision="float32", ctx=ctx)
    patched = kit.text.patched(Patch("lora", ctx.models.find("both", "lora")))
    with torch.no_grad(), ctx.models.lease(kit.text) as plain:
        before = plain.component.encode("a cat", ctx).prompts[0]
    with torch.no_grad(), ctx.models.lease(patched) as changed:
        assert not changed.settings.get("warnings"), "all of it fits"
        after = changed.component.encode("a cat", ctx).prompts[0]
    assert not torch.allclose(before.embeddings, after.embeddings)
    assert before.pooled is not None and after.pooled is not None
    assert not torch.allclose(before.pooled, after.pooled)


@pytest.mark.parametrize("family", ["sd1", "sdxl", "flux"])
def test_diffusers_loads_it(family: str, place: Path, tmp_path: Path) -> None:
    from diffusers import DiffusionPipeline

    kit = Kit(place, family)
    ctx = kit.context()
    made = kit.lora(ctx, alpha=4.0, targets="attention")
    writing.save_lora(made, kit.denoiser, name="theirs", precision="float32", ctx=ctx)
    pipeline: Any = DiffusionPipeline.from_pretrained(place / "models" / family)
    pipeline.load_lora_weights(place / "models" / "theirs")
    module = pipeline.unet if family in UNETS else pipeline.transformer
    part = "unet" if family in UNETS else "transformer"
    theirs = {
        name.replace(".default_0.", "."): tensor for name, tensor in module.state_dict().items() if ".lora_" in name
    }
    ours = {name.removeprefix(f"{part}."): tensor for name, tensor in made.tensors.items()}
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) for name in ours)


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_the_layout_of_other_programs_is_the_same_lora(family: str, place: Path) -> None:
    kit = Kit(place, family)
    ctx = kit.context()
    made = kit.lora(ctx)
    said = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    found = []
    for layout in ("diffusers", "kohya"):
        ref = writing.save_lora(made, kit.denoiser, name=f"in_{layout}", precision="float32", layout=layout, ctx=ctx)
        with torch.no_grad(), ctx.models.lease(ref) as lease, ctx.models.lease(kit.text) as text:
            assert not lease.settings.get("warnings")
            prompt = text.component.encode("a cat", ctx)
            found.append(lease.component.predict(said, torch.tensor([500]), [prompt]))
    assert torch.allclose(found[0], found[1], atol=1e-5)
    with torch.no_grad(), ctx.models.lease(kit.denoiser) as lease, ctx.models.lease(kit.text) as text:
        plain = lease.component.predict(said, torch.tensor([500]), [text.component.encode("a cat", ctx)])
    assert not torch.allclose(found[0], plain, atol=1e-4)


def test_a_transformer_has_no_such_layout(place: Path) -> None:
    kit = Kit(place, "flux")
    with pytest.raises(ProblemError) as caught:
        writing.save_lora(kit.lora(updates=1), kit.denoiser, layout="kohya", ctx=kit.context())
    assert caught.value.problems[0].port == "layout"


def test_names_of_other_programs() -> None:
    pair = {
        "unet.down.0.to_out.0.lora_A.weight": torch.zeros(3, 8),
        "unet.down.0.to_out.0.lora_B.weight": torch.zeros(8, 3),
    }
    found = kohya(pair | {"text_encoder.text_model.q.lora_A.weight": torch.zeros(3, 8)})
    assert set(found) == {
        "lora_unet_down_0_to_out_0.lora_down.weight", "lora_unet_down_0_to_out_0.lora_up.weight",
        "lora_unet_down_0_to_out_0.alpha", "lora_te_text_model_q.lora_down.weight", "lora_te_text_model_q.alpha",
    }  # fmt: skip
    assert float(found["lora_unet_down_0_to_out_0.alpha"]) == 3


def test_alpha_is_in_the_weights() -> None:
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.Linear(6, 5, bias=False)

    net = Net()
    add_lora(net, 2, 0, alpha=6.0)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.5)
    found = lora_tensors(net)
    x = torch.randn(3, 6)
    low = x @ found["unet.inner.lora_A.weight"].T @ found["unet.inner.lora_B.weight"].T
    assert torch.allclose(net.inner(x), x @ net.inner.base_layer.weight.T + low, atol=1e-6)
    assert float(found["unet.inner.lora_B.weight"][0, 0]) == 1.5


def test_noise_is_that_of_diffusers() -> None:
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    config = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
    clean = torch.randn(6, 4, 8, 8, generator=torch.Generator().manual_seed(7))
    schedule: Any = DDPMScheduler(**config)
    for prediction in ("epsilon", "v_prediction", "sample"):
        found = Noising(config, prediction, 5.0, 0.0)(clean, torch.Generator().manual_seed(3))
        power = schedule.alphas_cumprod[found.levels]
        noise = (found.noisy - power.sqrt()[:, None, None, None] * clean) / (1 - power).sqrt()[:, None, None, None]
        wanted = {"epsilon": noise, "sample": clean, "v_prediction": schedule.get_velocity(clean, noise, found.levels)}
        assert torch.allclose(found.aim, wanted[prediction], atol=1e-4)
        snr = power / (1 - power)
        weight = {
            "epsilon": snr.clamp(max=5) / snr, "v_prediction": (snr + 1).clamp(max=5) / (snr + 1),
            "sample": snr.clamp(max=5),
        }[prediction]  # fmt: skip
        assert torch.allclose(found.weights, weight, atol=1e-5)


def test_noise_from_pure_noise_on_and_offset_noise() -> None:
    zero = {"beta_schedule": "scaled_linear", "rescale_betas_zero_snr": True}
    for prediction in ("epsilon", "v_prediction"):
        noising = Noising(zero, prediction, 5.0, 0.0)
        found = noising._weights(torch.tensor([999, 0]))
        assert torch.isfinite(found).all()
    clean = torch.zeros(64, 4, 8, 8)
    plain, offset = (Noising({}, "epsilon", 0.0, size)(clean, torch.Generator().manual_seed(1)) for size in (0.0, 0.5))
    assert float(plain.aim.mean((2, 3)).std()) == pytest.approx(1 / 8, rel=0.15)
    assert float(offset.aim.mean((2, 3)).std()) == pytest.approx((1 / 64 + 0.25) ** 0.5, rel=0.15)


def test_a_flow_goes_straight_from_image_to_noise() -> None:
    clean = torch.randn(4000, 1, 1, 2, generator=torch.Generator().manual_seed(1))
    found = Noising({"shift": 3.0}, "flow", 5.0, 0.0)(clean, torch.Generator().manual_seed(2))
    share = found.levels[:, None, None, None]
    assert torch.allclose(found.noisy, clean + share * found.aim, atol=1e-5)
    assert float(found.levels.median()) == pytest.approx(3 / 4, abs=0.02), "the middle, 1/2, shifted: 3 s / (1 + 2 s)"
    assert bool((found.weights == 1).all())


def test_the_class_holds_the_model_to_what_it_knew(place: Path) -> None:
    """The loss with a prior is that of the images and, times its weight, that of the class."""
    kit = Kit(place, "sd1")
    ctx = kit.context()
    images = tiny_sets.image_set(64)
    with torch.no_grad(), ctx.models.lease(kit.denoiser) as lease, ctx.models.lease(kit.text) as text:
        noising = Noising(lease.component.scheduler, "epsilon", 0.0, 0.0)
        read = Reader(text.component, ctx, learns=False)
        own = Examples(ctx, images, kit.vae, "sd1", False, 1)
        other = Examples(ctx, images, kit.vae, "sd1", False, 2)

        def loss(*parts: Any) -> float:
            made = Loss(lease.component, read, parts, noising, SETTINGS, torch.device("cpu"), torch.float32)
            return float(made(4))

        first, both, double = loss((own, 1.0)), loss((own, 1.0), (other, 1.0)), loss((own, 1.0), (other, 2.0))
    assert first < both < double
    assert double - both == pytest.approx(both - first, rel=1e-4)


def test_dreambooth_writes_a_whole_model(place: Path) -> None:
    from diffusers import DiffusionPipeline

    for family in ("sd1", "sdxl", "sd3"):
        kit = Kit(place, family)
        ctx = kit.context()
        made = finetuned.dreambooth(
            kit.denoiser, kit.text, kit.vae, tiny_sets.image_set(64), tiny_sets.image_set(64), updates=2, **QUICK,
            ctx=ctx,
        )  # fmt: skip
        saved = writing.save_finetuned(
            made, kit.denoiser, kit.text, kit.vae, name=f"own_{family}", precision="float32", ctx=ctx
        )
        assert saved.model.source != kit.denoiser.source
        with ctx.models.lease(saved.model) as lease:
            part = "unet" if family in UNETS else "transformer"
            kept = lease.component.modules[part].state_dict()
            assert all(torch.equal(kept[name], tensor) for name, tensor in made.tensors.items() if name in kept)
            scheduler = dict(lease.component.scheduler)
        with ctx.models.lease(kit.denoiser) as lease:
            for key in ("beta_end", "prediction_type", "shift"):
                assert scheduler.get(key) == lease.component.scheduler.get(key)
        pipeline: Any = DiffusionPipeline.from_pretrained(place / "models" / f"own_{family}")
        assert type(pipeline).__name__ == kit.store.families[family].pipeline


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_word_is_learned_and_prompts_say_it(family: str, place: Path) -> None:
    kit = Kit(place, family)
    ctx = kit.context()
    made = finetuned.textual_inversion(
        kit.denoiser,
        kit.text,
        kit.vae,
        tiny_sets.image_set(64),
        vectors=3,
        initial="a cat",
        updates=4,
        **QUICK,
        ctx=ctx,
    )
    assert list(made.tensors) == (["emb_params"] if family == "sd1" else ["clip_l", "clip_g"])
    assert all(tensor.shape[0] == 3 for tensor in made.tensors.values())
    assert writing.save_embedding(made, name=f"word-{family}", ctx=ctx) == f"embedding:word-{family}"
    file = place / "models" / "embeddings" / f"word-{family}.safetensors"
    assert file.is_file()
    with torch.no_grad(), ctx.models.lease(kit.text) as text:
        said = text.component.encode(f"a photo of embedding:word-{family}", ctx).prompts[0]
        plain = text.component.encode("a photo of", ctx).prompts[0]
    assert not torch.allclose(said.embeddings, plain.embeddings)


def test_the_vectors_of_a_word_get_the_gradients_of_the_image(place: Path) -> None:
    kit = Kit(place, "sd1")
    ctx = kit.context()
    given = {"vectors": 2, "initial": "cat", "updates": 12, **QUICK}
    made = finetuned.textual_inversion(kit.denoiser, kit.text, kit.vae, tiny_sets.image_set(64), **given, ctx=ctx)
    with ctx.models.lease(kit.text) as text:
        module = next(iter(text.component.modules.values()))
        token = text.component.tokenizers[0]("cat", add_special_tokens=False).input_ids[0]
        before = module.get_input_embeddings().weight[token].detach()
    moved = (made.tensors["emb_params"] - before).abs().amax(1)
    assert bool((moved > 1e-4).all()), "both have moved from where they began"


def test_families_without_embeddings_say_so(place: Path) -> None:
    kit = Kit(place, "flux")
    with pytest.raises(ProblemError) as caught:
        finetuned.textual_inversion(
            kit.denoiser, kit.text, kit.vae, tiny_sets.image_set(64), updates=1, **QUICK, ctx=kit.context()
        )
    assert caught.value.problems[0].code == "feature_not_in_family"


def test_captions_of_a_word_have_a_place_for_it(place: Path) -> None:
    kit = Kit(place, "sd1")
    with pytest.raises(ProblemError) as caught:
        finetuned.textual_inversion(
            kit.denoiser, kit.text, kit.vae, tiny_sets.image_set(64), captions="a photo", ctx=kit.context()
        )
    assert [(one.code, one.port) for one in caught.value.problems] == [("bad_value", "captions")]


def test_models_of_videos_are_refused(place: Path) -> None:
    with pytest.raises(ProblemError) as caught:
        Kit(place, "wan").lora()
    assert [(one.code, one.port) for one in caught.value.problems] == [("model_not_supported", "model")]


def test_settings_that_a_flow_does_not_look_at_are_told(place: Path) -> None:
    kit = Kit(place, "flux")
    ctx = kit.context()
    kit.lora(ctx, updates=1, noise_offset=0.1)
    assert [(one.code, one.port) for one in ctx.warned] == [("setting_unused", "noise_offset")]


def test_a_patched_model_and_language_models_are_refused(place: Path) -> None:
    kit = Kit(place, "flux")
    patched = replace(kit.denoiser, patches=(Patch("lora", Source("file", "x")),))
    with pytest.raises(ProblemError) as caught:
        finetuned.lora(patched, kit.text, kit.vae, tiny_sets.image_set(64), None, ctx=kit.context())
    assert caught.value.problems[0].code == "patched_model"
    with pytest.raises(ProblemError) as caught:
        Kit(place, "z_image").lora(text_rate=0.5)
    assert [(one.code, one.port) for one in caught.value.problems] == [("model_not_supported", "text_rate")]


@pytest.mark.parametrize("optimiser", ["adamw", "lion", "prodigy"])
def test_a_cancelled_one_goes_on_to_the_same_weights(optimiser: Any, place: Path) -> None:
    from safelight.sdk import Cancelled

    if optimiser == "prodigy":
        pytest.importorskip("prodigyopt")
    kit = Kit(place, "sd1")
    more = {"updates": 6, "optimiser": optimiser, "dropout": 0.3, "accumulate": 2, "drop_captions": 0.3, "batch": 1}
    straight = kit.lora(**more)
    images = len(tiny_sets.image_set(64).entries)
    ctx = kit.context(cancel_at=images + 3)
    with pytest.raises(Cancelled):
        kit.lora(ctx, **more)
    assert ctx.steps[-1] == (3, 6)
    torch.manual_seed(1234)
    again = kit.context(state=ctx.kept[-1])
    resumed = kit.lora(again, **more)
    assert again.steps[0] == (4, 6)
    assert all(torch.equal(straight.tensors[name], resumed.tensors[name]) for name in straight.tensors)


def test_accumulated_passes_are_one_update_of_their_mean(place: Path) -> None:
    from safelight_nodes._training.loop import Course, fit

    def trained(accumulate: int, batch: int) -> torch.Tensor:
        parameter = torch.nn.Parameter(torch.zeros(3))
        rows = torch.randn(4, 3, generator=torch.Generator().manual_seed(2))

        def loss(step: int) -> torch.Tensor:
            return (rows[step * batch : (step + 1) * batch] - parameter).square().mean()

        fit([{"params": [parameter]}], loss, Course(1, 0.1, 0, "constant", 0.0, accumulate=accumulate), BenchContext())
        return parameter.detach()

    assert torch.allclose(trained(4, 1), trained(1, 4), atol=1e-6)


def test_lion_is_the_program_of_its_paper() -> None:
    from safelight_nodes._training.optimisers import optimiser

    parameter = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    made = optimiser("lion", [{"params": [parameter], "lr": 0.1}], 0.1, (0.9, 0.99), 0.5)
    x, mean = torch.tensor([1.0, -2.0]), torch.zeros(2)
    for gradient in (torch.tensor([0.3, -0.1]), torch.tensor([-4.0, -0.2]), torch.tensor([0.1, 5.0])):
        parameter.grad = gradient.clone()
        made.step()
        x = x - 0.1 * ((0.9 * mean + 0.1 * gradient).sign() + 0.5 * x)
        mean = 0.99 * mean + 0.01 * gradient
        assert torch.allclose(parameter.detach(), x, atol=1e-6)


def test_gradient_checkpointing_changes_nothing(place: Path) -> None:
    for family in ("sd1", "flux"):
        kit = Kit(place, family)
        plain, saving = kit.lora(), kit.lora(checkpointing=True)
        assert [value for _, value in saving.curve] == pytest.approx([value for _, value in plain.curve], rel=1e-4)


def test_samples_are_drawn_as_it_goes(place: Path) -> None:
    kit = Kit(place, "sd1")
    ctx = kit.context(previews=True)
    kit.lora(ctx, prompt="a cat")
    assert ctx.shown[-1].pixels.shape == (1, 64, 256, 3)


def test_the_workflow_ends_in_a_sheet(run: Callable[..., Any], home: Path) -> None:
    outcome, _ = run("lora", model="tiny", updates=2, batch=1, size=64, rank=2, name="mine", prompts=["a", "b"])
    assert {"curve", "sheet"} <= set(outcome.outputs)
    about = json.loads((home / "models" / "mine" / "training.json").read_text())["lora"]
    assert (about["rank"], about["updates"], about["family"]) == (2, 2, "sd2")
