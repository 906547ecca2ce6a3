"""Images to train on: sets of images with what is to be said about them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal, NamedTuple

from safelight.sdk import (
    VAE,
    Color,
    Context,
    FilePick,
    Image,
    Migration,
    ModelRef,
    Number,
    Problem,
    ProblemError,
    Seed,
    Slider,
    Text,
    Toggle,
    node,
)

from .training_values import ClipSet, ImageSet, LatentSet


def _as_before(values: dict[str, Any]) -> dict[str, Any]:
    """The files that a document of version 1 means when it names none."""
    return {"index": "emoji/pictures.json", "pixels": "emoji/pictures.npy"} | values


_Caption = Annotated[
    str,
    Text(multiline=True),
    "What all images show that have no caption of their own, best with a rare word for what is new: a zwx cat.",
]
_Size = Annotated[int, Number(8, 2048, multiple_of=8), "Side of the square they are scaled and cropped to, in pixels."]
_Shape = Annotated[
    Literal["square", "keep"],
    "square: cropped to a square. keep: in their own proportions, with about as many pixels; batches then hold images "
    "of one size. For fine-tuning; other trainings want squares.",
]

_IMAGES_TO_2 = Migration(inputs={"pictures": "images"})
_SET_TO_2 = Migration(outputs={"pictureset": "imageset"})
_BOTH_TO_2 = replace(_IMAGES_TO_2, outputs=_SET_TO_2.outputs)


@node(
    version=2,
    title="Open image set",
    aliases={"dataset.picture_set": 1},
    migrations={1: replace(_SET_TO_2, values=_as_before)},
    tags=("Load Dataset", "numpy", "arrays"),
)
def image_set(
    *,
    index: Annotated[
        str,
        FilePick("text"),
        "The index (JSON) of a set that was prepared before, such as the emoji that `python -m training.fetch` writes.",
    ] = "emoji/images.json",
    pixels: Annotated[str, FilePick("any"), "Its images (.npy), as the same command wrote them."] = (
        "emoji/images.npy"
    ),
    limit: Annotated[
        int, Number(0, zero="all"), "Take only so many images, evenly spread, for a quick try. 0: all."
    ] = 0,
    ctx: Context,
) -> ImageSet:
    """Open a set of images with names, as a command has prepared it.

    Captions are then made up again each time an image is drawn: style, name and background in many wordings.
    """
    from ._training.images import opened

    return opened(ctx.files.path(index), ctx.files.path(pixels), limit)


@node(
    version=2,
    title="Open image folder",
    cache=False,
    migrations={1: _SET_TO_2},
    tags=("Load Image Dataset from Folder", "LoadImageTextDataSetFromFolder", "captions", "training data"),
)
def image_folder(
    *,
    captions: Annotated[
        str,
        FilePick("any", beside=True),
        'A file metadata.jsonl: a line an image, such as {"file_name": "cat.png", "text": "a cat"}. `text` may '
        "be a list of captions. Images are looked for beside it. Or any image: all in its folder are taken.",
    ],
    caption: _Caption = "",
    size: _Size = 128,
    shape: _Shape = "square",
    ctx: Context,
) -> ImageSet:
    """Open a folder of images with captions, as other training tools want it, too.

    Without metadata.jsonl the caption of an image is the text file of its name, or the one caption for all.
    """
    from ._training.image_folder import read_folder

    return read_folder(ctx, captions, caption, size, shape)


@node(
    version=1, title="Images to image set", tags=("dataset", "training data", "class images", "regularization images")
)
def from_images(
    images: Annotated[list[Image], "Images of any size, such as ten that are loaded, or those of a batch."],
    captions: Annotated[list[str] | None, "One caption for each, in order; without it, the caption below is for all."],
    *,
    caption: _Caption = "",
    size: _Size = 128,
    shape: _Shape = "square",
) -> ImageSet:
    """Make a set to train on of images in the workflow: own ones, or those that a model made of its class."""
    from ._training.image_folder import from_images as collected

    return collected(images, captions or [caption], size, shape)


@node(version=2, migrations={1: _BOTH_TO_2}, tags=("repeats", "balance", "oversample", "class weights"))
def weigh(
    images: ImageSet,
    *,
    focus: Annotated[
        float, Slider(0, 4, step=0.1), "Power of the subjects' weights. 0: all alike; above 1: common ones."
    ] = 1.0,
    common: Annotated[
        float,
        Slider(0, 1, step=0.01),
        "Share of the draws for subjects with names of everyday speech. 0: as they weigh.",
    ] = 0.0,
    solid: Annotated[
        float, Slider(0.1, 10, step=0.01), "How much more often the first style is drawn than others."
    ] = 1.0,
) -> ImageSet:
    """Set how often each image is drawn in training."""
    from ._training.images import probabilities

    return replace(images, weights=probabilities(images, focus, common or None, solid))


@node(
    version=1,
    title="Select images",
    tags=("filter dataset", "subset", "train test split", "hold out", "validation set", "background"),
)
def select(
    images: ImageSet,
    *,
    words: Annotated[
        str,
        Text(placeholder="face, cat"),
        "Only subjects with one of these words in a name, keyword or group; commas lie between. Empty: all.",
    ] = "",
    without: Annotated[str, Text(placeholder="heart, flag"), "None of the subjects with one of these words."] = "",
    style: Annotated[int, Number(0, 1000, zero="all"), "Only images of this style, counted from 1. 0: all."] = 0,
    on_color: Annotated[
        bool, Toggle(), "Lay the images on the colour below, so that training sees no other background."
    ] = False,
    color: Annotated[str, Color(), "What transparent parts become."] = "#ffffff",
    held_out: Annotated[
        float,
        Slider(0, 0.9, step=0.05),
        "Part of the subjects that is kept from training, to test with. Which ones depends on their names alone.",
    ] = 0.0,
    part: Annotated[Literal["training", "held_out"], "Which of the two parts is given."] = "training",
) -> ImageSet:
    """Take some images of a set: by what they show, by style, and apart from those that are kept to test with.

    All styles of a subject are on the same side of the split, whatever else is selected.
    """
    from ._training.selecting import Wanted, selected

    return selected(images, Wanted(words, without, style, color if on_color else "", held_out, part == "held_out"))


@node(version=2, migrations={1: _BOTH_TO_2}, tags=("augmentation", "flip", "random crop", "regularization"))
def augment(
    images: ImageSet,
    *,
    copies: Annotated[int, Slider(1, 8), "Changed copies of each image, beside the original."] = 1,
    flip: Annotated[float, Slider(0, 1, step=0.05), "How often a copy is mirrored, where its subject allows it."] = 0.5,
    shift: Annotated[float, Slider(0, 0.3, step=0.01), "Moved by up to this part of its side."] = 0.04,
    scale: Annotated[float, Slider(0, 0.5, step=0.01), "Made smaller or larger by up to this part."] = 0.1,
    turn: Annotated[float, Slider(0, 45, step=1), "Turned by up to so many degrees."] = 5.0,
    seed: Annotated[int, Seed(), "Where the random changes start."] = 0,
    ctx: Context,
) -> ImageSet:
    """Add changed copies of all images, so that a model learns the subject and not the image.

    Mirrored are only images whose subject says so (`mirror` in the index), so that no letter is turned round.
    """
    from ._training.augment import augmented

    return augmented(images, copies, flip, shift, scale, turn, seed, ctx)


@node(version=1, title="Compose images", tags=("counting", "two subjects", "colors", "relations", "collage", "pairs"))
def compose(
    images: Annotated[ImageSet, "Images of one subject each, with transparent ground."],
    *,
    count: Annotated[int, Number(1, 100_000), "Images to make. Subjects are drawn as often as they weigh."] = 4000,
    counted: Annotated[
        float, Slider(0, 1, step=0.05), "Part of them that shows two, three or four of a kind: two apples."
    ] = 0.3,
    paired: Annotated[
        float, Slider(0, 1, step=0.05), "Part that shows two subjects, beside or above each other. The rest shows one."
    ] = 0.45,
    painted: Annotated[
        float, Slider(0, 1, step=0.05), "Part of the subjects that gets a color, which the caption names: a blue cup."
    ] = 0.5,
    grow: Annotated[
        bool,
        Toggle(),
        "Things keep their size, and the image grows: two stand in one twice as wide or high, three and four in one "
        "twice as wide and high. So what a model knows of a thing stays right.",
    ] = False,
    seed: Annotated[int, Seed(), "Another seed draws others."] = 0,
    ctx: Context,
) -> ImageSet:
    """Make images of several things from images of one, with captions that say how many, in what color, and where.

    So a model can learn what "two", "red" and "above" mean. Grounds are white or of a color that the caption names.
    """
    from ._training.composing import Shares, composed

    if counted + paired > 1 + 1e-9:
        raise ProblemError(
            Problem(
                code="bad_value",
                message=f"{counted:.0%} and {paired:.0%} of the images are more than all of them.",
                hint="Lower one of the two, so that they are 1 at most together.",
                port="paired",
                value=paired,
            )
        )
    return composed(images, count, Shares(counted, paired, painted), seed, ctx, grow=grow)


@node(version=2, migrations={1: _IMAGES_TO_2}, tags=("preview", "grid", "thumbnails", "look at data"))
def contact_sheet(
    images: ImageSet,
    *,
    columns: Annotated[int, Slider(1, 16), "Images in a row."] = 8,
    rows: Annotated[int, Slider(1, 16), "Rows."] = 4,
    seed: Annotated[int, Seed(), "Another seed draws other images."] = 0,
) -> Image:
    """Draw images of the set as training will see them: as often, and over such backgrounds."""
    from ._training.images import sheet

    return Image(sheet(images, columns, rows, seed))


@node(version=1, title="Draw images of a set", tags=("sample", "random images", "real images", "FID", "reference set"))
def draw(
    images: ImageSet,
    *,
    count: Annotated[int, Slider(1, 1000), "How many."] = 16,
    side: Annotated[
        int, Number(0, 2048, multiple_of=8, zero="as they are"), "Side of the images in pixels; they are scaled to it."
    ] = 0,
    anywhere: Annotated[
        float, Slider(0, 1, step=0.05), "Part of the images over any colour; the rest is over colours with a name."
    ] = 0.0,
    seed: Annotated[int, Seed(), "Another seed draws other images."] = 0,
) -> Image:
    """Draw single images of the set, as often as they weigh: what a model that learned from it should make more of."""
    from ._training.images import Drawer, scaled

    drawn = scaled(Drawer(images, seed).batch(0, count, anywhere), side or images.pixels.shape[1])
    return Image((drawn / 2 + 0.5).clamp(0, 1).movedim(1, -1).contiguous())


@node(version=2, migrations={1: _IMAGES_TO_2}, tags=("tags", "texts", "prompts", "labels"))
def captions(
    images: ImageSet,
    *,
    count: Annotated[int, Slider(1, 200), "How many."] = 20,
    seed: Annotated[int, Seed(), "Another seed draws others."] = 0,
) -> str:
    """Draw captions as training will say them, one a line."""
    from ._training.images import Drawer

    return "\n".join(Drawer(images, seed).captions(0, count))


class Parts(NamedTuple):
    """Two parts of an image set."""

    train: Annotated[ImageSet, "Images to learn from."]
    held: Annotated[ImageSet, "Images that were held back, to judge by."]


@node(version=1, tags=("train test split", "validation", "hold out"))
def split(
    images: ImageSet,
    *,
    share: Annotated[float, Slider(0.01, 0.9, step=0.01), "Part of the subjects that is held back."] = 0.1,
    seed: Annotated[int, Seed(), "Another seed holds others back."] = 0,
) -> Parts:
    """Hold back some subjects with all of their images, to judge what was learned by what it has not seen."""
    from ._training.images import parted

    return Parts(*parted(images, share, seed))


class Shown(NamedTuple):
    """Images of a set and what to say of each."""

    image: Annotated[Image, "The images, all of them a batch."]
    captions: Annotated[list[str], "A caption for each."]


@node(
    version=1,
    tags=("batch", "prompts", "ImageSet to images", "dataset to images", "reference images", "FID statistics"),
)
def to_images(
    images: ImageSet,
    *,
    count: Annotated[int, Number(0, zero="all"), "How many, evenly spread over the set. 0: all."] = 0,
    side: Annotated[
        int, Number(0, 2048, multiple_of=8, zero="as they are"), "Side in pixels; they are scaled to it."
    ] = 0,
    background: Annotated[str, Color(), "What shows through transparent parts."] = "#ffffff",
    seed: Annotated[int, Seed(), "Another seed says other captions."] = 0,
) -> Shown:
    """Images of a set as a batch, to look at, to measure with or to make control images of; each with a caption."""
    from ._training.images import laid_out

    pixels, texts = laid_out(images, count, side, background, seed)
    return Shown(Image(pixels), texts)


@node(version=2, migrations={1: _IMAGES_TO_2}, tags=("cache latents", "precompute"))
def encode(
    images: ImageSet,
    vae: ModelRef[VAE],
    *,
    backgrounds: Annotated[
        int,
        Slider(1, 23),
        "Over how many backgrounds images are encoded; the first is white. Those that are drawn seldom get fewer, "
        "but 4. Opaque images need one.",
    ] = 7,
    seed: Annotated[int, Seed(), "Where the choice of backgrounds starts."] = 5,
    ctx: Context,
) -> LatentSet:
    """Encode all images once, so that training a denoiser need not do it at every step."""
    from ._training.latents import encoded

    if backgrounds > 1 and bool((images.pixels[..., 3] == 255).all()):
        raise ProblemError(
            Problem(
                code="nothing_transparent",
                message="No image of this set has a transparent part, so backgrounds make no difference.",
                hint="Set backgrounds to 1.",
                port="backgrounds",
                value=backgrounds,
            )
        )
    return encoded(images, vae, backgrounds, seed, ctx)


class Loops(NamedTuple):
    """Clips, and what they look like."""

    clips: Annotated[ClipSet, "Connect it to training.motion."]
    frames: Annotated[Image, "The frames of the first four clips."]


@node(version=1, title="Make loops", tags=("AnimateDiff", "video dataset", "animation", "motion", "clips"))
def loops(
    images: Annotated[ImageSet, "Best with transparent parts, so that the subject moves and not the whole image."],
    vae: ModelRef[VAE],
    *,
    motion: Annotated[
        Literal["hop", "bounce", "sway", "spin", "pulse", "circle", "any"],
        "How subjects move. hop: as large as they are, by quarters of their side, in a higher image. any: each clip in "
        "one of the other ways, and its caption says it (bouncing, swaying, ...).",
    ] = "bounce",
    clips: Annotated[int, Number(1, 100_000), "How many. Images are drawn as often as they weigh."] = 400,
    frames: Annotated[int, Slider(2, 32), "Frames of a clip. The one after the last would be the first again."] = 8,
    size: Annotated[
        float, Slider(0.2, 1, step=0.05), "Side of the subject, as a part of the image: the rest is room to move."
    ] = 0.75,
    amount: Annotated[
        float, Slider(0.05, 1, step=0.05), "How far it moves, as a part of what there is room for."
    ] = 1.0,
    seed: Annotated[int, Seed(), "Another seed draws other images and grounds."] = 0,
    ctx: Context,
) -> Loops:
    """Make short videos to learn motion from: the subject of an image on a closed path over a plain ground.

    They are encoded at once, for training needs nothing but their latents.
    """
    from ._training.clips import encoded

    found, shown = encoded(images, vae, motion, clips, frames, size, amount, seed, ctx)
    return Loops(found, Image(shown))
