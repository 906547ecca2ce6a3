"""What decides by device, tried with a table of devices that are not here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from models.recipes import ref
from safelight.environment import Environment
from safelight.models import Memory, ModelStore, Numerics, hardware, numerics, probe
from safelight.models.devices import kind_of
from safelight.models.measured import Measured
from safelight.models.memory import SPARE
from safelight.models.needs import way
from safelight.models.offloading import window
from safelight.sdk import ProblemError, Running

GB = 10**9


@dataclass(frozen=True)
class Card:
    """A device: what torch says of it, and what is to follow."""

    device: str
    memory: int
    hip: bool = False
    bfloat16: bool = True
    """Whether it computes in bfloat16 by itself."""
    precision: str = "bfloat16"
    images: str = "float32"
    attention: tuple[str, ...] = ("math",)
    float8: bool = True
    at_once: int = 1
    """Pieces of an offloaded model that lie on it at once."""
    ways: tuple[str, str, str] = ("whole", "whole", "whole")
    """How a model of 5, 12 and 24 GB is held that is one of two, the other of 3 GB, with 2 GB of working memory."""


CUDA = ("math", "flash", "efficient", "cudnn")
CARDS = {
    "cuda 8 GB": Card("cuda", 8 * GB, images="float16", attention=CUDA, at_once=2, ways=("swap", "offload", "offload")),
    "old cuda 8 GB": Card(
        "cuda",
        8 * GB,
        bfloat16=False,
        precision="float16",
        images="float16",
        attention=CUDA,
        at_once=2,
        ways=("swap", "offload", "offload"),
    ),
    "cuda 24 GB": Card(
        "cuda:1", 24 * GB, images="float16", attention=CUDA, at_once=2, ways=("whole", "whole", "offload")
    ),
    "rocm 16 GB": Card(
        "cuda", 16 * GB, hip=True, images="float16", attention=CUDA[:3], at_once=2, ways=("whole", "swap", "offload")
    ),
    "mps 16 GB": Card("mps", 0, precision="float16", images="float16", float8=False, ways=("whole", "swap", "lacking")),
    "xpu 12 GB": Card("xpu", 12 * GB, attention=CUDA[:2], at_once=2, ways=("whole", "offload", "offload")),
    "cpu 16 GB": Card("cpu", 0, attention=CUDA[:2], ways=("whole", "swap", "lacking")),
}
each = pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)


def here(card: Card, precision: Any = "bfloat16") -> Numerics:
    kind = kind_of(card.device, card.hip)
    return Numerics(device=card.device, precision=precision, vae=precision, text="", kind=kind, memory=card.memory)


@each
def test_precision_is_the_fastest_that_the_device_has(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe computes on the CPU in place of each device, and is told how long each precision takes there."""
    work = probe._work
    monkeypatch.setattr(probe, "_device", lambda wished: torch.device(card.device))
    monkeypatch.setattr(probe, "_hip", lambda: card.hip)
    monkeypatch.setattr(probe, "_memory", lambda place: card.memory)
    monkeypatch.setattr(probe, "_work", lambda place, dtype: work(torch.device("cpu"), dtype))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: card.bfloat16)
    seconds = {torch.float32: 1.0, torch.bfloat16: 0.5, torch.float16: 0.5}
    monkeypatch.setattr(probe, "_seconds", lambda place, dtype: seconds[dtype])
    found = probe.measure(card.device)
    assert (found.precision, found.vae, found.memory) == (card.precision, card.precision, card.memory)
    # A gain of a tenth is worth the rounding where half of the memory is saved besides, and not on a CPU.
    seconds |= {torch.bfloat16: 0.9, torch.float16: 0.9}
    assert probe.measure(card.device).precision == ("float32" if card.device == "cpu" else card.precision)


@each
def test_attention_is_one_that_runs_there(card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Measured(device=card.device, precision="float32", vae="float32", hip=card.hip, memory=card.memory)
    monkeypatch.setattr(hardware, "_measured", lambda *given: found)
    plain = numerics(tmp_path, Environment.read({}))
    assert plain.attention is None and "attention" not in plain.text
    for name in (*CUDA, "sage"):
        wish = Environment.read({"SAFELIGHT_ATTENTION": name})
        if name in card.attention:
            told = numerics(tmp_path, wish)
            # Results by another implementation have other bits, and so another key in the cache.
            assert told.attention == name and told.text == f"{plain.text} attention {name}"
            continue
        with pytest.raises(ProblemError) as caught:
            numerics(tmp_path, wish)
        (problem,) = caught.value.problems
        assert problem.code == "bad_setting" and repr(name) in problem.message
        assert all(one in problem.hint for one in card.attention)


@each
def test_compiling_where_there_is_something_to_compile_with(
    card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Measured(device=card.device, precision="float32", vae="float32", hip=card.hip, memory=card.memory)
    monkeypatch.setattr(hardware, "_measured", lambda *given: found)
    plain, wish = numerics(tmp_path, Environment.read({})), Environment.read({"SAFELIGHT_COMPILE": "1"})
    there: set[str] = set()
    monkeypatch.setattr(hardware.shutil, "which", lambda name: name if "c++" in there else None)
    monkeypatch.setattr(hardware.importlib.util, "find_spec", lambda name: name if name in there else None)
    with pytest.raises(ProblemError) as caught:
        numerics(tmp_path, wish)
    (problem,) = caught.value.problems
    assert problem.code == "bad_setting" and "SAFELIGHT_COMPILE" in problem.message
    there |= {"c++", "triton"}
    if card.device == "mps":
        with pytest.raises(ProblemError):
            numerics(tmp_path, wish)
        return
    told = numerics(tmp_path, wish)
    # Rounding is another, and so is the key in the cache.
    assert told.compiles and told.text == f"{plain.text} compiled" and not plain.compiles


@each
def test_weights_in_eight_bits_where_there_are_such_numbers(card: Card, make_store: Callable[..., ModelStore]) -> None:
    store = make_store(here=here(card, "float32"))
    recipe = ref(store, "Denoiser", "sd1", running=Running(storage="float8"))
    if not card.float8:
        with pytest.raises(ProblemError) as caught, store.lease(recipe):
            pass
        (problem,) = caught.value.problems
        assert (problem.code, problem.value) == ("no_float8", "float8") and card.device in problem.message
    assert kind_of(card.device, card.hip).float8 is card.float8


@each
def test_models_are_held_as_there_is_room(card: Card) -> None:
    own = kind_of(card.device, card.hip).own
    assert own is bool(card.memory)
    room = max(0, Memory(main_budget=16 * GB).room(own, card.memory) - (SPARE if own else 0))
    if not own:
        room = 16 * GB
    ways = [way(size * GB, 2 * GB, GB // 4, (size + 3) * GB, room, own) for size in (5, 12, 24)]
    assert tuple(ways) == card.ways


@each
def test_the_next_piece_comes_during_the_one_before_where_the_device_copies_beside(card: Card) -> None:
    kind = kind_of(card.device, card.hip)
    layers = torch.nn.Sequential(*(torch.nn.Linear(8, 8, bias=False) for _ in range(3)))
    assert window("layers", {"": layers}, kind) == card.at_once * 8 * 8 * 4


@each
def test_what_makes_images_of_images_has_no_bands(card: Card, make_store: Callable[..., ModelStore]) -> None:
    store = make_store(here=here(card))
    recipe = ref(store, "Denoiser", "sd1")
    upscaler = type(recipe)("Upscaler", "", recipe.source)
    assert str(store._target(upscaler)[0].dtype) == f"torch.{card.images}"
    target = store._target(recipe)[0]
    assert target.dtype == torch.bfloat16
    # Tensor cores of CUDA alone read kernels channel by channel.
    assert target.channels_last is (card.device.startswith("cuda") and not card.hip)


def test_attention_that_is_set_computes(tmp_path: Path) -> None:
    """In a process of its own, as it holds for the whole of one."""
    code = (
        "import torch; from pathlib import Path; from safelight.environment import Environment\n"
        "from safelight.models import ModelStore\n"
        f"ModelStore(Path({str(tmp_path)!r}), fingerprint=str, environment=Environment.read()).device()\n"
        "from torch.profiler import profile\n"
        "q = torch.randn(1, 2, 64, 8)\n"
        "with profile() as seen: torch.nn.functional.scaled_dot_product_attention(q, q, q)\n"
        "print(sorted({'flash' if 'flash' in one.key else 'math' for one in seen.key_averages()"
        " if 'attention_' in one.key}))"
    )
    for name in ("math", "flash"):
        env = {
            **os.environ,
            "SAFELIGHT_DEVICE": "cpu",
            "SAFELIGHT_PRECISION": "float32",
            "SAFELIGHT_ATTENTION": name,
        }
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=env, check=False
        )
        assert done.stdout.strip().splitlines()[-1:] == [f"['{name}']"], done.stderr
