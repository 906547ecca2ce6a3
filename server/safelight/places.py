"""Where things lie on this machine: the data folder, the shipped workflows, the folders that inputs are read from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from safelight.disk import find_below
from safelight.environment import Environment
from safelight.sdk.problem import ProblemError, did_you_mean


def data_folder(environment: Environment | None = None) -> Path:
    """The data folder that is set, else the platform's folder for user data."""
    given = (environment or Environment.read()).home
    if given is not None:
        return given
    from platformdirs import user_data_path

    return user_data_path("safelight", appauthor=False)


def shipped_workflows() -> Path:
    """The folder of the workflows that come with the package; in a checkout, the one at its top."""
    here = Path(__file__).resolve().parent
    inside = here / "workflows"
    return inside if inside.is_dir() else here.parents[1] / "workflows"


def shipped_names() -> dict[str, Path]:
    """Shipped workflows by name: those of the folder, and those of a folder in it that `groups.toml` names."""
    folder = shipped_workflows()
    offered = {name for within in shipped_groups().values() for name in within}
    inner = {path.stem: path for path in sorted(folder.glob("*/*.json")) if path.stem in offered}
    return inner | {path.stem: path for path in sorted(folder.glob("*.json"))}


def shipped_groups() -> dict[str, list[str]]:
    """The names of shipped workflows by the heading that they are offered under, both in the order of `groups.toml`."""
    import tomllib

    return tomllib.loads((shipped_workflows() / "groups.toml").read_text(encoding="utf-8"))


def shipped_image(name: str) -> Path | None:
    """The small image of a shipped workflow, if it has one."""
    workflow = shipped_names().get(name)  # so that no name from outside becomes a path
    path = workflow and shipped_workflows() / "images" / f"{name}.webp"
    return path if path and path.is_file() else None


@dataclass(frozen=True)
class InputFolders:
    """Implements `sdk.Files`: files are looked for in each folder in turn, and nowhere else."""

    folders: tuple[Path, ...]

    def path(self, name: str) -> Path:
        try:
            return find_below(self.folders, name, "input folder")
        except ProblemError as error:
            raise ProblemError(replace(problem, hint=self._hint(name)) for problem in error.problems) from None

    def _hint(self, name: str) -> str:
        names = [entry.name for folder in self.folders if folder.is_dir() for entry in folder.iterdir()]
        searched = ", ".join(dict.fromkeys(str(folder) for folder in self.folders))
        hint = did_you_mean(name, names) or f"Put it into {searched}." if len(self.folders) == 1 else ""
        return hint or f"These folders were searched: {searched}."
