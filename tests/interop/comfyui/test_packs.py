"""Classes of packs: what several nodes say together, and what only files of some versions have."""

from __future__ import annotations

from typing import Any

import pytest

from comfyui_files import as_canvas
from comfyui_tools import piped
from comfyui_workflows import Api, canvas, lora, node, plain, prompts, sampled, saved
from safelight.graph import Document, Port
from safelight.interop.comfyui.opening import read_comfyui
from safelight.protocol.imports import ImportReport


def made(data: dict[str, Any]) -> tuple[Document, ImportReport]:
    document, report = read_comfyui(data)
    assert Document.loads(document.dumps()) == document
    return document, report


def into(document: Document, target: str, port: str) -> Port:
    (found,) = [link.source for link in document.links if link.target == Port(target, port)]
    return found


def the(document: Document, kind: str) -> str:
    (found,) = [name for name, node in document.nodes.items() if node.type == kind]
    return found


def test_what_goes_into_a_pipe_comes_out_of_it() -> None:
    document, report = made(piped())
    assert report.whole
    sampler = the(document, "sampling.sample")
    assert document.nodes[into(document, sampler, "positive").node].values["text"] == "a red apple"
    assert document.nodes[into(document, sampler, "negative").node].values["text"] == "blurred"
    assert into(document, sampler, "model") == Port(the(document, "models.load"), "model")


def test_a_pipe_that_leads_to_something_unknown_stays() -> None:
    data = piped() | {"odd": node("SomebodysSampler", basic_pipe=("pipe", 0))}
    _, report = made(data)
    assert report.placeholders == {"ToBasicPipe": 1, "SomebodysSampler": 1}


def test_contexts_are_looked_through_the_first_that_has_it() -> None:
    data = plain() | {
        "one": node("Context (rgthree)", model=("model", 0), vae=("model", 2)),
        "two": node("Context (rgthree)", model=("lora", 0), positive=("yes", 0)),
        "lora": node("LoraLoaderModelOnly", model=("model", 0), lora_name="a.safetensors", strength_model=1.0),
        "which": node("Context Switch (rgthree)", ctx_01=("one", 0), ctx_02=("two", 0)),
        "sampler": sampled(model=("which", 1), positive=("which", 4)),
    }
    document, report = made(data)
    assert report.whole
    sampler = the(document, "sampling.sample")
    assert into(document, sampler, "model") == Port(the(document, "models.load"), "model")
    assert document.nodes[into(document, sampler, "positive").node].values["text"] == "a red apple"


def test_a_pipe_through_a_sampler_of_the_impact_pack() -> None:
    data = {name: one for name, one in piped().items() if name not in ("out", "sampler")} | {
        "sampler": node(
            "ImpactKSamplerBasicPipe", basic_pipe=("edited", 0), seed=3, steps=9, cfg=5.0, sampler_name="euler",
            scheduler="karras", latent_image=("empty", 0), denoise=1.0,
        ),
        **saved(("sampler", 1), ("sampler", 2)),
    }  # fmt: skip
    document, report = made(data)
    assert report.whole, report.summary()
    sampler = the(document, "sampling.sample")
    assert document.nodes[sampler].values["steps"] == 9
    assert document.nodes[into(document, sampler, "negative").node].values["text"] == "blurred"
    assert into(document, the(document, "vae.decode"), "vae") == Port(the(document, "models.load"), "vae")


def stack(**more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "switch_1": "On",
        "lora_name_1": "a.safetensors",
        "model_weight_1": 0.5,
        "clip_weight_1": 0.4,
    }
    return node("CR LoRA Stack", **given | {"switch_2": "Off", "lora_name_2": "b.safetensors", "switch_3": "On"} | more)


def test_loras_of_stacks_are_applied_in_their_order() -> None:
    data = (
        plain(model=("applied", 0))
        | prompts(("applied", 1))
        | {
            "first": stack(),
            "second": stack(lora_name_1="c.safetensors", lora_stack=("first", 0)),
            "applied": node("CR Apply LoRA Stack", model=("model", 0), clip=("model", 1), lora_stack=("second", 0)),
        }
    )
    document, report = made(data)
    assert report.whole
    at, found = into(document, the(document, "sampling.sample"), "model").node, []
    while document.nodes[at].type == "models.apply_lora":
        found.append((document.nodes[at].values["lora"], document.nodes[at].values["text_weight"]))
        at = into(document, at, "model").node
    assert found == [("loras/c.safetensors", 0.4), ("loras/a.safetensors", 0.4)]


def test_faces_are_found_by_a_pipe_or_without() -> None:
    said = {"guide_size": 384, "seed": 1, "steps": 8, "cfg": 6.0, "sampler_name": "euler", "scheduler": "normal"}
    said |= {"denoise": 0.4, "feather": 5, "bbox_crop_factor": 3.0, "wildcard": ""}
    every = {
        "model": ("model", 0),
        "clip": ("model", 1),
        "vae": ("model", 2),
        "positive": ("yes", 0),
        "negative": ("no", 0),
    }
    base = plain() | {"found": node("UltralyticsDetectorProvider", model_name="bbox/face_yolov8m.pt")}
    found = {"bbox_detector": ("found", 0)}
    alone = base | {"face": node("FaceDetailer", image=("decode", 0), **every, **found, **said)}
    pipe = base | {
        "pipe": node("ToDetailerPipe", **every, **found, wildcard=""),
        "face": node("FaceDetailerPipe", image=("decode", 0), detailer_pipe=("pipe", 0), **said),
    }
    kinds: list[list[str]] = []
    for data in (alone, pipe):
        document, report = made(data | {"save": node("SaveImage", images=("face", 0), filename_prefix="a")})
        assert report.whole, report.summary()
        assert any("one part" in remark.message for remark in report.remarks)
        kinds.append(sorted(one.type for one in document.nodes.values()))
        assert document.nodes[the(document, "mask.crop")].values["width"] == 384
    assert kinds[0] == kinds[1] and "faces.find" in kinds[0] and "mask.stitch" in kinds[0]
    hands = base | {"found": node("UltralyticsDetectorProvider", model_name="bbox/hand_yolov8s.pt")}
    _, report = made(hands | {"face": alone["face"]})
    assert "FaceDetailer" in report.placeholders


@pytest.mark.parametrize(("select", "text"), [(1, "a red apple"), (2, "dark")])
def test_a_switch_with_a_typed_number_is_decided(select: int, text: str) -> None:
    data = plain(positive=("chosen", 0)) | {
        "chosen": node("CR Conditioning Input Switch", Input=select, conditioning1=("yes", 0), conditioning2=("no", 0)),
    }
    document, report = made(data)
    assert report.whole
    giver = into(document, the(document, "sampling.sample"), "positive").node
    assert document.nodes[giver].values["text"] == text


def test_an_input_that_no_instance_gives_is_none() -> None:
    """A subgraph with an image that may be left out: the value inside counts, and what takes it does without."""
    inner = as_canvas(
        {
            "yes": node("TextEncodeQwenImageEditPlus", clip=("no", 0), prompt="x", vae=("no", 0)),
            "no": node("VAELoader", vae_name="a"),
        }
    )
    qwen = inner["nodes"][0]
    qwen["inputs"] = [{"name": name, "type": kind, "link": place} for place, (name, kind) in enumerate(
        (("clip", "CLIP"), ("vae", "VAE"), ("image1", "IMAGE"), ("image2", "IMAGE")), 1
    )]  # fmt: skip
    given = [("clip", "CLIP"), ("vae", "VAE"), ("image1", "IMAGE"), ("image2", "IMAGE")]
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    links = [(place, -10, place - 1, qwen["id"], place - 1, kind) for place, (_, kind) in enumerate(given, 1)]
    body = {
        **{"id": "q", "name": "Read", "nodes": [qwen], "outputs": [{"name": "c", "type": "CONDITIONING"}]},
        "links": [dict(zip(names, one, strict=True)) for one in [*links, (9, qwen["id"], 0, -20, 0, "CONDITIONING")]],
        "inputs": [{"name": name, "type": kind} for name, kind in given],
    }
    outer = as_canvas(plain() | {"photo": node("LoadImage", image="a.png"), "quiet": node("LoadImage", image="b.png")})
    ids = {one["title"]: one["id"] for one in outer["nodes"]}
    outer["nodes"][ids["quiet"] - 1]["mode"] = 2
    wanted = (
        ("clip", "CLIP", "model", 1),
        ("vae", "VAE", "model", 2),
        ("image1", "IMAGE", "photo", 0),
        ("image2", "IMAGE", "quiet", 0),
    )
    inputs = [{"name": name, "type": kind, "link": 80 + place} for place, (name, kind, _, _) in enumerate(wanted)]
    outer["links"] += [[80 + place, ids[at], slot, 70, place, kind] for place, (_, kind, at, slot) in enumerate(wanted)]
    outer["nodes"].append({"id": 70, "type": "q", "mode": 0, "inputs": inputs, "outputs": body["outputs"]})
    outer["definitions"] = {"subgraphs": [body]}
    document, _ = made(outer)
    (inside,) = document.subgraphs.values()
    assert {port.to.port for port in inside.inputs if port.to.port in ("image", "second")} == {"image"}
    assert [one.type for one in inside.nodes.values()].count("vae.encode") == 1


@pytest.mark.parametrize(
    "given",
    [
        [77, None, 9, 3.5, "lcm", "karras", 0.7, "auto", "true"],
        [77, -1, 9, 3.5, "lcm", "karras", 0.7, "auto", "true"],
        [77, "randomize", 9, 3.5, "lcm", "karras", 0.7, "auto", "true"],
        ["Sample", 0, 77, True, 9, 3.5, "lcm", "karras", 0.7, "Disabled"],
    ],
)
def test_what_stands_around_a_seed(given: list[Any]) -> None:
    """The efficiency pack has written its sampler in four ways."""
    data: Api = plain() | {"sampler": node("KSampler (Efficient)", **sampled()["inputs"])}
    whole = as_canvas(data)
    sampler = next(one for one in whole["nodes"] if one["title"] == "sampler")
    sampler["widgets_values"] = given
    document, _ = made(whole)
    values = document.nodes[the(document, "sampling.sample")].values
    assert (values["seed"], values["steps"], values["guidance"], values["denoise"]) == (77, 9, 3.5, 0.7)


def test_files_of_a_name_with_tokens() -> None:
    names = {
        "%date:yyyy-MM-dd%/a": "{date}/a_{counter}",
        "a_%KSampler.seed%": "a__KSampler.seed__{counter}",
        "C:\\out\\b": "C_/out/b_{counter}",
        "": "ComfyUI_{counter}",
    }
    for given, wanted in names.items():
        data = plain() | {"save": node("SaveImage", images=("decode", 0), filename_prefix=given)}
        document, _ = made(data)
        assert document.nodes[the(document, "image.save")].values["name"] == wanted


def test_texts_of_chance_sizes_and_preprocessors_by_name() -> None:
    data = lora() | canvas() | {
        "photo": node("LoadImage", image="a.png"),
        "hint": node(
            "AIO_Preprocessor", image=("photo", 0), preprocessor="LineArtPreprocessor", resolution=("side", 0)
        ),
        "side": node(
            "PixelPerfectResolution", original_image=("photo", 0), image_gen_width=512, image_gen_height=768,
            resize_mode="Just Resize",
        ),
        "seen": node("PreviewImage", images=("hint", 0)),
        "line": node("Text Random Line", text="a\nb", seed=4),
        "yes": node("CLIPTextEncode", text=("line", 0), clip=("lora", 1)),
        "empty": node("SDXL Empty Latent Image", resolution="832 x 1216 (0.68)", batch_size=2),
    }  # fmt: skip
    document, report = made(data)
    assert report.whole, report.summary()
    assert "preprocess.lineart" in {one.type for one in document.nodes.values()}
    values = document.nodes[the(document, "latent.empty")].values
    assert (values["width"], values["height"], values["batch"]) == (832, 1216, 2)


PHOTO = {"photo": node("LoadImage", image="photo.png")}


def cut_out(data: Api, image: tuple[str, int]) -> tuple[Document, ImportReport]:
    return made(PHOTO | data | {"save": node("SaveImage", images=image, filename_prefix="made")})


def test_subjects_are_cut_out_by_the_network_that_was_chosen() -> None:
    session = node("RemBGSession+", model="isnet-general-use: general purpose", providers="CPU")
    document, _ = cut_out(
        {"it": session, "cut": node("ImageRemoveBackground+", rembg_session=("it", 0), image=("photo", 0))}, ("cut", 0)
    )
    matte = document.nodes[the(document, "mask.matte")]
    assert matte.values == {"model": "isnet-general-use.onnx", "clean_edges": False}
    assert into(document, the(document, "image.save"), "image") == Port(the(document, "mask.matte"), "image")
    data = {"cut": node("RMBG", image=("photo", 0), model="RMBG-2.0", background="Alpha", refine_foreground=True)}
    document, report = cut_out(data, ("cut", 0))
    assert report.whole
    matte = document.nodes[the(document, "mask.matte")]
    assert matte.values == {"model": "briaai/RMBG-2.0/onnx/model.onnx", "clean_edges": True}


@pytest.mark.parametrize(
    ("given", "shown", "values"),
    [
        ({"only_mask": True}, "image.from_mask", {}),
        ({"background_color": "chroma green"}, "image.flatten", {"background": "#00ff00"}),
        ({"transparency": False}, "image.flatten", {"background": "#000000"}),
        (
            {"transparency": True, "background_color": "none"},
            "mask.matte",
            {"model": "u2net.onnx", "clean_edges": False},
        ),
    ],
)
def test_a_cut_out_image_lies_over_a_colour_or_nothing(given: Any, shown: str, values: Any) -> None:
    data = {"cut": node("Image Rembg (Remove Background)", images=("photo", 0), model="u2net", **given)}
    document, report = cut_out(data, ("cut", 0))
    assert report.whole
    source = document.nodes[into(document, the(document, "image.save"), "image").node]
    assert (source.type, source.values) == (shown, values)


def test_a_network_that_is_none_of_these_stays_as_it_is() -> None:
    for data in (
        {"cut": node("RMBG", image=("photo", 0), model="BEN2")},
        {"cut": node("Image Rembg (Remove Background)", images=("photo", 0), model="sam")},
    ):
        _, report = cut_out(data, ("cut", 0))
        assert sum(report.placeholders.values()) == 1
