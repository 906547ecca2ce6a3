"""IP-Adapters for faces (FaceID): equal to the diffusers pipelines that are given the same embeddings."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch
from safetensors.torch import save_file

from node_bench import CLOSE, Kit, distance, recipe
from node_guides import call, conditioning, finish, noise_image, parts, pil_images
from proofs import Proof
from safelight.sdk import ProblemError
from safelight_nodes import ip_adapter
from safelight_nodes.reading import embed
from safelight_nodes.reading_values import Vectors
from tiny_adapters import FACE, Drawing, face_projection, flat, lora


@pytest.fixture(scope="module")
def faces(kit: Kit, adapter: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A plain FaceID and a Plus, on the shelf and as files."""
    folder = tmp_path_factory.mktemp("faces")
    given = kit.shelf.held["IPAdapter", "adapter"].component
    for kind in ("plain", "plus"):
        weights = {
            "image_proj": face_projection(kind, given["image_proj"]["norm.weight"].shape[0]),
            "ip_adapter": given["ip_adapter"] | lora(kit.pipeline.unet),
        }
        kit.shelf.put("IPAdapter", f"face_{kind}", weights)
        save_file(flat(weights), folder / f"{kind}.safetensors")
    draw = Drawing(4)
    return SimpleNamespace(folder=folder, encoder=adapter.refs[1], tower=adapter, embeddings=draw(2, FACE))


def ref(kit: Kit, kind: str) -> Any:
    return recipe("IPAdapter", kit.family, f"face_{kind}")


def wanted(kit: Kit, faces: Any, kind: str, batch: int, shortcut: bool = False) -> torch.Tensor:
    pipeline = type(kit.pipeline)(**parts(kit))
    plain = dict(kit.pipeline.unet.attn_processors)
    known = torch.nn.functional.normalize(faces.embeddings, dim=1)[None]
    pipeline.load_ip_adapter(
        str(faces.folder), subfolder="", weight_name=f"{kind}.safetensors", image_encoder_folder=None
    )
    pipeline.set_ip_adapter_scale(0.7)
    try:
        if kind == "plus":
            pipeline.image_encoder, pipeline.feature_extractor = faces.tower.encoder, faces.tower.processor
            shown = pil_images(noise_image(3, 2))
            seen = pipeline.prepare_ip_adapter_image_embeds([shown], None, torch.device("cpu"), batch, True)[0]
            layer = pipeline.unet.encoder_hid_proj.image_projection_layers[0]
            layer.clip_embeds, layer.shortcut = seen, shortcut
        embeddings = torch.cat([torch.zeros_like(known), known])
        return call(pipeline, kit, batch, ip_adapter_image_embeds=[embeddings])
    finally:
        pipeline.unload_lora_weights()
        pipeline.unload_ip_adapter()
        kit.pipeline.unet.set_attn_processor(plain)


@pytest.mark.parametrize("batch", [1, 3])
def test_faces(kit: Kit, faces: Any, batch: int, proof: Proof) -> None:
    positive, negative = conditioning(kit)
    known = Vectors(faces.embeddings * 20, "face recognition")
    guided = ip_adapter.apply(positive, ref(kit, "plain"), faces=known, scale=0.7, ctx=kit.context)
    made = finish(kit, guided, negative, batch)
    proof.close(kit.family, "IP-Adapter FaceID", distance(made, wanted(kit, faces, "plain", batch)), batch)
    bare = ip_adapter.apply(positive, ref(kit, "plain"), faces=known, scale=0.7, lora_weight=0, ctx=kit.context)
    assert distance(made, finish(kit, bare, negative, batch)) > 100 * CLOSE, "its LoRA has an effect"


@pytest.mark.parametrize(("version", "batch"), [("1", 1), ("2", 3)])
def test_faces_plus(kit: Kit, faces: Any, version: Any, batch: int, proof: Proof) -> None:
    positive, negative = conditioning(kit)
    known = Vectors(faces.embeddings, "face recognition")
    guided = ip_adapter.apply(
        positive,
        ref(kit, "plus"),
        faces.encoder,
        noise_image(3, 2),
        faces=known,
        scale=0.7,
        plus_version=version,
        ctx=kit.context,
    )
    made = finish(kit, guided, negative, batch)
    theirs = wanted(kit, faces, "plus", batch, shortcut=version == "2")
    proof.close(kit.family, f"IP-Adapter FaceID Plus, version {version}", distance(made, theirs), batch)


def test_what_faces_need_is_told(kit: Kit, adapter: Any, faces: Any) -> None:
    positive, _ = conditioning(kit)
    image, known = noise_image(1), Vectors(faces.embeddings, "")

    def port(*given: Any, **more: Any) -> str:
        with pytest.raises(ProblemError) as caught:
            ip_adapter.apply(positive, *given, **more, ctx=kit.context)
        assert caught.value.problems[0].code in ("adapter_input", "wrong_batch") and caught.value.problems[0].hint
        return caught.value.problems[0].port or ""

    assert port(ref(kit, "plain")) == "faces"
    assert port(ref(kit, "plain"), faces=Vectors(torch.ones(1, 128), "")) == "faces"
    assert port(ref(kit, "plus"), None, image, faces=known) == "encoder"
    assert port(ref(kit, "plus"), faces.encoder, faces=known) == "image"
    assert port(ref(kit, "plus"), faces.encoder, image, faces=known) == "image"
    assert port(*adapter.refs) == "image"
    assert port(*adapter.refs, image, faces=known) == "faces"


def test_the_layers_are_left_as_they_were(kit: Kit, faces: Any) -> None:
    positive, negative = conditioning(kit)
    before = finish(kit, positive, negative, 1)
    known = Vectors(faces.embeddings, "")
    guided = ip_adapter.apply(positive, ref(kit, "plain"), faces=known, ctx=kit.context)
    finish(kit, guided, negative, 1)
    assert not any(module._forward_hooks for module in kit.pipeline.unet.modules())
    assert torch.equal(finish(kit, positive, negative, 1), before)


@pytest.mark.parametrize("name", ["one.json", "two.json", "one.npy"])
def test_vectors_of_files(name: str, tmp_path: Path) -> None:
    rows = torch.arange(6.0).reshape(2, 3)[: 1 if name.startswith("one") else 2]
    if name.endswith("npy"):
        numpy.save(tmp_path / name, rows[0].numpy())
    else:
        (tmp_path / name).write_text(json.dumps((rows[0] if len(rows) == 1 else rows).tolist()))
    assert torch.equal(loaded(tmp_path, name).values, rows)


@pytest.mark.parametrize("text", ["[[1, 2], [3]]", "[]", "7", '{"a": 1}', '["x"]', "[1e999]", "[null]"])
def test_what_is_no_vectors_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(ProblemError) as caught:
        loaded(tmp_path, "bad.json")
    assert caught.value.problems[0].code == ("bad_json" if "1e999" in text else "vectors_unreadable")


def test_arrays_of_objects_are_not_opened(tmp_path: Path) -> None:
    numpy.save(tmp_path / "bad.npy", numpy.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ProblemError) as caught:
        loaded(tmp_path, "bad.npy")
    assert caught.value.problems[0].code == "vectors_unreadable"


def loaded(folder: Path, name: str) -> Vectors:
    ctx: Any = SimpleNamespace(files=SimpleNamespace(path=folder.joinpath))
    return embed.load_vectors(file=name, ctx=ctx)
