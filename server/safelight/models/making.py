"""Writing a new model below the model folders: whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from safelight.sdk.problem import Problem, ProblemError

from .headers import is_safetensors
from .library import STARTER


@contextmanager
def created(folder: Path, name: str) -> Iterator[Path]:
    """An empty folder for the files of a model; when the block ends it becomes `folder`/`name`, in place of what was
    there. When the block raises, nothing has changed. Of a `name` that ends in .safetensors the block writes the one
    file of that name, which is then moved by itself.

    Raises:
        ProblemError: `bad_path`, when the name is none or leads elsewhere; `cannot_write`.
    """
    parts = PurePosixPath(name.strip().replace("\\", "/")).parts
    bad = not parts or parts[0] == STARTER or Path(name).is_absolute() or "\0" in name
    if bad or any(part in ("..", "~") or part.startswith(".") for part in parts):
        message = f"{name!r} cannot be the name of a new model."
        hint = "Give a name such as my-model or trained/my-model; it becomes a folder below the model folder."
        raise ProblemError(Problem(code="bad_path", message=message, hint=hint, value=name))
    target = folder.joinpath(*parts)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Names that begin with a dot are not listed as models.
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise _not_writable(target, name, error) from error
    try:
        yield partial
        partial.chmod(0o755)
        _replace(partial / target.name if is_safetensors(target) else partial, target, name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _replace(new: Path, target: Path, name: str) -> None:
    old = new.with_name(new.name + "-old")
    try:
        if target.exists():
            target.rename(old)
        try:
            new.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
    except OSError as error:
        raise _not_writable(target, name, error) from error
    if old.is_dir():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.unlink(missing_ok=True)


def _not_writable(target: Path, name: str, error: OSError) -> ProblemError:
    message = f"The model {name!r} cannot be written to {target}: {error.strerror or error}."
    hint = "Free space on that disk, or point SAFELIGHT_MODELS to a folder that may be written."
    return ProblemError(Problem(code="cannot_write", message=message, hint=hint, value=name))
