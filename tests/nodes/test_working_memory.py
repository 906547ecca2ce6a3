"""What sampling asks the store to keep free, and what it does when that was not enough."""

from __future__ import annotations

import copy
import gc
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import tiny_models
from node_bench import BenchContext, Kit, Shelf, codes, recipe, said, sampled
from safelight.diffusion.guidance import Guide
from safelight.engine.cache.fingerprints import Fingerprints
from safelight.environment import Environment
from safelight.families._unet.working_memory import working_bytes
from safelight.models import ModelStore
from safelight.sdk import Control, Image, Latent, ModelRef, ProblemError


class Live(TorchDispatchMode):
    """Counts the bytes of tensors made within it that are alive; `peak` is the most there were at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        known = {value.untyped_storage()._cdata for value in tree_leaves(args) if isinstance(value, torch.Tensor)}
        made = function(*args, **(kwargs or {}))
        for value in tree_leaves(made):
            if isinstance(value, torch.Tensor):
                storage = value.untyped_storage()
                if storage._cdata not in known | self._seen:
                    self._seen.add(storage._cdata)
                    self.now += storage.nbytes()
                    self.peak = max(self.peak, self.now)
                    weakref.finalize(storage, self._gone, storage._cdata, storage.nbytes())
        return made

    def _gone(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_estimate_holds_for_a_call_of_the_denoiser(sd1: Kit, dtype: torch.dtype) -> None:
    unet = copy.deepcopy(sd1.pipeline.unet).to(dtype)
    samples, text = torch.zeros(4, 4, 32, 32, dtype=dtype), torch.zeros(4, 7, 32, dtype=dtype)
    gc.collect()
    with torch.no_grad(), Live() as live:
        unet(samples, torch.tensor(500), encoder_hidden_states=text)
    asked = working_bytes(unet.config, (2, 4, 32, 32), dtype.itemsize, 2)
    assert live.peak <= asked <= 2 * live.peak


class Asked(Shelf):
    """A shelf that remembers what was to be kept free."""

    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf.held, shelf.told)
        self.scratches: list[tuple[str, int]] = []

    def lease(self, ref: ModelRef[Any], scratch: int = 0) -> Any:
        self.scratches.append((ref.kind, scratch))
        return super().lease(ref, scratch)


def asked(kit: Kit, **more: Any) -> int:
    """What is asked for last, and so with all else in place; before it, nothing is."""
    shelf = Asked(kit.shelf)
    sampled(kit, BenchContext(shelf), steps=1, **more)
    *others, (kind, scratch) = shelf.scratches
    assert kind == "Denoiser" and not any(size for _, size in others)
    return scratch


def test_what_is_asked_for_follows_precision_guidance_and_prompts(kit: Kit, nets: Any) -> None:
    whole = asked(kit)
    assert whole > 0
    assert asked(kit, guidance=1.0) * 2 == whole
    assert asked(kit, start=Latent(torch.zeros(2, 4, 8, 16), kit.family)) == whole * 2 * 2
    text = said(kit, "a red apple")
    two = replace(text, prompts=(text.prompts[0], replace(text.prompts[0], strength=0.5)))
    assert asked(kit, positive=two) * 2 == whole * 3
    turns = replace(text, prompts=tuple(replace(text.prompts[0], start=s, end=s + 0.5) for s in (0.0, 0.5)))
    assert asked(kit, positive=turns) == whole
    held = kit.shelf.held["Denoiser", kit.family]
    kit.shelf.held["Denoiser", kit.family] = replace(
        held, component=copy.deepcopy(held.component).bfloat16(), dtype=torch.bfloat16
    )
    try:
        assert asked(kit) * 2 == whole
    finally:
        kit.shelf.held["Denoiser", kit.family] = held
    control = Control(recipe("ControlNet", kit.family, "net4"), Image(torch.zeros(1, 64, 64, 3)), 1.0, 0.0, 1.0)
    assert whole < asked(kit, positive=replace(text, controls=(control,))) < whole * 1.5


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    tiny_models.tiny_sd1(tmp_path / "models" / "m")
    plain = {"SAFELIGHT_DEVICE": "cpu", "SAFELIGHT_PRECISION": "float32", "HF_HUB_CACHE": str(tmp_path / "hub")}
    return ModelStore(tmp_path, fingerprint=Fingerprints(None).digest, environment=Environment.read(plain))


def test_a_step_that_runs_out_of_memory_is_made_again_to_the_same_bits(
    sd1: Kit, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = store.find("m")
    recipes = {kind: ModelRef(kind, "sd1", source) for kind in ("Denoiser", "VAE")}
    real, fails, calls = Guide.predict, [], []

    def predict(self: Guide, *given: Any) -> Any:
        found = real(self, *given)
        calls.append([model.kind for model in store.loaded()])
        if len(calls) in fails:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return found

    def made() -> tuple[Any, BenchContext]:
        calls.clear()
        with store.lease(recipes["VAE"]):
            pass
        ctx = BenchContext(store)
        return sampled(sd1, ctx, model=recipes["Denoiser"], sampler="dpmpp_2m_sde").samples, ctx

    monkeypatch.setattr(Guide, "predict", predict)
    whole, _ = made()
    fails[:] = [3]
    again, ctx = made()
    assert torch.equal(again, whole) and ctx.steps == [(step, 4) for step in range(1, 5)]
    assert "VAE" in calls[2] and calls[3] == ["Denoiser"]
    fails[:] = [3, 4]
    with pytest.raises(ProblemError) as caught:
        made()
    assert codes(caught) == [("out_of_memory", None)] and len(calls) == 4
    assert [model.leased for model in store.loaded()] == [0] * len(store.loaded())
