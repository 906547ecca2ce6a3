"""`@node`: a plain typed function becomes a node, and stays a plain function."""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, get_type_hints

import msgspec

from .context import Context
from .problem import did_you_mean, one_of
from .sources import code_of
from .types import Described, PortType, describe
from .unicode import is_whole
from .widgets import AnyWidget, Fault, Widget, default_widget

F = TypeVar("F", bound=Callable[..., Any])
_ATTRIBUTE = "__safelight_node__"


class InputSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An input as data. `socket` is True for what stands before `*`: it starts as a socket, not as a widget."""

    name: str
    type: str
    socket: bool
    required: bool
    lazy: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    widget: AnyWidget | None = None
    help: str = ""


class OutputSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An output as data."""

    name: str
    type: str
    choices: tuple[str, ...] = ()
    help: str = ""


class NodeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A node as data: what the editor draws and `check` holds a document against. `help` is the docstring."""

    id: str
    version: int
    title: str
    category: str
    help: str
    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]
    output: bool = False
    cache: bool = True
    pack: str = "safelight"


@dataclass(frozen=True)
class Migration:
    """How a node saved by an older version becomes the next one: renamed ports, and a change to its values.

    `values` takes the old values and returns the new ones; it runs after the renaming.
    """

    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    values: Callable[[dict[str, Any]], dict[str, Any]] | None = None


@dataclass(frozen=True)
class NodeType:
    """A node ready to be checked and run: its spec, its function, and its port types taken apart."""

    spec: NodeSpec
    function: Callable[..., Any]
    inputs: dict[str, PortType]
    outputs: dict[str, PortType]
    context: str | None
    named: bool
    migrations: dict[int, Migration]
    source: Callable[[], str] | None = None
    """Gives the digest of the code that the node runs; see `sources.py`."""
    light: bool = False
    """Whether a plan may call it; see `node`."""
    cheap: bool = False
    """Whether computing its results again takes less than reading them; see `node`."""

    @cached_property
    def code(self) -> str:
        """What of its results depends on the code and version of its pack: part of every key."""
        # The function itself counts, too: Python may have loaded it from a compiled file that is older than its source.
        return code_of(self.function) + (self.source() if self.source is not None else "")

    @cached_property
    def lazy(self) -> frozenset[str]:
        return frozenset(port.name for port in self.spec.inputs if port.lazy)

    @cached_property
    def ports(self) -> dict[str, InputSpec]:
        return {port.name: port for port in self.spec.inputs}


class NodeDefinitionError(TypeError):
    """A function that cannot be described as a node. Names the file, the function and the parameter."""


def node(
    *,
    version: int = 1,
    title: str = "",
    output: bool = False,
    cache: bool = True,
    light: bool = False,
    cheap: bool = False,
    migrations: dict[int, Migration] | None = None,
) -> Callable[[F], F]:
    """Marks a typed function as a node and returns it unchanged.

    Parameters before `*` are sockets, after it widgets. The module's and the function's name make the id. A string in
    `Annotated[...]` is the help text of that port. `T | None` need not be connected, wherever it stands among the rest.

    Args:
        version: raised when saved documents need a migration.
        title: shown on the canvas; made from the function's name when empty.
        output: the node has an effect outside the graph (it saves or shows something), so it is always a target.
        cache: False when the same inputs may give different outputs.
        light: it only puts small things together, in milliseconds and without importing anything heavy, as a node
            that makes recipes does. A plan calls it, and so knows what of the rest depends on a change. Plans call
            the built-in nodes alone.
        cheap: making its results again takes no longer than reading them from a disk would, as with cutting, turning
            and copying. They are held in memory while there is room, and never written to the disk; a plan after a
            restart says that it will run, where its results are needed.
        migrations: by old version, how a document written for it becomes the next version.

    Raises:
        NodeDefinitionError: at import, when something cannot be described.
    """

    def mark(function: F) -> F:
        described = _describe_node(function, version, title, output, cache, light, cheap, migrations or {})
        setattr(function, _ATTRIBUTE, described)
        return function

    return mark


def node_type(function: Any) -> NodeType | None:
    """The description of a marked function, or None for anything else."""
    found = getattr(function, _ATTRIBUTE, None)
    return found if isinstance(found, NodeType) else None


def _describe_node(
    function: Callable[..., Any],
    version: int,
    title: str,
    output: bool,
    cache: bool,
    light: bool,
    cheap: bool,
    migrations: dict[int, Migration],
) -> NodeType:
    where = f"{inspect.getsourcefile(function) or '?'}: {function.__qualname__}"
    if not function.__doc__:
        raise NodeDefinitionError(f"{where}: a node needs a docstring; it is the help text.")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise NodeDefinitionError(f"{where}: a node is a plain function; write def, not async def.")
    if inspect.isgeneratorfunction(function):
        raise NodeDefinitionError(f"{where}: a node returns its outputs; it cannot yield them.")
    missing = [old for old in range(1, version) if old not in migrations]
    if missing:
        raise NodeDefinitionError(f"{where}: version {version} needs a migration from version {missing[0]}.")
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise NodeDefinitionError(f"{where}: an annotation cannot be resolved: {error}.") from error
    inputs: list[InputSpec] = []
    input_types: dict[str, PortType] = {}
    context: str | None = None
    for name, parameter in inspect.signature(function).parameters.items():
        place = f"{where}, parameter {name!r}"
        if name not in hints:
            raise NodeDefinitionError(f"{place}: needs a type annotation.")
        if hints[name] is Context:
            context = name
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise NodeDefinitionError(f"{place}: *args, **kwargs and positional-only parameters cannot be ports.")
        try:
            described = describe(hints[name])
            spec = _input_spec(name, parameter, described)
        except TypeError as error:
            raise NodeDefinitionError(f"{place}: {error}") from error
        inputs.append(spec)
        input_types[name] = described.type
    try:
        outputs, named = _outputs(hints.get("return", inspect.Signature.empty))
    except TypeError as error:
        raise NodeDefinitionError(f"{where}, return value: {error}") from error
    module = function.__module__.rsplit(".", 1)[-1]
    spec = NodeSpec(
        id=f"{module}.{function.__name__}",
        version=version,
        title=title or function.__name__.replace("_", " ").capitalize(),
        category=module.replace("_", " "),
        help=inspect.cleandoc(function.__doc__),
        inputs=tuple(inputs),
        outputs=tuple(
            OutputSpec(name=name, type=str(found.type), choices=found.type.choices, help=_help(found.extras))
            for name, found in outputs.items()
        ),
        output=output,
        cache=cache,
    )
    output_types = {name: found.type for name, found in outputs.items()}
    return NodeType(spec, function, input_types, output_types, context, named, migrations, light=light, cheap=cheap)


def _input_spec(name: str, parameter: inspect.Parameter, described: Described) -> InputSpec:
    widgets = [extra for extra in described.extras if isinstance(extra, Widget)]
    type_name = str(described.type)
    if len(widgets) > 1:
        raise TypeError("has more than one widget.")
    if widgets and type_name not in widgets[0].accepts():
        raise TypeError(f"{type(widgets[0]).__name__} edits {' or '.join(widgets[0].accepts())}, not {type_name}.")
    socket = parameter.kind is not parameter.KEYWORD_ONLY
    widget = typing.cast(AnyWidget, widgets[0]) if widgets else (None if socket else default_widget(type_name))
    has_default = parameter.default is not parameter.empty
    default = parameter.default if has_default else None
    if widget is None and not socket:
        raise TypeError(f"{type_name} cannot be typed in, so it must stand before `*` as a socket.")
    if described.lazy and not socket:
        raise TypeError("a lazy input must be a socket.")
    if has_default and default is not None:
        fault = value_fault(described.type, widget, default)
        if fault:
            raise TypeError(f"the default {default!r} does not fit: {fault.message}")
    if has_default and default is None and not described.optional:
        raise TypeError(f"the default is None, so write {type_name} | None.")
    return InputSpec(
        name=name,
        type=type_name,
        socket=socket,
        required=not has_default and not described.optional,
        lazy=described.lazy,
        default=default,
        choices=described.type.innermost.choices,
        widget=widget,
        help=_help(described.extras),
    )


def _outputs(hint: Any) -> tuple[dict[str, Described], bool]:
    """Outputs by name, and whether they come as a NamedTuple rather than as one bare value."""
    if hint is inspect.Signature.empty:
        raise TypeError("needs an annotation; write -> None where there is no output.")
    if hint is type(None) or hint is None:
        return {}, False
    if isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields"):
        hints = get_type_hints(hint, include_extras=True)
        found = {name: describe(hints[name]) for name in typing.cast(Any, hint)._fields}
        named = True
    else:
        only = describe(hint)
        found, named = {_output_name(only.type): only}, False
    for name, described in found.items():
        if described.optional or described.lazy:
            raise TypeError(f"output {name!r} can be neither optional nor lazy.")
    return found, named


def _output_name(kind: PortType) -> str:
    """`Latent` → `latent`, `list[Image]` → `images`, models → `model`, scalars and variables → `value`."""
    inner = kind.innermost
    if inner.name == "ModelRef":
        name = "model"
    elif inner.name in ("int", "float", "bool", "choice", "Any") or inner.var:
        name = "value"
    else:
        name = {"str": "text"}.get(inner.name) or inner.name.rpartition(":")[2].lower()
    return name + "s" if kind.depth else name


def _help(extras: tuple[Any, ...]) -> str:
    return " ".join(extra for extra in extras if isinstance(extra, str))


def value_fault(kind: PortType, widget: AnyWidget | None, given: Any) -> Fault | None:
    """What is wrong with a literal value for a port; None if it fits. Never raises."""
    if kind.name == "choice":
        if isinstance(given, str) and (given in kind.choices or not kind.choices):
            return None
        close = did_you_mean(given, kind.choices) if isinstance(given, str) else ""
        message = f"{given!r} is not one of the choices."
        return Fault("not_a_choice", message, close or f"Choose {one_of(kind.choices, 20)}.")
    if kind.name == "list":
        if not isinstance(given, list | tuple):
            example = _EXAMPLES.get(kind.innermost.name, "[...]")
            return Fault("wrong_type", f"{given!r} is not a list.", f"Give a list such as {example}.")
        faults = (value_fault(kind.args[0], None, element) for element in given)
        fault = next((fault for fault in faults if fault), None)
        return fault or (widget.complaint(given) if widget else None)
    wanted = _WANTED.get(kind.name)
    if wanted is None:
        if kind.name != "Any" and not kind.var:
            message = f"{given!r} was typed in, but {kind} comes only over a link."
            return Fault("wrong_type", message, "Connect an output to this port.")
        return (
            None if is_scalar(given) else Fault("wrong_type", f"{given!r} cannot be typed in.", "Connect it instead.")
        )
    if kind.name == "int" and isinstance(given, int) and abs(given) > LARGEST:
        return Fault("out_of_range", f"{given} is too large.", f"Whole numbers go up to {LARGEST} (2^63 - 1).")
    if not _scalar_fits(kind.name, given):
        hint = f"Give {wanted}" + (" without quotes." if isinstance(given, str) else ".")
        return Fault("wrong_type", f"{given!r} is not {wanted}.", hint)
    if isinstance(given, str) and not is_whole(given):
        hint = "Type it anew: an emoji was cut in two, or the text is in another encoding than UTF-8."
        return Fault("bad_value", f"{given[:200]!r} holds half of a character.", hint)
    return widget.complaint(given) if widget else None


LARGEST = 2**63 - 1
"""The largest whole number that databases, tensors and other programs' JSON take as well."""
_WANTED = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false"}
_EXAMPLES = {"int": "[1, 2, 3]", "float": "[0.5, 1.0]", "str": '["a", "b"]', "bool": "[true, false]"}


def is_scalar(given: Any) -> bool:
    return isinstance(given, bool | int | float | str)


def _scalar_fits(name: str, given: Any) -> bool:
    if name == "bool":
        return isinstance(given, bool)
    if isinstance(given, bool):
        return False
    if name == "int":
        return isinstance(given, int)
    if name == "float":
        return isinstance(given, int | float) and math.isfinite(given)
    return isinstance(given, str)
