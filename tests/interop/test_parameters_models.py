"""What a record of settings says of further models, refiners, ControlNets, LoRAs by hash; and Fooocus, Draw Things."""

from __future__ import annotations

import hashlib
import html
import json
from pathlib import Path
from typing import Any

import pytest

from safelight.app import Studio
from safelight.graph import Document, check
from safelight.interop.parameters import units
from safelight.interop.parameters.settings import Unit
from safelight.interop.reading import read
from safelight.media.registry import built_in
from safelight.sdk.problem import errors
from settings_images import CATALOGUE, commented, made, png, values

FACES = (
    "a\nSteps: 5, Sampler: Euler, Seed: 1, Size: 512x640, Model: m, ADetailer model: face_yolov8n.pt, "
    'ADetailer prompt: "a smile, [PROMPT] [SEP] b", ADetailer confidence: 0.3, ADetailer dilate erode: 4, '
    "ADetailer mask blur: 6, ADetailer denoising strength: 0.5, ADetailer inpaint only masked: True, "
    "ADetailer inpaint padding: 32, ADetailer use separate steps: True, ADetailer steps: 10, "
    "ADetailer use separate CFG scale: True, ADetailer CFG scale: 3.5, ADetailer version: 24"
)
REFINED = (
    "a tower\nNegative prompt: fog\nSteps: 30, Sampler: Euler, Seed: 3, Size: 1024x1024, Model: xl, "
    "Refiner: sd_xl_refiner_1.0 [7440042bbd], Refiner switch at: 0.75, RNG: CPU"
)


def links_of(document: Document) -> set[tuple[str, str]]:
    return {(str(one.source), str(one.target)) for one in document.links}


@pytest.mark.parametrize("prompt", ["a tower", "a <lora:detail:0.7> tower"])
def test_a_refiner_makes_the_last_steps(prompt: str) -> None:
    document, remarks = made(png(parameters=REFINED.replace("a tower", prompt, 1)))
    assert not remarks
    assert document.nodes["sample"].type == document.nodes["refine"].type == "sampling.sample_part"
    assert (values(document, "sample")["steps"], values(document, "refine")["steps"]) == (30, 30)
    assert values(document, "sample")["end_step"] == values(document, "refine")["start_step"] == 23
    assert values(document, "refiner") == {"model": "checkpoints/sd_xl_refiner_1.0.safetensors"}
    links = links_of(document)
    words = "prompt_words.text" if prompt == "a tower" else "loras.prompt"
    assert {(words, "prompt.text"), (words, "refiner_prompt.text")} <= links, "both read the same words"
    assert {("sample.latent", "refine.latent"), ("refine.latent", "decode.latent")} <= links
    assert {("refiner.text", "refiner_negative.encoder"), ("refiner.model", "refine.model")} <= links
    assert str(document.inputs[0].to) == ("prompt_words.value" if prompt == "a tower" else "loras.prompt")


@pytest.mark.parametrize(
    ("change", "told"),
    [("Steps: 1,", "how many steps"), ("Steps: 30, Denoising strength: 0.5,", "an image is changed")],
)
def test_a_refiner_that_cannot_be_is_told(change: str, told: str) -> None:
    document, report = read(png(parameters=REFINED.replace("Steps: 30,", change)), built_in())
    assert "refine" not in document.nodes and report is not None
    assert any(told in one.message for one in report.remarks)


@pytest.mark.parametrize("share", ["1", "2", "-1", "many", "nan"])
def test_a_refiner_at_an_odd_place(share: str) -> None:
    document, _ = made(png(parameters=REFINED.replace("0.75", share)))
    parts = [values(document, name).get(port) for name, port in (("sample", "end_step"), ("sample", "start_step"))]
    assert parts in ([None, None], [1, None], [24, None])


UNIT = (
    "a\nSteps: 5, Sampler: Euler, Seed: 1, RNG: CPU, Size: 64x64, Model: m, "
    'ControlNet 0: "Module: canny, Model: control_canny [d14c016b], Weight: 0.8, Resize Mode: Crop and Resize, '
    "Processor Res: 512, Threshold A: 50, Threshold B: 150, Guidance Start: 0.1, Guidance End: 0.9, "
    'Pixel Perfect: False, Control Mode: ControlNet is more important", '
    'ControlNet 1: "preprocessor: openpose_full, model: pose, weight: 1, starting/ending: (0, 0.5), resize mode: x"'
)


def test_controlnets_guide_with_an_image_to_be_chosen() -> None:
    reading = read(png(parameters=UNIT), built_in())
    document, report = reading
    assert report is not None and [one.message.split("'")[1] for one in report.remarks] == ["hint_1", "hint_2"]
    assert values(document, "controlnet_1") == {"controlnet": "controlnet/control_canny.safetensors"}
    assert values(document, "preprocessed_1") == {"low": 50, "high": 150}
    assert values(document, "guided_1") == {"strength": 0.8, "start": 0.1, "end": 0.9, "guess": True}
    assert (
        document.nodes["preprocessed_2"].type == "preprocess.openpose" and values(document, "preprocessed_2")["hands"]
    )
    assert values(document, "guided_2") == {"strength": 1.0, "start": 0.0, "end": 0.5, "guess": False}
    links = links_of(document)
    assert {("hint_1.image", "preprocessed_1.image"), ("preprocessed_1.image", "guided_1.image")} <= links
    assert {("guided_1.positive", "guided_2.positive"), ("guided_2.negative", "sample.negative")} <= links
    chosen = document.data()
    for name in ("hint_1", "hint_2"):
        chosen["nodes"][name]["values"] = {"file": "apple.png"}
    assert not errors(check(Document.parse(chosen), CATALOGUE).problems)


def test_every_preprocessor_is_one_that_there_is() -> None:
    for module in units.MODULES:
        kind, given = units.preprocessor(Unit("m", module, resolution=256)) or ("", {})
        node = CATALOGUE.get(kind)
        assert node is not None and set(given) <= set(node.ports), module


@pytest.mark.parametrize(
    ("unit", "told"),
    [
        ("Module: tile_resample, Model: tile", "no preprocessor 'tile_resample'"),
        ("Module: none, Model: x, Control Mode: My prompt is more important", "control mode"),
        ("Module: canny, Weight: 1", "without a model"),
        ("", "without a model"),
        ("Model: x, Weight: nan, Guidance Start: 2, Guidance End: -1, Processor Res: 1e9", "hint_1"),
        ("Module: canny, Model: x, Threshold A: 900, Threshold B: 1, starting/ending: (9)", "hint_1"),
    ],
)
def test_odd_controlnets_are_told(unit: str, told: str) -> None:
    text = f'a\nSteps: 5, Sampler: Euler, Seed: 1, ControlNet 0: "{unit}"'
    document, report = read(png(parameters=text), built_in())
    assert report is not None and any(told in one.message for one in report.remarks)
    chosen = document.data()
    for name, node in chosen["nodes"].items():
        if name.startswith("hint"):
            node["values"] = {"file": "apple.png"}
    assert not errors(check(Document.parse(chosen), CATALOGUE).problems)


def test_faces_are_painted_again_as_adetailer_said() -> None:
    document, remarks = made(png(parameters=FACES))
    assert len([one for one in remarks if "face_yolov8n" in one and "another network" in one]) == 1
    assert document.nodes["faces"].type == "faces.find"
    assert values(document, "cut") == {"feather": 6, "grow": 4, "width": 512, "height": 640}
    assert values(document, "face_prompt") == {"text": "a smile, a"}
    sampler = values(document, "face")
    assert (sampler["steps"], sampler["guidance"], sampler["seed"]) == (6, 3.5, 1)
    assert int(6 / sampler["denoise"]) == 10, "of 10 steps, int(0.5 * 10) + 1 are made there"
    links = links_of(document)
    assert {("face_prompt.conditioning", "face.positive"), ("negative.conditioning", "face.negative")} <= links
    assert {
        ("decode.image", "cut.image"),
        ("cut.cutout", "stitch.cutout"),
        ("stitch.image", "painted.if_true"),
    } <= links
    assert {
        ("decode.image", "painted.if_false"),
        ("faces.number", "any_face.a"),
        ("painted.value", "save.image"),
    } <= links
    assert "denoise" not in values(document, "sample")


def test_what_else_adetailer_found_is_told() -> None:
    document, remarks = made(png(parameters=FACES.replace("face_yolov8n", "hand_yolov8n")))
    assert "faces" not in document.nodes and any("hand_yolov8n" in one and "left out" in one for one in remarks)
    _, remarks = made(png(parameters=f"{FACES}, ADetailer model 2nd: hand.pt, ADetailer sampler: Heun"))
    assert any("model 2nd, sampler" in one for one in remarks)


HASHED = (
    "a <lora:detail:0.7> b <lora:other>\nSteps: 5, Sampler: Euler, Seed: 1, RNG: CPU, "
    "Model hash: 1111111111, Model: theirs, "
    'VAE hash: 2222222222, VAE: old.pt, Lora hashes: "detail: 333333333333, other: 444444444444", '
    'Refiner: fine [5555555555], Hashes: {"model": "1111111111", "lora:other": "6666666666"}, Version: 1'
)


def test_models_are_matched_by_hash_where_one_is_known() -> None:
    ours = {"1111111111": "checkpoints/mine.safetensors", "333333333333": "loras/a/ink.safetensors"}
    ours |= {"5555555555": "checkpoints/r.safetensors", "6666666666": "web:loras/b.safetensors"}
    asked: list[str] = []

    def known(digest: str) -> str:
        asked.append(digest)
        return ours.get(digest, "")

    document, report = read(png(parameters=HASHED), built_in(), known=known)
    assert report is not None and not report.remarks
    assert values(document, "model") == {"model": "checkpoints/mine.safetensors"}
    assert values(document, "vae") == {"vae": "vae/old.pt"}, "the name counts where nothing is known"
    assert values(document, "refiner") == {"model": "checkpoints/r.safetensors"}
    prompt = values(document, "loras")["prompt"]
    assert prompt == "a <lora:loras/a/ink.safetensors:0.7> b <lora:other>", "a name with : is none for a tag"
    assert sorted(asked) == ["1111111111", "2222222222", "333333333333", "5555555555", "6666666666"]


@pytest.mark.parametrize("hashes", ["Hashes: {broken, Lora hashes: a", 'Hashes: {"model": 5}', 'Lora hashes: "::"'])
def test_odd_hashes_are_passed_over(hashes: str) -> None:
    document, _ = made(png(parameters=f"a\nSteps: 5, Sampler: Euler, Seed: 1, Model: m, {hashes}"))
    assert values(document, "model") == {"model": "checkpoints/m.safetensors"}


def test_a_model_without_a_name_is_named_by_its_hash() -> None:
    document, _ = made(png(parameters="a\nSteps: 5, Sampler: Euler, Seed: 1, Model hash: 6ce0161689"))
    assert values(document, "model") == {"model": "6ce0161689"}


def test_the_library_answers_from_what_was_hashed_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFELIGHT_MODELS", str(tmp_path / "models"))
    file = tmp_path / "models" / "checkpoints" / "mine.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights, as far as hashes go")
    image = tmp_path / "theirs.png"
    with Studio.open(tmp_path / "home") as studio:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()[:10]
        image.write_bytes(png(parameters=f"a\nSteps: 5, Sampler: Euler, Seed: 1, Model: theirs, Model hash: {digest}"))
        assert values(studio.read(image), "model") == {"model": "checkpoints/theirs.safetensors"}, "none is hashed"
        studio.models.library.hash_of(file)
        assert values(studio.read(image), "model") == {"model": "checkpoints/mine.safetensors"}
        file.write_bytes(b"others")
        assert values(studio.read(image), "model") == {"model": "checkpoints/theirs.safetensors"}, "another file by now"


FOOOCUS = {
    **{"prompt": "a", "negative_prompt": "b", "full_prompt": ["cinematic a", "sharp"], "full_negative_prompt": ["b"]},
    **{"steps": 30, "guidance_scale": 4, "seed": "123", "resolution": "(1152, 896)", "base_model": "jug"},
    **{"base_model_hash": "1111111111", "refiner_model": "None", "refiner_switch": 0.5, "clip_skip": 2},
    **{"sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras", "vae": "Default (model)", "sharpness": 2},
    **{"loras": [["offset.safetensors", 0.1, "2222222222"], ["None"], 3], "metadata_scheme": "fooocus"},
}


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_fooocus_own_scheme(form: str) -> None:
    text = json.dumps(FOOOCUS)
    data = png(parameters=text, fooocus_scheme="fooocus") if form == "PNG" else commented("JPEG", text)
    document, remarks = made(data)
    assert [one.split(" = ")[0] for one in remarks] == ["sharpness"]
    assert values(document, "prompt") == {"text": "cinematic a\nBREAK\nsharp", "clip_skip": 1}
    assert values(document, "negative")["text"] == "b" and values(document, "latent") == {"width": 1152, "height": 896}
    assert values(document, "lora_1") == {"lora": "loras/offset.safetensors", "weight": 0.1, "text_weight": 0.1}
    assert values(document, "model") == {"model": "checkpoints/jug.safetensors"}
    assert values(document, "sample") == {
        **{"steps": 30, "guidance": 4.0, "seed": 123, "sampler": "dpmpp_2m_sde", "scheduler": "karras"},
        "formulas": "k-diffusion",
    }
    refined, _ = made(png(parameters=json.dumps(FOOOCUS | {"refiner_model": "r.safetensors"})))
    assert values(refined, "sample")["end_step"] == 15 and refined.nodes["refiner"].type == "models.load"


DRAWN = {
    **{"c": 'a "cat" & <dog>', "uc": "b", "model": "jug_f16.ckpt", "sampler": "Euler A Trailing", "scale": 5.5},
    **{"seed": 7, "size": "640x512", "steps": 12, "strength": 1, "seed_mode": "Scale Alike"},
    **{"lora": [{"model": "ink.ckpt", "weight": 0.5}], "control": [], "profile": {"duration": 3}},
}


@pytest.mark.parametrize("packet", [True, False])
def test_draw_things(packet: bool) -> None:
    text = json.dumps(DRAWN)
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><exif:UserComment><rdf:Alt><rdf:li xml:lang="x-default">'
        f"{html.escape(text)}</rdf:li></rdf:Alt></exif:UserComment></x:xmpmeta>"
    )
    document, remarks = made(png(**({"XML:com.adobe.xmp": xmp} if packet else {"Comment": text})))
    assert len(remarks) == 1 and "jug_f16.ckpt" in remarks[0]
    assert (values(document, "prompt")["text"], values(document, "negative")["text"]) == ('a "cat" & <dog>', "b")
    assert values(document, "latent") == {"width": 640, "height": 512}
    assert values(document, "lora_1") == {"lora": "loras/ink.ckpt", "weight": 0.5, "text_weight": 0.5}
    assert values(document, "sample") == {
        **{"steps": 12, "guidance": 5.5, "seed": 7, "sampler": "euler_ancestral", "scheduler": "trailing"}
    }


@pytest.mark.parametrize(
    "change",
    [
        {"seed": -1, "steps": "many", "scale": None, "size": "x"},
        {"sampler": 3, "lora": [1, {}, {"model": "a", "weight": "x"}], "strength": 7},
        {"c": "", "uc": None, "model": None, "control": [{"x": 1}]},
    ],
)
def test_odd_records_of_draw_things_and_fooocus(change: dict[str, Any]) -> None:
    made(png(Comment=json.dumps(DRAWN | change)))
    made(png(parameters=json.dumps(FOOOCUS | change | {"resolution": change.get("size", 5), "full_prompt": 5})))


@pytest.mark.parametrize(
    "change",
    [{"seed": "many"}, {"seed": 5, "loras": {}}, {"loras": [[1, 2], ["a", "x"], ["b", 1, 5]], "clip_skip": 99}],
)
def test_odd_records_of_fooocus(change: dict[str, Any]) -> None:
    made(png(parameters=json.dumps(FOOOCUS | change | {"sampler": "nobody", "refiner_model": 3, "vae": 5})))
