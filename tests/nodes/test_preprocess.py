"""Preprocessors: told by their files, read as their makers' library computes them, in the size of the image."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny_preprocessors
from node_bench import BenchContext, codes, offline_store
from safelight.families.files import Header, TensorEntry
from safelight.models.preprocessors import NETWORKS, network_in
from safelight.sdk import Cancelled, Image, ProblemError
from safelight.testing import call
from safelight_nodes.preprocess import depth, edges
from safelight_nodes.preprocess.shuffle import shuffle


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    for sort in tiny_preprocessors.FILES:
        tiny_preprocessors.write(sort, folder / "models" / "preprocessors")
    return folder


@pytest.fixture
def ctx(home: Path) -> BenchContext:
    return BenchContext(models=offline_store(home))


def image(height: int = 64, width: int = 96, batch: int = 2) -> Image:
    """Squares and a slope: something to find edges in."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    light = ((x > 0.3) & (x < 0.7) & (y > 0.3) & (y < 0.8)).float() * 0.7 + 0.2 * y
    pixels = torch.stack([light, light * 0.5 + 0.2 * x, 1 - light], dim=-1).clamp(0, 1)
    return Image(torch.stack([pixels, pixels.flip(1)])[:batch])


def as_bytes(given: Image, place: int = 0) -> Any:
    return (given.pixels[place] * 255).round().to(torch.uint8).numpy()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "row", [row for row in NETWORKS if row.sort not in ("zoe", "midas", "leres")], ids=lambda row: row.marks[-1]
)
def test_a_file_is_told_by_its_names(row: Any) -> None:
    with (
        torch.device("meta")
        if row.marks[-1].startswith("image_encoder.blocks") or row.sort == "openpose_body"
        else torch.device("cpu")
    ):
        shapes = {name: tuple(one.shape) for name, one in row.build().state_dict().items()}
    if row.sort in ("openpose_body", "openpose_hand"):  # as their makers' files have them
        shapes = {name.partition(".")[2]: shape for name, shape in shapes.items()}
    for level in ("", "module.", "model."):
        header = Header({level + name: TensorEntry("F32", shape, (0, 0)) for name, shape in shapes.items()}, {}, 8)
        assert network_in(header) == row.sort


CASES: dict[str, tuple[Callable[..., Image], dict[str, Any], Callable[[Any], Any], dict[str, Any]]] = {
    "hed": (edges.hed, {"scribble": True}, lambda one: one, {"scribble": True}),
    "pidinet": (edges.pidinet, {"safe": True}, lambda one: one, {"safe": True}),
    "teed": (edges.teed, {"steps": 3}, lambda one: one.teed, {"safe_steps": 3}),
    "lineart": (edges.lineart, {}, lambda one: one, {}),
    "mlsd": (edges.mlsd, {"score": 0.02}, lambda one: one, {"thr_v": 0.02}),
}


@pytest.mark.parametrize("sort", CASES)
def test_it_is_what_the_library_gives(sort: str, ctx: BenchContext) -> None:
    node, given, pick, options = CASES[sort]
    row = next(row for row in NETWORKS if row.sort == sort)
    annotator = pick(row.wrap(tiny_preprocessors.network(sort)))
    made = node(image(), resolution=64, **given, ctx=ctx).pixels
    assert made.shape == (2, 64, 96, 3)
    sizes = {"detect_resolution": 64} if sort == "teed" else {"detect_resolution": 64, "image_resolution": 64}
    for place in (0, 1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = annotator(as_bytes(image(), place), output_type="np", **sizes, **options)
        scaled = torch.from_numpy(wanted.copy()).movedim(-1, 0)[None].float() / 255
        scaled = torch.nn.functional.interpolate(scaled, (64, 96), mode="bilinear", antialias=True, align_corners=False)
        assert torch.allclose(made[place], scaled[0].movedim(0, -1), atol=1e-6)
    assert ctx.steps == [(1, 2), (2, 2)]


def test_standard_lines_are_those_of_the_library() -> None:
    from safelight.models.preprocessors import _aux

    given = Image(image(64, 128).pixels[..., :1].repeat(1, 1, 1, 3))
    made = call(edges.lineart_standard, given, resolution=64).pixels
    wanted = _aux("lineart_standard").LineartStandardDetector()(as_bytes(given), detect_resolution=64, output_type="np")
    assert wanted.std() > 1
    assert np.array_equal((made[0] * 255).round().to(torch.uint8).numpy(), wanted)


def test_a_missing_file_says_where_to_get_which(tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as missing:
        edges.hed(image(), ctx=BenchContext(models=offline_store(tmp_path)))
    assert codes(missing) == [("model_missing", "model")]
    assert "safelight models download lllyasviel/Annotators/ControlNetHED.pth" in (missing.value.problems[0].hint or "")


def test_another_network_is_refused(ctx: BenchContext) -> None:
    with pytest.raises(ProblemError) as wrong:
        edges.hed(image(), model="table5_pidinet.safetensors", ctx=ctx)
    assert codes(wrong) == [("wrong_model", "model")]
    assert "'pidinet'" in wrong.value.problems[0].message


def test_a_pickle_follows_the_rule_and_its_converted_file_goes_before(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "lllyasviel" / "Annotators"
    folder.mkdir(parents=True)
    weights = tiny_preprocessors.network("pidinet").state_dict()
    torch.save({"state_dict": {f"module.{name}": one for name, one in weights.items()}}, folder / "table5_pidinet.pth")
    with pytest.raises(ProblemError) as refused:
        edges.pidinet(image(), resolution=64, ctx=BenchContext(models=offline_store(tmp_path)))
    assert codes(refused) == [("unsafe_weights", "model")]
    allowed = BenchContext(models=offline_store(tmp_path, SAFELIGHT_ALLOW_PICKLE="1"))
    wanted = edges.pidinet(image(), resolution=64, ctx=allowed).pixels
    from safelight.models.converting import converted

    converted(folder / "table5_pidinet.pth")
    made = edges.pidinet(image(), resolution=64, ctx=BenchContext(models=offline_store(tmp_path))).pixels
    assert torch.equal(made, wanted) and made.std() > 0


def test_it_can_be_cancelled(home: Path) -> None:
    ctx = BenchContext(models=offline_store(home), cancel_at=1)
    with pytest.raises(Cancelled):
        edges.lineart(image(), resolution=64, ctx=ctx)
    assert ctx.steps == [(1, 2)]


def test_small_and_long_images_are_read(ctx: BenchContext) -> None:
    assert edges.teed(image(5, 40, 1), resolution=0, ctx=ctx).pixels.shape == (1, 5, 40, 3)


def test_shuffled_as_the_library_shuffles() -> None:
    from safelight.models.preprocessors import _aux

    given = image(64, 128)
    made = call(shuffle, given, resolution=64, size=16, seed=7).pixels
    before = np.random.get_state()
    try:
        for place in (0, 1):
            np.random.seed(7 + place)
            detector = _aux("shuffle").ContentShuffleDetector()
            sizes = {"detect_resolution": 64, "image_resolution": 64}
            wanted = detector(as_bytes(given, place), f=16, output_type="np", **sizes)
            assert np.abs((made[place] * 255).round().numpy() - wanted).max() <= 1
    finally:
        np.random.set_state(before)
    assert not torch.equal(made[0], call(shuffle, given, resolution=64, size=16, seed=8).pixels[0])


def test_normals_of_a_slope() -> None:
    """Depth that grows by a hundredth a pixel to the right: what is nearer lies right, so it faces left."""
    slope = torch.arange(32).float().mul(0.01).repeat(16, 1)[None, ..., None].repeat(1, 1, 1, 3)
    made = call(depth.normals_from_depth, Image(slope), strength=100.0).pixels * 2 - 1
    assert torch.allclose(made[0, 8, 16], torch.tensor([-1.0, 0.0, 1.0]) / 2**0.5, atol=1e-3)
    turned = Image(slope.transpose(1, 2).contiguous())
    up = call(depth.normals_from_depth, turned, strength=100.0).pixels * 2 - 1
    assert torch.allclose(up[0, 16, 8], torch.tensor([0.0, 1.0, 1.0]) / 2**0.5, atol=1e-3)
    down = call(depth.normals_from_depth, turned, strength=100.0, green_down=True).pixels * 2 - 1
    assert torch.allclose(down[0, 16, 8], torch.tensor([0.0, -1.0, 1.0]) / 2**0.5, atol=1e-3)


def test_hed_with_its_real_weights_finds_the_outline_of_a_head(tmp_path: Path) -> None:
    """On a photograph: where the hair meets the wall there is an edge, on the wall and in the hair there is none."""
    from safetensors.torch import save_file

    import real_weights

    (tmp_path / "models").mkdir()
    save_file(real_weights.hed(), tmp_path / "models" / "ControlNetHED.safetensors")
    photo = torch.from_numpy(np.array(real_weights.photograph("astronaut.png").crop((100, 0, 356, 192)))).float() / 255
    ctx = BenchContext(models=offline_store(tmp_path))
    found = edges.hed(Image(photo[None]), resolution=192, ctx=ctx).pixels[0, ..., 0]
    row = found[40]  # through the forehead: wall, hair, skin, hair, wall
    assert row[70:95].max() > 0.9 and row[180:191].max() > 0.9, "the outline on either side"
    assert row[10:60].max() < 0.1 and row[210:].max() < 0.1, "the wall"
    assert found.mean() < 0.25


def test_height_and_normals_of_a_tile_go_on_at_its_edges() -> None:
    """Moved around, a texture is the same surface moved: so its seams are no other place. Without, they are."""
    light = torch.rand(1, 24, 32, 1, generator=torch.Generator().manual_seed(5)).expand(-1, -1, -1, 3).contiguous()
    moved = light.roll((7, 11), (1, 2))
    for node, values in ((depth.height, {"smooth": 2.0, "flatten": 20.0}), (depth.normals_from_depth, {})):
        made = call(node, Image(light), edges="meet", **values).pixels
        assert torch.allclose(
            call(node, Image(moved), edges="meet", **values).pixels, made.roll((7, 11), (1, 2)), atol=1e-5
        )
        ended = call(node, Image(light), edges="end", **values).pixels
        assert not torch.allclose(
            call(node, Image(moved), edges="end", **values).pixels, ended.roll((7, 11), (1, 2)), atol=1e-2
        )


def test_height_is_what_is_bright_in_its_own_range() -> None:
    ramp = torch.linspace(0.3, 0.6, 20).repeat(16, 1)[None, ..., None].repeat(1, 1, 1, 3)
    made = call(depth.height, Image(ramp), smooth=0.0).pixels
    assert torch.allclose(made[0, 3, :, 1], torch.linspace(0, 1, 20), atol=1e-5)
    assert torch.allclose(call(depth.height, Image(ramp), smooth=0.0, invert=True).pixels, 1 - made, atol=1e-6)
    assert (call(depth.height, Image(torch.full((1, 8, 8, 3), 0.2))).pixels == 0.5).all(), "of one shade"
    # A slow slope with a bump on it: levelled, the bump is the highest.
    bump = ramp.repeat(1, 4, 4, 1)[:, :64, :80] * 0 + torch.linspace(0, 0.8, 80)[None, None, :, None]
    bump[:, 30:34, 20:24] += 0.1
    assert call(depth.height, Image(bump), smooth=0.0).pixels[0, 31, 21, 0] < 0.5
    assert call(depth.height, Image(bump), smooth=0.0, flatten=8.0).pixels[0, 31, 21, 0] > 0.99
