"""Leases: what they give, what they share, what goes when room is needed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny_models
from models.recipes import FAMILIES, module, ref
from node_bench import BenchContext
from safelight.models import Memory, ModelStore, Numerics
from safelight.models import components as components_module
from safelight.models.devices import kind_of
from safelight.sdk import Latent, ModelRef, ProblemError
from safelight_nodes import vae

KINDS = ("Denoiser", "TextEncoder", "VAE")


def state(component: Any) -> dict[str, torch.Tensor]:
    return dict(component.state_dict())


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(
        tensor.dtype == second[name].dtype and torch.equal(tensor, second[name]) for name, tensor in first.items()
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_weights_are_those_that_diffusers_loads(store: ModelStore, home: Path, family: str, precision: Any) -> None:
    import diffusers
    import transformers

    folder = home / "models"
    dtype = getattr(torch, precision)
    with store.lease(ref(store, "Denoiser", family, precision=precision)) as lease:
        wanted = diffusers.UNet2DConditionModel.from_pretrained(folder / family, subfolder="unet", torch_dtype=dtype)
        assert lease.dtype == dtype == module(lease).dtype
        assert same(state(module(lease)), state(wanted))
        assert dict(module(lease).config) | {"_name_or_path": ""} == dict(wanted.config) | {"_name_or_path": ""}
        prediction = lease.settings["scheduler"].get("prediction_type", "epsilon")
        assert prediction == ("v_prediction" if family == "sd2" else "epsilon")
    with store.lease(ref(store, "VAE", family, precision=precision)) as lease:
        wanted = diffusers.AutoencoderKL.from_pretrained(folder / family, subfolder="vae", torch_dtype=dtype)
        assert same(state(module(lease)), state(wanted))
    with store.lease(ref(store, "TextEncoder", family, precision=precision)) as lease:
        classes = [transformers.CLIPTextModel, transformers.CLIPTextModelWithProjection]
        numbers = ["", "_2"] if family == "sdxl" else [""]
        assert len(lease.component.encoders) == len(lease.component.tokenizers) == len(numbers)
        ids = torch.tensor([[568, 3, 4, 569]])
        for encoder, tokenizer, number, cls in zip(
            lease.component.encoders, lease.component.tokenizers, numbers, classes, strict=False
        ):
            wanted = cls.from_pretrained(folder / family, subfolder=f"text_encoder{number}", dtype=dtype)
            assert same(state(encoder), state(wanted))
            assert encoder.config._attn_implementation == wanted.config._attn_implementation == "sdpa"
            assert torch.equal(encoder(ids).last_hidden_state, wanted(ids).last_hidden_state)
            other = transformers.CLIPTokenizer.from_pretrained(folder / family, subfolder=f"tokenizer{number}")
            text = "a red appel, Zürich!"
            assert tokenizer(text, padding="max_length").input_ids == other(text, padding="max_length").input_ids
    with store.lease(ref(store, "ControlNet", f"control/{family}", precision=precision)) as lease:
        wanted = diffusers.ControlNetModel.from_pretrained(folder / "control" / family, torch_dtype=dtype)
        assert same(state(module(lease)), state(wanted))
    with store.lease(ref(store, "ImageEncoder", f"adapter/{family}", precision=precision)) as lease:
        cls = transformers.CLIPVisionModelWithProjection
        wanted = cls.from_pretrained(folder / "adapter" / family / "image_encoder", dtype=dtype)
        assert same(state(lease.component.encoder), state(wanted))
    with store.lease(ref(store, "IPAdapter", f"adapter/{family}", precision=precision)) as lease:
        assert lease.component.keys() == {"image_proj", "ip_adapter"}
        assert lease.component["ip_adapter"]["1.to_k_ip.weight"].dtype == dtype


def test_nothing_asks_for_gradients_and_nothing_is_in_training(store: ModelStore) -> None:
    with store.lease(ref(store, "Denoiser", "sd1")) as lease:
        assert not module(lease).training
        assert not any(parameter.requires_grad for parameter in module(lease).parameters())


def test_loading_prints_nothing(store: ModelStore, capfd: pytest.CaptureFixture[str]) -> None:
    import diffusers
    import transformers

    diffusers.utils.logging.set_verbosity_info()
    transformers.utils.logging.set_verbosity_info()
    try:
        capfd.readouterr()
        for kind in KINDS:
            with store.lease(ref(store, kind, "sdxl")):
                pass
        printed = capfd.readouterr()
        assert printed.out == printed.err == ""
        # What the program around it has chosen is back in force.
        assert diffusers.utils.logging.get_verbosity() == logging.INFO
    finally:
        diffusers.utils.logging.set_verbosity_error()
        transformers.utils.logging.set_verbosity_error()


def test_a_second_lease_shares_the_component_and_a_later_one_finds_it(store: ModelStore) -> None:
    recipe = ref(store, "Denoiser", "sd1")
    with store.lease(recipe) as first, store.lease(recipe) as second:
        assert module(first) is module(second)
        assert store.loaded()[0].leased == 2
    with store.lease(recipe) as third:
        assert module(third) is module(first)
    assert [model.leased for model in store.loaded()] == [0]
    with store.lease(ref(store, "Denoiser", "sd1", precision="bfloat16")) as other:
        assert module(other) is not module(first)


def test_a_leased_component_may_not_be_changed_unnoticed(store: ModelStore) -> None:
    """What this store promises its users is theirs to keep: the check that node tests rely on."""
    with store.lease(ref(store, "Denoiser", "sd1")) as lease:
        before = {name: parameter._version for name, parameter in module(lease).named_parameters()}
        with torch.no_grad():
            module(lease)(torch.randn(1, 4, 8, 8), 500, torch.randn(1, 7, 32))
        assert before == {name: parameter._version for name, parameter in module(lease).named_parameters()}


def test_least_recently_used_goes_first_and_leased_never(make_store: Callable[..., ModelStore]) -> None:
    store = make_store()
    sizes = {}
    for family in FAMILIES:
        with store.lease(ref(store, "Denoiser", family)):
            sizes[family] = next(model.bytes for model in store.loaded() if model.name == family)
    store.clear()
    assert store.loaded() == []

    small = make_store(memory=Memory(main_budget=sizes["sd1"] + sizes["sdxl"] + 1000))
    for family in ("sd1", "sd2", "sd1", "sdxl"):
        with small.lease(ref(small, "Denoiser", family)):
            pass
    assert [model.name for model in small.loaded()] == ["sd1", "sdxl"]
    with small.lease(ref(small, "Denoiser", "sd1")) as held:
        with small.lease(ref(small, "Denoiser", "sd2")):
            assert {model.name for model in small.loaded()} == {"sd1", "sd2"}
            with small.lease(ref(small, "Denoiser", "sdxl")):
                # Nothing idle is left: the budget gives way, since the memory is there.
                assert {model.name for model in small.loaded()} == {"sd1", "sd2", "sdxl"}
        with small.lease(ref(small, "Denoiser", "sd1")) as again:
            assert module(again) is module(held)


class Scarce(Memory):
    """Main memory of a given size, of which the store's models are all that is taken."""

    def __init__(self, size: int, **budgets: int) -> None:
        super().__init__(**budgets)
        self.size = size
        self.taken: Callable[[], int] = lambda: 0

    def free(self, device: torch.device) -> int:
        return self.size - self.taken()

    def swap(self, device: torch.device) -> int:
        return 0


def test_scratch_is_kept_free_and_what_cannot_fit_is_a_problem(make_store: Callable[..., ModelStore]) -> None:
    memory = Scarce(2_500_000, main_budget=1 << 40)
    store = make_store(memory=memory)
    memory.taken = lambda: sum(model.bytes for model in store.loaded())
    with store.lease(ref(store, "Denoiser", "sd1")):
        pass
    with store.lease(ref(store, "VAE", "sd1"), scratch=1_000_000):
        assert {model.kind for model in store.loaded()} == {"Denoiser", "VAE"}
    with store.lease(ref(store, "VAE", "sd1"), scratch=2_000_000):
        assert {model.kind for model in store.loaded()} == {"VAE"}
    with pytest.raises(ProblemError) as caught, store.lease(ref(store, "Denoiser", "sdxl"), scratch=10**9):
        pass
    (problem,) = caught.value.problems
    assert problem.code == "out_of_memory" and "1.0 GB are needed" in problem.message
    assert store.loaded() == []


def test_running_out_while_loading_lets_go_of_the_rest_and_tries_once_more(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.lease(ref(store, "VAE", "sd1")):
        pass
    real, calls = components_module.load, []

    def scarce(*given: Any) -> Any:
        calls.append([model.kind for model in store.loaded()])
        if calls[-1]:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 7 bytes.")
        return real(*given)

    monkeypatch.setattr(components_module, "load", scarce)
    with store.lease(ref(store, "Denoiser", "sd1")):
        pass
    assert calls == [["VAE"], []]

    def never(*given: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(components_module, "load", never)
    with pytest.raises(ProblemError) as caught, store.lease(ref(store, "Denoiser", "sdxl")):
        pass
    assert caught.value.problems[0].code == "out_of_memory"


def test_what_is_leased_together_leaves_its_common_scratch_free(make_store: Callable[..., ModelStore]) -> None:
    memory = Scarce(2_500_000, main_budget=1 << 40)
    store = make_store(memory=memory)
    memory.taken = lambda: sum(model.bytes for model in store.loaded())
    with store.lease(ref(store, "VAE", "sd1")):
        pass
    with store.lease(ref(store, "Denoiser", "sd1"), scratch=1_100_000):
        assert len(store.loaded()) == 2
        with store.lease(ref(store, "ControlNet", "control/sd1")):
            assert {model.kind for model in store.loaded()} == {"Denoiser", "ControlNet"}
            assert memory.free(torch.device("cpu")) >= 1_100_000
            with pytest.raises(ProblemError) as caught, store.lease(ref(store, "TextEncoder", "sd1")):
                pass
            assert caught.value.problems[0].code == "out_of_memory"
            # What another thread computes is another matter: it takes its turn with what is there.
            with ThreadPoolExecutor(1) as threads:
                threads.submit(lambda: store.lease(ref(store, "TextEncoder", "sd1")).__enter__()).result()
    # It is given back with its lease.
    with store.lease(ref(store, "Denoiser", "sd1")), store.lease(ref(store, "Denoiser", "sd2")):
        pass


def test_work_that_runs_out_is_done_once_more_without_idle_models(store: ModelStore) -> None:
    with store.lease(ref(store, "VAE", "sd1")):
        pass
    seen: list[list[str]] = []

    def work() -> int:
        seen.append([model.kind for model in store.loaded()])
        if len(seen) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return 7

    with store.lease(ref(store, "Denoiser", "sd1")):
        assert store.retry(work) == 7
        assert seen == [["VAE", "Denoiser"], ["Denoiser"]]

        def other() -> None:
            seen.append([])
            raise KeyError

        with pytest.raises(KeyError):
            store.retry(other)
        assert len(seen) == 3


def test_running_out_while_computing_is_a_problem_with_a_remedy(store: ModelStore) -> None:
    with pytest.raises(ProblemError) as caught, store.lease(ref(store, "Denoiser", "sd1")):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
    assert caught.value.problems[0].code == "out_of_memory"
    with pytest.raises(KeyError), store.lease(ref(store, "Denoiser", "sd1")):
        raise KeyError("other errors pass through")
    assert [model.leased for model in store.loaded()] == [0]


def test_what_leaves_the_device_waits_in_main_memory(
    make_store: Callable[..., ModelStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the meta device, which has a place but no bytes: this is about who goes where, not about numbers."""
    moves: list[tuple[int, str]] = []

    def move(loaded: Any, device: torch.device) -> None:
        moves.append((loaded.bytes(), device.type))
        loaded.device = device

    monkeypatch.setattr(components_module.Loaded, "move", move)
    here = Numerics(device="meta", precision="float32", vae="float32", text="", kind=kind_of("meta"))
    memory = Scarce(1 << 40, device_budget=1_700_000, main_budget=1_000_000)
    store = make_store(memory=memory, here=here)

    def leased(family: str, kind: str = "Denoiser") -> None:
        with store.lease(ref(store, kind, family)) as lease:
            assert lease.device.type == "meta"

    leased("sd1")
    leased("sd2")
    assert moves == []
    leased("sdxl")
    places = {model.name: model.device for model in store.loaded()}
    # Both had to leave the device; main memory has room for one, so the one used last is kept.
    assert places == {"sd2": "cpu", "sdxl": "meta"}
    leased("sd2")
    places = {model.name: model.device for model in store.loaded()}
    assert places == {"sd2": "meta"} | ({"sdxl": "cpu"} if "sdxl" in places else {})
    assert [device for _, device in moves].count("meta") == 1


def test_many_threads_share_a_store(store: ModelStore) -> None:
    recipes = [ref(store, kind, family) for family in FAMILIES for kind in KINDS]
    seen: dict[int, set[int]] = {}
    errors: list[BaseException] = []

    def work(offset: int) -> None:
        try:
            for step in range(12):
                number = (offset + step) % len(recipes)
                with store.lease(recipes[number]) as lease:
                    seen.setdefault(number, set()).add(id(module(lease)))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert all(len(components) == 1 for components in seen.values())
    assert all(model.leased == 0 for model in store.loaded())


def test_auto_follows_the_machine_and_the_recipe_goes_before_it(make_store: Callable[..., ModelStore]) -> None:
    here = Numerics(device="cpu", precision="float16", vae="float16", text="")
    store = make_store(here=here)

    def dtype(kind: str, family: str, **more: Any) -> torch.dtype:
        with store.lease(ref(store, kind, family, **more)) as lease:
            return lease.dtype

    assert dtype("Denoiser", "sdxl") == torch.float16
    assert dtype("VAE", "sd1") == torch.float16
    # This one overflows in float16, as its configuration says.
    assert dtype("VAE", "sdxl") == torch.float32
    assert dtype("VAE", "sdxl", precision="bfloat16") == torch.bfloat16
    assert dtype("Denoiser", "sd1", precision="float32") == torch.float32


def test_a_vae_that_leaves_the_range_of_float16_computes_in_float32_instead(
    make_store: Callable[..., ModelStore], tmp_path: Path
) -> None:
    """Its configuration tells nothing of it, as with SDXL's where somebody copied the weights alone."""
    weights = tiny_models.tiny_sd1(tmp_path / "models" / "m") / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    for name in ("encoder.conv_in.weight", "decoder.conv_in.weight"):
        tensors[name] *= 3e5  # norms follow, so that float32 computes as well as ever
    save_file(tensors, weights)
    assert all(tensor.half().isfinite().all() for tensor in tensors.values())
    here = Numerics(device="cpu", precision="float16", vae="float16", text="")
    store = make_store(tmp_path, here=here)
    recipe, full = ref(store, "VAE", "m"), ref(store, "VAE", "m", precision="float32")
    with store.lease(recipe) as lease, torch.no_grad():
        assert lease.dtype == torch.float16
        with pytest.raises(ProblemError, match="not finite"):
            lease.component.decode(torch.ones(1, 4, 8, 8))
    given = Latent(torch.randn(1, 4, 8, 8), "sd1")
    ctx = BenchContext(store)
    image = vae.decode(recipe, given, ctx=ctx)
    assert torch.equal(image.pixels, vae.decode(full, given, ctx=BenchContext(store)).pixels)
    assert image.pixels.std() > 0.01, "it is no image of one colour"
    coded = vae.encode(recipe, image, sampled=True, ctx=ctx)
    assert torch.equal(coded.samples, vae.encode(full, image, sampled=True, ctx=BenchContext(store)).samples)
    assert [problem.code for problem in ctx.warned] == ["vae_overflowed"] * 2
    # What comes in broken is told, and not made twice.
    with pytest.raises(ProblemError) as caught:
        vae.decode(recipe, Latent(given.samples * float("nan"), "sd1"), ctx=ctx)
    assert caught.value.problems[0].code == "not_finite" and len(ctx.warned) == 2


def test_files_that_change_under_a_recipe_are_noticed(make_store: Callable[..., ModelStore], tmp_path: Path) -> None:
    folder = tiny_models.tiny_sd1(tmp_path / "models" / "m")
    store = make_store(tmp_path)
    recipe = ref(store, "Denoiser", "m")
    tiny_models.tiny_sd1(folder, seed=99)
    with pytest.raises(ProblemError) as caught, store.lease(recipe):
        pass
    assert caught.value.problems[0].code == "model_changed"
    with store.lease(ref(store, "Denoiser", "m")):
        pass


def test_weights_that_do_not_fit_their_configuration_are_named(
    make_store: Callable[..., ModelStore], tmp_path: Path
) -> None:
    folder = tiny_models.tiny_sd1(tmp_path / "models" / "m")
    config = folder / "unet" / "config.json"
    config.write_text(config.read_text().replace('"cross_attention_dim": 32', '"cross_attention_dim": 48'))
    store = make_store(tmp_path)
    with pytest.raises(ProblemError) as caught, store.lease(ref(store, "Denoiser", "m")):
        pass
    (problem,) = caught.value.problems
    assert problem.code == "weights_mismatch" and "(16, 32) instead of (16, 48)" in problem.message
    assert store.loaded() == []


def test_a_recipe_for_what_a_model_does_not_have(store: ModelStore) -> None:
    for kind, name in (("VAE", "lora/sd1.safetensors"), ("ControlNet", "sd1"), ("Denoiser", "adapter/sd1")):
        with pytest.raises(ProblemError) as caught, store.lease(ModelRef(kind, "sd1", store.find(name))):
            pass
        assert caught.value.problems[0].code == "wrong_model"


def test_old_names_of_a_vaes_attention_are_understood(make_store: Callable[..., ModelStore], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tiny_models.tiny_sd1(tmp_path / "models" / "m")
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    wanted = load_file(file)
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = {}
    for name, tensor in wanted.items():
        for new, before in old.items():
            name = name.replace(f"attentions.0.{new}.", f"attentions.0.{before}.")  # noqa: PLW2901
        renamed[name] = tensor
    assert renamed.keys() != wanted.keys()
    file.unlink()
    save_file(renamed, file)
    store = make_store(tmp_path)
    with store.lease(ref(store, "VAE", "m")) as lease:
        assert same(state(module(lease)), wanted)


def test_weights_that_keep_their_type_are_mapped_not_read(store: ModelStore, make_store: Any, tmp_path: Path) -> None:
    """The peak of loading is the weights in their new type, and one tensor more."""
    import resource
    import subprocess
    import sys

    del resource
    code = (
        "import sys, threading, torch\n"
        "from safelight.models.weights import Target, tensors\n"
        "from pathlib import Path\n"
        "from safetensors.torch import save_file\n"
        "import psutil\n"
        f"file = Path({str(tmp_path / 'big.safetensors')!r})\n"
        "save_file({f'w{i}': torch.ones(4_000_000, dtype=torch.float16) for i in range(12)}, file)\n"
        "import gc; gc.collect()\n"
        "def private():\n"
        "    found = psutil.Process().memory_full_info()\n"
        "    return found.uss\n"
        "out = []\n"
        "for name in ('float16', 'bfloat16'):\n"
        "    before = peak = private()\n"
        "    held = []\n"
        "    for item in tensors([file], Target(getattr(torch, name), torch.device('cpu'))):\n"
        "        held.append(item); peak = max(peak, private())\n"
        "    out.append((peak - before) / 96e6)\n"
        "    del held, item\n"
        "print(*out)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    kept, changed = map(float, done.stdout.split())
    assert kept < 0.1
    assert 0.9 < changed < 1.25


def test_an_ip_adapter_that_lacks_layers_names_them(
    home: Path, tmp_path: Path, make_store: Callable[..., ModelStore]
) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(home / "models" / "adapter" / "sd1" / "ip_adapter.safetensors")
    del weights["ip_adapter.3.to_v_ip.weight"]
    (tmp_path / "models").mkdir()
    save_file(weights, tmp_path / "models" / "cut.safetensors")
    store = make_store(tmp_path)
    with pytest.raises(ProblemError) as caught, store.lease(ref(store, "IPAdapter", "cut.safetensors")):
        pass
    (problem,) = caught.value.problems
    assert problem.code == "model_incomplete" and "lacks ip_adapter.3.to_v_ip.weight." in problem.message
