"""A new pack: a working one with a node, a value, tests, a project file and a licence."""

from __future__ import annotations

import re
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from safelight.sdk.node import BUILT_IN
from safelight.sdk.pack import installed_packs
from safelight.sdk.problem import Problem, ProblemError

_TEMPLATE = Path(__file__).resolve().parents[1] / "pack_template"
_APACHE = _TEMPLATE.parent / "starter" / "licenses" / "Apache-2.0.txt"
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def make_pack(name: str, folder: Path, license: str) -> list[str]:
    """Writes the files of a new pack and gives their paths in its folder.

    Args:
        name: of the pack: the ids of its nodes begin with it.
        folder: made where it is missing; it must be empty.
        license: `Apache-2.0`, `MIT` or `none`.

    Raises:
        ProblemError: `bad_pack_name`, `folder_taken`, `cannot_write`.
    """
    package = f"safelight_{name}"
    if not _NAME.fullmatch(name):
        said = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        hint = f"Try {said}." if _NAME.fullmatch(said) else "Small letters, digits and _, such as line_art."
        raise _bad_name(f"{name!r} is no name for a pack.", hint, name)
    if name == BUILT_IN or name in installed_packs() or find_spec(package) is not None:
        raise _bad_name(f"The name {name!r} is taken by a pack that is installed.", "Choose another one.", name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        message = f"{str(folder)!r} is there already, and is not an empty folder."
        hint = f"Name another one: safelight pack new {name} FOLDER"
        raise ProblemError(Problem(code="folder_taken", message=message, hint=hint, value=str(folder)))
    words = {
        "NAME": name,
        "PACKAGE": package,
        "DISTRIBUTION": package.replace("_", "-"),
        "VERSION": ".".join(version("safelight").split(".")[:2]),
        "YEAR": time.strftime("%Y"),
        "LICENSE": "" if license == "none" else f'license = "{license}"\nlicense-files = ["LICENSE"]\n',
    }
    files = {path.relative_to(_TEMPLATE).as_posix(): path for path in sorted(_TEMPLATE.rglob("*.txt"))}
    texts: dict[str, str] = {}
    for path, source in files.items():
        if path.startswith("licenses/"):
            continue
        target = path.removesuffix(".txt").replace("package/", f"{package}/")
        texts[".gitignore" if target == "gitignore" else target] = source.read_text(encoding="utf-8")
    if license != "none":
        source = files["licenses/MIT.txt"] if license == "MIT" else _APACHE
        texts["LICENSE"] = source.read_text(encoding="utf-8")
    try:
        for path, text in texts.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(re.sub("@([A-Z]+)@", lambda found: words[found[1]], text), encoding="utf-8")
    except OSError as error:
        message = f"{str(folder)!r} cannot be written: {error.strerror or error}."
        problem = Problem(code="cannot_write", message=message, hint="Choose another folder.", value=str(folder))
        raise ProblemError(problem) from None
    return sorted(texts)


def _bad_name(message: str, hint: str, name: str) -> ProblemError:
    return ProblemError(Problem(code="bad_pack_name", message=message, hint=hint, value=name))
