"""What does not fit on a device waits in main memory and comes there in pieces, to equal bits.

The device is a fake one that this machine has: torch copies a tensor that is sent to `cpu:1`, and computes with it like
any other. What lies there is counted, storage by storage.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.hooks import group_offloading
from safetensors.torch import save_file
from torch.utils._python_dispatch import TorchDispatchMode

from models.recipes import lora, module, ref
from node_bench import BenchContext
from safelight.engine.cache.fingerprints import Fingerprints
from safelight.environment import Environment
from safelight.families import load_families
from safelight.models import Memory, ModelStore, Numerics
from safelight.models import components as components_module
from safelight.models.devices import DeviceKind
from safelight.models.offloading import window
from safelight.sdk import ModelRef, Patch, ProblemError, Running
from safelight_nodes import latent, models, sampling, text, vae

FAKE = torch.device("cpu", 1)
torchao = pytest.mark.skipif(find_spec("torchao") is None, reason="torchao is not installed")
KIND = DeviceKind(name="fake", own=True, main="cpu:0")
HERE = Numerics(device="cpu:1", precision="float32", vae="float32", text="fake", kind=KIND)


class OnDevice(TorchDispatchMode):
    """Counts the bytes of weights that were sent to the fake device and are alive; `peak` is the most at once.

    Weights are what is loaded, moved or brought by hooks; activations of a miniature are larger than those.
    """

    sending = 0

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        if OnDevice.sending and (kwargs or {}).get("device") == FAKE and isinstance(made, torch.Tensor):
            size = made.untyped_storage().nbytes()
            self.now += size
            self.peak = max(self.peak, self.now)
            weakref.finalize(made.untyped_storage(), self._gone, size)
        return made

    def _gone(self, size: int) -> None:
        self.now -= size


class Fake(Memory):
    """A device of a given size, of which nothing is taken but what is counted."""

    def __init__(self, size: int, counted: OnDevice | None = None) -> None:
        super().__init__(device_budget=size)
        self.size, self.counted = size, counted

    def free(self, device: torch.device) -> int:
        # The store keeps something free for the libraries, which take nothing here.
        from safelight.models.memory import SPARE

        return SPARE + self.size - (self.counted.now if self.counted else 0) if device == FAKE else 1 << 40


@pytest.fixture
def open_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModelStore]:
    def counted(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def sent(*given: Any, **more: Any) -> Any:
            OnDevice.sending += 1
            try:
                return real(*given, **more)
            finally:
                OnDevice.sending -= 1

        monkeypatch.setattr(owner, name, sent)

    counted(group_offloading.ModuleGroup, "onload_")
    counted(components_module.Loaded, "move")
    counted(components_module, "load")

    def make(memory: Memory | None = None, here: Numerics = HERE, home: Path = tmp_path, **more: str) -> ModelStore:
        plain = {"HF_HUB_CACHE": str(tmp_path / "hub"), **more}
        return ModelStore(
            home,
            fingerprint=Fingerprints(None).digest,
            environment=Environment.read(plain),
            memory=memory,
            here=here,
        )

    return make


def drawn(store: ModelStore, family: str, **running: Any) -> torch.Tensor:
    """An image of two steps by our own nodes, from prompt to pixels."""
    ctx = BenchContext(store)
    loaded = models.load(model=family, ctx=ctx)
    how = Running(**running)
    model, said, codec = (ModelRef(one.kind, one.family, one.source, one.component, running=how) for one in loaded)
    positive = text.encode(said, text="a red apple", ctx=ctx)
    canvas = latent.empty(codec, width=32, height=32, ctx=ctx)
    guided = family in ("sd1", "sd2", "sdxl", "sd3")
    negative = text.encode(said, text="dark", ctx=ctx) if guided else None
    sampled = sampling.sample(
        model, positive, negative, canvas, steps=2, seed=3, guidance=4.0 if guided else 1.0, ctx=ctx
    )
    return vae.decode(codec, sampled, ctx=ctx).pixels


TESTED = ("sd1", "sd2", "sdxl", "sd3", "flux", "flux2", "z_image", "qwen_image", "krea2")


@pytest.mark.parametrize("family", TESTED)
def test_a_quarter_of_the_model_is_enough_to_equal_bits(
    open_store: Callable[..., ModelStore], tmp_path: Path, family: str
) -> None:
    load_families().require(family).tiny(tmp_path / "models" / family)
    with OnDevice() as counted:
        roomy = open_store(Fake(1 << 40, counted))
        whole = drawn(roomy, family)
        sizes = {one.kind: one.bytes for one in roomy.loaded()}
        assert not any(one.offloaded for one in roomy.loaded())
        # The count is of what it says it is: all that is loaded lies on the device.
        assert sum(sizes.values()) <= counted.now <= counted.peak
        layer = max(window("layers", entry.value.loaded.modules, KIND) for entry in roomy._shelf)
        roomy.clear()
        del roomy
    gc.collect()

    budget = sizes["Denoiser"] // 4
    with OnDevice() as counted:
        tight = open_store(Small(budget, counted))
        assert torch.equal(drawn(tight, family), whole)
        offloaded = {one.kind for one in tight.loaded() if one.offloaded}
        assert "Denoiser" in offloaded
        assert 0 < counted.peak <= budget + layer


class Small(Fake):
    """Weights alone are counted against the budget: activations of a miniature are as large as its weights."""

    def free(self, device: torch.device) -> int:
        return 1 << 40


def lora_of(store: ModelStore) -> Any:
    return ref(store, "Denoiser", "sd1").patched(lora(store, "sd1"))


@pytest.mark.parametrize("pieces", ["blocks", "layers"])
def test_a_denoiser_with_a_lora_comes_in_either_pieces(
    open_store: Callable[..., ModelStore], home: Path, pieces: str
) -> None:
    given = torch.randn(1, 4, 8, 8), 500, torch.randn(1, 7, 32)

    def called(store: ModelStore, recipe: ModelRef[Any]) -> torch.Tensor:
        with store.lease(recipe) as lease, torch.no_grad():
            return module(lease)(*given).sample

    roomy = open_store(home=home)
    bare, patched = called(roomy, ref(roomy, "Denoiser", "sd1")), called(roomy, lora_of(roomy))
    with roomy.lease(ref(roomy, "Denoiser", "sd1")) as lease:
        blocks = window("blocks", {"": module(lease)}, KIND)
    assert not torch.equal(bare, patched)
    tight = open_store(Small(blocks if pieces == "blocks" else blocks - 1), home=home)
    for _ in range(2):
        assert torch.equal(called(tight, ref(tight, "Denoiser", "sd1")), bare)
        assert torch.equal(called(tight, lora_of(tight)), patched)
    (entry,) = tight._shelf
    assert entry.value.loaded.pieces == pieces


def test_the_wish_of_a_recipe_goes_before_that_of_the_machine(
    open_store: Callable[..., ModelStore], home: Path
) -> None:
    def held(store: ModelStore, wish: Any = "auto") -> list[tuple[str, bool]]:
        with store.lease(ref(store, "Denoiser", "sd1", running=Running(wish))):
            pass
        return [(one.device, one.offloaded) for one in store.loaded()]

    assert held(open_store(home=home)) == [("cpu:1", False)]
    assert held(open_store(home=home), "offload") == [("cpu:1", True)]
    assert held(open_store(home=home), "swap") == [("cpu:0", False)]
    assert held(open_store(home=home, SAFELIGHT_MEMORY="offload")) == [("cpu:1", True)]
    assert held(open_store(home=home, SAFELIGHT_MEMORY="offload"), "whole") == [("cpu:1", False)]
    cpu = Numerics(device="cpu", precision="float32", vae="float32", text="")
    # Where main memory is all there is, nothing can wait beside it: what is swapped is let go.
    assert held(open_store(home=home, here=cpu), "offload") == [("cpu", False)]
    assert held(open_store(home=home, here=cpu), "swap") == []
    for name, value in (("SAFELIGHT_MEMORY", "half"), ("SAFELIGHT_DEVICE_MEMORY", "some")):
        with pytest.raises(ProblemError) as caught:
            open_store(home=home, **{name: value}).loaded()
        assert caught.value.problems[0].code == "bad_setting"


def test_what_was_offloaded_is_whole_again_when_there_is_room(
    open_store: Callable[..., ModelStore], home: Path
) -> None:
    memory = Small(1 << 30)
    store = open_store(memory, home=home)
    recipe = ref(store, "Denoiser", "sd1")
    with store.lease(recipe), store.lease(recipe, scratch=(1 << 30) - 400_000):
        assert store.loaded()[0].offloaded
    with store.lease(recipe):
        assert store.loaded()[0].offloaded
        with store.lease(recipe, scratch=1000):
            assert not store.loaded()[0].offloaded


def test_running_out_steps_down_once_and_says_so(open_store: Callable[..., ModelStore], home: Path) -> None:
    store = open_store(home=home)
    seen: list[bool] = []
    told: list[Any] = []

    def work(fails: int) -> Callable[[], int]:
        def attempt() -> int:
            seen.append(store.loaded()[0].offloaded)
            if len(seen) <= fails:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return 7

        return attempt

    with store.lease(ref(store, "Denoiser", "sd1")):
        assert store.retry(work(2), told.append) == 7
    assert seen == [False, False, True]
    assert [(problem.code, problem.level) for problem in told] == [("stepped_down", "warning")]
    assert "sd1" in told[0].message
    seen.clear()
    with pytest.raises(ProblemError) as caught, store.lease(ref(store, "Denoiser", "sd1")):
        store.retry(work(9), told.append)
    assert caught.value.problems[0].code == "out_of_memory" and len(seen) == 2 and len(told) == 1


@pytest.mark.parametrize(
    ("family", "storage"),
    [
        *((family, "float8") for family in ("sd1", "sd3", "flux")),
        *(pytest.param(family, "int8", marks=torchao) for family in ("sd1", "sd3", "flux")),
    ],
)
def test_weights_in_eight_bits_take_less_and_give_nearly_the_same(
    open_store: Callable[..., ModelStore], tmp_path: Path, family: str, storage: str
) -> None:
    load_families().require(family).tiny(tmp_path / "models" / family)
    store = open_store()
    full = drawn(store, family)
    sizes = {one.kind: one.bytes for one in store.loaded()}
    packed = open_store()
    near = drawn(packed, family, storage=storage)
    assert near.isfinite().all() and not torch.equal(near, full) and (near - full).abs().mean() < 0.05
    for one in packed.loaded():
        if one.kind != "VAE":
            assert one.bytes < (0.6 if storage == "float8" else 0.9) * sizes[one.kind]
    if storage == "int8":
        coarse = drawn(open_store(), family, storage="float8")
        assert (near - full).abs().mean() < (coarse - full).abs().mean() / 2
    # Packed and in pieces is packed, bit for bit.
    assert torch.equal(drawn(open_store(), family, storage=storage, memory="offload"), near)


def test_int8_without_its_package_is_told(open_store: Callable[..., ModelStore], monkeypatch: Any, home: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    store = open_store(home=home)
    with (
        pytest.raises(ProblemError) as caught,
        store.lease(ref(store, "Denoiser", "sd1", running=Running(storage="int8"))),
    ):
        pass
    assert caught.value.problems[0].code == "no_int8"


@pytest.mark.parametrize("kept", ["float8", pytest.param("int8", marks=torchao)])
def test_loras_on_weights_in_eight_bits_keep_their_own(
    open_store: Callable[..., ModelStore], home: Path, tmp_path: Path, kept: Any
) -> None:
    given = torch.randn(1, 4, 8, 8), 500, torch.randn(1, 7, 32)
    store = open_store(home=home)

    def called(patched: bool, storage: Any) -> torch.Tensor:
        recipe = ref(store, "Denoiser", "sd1", running=Running(storage=storage))
        with store.lease(recipe.patched(lora(store, "sd1")) if patched else recipe) as lease, torch.no_grad():
            return module(lease)(*given).sample

    added = called(True, "full") - called(False, "full")
    bare, changed = called(False, kept), called(True, kept)
    assert (changed - bare - added).abs().mean() < 0.3 * added.abs().mean()
    assert torch.equal(called(False, kept), bare) and torch.equal(called(True, kept), changed)
    sizes = {one.bytes for one in store.loaded() if one.loras}
    assert len(sizes) == 2 and 4 * min(sizes) < (1.4 if kept == "float8" else 3.6) * max(sizes)

    # A difference of the weights themselves would be made of rounded ones.
    more = tmp_path / "more.safetensors"
    layer = "lora_unet_mid_block_attentions_0_proj_in"
    save_file({f"{layer}.diff": torch.ones(32, 32, 1, 1), f"{layer}.diff_b": torch.ones(32)}, more)
    patch = Patch("lora", store.find(store.add(more)))
    with store.lease(ref(store, "Denoiser", "sd1").patched(patch)):
        pass
    packed = ref(store, "Denoiser", "sd1", running=Running(storage=kept))
    with pytest.raises(ProblemError) as caught, store.lease(packed.patched(patch)):
        pass
    assert caught.value.problems[0].code == "lora_unfit" and "8 bits" in caught.value.problems[0].message
