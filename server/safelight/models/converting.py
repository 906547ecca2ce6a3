"""A pickle of weights written as safetensors, which run no code when they are opened."""

from __future__ import annotations

from pathlib import Path

from safelight.sdk.problem import Problem, ProblemError

from .gans import part_of, refuse_code, told
from .headers import read_header, refuse_others
from .pickles import PICKLES, load


def converted(path: Path) -> Path:
    """Writes the tensors of a pickle to a file of the same name beside it, and returns that file.

    Only tensors are read: nothing of the pickle is run. Of a training of a GAN, the averaged generator alone is kept.

    Raises:
        ProblemError: `file_missing`; `wrong_model`, when it is no pickle; `not_a_model`, when it holds no tensors;
            `unsafe_weights` or `weights_damaged`, when it holds other things than tensors; `name_taken`, when the new
            file is there already; `cannot_write`.
    """
    from safetensors.torch import save_file

    target = path.with_suffix(".safetensors")
    if not path.exists():
        message, hint = f"There is no file {path}.", "Name one that is there."
        raise ProblemError(Problem(code="file_missing", message=message, hint=hint, value=str(path)))
    if path.suffix.lower() not in PICKLES or not path.is_file():
        message = f"{path} is no file of pickled weights."
        hint = f"Name one that ends in {', '.join(PICKLES)}."
        raise ProblemError(Problem(code="wrong_model", message=message, hint=hint, value=str(path)))
    if target.exists():
        message = f"{target} is there already."
        raise ProblemError(Problem(code="name_taken", message=message, hint="Move it away first.", value=str(target)))
    refuse_others(path)
    refuse_code(path.name, path)
    found = load(path)
    if not found:
        message = f"{path} holds no tensors."
        hint = "Name a file of weights."
        raise ProblemError(Problem(code="not_a_model", message=message, hint=hint, value=str(path)))
    generator = told(read_header(path))
    if generator:
        found = {name: found[name] for name in part_of(generator, found)}
    partial = target.with_name(f".{target.name}.part")
    try:
        # Pieces of their own: safetensors keeps no memory that tensors share.
        save_file({name: tensor.contiguous().clone() for name, tensor in found.items()}, partial)
        partial.replace(target)
    except OSError as error:
        message = f"{target} cannot be written: {error.strerror or error}."
        hint = "Free space on that disk, or move the file to where you may write."
        raise ProblemError(Problem(code="cannot_write", message=message, hint=hint, value=str(target))) from error
    finally:
        partial.unlink(missing_ok=True)
    return target
