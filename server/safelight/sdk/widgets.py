"""How a value is typed in: the widget of a port, as data the editor draws and `check` enforces.

A widget is written in the annotation of a node's parameter: `steps: Annotated[int, Slider(1, 150)] = 20`.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from .file_names import model_fault, pattern_fault
from .paintings import read_painting
from .prompt_syntax import embeddings_in, prompt_hints, weight_hint


class Fault(NamedTuple):
    """What is wrong with a value that was typed in: the code of the problem, the message and the remedy."""

    code: str
    message: str
    hint: str


class Widget(msgspec.Struct, frozen=True, kw_only=True, tag_field="widget"):
    """Base of all widgets. `accepts` names the port types it can edit.

    `group` is the heading that the widget stands below on the canvas. An `advanced` one stands in a fold that is closed
    at first. `shown_if` names widgets before this one and the value, or a list of the values, that each must have for
    this one to show; in a spec these are always lists. None of it changes a result: a widget that is linked, exposed or
    has another value than its default shows in any case, so that nothing acts unseen.
    """

    group: str = ""
    advanced: bool = False
    shown_if: dict[str, Any] = {}

    def accepts(self) -> tuple[str, ...]:
        return ()

    def complaint(self, value: Any) -> Fault | None:
        """What is wrong with a value of the right type; None if nothing is."""
        del value
        return None

    def remarks(self, value: Any) -> list[Fault]:
        """What a value of the right type may not do as it was meant. It stops nothing."""
        del value
        return []

    @property
    def names_files(self) -> bool:
        """Whether values may name files or models: the state of these is then part of the cache key."""
        return False


def _range_complaint(value: float, low: float | None, high: float | None) -> Fault | None:
    if (low is None or value >= low) and (high is None or value <= high):
        return None
    if low is not None and high is not None:
        bounds = f"{low:.12g} to {high:.12g}"
        return Fault("out_of_range", f"{value} is outside {bounds}.", f"Choose from {bounds}.")
    bound = f"at least {low:.12g}" if low is not None else f"at most {high:.12g}"
    return Fault("out_of_range", f"{value} is out of range.", f"Choose a value of {bound}.")


class Slider(Widget, frozen=True, tag="slider"):
    """A bounded number, dragged. The bounds are hard: `check` refuses what lies outside.

    `zero` is what the editor shows instead of 0, where that has a meaning of its own, such as "off".
    """

    min: float
    max: float
    step: float = 1
    zero: str = ""

    def accepts(self) -> tuple[str, ...]:
        return ("int", "float")

    def complaint(self, value: Any) -> Fault | None:
        return _range_complaint(value, self.min, self.max)


class Number(Widget, frozen=True, tag="number"):
    """A number that is typed in, with hard bounds where they are given.

    `zero` is what the editor shows instead of 0, where that has a meaning of its own, such as "auto".
    `usual` is how far from 0 values mostly are: what is farther is told of, and taken.
    """

    min: float | None = None
    max: float | None = None
    step: float | None = None
    multiple_of: int | None = None
    zero: str = ""
    usual: float | None = None

    def accepts(self) -> tuple[str, ...]:
        return ("int", "float")

    def complaint(self, value: Any) -> Fault | None:
        if self.multiple_of and value % self.multiple_of:
            near = max(self.multiple_of, round(value / self.multiple_of) * self.multiple_of)
            message = f"{value} is not a multiple of {self.multiple_of}."
            return Fault("out_of_range", message, f"The nearest one is {near}.")
        return _range_complaint(value, self.min, self.max)

    def remarks(self, value: Any) -> list[Fault]:
        if self.usual is None or abs(value) <= self.usual:
            return []
        message = f"{value:g} is far more than usual: most models draw noise with it."
        return [Fault("weight_extreme", message, f"Stay between {-self.usual:g} and {self.usual:g}.")]


LARGEST_SEED = 2**64 - 1
"""What torch's generators take, and what other programs draw seeds from."""


class Seed(Widget, frozen=True, tag="seed"):
    """The start of a random sequence: a whole number from 0 to 2^64 - 1, with a dice beside it."""

    def accepts(self) -> tuple[str, ...]:
        return ("int",)

    def complaint(self, value: Any) -> Fault | None:
        if 0 <= value <= LARGEST_SEED:
            return None
        hint = "Choose 0 or more." if value < 0 else f"Seeds go up to {LARGEST_SEED} (2^64 - 1)."
        return Fault("out_of_range", f"{value} is no seed.", hint)


class Text(Widget, frozen=True, tag="text"):
    """A line of text, or several.

    `prompt` turns on the helpers for writing prompts. The state of the embeddings that a prompt names is part of the
    cache key; `scheduled` says that it may change from step to step (see `prompt_schedule`). `file_name` says that it
    names files to save, and `model_name` a model to write, as `safelight.sdk.file_names` has it.
    """

    multiline: bool = False
    placeholder: str = ""
    prompt: bool = False
    max_length: int = 100_000
    file_name: bool = False
    model_name: bool = False
    scheduled: bool = False

    def accepts(self) -> tuple[str, ...]:
        return ("str",)

    def complaint(self, value: Any) -> Fault | None:
        if len(value) > self.max_length:
            return Fault("bad_value", f"The text has {len(value)} characters.", f"At most {self.max_length} are taken.")
        if "\0" in value:
            return Fault("bad_value", "The text holds a NUL character.", "Remove it.")
        if self.model_name and (fault := model_fault(value)):
            return Fault("bad_path", f"{value!r} {fault[0]}", fault[1])
        fault = pattern_fault(value) if self.file_name else None
        return Fault("bad_file_name", f"{value!r} {fault[0]}", fault[1]) if fault else None

    @property
    def names_files(self) -> bool:
        return self.prompt

    def remarks(self, value: Any) -> list[Fault]:
        if not self.prompt:
            return []
        far = weight_hint(value)
        foreign = [Fault("prompt_syntax", message, hint) for message, hint in prompt_hints(value, self.scheduled)]
        return [*foreign, Fault("weight_extreme", *far)] if far else foreign

    def embeddings(self, value: str) -> list[str]:
        """The names of the embeddings that a text of this widget uses."""
        return embeddings_in(value) if self.prompt else []


class Toggle(Widget, frozen=True, tag="toggle"):
    """On or off."""

    def accepts(self) -> tuple[str, ...]:
        return ("bool",)


class Choice(Widget, frozen=True, tag="choice"):
    """One of a fixed list; the list itself is the `Literal[...]` of the annotation."""

    def accepts(self) -> tuple[str, ...]:
        return ("choice",)


class FilePick(Widget, frozen=True, tag="file"):
    """A file of the input folder, by its path inside it. Its content is part of the cache key.

    `kind` is the name of a medium (`image`, `video`, `audio`, `mesh`, `text`, or that of a pack), `mask` for an image
    that is painted in the editor, or `any`. A node that reads other files of its folder as well says `beside`: they go
    with a run to another machine. They are no part of the key, so such a node is `cache=False`.
    """

    kind: str = "any"
    beside: bool = False

    def accepts(self) -> tuple[str, ...]:
        return ("str",)

    def complaint(self, value: Any) -> Fault | None:
        parts = value.replace("\\", "/").split("/")
        if ".." in parts or value.startswith(("/", "\\", "~")) or re.match(r"^[A-Za-z]:", value) or "\0" in value:
            message = f"{value!r} is not a path inside the input folder."
            return Fault("bad_value", message, "Give a name relative to it.")
        return None

    @property
    def names_files(self) -> bool:
        return True


class ModelPick(Widget, frozen=True, tag="model"):
    """A model by name: `starter`, a hub id such as `org/name`, or a folder or file below the model folders.

    The state of its files is part of the cache key, so replaced weights are never mistaken for the old ones.
    """

    kind: str = "pipeline"

    def accepts(self) -> tuple[str, ...]:
        return ("str",)

    @property
    def names_files(self) -> bool:
        return True


class Color(Widget, frozen=True, tag="color"):
    """A colour as `#rrggbb`."""

    def accepts(self) -> tuple[str, ...]:
        return ("str",)

    def complaint(self, value: Any) -> Fault | None:
        if re.fullmatch(r"#[0-9a-fA-F]{6}", value):
            return None
        return Fault("bad_value", f"{value!r} is not a colour.", "Write it as #rrggbb, for example #ff8800.")


class Items(Widget, frozen=True, tag="items"):
    """A list of numbers or texts, one below the other."""

    max_items: int = 1000

    def accepts(self) -> tuple[str, ...]:
        return ("list[int]", "list[float]", "list[str]", "list[bool]")

    def complaint(self, value: Any) -> Fault | None:
        if len(value) > self.max_items:
            return Fault("bad_value", f"The list has {len(value)} entries.", f"At most {self.max_items} are taken.")
        return None


class Paint(Widget, frozen=True, tag="paint"):
    """A painting as `safelight.sdk.paintings` has it, made in the editor's painter; empty where nothing is painted yet.

    `image` names the image port that lies below it, `width` and `height` those of its size where there is none. With
    `prompts` its layers are regions, each with a prompt.
    """

    prompts: bool = False
    image: str = "image"
    width: str = "width"
    height: str = "height"
    background: str = "background"
    max_length: int = 16_000_000

    def accepts(self) -> tuple[str, ...]:
        return ("str",)

    def complaint(self, value: Any) -> Fault | None:
        if len(value) > self.max_length:
            return Fault("bad_value", f"The painting has {len(value)} characters.", "Join its layers in fewer strokes.")
        try:
            if value:
                read_painting(value)
        except ValueError as error:
            return Fault("bad_value", f"This is no painting: {error}.", "Paint it in the editor, or leave it empty.")
        return None


AnyWidget = Slider | Number | Seed | Text | Toggle | Choice | FilePick | ModelPick | Color | Items | Paint


def default_widget(type_name: str) -> AnyWidget | None:
    """The plain widget for a type that names none, or None where the type cannot be typed in."""
    if type_name in ("int", "float"):
        return Number()
    if type_name.startswith("list[") and type_name in Items().accepts():
        return Items()
    plain: dict[str, AnyWidget] = {"str": Text(), "bool": Toggle(), "choice": Choice()}
    return plain.get(type_name)
