"""Judge the LoRA of a subject: whether its word draws it, and whether all else stays as it was.

    python -m training.judge.subject --lora FILE ... [--model FOLDER] [--cache DIR] [--sheet FILE] [--note "..."]

The subject is the robot of `training.robot`, drawn in other poses than those that it was learned from, and over other
grounds. *Its word*: over several grounds and wordings, what part of the images a linear classifier over the image
encoder's summaries takes for the subject (it has learned such drawings from the class as the model draws it), their
mean cosine to such drawings, and how far the mean colour of their middle is from that of the drawings (ΔE). *Its
class*: the same prompts without the word, with the LoRA and without it, from the same noise; *kept* is the mean cosine
of the two, and their mean ΔE on a grid. *Others*: everyday subjects, likewise, and whether the named one is among the
five nearest by plain features. A full run adds a line for each LoRA to the history.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.export import SHIPPED
from training.fetch import default_target, load
from training.robot import CLASS, WORD, Pose, draw

from . import control, report
from .control import FIRST_SEED
from .features import delta_e
from .gallery import GROUNDS, Tower, over
from .painter import Painter, Settings
from .prompts import frequent
from .reference import alike, apart
from .teller import Teller, named

COUNT, EACH = 60, 2
HEAD = (
    "| date | taken for it: its word, its class, its class without the LoRA | likeness: its word, its class without it "
    "| ΔE of its colour: likewise | class kept: cosine, ΔE | others kept: cosine, ΔE | others named: with it, "
    "without it | what |\n"
)
WORDINGS = (
    ("{}", "white"),
    ("a {}", "white"),
    ("flat {}", "white"),
    ("drawn {}", "white"),
    ("{}, light blue background", "light blue"),
    ("{}, yellow background", "yellow"),
    ("{} on dark green", "dark green"),
    ("{}, orange background", "orange"),
    ("{} on purple", "purple"),
    ("flat {}, red background", "red"),
    ("drawn {}, lavender background", "lavender"),
    ("3d {} on beige", "beige"),
)
"""Prompts, and the ground that each asks for: the last six are grounds of none of the images it was learned from."""
_HELD_SEED = 1000
_MIDDLE = slice(40, 88)
Images = NDArray[np.float32]


@dataclass(frozen=True)
class Scores:
    """Shares and cosines 0..1, the others ΔE; pairs are of the subject's word, and of its class without the LoRA."""

    taken: tuple[float, float, float]
    likeness: tuple[float, float]
    colour: tuple[float, float]
    kept: tuple[float, float]
    others: tuple[float, float]
    shown: tuple[float, float]

    def row(self, note: str) -> str:
        """A line of the history."""
        parts = (
            ", ".join(f"{share:.1%}".replace("%", " %") for share in self.taken),
            ", ".join(f"{value:.3f}" for value in self.likeness),
            ", ".join(f"{value:.1f}" for value in self.colour),
            *(f"{cosine:.3f}, {far:.1f}" for cosine, far in (self.kept, self.others)),
            ", ".join(f"{share:.1%}".replace("%", " %") for share in self.shown),
        )
        return f"| {time.strftime('%Y-%m-%d %H:%M')} | {' | '.join(parts)} | {note.replace('|', '/')} |\n"


def prompts(subject: str) -> list[str]:
    """Each wording of a subject, some times: images of one prompt have other noise."""
    return [wording.format(subject) for wording, _ in WORDINGS for _ in range(EACH)]


def drawings(grounds: Sequence[str], first: int = _HELD_SEED) -> Images:
    """The subject over grounds, in poses that it was not learned from: (N, H, W, 3) in 0..1."""
    drawn = [np.asarray(draw(Pose.drawn(first + at), ground), np.float32) for at, ground in enumerate(grounds)]
    return np.stack(drawn) / np.float32(255)


def likeness(tower: Tower, images: Images, wanted: Images) -> float:
    """Mean cosine between the summaries of images and the mean of those of others."""
    seen, aim = tower(images), tower(wanted)
    aim = (aim / np.linalg.norm(aim, axis=1, keepdims=True)).mean(0)
    return float((seen / np.linalg.norm(seen, axis=1, keepdims=True) @ (aim / np.linalg.norm(aim))).mean())


def off_colour(images: Images, wanted: Images) -> float:
    """Mean ΔE between the mean colours of the middles of images, and that of others."""
    means = [one[:, _MIDDLE, _MIDDLE].mean((1, 2)) for one in (images, wanted)]
    return float(delta_e(means[0], means[1].mean(0)[None].repeat(len(images), 0)).mean())


def judged(
    tower: Tower, before: Mapping[str, Images], after: Mapping[str, Images], shown: tuple[float, float]
) -> Scores:
    """`before` and `after` are images without the LoRA and with it: of `word`, `class` and `others`, and before of
    `seen`, the class from other noise. `shown` is what part of the others show what they are asked for, with it and
    without."""
    grounds = [ground for _, ground in WORDINGS for _ in range(EACH)]
    wanted = drawings(grounds)
    teller = Teller(tower, before["seen"], drawings(grounds, _HELD_SEED + len(grounds)))
    kept, others = (
        (alike(tower, after[what], before[what]), apart(after[what], before[what])) for what in ("class", "others")
    )
    return Scores(
        (teller.share(after["word"]), teller.share(after["class"]), teller.share(before["class"])),
        (likeness(tower, after["word"], wanted), likeness(tower, before["class"], wanted)),
        (off_colour(after["word"], wanted), off_colour(before["class"], wanted)),
        kept,
        others,
        shown,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shipped = SHIPPED / "subject" / "pytorch_lora_weights.safetensors"
    parser.add_argument("--lora", type=Path, nargs="+", default=[shipped], help="one, or several to compare")
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--tower", type=Path, help="a CLIP image encoder, instead of the model's image_encoder")
    parser.add_argument("--cache", type=Path, default=default_target())
    parser.add_argument("--images", type=int, default=COUNT, help="of others; fewer leave no history")
    parser.add_argument("--sheet", type=Path, help="write the word, its class and others, before and after, as one PNG")
    parser.add_argument("--history", type=Path, default=report.HISTORY)
    parser.add_argument("--note", nargs="*", default=[], help="of each LoRA, in their order")
    args = parser.parse_args()
    images, index = load(args.cache)
    subjects = index["subjects"]
    everyday = sorted({name for name in frequent(subjects).values() if CLASS not in name})[: args.images]
    asked = {"word": prompts(f"{WORD} {CLASS}"), "class": prompts(CLASS), "others": everyday}
    with Painter(args.model) as painter:
        before = {what: painter.series(texts, FIRST_SEED, Settings()) for what, texts in asked.items()}
        before["seen"] = painter.series(asked["class"], 2 * FIRST_SEED, Settings())
    tower = Tower(args.tower or args.model / "image_encoder")
    gallery = over(images, np.array(GROUNDS[0], np.float32) / np.float32(255))
    owners = [set(subjects[entry["subject"]]["names"]) for entry in index["images"]]
    shown = named(before["others"], everyday, gallery, owners)
    for number, lora in enumerate(args.lora):
        with Painter(args.model, lora) as painter:
            after = {what: painter.series(texts, FIRST_SEED, Settings()) for what, texts in asked.items()}
        found = judged(tower, before, after, (named(after["others"], everyday, gallery, owners), shown))
        print(lora)
        for name, value in vars(found).items():
            print(f"  {name}: {', '.join(f'{one:.3f}' for one in value)}")
        if args.sheet:
            for what in asked:
                path = args.sheet.with_stem(f"{args.sheet.stem}-{number + 1}-{what}")
                control.draw([before[what], after[what]], path, 12)
        if args.images >= COUNT:
            report.remember(args.history, found.row(args.note[number] if number < len(args.note) else ""), HEAD)


if __name__ == "__main__":
    main()
