"""Writing a new model below the model folders: whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from safelight.sdk.file_names import ABOUT, model_fault
from safelight.sdk.problem import Problem, ProblemError

from .headers import is_safetensors


@contextmanager
def created(folder: Path, name: str) -> Iterator[Path]:
    """An empty folder for the files of a model; when the block ends it becomes `folder`/`name`, in place of what was
    there. When the block raises, nothing has changed. Of a `name` that ends in .safetensors the block writes the one
    file of that name, which is then moved by itself.

    Raises:
        ProblemError: `bad_path`, when the name is none or leads elsewhere; `name_taken`, when there is a folder of
            that name which no training wrote; `cannot_write`, also for a disk that gets full inside of the block.
    """
    if fault := model_fault(name):
        raise ProblemError(Problem(code="bad_path", message=f"{name!r} {fault[0]}", hint=fault[1], value=name))
    parts = PurePosixPath(name.strip().replace("\\", "/")).parts
    target = folder.joinpath(*parts)
    _check_free(target, name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Names that begin with a dot are not listed as models.
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise _not_writable(target, name, error) from error
    try:
        with _told_of_a_full_disk(target, name):
            yield partial
        partial.chmod(0o755)
        _replace(partial / target.name if is_safetensors(target) else partial, target, name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_free(target: Path, name: str) -> None:
    """What a training wrote may be replaced; a folder of models, or a model from elsewhere, is somebody's."""
    if not target.is_dir() or (target / ABOUT).is_file() or not any(target.iterdir()):
        return
    message = f"{name!r} is a folder with other things in it, and writing a model there would delete them: {target}."
    hint = f"Give another name, such as {name.strip().rstrip('/')}/mine, and run again: what was computed is kept."
    raise ProblemError(Problem(code="name_taken", message=message, hint=hint, value=name))


@contextmanager
def _told_of_a_full_disk(target: Path, name: str) -> Iterator[None]:
    try:
        yield
    except ProblemError:
        raise
    except OSError as error:
        raise _not_writable(target, name, error) from error
    except Exception as error:
        if "No space left" not in str(error):  # as safetensors says it, with an error of its own
            raise
        raise _not_writable(target, name, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) from error


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
