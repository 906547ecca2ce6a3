"""LoRAs on leased components: equal to diffusers, gone without a trace, never seen by another lease."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_models
from models.recipes import FAMILIES, lora, module, ref
from safelight.models import ModelStore
from safelight.sdk import ModelRef, Patch, ProblemError


def noise(component: Any, family: str) -> torch.Tensor:
    """What a denoiser says of a fixed latent and text."""
    random = torch.Generator().manual_seed(0)
    width = 64 if family == "sdxl" else 32
    added = None
    if family == "sdxl":
        added = {"text_embeds": torch.randn(1, 32, generator=random), "time_ids": torch.ones(1, 6)}
    latent, text = torch.randn(1, 4, 8, 8, generator=random), torch.randn(1, 7, width, generator=random)
    component = getattr(component, "unet", component)
    dtype = component.dtype
    added = added and {key: value.to(dtype) for key, value in added.items()}
    with torch.no_grad():
        return component(latent.to(dtype), 400, text.to(dtype), added_cond_kwargs=added, return_dict=False)[0]


def words(component: Any) -> torch.Tensor:
    """What the text encoders say of a fixed text."""
    ids = torch.tensor([[568, 320, 524, 569]])
    with torch.no_grad():
        return torch.cat([encoder(ids).last_hidden_state for encoder in component.encoders])


def diffusers_pipeline(home: Path, family: str) -> Any:
    import diffusers

    cls = diffusers.StableDiffusionXLPipeline if family == "sdxl" else diffusers.StableDiffusionPipeline
    return cls.from_pretrained(home / "models" / family)


def encoders_of(pipeline: Any) -> Any:
    from types import SimpleNamespace

    found = (pipeline.text_encoder, getattr(pipeline, "text_encoder_2", None))
    return SimpleNamespace(encoders=tuple(encoder for encoder in found if encoder is not None))


@pytest.mark.parametrize("weights", [{"": 1.0}, {"_kohya": 0.6}, {"": 0.7, "_kohya": -0.4}], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_equal_to_diffusers(store: ModelStore, home: Path, family: str, weights: dict[str, float]) -> None:
    pipeline = diffusers_pipeline(home, family)
    for style in weights:
        pipeline.load_lora_weights(
            str(home / "models" / "lora" / f"{family}{style}.safetensors"), adapter_name=f"x{style}"
        )
    pipeline.set_adapters([f"x{style}" for style in weights], list(weights.values()))
    patches = tuple(lora(store, f"{family}{style}", weight) for style, weight in weights.items())
    with store.lease(ref(store, "Denoiser", family, patches=patches)) as lease:
        assert torch.equal(noise(lease.component, family), noise(pipeline.unet, family))
        assert not any(parameter.requires_grad for parameter in module(lease).parameters())
    with store.lease(ref(store, "TextEncoder", family, patches=patches)) as lease:
        assert torch.equal(words(lease.component), words(encoders_of(pipeline)))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_afterwards_the_bare_model_is_the_same_bit_for_bit(store: ModelStore, family: str, precision: Any) -> None:
    bare = ref(store, "Denoiser", family, precision=precision)
    text = ref(store, "TextEncoder", family, precision=precision)
    with store.lease(bare) as lease:
        before = noise(lease.component, family)
        weights = {name: tensor.clone() for name, tensor in module(lease).state_dict().items()}
        component = module(lease)
    with store.lease(text) as lease:
        said = words(lease.component)
    patch = lora(store, family, 0.8)
    for recipe, speak in ((bare.patched(patch), None), (text.patched(patch), words)):
        with store.lease(recipe) as lease:
            out = speak(lease.component) if speak else noise(lease.component, family)
            assert out.dtype == getattr(torch, precision)
            assert not torch.equal(out, said if speak else before)
    with store.lease(bare) as lease:
        assert module(lease) is component
        assert torch.equal(noise(lease.component, family), before)
        now = {name.replace(".base_layer", ""): t for name, t in component.state_dict().items() if "lora_" not in name}
        assert now.keys() == weights.keys()
        assert all(torch.equal(tensor, weights[name]) for name, tensor in now.items())
    with store.lease(text) as lease:
        assert torch.equal(words(lease.component), said)


def test_a_lora_is_read_once_and_comes_back_with_any_weight(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from safelight.models.lora import Attached

    read: list[str] = []
    real = Attached.attach

    def attach(self: Any, source: Any, *rest: Any) -> None:
        read.append(source.name)
        real(self, source, *rest)

    monkeypatch.setattr(Attached, "attach", attach)
    out = []
    for weight in (0.5, 1.0, 0.5):
        with store.lease(ref(store, "Denoiser", "sd1", patches=(lora(store, "sd1", weight),))) as lease:
            out.append(noise(lease.component, "sd1"))
    assert read == ["lora/sd1.safetensors"]
    assert torch.equal(out[0], out[2]) and not torch.equal(out[0], out[1])
    (model,) = store.loaded()
    assert model.loras == ("lora/sd1.safetensors",)


def test_the_same_lora_twice_is_its_weights_added(store: ModelStore) -> None:
    with store.lease(ref(store, "Denoiser", "sd1", patches=(lora(store, "sd1", 0.25), lora(store, "sd1", 0.5)))) as one:
        twice = noise(one.component, "sd1")
    with store.lease(ref(store, "Denoiser", "sd1", patches=(lora(store, "sd1", 0.75),))) as other:
        assert torch.equal(twice, noise(other.component, "sd1"))


def test_leases_at_the_same_time_do_not_see_each_others_lora(store: ModelStore) -> None:
    bare = ref(store, "Denoiser", "sd1")
    with store.lease(bare) as plain:
        before = noise(plain.component, "sd1")
        with store.lease(bare.patched(lora(store, "sd1"))) as patched:
            assert module(patched) is not module(plain)
            assert torch.equal(noise(plain.component, "sd1"), before)
            assert not torch.equal(noise(patched.component, "sd1"), before)
            with store.lease(bare.patched(lora(store, "sd1"))) as shared:
                assert module(shared) is module(patched)
            with store.lease(bare.patched(lora(store, "sd1", 0.5))) as third:
                assert module(third) not in (module(plain), module(patched))
        assert torch.equal(noise(plain.component, "sd1"), before)


def test_a_lora_of_another_family_is_refused_and_leaves_nothing_behind(store: ModelStore) -> None:
    bare = ref(store, "Denoiser", "sd1")
    with store.lease(bare) as lease:
        before = noise(lease.component, "sd1")
    with pytest.raises(ProblemError) as caught, store.lease(bare.patched(lora(store, "sdxl"))):
        pass
    assert caught.value.problems[0].code == "wrong_family"
    with store.lease(bare) as lease:
        assert torch.equal(noise(lease.component, "sd1"), before)


def test_one_that_does_not_say_its_family_is_refused_by_its_shapes(
    make_store: Callable[..., ModelStore], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    tiny_models.tiny_sd1(tmp_path / "models" / "sd1")
    for style in ("diffusers", "kohya"):
        file = tiny_models.tiny_lora(tmp_path / "models" / f"{style}.safetensors", "sdxl", style=style)
        kept = {
            name: tensor
            for name, tensor in load_file(file).items()
            if not name.startswith(("text_encoder_2", "lora_te2"))
        }
        file.unlink()
        save_file(kept, file)
    store = make_store(tmp_path)
    bare = ref(store, "Denoiser", "sd1")
    with store.lease(bare) as lease:
        before = noise(lease.component, "sd1")
    for style in ("diffusers", "kohya"):
        source = store.find(f"{style}.safetensors")
        assert store.family(source) == ""
        with pytest.raises(ProblemError) as caught, store.lease(bare.patched(Patch("lora", source))):
            pass
        (problem,) = caught.value.problems
        assert problem.code == "lora_unfit" and f"{style}.safetensors" in problem.message
    with store.lease(bare) as lease:
        assert torch.equal(noise(lease.component, "sd1"), before)


def test_a_lora_without_text_encoders_leaves_them_alone(make_store: Callable[..., ModelStore], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    tiny_models.tiny_sd1(tmp_path / "models" / "sd1")
    file = tiny_models.tiny_lora(tmp_path / "models" / "l.safetensors", "sd1")
    kept = {name: tensor for name, tensor in load_file(file).items() if name.startswith("unet.")}
    file.unlink()
    save_file(kept, file)
    store = make_store(tmp_path)
    text = ref(store, "TextEncoder", "sd1")
    with store.lease(text) as lease:
        before = words(lease.component)
    with store.lease(text.patched(Patch("lora", store.find("l.safetensors")))) as lease:
        assert torch.equal(words(lease.component), before)


def test_nothing_is_printed_and_no_lora_is_no_patch(store: ModelStore, capfd: pytest.CaptureFixture[str]) -> None:
    bare = ref(store, "Denoiser", "sdxl")
    with store.lease(bare) as lease:
        component = module(lease)
        capfd.readouterr()
        with store.lease(bare.patched(lora(store, "sdxl", 0.0))) as same:
            assert module(same) is component
    for style in ("", "_kohya"):
        for kind in ("Denoiser", "TextEncoder"):
            with store.lease(ref(store, kind, "sdxl", patches=(lora(store, f"sdxl{style}"),))):
                pass
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""


def test_what_is_no_lora_is_refused(store: ModelStore) -> None:
    patch = Patch("lora", store.find("control/sd1"))
    with (
        pytest.raises(ProblemError) as caught,
        store.lease(ModelRef("Denoiser", "sd1", store.find("sd1")).patched(patch)),
    ):
        pass
    assert caught.value.problems[0].code == "wrong_model"


def test_loras_that_pile_up_are_let_go_and_the_last_one_takes_its_wrapping_with_it(
    make_store: Callable[..., ModelStore], tmp_path: Path
) -> None:
    from safelight.models.lora import Attached

    tiny_models.tiny_sd1(tmp_path / "models" / "sd1")
    names = [f"l{number}" for number in range(24)]
    for number, name in enumerate(names):
        tiny_models.tiny_lora(tmp_path / "models" / "lora" / f"{name}.safetensors", "sd1", seed=number)
    store = make_store(tmp_path)
    bare = ref(store, "TextEncoder", "sd1")
    with store.lease(bare) as lease:
        before, plain = words(lease.component), [type(module) for module in lease.component.encoders[0].modules()]
    first: Any = None
    for name in names:
        with store.lease(bare.patched(lora(store, name))) as lease:
            first = words(lease.component) if first is None else first
    (model,) = store.loaded()
    assert f"lora/{names[-1]}.safetensors" in model.loras and len(model.loras) < len(names)
    with store.lease(bare.patched(lora(store, names[0]))) as lease:
        assert torch.equal(words(lease.component), first)
    with store.lease(bare) as lease:
        assert torch.equal(words(lease.component), before)
        attached: Attached = next(iter(store._shelf)).value.attached
        for source in attached.sources:
            attached.detach(source)
        assert [type(module) for module in lease.component.encoders[0].modules()] == plain
        assert torch.equal(words(lease.component), before)


@pytest.fixture
def own(tmp_path: Path, make_store: Callable[..., ModelStore]) -> ModelStore:
    """A store over a tiny model in a folder of its own, for LoRAs that a test writes."""
    tiny_models.tiny_sd1(tmp_path / "models" / "sd1")
    return make_store(tmp_path)


def kohya(file: Path, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Writes a LoRA after `change` has had its tensors."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(tiny_models.tiny_lora(file, "sd1", style="kohya"))
    change(tensors)
    save_file(tensors, file, {"modelspec.architecture": "stable-diffusion-v1/lora"})
    return tensors


def test_a_lora_that_fits_in_part_is_told_with_counts(own: ModelStore, tmp_path: Path) -> None:
    def two_more(tensors: dict[str, Any]) -> None:
        for name in [name for name in tensors if "down_blocks_0_attentions_0" in name and "attn2_to_k" in name]:
            tensors[name.replace("down_blocks_0", "down_blocks_7")] = tensors[name].clone()

    kohya(tmp_path / "models" / "part.safetensors", two_more)
    patched = ref(own, "Denoiser", "sd1").patched(Patch("lora", own.find("part.safetensors")))
    with own.lease(patched) as lease:
        (problem,) = lease.settings["warnings"]
    assert problem.code == "lora_unfit" and problem.level == "warning" and "32 of 33" in problem.message
    with own.lease(ref(own, "Denoiser", "sd1")) as lease:
        assert not lease.settings["warnings"]


def test_a_layer_of_another_shape_is_left_out_and_told(own: ModelStore, tmp_path: Path) -> None:
    def widen_one(tensors: dict[str, Any]) -> None:
        name = next(name for name in tensors if name.startswith("lora_unet") and name.endswith("lora_down.weight"))
        tensors[name] = torch.cat([tensors[name], tensors[name]], dim=1)

    kohya(tmp_path / "models" / "wide.safetensors", widen_one)
    bare = ref(own, "Denoiser", "sd1")
    with own.lease(bare) as lease:
        before = noise(lease.component, "sd1")
    with own.lease(bare.patched(Patch("lora", own.find("wide.safetensors")))) as lease:
        (problem,) = lease.settings["warnings"]
        assert not torch.equal(noise(lease.component, "sd1"), before)
    assert problem.code == "lora_unfit" and problem.level == "warning" and "31 of 32" in problem.message


def test_a_pickled_lora_is_read_where_it_is_allowed(
    own: ModelStore, make_store: Callable[..., ModelStore], tmp_path: Path
) -> None:
    tensors = kohya(tmp_path / "models" / "l.safetensors", lambda _: None)
    torch.save(tensors, tmp_path / "models" / "p.pt")
    allowed = make_store(tmp_path, environ={"SAFELIGHT_ALLOW_PICKLE": "1"})
    out = []
    for name in ("l.safetensors", "p.pt"):
        with allowed.lease(ref(allowed, "Denoiser", "sd1").patched(Patch("lora", allowed.find(name)))) as lease:
            out.append(noise(lease.component, "sd1"))
    # A pickle keeps nothing beside its tensors; its names alone say what it is.
    assert torch.equal(*out)
