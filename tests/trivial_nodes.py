"""Small nodes for tests of the graph and the engine: every kind of port, and no tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from safelight.sdk import (
    VAE,
    Catalogue,
    Color,
    Context,
    Denoiser,
    File,
    FilePick,
    Items,
    Lazy,
    Migration,
    ModelRef,
    Number,
    Seed,
    Slider,
    Source,
    Text,
    node,
    value,
)
from safelight.sdk.pack import value_classes

T = TypeVar("T")


@value
@dataclass(frozen=True)
class Paint:
    """A value with a name of its own."""

    name: str


@value
@dataclass(frozen=True)
class Canvas:
    """Another."""

    paints: tuple[Paint, ...] = ()


class Both(NamedTuple):
    first: int
    second: Annotated[str, "The words."]


@node()
def number(*, value: int = 1) -> int:
    """A whole number."""
    return value


@node()
def fraction(*, value: float = 0.5) -> float:
    """A number."""
    return value


@node(light=True)
def divide(a: int, *, by: int = 2) -> int:
    """A whole number, divided and rounded down."""
    return a // by


@node()
def flag(*, value: bool = True) -> bool:
    """Yes or no."""
    return value


@node()
def words(*, text: Annotated[str, Text(max_length=50)] = "") -> str:
    """Words."""
    return text


@node()
def add(a: int, b: int = 0, *, plus: int = 0) -> int:
    """Adds."""
    return a + b + plus


@node()
def scale(*, by: Annotated[float, Slider(0, 10, step=0.5)] = 1.0) -> float:
    """Scales."""
    return by


@node()
def size(*, width: Annotated[int, Number(min=8, max=4096, multiple_of=8)] = 64) -> int:
    """A size."""
    return width


@node()
def below_limit(a: int, *, limit: int = 5) -> bool:
    """Whether a number is below a limit."""
    return a < limit


@node()
def divide_exactly(a: int, *, by: int = 2) -> int:
    """A whole number, divided; it fails where something is left."""
    if a % by:
        raise RuntimeError(f"{a} is not a multiple of {by}")
    return a // by


@node()
def flags(*, given: str = "") -> list[bool]:
    """Yes or no, for each letter of a text: y or n."""
    return [letter == "y" for letter in given]


@node()
def total(numbers: Annotated[list[int], Items()]) -> int:
    """Adds all."""
    return sum(numbers)


@node()
def count(*, numbers: Annotated[list[int], Items()] = []) -> list[int]:  # noqa: B006  never changed
    """A list."""
    return list(numbers)


@node()
def below(*, end: int = 3) -> list[int]:
    """The whole numbers from 0 to below the end."""
    return list(range(end))


@node()
def shout(*, text: str = "", seed: Annotated[int, Seed()] = 0) -> str:
    """Makes it loud."""
    return f"{text.upper()}!{seed}"


@node()
def paint(*, name: str = "red", color: Annotated[str, Color()] = "#ff0000") -> Paint:
    """A paint."""
    return Paint(name)


@node()
def mix(paints: list[Paint]) -> Canvas:
    """A canvas of paints."""
    return Canvas(tuple(paints))


@node()
def frame(canvas: Canvas, paint: Paint | None = None, *, style: Literal["plain", "ornate", "none"] = "plain") -> Canvas:
    """Frames a canvas."""
    return Canvas((*canvas.paints, paint)) if paint else canvas


@node()
def both(*, first: int = 1, second: str = "x") -> Both:
    """Two outputs."""
    return Both(first, second)


@node()
def switch(on_true: Lazy[T], on_false: Lazy[T], *, condition: bool = True) -> T:
    """One of two."""
    return (on_true if condition else on_false).get()


@node()
def fail(*, message: str = "it broke", a: int = 0) -> int:
    """Always fails."""
    raise RuntimeError(message)


@node(cache=False)
def clock(*, step: int = 1) -> int:
    """Never the same twice."""
    import time

    return time.monotonic_ns() * step


@node(output=True)
def write(text: str, *, name: str = "note_{counter}.txt", ctx: Context) -> File:
    """Writes a text file."""
    return ctx.save(text.encode(), name=name, media_type="text/plain", embed="nothing")


@node()
def read(*, file: Annotated[str, FilePick("text")] = "", ctx: Context) -> str:
    """Reads a text file."""
    return ctx.files.path(file).read_text()


@node()
def texts(given: list[str]) -> list[str]:
    """A list of texts."""
    return given


@node()
def repeat(*, text: str = "", times: int = 1) -> str:
    """A long text."""
    return text * times


@node()
def prompted(*, text: Annotated[str, Text(prompt=True)] = "") -> str:
    """A prompt, which may name embeddings."""
    return text.upper()


@node()
def denoiser() -> ModelRef[Denoiser]:
    """A denoiser recipe."""
    return ModelRef("Denoiser", "sd1", Source("starter", "starter"), "unet")


@node()
def vae() -> ModelRef[VAE]:
    """A VAE recipe."""
    return ModelRef("VAE", "sd1", Source("starter", "starter"), "vae")


@node()
def paint_with(model: ModelRef[Denoiser], *, name: str = "x") -> Paint:
    """Needs a denoiser."""
    return Paint(name + model.component)


@node()
def anything(thing: Any) -> str:
    """Takes anything."""
    return type(thing).__name__


@node(
    version=3,
    migrations={
        1: Migration(inputs={"amount": "factor"}, outputs={"out": "value"}),
        2: Migration(inputs={"factor": "by"}, values=lambda values: values | {"by": values.get("by", 1) * 10}),
    },
)
def renamed(a: int = 1, *, by: int = 10) -> int:
    """Was changed twice since it was first saved."""
    return a * by


def catalogue() -> Catalogue:
    import sys

    kinds = Catalogue.of(
        number, fraction, flag, words, divide, add, below_limit, divide_exactly, flags,
        scale, size, total, count, below, shout, paint, mix, frame, both, switch,
        fail, clock, write, read, texts, repeat, prompted, denoiser, vae, paint_with, anything, renamed,
    )  # fmt: skip
    return Catalogue(kinds.values(), value_classes(sys.modules[__name__]))
