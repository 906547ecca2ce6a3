"""The one place that wires the parts. The command line, the server and Python all use it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from safelight.engine import (
    Cache,
    CacheMemory,
    Cancel,
    Flights,
    RunOptions,
    RunResult,
    Services,
    choices,
    files_in,
    lightly,
    run,
)
from safelight.engine.running import Emit
from safelight.environment import Environment
from safelight.graph import Checked, Document, Graph, GraphNode, Plan, check, plan
from safelight.graph.keys import eager
from safelight.graph.survey import Choice
from safelight.interop.delivery import Delivered, deliver, require_writable
from safelight.interop.naming import filled_name, unknown_tokens
from safelight.interop.origin import made_by_model
from safelight.interop.parameters.writing import parameters_of
from safelight.media.registry import MediaRegistry, load_media
from safelight.models import ModelStore, Numerics, numerics
from safelight.places import InputFolders, data_folder, shipped_groups, shipped_names, shipped_workflows
from safelight.sdk.file_names import value_in_name
from safelight.sdk.pack import BUILT_IN, Catalogue, forget, load_packs
from safelight.sdk.problem import Problem, ProblemError, did_you_mean, errors, one_of
from safelight.sdk.values import File
from safelight.sdk.widgets import ModelPick
from safelight.traces import Traces

if TYPE_CHECKING:  # read where it is needed: one knows the files of other programs, the other is seldom used
    from safelight.engine.cache.shared import SharedOptions
    from safelight.interop.reading import Reading
    from safelight.protocol.imports import Kind

log = logging.getLogger(__name__)

_GIB = 1 << 30


@dataclass(frozen=True)
class Budgets:
    """How many bytes the caches may hold, in memory and on disk."""

    memory: int = 2 * _GIB
    disk: int = 20 * _GIB


@dataclass
class Outcome:
    """A finished run as its caller wants it: the result, and where each output of the workflow lies.

    `outputs` has a list for each output of the workflow: `{path, media_type, width, height, ...}` for files,
    `{value}` for scalars, `{type}` for what has no form outside the graph. `delivered` are all files by node.
    """

    result: RunResult
    document: Document
    graph: Graph
    outputs: dict[str, list[dict[str, Any]]]
    delivered: dict[str, list[Delivered]]


class Studio:
    """An open Safelight: everything that checking, planning and running a document needs."""

    def __init__(
        self,
        home: Path,
        inputs: Sequence[Path],
        budgets: Budgets,
        *,
        allow_download: bool = False,
        shared_cache: str | None = None,
    ) -> None:
        self.home = home
        self._shared_cache = shared_cache
        self._inputs = tuple(inputs)
        self._budgets = budgets
        self._allow_download = allow_download

    @classmethod
    def open(
        cls,
        home: Path | None = None,
        inputs: Sequence[Path] = (),
        budgets: Budgets | None = None,
        *,
        allow_download: bool = False,
        shared_cache: str | None = None,
    ) -> Studio:
        """Opens the studio on a data folder. Nothing is loaded before it is needed, torch least of all.

        `shared_cache` is the address of the team's cache; None is what `$SAFELIGHT_SHARED_CACHE` says, and empty none.
        """
        folder = (home or data_folder()).resolve()
        folders = [*inputs, folder / "input", shipped_workflows() / "input"]
        return cls(folder, folders, budgets or Budgets(), allow_download=allow_download, shared_cache=shared_cache)

    @cached_property
    def _environment(self) -> Environment:
        return Environment.read()

    @cached_property
    def catalogue(self) -> Catalogue:
        return load_packs()

    @cached_property
    def media(self) -> MediaRegistry:
        return load_media()

    @cached_property
    def cache(self) -> Cache:
        return Cache(
            self.home / "cache",
            self.catalogue.codec,
            memory_bytes=self._budgets.memory,
            disk_bytes=self._budgets.disk,
            shared=self.shared,
        )

    @cached_property
    def shared(self) -> SharedOptions | None:
        """How the team's cache is reached, where there is one.

        Raises:
            ProblemError: `bad_shared_cache`, `bad_team_key`, `bad_setting`, `needs_package`.
        """
        given = self._environment
        url = given.shared_cache if self._shared_cache is None else self._shared_cache
        if not url:
            return None
        from safelight.engine.cache.shared import check_options, read_options

        options = read_options(
            url,
            self.home,
            key=given.team_key,
            key_file=given.team_key_file,
            wait=given.shared_wait,
            entry=given.shared_entry,
            upload=given.shared_upload,
            queue=given.shared_queue,
        )
        check_options(options)
        return options

    @cached_property
    def models(self) -> ModelStore:
        return ModelStore(
            self.home,
            fingerprint=self.cache.fingerprint,
            allow_download=self._allow_download,
            fetch=self.cache.fetch_model if self.shared is not None else None,
        )

    @cached_property
    def services(self) -> Services:
        flights = Flights(self.home / "cache" / "flights")
        return Services(self.cache, self.models, InputFolders(self._inputs), self.media, flights)

    @cached_property
    def _numerics(self) -> Numerics:
        return numerics(self.home)

    @property
    def numerics(self) -> str:
        return self._numerics.text

    @property
    def device(self) -> str:
        """What models compute on, as torch names it."""
        return self._numerics.device

    @cached_property
    def traces(self) -> Traces | None:
        """Where runs leave their traces; None where the environment names no collector."""
        return Traces.by_environment(self._environment)

    def reload(self, packages: Iterable[str]) -> None:
        """Imports these packages of packs again, as their files are now. Runs that have begun go on as they were."""
        forget(packages)
        catalogue, codec = load_packs(), self.catalogue.codec
        codec.adopt(catalogue.codec)  # the cache holds it
        catalogue.codec = codec
        self.catalogue = catalogue

    def free(self) -> None:
        """Lets go of the models and values that are held in memory; everything can be had again."""
        if "models" in self.__dict__:
            self.models.clear()
        if "cache" in self.__dict__:
            self.cache.free()

    def cache_use(self) -> tuple[int, int, int]:
        """Bytes of results in memory, and how often one was there and was not. From any thread."""
        # It is opened by whoever needs it first.
        return self.cache.use() if "cache" in self.__dict__ else (0, 0, 0)

    def close(self) -> None:
        traces = self.__dict__.get("traces")
        if traces is not None:
            traces.close()
        if "cache" in self.__dict__:
            self.cache.close()

    def __enter__(self) -> Studio:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, what: str | Path) -> Document:
        """The document of `reading`."""
        return self.reading(what).document

    def reading(self, what: str | Path, kind: Kind | None = None) -> Reading:
        """A workflow by file, by image, video or other file that carries one, or by the name of a shipped one; and what
        became of it, where another program made it. `kind` asks for one of several, as `kinds` tells them.

        Raises:
            ProblemError: it is not there, carries no workflow, or is not one.
        """
        from safelight.interop.reading import read

        return read(self._bytes(what), self.media, str(what), self.models.library.of_hash, kind)

    def kinds(self, what: str | Path) -> list[Kind]:
        """What a file, or a shipped workflow, can be opened as; the first is what `reading` takes."""
        from safelight.interop.reading import offers

        return [offer.kind for offer in offers(self._bytes(what), self.media)]

    def _bytes(self, what: str | Path) -> bytes:
        path = Path(what)
        names = shipped_names()
        if not is_file(path) and str(what) in names:
            path = names[str(what)]
        try:
            return path.read_bytes()
        except IsADirectoryError:
            raise _no_workflow(what, "a folder, not a workflow", names) from None
        except (OSError, ValueError):
            raise _no_workflow(what, "neither a file nor the name of a shipped workflow", names) from None

    def check(self, document: Document, targets: Sequence[str] | None = None) -> Checked:
        """Every problem of a document, those of missing files and models included."""
        checked = check(document, self.catalogue, targets)
        if checked.graph is not None:
            checked.problems += self._missing(checked.graph) + unknown_tokens(checked.graph)
        return checked

    def _missing(self, graph: Graph) -> list[Problem]:
        """Files and models that are named and not there: warnings where the targets may do without them."""
        memory = CacheMemory(self.services)
        problems: list[Problem] = []
        sure = {"": True}
        for path, within in graph.everything():
            needed = within.needed(_settled_choice) if sure[path] else set()
            sure |= {f"{path}{name}/": within.index[name] in needed for name, _ in within.bodies()}
            for number, node in enumerate(within.nodes):
                if node.off:
                    continue
                for port, wire in node.wires.items():
                    spec = node.kind.ports.get(port)
                    widget = spec.widget if spec else None
                    typed = not wire.sources and isinstance(wire.value, str)
                    if spec is None or widget is None or not widget.names_files or not typed:
                        continue
                    try:
                        if isinstance(widget, ModelPick) and spec.required and not wire.value:
                            self.models.find(wire.value)  # says what to give
                        memory.fingerprint(widget, wire.value)
                    except ProblemError as error:
                        placed = [problem.at(path + node.id, port) for problem in error.problems]
                        problems += placed if number in needed else [problem.warning() for problem in placed]
        return problems

    def plan(self, graph: Graph, force: frozenset[str] = frozenset(), numerics: str = "") -> Plan:
        """What running this graph now would do. No code of other packs is run for it. `numerics` are those of the
        machine that is to run it, where that is another one."""
        memory, light = CacheMemory(self.services), lightly(self.services)
        need = self.models.needs
        return plan(
            graph, memory, numerics or self.numerics, force=force, choose=_foreseen_choice, light=light, need=need
        )

    def run(
        self,
        document: Document,
        *,
        output: Path,
        targets: Sequence[str] | None = None,
        emit: Emit | None = None,
        cancel: Cancel | None = None,
        options: RunOptions | None = None,
        run_id: str = "run",
    ) -> Outcome:
        """Checks, runs and delivers.

        Args:
            document: what to run, with its inputs filled in.
            output: the folder that finished files are written into.
            targets: nodes to run up to; all outputs by default.
            emit: gets every event.
            cancel: asks the run to stop.
            options: see `RunOptions`.
            run_id: names the run in its events.

        Raises:
            ProblemError: the document, a target or the output folder is wrong; nothing has been run then.
        """
        options = options or RunOptions()
        checked = self.check(document, targets)
        document, graph = checked.document, checked.require()
        graph.must_have(sorted(options.force))
        require_writable(output)
        text = msgspec.json.encode(document.data()).decode()
        delivered: dict[str, list[Delivered]] = {}

        def hand_over(node: str, file: File, data: bytes | Path, within: Graph) -> str:
            trail = graph.trail(node)
            (_, number), *outwards = trail
            named = replace(file, name=filled_name(file.name, [(within, number), *outwards]))
            mark = self._environment.mark_origin and made_by_model(trail)
            several = delivered.setdefault(node, [])
            told = parameters_of(trail, len(several)) if self._environment.a1111_text else ""
            done = deliver(named, data, output, text, self.media, mark=mark, parameters=told)
            several.append(done)
            return Path(done.path).relative_to(output).as_posix()

        from safelight.models.memory import keep_heap_small

        keep_heap_small()
        with self._traced(graph, document.name, run_id, emit) as told_to:
            result = run(
                graph,
                self.services,
                self.numerics,
                run_id=run_id,
                emit=told_to,
                cancel=cancel,
                options=options,
                deliver=hand_over,
            )
        outputs = self._outputs(graph, document, result, delivered, output, text)
        # Warnings: all else has been raised. What has stopped a branch after all is told once.
        told = {(problem.code, problem.node, problem.port) for problem in result.problems}
        result.problems[:0] = [
            problem for problem in checked.problems if (problem.code, problem.node, problem.port) not in told
        ]
        if errors(result.problems) and result.status == "done":
            result.status = "failed"
        return Outcome(result, document, graph, outputs, delivered)

    def help(
        self,
        document: Document,
        targets: Sequence[str] | None,
        emit: Emit,
        cancel: Cancel,
        options: RunOptions,
        run_id: str,
    ) -> None:
        """Computes what nobody has begun of a document that another process runs on the same cache folder, and hands
        nothing over: what it has computed is in the cache. `options.part` is set.

        Raises:
            ProblemError: the document is wrong.
        """
        graph = self.check(document, targets).require()
        with self._traced(graph, f"{document.name} (part)", run_id, emit) as told_to:
            run(graph, self.services, self.numerics, run_id=run_id, emit=told_to, cancel=cancel, options=options)

    @contextmanager
    def _traced(self, graph: Graph, name: str, run_id: str, emit: Emit | None) -> Iterator[Emit | None]:
        if self.traces is None:
            yield emit
            return
        types = {path + node.id: node.kind.spec.id for path, within in graph.everything() for node in within.nodes}
        with self.traces.document(run_id, name, types, emit) as told:
            yield told

    def _outputs(
        self,
        graph: Graph,
        document: Document,
        result: RunResult,
        delivered: Mapping[str, list[Delivered]],
        folder: Path,
        text: str,
    ) -> dict[str, list[dict[str, Any]]]:
        outputs: dict[str, list[dict[str, Any]]] = {}
        for name, (number, port) in graph.outputs.items():
            node = graph.nodes[number]
            if name not in result.values:
                outputs[name] = []
            elif node.types[port].innermost.name == "File":
                maker = graph.trail(graph.origin((number, port)))[0]
                files = [
                    file for made, several in delivered.items() if graph.trail(made)[0] == maker for file in several
                ]
                outputs[name] = [msgspec.to_builtins(file) for file in files]
            else:
                value = result.values[name]
                mark = self._environment.mark_origin and made_by_model([(graph, number)])
                pattern = f"{value_in_name(document.name or 'workflow')}_{value_in_name(name)}_{{counter}}"
                outputs[name] = self._shown(value, pattern, folder, text, result, mark)
        return outputs

    def _shown(
        self, value: Any, pattern: str, folder: Path, text: str, result: RunResult, mark: bool
    ) -> list[dict[str, Any]]:
        if isinstance(value, list):
            # A list inside, of which each turn of a loop may give one, is one element.
            return [
                shown
                for element in value
                for shown in (
                    [{"value": element}]
                    if _is_plain(element)
                    else self._shown(element, pattern, folder, text, result, mark)
                )
            ]
        if _is_plain(value):
            return [{"value": value}]
        if self.media.of_value(value) is not None:
            made: list[Delivered] = []
            try:
                for one in self.media.encode(value):
                    name = pattern + one.format.suffixes[0]
                    measures = msgspec.structs.asdict(one.measures)
                    file = File(name, one.format.media_type, "", len(one.data), **measures)
                    made.append(deliver(file, one.data, folder, text, self.media, mark=mark))
            except ProblemError as error:
                result.problems += error.problems
            return [msgspec.to_builtins(file) for file in made]
        if any(True for _ in files_in(value)):
            return []
        return [{"type": type(value).__name__}]


def _is_plain(value: Any) -> bool:
    """Whether a value is as JSON has it: a number, a text, or a list of them."""
    if isinstance(value, list):
        return all(_is_plain(element) for element in value)
    return value is None or isinstance(value, bool | int | float | str)


def _foreseen_choice(node: GraphNode, values: dict[str, Any]) -> Choice:
    if node.kind.spec.pack != BUILT_IN:
        return Choice(frozenset(), whole=False)
    return choices(node, values)


def is_file(path: Path) -> bool:
    """Whether there is such a file; False for names that no file can have."""
    return is_there(path) and path.is_file()


def is_there(path: Path) -> bool:
    """Whether there is such a file or folder; False for names that none can have."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _no_workflow(what: str | Path, found: str, names: Mapping[str, Path]) -> ProblemError:
    offered = list(dict.fromkeys([*(name for group in shipped_groups().values() for name in group), *names]))
    hint = did_you_mean(str(what), names) or f"Shipped workflows: {one_of(offered, 40)}."
    message = f"{str(what)!r} is {found}."
    return ProblemError(Problem(code="workflow_missing", message=message, hint=hint, value=str(what)))


def _settled_choice(node: GraphNode) -> frozenset[str] | None:
    """The lazy inputs that a choice of the built-in nodes asks for, where all else is typed in."""
    if node.kind.spec.pack != BUILT_IN or any(wire.sources for _, wire in eager(node)):
        return None
    found = choices(node, {port: wire.value for port, wire in eager(node)})
    return found.ports if found.whole else None
