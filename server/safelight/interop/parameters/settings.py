"""What most programs say of an image, whatever their words, in one record."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from safelight.sdk.widgets import LARGEST_SEED

from ..methods import takes

ENDINGS = (".safetensors", ".ckpt", ".pt", ".gguf")


@dataclass
class Settings:
    """The settings of an image. 0, empty and None are what nobody said; then the model's own are taken.

    `guidance` is the cfg; `denoise` below 1 changes an image, unless `hires` is set, whose second pass it is then.
    `loras` are (file, weight, weight in the text encoders), beside those that the prompt names. `formulas` are those
    that sampler and scheduler are names of, where that is not diffusers. `refiner` is a second model, and the share of
    the steps after which it goes on; `faces` are painted again; `units` are ControlNets. `hashes` are those that stand
    there, by file: SHA-256 or A1111's short ones. `remarks` tell what has no counterpart.
    """

    program: str
    prompt: str = ""
    negative: str = ""
    model: str = ""
    vae: str = ""
    steps: int = 0
    sampler: str = ""
    scheduler: str = ""
    formulas: str = ""
    guidance: float = 0.0
    seed: int | None = None
    width: int = 0
    height: int = 0
    denoise: float = 1.0
    clip_skip: int = 0
    variation: tuple[int, float] | None = None
    hires: Hires | None = None
    refiner: tuple[str, float] | None = None
    loras: list[tuple[str, float, float]] = field(default_factory=list)
    faces: Faces | None = None
    units: list[Unit] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def spread(self, scheduler: str) -> None:
        """Sets a scheduler of ours, if the sampler takes it; else that is told. Without a sampler none is set."""
        if self.sampler and scheduler and not self.formulas and not takes(self.sampler, scheduler):
            self.remarks.append(f"{self.sampler} takes its steps as the model has them: {scheduler} is left out.")
        elif self.sampler:
            self.scheduler = scheduler

    def seed_of(self, value: int | None) -> int | None:
        """A seed as ours are, which go up to 2^64 - 1; -1 is none. A larger one is told."""
        if value is None or value < 0:
            return None
        if value > LARGEST_SEED:
            self.remarks.append(f"The seed {value} is larger than seeds are here: the noise is another.")
        return value & LARGEST_SEED


@dataclass
class Hires:
    """A second pass in a larger size. `upscaler` is a file of a network; empty enlarges the latent."""

    scale: float
    steps: int = 0
    upscaler: str = ""


@dataclass
class Faces:
    """Faces that are painted again at the end. Empty texts and 0 are those of the image; `grow` and `feather` are
    pixels that its mask grows and fades by, `width` and `height` the size that it is painted in."""

    prompt: str = ""
    negative: str = ""
    denoise: float = 0.4
    feather: int = 4
    grow: int = 0
    steps: int = 0
    guidance: float = 0.0
    width: int = 0
    height: int = 0


@dataclass
class Unit:
    """A ControlNet of an image that is not there. `module` is A1111's name of the preprocessor; empty is none."""

    model: str
    module: str = ""
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0
    guess: bool = False
    resolution: int = 0
    low: float | None = None
    high: float | None = None


def named(said: Settings, known: Callable[[str], str]) -> None:
    """Puts our names of models where theirs have a hash that `known` has a model of; it answers empty for others."""
    found = {file: name for file, digest in said.hashes.items() if file and (name := known(digest))}
    said.model, said.vae = found.get(said.model, said.model), found.get(said.vae, said.vae)
    said.loras = [(found.get(file, file), weight, of_text) for file, weight, of_text in said.loras]
    if said.refiner is not None:
        said.refiner = (found.get(said.refiner[0], said.refiner[0]), said.refiner[1])
    for unit in said.units:
        unit.model = found.get(unit.model, unit.model)

    def renamed(tag: re.Match[str]) -> str:
        name = found.get(model_file("loras", tag[1].strip()), "")
        return f"<lora:{name}" if name and ":" not in name else tag[0]

    said.prompt = re.sub(r"<lora:([^:>]+)", renamed, said.prompt)


def model_file(folder: str, name: str) -> str:
    """A model by the name that programs give it: its file, often without the ending. Empty for no name."""
    if not name:
        return ""
    return f"{folder}/{name}" if name.endswith(ENDINGS) else f"{folder}/{name}.safetensors"


def number(text: object) -> float | None:
    """A number that is written down; None for what is none, or absurd."""
    try:
        found = float(str(text))
    except ValueError:
        return None
    return found if abs(found) < 1e6 else None
