"""The text of A1111 beside our own workflow: what it says, where it lies, and that it is read back as it was meant."""

from __future__ import annotations

import io
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import ExifTags
from PIL import Image as Images

from safelight.app import Studio
from safelight.environment import Environment
from safelight.graph import Document, check
from safelight.interop.parameters.a1111 import is_a1111, read_a1111
from safelight.interop.parameters.graphs import graph_of
from safelight.interop.parameters.settings import Hires, Settings
from safelight.interop.parameters.writing import parameters_of, settings_of, written
from safelight.interop.reading import read
from safelight.media.embedding import texts, with_parameters
from safelight.media.registry import built_in
from safelight.sdk import Image
from safelight.sdk.pack import load_packs

CATALOGUE = load_packs()
PLAIN = {"prompt": "a cat, (soft:1.2)\nin the snow ❄", "negative": "dog", "model": "checkpoints/photo.safetensors"}
PLAIN |= {"steps": 20, "sampler": "dpmpp_2m", "scheduler": "karras", "guidance": 7.5, "seed": 5}
SIZE = {"width": 512, "height": 768}
CASES: dict[str, dict[str, Any]] = {
    "plain": {**PLAIN, **SIZE},
    "no negative": {**PLAIN, **SIZE, "negative": ""},
    "changed": {**PLAIN, "denoise": 0.6},
    "variation": {**PLAIN, **SIZE, "variation": (9, 0.25), "clip_skip": 1},
    "hires": {**PLAIN, **SIZE, "denoise": 0.4, "hires": Hires(2.0, 12)},
    "network": {**PLAIN, **SIZE, "denoise": 0.4, "hires": Hires(2.0, 12, "upscale_models/4x")},
    "vae": {**PLAIN, **SIZE, "vae": "vae/good.safetensors"},
    "refiner": {**PLAIN, **SIZE, "refiner": ("checkpoints/fine.safetensors", 0.65)},
    "prompt that changes": {**PLAIN, **SIZE, "prompt": "a [cat:dog:0.4] AND snow"},
    "tag": {**PLAIN, **SIZE, "prompt": "a cat <lora:ink:0.8>"},
    "a comma": {**PLAIN, **SIZE, "model": 'checkpoints/one, "two": three.safetensors'},
    "little": {"prompt": "a", "seed": 1, "model": "checkpoints/photo.safetensors", **SIZE},
}


def found(document: Document, place: int = 0, node: str = "save") -> Settings | None:
    graph = check(document, CATALOGUE).require()
    return settings_of(graph.trail(node), place)


def drawn(values: dict[str, Any]) -> Document:
    """The graph of such settings, without what only a file can say."""
    return graph_of(Settings("Safelight", **values))[0]


@pytest.mark.parametrize("name", CASES)
def test_what_is_typed_in_is_written_and_read_back(name: str) -> None:
    document = drawn(CASES[name])
    if "image" in document.nodes:
        document.nodes["image"].values["file"] = "apple.png"
    said = found(document)
    assert said is not None and said == Settings("Safelight", **CASES[name])
    text = written(said)
    assert is_a1111(text)
    again = read_a1111(text)
    # A1111's formulas are other ones, and it counts the steps that change an image otherwise.
    differs = {"program", "formulas", "remarks", *(("steps", "denoise") if name == "changed" else ())}
    for one in fields(Settings):
        if one.name not in differs:
            assert getattr(again, one.name) == getattr(said, one.name), one.name


@pytest.mark.parametrize("strength", [0.05, 0.33, 0.6, 0.85])
def test_steps_that_change_an_image_are_counted_as_a1111_does(strength: float) -> None:
    """Of 20 steps there the last int(20 strength) + 1 are made, whatever number says so here."""
    document, _ = graph_of(read_a1111(f"a\nSteps: 20, Sampler: Euler, Seed: 1, Denoising strength: {strength}"))
    document.nodes["image"].values["file"] = "apple.png"
    said = found(document)
    assert said is not None and said.steps == 20 and int(said.denoise * 20) == int(strength * 20)


def test_loras_become_tags() -> None:
    loras = [("loras/a/ink.safetensors", 0.8, 0.8), ("loras/line.safetensors", 1.0, 0.5)]
    said = found(drawn({**CASES["plain"], "loras": loras}))
    assert said is not None and said.loras == loras
    assert written(said).split("\nNegative")[0].endswith("❄ <lora:ink:0.8> <lora:line:0.5:1>")
    data = drawn({**CASES["plain"], "loras": loras[:1]}).data()
    node = data["nodes"]["lora_1"]
    node["type"], node["values"] = "models.apply_lora_to_model", {"lora": "loras/ink.safetensors", "weight": 0.8}
    data["links"] = [link for link in data["links"] if link["to"] != "lora_1.text"]
    data["links"] = [
        {**link, "from": "model.text"} if link["from"] == "lora_1.text" else link for link in data["links"]
    ]
    said = found(Document.parse(data))
    assert said is not None and written(said).split("\nNegative")[0].endswith("<lora:ink:0:0.8>")


def test_of_a_batch_each_image_has_its_seed() -> None:
    document = drawn(CASES["plain"])
    document.nodes["latent"].values["batch"] = 3
    assert [said.seed for place in range(4) if (said := found(document, place))] == [5, 6, 7, None]
    document = drawn(CASES["plain"])
    assert [said.seed for place in range(2) if (said := found(document, place))] == [5, 5], "of a list of its own"


def linked(kind: str, values: dict[str, Any], port: str, output: str) -> Document:
    data = drawn(CASES["plain"]).data()
    data["nodes"]["value"] = {"type": kind, "version": 1, "values": values}
    node, name = port.split(".")
    data["nodes"][node]["values"].pop(name, None)
    data["links"].append({"from": f"value.{output}", "to": port})
    data["inputs"] = []
    return Document.parse(data)


def test_values_over_links_are_told_where_they_are_known() -> None:
    said = found(linked("values.text", {"value": "a dog"}, "prompt.text", "text"))
    assert said is not None and said.prompt == "a dog"
    said = found(linked("values.seed", {"value": 77}, "sample.seed", "value"))
    assert said is not None and said.seed == 77
    said = found(linked("values.join", {"texts": ["a", "b"]}, "prompt.text", "text"))
    assert said is not None and said.prompt == "" and said.negative == "dog"
    said = found(linked("values.integers", {"values": [1, 2]}, "sample.seed", "values"))
    assert said is not None and said.seed is None


def test_what_no_sampler_made_has_none() -> None:
    data = {
        "format": "safelight/1",
        "nodes": {
            "photo": {"type": "image.load", "version": 1, "values": {"file": "apple.png"}},
            "save": {"type": "image.save", "version": 1},
        },
        "links": [{"from": "photo.image", "to": "save.image"}],
    }
    graph = check(Document.parse(data), CATALOGUE).require()
    assert parameters_of(graph.trail("save")) == ""


FORMATS = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


@pytest.mark.parametrize("text", ["a cat", "ein Haus für 猫 ❄🐱", "猫" * 200, "half \ud83d"])
@pytest.mark.parametrize("format", FORMATS)
def test_it_lies_beside_our_own(format: str, text: str) -> None:
    media, kind = built_in(), FORMATS[format]
    pixels = torch.rand(1, 9, 11, 3, generator=torch.Generator().manual_seed(1))
    (file,) = media.encode(Image(pixels), format)
    record = f"{text}\nSteps: 3, Sampler: Euler, Seed: 1"
    ours = drawn(CASES["plain"])
    both = with_parameters(media.mark(file.data, kind), kind, record)
    both = media.embed(both, kind, ours.dumps())
    read_back = record.encode("utf-8", "replace").decode()
    assert texts(both)["parameters"] == read_back
    assert with_parameters(both, kind, "another\nSteps: 1, Seed: 1") == both, "it stands there once"
    reading = read(both, media)
    assert reading.report is None and reading.document == Document.loads(ours.dumps()), "ours opens first"
    with Images.open(io.BytesIO(both)) as image, Images.open(io.BytesIO(file.data)) as plain:
        assert image.tobytes() == plain.tobytes()
        if format == "png":
            assert image.info["parameters"] == read_back
        else:
            comment = image.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment]
            assert comment[:8] == b"UNICODE\0" and comment[8:].decode("utf-16-be") == read_back
    accepted = media.accept(both, media.sniff(both), "x")  # type: ignore[arg-type]
    assert "parameters" not in texts(accepted.data)


def test_a_text_too_long_for_a_jpeg_is_left_out() -> None:
    (file,) = built_in().encode(Image(torch.zeros(1, 4, 4, 3)), "jpeg")
    assert with_parameters(file.data, "image/jpeg", "a" * 40_000) == file.data
    assert with_parameters(b"GIF89a", "image/gif", "a") == b"GIF89a"


@pytest.mark.parametrize(("given", "told"), [({}, False), ({"SAFELIGHT_A1111_TEXT": "1"}, True)])
def test_one_setting_turns_it_on(given: dict[str, str], told: bool) -> None:
    assert Environment.read(given).a1111_text is told


@pytest.mark.parametrize("given", ["", "1"])
def test_a_run_writes_it(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFELIGHT_A1111_TEXT", given)
    values = {"prompt": "an apple", "model": "starter", "steps": 1, "sampler": "euler", "seed": 4}
    document = drawn({**values, "width": 32, "height": 32, "guidance": 1.0})
    document.nodes["latent"].values["batch"] = 2
    with Studio.open(tmp_path / "home") as studio:
        outcome = studio.run(document, output=tmp_path / "output")
        files = [Path(one["path"]).read_bytes() for one in outcome.outputs["image"]]
        assert [studio.read(Path(one["path"])) == outcome.document for one in outcome.outputs["image"]] == [True, True]
    records = [texts(file).get("parameters") for file in files]
    line = "an apple\nSteps: 1, Sampler: Euler, RNG: CPU, CFG scale: 1, Seed: {}, Size: 32x32, Model: starter"
    assert records == ([line.format(4), line.format(5)] if given else [None, None])
