"""What is wrong with a pack: imported as the catalogue would, and run by its own tests."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path

import msgspec

from safelight.sdk.node import NodeSpec, NodeType
from safelight.sdk.pack import ASK_AUTHORS, GROUP, Catalogue, import_pack, installed_packs, load_packs
from safelight.sdk.problem import Problem, ProblemError, did_you_mean, one_of
from safelight.sdk.texts import locale_folder, read_texts

HEAVY = ("torch", "torchvision", "diffusers", "transformers", "tensorflow", "jax", "cv2", "scipy", "PIL")
"""What no pack may load before a node runs: listing the nodes would take seconds."""
_LONG = 120
_TAIL = 4000


class Found(msgspec.Struct, kw_only=True):
    """A pack that was checked: the ids of its nodes, what its tests said, and its problems."""

    name: str
    nodes: list[str] = []
    tests: str = ""
    problems: list[Problem] = []


def check_pack(what: str, *, tests: bool = True) -> list[Found]:
    """Checks the packs of a folder with a project file, or an installed pack by its name.

    Call it in a fresh process: what is loaded already cannot be seen to be loaded.

    Raises:
        ProblemError: `pack_missing`, there is no such pack.
    """
    folder = Path(what)
    points = list(_points_of(folder)) if folder.is_dir() else [_installed(what)]
    found = [_checked(point) for point in points]
    if tests and folder.is_dir() and (folder / "tests").is_dir():
        _run_tests(folder, found)
    return found


def _points_of(folder: Path) -> Iterator[EntryPoint]:
    project = folder / "pyproject.toml"
    hint = f'It needs [project.entry-points."{GROUP}"] with a line such as meshes = "safelight_meshes".'
    try:
        data = tomllib.loads(project.read_text(encoding="utf-8"))
        declared = data["project"]["entry-points"][GROUP]
        points = [EntryPoint(str(name), str(value), GROUP) for name, value in declared.items()]
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _missing(f"{str(project)!r} cannot be read: {error}.", hint, str(folder)) from None
    except (KeyError, TypeError, AttributeError):
        raise _missing(f"{str(project)!r} declares no pack.", hint, str(folder)) from None
    for source in (folder, folder / "src"):
        sys.path.insert(0, str(source.resolve()))
    yield from points


def _installed(name: str) -> EntryPoint:
    packs = installed_packs()
    if name not in packs:
        hint = did_you_mean(name, packs) or f"There are {one_of(list(packs))}; or name the folder of its project."
        raise _missing(f"{name!r} is neither a folder nor an installed pack.", hint, name)
    return packs[name]


def _missing(message: str, hint: str, value: str) -> ProblemError:
    return ProblemError(Problem(code="pack_missing", message=message, hint=hint, value=value))


def _checked(point: EntryPoint) -> Found:
    found = Found(name=point.name)
    other = installed_packs().get(point.name)
    if other is not None and other.value != point.value:
        message = f"The name {point.name!r} is taken by {other.value}, which is installed."
        found.problems.append(_problem("pack_name_taken", message, "Give the entry point another name."))
    loaded = {name for name in HEAVY if name in sys.modules}
    for module in import_pack(point, []):  # reasons come with the catalogue
        heavy = [name for name in HEAVY if name in sys.modules and name not in loaded]
        if heavy:
            loaded |= set(heavy)
            message = f"{module.__name__} imports {', '.join(heavy)} while it is imported itself."
            hint = "Import it inside the functions that need it, or below `if TYPE_CHECKING:`."
            found.problems.append(_problem("pack_heavy_import", message, hint, module.__name__))
    catalogue = load_packs([point])
    (state,) = catalogue.packs
    if state.reason:
        remedy = state.remedy.replace(ASK_AUTHORS, "Mend the line that it names.")  # who asks is the author
        found.problems.append(_problem("pack_incomplete", state.reason, remedy))
    elif not catalogue:
        hint = "Mark a function of a module of its package with @node."
        found.problems.append(_problem("pack_empty", f"{point.value} holds no nodes.", hint))
    found.nodes = sorted(catalogue)
    found.problems += _former(point, catalogue)
    for kind in catalogue.values():
        found.problems += _undescribed(kind.spec)
        found.problems += _misled(kind)
    folder = locale_folder(state.modules[0]) if state.modules else None
    if folder is not None and folder.is_dir():
        for file in folder.iterdir():
            try:
                read_texts(folder, file.name.removesuffix(".json"))
            except ProblemError as error:
                found.problems += error.problems
    return found


def _former(point: EntryPoint, catalogue: Catalogue) -> Iterable[Problem]:
    """Former ids that a node of another pack has now."""
    if not any(kind.aliases for kind in catalogue.values()):
        return
    others = load_packs([other for name, other in installed_packs().items() if name != point.name])
    for kind in catalogue.values():
        for old in kind.aliases:
            if old in others:
                message = f"The former id {old!r} of {kind.spec.id} is that of a node of {others[old].spec.pack!r}."
                yield _problem("pack_id_taken", message, "Documents with it mean that node; drop the alias.", old)


def _undescribed(spec: NodeSpec) -> Iterable[Problem]:
    first = spec.help.splitlines()[0]
    if len(first) > _LONG:
        message = f"The first line of the help of {spec.id} has {len(first)} characters."
        yield _problem("pack_undescribed", message, f"Lists show it: keep it below {_LONG}.", spec.id).warning()
    bare = [port.name for port in spec.inputs if port.widget is not None and not port.help]
    if bare:
        message = f"{spec.id} says nothing of its {'field' if len(bare) == 1 else 'fields'} {', '.join(bare)}."
        hint = 'Add a text: Annotated[int, Slider(1, 9), "What it does."].'
        yield _problem("pack_undescribed", message, hint, spec.id).warning()


def _misled(kind: NodeType) -> Iterable[Problem]:
    """Migrations that rename a port to one that the node does not have: what is saved of it is lost."""
    for old, migration in kind.migrations.items():
        for what, names, ports in (
            ("input", migration.inputs, kind.inputs),
            ("output", migration.outputs, kind.outputs),
        ):
            for before, after in names.items():
                if after in ports:
                    continue
                last = old == kind.spec.version - 1
                later = [getattr(kind.migrations[step], f"{what}s") for step in range(old + 1, kind.spec.version)]
                if any(after in renamed for renamed in later):
                    continue
                message = (
                    f"The migration of {kind.spec.id} from version {old} renames the {what} {before!r} to {after!r}, "
                )
                message += "which it does not have."
                hint = did_you_mean(after, ports) or f"Its {what}s are {one_of(list(ports))}."
                if not last:
                    hint += " All is well where a later version gave it up."
                problem = _problem("pack_bad_migration", message, hint, after)
                yield problem if last else problem.warning()


def _run_tests(folder: Path, found: list[Found]) -> None:
    if find_spec("pytest") is None:
        found[0].tests = "tests not run (pip install pytest)"
        return
    command = [sys.executable, "-m", "pytest", "-q", "--color=no"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, errors="replace")
    lines = done.stdout.strip().splitlines() or [f"pytest ended with {done.returncode}"]
    found[0].tests = lines[-1].strip("= ")
    if done.returncode:
        message = f"Its tests do not pass: {found[0].tests}."
        problem = _problem("pack_tests_failed", message, "Run pytest in its folder.", str(folder))
        found[0].problems.append(msgspec.structs.replace(problem, details=(done.stdout + done.stderr)[-_TAIL:]))


def _problem(code: str, message: str, hint: str, value: str | None = None) -> Problem:
    return Problem(code=code, message=message, hint=hint, value=value)
