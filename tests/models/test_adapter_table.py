"""Adapters as people have them: kind by layout by family, right, wrong and damaged. Each works, or has its
own Problem."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny_guides
import tiny_models
from models.original_layout import write_original_controlnet
from models.recipes import ref
from node_bench import BenchContext
from node_guides import noise_image
from safelight.engine.cache.fingerprints import Fingerprints
from safelight.environment import Environment
from safelight.families import Families, load_families
from safelight.models import ModelStore
from safelight.sdk import Conditioning, Latent, ModelRef, Patch, ProblemError, Prompt
from safelight_nodes import controlnet, ip_adapter, sampling

PLAIN = {"SAFELIGHT_DEVICE": "cpu", "SAFELIGHT_PRECISION": "float32", "HF_HUB_OFFLINE": "1"}
SD1, SD2, XL = "sd1", "sd2", "sdxl"
TOLD = {SD1: "stable-diffusion-v1", SD2: "stable-diffusion-v2-768-v", XL: "stable-diffusion-xl-v1-base"}


class Row(NamedTuple):
    kind: str
    layout: str
    family: str
    state: str
    code: str = ""

    @property
    def file(self) -> str:
        return f"{self.kind}-{self.layout}-{self.family}-{self.state}.safetensors"


def rows() -> Iterator[Row]:
    def all_states(
        kind: str, layout: str, family: str, wrong: str = "wrong_family", lacking: str = ""
    ) -> Iterator[Row]:
        yield Row(kind, layout, family, "right")
        yield Row(kind, layout, family, "damaged", "weights_damaged")
        if wrong:
            yield Row(kind, layout, family, "wrong", wrong)
        if lacking:
            yield Row(kind, layout, family, "lacking", lacking)

    for family in (SD1, SD2, XL):
        for layout in ("diffusers", "kohya"):
            yield from all_states("lora", layout, family)
    for layout in ("loha", "lokr", "dora", "diff"):
        yield from all_states("lora", layout, SD1)
    for family in (SD1, XL):
        for layout in ("original", "diffusers"):
            yield from all_states("controlnet", layout, family, lacking="model_incomplete")
    for layout in ("diffusers", "original"):
        yield from all_states("t2i", layout, SD1, lacking="model_incomplete")
        yield from all_states("t2i", layout, XL, lacking="model_incomplete")
    yield from all_states("union", "diffusers", XL, lacking="model_incomplete")
    yield from all_states("control_lora", "original", SD1, wrong="weights_mismatch", lacking="model_incomplete")
    yield from all_states("control_lora", "original", XL, lacking="model_incomplete")
    yield from all_states("ip_adapter", "plain", SD1, wrong="weights_mismatch", lacking="model_incomplete")
    yield from all_states("ip_adapter", "plain", XL, wrong="weights_mismatch", lacking="model_incomplete")
    yield from all_states("embedding", "a1111", SD1, wrong="")
    yield from all_states("embedding", "two", XL, wrong="")


ROWS = list(rows())
LOST = {
    "controlnet": ("zero_convs.0.0.weight", "down_blocks.0.resnets.0.conv1.weight"),
    "t2i": ("conv_in.weight",),
    "union": ("spatial_ch_projs.weight",),
    "control_lora": ("middle_block_out.0.weight",),
    "ip_adapter": ("to_k_ip.weight",),
}


def test_there_are_enough_rows() -> None:
    assert len(set(ROWS)) == len(ROWS) >= 50


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("table")
    for family in (SD1, SD2, XL):
        getattr(tiny_models, f"tiny_{family}")(home / "models" / family)
        for kind in ("net", "ip"):
            make = tiny_models.tiny_controlnet if kind == "net" else tiny_models.tiny_ip_adapter
            make(home / kind / family, family)  # pyright: ignore[reportArgumentType]
    return home


@pytest.fixture(scope="module")
def store(home: Path) -> ModelStore:
    there = load_families()
    small: dict[str, Callable[[], Any]] = {}
    for name in (SD1, SD2, XL):
        small[name] = lambda name=name: tiny_guides.family_of(name)
    small["sdxl_refiner"] = lambda: there["sdxl_refiner"]
    environment = Environment.read(PLAIN)
    return ModelStore(home, fingerprint=Fingerprints(None).digest, environment=environment, families=Families(small))


def write(row: Row, home: Path, file: Path) -> None:
    family: Any = row.family
    if row.kind == "lora" and row.layout in ("diffusers", "kohya"):
        tiny_models.tiny_lora(file, family, style=row.layout)  # pyright: ignore[reportArgumentType]
    elif row.kind == "lora":
        save_file(changes(row.layout), file, {"modelspec.architecture": f"{TOLD[family]}/lora"})
    elif row.kind == "controlnet" and row.layout == "original":
        write_original_controlnet(home / "net" / family, file, 1)
    elif row.kind == "controlnet":
        save_file(load_file(home / "net" / family / "diffusion_pytorch_model.safetensors"), file)
    elif row.kind == "t2i":
        tiny_guides.written(tiny_guides.t2i_adapter(family), file, row.layout)
    elif row.kind == "union":
        tiny_guides.written(tiny_guides.union(), file, row.layout)
    elif row.kind == "control_lora":
        from diffusers import UNet2DConditionModel

        tiny_guides.control_lora(UNet2DConditionModel.from_pretrained(home / "models" / family / "unet"), file)
    elif row.kind == "ip_adapter":
        save_file(load_file(home / "ip" / family / "ip_adapter.safetensors"), file)
        shutil.copytree(home / "ip" / family / "image_encoder", file.parent / "image_encoder", dirs_exist_ok=True)
    else:
        one = {"emb_params": torch.ones(2, 768)}
        save_file(one if row.layout == "a1111" else {"clip_l": torch.ones(2, 768), "clip_g": torch.ones(2, 1280)}, file)


def changes(layout: str) -> dict[str, torch.Tensor]:
    """One layer changed: 16 channels in and out."""
    random = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random) * 0.3

    layer = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_v"
    pair = {"lora_up.weight": draw(16, 4), "lora_down.weight": draw(4, 16)}
    parts = {
        "loha": {f"hada_{name}": draw(*shape) for name, shape in (
            ("w1_a", (16, 4)), ("w1_b", (4, 16)), ("w2_a", (16, 4)), ("w2_b", (4, 16)))},
        "lokr": {"lokr_w1": draw(4, 4), "lokr_w2": draw(4, 4)},
        "dora": {**pair, "dora_scale": draw(16, 1).abs()},
        "diff": {"diff": draw(16, 16)},
    }  # fmt: skip
    return {f"{layer}.{name}": tensor for name, tensor in parts[layout].items()}


def harmed(row: Row, file: Path) -> None:
    if row.state == "damaged":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif row.state == "lacking":
        weights = load_file(file)
        lost = [name for name in weights if name.endswith(LOST[row.kind])]
        assert lost
        lost = lost[-1:] if row.kind == "ip_adapter" else lost
        file.unlink()
        save_file({name: tensor for name, tensor in weights.items() if name not in lost}, file)


def sampled(store: ModelStore, model: ModelRef[Any], positive: Conditioning) -> torch.Tensor:
    ctx: Any = BenchContext(models=store)
    start = Latent(torch.zeros(1, 4, 8, 8), model.family, 8)
    made = sampling.sample(model, positive, None, start, steps=1, guidance=1.0, sampler="ddim", seed=3, ctx=ctx)
    return made.samples


def used(store: ModelStore, row: Row, family: str) -> tuple[torch.Tensor, torch.Tensor]:
    """What a model makes without the adapter, and with it."""
    ctx: Any = BenchContext(models=store)
    if row.kind == "embedding":
        source = store.find(Path(row.file).stem, "embedding")
        with store.lease(ModelRef("Embedding", store.family(source), source)) as lease:
            found = lease.component["vectors"]
            return torch.zeros(1), next(iter(found.values()))
    random = torch.Generator().manual_seed(2)
    wide = family == XL
    text, pooled = torch.randn(1, 7, 64 if wide else 32, generator=random), torch.randn(1, 32, generator=random)
    positive = Conditioning((Prompt.of(text, pooled if wide else None),), family=family)
    model = ref(store, "Denoiser", family)
    if family == SD2:
        model = replace(model, schedule=(("prediction_type", "v_prediction"),))
    name = f"{Path(row.file).stem}/{row.file}" if row.kind == "ip_adapter" else row.file
    if row.kind == "lora":
        patched = model.patched(Patch("lora", store.find(name, "lora")))
        return sampled(store, model, positive), sampled(store, patched, positive)
    if row.kind == "ip_adapter":
        adapter = ref(store, "IPAdapter", name)
        guided = ip_adapter.apply(positive, adapter, replace(adapter, kind="ImageEncoder"), noise_image(1), ctx=ctx)
    else:
        net = ref(store, "ControlNet", name)
        more: Any = {"control_type": "depth"} if row.kind == "union" else {}
        guided = controlnet.apply(positive, net, noise_image(1), **more).positive
    return sampled(store, model, positive), sampled(store, model, guided)


OTHER = {SD1: XL, SD2: SD1, XL: SD1}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.file.removesuffix(".safetensors"))
def test_each_works_or_has_its_problem(store: ModelStore, home: Path, row: Row) -> None:
    folder = home / "models" / {"embedding": "embeddings", "ip_adapter": Path(row.file).stem}.get(row.kind, "")
    folder.mkdir(exist_ok=True)
    file = folder / row.file
    write(row, home, file)
    harmed(row, file)
    family = OTHER[row.family] if row.state == "wrong" else row.family
    if not row.code:
        before, after = used(store, row, family)
        assert before.shape != after.shape or float((before - after).abs().max()) > 1e-4
        return
    with pytest.raises(ProblemError) as caught:
        used(store, row, family)
    assert caught.value.problems[0].code == row.code
    assert caught.value.problems[0].hint
