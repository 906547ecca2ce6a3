"""LoRAs that count differently by block, are on for a part of the steps, or are named in a prompt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from models.recipes import lora, module, ref
from models.test_lora import noise
from node_bench import BenchContext
from safelight.models import ModelStore
from safelight.sdk import Conditioning, Latent, ModelRef, Patch, ProblemError, Prompt
from safelight_nodes import loras, sampling, sampling_custom


def blocks_of(store: ModelStore, lease: Any, family: str) -> set[str]:
    names = [name for name, _ in module(lease).named_modules()]
    return set(store.families[family].block_names("unet", module(lease), names).values())


@pytest.mark.parametrize("name", ["sd1", "sd1_kohya", "sdxl"])
def test_blocks_add_up_to_the_whole(store: ModelStore, name: str) -> None:
    """To the first order: a small LoRA on one block and on all others gives what it gives on all."""
    family = name.partition("_")[0]
    bare = ref(store, "Denoiser", family)
    patch = lora(store, name, 1e-3)
    with store.lease(bare) as lease:
        plain = noise(lease.component, family).double()
        known = sorted(blocks_of(store, lease, family))
    assert {"mid", "in1"} <= set(known) or {"mid", "in4"} <= set(known)

    def moved(blocks: dict[str, float]) -> torch.Tensor:
        told = replace(patch, blocks=tuple(sorted(blocks.items())))
        with store.lease(bare.patched(told)) as lease:
            return noise(lease.component, family).double() - plain

    whole = moved({})
    assert float(whole.abs().max()) > 0
    assert torch.equal(moved({"in": 1, "mid": 1, "out": 1}), whole)
    assert not moved({"in": 0, "mid": 0, "out": 0, "base": 0}).any()
    parts = [
        {"in": 1.0, "mid": 0.0, "out": 0.0},
        {"in": 0.0, "mid": 1.0, "out": 0.0},
        {"in": 0.0, "mid": 0.0, "out": 1.0},
    ]
    found = [moved(part) for part in parts]
    assert all(part.any() for part in found)
    assert float((sum(found) - whole).abs().max()) < 0.05 * float(whole.abs().max())


def test_one_block_goes_before_all_of_its_kind(store: ModelStore) -> None:
    bare = ref(store, "Denoiser", "sd1")
    out = []
    for blocks in ((("in", 0.0), ("in1", 1.0)), (("in", 0.0),), ()):
        told = replace(lora(store, "sd1", 1.0), blocks=blocks)
        with store.lease(bare.patched(told)) as lease:
            out.append(noise(lease.component, "sd1"))
    assert not torch.equal(out[0], out[1])


def test_changes_that_are_no_pairs_have_blocks_as_well(store: ModelStore, home: Any) -> None:
    from safetensors.torch import save_file

    weight = torch.randn(16, 16) * 0.1
    layer = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.diff"
    save_file({layer: weight}, home / "models" / "lora" / "diff.safetensors", {
        "modelspec.architecture": "stable-diffusion-v1/lora"})  # fmt: skip
    bare = ref(store, "Denoiser", "sd1")
    out = []
    for blocks in ((), (("in1", 0.0),), (("out", 0.0),)):
        with store.lease(bare.patched(replace(lora(store, "diff", 1.0), blocks=blocks))) as lease:
            out.append(noise(lease.component, "sd1"))
    with store.lease(bare) as lease:
        plain = noise(lease.component, "sd1")
    assert torch.equal(out[1], plain) and torch.equal(out[2], out[0]) and not torch.equal(out[0], plain)


def test_blocks_that_are_not_there_are_named(store: ModelStore) -> None:
    told = replace(lora(store, "sd1"), blocks=(("single3", 0.5),))
    with pytest.raises(ProblemError) as caught, store.lease(ref(store, "Denoiser", "sd1", patches=(told,))):
        pass
    (problem,) = caught.value.problems
    assert problem.code == "bad_blocks" and "in1" in problem.hint and "mid" in problem.hint
    with store.lease(ref(store, "Denoiser", "sd1", patches=(lora(store, "sd1"),))):
        pass


def run(store: ModelStore, model: ModelRef[Any], steps: int = 4, **more: Any) -> torch.Tensor:
    text = torch.randn(1, 7, 32, generator=torch.Generator().manual_seed(1))
    prompt = Conditioning((Prompt.of(text),), family="sd1")
    ctx: Any = BenchContext(models=store)
    start = more.pop("start", Latent(torch.zeros(1, 4, 8, 8), "sd1", 8))
    given = {"steps": steps, "guidance": 1.0, "sampler": "ddim", "scheduler": "trailing", "seed": 3, **more}
    return sampling.sample(model, prompt, None, start, **given, ctx=ctx).samples


def test_a_lora_for_a_part_of_the_steps_counts_on_the_way_back_as_well(store: ModelStore) -> None:
    patch = lora(store, "sd1", 1.0)
    text = torch.randn(1, 7, 32, generator=torch.Generator().manual_seed(1))
    prompt = Conditioning((Prompt.of(text),), family="sd1")
    start = Latent(torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2)), "sd1", 8)

    def inverted(*patches: Patch) -> torch.Tensor:
        model, ctx = ref(store, "Denoiser", "sd1", patches=patches), BenchContext(models=store)
        return sampling_custom.invert(model, prompt, None, start, steps=4, passes=1, ctx=ctx).samples

    never = inverted(replace(patch, start=0.0, end=0.01))
    assert torch.equal(never, inverted()), "no step lies in so short a part"
    ranged = inverted(replace(patch, start=0.0, end=0.5))
    assert not torch.equal(ranged, never) and not torch.equal(ranged, inverted(patch))


def test_a_lora_for_a_part_of_the_steps(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The switch is compared with a denoiser whose LoRA is turned by hand at each call."""
    bare = ref(store, "Denoiser", "sd1")
    patch = lora(store, "sd1", 1.0)
    ranged = run(store, bare.patched(replace(patch, start=0.0, end=0.5)))
    whole, none = run(store, bare.patched(patch)), run(store, bare)
    assert not torch.equal(ranged, whole) and not torch.equal(ranged, none)
    with store.lease(bare.patched(patch)) as lease:
        unet = module(lease)
        plain, calls = unet.forward, []

        def forward(*args: Any, **kwargs: Any) -> Any:
            from safelight.models.lora import _layers

            for layer in _layers(unet):
                layer.enable_adapters(enabled=len(calls) < 2)
            calls.append(1)
            return plain(*args, **kwargs)

        monkeypatch.setattr(unet, "forward", forward)
        wanted = run(store, bare.patched(patch))
        monkeypatch.undo()
    assert torch.equal(ranged, wanted)
    assert torch.equal(run(store, bare), none), "nothing of it is left"
    assert torch.equal(run(store, bare.patched(replace(patch, start=0.0, end=0.5))), ranged)


def test_two_runs_at_once_do_not_switch_each_other(store: ModelStore) -> None:
    import threading

    ranged = ref(store, "Denoiser", "sd1").patched(replace(lora(store, "sd1"), end=0.5))
    seen: list[Any] = []

    def other() -> None:
        with store.lease(ranged) as lease:
            seen.append(module(lease))

    with store.lease(ranged) as one, store.lease(ranged) as same:
        assert module(one) is module(same)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert seen and seen[0] is not module(one)


def test_loras_of_a_prompt(store: ModelStore) -> None:
    ctx: Any = BenchContext(models=store)
    model, text = ref(store, "Denoiser", "sd1"), ref(store, "TextEncoder", "sd1")
    prompt = "a red <lora:sd1_kohya:0.8> apple, <LORA:lora/sd1.safetensors:0.5:0.25>on the table <lora:sd1_kohya>"
    made = loras.apply_prompt_loras(model, text, prompt, ctx=ctx)
    assert made.prompt == "a red apple, on the table"
    name, other = (store.find(f"lora/{one}.safetensors") for one in ("sd1_kohya", "sd1"))
    assert [(patch.source.fingerprint, patch.weight) for patch in made.model.patches] == [
        (name.fingerprint, 0.8), (other.fingerprint, 0.25), (name.fingerprint, 1.0)]  # fmt: skip
    assert [patch.weight for patch in made.text.patches] == [0.8, 0.5, 1.0]
    untouched = loras.apply_prompt_loras(model, text, "no tags (here:1.2)", ctx=ctx)
    assert untouched == (model, text, "no tags (here:1.2)")


@pytest.mark.parametrize(
    ("prompt", "code", "said"),
    [
        ("<lora:sd1_koya:1>", "model_missing", "sd1_kohya"),
        ("<lora:sd1:much>", "lora_tag", "<lora:sd1:much>"),
        ("<lora:sd1:1:2:3>", "lora_tag", "1:2:3"),
        ("<lora:>", "lora_tag", "<lora:>"),
        ("<lora:sd1:nan>", "lora_tag", "nan"),
        ("<lora:sdxl_kohya:1>", "wrong_family", "sdxl"),
    ],
)
def test_tags_that_are_wrong_are_told(store: ModelStore, prompt: str, code: str, said: str) -> None:
    ctx: Any = BenchContext(models=store)
    model, text = ref(store, "Denoiser", "sd1"), ref(store, "TextEncoder", "sd1")
    with pytest.raises(ProblemError) as caught:
        loras.apply_prompt_loras(model, text, f"a dog {prompt}", ctx=ctx)
    (problem,) = caught.value.problems
    assert (problem.code, problem.port) == (code, "prompt")
    assert said in problem.message + problem.hint


def test_what_is_typed_for_blocks(store: ModelStore) -> None:
    ctx: Any = BenchContext(models=store)
    model = ref(store, "Denoiser", "sd1")
    made = loras.apply_lora_to_model(model, lora="lora/sd1.safetensors", blocks="IN 0.5, mid=1; out03: 0", ctx=ctx)
    (patch,) = made.patches
    assert patch.blocks == (("in", 0.5), ("mid", 1.0), ("out3", 0.0))
    for wrong in ("in", "0.5", "in 0.5 mid 1", "in lots"):
        with pytest.raises(ProblemError) as caught:
            loras.apply_lora_to_model(model, lora="lora/sd1.safetensors", blocks=wrong, ctx=ctx)
        assert caught.value.problems[0].code == "bad_blocks"
    with pytest.raises(ProblemError, match="empty"):
        loras.apply_lora_to_model(model, lora="lora/sd1.safetensors", start=0.5, end=0.5, ctx=ctx)
    plain = loras.apply_lora_to_model(model, lora="lora/sd1.safetensors", ctx=ctx)
    assert plain.patches == (Patch("lora", store.find("lora/sd1.safetensors")),)
