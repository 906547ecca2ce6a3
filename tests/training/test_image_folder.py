"""One's own images: a folder without captions, captions in text files, any size, and images of a workflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from node_bench import BenchContext, codes, offline_store
from safelight.sdk import Image as Images
from safelight.sdk import ModelRef, ProblemError
from safelight.sdk.codec import Codec
from safelight_nodes import dataset
from safelight_nodes._training.finetune import Examples
from safelight_nodes._training.image_folder import bucket
from safelight_nodes._training.images import Drawer
from safelight_nodes._training.latents import encoded
from safelight_nodes._training.towers import Pairs
from safelight_nodes.training import captioners, denoisers, encoders, gans, variational
from safelight_nodes.training_values import ImageSet


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images of several kinds and sizes, and what is no image."""
    own = tmp_path / "mine"
    own.mkdir()
    Image.new("RGB", (300, 200), "red").save(own / "image2.jpg")
    Image.new("RGBA", (90, 120), (0, 0, 255, 128)).save(own / "image10.webp")
    Image.new("P", (64, 64), 0).save(own / "image1.PNG", format="PNG")
    (own / "image2.txt").write_text(" a red thing \n")
    (own / "notes.md").write_text("not an image")
    (own / "sub").mkdir()
    Image.new("RGB", (8, 8)).save(own / "sub" / "other.png")
    return tmp_path


def test_a_folder_needs_no_captions(folder: Path) -> None:
    """Any image stands for its folder; they come in the order that people count in."""
    found = dataset.image_folder(
        captions="mine/image10.webp", caption="a zwx thing", size=32, ctx=BenchContext(folder=folder)
    )
    assert found.pixels.shape == (3, 32, 32, 4)
    assert [found.subjects[entry["subject"]]["names"] for entry in found.entries] == [
        ["a zwx thing"], ["a red thing"], ["a zwx thing"],
    ]  # fmt: skip
    assert found.pixels[1, 16, 16, 0] > 250 and found.pixels[2, 16, 16].tolist()[2:] == [255, 128]
    assert set(Drawer(found, 0).captions(0, 40)) == {"a zwx thing", "a red thing"}
    assert found.sizes == ()


def test_images_keep_their_proportions_where_that_is_wanted(folder: Path) -> None:
    found = dataset.image_folder(captions="mine/image1.PNG", size=128, shape="keep", ctx=BenchContext(folder=folder))
    assert found.sizes == ((128, 128), (96, 160), (160, 96))
    assert found.pixels.shape == (3, 160, 160, 4)
    assert found.alone(1).shape == (96, 160, 4)
    assert bool((found.pixels[1, 96:] == 0).all()), "what is beyond an image is clear"


@pytest.mark.parametrize("size", [128, 512, 1024])
def test_sides_are_whole_steps_of_about_as_many_pixels(size: int) -> None:
    step = 64 if size >= 256 else 32
    for given in ((100, 100), (1920, 1080), (800, 1200), (4000, 500), (10, 900)):
        height, width = bucket(given, size)
        assert height % step == width % step == 0
        assert 0.7 < height * width / size**2 < 1.35
        assert (width > height) == (given[0] > given[1])


def test_a_batch_holds_images_of_one_size(folder: Path) -> None:
    from safelight.families import load_families

    load_families().require("sd1").tiny(folder / "models" / "tiny")
    store = offline_store(folder)
    ctx = BenchContext(store, folder=folder)
    images = dataset.image_folder(captions="mine/image2.jpg", size=128, shape="keep", ctx=ctx)
    vae = ModelRef("VAE", "sd1", store.find("tiny", "pipeline"), precision="float32")
    examples = Examples(ctx, images, vae, "sd1", True, 3)
    seen = set()
    for seed in range(12):
        latents, texts = examples.batch(np.random.default_rng(seed), 3)
        assert len(latents) == len(texts) == 3
        seen.add(tuple(latents.shape[2:]))
    assert seen == {(down // 8, across // 8) for down, across in images.sizes}


def test_a_folder_without_images_says_what_belongs_there(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("nothing")
    with pytest.raises(ProblemError) as caught:
        dataset.image_folder(captions="notes.md", ctx=BenchContext(folder=tmp_path))
    assert [(one.code, one.port) for one in caught.value.problems] == [("bad_caption_line", "captions")]
    assert ".webp" in (caught.value.problems[0].hint or "")


def test_damaged_images_are_told_all_at_once(tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg"):
        (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(ProblemError) as caught:
        dataset.image_folder(captions="a.png", ctx=BenchContext(folder=tmp_path))
    assert len(caught.value.problems) == 2


def test_images_of_a_workflow_become_a_set() -> None:
    batch = Images(torch.rand(2, 40, 30, 3))
    alone = Images(torch.rand(1, 16, 16, 4))
    found = dataset.from_images([batch, alone], ["a dog", "a cat"], size=16)
    assert [found.subjects[entry["subject"]]["names"] for entry in found.entries] == [["a dog"], ["a dog"], ["a cat"]]
    assert found.pixels.shape == (3, 16, 16, 4)
    assert torch.allclose(found.pixels[2].float() / 255, alone.pixels[0], atol=0.003)
    assert found.weights.sum() == pytest.approx(1)
    plain = dataset.from_images([batch], None, caption="a zwx dog", size=16)
    assert Drawer(plain, 0).captions(0, 3) == ["a zwx dog"] * 3


def test_sets_from_before_are_the_same_values() -> None:
    """What says nothing of sizes has the digest that it had."""
    codec = Codec([ImageSet])
    found = dataset.from_images([Images(torch.zeros(1, 16, 16, 3))], None, size=16)
    assert "sizes" not in codec.encode(found).json


def test_copies_stay_within_the_size_of_their_image(folder: Path) -> None:
    images = dataset.image_folder(captions="mine/image1.PNG", size=128, shape="keep", ctx=BenchContext(folder=folder))
    some = {"copies": 2, "flip": 1.0, "shift": 0.2, "scale": 0.1, "turn": 5.0}
    made = dataset.augment(images, **some, ctx=BenchContext())
    assert made.sizes == images.sizes * 3
    for number, (height, width) in enumerate(made.sizes):
        beyond = made.pixels[number].clone()
        beyond[:height, :width] = 0
        assert not beyond.any(), "what is beyond an image is clear in a copy, too"
    red = made.alone(4)[..., 0]
    assert red.float().mean() > 200, "the image itself is moved, not what lies beside it"


@pytest.mark.parametrize("training", ["vae", "pixel_denoiser", "gan", "variational", "captioner", "clip", "encode"])
def test_whole_images_of_different_sizes_are_refused_with_a_remedy(training: str, folder: Path) -> None:
    """Beside each image lies what is clear: a network would learn that."""
    images = dataset.image_folder(captions="mine/image1.PNG", size=128, shape="keep", ctx=BenchContext(folder=folder))
    ctx = BenchContext()
    ctx.models.device = lambda: (torch.device("cpu"), torch.float32)
    learn: dict[str, Callable[[], object]] = {
        "vae": lambda: encoders.autoencoder(images, None, updates=1, ctx=ctx),
        "pixel_denoiser": lambda: denoisers.pixel_denoiser(images, side=32, updates=1, ctx=ctx),
        "gan": lambda: gans.gan(images, side=32, updates=1, ctx=ctx),
        "variational": lambda: variational.vae(images, updates=1, ctx=ctx),
        "captioner": lambda: captioners.captioner(images, updates=1, held_out=0.0, ctx=ctx),
        "clip": lambda: Pairs(images, 4, 0),
        "encode": lambda: encoded(images, ModelRef("VAE", "sd1", None), 4, 0, ctx),  # pyright: ignore[reportArgumentType]
    }
    with pytest.raises(ProblemError) as caught:
        learn[training]()
    assert codes(caught) == [("wrong_size", "images")]
