"""What may be read and written below a folder: what lies in it once links are followed, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from safelight.sdk.problem import Problem, ProblemError


def is_below(path: Path, *folders: Path) -> bool:
    """Whether a path lies in one of the folders or is one, with all links followed. It need not exist."""
    real = path.resolve()
    return any(real.is_relative_to(folder.resolve()) for folder in folders)


def find_below(folders: Iterable[Path], name: str, where: str) -> Path:
    """The file of this name in the first of the folders that has it, links followed. `where` is how messages call them.

    Raises:
        ProblemError: `bad_path` for what is no name below a folder or leads out of it, `file_missing`.
    """
    if not name or "\0" in name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise _problem("bad_path", f"{name[:200]!r} is not a path inside the {where}.", name)
    for folder in folders:
        try:
            path = (folder / name).resolve()
            found = path.is_file()
        except (OSError, RuntimeError, ValueError):  # names that no file can have, links in a circle
            continue
        if not found:
            continue
        if not is_below(path, folder):
            raise _problem("bad_path", f"{name[:200]!r} leads out of the {where}.", name)
        return path
    raise _problem("file_missing", f"There is no file {name[:200]!r} in the {where}.", name)


def _problem(code: str, message: str, name: str) -> ProblemError:
    return ProblemError(Problem(code=code, message=message, value=name))
