"""What a run needs in memory is told before it, from headers alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.recipes import FAMILIES, lora, ref
from safelight.engine.cache.fingerprints import Fingerprints
from safelight.environment import Environment
from safelight.families import load_families
from safelight.graph.plan import Ask, Size
from safelight.models import Memory, ModelStore, Numerics
from safelight.models.devices import KINDS, kind_of
from safelight.models.memory import SPARE
from safelight.models.needs import way

SIZE, LARGE = Size(width=64, height=32, batch=2), Size(width=256, height=256, batch=2)
FLOWS = sorted(set(load_families()) - {*FAMILIES, "sdxl_refiner", "toy"})


def store_of(home: Path, **options: Any) -> ModelStore:
    plain = {"SAFELIGHT_DEVICE": "cpu", "SAFELIGHT_PRECISION": "float32", "HF_HUB_CACHE": str(home / "hub")}
    environment = Environment.read(plain)
    return ModelStore(home, fingerprint=Fingerprints(None).digest, environment=environment, **options)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["Denoiser", "TextEncoder", "VAE", "ControlNet", "ImageEncoder", "IPAdapter"])
def test_weights_are_what_loading_takes(store: ModelStore, family: str, kind: str) -> None:
    place = {"ControlNet": "control/", "ImageEncoder": "adapter/", "IPAdapter": "adapter/"}.get(kind, "")
    recipe = ref(store, kind, place + family)
    told = store.needs({"n": Ask(refs=(recipe,), size=SIZE)})["n"]
    with store.lease(recipe):
        (held,) = store.loaded()
    # Beside weights, modules hold positions that no file has.
    assert told.weights <= held.bytes <= told.weights * 1.02 + 2000
    half = store.needs({"n": Ask(refs=(ref(store, kind, place + family, precision="bfloat16"),), size=SIZE)})["n"]
    assert half.weights * 2 == told.weights


@pytest.mark.parametrize("family", FLOWS)
def test_every_family_of_flows_tells_its_step(tmp_path: Path, family: str) -> None:
    load_families().require(family).tiny(tmp_path / "models" / family)
    store = store_of(tmp_path)
    recipe = ref(store, "Denoiser", family)
    told = {size: store.needs({"n": Ask(refs=(recipe,), size=size)})["n"] for size in (SIZE, LARGE)}
    assert told[SIZE].weights > 0 and 0 < told[SIZE].working < told[LARGE].working
    with store.lease(recipe):
        (held,) = store.loaded()
    assert told[SIZE].weights <= held.bytes <= told[SIZE].weights * 1.1 + 2000


def test_a_step_is_told_as_sampling_will_ask_for_it(store: ModelStore) -> None:
    recipe = ref(store, "Denoiser", "sd1")
    told = store.needs({"n": Ask(refs=(recipe,), size=SIZE)})["n"]
    with store.lease(recipe) as lease:
        # The miniature's VAE has fewer levels than the family's; the plan goes by the family.
        assert told.working == lease.component.working_bytes((2, 4, 4, 8), 2, False)


def test_patches_count_and_what_cannot_be_read_is_left_out(store: ModelStore, home: Path) -> None:
    bare = ref(store, "Denoiser", "sd1")
    patched = bare.patched(lora(store, "sd1"))
    gone = ref(store, "ControlNet", "sd1")
    found = store.needs({name: Ask(refs=(one,), size=SIZE) for name, one in (("a", bare), ("b", patched), ("c", gone))})
    assert found.keys() == {"a", "b"} and found["b"].weights > found["a"].weights


DEVICES = {
    "cpu": ("whole", "swap", "lacking"),
    "mps": ("whole", "swap", "lacking"),
    "cuda:1": ("whole", "swap", "offload"),
    "xpu": ("whole", "swap", "offload"),
}


@pytest.mark.parametrize("device", DEVICES)
def test_the_way_follows_device_and_room(make_store: Callable[..., ModelStore], device: str) -> None:
    """A table of devices that are not here: nothing of this asks torch."""
    plain = make_store()
    asks = {kind: Ask(refs=(ref(plain, kind, "sdxl"),), size=SIZE) for kind in ("Denoiser", "TextEncoder")}
    needed = plain.needs(asks)
    largest = max(needed.values(), key=lambda one: one.weights + one.working)
    everything = sum(one.weights for one in needed.values()) + largest.working
    spare = SPARE if kind_of(device).own else 0
    rooms = [everything, largest.weights + largest.working, largest.weights + largest.working - 1]
    for room, expected in zip(rooms, DEVICES[device], strict=True):
        here = Numerics(device=device, precision="float32", vae="float32", text="", kind=kind_of(device))
        budget = {"device_budget" if kind_of(device).own else "main_budget": room + spare}
        told = make_store(here=here, memory=Memory(**budget)).needs(asks)
        node = next(name for name, one in needed.items() if one == largest)
        assert (told[node].way, told[node].device, told[node].room) == (expected, device, room)


def test_the_memory_of_a_device_is_the_room_without_a_budget(make_store: Callable[..., ModelStore]) -> None:
    here = Numerics(device="cuda", precision="bfloat16", vae="bfloat16", text="", kind=KINDS["cuda"], memory=8 << 30)
    store = make_store(here=here)
    told = store.needs({"n": Ask(refs=(ref(store, "VAE", "sd1"),), size=SIZE)})["n"]
    assert told.room == (8 << 30) - SPARE


def test_what_has_no_room_even_layer_by_layer_is_lacking() -> None:
    assert way(100, 10, 5, 100, 20, own=True) == "offload"
    assert way(100, 11, 5, 100, 20, own=True) == "lacking"
    assert way(100, 10, 5, 100, 20, own=False) == "lacking"


def test_a_plan_tells_it_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from safelight.app import Studio\n"
        f"studio = Studio.open(Path({str(tmp_path)!r}))\n"
        "document = studio.read('text_to_image')\n"
        "found = studio.plan(studio.check(document).require()).nodes\n"
        "print(found['sample'].memory.way, found['sample'].memory.weights > 10**6, found['model'].memory,"
        " found['sample'].memory.working > 0, 'torch' in sys.modules)"
    )
    env = {**os.environ, "SAFELIGHT_DEVICE": "cpu", "SAFELIGHT_PRECISION": "float32"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=env, check=False
    )
    assert done.stdout.split() == ["whole", "True", "None", "True", "False"], done.stderr
