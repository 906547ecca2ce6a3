"""Images as programs, sites and careless tools leave them: read for what they are, or told. Never a traceback."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from PIL import Image

from comfyui_files import api, canvas
from safelight.interop.reading import read
from safelight.media.registry import built_in
from safelight.sdk.problem import ProblemError
from tiny_images import chunk, encoded

RECORD = "a red apple\nNegative prompt: dark\nSteps: 12, Sampler: Euler a, CFG scale: 6.5, Seed: 42, Size: 512x640"
JAPANESE = RECORD.replace("a red apple", "赤いりんご 🍎")
INVOKED: dict[str, Any] = {
    **{"positive_prompt": "a red apple", "negative_prompt": "dark", "seed": 42, "steps": 12, "cfg_scale": 6.5},
    **{"width": 512, "height": 640, "scheduler": "euler_a", "model": {"name": "mine", "base": "sd-1", "hash": "x"}},
    **{"app_version": "4.2.0", "generation_mode": "txt2img", "rand_device": "cpu"},
}
SWARM: dict[str, Any] = {
    **{"prompt": "a red apple", "negativeprompt": "dark", "model": "mine", "seed": 42, "steps": 12, "cfgscale": 6.5},
    **{"width": 512, "height": 640, "sampler": "euler_ancestral", "swarm_version": "0.9.4"},
}
NOVEL: dict[str, Any] = {
    **{"prompt": "a red apple", "uc": "dark", "steps": 12, "scale": 6.5, "seed": 42, "width": 512, "height": 640},
    **{"sampler": "k_euler_ancestral", "n_samples": 1, "sm": False, "request_type": "PromptGenerateRequest"},
}
DEEP = "[" * 200_000 + "]" * 200_000


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    plain = encoded(Image.new("RGB", (8, 8)))
    return plain[:33] + b"".join(chunk(kind, data) for kind, data in chunks) + plain[33:]


def text(key: str, said: str, encoding: str = "latin-1") -> tuple[bytes, bytes]:
    return b"tEXt", key.encode() + b"\0" + said.encode(encoding)


def wide(key: str, said: str) -> tuple[bytes, bytes]:
    return b"iTXt", key.encode() + b"\0\0\0\0\0" + said.encode()


def packed(key: str, said: str) -> tuple[bytes, bytes]:
    return b"zTXt", key.encode() + b"\0\0" + zlib.compress(said.encode("latin-1"))


def commented(form: str, comment: bytes) -> bytes:
    tags = Image.Exif()
    tags.get_ifd(0x8769)[0x9286] = comment
    return encoded(Image.new("RGB", (8, 8)), form, exif=tags.tobytes())


def tagged(form: str, **entries: str) -> bytes:
    tags = Image.Exif()
    for place, (key, said) in enumerate(entries.items()):
        tags[0x0110 - place] = f"{key}:{said}"
    return encoded(Image.new("RGB", (8, 8)), form, exif=tags.tobytes())


class Case(NamedTuple):
    """`wanted` is the prompt that is read, or the code of what is told."""

    make: Callable[[], bytes]
    wanted: str


def unicode(said: str, encoding: str) -> bytes:
    return b"UNICODE\0" + said.encode(encoding)


def prompt(**more: Any) -> str:
    return json.dumps(api() | more)


A, NONE = "a red apple", "no_workflow_inside"
CASES: dict[str, Case] = {
    # A1111, Forge, reForge, SD.Next, Fooocus and sites that keep their records
    "a1111, plain": Case(lambda: png(text("parameters", RECORD)), A),
    "a1111, other scripts": Case(lambda: png(wide("parameters", JAPANESE)), "赤いりんご 🍎"),
    "a1111, deflated": Case(lambda: png(packed("parameters", RECORD)), A),
    "a1111, UTF-8 in a chunk for Latin-1": Case(lambda: png(text("parameters", JAPANESE, "utf-8")), "赤いりんご 🍎"),
    "a1111, Latin-1": Case(lambda: png(text("parameters", RECORD.replace("apple", "äpple"))), "a red äpple"),
    "a1111, lines of Windows": Case(lambda: png(text("parameters", RECORD.replace("\n", "\r\n"))), A),
    "a1111, no negative prompt": Case(
        lambda: png(text("parameters", RECORD.replace("Negative prompt: dark\n", ""))), A
    ),
    "a1111, JPEG": Case(lambda: commented("JPEG", unicode(JAPANESE, "utf-16-be")), "赤いりんご 🍎"),
    "a1111, JPEG, the other order of bytes": Case(lambda: commented("JPEG", unicode(RECORD, "utf-16-le")), A),
    "a1111, JPEG in ASCII": Case(lambda: commented("JPEG", b"ASCII\0\0\0" + RECORD.encode()), A),
    "a1111, WebP": Case(lambda: commented("WEBP", unicode(RECORD, "utf-16-be")), A),
    "forge": Case(
        lambda: png(text("parameters", RECORD + ", Module 1: ae, Version: f2.0.1v1.10.1, Beta schedule: Linear")), A
    ),
    "civitai": Case(
        lambda: commented(
            "JPEG", unicode(f'{RECORD}, Civitai resources: [{{"type":"checkpoint","weight":1}}]', "utf-16-be")
        ),
        A,
    ),
    "a1111, values in quotes": Case(
        lambda: png(text("parameters", RECORD + ', Lora hashes: "a: 1, b: 2", Note: "x, y: z"')), A
    ),
    # InvokeAI, SwarmUI, NovelAI
    "invokeai": Case(lambda: png(text("invokeai_metadata", json.dumps(INVOKED))), A),
    "invokeai, nulls": Case(
        lambda: png(
            text("invokeai_metadata", json.dumps(INVOKED | {"loras": None, "vae": None, "seed": None, "model": None}))
        ),
        A,
    ),
    "invokeai, a workflow alone": Case(lambda: png(text("invokeai_workflow", "{}")), "foreign_workflow"),
    "invokeai of old": Case(lambda: png(text("sd-metadata", '{"model_weights": "a"}')), "foreign_workflow"),
    "swarmui": Case(lambda: png(text("parameters", json.dumps({"sui_image_params": SWARM}))), A),
    "swarmui, JPEG": Case(lambda: commented("JPEG", unicode(json.dumps({"sui_image_params": SWARM}), "utf-16-be")), A),
    "swarmui, lists where texts were": Case(
        lambda: png(
            text("parameters", json.dumps({"sui_image_params": SWARM | {"loras": ["a"], "loraweights": ["x"]}}))
        ),
        A,
    ),
    "novelai": Case(lambda: png(text("Software", "NovelAI"), text("Comment", json.dumps(NOVEL))), A),
    "novelai, seed as text": Case(
        lambda: png(text("Software", "NovelAI"), text("Comment", json.dumps(NOVEL | {"seed": "42", "steps": None}))), A
    ),
    "novelai, no settings": Case(lambda: png(text("Software", "NovelAI"), text("Comment", "null")), NONE),
    # ComfyUI
    "comfyui": Case(lambda: png(text("prompt", prompt()), text("workflow", json.dumps(canvas()[0].data))), A),
    "comfyui, what was run alone": Case(lambda: png(text("prompt", prompt())), A),
    "comfyui, a workflow that is damaged": Case(
        lambda: png(text("prompt", prompt()), text("workflow", '{"nodes": [')), A
    ),
    "comfyui, numbers that are none": Case(
        lambda: png(text("prompt", prompt().replace('"cfg": 2.0', '"cfg": NaN, "is_changed": [NaN]'))), A
    ),
    "comfyui, WebP": Case(lambda: tagged("WEBP", prompt=prompt()), A),
    "comfyui, JPEG of a converter": Case(lambda: tagged("JPEG", prompt=prompt(), workflow="null"), A),
    "comfyui, links into the void": Case(
        lambda: png(text("prompt", prompt(x={"class_type": "SaveImage", "inputs": {"images": ["nobody", 9]}}))), A
    ),
    "comfyui, classes that are no texts": Case(lambda: png(text("prompt", prompt(x={"class_type": 5}, y=None))), A),
    "a1111 and comfyui": Case(lambda: png(text("parameters", RECORD), text("prompt", prompt())), A),
    # Broken, cut, hostile
    "nothing in it": Case(png, NONE),
    "deeper than anything": Case(lambda: png(text("workflow", DEEP), text("prompt", DEEP)), NONE),
    "half an object": Case(lambda: png(text("prompt", '{"1": {"class_type"')), NONE),
    "not what its key says": Case(
        lambda: png(text("workflow", "[]"), text("prompt", "3"), text("parameters", "{}")), NONE
    ),
    "a text that breaks off": Case(lambda: png(text("parameters", RECORD))[:120], "image_damaged"),
    "a packed text that is none": Case(lambda: png((b"zTXt", b"parameters\0\0nothing")), NONE),
    "a bomb": Case(
        lambda: png((b"zTXt", b"parameters\0\0" + zlib.compress(b" " * (40 << 20), 9))), "embedded_text_too_large"
    ),
    "wrong sums": Case(lambda: png(text("parameters", RECORD)).replace(b"Seed: 42", b"Seed: 43"), A),
    "EXIF that is none": Case(
        lambda: encoded(Image.new("RGB", (8, 8)), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), NONE
    ),
    "a comment in no known script": Case(lambda: commented("JPEG", b"JIS\0\0\0\0\0" + b"\xff\xfe\x80" * 9), NONE),
    "UTF-16 with half a character": Case(lambda: commented("JPEG", unicode(RECORD, "utf-16-be")[:-1]), A),
    "a cut WebP": Case(lambda: tagged("WEBP", prompt=prompt())[:-40], "image_damaged"),
    "control characters": Case(lambda: png(text("parameters", RECORD.replace("dark", "da\x01\x02rk"))), A),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_read_or_told(name: str) -> None:
    make, wanted = CASES[name]
    try:
        document, report = read(make(), built_in(), "it.png")
    except ProblemError as error:
        assert [problem.code for problem in error.problems] == [wanted]
        assert all(problem.message and problem.hint for problem in error.problems)
        return
    assert report is not None
    texts = [node.values.get("text") for node in document.nodes.values() if node.type.startswith("text.encode")]
    assert wanted in texts
    assert type(document).loads(document.dumps()) == document
