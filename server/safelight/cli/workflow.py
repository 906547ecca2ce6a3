"""The workflow a command is about: read, with the values of the command line typed in."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from safelight.app import Studio, is_file, is_there
from safelight.graph import Document, Port
from safelight.graph.expand import expand
from safelight.graph.flat import Flat, locate
from safelight.graph.migrate import migrate, migrated
from safelight.sdk.node import NodeType
from safelight.sdk.problem import Problem, ProblemError, did_you_mean, one_of
from safelight.sdk.types import PortType
from safelight.sdk.widgets import ModelPick

from .arguments import help_of, options_of

if TYPE_CHECKING:
    from safelight.engine.cache.shared import SharedOptions


class Opened(NamedTuple):
    """A workflow, and what is not as it was where another program made it: warnings, beside what `check` finds."""

    document: Document
    remarks: list[Problem]


def open_studio(given: argparse.Namespace) -> Studio:
    inputs = [given.input.resolve()]
    if given.workflow and is_file(Path(given.workflow)):
        inputs.append(Path(given.workflow).resolve().parent)
    # What runs on a server is cached there.
    shared = "" if getattr(given, "server", None) else given.shared_cache
    return Studio.open(inputs=inputs, allow_download=getattr(given, "download", False), shared_cache=shared)


def require_shared(studio: Studio) -> SharedOptions:
    """How the team's cache is reached, for commands about it. Raises ProblemError where none is named."""
    if studio.shared is None:
        message = "No shared cache is named."
        hint = "Give --shared-cache URL, or set $SAFELIGHT_SHARED_CACHE."
        raise ProblemError(Problem(code="bad_shared_cache", message=message, hint=hint))
    return studio.shared


def send_results(studio: Studio) -> None:
    """What a team is to have is sent before the command ends, as long as the bucket takes it."""
    try:
        left = studio.cache.drain()
    except KeyboardInterrupt:
        left = studio.cache.drain(0.0)
    if left:
        print(
            f"{left} result{'s' if left != 1 else ''} could not be sent to the team's cache yet: the next run here "
            "goes on with that, or `safelight cache send`.",
            file=sys.stderr,
        )


def read_workflow(studio: Studio, given: argparse.Namespace, rest: Sequence[str]) -> Opened:
    """The document named on the command line, with `--set` and the flags of its inputs applied.

    Raises:
        ProblemError: the workflow cannot be read, or flags and values do not fit it; all of those at once.
    """
    read, remarks = _read(studio, given, rest)
    document, today = migrated(read, studio.catalogue)
    flat = expand(document, studio.catalogue)
    problems: list[Problem] = []
    values: dict[Port, Any] = {}
    for text in given.set:
        try:
            port, value = _assignment(text)
            port = today(port)
            given_value = _from_text(_type_of(flat, port, document), value, str(port))
            values[port] = _model_here(studio, given, flat, port, document, given_value)
        except ProblemError as error:
            problems += error.problems
    types = {entry.name: _type_of(flat, entry.to, document) for entry in document.inputs}
    ports = {entry.name: entry.to for entry in document.inputs}
    inputs: dict[str, Any] = {}
    for name, value in _flags(given.command, rest, types, problems):
        try:
            typed = _from_text(types[name], value, f"--{name}")
            inputs[name] = _model_here(studio, given, flat, ports[name], document, typed)
        except ProblemError as error:
            problems += error.problems
    if problems:
        raise ProblemError(problems)
    return Opened(document.with_inputs(inputs).with_values(values), remarks)


def _read(studio: Studio, given: argparse.Namespace, rest: Sequence[str]) -> Opened:
    try:
        reading = studio.reading(given.workflow)
    except ProblemError as error:
        # `safelight run --prompt "a red apple" text_to_image`: the prompt has been taken for the workflow.
        if not rest or all(problem.code != "workflow_missing" for problem in error.problems):
            raise
        hint = f"The workflow comes first, then its inputs: safelight {given.command} WORKFLOW {rest[0]} ..."
        raise ProblemError(msgspec.structs.replace(problem, hint=hint) for problem in error.problems) from None
    told = reading.report
    if told is None:
        return Opened(reading.document, [])
    print(told.summary(), file=sys.stderr)
    # Of placeholders that are in the way `check` tells.
    return Opened(reading.document, [remark for remark in told.remarks if remark.code != "placeholder"])


def typer(studio: Studio, document: Document) -> Callable[[str, Any], Any]:
    """What makes a value of a text for an input of a workflow, or for a port as `node.port`; other values stay as they
    are. It raises ProblemError for an input that there is not, and for a text that does not fit."""
    document = migrate(document, studio.catalogue)
    flat = expand(document, studio.catalogue)
    ports = {entry.name: entry.to for entry in document.inputs}

    def value(name: str, given: Any) -> Any:
        node, dot, port = name.rpartition(".")
        if name not in ports and not dot:
            hint = f"It has {one_of(list(ports))}; any other port is NODE.PORT." if ports else "Name a port: NODE.PORT."
            message = f"The workflow has no input {name!r}. {did_you_mean(name, ports)}".rstrip()
            raise ProblemError(Problem(code="unknown_input", message=message, hint=hint, value=name))
        kind = _type_of(flat, ports[name], document) if name in ports else _type_of(flat, Port(node, port), document)
        if isinstance(given, float) and not math.isfinite(given):
            raise _bad(name, str(given), "a number", "Give a number.")
        return _from_text(kind, given, name) if isinstance(given, str) else given

    return value


def print_help(studio: Studio, given: argparse.Namespace) -> None:
    """The help of a workflow command; with a workflow named, its inputs as flags."""
    print(help_of(given.command))
    if not given.workflow:
        print("Name a workflow to see its inputs: safelight run text_to_image --help")
        return
    document = migrate(studio.read(given.workflow), studio.catalogue)
    flat = expand(document, studio.catalogue)
    print(f"{document.name or given.workflow}: {document.description}\n\ninputs:")
    told: set[str] = set()
    for entry in document.inputs:
        if entry.name in told:  # one value for several ports
            continue
        told.add(entry.name)
        kind = _type_of(flat, entry.to, document)
        default = _default(flat, entry.to, document)
        shown = one_of(kind.choices, 8) if kind.choices else str(kind)
        print(f"  --{entry.name:<14} {entry.help or ''} [{shown}]" + ("" if default is None else f" (now {default!r})"))
    if not document.inputs:
        print("  none")


def report(problems: Iterable[Problem]) -> None:
    """Problems for people, one below the other."""
    for problem in problems:
        where = ".".join(part for part in (problem.node, problem.port) if part)
        print(
            f"{problem.level}: {f'{where}: ' if where and where not in problem.message else ''}{problem.message}",
            file=sys.stderr,
        )
        if problem.hint:
            print(f"{' ' * len(problem.level)}  {problem.hint}", file=sys.stderr)


def _flags(
    command: str, rest: Sequence[str], types: dict[str, PortType], problems: list[Problem]
) -> Iterator[tuple[str, str]]:
    """The `--name value` and `--name=value` pairs among what the command itself does not know."""
    words = list(rest)
    while words:
        word = words.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or (name.replace("-", "_") not in types and name not in types):
            listed = f"Its inputs are {one_of([f'--{known}' for known in types])}." if types else "It has no inputs."
            hint = did_you_mean(word, [*(f"--{known}" for known in types), *options_of(command)]) or listed
            message = f"{word!r} is neither an option nor an input of the workflow."
            problems.append(Problem(code="unknown_input", message=message, hint=hint, value=word))
            if word.startswith("--") and not equals and words and not words[0].startswith("--"):
                words.pop(0)
            continue
        name = name if name in types else name.replace("-", "_")
        if equals:
            yield name, value
        elif words:
            yield name, words.pop(0)
        elif types[name].name == "bool":
            yield name, "true"
        else:
            message = f"--{name} needs a value."
            problems.append(Problem(code="missing_value", message=message, hint=f"Write --{name} VALUE.", value=word))


def _assignment(text: str) -> tuple[Port, str]:
    left, equals, value = text.partition("=")
    node, dot, port = left.strip().rpartition(".")
    if not (equals and node and dot and port):
        message = f"{text!r} does not set a value."
        raise ProblemError(Problem(code="bad_set", message=message, hint="Write --set NODE.PORT=VALUE.", value=text))
    return Port(node, port), value


def _type_of(flat: Flat, port: Port, document: Document | None = None) -> PortType:
    """The type of a port, by which its text is read; text where it is unknown, and `check` will say why."""
    kind, name = _inner(flat, port, document)
    return kind.inputs.get(name, PortType("str")) if kind else PortType("str")


def _inner(flat: Flat, port: Port, document: Document | None) -> tuple[NodeType | None, str]:
    """The type of the node and the port of it that a port means, those inside where it is an input of a subgraph."""
    way = locate(flat, port.node)
    node = document.nodes.get(port.node) if document else None
    if not way and document and node:
        sub = document.subgraphs.get(node.type.removeprefix("subgraph:"))
        inner = [entry.to for entry in sub.inputs if entry.name == port.port] if sub else []
        if inner:
            return _inner(flat, Port(f"{port.node}/{inner[0].node}", inner[0].port), None)
    return (way[-1][0].steps[way[-1][1]].kind if way else None), port.port


def _model_here(
    studio: Studio, given: argparse.Namespace, flat: Flat, port: Port, document: Document | None, value: Any
) -> Any:
    """The name of a model for a path that was typed where one is asked for; any other value as it is."""
    kind, name = _inner(flat, port, document)
    spec = kind.ports.get(name) if kind else None
    asked = isinstance(value, str) and spec is not None and isinstance(spec.widget, ModelPick)
    return model_here(studio, value) if asked and not getattr(given, "server", None) else value


def model_here(studio: Studio, value: str) -> str:
    """The name of a model that was typed as a name or as a path.

    A workflow reads models from the model folders alone. A path on the command line is the user's own word: that one
    model is added for this command.

    Raises:
        ProblemError: `model_missing`, when it can be nothing but a path, and nothing is there.
    """
    path = Path(value).expanduser()
    plainly = path.is_absolute() or value.startswith(("./", "../", ".\\", "..\\", "~"))
    marks = (path, *(path / name for name in ("model_index.json", "modular_model_index.json", "config.json")))
    perhaps = any(is_file(mark) for mark in marks) and not studio.models.holds(value)
    if not (plainly or perhaps):
        return value
    if not is_there(path):
        hint = "Check the path, or give the name of a model: `safelight models list`."
        message = f"There is no file or folder {value!r}."
        raise ProblemError(Problem(code="model_missing", message=message, hint=hint, value=value))
    return studio.models.add(path)


def _default(flat: Flat, port: Port, document: Document) -> Any:
    number = flat.index.get(port.node)
    if number is None:
        node = document.nodes.get(port.node)
        return node.values.get(port.port) if node else None
    step = flat.steps[number]
    spec = step.kind.ports.get(port.port) if step.kind else None
    return step.values.get(port.port, spec.default if spec else None)


def _from_text(kind: PortType, text: str, where: str) -> Any:
    """A value as it is typed on a command line, in the type of its port."""
    if kind.name in ("str", "choice"):
        return text
    if kind.name == "bool":
        known = {
            "true": True,
            "yes": True,
            "on": True,
            "1": True,
            "false": False,
            "no": False,
            "off": False,
            "0": False,
        }
        if text.lower() in known:
            return known[text.lower()]
        raise _bad(where, text, "true or false", "Write true or false.")
    try:
        if kind.name == "int":
            return int(text)
        if kind.name == "float":
            return _finite(float(text))
        if kind.name == "list" and not text.lstrip().startswith("["):
            return [_from_text(kind.args[0], part.strip(), where) for part in text.split(",") if part.strip()]
        return json.loads(text)
    except ValueError:
        wanted = {"int": "a whole number", "float": "a number"}.get(kind.name, f"a {kind}")
        raise _bad(where, text, wanted, f"Give {wanted}.") from None


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError("there is no such number in JSON")
    return number


def _bad(where: str, text: str, wanted: str, hint: str) -> ProblemError:
    return ProblemError(
        Problem(code="wrong_type", message=f"{where}: {text!r} is not {wanted}.", hint=hint, value=text)
    )
