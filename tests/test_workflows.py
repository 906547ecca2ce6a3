"""Every shipped workflow is sound, is written as we write, and runs on the starter model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy
import pytest
from numpy.typing import NDArray
from PIL import Image

import real_weights
from safelight.app import Studio
from safelight.engine import RunOptions
from safelight.graph import Document, Port
from safelight.graph.document import Link, Node, OutputPort
from safelight.places import shipped_groups, shipped_image, shipped_names, shipped_workflows
from sound import assert_sound

NAMES = sorted(shipped_names())
SIZES = {
    "long_film": (256, 256), "draw_and_upscale": (512, 512), "two_second_loop": (512, 768),
    "enlarge": (256, 256), "enlarge_in_tiles": (256, 256), "outpaint": (192, 128),
    "caption": (144, 172), "product_shots": (1584, 1584), "texture_set": None, "noise_levels": (640, 400),
    "concept_sheet": None, "restore_photo": None, "synthetic_scans": None, "style_transfer": (512, 512),
    "prompt_sheet": None, "in_a_style": None, "several_things": (2048, 512), "draw_in_a_shape": None, "try_on": None,
    "a_subject_of_your_own": None, "find_odd_scans": None,
    "steps_comparison": None, "sampler_scores": None, "detail_faces": (256, 256), "crop_and_stitch": (256, 256),
    "regional_prompts_painted": (256, 128), "lora": None, "dreambooth": None, "textual_inversion": None,
}  # fmt: skip
"""Other sizes than that of one image of the starter model; None: it depends on the letters."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio.open(tmp_path_factory.mktemp("home"))


def bring_models(name: str, studio: Studio) -> None:
    """What a workflow needs beside the starter model."""
    if name == "detail_faces":
        real_weights.write_mtcnn(studio.home / "models")


@pytest.mark.parametrize("name", NAMES)
def test_it_is_sound_and_readable(name: str, studio: Studio) -> None:
    bring_models(name, studio)
    assert_sound(shipped_names()[name], studio)


@pytest.mark.parametrize("name", NAMES)
def test_it_runs(name: str, studio: Studio, tmp_path: Path) -> None:
    # What is only shown is saved for once, to be looked at.
    document = Document.loads(shipped_names()[name].read_bytes().replace(b"image.preview", b"image.save"))
    if any(node.type.startswith("video.") for node in document.nodes.values()):
        pytest.importorskip("av")
    bring_models(name, studio)
    fewer = {Port(node, "steps"): 4 for node, data in document.nodes.items() if data.values.get("steps", 0) > 4}
    fewer |= {Port(node, "updates"): 2 for node, data in document.nodes.items() if data.type.startswith("training.")}
    document = document.with_values(fewer)
    outcome = studio.run(document, output=tmp_path, options=RunOptions(strict=True))
    assert outcome.result.problems == []
    paths = [entry["path"] for entries in outcome.outputs.values() for entry in entries]
    assert paths
    for path in paths:
        size, (low, high) = seen(Path(path), studio)
        assert size == (SIZES.get(name, (128, 128)) or size)
        assert high - low > 10, "the image is not empty"
    again = studio.run(document, output=tmp_path).result.nodes
    ran = {document.nodes[node].type for node, report in again.items() if report.status == "ran"}
    assert [kind for kind in ran if studio.catalogue[kind].spec.cache] == []


def seen(path: Path, studio: Studio) -> tuple[tuple[int, int], tuple[int, int]]:
    """Width and height of an image, or of the last frame of a film, and its darkest and brightest grey."""
    form = studio.media.format_of(path.name)
    if form is not None and form.media_type.startswith("video/"):
        film = studio.media.film(path)
        image = Image.fromarray(film.read(film.frames - 1, 1).frames[0].numpy())
    else:
        image = Image.open(path)
    return image.size, image.convert("L").getextrema()


def test_each_has_a_heading_and_an_image() -> None:
    placed = [name for within in shipped_groups().values() for name in within]
    assert sorted(placed) == NAMES
    assert [name for name in NAMES if shipped_image(name) is None] == []


def test_image_k_of_a_batch_is_the_single_image_of_its_seed(studio: Studio, tmp_path: Path) -> None:
    document = studio.read("text_to_image")
    many = studio.run(document.with_inputs({"batch": 3, "seed": 7, "steps": 4}), output=tmp_path)
    one = studio.run(document.with_inputs({"seed": 9, "steps": 4}), output=tmp_path)
    third, single = (Image.open(run.outputs["image"][-1]["path"]).convert("RGB") for run in (many, one))
    difference = max(abs(a - b) for a, b in zip(third.tobytes(), single.tobytes(), strict=True))
    assert difference <= 24, "a batch may round differently in low precision, and no more"


@pytest.mark.parametrize("side", [128, 135])
def test_painting_a_part_anew_leaves_all_in_its_place(studio: Studio, tmp_path: Path, side: int) -> None:
    """Squares through the autoencoder alone: scaled from 128 to 135 pixels, the outer ones would move by 2.4."""
    folder = studio.home / "input"
    folder.mkdir(exist_ok=True)
    drawn = Image.new("L", (side, side), 255)
    corners = (16, 56, 96)
    for corner in corners:
        drawn.paste(0, (corner, corner, corner + 18, corner + 18))
    drawn.save(folder / "squares.png")
    Image.new("L", (side, side), 255).save(folder / "white.png")
    values = {"image": "squares.png", "mask": "white.png", "denoise": 0.0}
    outcome = studio.run(studio.read("inpaint").with_inputs(values), output=tmp_path)
    with Image.open(outcome.outputs["image"][0]["path"]) as made:
        assert made.size == (side, side)
        for corner in corners:
            area = (corner - 6, corner - 6, corner + 24, corner + 24)
            found, wanted = (centre(image.convert("L").crop(area)) for image in (made, drawn))
            assert found == pytest.approx(wanted, abs=0.4)


def test_faces_are_drawn_again_and_all_else_stays(studio: Studio, tmp_path: Path) -> None:
    bring_models("detail_faces", studio)
    folder = studio.home / "input"
    folder.mkdir(exist_ok=True)
    with Image.open(shipped_workflows() / "input" / "two_faces.png") as given:
        drawn = given.convert("RGB")
    Image.new("RGB", drawn.size, "#c8d0e0").save(folder / "wall.png")
    document = studio.read("detail_faces")
    made = []
    for name in ("two_faces.png", "wall.png"):
        outcome = studio.run(document.with_inputs({"image": name, "steps": 5}), output=tmp_path)
        assert outcome.result.problems == []
        with Image.open(outcome.outputs["image"][0]["path"]) as image:
            made.append(numpy.asarray(image.convert("RGB")).astype(int))
    away = abs(made[0] - numpy.asarray(drawn)).max(axis=-1)
    assert away[60:120, 45:85].mean() > 5 and away[160:215, 170:215].mean() > 5, "both faces"
    assert not away[:110, 150:].any() and not away[160:, :110].any(), "the other corners"
    assert (made[1] == (200, 208, 224)).all(), "where there is no face, nothing changes"


def test_a_texture_goes_on_at_its_edges(studio: Studio, tmp_path: Path) -> None:
    """Neighbours across the edge differ as much as neighbours within do, in its colours, height and normals."""
    outcome = studio.run(studio.read("texture_set").with_inputs({"steps": 6}), output=tmp_path)
    assert outcome.result.problems == []
    for name in ("color", "height", "normals"):
        with Image.open(outcome.outputs[name][0]["path"]) as image:
            pixels = numpy.asarray(image.convert("RGB")).astype(float)
        for axis in (0, 1):
            steps = abs(pixels - numpy.roll(pixels, 1, axis))
            across = numpy.take(steps, 0, axis).mean()
            within = [numpy.take(steps, place, axis).mean() for place in range(1, pixels.shape[axis])]
            assert across <= max(within), name
    with Image.open(outcome.outputs["tiled"][0]["path"]) as image:
        tiled = numpy.asarray(image.convert("RGB"))
    with Image.open(outcome.outputs["color"][0]["path"]) as image:
        assert (tiled == numpy.tile(numpy.asarray(image.convert("RGB")), (2, 2, 1))).all()


def test_what_was_aged_is_restored(studio: Studio, tmp_path: Path) -> None:
    """What comes out is nearer to what was there before the ageing than what the ageing left is."""
    outcome = studio.run(studio.read("restore_photo"), output=tmp_path)
    paths = (
        shipped_workflows() / "input" / "fox.png",
        *(outcome.outputs[name][0]["path"] for name in ("before", "image")),
    )
    images = []
    for path in paths:
        with Image.open(path) as image:
            large = image.convert("RGB").resize((512, 512), Image.Resampling.LANCZOS)
            images.append(numpy.asarray(large).astype(float))
    wanted, aged, restored = images
    assert abs(restored - wanted).mean() < 0.7 * abs(aged - wanted).mean()


def test_denoised_scans_are_nearer_to_what_was_drawn(studio: Studio, tmp_path: Path) -> None:
    measured = tuple(OutputPort(name, Port(f"psnr_{name}", "mean")) for name in ("noisy", "means", "variation"))
    document = replace(studio.read("synthetic_scans"), outputs=measured)
    outcome = studio.run(document, output=tmp_path)
    found = {name: entries[0]["value"] for name, entries in outcome.outputs.items()}
    assert found["noisy"] < 21 and found["variation"] > 24 and found["means"] > 29


@pytest.mark.parametrize("denoise", [0.35, 1.0], ids=["laid in", "by the adapter alone"])
def test_a_figure_wears_the_cloth_it_was_shown_and_all_else_stays(
    denoise: float, studio: Studio, tmp_path: Path
) -> None:
    """Inside the mask the mean colour is nearest to the own cloth of three; outside, every pixel is as it was."""
    document = studio.read("try_on").with_inputs({"denoise": denoise, "steps": 6, "garment": "dress", "person": 5})
    document = replace(
        document,
        nodes=document.nodes | {"mask": Node("image.from_mask", 1)},
        links=(*document.links, Link(Port("figure", "mask"), Port("mask", "mask"))),
        outputs=tuple(OutputPort(name, Port(name, "image")) for name in ("mask", "figure", "cloth", "worn")),
    )
    outcome = studio.run(document, output=tmp_path)
    found = {name: [pixels(entry["path"]) for entry in entries] for name, entries in outcome.outputs.items()}
    (mask,), (figure,) = found["mask"], found["figure"]
    outside, inside = mask[..., 0] == 0, mask[..., 0] == 255
    assert len(found["worn"]) == len(found["cloth"]) == 3
    for number, worn in enumerate(found["worn"]):
        assert (worn[outside] == figure[outside]).all()
        # Light and folds darken all cloths alike: what is compared is the share of each colour.
        colour = worn[inside].mean(axis=0)
        away = [numpy.linalg.norm(colour / colour.sum() - one / one.sum()) for one in map(mean_colour, found["cloth"])]
        assert numpy.argmin(away) == number


def pixels(path: str) -> NDArray[numpy.float64]:
    with Image.open(path) as image:
        return numpy.asarray(image.convert("RGB")).astype(float)


def mean_colour(image: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
    return image.mean(axis=(0, 1))


def test_scans_with_lesions_score_higher_than_clear_ones(studio: Studio, tmp_path: Path) -> None:
    document = studio.read("find_odd_scans").with_values({Port("usual", "count"): 60, Port("odd", "count"): 60})
    document = replace(document, outputs=(OutputPort("area", Port("area", "value")),))
    outcome = studio.run(document, output=tmp_path)
    assert outcome.outputs["area"][0]["value"] > 0.97


def test_the_word_of_a_subject_draws_it_and_its_class_stays(studio: Studio, tmp_path: Path) -> None:
    """The teal of the robot fills the middle of what its word draws; the class has two eyes of about that colour."""
    outputs = tuple(OutputPort(name, Port(f"decode_{name}", "image")) for name in ("subject", "class"))
    document = studio.read("a_subject_of_your_own").with_inputs({"prompts": ["zwx robot"]})
    document = replace(document, outputs=outputs)
    outcome = studio.run(document, output=tmp_path)
    teal: dict[str, float] = {}
    for name in ("subject", "class"):
        with Image.open(outcome.outputs[name][0]["path"]) as image:
            middle = numpy.asarray(image.convert("RGB")).astype(float)[32:96, 32:96]
        teal[name] = float(((middle[..., 1] > middle[..., 0] + 40) & (middle[..., 2] > middle[..., 0] + 20)).mean())
    assert teal["subject"] > 0.4
    assert teal["class"] < 0.2


def test_a_subject_hops_and_comes_back(studio: Studio, tmp_path: Path) -> None:
    """Half its height up and down again, in the same look: frames that are as high as each other are alike."""
    document = studio.read("two_second_loop").with_inputs({"prompt": "robot", "steps": 10})
    document = replace(document, outputs=(OutputPort("frames", Port("decode", "image")),))
    frames = [
        Image.open(entry["path"]).convert("RGB") for entry in studio.run(document, output=tmp_path).outputs["frames"]
    ]
    assert [frame.size for frame in frames] == [(128, 192)] * 8
    heights = [centre(frame.convert("L"))[1] for frame in frames]
    for height, up in zip(heights, (0, 1, 1, 2, 2, 2, 1, 1), strict=True):
        assert abs(heights[0] - height - 32 * up) < 12
    low, high = (numpy.asarray(frames[place]).astype(float) for place in (0, 4))
    assert numpy.abs(low[64:] - high[:128]).mean() < numpy.abs(low - high).mean() / 3


def centre(image: Image.Image) -> list[float]:
    """Where in (x, y) what is dark lies."""
    dark = (200 - numpy.asarray(image).astype(float)).clip(0)
    return [float(numpy.average(numpy.arange(len(line)), weights=line)) for line in (dark.sum(0), dark.sum(1))]
