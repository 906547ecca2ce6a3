"""Techniques in a studio, several at once: killed in the middle, resumed, ended in the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import tiny_models
from families.flow_kits import ROWS
from families.resuming import goes_on, killable, workflow
from families.test_language_loras import LAYERS
from proofs import Proof
from safelight.families import load_families

FLOWS = {row.family: row for row in reversed(ROWS.values())}
ENDS = {
    **dict.fromkeys(("flux", "sd3", "flux3", "qwen_image_21"), ("attn.to_q",)),
    "anima": ("attn1.to_q",),
    "ideogram4": ("attention.to_q",),
    "flux2": LAYERS["klein_base"],
    **LAYERS,
}


class Changes:
    """Puts techniques into the shared workflow, one node each."""

    def __init__(self) -> None:
        self.document = workflow()
        self.techniques: list[str] = []

    def node(self, name: str, sort: str, links: dict[str, str], **values: Any) -> None:
        self.document["nodes"][name] = {"type": sort, "values": values}
        for port, source in links.items():
            self.link(f"{name}.{port}", source)

    def link(self, to: str, source: str) -> None:
        links = self.document["links"]
        links[:] = [link for link in links if link["to"] != to] + [{"from": source, "to": to}]

    def unlink(self, *ports: str) -> None:
        links = self.document["links"]
        links[:] = [link for link in links if link["to"] not in ports]

    def lora(self) -> None:
        self.node("lora", "models.apply_lora_to_model", {"model": "load.model"}, lora="style.safetensors", weight=0.8)
        self.link("sample.model", "lora.model")
        self.techniques.append("LoRA")

    def guider(self, kind: str = "apg", **values: Any) -> None:
        self.node("guider", "sampling.guider", {}, kind=kind, **values)
        self.link("sample.guider", "guider.guider")
        self.techniques.append(f"guider {kind}")

    def picture(self) -> None:
        self.node("blank", "latent.empty", {"vae": "load.vae"}, batch=2, width=64, height=64)
        self.node("picture", "vae.decode", {"vae": "load.vae", "latent": "blank.latent"})

    def image(self) -> None:
        self.picture()
        self.node("seen", "vae.encode", {"vae": "load.vae", "image": "picture.image"})
        self.start("seen.latent", "image to image")

    def mask(self) -> None:
        self.picture()
        self.node("area", "image.to_mask", {"image": "picture.image"})
        self.node("seen", "vae.encode_inpaint", {"vae": "load.vae", "image": "picture.image", "mask": "area.mask"})
        self.start("seen.latent", "masks")

    def start(self, source: str, technique: str) -> None:
        self.link("sample.latent", source)
        self.document["nodes"]["sample"]["values"]["denoise"] = 0.8
        del self.document["nodes"]["empty"]
        links = self.document["links"]
        links[:] = [link for link in links if not link["to"].startswith("empty.")]
        self.techniques.append(technique)

    def controlnet(self) -> None:
        self.node("net", "models.load_controlnet", {}, controlnet="net")
        links = {"positive": "said.conditioning", "negative": "unsaid.conditioning", "controlnet": "net.model"}
        self.node("controlled", "controlnet.apply", {**links, "image": "picture.image"})
        self.link("sample.positive", "controlled.positive")
        self.link("sample.negative", "controlled.negative")
        self.techniques.append("ControlNet")

    def ip_adapter(self) -> None:
        self.node("adapter", "models.load_ip_adapter", {}, adapter="adapter/ip_adapter.safetensors")
        links = {"positive": "controlled.positive", "adapter": "adapter.adapter", "encoder": "adapter.encoder"}
        self.node("shown", "ip_adapter.apply", {**links, "image": "picture.image"})
        self.link("sample.positive", "shown.conditioning")
        self.techniques.append("IP-Adapter")


def lora_of(denoiser: Path, ends: tuple[str, ...], file: Path, family: str) -> None:
    """Of rank 2, by the names that diffusers writes, which many families have: so it says what it is for."""
    source, found = torch.Generator().manual_seed(4), {}
    with safe_open(denoiser, "pt") as weights:  # pyright: ignore[reportUnknownVariableType]
        for name in weights.keys():  # noqa: SIM118  no dictionary: it has only keys()
            layer = name.removesuffix(".weight")
            if layer.endswith(ends):
                out, into = weights.get_slice(name).get_shape()
                found[f"transformer.{layer}.lora_A.weight"] = torch.randn(2, into, generator=source) / into**0.5
                found[f"transformer.{layer}.lora_B.weight"] = torch.randn(out, 2, generator=source)
    assert found
    save_file(found, file, {"modelspec.architecture": f"{load_families()[family].architectures[0]}/lora"})


@pytest.mark.in_turn
@killable
@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
@pytest.mark.parametrize("all_at_once", [False, True])
def test_in_our_loop(
    family: Any, all_at_once: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof
) -> None:
    changes = Changes()

    def make(models: Path) -> None:
        load_families()[family].tiny(models / "mine")
        if all_at_once:
            tiny_models.tiny_lora(models / "style.safetensors", family)
            tiny_models.tiny_controlnet(models / "net", family)
            tiny_models.tiny_ip_adapter(models / "adapter", family)

    if all_at_once:
        changes.mask()
        changes.lora()
        changes.controlnet()
        changes.ip_adapter()
        changes.guider("pag")
    assert goes_on(make, changes.document, "*.png", tmp_path, monkeypatch) == 2
    techniques = [*changes.techniques, "image to image"] if all_at_once else ["text to image"]
    proof.resumed(family, *techniques)


@pytest.mark.in_turn
@killable
@pytest.mark.parametrize("family", sorted(set(FLOWS) & set(ENDS)))
def test_in_blocks(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof) -> None:
    changes = Changes()

    def make(models: Path) -> None:
        load_families()[family].tiny(models / "mine")
        denoiser = models / "mine" / "transformer" / "diffusion_pytorch_model.safetensors"
        lora_of(denoiser, ENDS[family], models / "style.safetensors", family)

    changes.lora()
    if FLOWS[family].image_pipeline:
        changes.image()
    if FLOWS[family].guided:
        changes.guider()
    assert goes_on(make, changes.document, "*.png", tmp_path, monkeypatch) == 2
    proof.resumed(family, *changes.techniques)


@pytest.mark.in_turn
@killable
@pytest.mark.parametrize("family", ["sd1", "sdxl", "sd3", "flux", "z_image", "qwen_image"])
def test_differential_diffusion(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof) -> None:
    changes = Changes()
    changes.image()
    changes.node("area", "image.to_mask", {"image": "picture.image"})
    greys = {"latent": "seen.latent", "mask": "area.mask"}
    changes.node("greys", "latent.set_mask", greys, greys="differential")
    changes.link("sample.latent", "greys.latent")

    def make(models: Path) -> None:
        load_families()[family].tiny(models / "mine")

    assert goes_on(make, changes.document, "*.png", tmp_path, monkeypatch) == 2
    proof.resumed(family, "differential diffusion")


@pytest.mark.in_turn
@killable
def test_skipped_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof) -> None:
    changes = Changes()
    changes.guider("slg", slg_layers="0", slg_end=1.0)

    def make(models: Path) -> None:
        load_families()["sd3"].tiny(models / "mine")

    assert goes_on(make, changes.document, "*.png", tmp_path, monkeypatch) == 2
    proof.resumed("sd3", *changes.techniques)


@pytest.mark.in_turn
@killable
@pytest.mark.parametrize("zero_snr", [False, True])
def test_velocity(zero_snr: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof) -> None:
    changes = Changes()
    changes.node("predicts", "models.set_prediction", {"model": "load.model"}, zero_snr=zero_snr)
    changes.link("sample.model", "predicts.model")
    changes.document["nodes"]["sample"]["values"]["guidance_rescale"] = 0.7

    def make(models: Path) -> None:
        load_families()["sdxl"].tiny(models / "mine")

    assert goes_on(make, changes.document, "*.png", tmp_path, monkeypatch) == 2
    proof.resumed("sdxl", "velocity, zero SNR" if zero_snr else "velocity")


@pytest.mark.in_turn
@killable
def test_the_refiner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof) -> None:
    changes = Changes()
    changes.image()
    changes.guider("pag")

    def make(models: Path) -> None:
        load_families()["sdxl_refiner"].tiny(models / "mine")

    assert goes_on(make, changes.document, "*.png", tmp_path, monkeypatch) == 2
    proof.resumed("sdxl_refiner", *changes.techniques)
