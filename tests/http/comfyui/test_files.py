"""Files by name, uploads, and image to image on an upload."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from PIL import Image

from comfyui_client import Client, our_image, pixels, png, prompt
from serving import Server


def image_to_image(file: str) -> dict[str, Any]:
    nodes = prompt(denoise=0.6)
    nodes["12"] = {"class_type": "LoadImage", "inputs": {"image": file}}
    nodes["5"] = {"class_type": "VAEEncode", "inputs": {"pixels": ["12", 0], "vae": ["4", 2]}}
    return nodes


def test_image_to_image_on_an_upload(comfyui: Server, client: Client, apple: bytes) -> None:
    status, kept = client.upload("/upload/image", "start.png", png(), subfolder="mine", type="input")
    assert (status, kept) == (200, {"name": "start.png", "subfolder": "mine", "type": "input"})
    made, _ = client.run(image_to_image("mine/start.png"))
    (image,) = client.files(made)["9"]
    assert pixels(image) not in (apple, pixels(png()))
    assert pixels(image) == our_image(comfyui, "image_to_image", image="mine/start.png", denoise=0.6)
    other, _ = client.run(image_to_image("mine/start.png [input]"))
    assert client.files(other)["9"] == [image]


def test_what_was_made_is_the_beginning_of_the_next(client: Client) -> None:
    nodes = prompt() | {"10": {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}}
    first, _ = client.run(nodes)
    outputs = client.get(f"/history/{first}")[first]["outputs"]
    (saved,), (shown,) = (outputs[node]["images"] for node in ("9", "10"))
    images: list[bytes] = []
    for name in (f"{saved['subfolder']}/{saved['filename']} [output]", f"{shown['filename']} [temp]"):
        made, _ = client.run(image_to_image(name))
        assert client.get(f"/history/{made}")[made]["prompt"][2]["12"]["inputs"]["image"] == name, "as it was posted"
        images.append(pixels(client.files(made)["9"][0]))
    assert images[0] == images[1] != pixels(client.view(**saved))
    for name in ("nothing.png [output]", f"{'0' * 40}.png [temp]", "../server.sqlite [output]"):
        status, answer = client.call("POST", "/prompt", {"prompt": image_to_image(name)})
        assert status == 400 and set(answer["node_errors"]) == {"12"}, answer
    nodes["6"]["inputs"]["text"] = "a sign that says [output]"
    assert client.files(client.run(nodes)[0])["9"]


_RED = {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 5, "color": 0xFF0000}}
_CREATE = {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 8}}
_SAVE = {"class_type": "SaveVideo", "inputs": {"video": ["2", 0], "filename_prefix": "video/x"}}
_COMBINE = {
    "class_type": "VHS_VideoCombine",
    "inputs": {"images": ["1", 0], "frame_rate": 8, "filename_prefix": "vhs", "format": "video/h264-mp4"},
}
_WEBP = {"class_type": "SaveAnimatedWEBP", "inputs": {"images": ["1", 0], "filename_prefix": "moves", "fps": 6.0}}


@pytest.mark.parametrize(
    ("nodes", "word", "moves", "ending"),
    [
        ({"1": _RED, "2": _CREATE, "3": _SAVE}, "images", True, "mp4"),
        ({"1": _RED, "3": _COMBINE}, "gifs", False, "mp4"),
        ({"1": _RED, "3": _WEBP}, "images", True, "webp"),
        ({"1": _RED, "3": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}}, "images", False, "png"),
    ],
)
def test_what_moves_is_told_as_comfyui_tells_it(
    client: Client, nodes: dict[str, Any], word: str, moves: bool, ending: str
) -> None:
    made, frames = client.run(nodes)
    output = client.get(f"/history/{made}")[made]["outputs"]["3"]
    assert output.get("animated") == ([True] if moves else None) and set(output) <= {word, "animated"}
    assert all(file["filename"].endswith(f".{ending}") and client.view(**file) for file in output[word])
    (told,) = [frame["data"] for frame in frames if isinstance(frame, dict) and frame["type"] == "executed"]
    assert told["output"] == output


def test_uploads_keep_what_is_there_unless_they_are_to_replace_it(client: Client) -> None:
    red, blue = png(), png((20, 30, 200))
    names = [client.upload("/api/upload/image", "twice.png", data)[1]["name"] for data in (red, blue, red)]
    assert names == ["twice.png", "twice_2.png", "twice.png"]
    assert client.upload("/upload/image", "twice.png", blue, overwrite="true")[1]["name"] == "twice.png"
    assert pixels(client.view(filename="twice.png", type="input")) == pixels(blue)
    assert pixels(client.view(filename="twice.png [input]")) == pixels(blue)


def test_a_mask_goes_into_the_image_that_it_was_painted_on(client: Client) -> None:
    client.upload("/upload/image", "under.png", png())
    mask = png((0, 0, 0, 77), mode="RGBA")
    reference = json.dumps({"filename": "under.png", "subfolder": "", "type": "input"})
    status, kept = client.upload("/upload/mask", "masked.png", mask, original_ref=reference)
    assert status == 200
    with Image.open(io.BytesIO(client.view(filename=kept["name"], type="input"))) as image:
        assert image.mode == "RGBA" and image.getpixel((5, 5)) == (200, 30, 40, 77)
    small = png((0, 0, 0, 77), (8, 8), "RGBA")
    status, answer = client.upload("/upload/mask", "masked.png", small, original_ref=reference)
    assert status == 422 and answer["error"]["type"] == "wrong_size"
    status, answer = client.upload("/upload/mask", "masked.png", b"no image", original_ref=reference)
    assert status == 400 and answer["error"]["type"] == "image_unreadable"
    assert client.upload("/upload/mask", "masked.png", mask)[0] == 400


def test_images_are_seen_in_other_forms(client: Client) -> None:
    client.upload("/upload/image", "seen.png", png((10, 20, 30, 40), mode="RGBA"))

    def look(**query: str) -> Image.Image:
        image = Image.open(io.BytesIO(client.view(filename="seen.png", type="input", **query)))
        image.load()
        return image

    assert look(preview="webp;80").format == "WEBP" and look(preview="jpeg").format == "JPEG"
    assert look(channel="rgb").mode == "RGB" and look(channel="rgb").getpixel((0, 0)) == (10, 20, 30)
    assert look(channel="a").getpixel((0, 0)) == (0, 0, 0, 40)
    assert look(channel="rgba").getpixel((0, 0)) == (10, 20, 30, 40)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("filename=nothing.png", 404),
        ("filename=", 400),
        ("filename=../secret.png", 400),
        ("filename=/etc/passwd", 400),
        ("filename=a.png&subfolder=../..", 403),
        ("filename=a.png&subfolder=/etc", 403),
        ("filename=a.png&type=models", 400),
        ("filename=a%00.png", 400),
        ("filename=0000.png&type=temp", 404),
        ("filename=..%2F..%2Fserver.sqlite&type=temp", 400),
        (f"filename={'0' * 40}.png&type=temp", 404),
        ("filename=start.txt&type=input&channel=a", 404),
    ],
)
def test_no_file_outside_of_the_folders_is_given(client: Client, query: str, status: int) -> None:
    found, answer = client.call("GET", f"/view?{query}")
    assert found == status and answer["error"]["message"]


@pytest.mark.parametrize(
    ("name", "data", "fields", "status", "code"),
    [
        ("../up.png", png(), {}, 400, "bad_path"),
        ("up.png", png(), {"subfolder": "../.."}, 400, "bad_path"),
        ("up.png", b"", {}, 400, "upload_empty"),
        ("up.exe", b"MZ\x90\x00", {}, 415, "upload_type"),
        ("up.png", png(), {"subfolder": "x" * 70_000}, 413, "too_large"),
    ],
)
def test_what_is_no_upload(
    client: Client, name: str, data: bytes, fields: dict[str, str], status: int, code: str
) -> None:
    found, answer = client.upload("/upload/image", name, data, **fields)
    assert (found, answer["error"]["type"]) == (status, code)


def test_what_is_no_form(client: Client) -> None:
    for body, kind in (
        (b"{}", "application/json"),
        (b"nothing", "multipart/form-data; boundary=x"),
        (b"", "multipart/form-data"),
        (b"--x\r\nno header\r\n", "multipart/form-data; boundary=x"),
        (
            b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\nhi\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
    ):
        status, answer = client.call("POST", "/upload/image", body, Content_Type=kind)
        assert status == 400 and answer["error"]["type"] == "bad_request", (body, kind)
        assert answer["error"]["details"], answer


def test_uploads_are_seen_by_the_editor(comfyui: Server, client: Client) -> None:
    client.upload("/upload/image", "both.png", png((1, 2, 3)))
    assert "both.png" in {file["name"] for file in comfyui.ask("GET", "/files/input?search=both")["files"]}
    choices = client.get("/object_info/LoadImage")["LoadImage"]["input"]["required"]["image"][0]
    assert "both.png" in choices


def test_a_reference_that_is_none_is_called_by_its_name(client: Client) -> None:
    status, answer = client.upload("/upload/mask", "mask.png", png(), original_ref="start.png")
    assert status == 400 and "original_ref" in answer["error"]["message"] and answer["error"]["details"]


def test_images_of_print_are_seen_in_other_forms(client: Client) -> None:
    data = io.BytesIO()
    Image.new("CMYK", (8, 8), (0, 200, 200, 0)).save(data, "JPEG")
    client.upload("/upload/image", "print.jpg", data.getvalue())
    for preview in ("png", "webp", "jpeg"):
        seen = client.view(filename="print.jpg", type="input", preview=preview)
        assert Image.open(io.BytesIO(seen)).size == (8, 8)
