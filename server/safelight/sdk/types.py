"""Port types, and the one rule of what may be connected to what."""

from __future__ import annotations

import types
import typing
from typing import Any, Literal, TypeVar, Union

import msgspec

from .lazy import Lazy
from .models import Kind, ModelRef


class PortType(msgspec.Struct, frozen=True, order=False):
    """The type of a port: a name, and for `list` and `ModelRef` what it holds.

    Names are `int float str bool choice Any list ModelRef`, the name of a value class, or, for a type variable, its
    own name with `var` set. Texts of choices are in `choices`.
    """

    name: str
    args: tuple[PortType, ...] = ()
    choices: tuple[str, ...] = ()
    var: bool = False

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(map(str, self.args))}]" if self.args else self.name

    @property
    def depth(self) -> int:
        """How many lists are wrapped around the innermost type."""
        depth, inner = 0, self
        while inner.name == "list":
            depth, inner = depth + 1, inner.args[0]
        return depth

    @property
    def innermost(self) -> PortType:
        inner = self
        while inner.name == "list":
            inner = inner.args[0]
        return inner

    def lifted(self, depth: int) -> PortType:
        """This type inside `depth` more lists."""
        lifted = self
        for _ in range(depth):
            lifted = PortType("list", (lifted,))
        return lifted

    def bind(self, bound: dict[str, PortType]) -> PortType:
        """This type with its type variables replaced where they are known."""
        if self.var:
            return bound.get(self.name, self)
        return msgspec.structs.replace(self, args=tuple(arg.bind(bound) for arg in self.args)) if self.args else self


class Fit(msgspec.Struct, frozen=True):
    """Whether a link may be made. `how` says what happens on it; `reason` says in words why not.

    `same`: as it is. `widen`: int becomes float. `wrap`: becomes a list of one. `map`: the node runs once an element.
    """

    ok: bool
    how: Literal["same", "widen", "wrap", "map", "no"]
    reason: str = ""
    depth: int = 0


ANY = PortType("Any")
_SAME = Fit(True, "same")
_SCALARS = {int: "int", float: "float", str: "str", bool: "bool"}
_GIVES = {
    "Image": "images",
    "Latent": "a latent",
    "Conditioning": "conditioning",
    "Mask": "a mask",
    "Video": "a video",
    "Audio": "sound",
    "Mesh": "a mesh",
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "yes or no",
    "choice": "a choice",
}


def can_connect(source: PortType, target: PortType) -> Fit:
    """Whether an output of type `source` may feed an input of type `target`."""
    if source == target and not source.choices:
        return _SAME
    if target.innermost.var or source.innermost.var:
        return _SAME
    if target.name == "Any":
        return _SAME
    excess = source.depth - target.depth
    inner = _inner_fit(source.innermost, target.innermost)
    if not inner.ok:
        return inner
    if excess == 0:
        return inner
    if excess == -1:
        return Fit(True, "wrap")
    if excess > 0:
        return Fit(True, "map", depth=excess)
    return Fit(False, "no", f"{target} needs lists inside lists, and {source} is too shallow for it.")


def _inner_fit(source: PortType, target: PortType) -> Fit:
    if source.name == target.name and source.name == "choice":
        missing = [choice for choice in source.choices if choice not in target.choices]
        if not missing or not source.choices:
            return _SAME
        return Fit(False, "no", f"the choice {missing[0]!r} is not among those that the input takes.")
    if source.name == target.name and source.args == target.args:
        return _SAME
    if (source.name, target.name) == ("int", "float"):
        return Fit(True, "widen")
    # A text may turn out to be one of the choices: that is seen, and said, when the value is there.
    if (source.name, target.name) in (("choice", "str"), ("str", "choice")):
        return _SAME
    if source.name == target.name == "ModelRef":
        given, wanted = source.args[0].name, target.args[0].name
        return Fit(False, "no", f"this is a {given} model, and the input needs a {wanted}.")
    hint = _advice(source.name, target.name)
    return Fit(False, "no", f"the output gives {_said(source)}, and the input needs {_said(target)}.{hint}")


def _said(kind: PortType) -> str:
    if kind.name == "ModelRef":
        return f"a {kind.args[0].name} model"
    return _GIVES.get(kind.name, f"a value of type {kind.name}") + (
        f" ({kind.name})" if kind.name in _GIVES and kind.name[0].isupper() else ""
    )


def _advice(source: str, target: str) -> str:
    """The node that usually belongs between the two, for the mix-ups that beginners make."""
    between = {
        ("Latent", "Image"): "Decode it first.",
        ("Image", "Latent"): "Encode it first.",
        ("str", "Conditioning"): "Encode the text first.",
        ("float", "int"): "Round it first.",
        ("Image", "Mask"): "Make a mask of it first.",
        ("Image", "Video"): "Make a video of them first.",
        ("Video", "Image"): "Take frames of it first.",
    }
    advice = between.get((source, target))
    return f" {advice}" if advice else ""


class Described(msgspec.Struct, frozen=True):
    """An annotation taken apart: its type, whether None is allowed, whether it is lazy, and its `Annotated` extras."""

    type: PortType
    optional: bool
    lazy: bool
    extras: tuple[Any, ...]


def describe(annotation: Any) -> Described:
    """The port type an annotation means.

    Raises:
        TypeError: the annotation has no meaning as a port; the message says which part of it.
    """
    extras: tuple[Any, ...] = ()
    optional = lazy = False
    while True:
        origin = typing.get_origin(annotation)
        if origin is typing.Annotated:
            extras += annotation.__metadata__
            annotation = annotation.__origin__
        elif origin in (Union, types.UnionType):
            rest = [arg for arg in typing.get_args(annotation) if arg is not types.NoneType]
            if len(rest) != 1:
                raise TypeError(f"{_name(annotation)} is a union; a port has one type, or that type or None.")
            optional, annotation = True, rest[0]
        elif origin is Lazy:
            lazy, annotation = True, typing.get_args(annotation)[0]
        else:
            return Described(_port_type(annotation), optional, lazy, extras)


def _port_type(annotation: Any) -> PortType:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any:
        return ANY
    if annotation in _SCALARS:
        return PortType(_SCALARS[annotation])
    if origin is Literal:
        if not all(isinstance(choice, str) for choice in args):
            raise TypeError(f"{_name(annotation)}: choices must be texts.")
        return PortType("choice", choices=args)
    if origin is list and args:
        inner = describe(args[0])
        if inner.optional or inner.lazy:
            raise TypeError(f"{_name(annotation)}: the elements of a list can be neither optional nor lazy.")
        return PortType("list", (inner.type,))
    if origin is ModelRef or annotation is ModelRef:
        kind = args[0] if args else None
        if isinstance(kind, type) and issubclass(kind, Kind) and kind is not Kind:
            return PortType("ModelRef", (PortType(kind.__name__),))
        raise TypeError(f"{_name(annotation)}: write the kind of model, for example ModelRef[Denoiser].")
    if isinstance(annotation, TypeVar):
        return PortType(annotation.__name__, var=True)
    if isinstance(annotation, type) and "__value_name__" in vars(annotation):
        return PortType(vars(annotation)["__value_name__"])
    if annotation in (list, tuple, dict, set):
        raise TypeError(f"{_name(annotation)}: say what it holds, for example list[float].")
    raise TypeError(f"{_name(annotation)} cannot be a port: use a scalar, Literal, list[...] or a class marked @value.")


def _name(annotation: Any) -> str:
    return getattr(annotation, "__name__", None) or str(annotation)
