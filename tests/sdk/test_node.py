"""What `@node` accepts, and what it refuses at import, with the place named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import msgspec
import pytest

import trivial_nodes
from safelight.sdk import (
    Catalogue,
    Denoiser,
    Image,
    Lazy,
    Migration,
    ModelRef,
    NodeDefinitionError,
    NodeSpec,
    Slider,
    Text,
    node,
    node_type,
    value,
)
from safelight.sdk.pack import load_packs

T = TypeVar("T")


def test_a_node_stays_a_plain_function() -> None:
    assert trivial_nodes.add(2, 3, plus=4) == 9
    assert trivial_nodes.switch(Lazy.of("a"), Lazy.of("b"), condition=False) == "b"
    assert node_type(trivial_nodes.add) is not None
    assert node_type(len) is None


def test_specs_are_data() -> None:
    specs = [kind.spec for kind in trivial_nodes.catalogue().values()]
    assert msgspec.json.decode(msgspec.json.encode(specs), type=list[NodeSpec]) == specs
    scale = next(spec for spec in specs if spec.id == "trivial_nodes.scale")
    assert (scale.title, scale.help, scale.inputs[0].widget) == ("Scale", "Scales.", Slider(0, 10, 0.5))
    both = next(spec for spec in specs if spec.id == "trivial_nodes.both")
    assert [(port.name, port.type, port.help) for port in both.outputs] == [
        ("first", "int", ""),
        ("second", "str", "The words."),
    ]


class Unmarked:
    pass


class Outs(NamedTuple):
    a: Unmarked


def no_docstring(a: int) -> int: ...  # type: ignore[empty-body]


def no_annotation(a) -> int:  # type: ignore[no-untyped-def]
    """x"""


def no_return(a: int):
    """x"""


def star_args(*a: int) -> int:
    """x"""


def unmarked_class(a: Unmarked) -> int:
    """x"""


def bare_list(a: list) -> int:  # type: ignore[type-arg]
    """x"""


def union(a: int | str) -> int:
    """x"""


def number_choices(*, a: Literal[1, 2] = 1) -> int:
    """x"""


def widget_of_another_type(*, a: Annotated[str, Slider(0, 1)] = "") -> int:
    """x"""


def two_widgets(*, a: Annotated[str, Text(), Text(multiline=True)] = "") -> int:
    """x"""


def tensor_as_widget(*, a: Image) -> int:
    """x"""


def default_out_of_range(*, a: Annotated[int, Slider(1, 5)] = 9) -> int:
    """x"""


def default_of_another_type(*, a: int = "x") -> int:  # type: ignore[assignment]
    """x"""


def none_without_saying_so(a: int = None) -> int:  # type: ignore[assignment]
    """x"""


def lazy_widget(*, a: Lazy[int]) -> int:
    """x"""


def optional_output(a: int) -> int | None:
    """x"""


def model_without_kind(a: ModelRef) -> int:  # type: ignore[type-arg]
    """x"""


def unmarked_output(a: int) -> Outs:
    """x"""


async def asynchronous(a: int) -> int:
    """x"""
    return a


def yielding(a: int) -> Iterator[int]:
    """x"""
    yield a


REFUSED: list[tuple[Callable[..., Any], str]] = [
    (no_docstring, "needs a docstring"),
    (no_annotation, "parameter 'a': needs a type annotation"),
    (no_return, "return value: needs an annotation"),
    (star_args, "cannot be ports"),
    (unmarked_class, "class marked @value"),
    (bare_list, "say what it holds"),
    (union, "one type, or that type or None"),
    (number_choices, "choices must be texts"),
    (widget_of_another_type, "Slider edits int or float, not str"),
    (two_widgets, "more than one widget"),
    (tensor_as_widget, "must stand before `*`"),
    (default_out_of_range, "9 is outside 1 to 5"),
    (default_of_another_type, "'x' is not a whole number"),
    (none_without_saying_so, "write int | None"),
    (lazy_widget, "a lazy input must be a socket"),
    (optional_output, "neither optional nor lazy"),
    (model_without_kind, "write the kind of model"),
    (unmarked_output, "class marked @value"),
    (asynchronous, "write def, not async def"),
    (yielding, "cannot yield"),
]


@pytest.mark.parametrize(("function", "words"), REFUSED, ids=[function.__name__ for function, _ in REFUSED])
def test_what_cannot_be_described_is_refused(function: Callable[..., Any], words: str) -> None:
    with pytest.raises(NodeDefinitionError) as caught:
        node()(function)
    assert words in str(caught.value)
    assert "test_node.py" in str(caught.value)
    assert function.__name__ in str(caught.value)


def test_versions_need_migrations() -> None:
    def later(*, a: int = 1) -> int:
        """x"""
        return a

    with pytest.raises(NodeDefinitionError, match="needs a migration from version 1"):
        node(version=2)(later)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"version": "2"}, "the version is a number from 1 on, and not '2'"),
        ({"version": 0}, "and not 0"),
        ({"version": 2, "migrations": {1: {"inputs": {}}}}, "by a Migration, not 1: dict"),
        ({"version": 2, "migrations": {1: Migration(), 2: Migration()}}, "not 2: Migration"),
        ({"deprecated": True}, "deprecated says what to use instead"),
    ],
)
def test_versions_and_migrations_that_make_no_sense(given: dict[str, Any], said: str) -> None:
    def later(*, a: int = 1) -> int:
        """x"""
        return a

    with pytest.raises(NodeDefinitionError, match=said):
        node(**given)(later)


def test_values_must_be_frozen() -> None:
    @dataclass
    class Loose:
        a: int

    with pytest.raises(TypeError, match="frozen=True"):
        value(Loose)


def test_recipes_know_their_kind() -> None:
    @node()
    def use(model: ModelRef[Denoiser]) -> ModelRef[Denoiser]:
        """x"""
        return model

    kind = Catalogue.of(use)["sdk.use"]
    assert (str(kind.inputs["model"]), list(kind.outputs)) == ("ModelRef[Denoiser]", ["model"])


class Point:
    """Stands for an installed pack's entry point."""

    dist = None

    def __init__(self, name: str, module: str) -> None:
        self.name, self.value = name, module


def test_a_broken_pack_stays_listed_with_its_remedy() -> None:
    points: Any = [Point("sparkle", "no_such_package_at_all"), Point("safelight", "trivial_nodes")]
    catalogue = load_packs(points)
    assert "trivial_nodes.add" in catalogue
    broken = next(state for state in catalogue.packs if state.name == "sparkle")
    assert "no_such_package_at_all" in broken.reason
    assert broken.remedy == "pip install no_such_package_at_all"


def test_nodes_of_other_packs_carry_its_name() -> None:
    points: Any = [Point("sparkle", "trivial_nodes")]
    catalogue = load_packs(points)
    assert catalogue["sparkle/trivial_nodes.add"].spec.pack == "sparkle"
