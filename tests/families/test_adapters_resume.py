"""What guides a model, in its ways: killed in the middle, resumed, ended in the same bits. Several techniques a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import tiny_adapters
import tiny_guides
import tiny_models
from families.flow_kits import ROWS, flow_kit
from families.resuming import goes_on, killable
from families.test_flow_adapters import clip as clip_encoder
from families.test_flow_adapters import for_flux, for_sd3, siglip
from families.test_flow_controlnets import NETS, written
from families.test_hunyuan_video import write as write_hunyuan
from families.test_techniques_resume import ENDS, FLOWS, Changes, lora_of
from families.test_wan import clip
from proofs import Proof
from safelight.families import load_families

pytestmark = [pytest.mark.in_turn, killable]
FAMILIES = load_families()


def controlled(changes: Changes, net: str, name: str, **more: Any) -> None:
    """A further ControlNet, on what the sides are so far."""
    sides = {}
    for side in ("positive", "negative"):
        sides[side] = next(link["from"] for link in changes.document["links"] if link["to"] == f"sample.{side}")
    links = {"image": "picture.image", **sides, **more.pop("links", {})}
    changes.node(f"{name}_net", "models.load_controlnet", {}, controlnet=net)
    changes.node(name, "controlnet.apply", {**links, "controlnet": f"{name}_net.model"}, **more)
    changes.link("sample.positive", f"{name}.positive")
    changes.link("sample.negative", f"{name}.negative")


def shown(changes: Changes, adapter: str, links: dict[str, str], name: str = "shown", **more: Any) -> None:
    positive = next(link["from"] for link in changes.document["links"] if link["to"] == "sample.positive")
    changes.node(f"{name}_adapter", "models.load_ip_adapter", {}, adapter=adapter)
    given = {"adapter": f"{name}_adapter.adapter", "encoder": f"{name}_adapter.encoder", "image": "picture.image"}
    changes.node(name, "ip_adapter.apply", {"positive": positive, **given, **links}, **more)
    changes.link("sample.positive", f"{name}.conditioning")


WAYS: dict[str, tuple[str, ...]] = {
    "parts": (
        *("ControlNets, several", "ControlNet by mask", "ControlNet by blocks", "ControlNet by steps"),
        *("IP-Adapter by mask", "IP-Adapter by blocks", "LoRAs, several", "ControlNet and guider pag"),
        *("ControlNet and IP-Adapter", "ControlNet, IP-Adapter and LoRA"),
    ),
    "others": ("ControlNet, guess mode", "Control-LoRA", "T2I-Adapter", "ControlNet and T2I-Adapter"),
}
FACES: dict[str, tuple[str, dict[str, Any]]] = {
    "IP-Adapter Plus": ("plus", {}),
    "IP-Adapter FaceID": ("face", {}),
    "IP-Adapter FaceID Plus, version 1": ("face_plus", {"plus_version": "1"}),
    "IP-Adapter FaceID Plus, version 2": ("face_plus", {"plus_version": "2"}),
}
"""By technique, the file of the adapter and what is said of it."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_in_our_loop(family: Any, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof) -> None:
    changes = Changes()
    changes.image()
    changes.node("one", "image.pick", {"image": "picture.image"}, start=0, count=1)
    changes.node("area", "image.to_mask", {"image": "one.image"})

    def parts(models: Path) -> None:
        tiny_models.tiny_lora(models / "style.safetensors", family)
        tiny_models.tiny_lora(models / "other.safetensors", family, 8)
        tiny_models.tiny_controlnet(models / "net", family)
        tiny_models.tiny_controlnet(models / "second", family, 11)
        tiny_models.tiny_ip_adapter(models / "adapter", family)

    def others(models: Path) -> None:
        import diffusers

        tiny_models.tiny_controlnet(models / "net", family)
        library: Any = diffusers
        unet = library.UNet2DConditionModel.from_pretrained(models / "mine" / "unet")
        tiny_guides.control_lora(unet, models / "control_lora.safetensors")
        tiny_guides.written(tiny_guides.t2i_adapter(family), models / "t2i.safetensors", "diffusers")
        if family == "sdxl":
            tiny_guides.union().save_pretrained(models / "union")

    if way == "parts":
        changes.lora()
        changes.node(
            "second", "models.apply_lora_to_model", {"model": "lora.model"}, lora="other.safetensors", weight=0.5
        )
        changes.link("sample.model", "second.model")
        controlled(changes, "net", "first", links={"mask": "area.mask"}, strength=0.7)
        controlled(changes, "second", "then", strength=0.9, start=0.2, end=0.9, blocks=[0.5, 1.0])
        shown(changes, "adapter/ip_adapter.safetensors", {"mask": "area.mask"}, blocks="mid 0.5", scale=0.5)
        changes.guider("pag")
    else:
        controlled(changes, "net", "first", guess=True)
        controlled(changes, "control_lora.safetensors", "then")
        controlled(changes, "t2i.safetensors", "last", strength=0.8)
        if family == "sdxl":
            controlled(changes, "union", "kinds", strength=0.7, control_type="depth")

    def make(models: Path) -> None:
        FAMILIES[family].tiny(models / "mine")
        (parts if way == "parts" else others)(models)

    assert goes_on(make, changes.document, "*.png", tmp_path, monkeypatch) == 2
    proof.resumed(family, *WAYS[way], *(["ControlNet union"] if (family, way) == ("sdxl", "others") else []))


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_adapters_for_faces(family: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof) -> None:
    """A Plus, a FaceID and a FaceID Plus of both versions, one behind the other."""
    changes = Changes()
    changes.picture()
    changes.node("known", "reading.load_vectors", {}, file="faces.json")
    for number, (file, more) in enumerate(FACES.values()):
        links = {"faces": "known.vectors"} if "face" in file else {}
        shown(changes, f"adapter/{file}.safetensors", links, f"shown_{number}", scale=0.5, **more)
    # A plain FaceID looks at numbers alone.
    changes.unlink("shown_1.encoder", "shown_1.image")

    def make(models: Path) -> None:
        FAMILIES[family].tiny(models / "mine")
        whole = tiny_models.tiny_ip_adapter(models / "adapter", family) / "ip_adapter.safetensors"
        tiny_adapters.written(whole, models / "mine" / "unet")
        (models.parent / "input").mkdir()
        faces = tiny_adapters.Drawing(4)(2, tiny_adapters.FACE)
        (models.parent / "input" / "faces.json").write_text(json.dumps(faces.tolist()))

    assert goes_on(make, changes.document, "*.png", tmp_path, monkeypatch) == 2
    proof.resumed(family, *FACES)


def test_redux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof) -> None:
    from diffusers.pipelines.flux.modeling_flux import ReduxImageEncoder

    changes = Changes()
    changes.picture()
    shown(changes, "redux/image_embedder", {}, scale=1.0)

    def make(models: Path) -> None:
        width = flow_kit("flux", models.parent).pipeline.transformer.config.joint_attention_dim
        torch.manual_seed(9)
        ReduxImageEncoder(32, width).save_pretrained(models / "redux" / "image_embedder")
        siglip(models / "redux" / "image_encoder")

    assert goes_on(make, changes.document, "*.png", tmp_path, monkeypatch) == 2
    proof.resumed("flux", "Redux")


@pytest.mark.parametrize("name", NETS)
def test_in_blocks(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof) -> None:
    """A ControlNet and, where the family takes one, an IP-Adapter."""
    family = NETS[name].family
    adapter = {"flux": "union", "sd3": "sd3"}.get(family) == name
    changes = Changes()
    changes.image()
    controlled(changes, "net", "first", links={"vae": "load.vae"}, control_type=NETS[name].kind)
    if adapter:
        shown(changes, "ipadapter/ip.safetensors", {}, scale=0.5)

    def make(models: Path) -> None:
        kit = flow_kit(family, models.parent)
        written(name, kit, models / "net")
        if adapter:
            torch.manual_seed(7)
            (models / "ipadapter").mkdir()
            (clip_encoder if family == "flux" else siglip)(models / "clip_vision" / "one")
            save_file(
                (for_flux if family == "flux" else for_sd3)(kit.pipeline.transformer),
                models / "ipadapter" / "ip.safetensors",
            )
        shutil.rmtree(models.parent / "hub", ignore_errors=True)

    assert goes_on(make, changes.document, "*.png", tmp_path, monkeypatch) == 2
    proof.resumed(family, f"ControlNet ({name})", *(["IP-Adapter"] if adapter else []))


@pytest.mark.parametrize("kind", ["tcfg", "cfg_zero"])
@pytest.mark.parametrize("family", sorted(name for name in FLOWS if ROWS.get(name, FLOWS[name]).guided))
def test_other_guiders(family: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof) -> None:
    if (family, kind) == ("qwen_image", "cfg_zero"):
        pytest.skip("it makes numbers that are not finite there, and is refused")
    changes = Changes()
    changes.guider(kind)
    assert (
        goes_on(lambda models: FAMILIES[family].tiny(models / "mine"), changes.document, "*.png", tmp_path, monkeypatch)
        == 2
    )
    proof.resumed(family, *changes.techniques)


@pytest.mark.parametrize("family", ["wan", "wan_5b", "ltx", "ltx2", "hunyuan_video_15"])
def test_a_lora_of_videos(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof) -> None:
    changes = Changes()
    changes.document = clip()
    changes.document["nodes"]["empty"]["values"] = {"width": 64, "height": 64, "frames": 9}
    changes.lora()

    def make(models: Path) -> None:
        if family == "hunyuan_video_15":
            write_hunyuan(FAMILIES[family], models / "mine", 1)  # pyright: ignore[reportArgumentType]
        else:
            FAMILIES[family].tiny(models / "mine")
        denoiser = models / "mine" / "transformer" / "diffusion_pytorch_model.safetensors"
        lora_of(denoiser, ENDS.get(family, ("attn1.to_q", "attn.to_q")), models / "style.safetensors", family)

    assert goes_on(make, changes.document, "clip*", tmp_path, monkeypatch) == 1
    proof.resumed(family, *changes.techniques)
