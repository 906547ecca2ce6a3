"""Measures by trained networks: each equal to the library, or to plain torch, over the same made-up weights."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import load_file
from torchmetrics.functional.image import dists as library_dists
from torchmetrics.functional.image import lpips as library_lpips
from torchmetrics.image.inception import InceptionScore

import tiny_judges
from node_bench import BenchContext, codes, offline_store
from safelight.families.files import Header, TensorEntry
from safelight.models.preprocessors import network_in
from safelight.sdk import Image, ProblemError
from safelight_nodes.metrics import judged, perceptual
from safelight_nodes.reading_values import Vectors

EQUAL = 1e-6


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("home")
    for sort in ("squeezenet", "alexnet", "vgg16", "aesthetic"):
        tiny_judges.write(sort, root / "models" / "judges", 3)
    tiny_judges.tiny_classifier(root / "models" / "classifier")
    return root


@pytest.fixture(scope="module")
def ctx(home: Path) -> BenchContext:
    return BenchContext(models=offline_store(home))


def pair(side: int = 40, count: int = 2) -> tuple[Image, Image]:
    generator = torch.Generator().manual_seed(3)
    one = torch.rand(count, side, side + 8, 3, generator=generator)
    return Image(one), Image((one + 0.2 * torch.randn(one.shape, generator=generator)).clamp(0, 1))


def backbone(name: str, file: Path) -> Any:
    """The features as torchvision has them, with the weights of a file."""
    with torch.device("meta"):
        features = getattr(torchvision.models, name)(weights=None).features
    given = {key.removeprefix("features."): one for key, one in load_file(file).items()}
    features.load_state_dict(given, assign=True)
    return features.eval()


@pytest.mark.parametrize(
    ("sort", "named", "net", "said"),
    [
        ("alexnet", "alexnet", "alex", "AlexNet"),
        ("vgg16", "vgg16", "vgg", "VGG16"),
        ("squeezenet", "squeezenet1_1", "squeeze", "SqueezeNet 1.1"),
    ],
)
def test_lpips_is_that_of_the_library(
    sort: str, named: str, net: Any, said: str, home: Path, ctx: BenchContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = pair()
    found = perceptual.lpips(one, other, model=tiny_judges.FILES[sort].replace(".safetensors", ".pth"), ctx=ctx)
    features = backbone(named, home / "models" / "judges" / tiny_judges.FILES[sort])
    monkeypatch.setattr(library_lpips, "_get_tv_model_features", lambda *_: features)
    wanted = library_lpips.learned_perceptual_image_patch_similarity(
        one.pixels.movedim(-1, 1), other.pixels.movedim(-1, 1), net, reduction="none", normalize=True
    )
    assert found.values == pytest.approx([float(value) for value in wanted], abs=EQUAL)
    assert found.mean > 0.001 and found.name == f"LPIPS over {said}"
    assert perceptual.lpips(one, one, model=tiny_judges.FILES[sort], ctx=ctx).values == [0.0, 0.0]


def test_dists_is_that_of_the_library(home: Path, ctx: BenchContext, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = pair()
    found = perceptual.dists(one, other, model=tiny_judges.FILES["vgg16"], ctx=ctx)
    features = backbone("vgg16", home / "models" / "judges" / tiny_judges.FILES["vgg16"])
    monkeypatch.setattr(library_dists, "vgg16", lambda **_: SimpleNamespace(features=features))
    load = torch.load
    # The file was saved on a graphics card, which the library wants again.
    monkeypatch.setattr(torch, "load", lambda path, map_location="cpu": load(path, map_location=map_location))
    wanted = library_dists.deep_image_structure_and_texture_similarity(
        one.pixels.movedim(-1, 1), other.pixels.movedim(-1, 1)
    ).detach()
    assert found.values == pytest.approx([float(value) for value in wanted], abs=EQUAL)
    assert found.mean > 0.001 and found.name == "DISTS over VGG16"
    assert perceptual.dists(one, one, model=tiny_judges.FILES["vgg16"], ctx=ctx).mean == pytest.approx(0, abs=EQUAL)


@pytest.mark.parametrize("name", ["vgg11", "vgg13", "vgg19", "vgg16_bn", "squeezenet1_0", "resnet18"])
def test_a_relative_is_not_taken_for_a_backbone(name: str) -> None:
    with torch.device("meta"):
        shapes = getattr(torchvision.models, name)(weights=None).state_dict().items()
    header = Header({key: TensorEntry("F32", tuple(one.shape), (0, 0)) for key, one in shapes}, {}, 8)
    assert network_in(header) == ""


@pytest.mark.filterwarnings("ignore:Metric `InceptionScore`", "ignore:std")
@pytest.mark.parametrize("splits", [1, 3])
def test_a_class_score_is_that_of_the_library(splits: int, home: Path, ctx: BenchContext) -> None:
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    images = [pair()[0], Image(torch.rand(7, 48, 32, 3, generator=torch.Generator().manual_seed(1)) ** 3)]
    found = judged.inception_score(images, model="classifier", splits=splits, seed=5, ctx=ctx)
    folder = home / "models" / "classifier"
    processor = AutoImageProcessor.from_pretrained(folder)
    network = AutoModelForImageClassification.from_pretrained(folder).eval()
    bytes_of = [(one * 255).round().byte().numpy() for image in images for one in image.pixels]
    logits = torch.cat([network(**processor(images=one, return_tensors="pt")).logits.detach() for one in bytes_of])
    library = InceptionScore(feature=torch.nn.Identity(), splits=splits)
    library.update(logits)
    torch.manual_seed(5)
    mean, deviation = (float(one) for one in library.compute())
    assert found.mean == pytest.approx(mean, abs=EQUAL)
    assert found.deviation == (0.0 if splits == 1 else pytest.approx(deviation, abs=EQUAL))
    assert found.mean > 1.001 and found.name == "class score over classifier"


def test_by_inception_v3_it_is_an_inception_score(tmp_path: Path) -> None:
    file = tiny_judges.write("inception_v3", tmp_path / "models")
    ctx = BenchContext(models=offline_store(tmp_path))
    images = Image(torch.rand(2, 60, 40, 3, generator=torch.Generator().manual_seed(1)))
    found = judged.inception_score([images], model=file.name, splits=1, ctx=ctx)
    with torch.device("meta"):
        network = torchvision.models.inception_v3(weights=None, init_weights=False, aux_logits=False).eval()
    network.load_state_dict(load_file(file), strict=False, assign=True)
    resize = torchvision.transforms.Resize((299, 299), antialias=True)
    with torch.inference_mode():
        chances = network(resize(images.pixels.movedim(-1, 1)) * 2 - 1).softmax(1)
    wanted = float((chances * (chances.log() - chances.mean(0).log())).sum(1).mean().exp())
    assert found.mean == pytest.approx(wanted, abs=EQUAL) and found.deviation == 0.0
    assert found.name == "Inception Score over InceptionV3 of torchvision"


def test_an_aesthetic_score_is_that_of_linear_layers(home: Path, ctx: BenchContext) -> None:
    file = tiny_judges.FILES["aesthetic"]
    values = torch.randn(3, tiny_judges.WIDTHS[0], generator=torch.Generator().manual_seed(2))
    found = judged.aesthetic(Vectors(values, "CLIP"), model=file.replace(".safetensors", ".pth"), ctx=ctx)
    kept = load_file(home / "models" / "judges" / file)
    wanted = torch.nn.functional.normalize(values)
    for layer in (0, 2, 4, 7):
        wanted = wanted @ kept[f"layers.{layer}.weight"].T + kept[f"layers.{layer}.bias"]
    assert found.values == pytest.approx([float(one) for one in wanted[:, 0]], abs=EQUAL)
    assert found.mean == pytest.approx(float(wanted.mean()), abs=EQUAL) and min(map(abs, found.values)) > 0.001
    assert found.name == f"aesthetic score by {file} over CLIP"


def test_what_cannot_be_judged_is_told(ctx: BenchContext) -> None:
    one, other = pair()
    small = pair(20)[0]
    squeeze, vectors = tiny_judges.FILES["squeezenet"], Vectors(torch.ones(1, 5), "CLIP")
    for call, told in (
        (lambda: perceptual.lpips(small, small, model=squeeze, ctx=ctx), ("wrong_size", "image")),
        (lambda: perceptual.lpips(one, small, model=squeeze, ctx=ctx), ("wrong_size", "reference")),
        (lambda: perceptual.lpips(one, other, model="nowhere.pth", ctx=ctx), ("model_missing", "model")),
        (lambda: perceptual.dists(one, other, model=squeeze, ctx=ctx), ("wrong_model", "model")),
        (lambda: judged.inception_score([one], splits=3, model="classifier", ctx=ctx), ("too_few_images", "images")),
        (lambda: judged.inception_score([one], splits=1, model=squeeze, ctx=ctx), ("wrong_model", "model")),
        (lambda: judged.aesthetic(vectors, model=tiny_judges.FILES["aesthetic"], ctx=ctx), ("wrong_family", "vectors")),
    ):
        with pytest.raises(ProblemError) as caught:
            call()
        assert codes(caught) == [told]
