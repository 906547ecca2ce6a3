"""`@node`: a plain typed function becomes a node, and stays a plain function."""

from __future__ import annotations

import inspect
import math
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar, get_type_hints

import msgspec

from .context import Context
from .problem import did_you_mean, one_of
from .sources import code_of
from .types import Described, PortType, describe
from .unicode import is_whole
from .widgets import AnyWidget, Fault, Seed, Widget, default_widget

F = TypeVar("F", bound=Callable[..., Any])
Aliases = Iterable[str] | Mapping[str, int]
BUILT_IN = "safelight"
"""The pack whose nodes have plain ids."""
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
    """A node as data: what the editor draws and `check` holds a document against. `help` is the docstring.

    `aliases` are ids that it had before, `tags` further words that people search it by. `deprecated` says what to use
    instead, and why; such a node runs as ever, but is not offered any more.
    """

    id: str
    version: int
    title: str
    category: str
    help: str
    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]
    output: bool = False
    cache: bool = True
    pack: str = BUILT_IN
    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    deprecated: str = ""


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
    category: str = ""
    """The category that the author names; empty where the module says it."""
    aliases: dict[str, int] = field(default_factory=dict)
    """Former ids, and the version at which each was given up: documents of that id without a version are of it."""

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

    def placed(self, category: str, pack: str = BUILT_IN) -> NodeType:
        """The same in this category, unless its author names another, and in this pack.

        Ids of packs but the built-in one start with the pack's name; so do former ids that name no pack themselves.
        """
        category = self.category or category
        prefix = "" if pack == BUILT_IN else f"{pack}/"
        name = f"{prefix}{category}.{self.function.__name__}"
        spec = msgspec.structs.replace(self.spec, id=name, category=category.replace("_", " "), pack=pack)
        former = {old if "/" in old else prefix + old: last for old, last in self.aliases.items()}
        return replace(self, spec=spec).with_aliases(former)

    def with_aliases(self, aliases: dict[str, int]) -> NodeType:
        spec = msgspec.structs.replace(self.spec, aliases=tuple(aliases))
        return replace(self, spec=spec, aliases=aliases)


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
    category: str = "",
    aliases: Aliases = (),
    tags: Iterable[str] = (),
    deprecated: str = "",
) -> Callable[[F], F]:
    """Marks a typed function as a node and returns it unchanged.

    Parameters before `*` are sockets, after it widgets. A string in `Annotated[...]` is the help text of that port.
    `T | None` need not be connected, wherever it stands among the rest.

    The id is `category.name`: the name of the function, and the first level of modules below the pack. `image.py` and
    `image/resize.py` both give `image.NAME`, so a file that grows may become a package of files.

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
        category: the first part of the id, where the module is not to say it.
        aliases: ids that the node had before it was renamed or moved. Documents with one open as ever, and are written
            with the new id; versions go on counting. Where ports changed since the renaming, the version at which an id
            was given up stands beside it: `{"old.id": 2}`. Ids of the own pack stand without its name.
        tags: further words that people look for it by, such as its name in other programs.
        deprecated: what to use instead and why. The node runs as ever, but is not offered any more.

    Raises:
        NodeDefinitionError: at import, when something cannot be described.
    """

    def mark(function: F) -> F:
        described = _describe_node(function, version, title, output, cache, light, cheap, migrations or {})
        where = place_of(function)
        if not _PART.fullmatch(category or "x"):
            raise NodeDefinitionError(f"{where}: the category {category!r} is not written as a module is named.")
        if isinstance(tags, str):
            raise NodeDefinitionError(f"{where}: tags are several: write ({tags!r},).")
        if not isinstance(deprecated, str):  # packs are foreign code
            raise NodeDefinitionError(f"{where}: deprecated says what to use instead, as a text.")
        spec = msgspec.structs.replace(described.spec, tags=tuple(tags), deprecated=deprecated)
        placed = replace(described, spec=spec, category=category).placed(category_of(function.__module__))
        setattr(function, _ATTRIBUTE, placed.with_aliases(_former(where, placed.spec, aliases)))
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
    where = place_of(function)
    if not function.__doc__:
        raise NodeDefinitionError(f"{where}: a node needs a docstring; it is the help text.")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise NodeDefinitionError(f"{where}: a node is a plain function; write def, not async def.")
    if inspect.isgeneratorfunction(function):
        raise NodeDefinitionError(f"{where}: a node returns its outputs; it cannot yield them.")
    if type(version) is not int or version < 1:  # packs are foreign code
        raise NodeDefinitionError(f"{where}: the version is a number from 1 on, and not {version!r}.")
    for old, migration in migrations.items():
        if old not in range(1, version) or not isinstance(migration, Migration):
            what = f"{old!r}: {type(migration).__name__}"
            raise NodeDefinitionError(
                f"{where}: migrations go from a version before {version} by a Migration, not {what}."
            )
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
    _check_conditions(where, inputs, input_types)
    spec = NodeSpec(
        id="",  # and the category: `node` fills them in
        version=version,
        title=title or function.__name__.replace("_", " ").capitalize(),
        category="",
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


def place_of(function: Callable[..., Any]) -> str:
    """Where a function stands, for messages: its file and its name."""
    return f"{inspect.getsourcefile(function) or '?'}: {function.__qualname__}"


def category_of(module: str, root: str = "") -> str:
    """The category of a module's nodes: the first level below `root`, the package that holds all of its pack.

    Without a root it is the outermost package. `pack.image.resize` and `pack.image` are both `image`.
    """
    root = root or module.partition(".")[0]
    below = module[len(root) + 1 :].partition(".")[0] if module.startswith(root + ".") else ""
    return below or root.rpartition(".")[2]


def _former(place: str, spec: NodeSpec, aliases: Aliases) -> dict[str, int]:
    if isinstance(aliases, str):
        raise NodeDefinitionError(f"{place}: aliases are several: write ({aliases!r},).")
    given = dict(aliases) if isinstance(aliases, Mapping) else dict.fromkeys(aliases, spec.version)
    for old, last in given.items():
        if old == spec.id:
            raise NodeDefinitionError(f"{place}: the alias {old!r} is the id that it has.")
        if not _ID.fullmatch(old):
            raise NodeDefinitionError(f"{place}: the alias {old!r} is no id such as 'image.blur'.")
        if not 1 <= last <= spec.version:
            raise NodeDefinitionError(f"{place}: the alias {old!r} was given up at version 1 to {spec.version}.")
    return given


_PART = re.compile(r"[A-Za-z_]\w*")
_ID = re.compile(r"([\w.-]+/)?[A-Za-z_]\w*\.[A-Za-z_]\w*")


def _check_conditions(where: str, inputs: list[InputSpec], types: dict[str, PortType]) -> None:
    """Holds groups and conditions of widgets against the other widgets, and writes the conditions as lists."""
    before: dict[str, InputSpec] = {}
    for number, port in enumerate(inputs):
        widget, place = port.widget, f"{where}, parameter {port.name!r}"
        if widget is None or not (widget.group or widget.advanced or widget.shown_if):
            before |= {} if port.socket else {port.name: port}
            continue
        if port.socket:
            raise NodeDefinitionError(f"{place}: is a socket; only widgets, after `*`, are grouped or hidden.")
        if port.required and (widget.advanced or widget.shown_if):
            raise NodeDefinitionError(f"{place}: a widget that may be hidden needs a default.")
        shown_if: dict[str, list[Any]] = {}
        for name, wanted in widget.shown_if.items():
            if name not in before:
                known = f"; before it stand {one_of(list(before))}" if before else ""
                raise NodeDefinitionError(f"{place}: shown_if names {name!r}, which is no widget before it{known}.")
            shown_if[name] = list(wanted) if isinstance(wanted, list | tuple | set | frozenset) else [wanted]
            for value in shown_if[name]:
                fault = value_fault(types[name], before[name].widget, value)
                if fault or not is_scalar(value):
                    said = fault.message if fault else f"{value!r} is no single value."
                    raise NodeDefinitionError(f"{place}: shown_if names a value that {name!r} never has: {said}")
        before[port.name] = port
        inputs[number] = msgspec.structs.replace(port, widget=msgspec.structs.replace(widget, shown_if=shown_if))


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
    generic = typing.get_origin(hint)  # of a NamedTuple with type variables
    if isinstance(generic, type) and hasattr(generic, "_fields"):
        hint = generic
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
    wanted = TYPED_IN.get(kind.name)
    if wanted is None:
        if kind.name != "Any" and not kind.var:
            message = f"{given!r} was typed in, but {kind} comes only over a link."
            return Fault("wrong_type", message, "Connect an output to this port.")
        return (
            None if is_scalar(given) else Fault("wrong_type", f"{given!r} cannot be typed in.", "Connect it instead.")
        )
    if kind.name == "int" and isinstance(given, int) and abs(given) > LARGEST and not isinstance(widget, Seed):
        return Fault("out_of_range", f"{given} is too large.", f"Whole numbers go up to {LARGEST} (2^63 - 1).")
    if not _scalar_fits(kind.name, given):
        hint = f"Give {wanted}" + (" without quotes." if isinstance(given, str) else ".")
        return Fault("wrong_type", f"{given!r} is not {wanted}.", hint)
    if isinstance(given, str) and not is_whole(given):
        hint = "Type it again: an emoji was cut in two, or the text is in another encoding than UTF-8."
        return Fault("bad_value", f"{given[:200]!r} holds half of a character.", hint)
    return widget.complaint(given) if widget else None


LARGEST = 2**63 - 1
"""The largest whole number that databases, tensors and other programs' JSON take as well. Seeds go further."""
TYPED_IN = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false"}
"""What can be typed in where no widget says more, by the name of the type."""
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
