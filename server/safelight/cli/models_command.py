"""`safelight models`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from safelight.app import Studio
from safelight.missing import missing_models
from safelight.models import ModelEntry
from safelight.models.entries import matching
from safelight.models.orders import Order
from safelight.models.trees import Trees
from safelight.protocol.models import MissingModel
from safelight.sdk.problem import Problem, ProblemError

from .answer import print_json
from .workflow import model_here, report, require_shared

_ALIASES = {"info": "show", "get": "download"}
_NEEDS = {
    "show": "Which model? `safelight models list` names them.",
    "search": "Search for what? Give words of its name, its kind or its trigger words.",
    "missing": "Of which workflow? Give its file or name.",
    "add": "Which folder? Give the one that ComfyUI, A1111 or InvokeAI lies in, or one of models.",
    "remove": "Which folder? `safelight models folders` names them.",
    "send": "Which model? `safelight models list` names them.",
    "convert": "Which file? Give one of pickled weights.",
    "download": "Which model? Give the https address of a file, or org/name of the hub.",
}

_WHERE = "`safelight models download` fetches one, `safelight models add` uses those of another program."


def execute(given: argparse.Namespace, rest: Sequence[str]) -> int:
    del rest
    action: str = _ALIASES.get(given.action) or given.action
    download = action == "download" or given.get
    with Studio.open(allow_download=download, shared_cache=given.shared_cache) as studio:
        try:
            if action in _NEEDS and not given.name:
                message, _, hint = _NEEDS[action].partition("? ")
                raise ProblemError(Problem(code="missing_value", message=f"{message}?", hint=hint))
            return _ACTIONS[action](studio, given)
        except ProblemError as error:
            if given.json:
                print_json({"problems": list(error.problems)})
            else:
                report(error.problems)
            return 2


def _list(studio: Studio, given: argparse.Namespace) -> int:
    found = studio.models.list_models()
    words = " ".join(given.name)
    chosen = matching(found, words, kind=given.kind, family=given.family, usable=False if given.broken else None)
    if given.json:
        print_json({"models": [msgspec.to_builtins(model) for model in chosen]})
        return 0
    for model in chosen:
        _line(model)
    if not chosen:
        asked = f"with {words!r}" if words else f"of the kind {given.kind!r}" if given.kind else "of this family"
        print(f"There is no model {asked} among {len(found):,}." if found else f"There are no models. {_WHERE}")
        kinds = sorted({model.kind for model in found if model.kind})
        if given.kind and given.kind not in kinds:
            print(f"The kinds that there are: {', '.join(kinds)}.")
    report(_trees(studio).problems())
    return 0


def _line(model: ModelEntry) -> None:
    kind = f"{model.kind} {model.family}".strip()
    print(f"  {model.name:<40} {kind:<16} {model.bytes / 1e6:10,.1f} MB  {model.path}")
    if model.problem:
        problem = model.problem
        print(f"      cannot be used: {problem.message} {problem.hint} [{problem.code}]".rstrip())


def _show(studio: Studio, given: argparse.Namespace) -> int:
    found = studio.models.describe(model_here(studio, given.name[0]))
    data: dict[str, Any] = msgspec.to_builtins(found)
    path = Path(found.path)
    if given.hash and path.is_file():
        hashes = studio.models.manager.hash(path)
        data |= {"sha256": hashes.sha256, "autov1": hashes.auto1, "autov2": hashes.auto2, "autov3": hashes.auto3}
    if given.json:
        print_json(data)
        return 0
    for name, value in data.items():
        if value:
            print(f"  {name:<12} {', '.join(map(str, value)) if isinstance(value, list | tuple) else value}")
    return 0


def _missing(studio: Studio, given: argparse.Namespace) -> int:
    found = missing_models(studio, studio.read(given.name[0]))
    if given.json:
        print_json({"models": [msgspec.to_builtins(one) for one in found]})
    else:
        for one in found:
            print(f"  {one.name}  ({one.kind}; {', '.join(one.ports)})")
            print(f"      {one.problem.message if one.problem.code != 'model_missing' else _source(one)}")
        if not found:
            print("No model is missing.")
    problems: list[Problem] = []
    for one in (one for one in found if given.get and one.url):
        try:
            _fetch(studio, given, Order(url=one.url, folder=one.folder, sha256=one.sha256, size=one.size))
        except ProblemError as error:
            problems += error.problems
    report(problems)
    left = [one for one in found if not one.url] if given.get else found
    return 2 if problems else 1 if left else 0


def _source(one: MissingModel) -> str:
    if not one.url:
        return "The workflow does not say where it can be had."
    asks = " (you have not agreed to this host yet)" if one.asks else ""
    return f"from {one.url}{asks}"


def _duplicates(studio: Studio, given: argparse.Namespace) -> int:
    def going_on(done: int, total: int) -> None:
        _bar("reading", f"{done} of {total} files")

    groups = studio.models.manager.duplicates(going_on if not given.json else None)
    _bar("", "")
    if given.json:
        print_json({"groups": [[msgspec.to_builtins(model) for model in group] for group in groups]})
        return 0
    for group in groups:
        print(f"  {group[0].sha256[:10]}  {group[0].bytes / 1e6:,.1f} MB, {len(group)} times")
        for model in group:
            print(f"      {model.path}")
    saved = sum(group[0].bytes * (len(group) - 1) for group in groups)
    print(f"{saved / 1e6:,.1f} MB are taken twice." if groups else "No model is there twice.")
    return 0


def _folders(studio: Studio, given: argparse.Namespace) -> int:
    trees = _trees(studio)
    own = [{"name": "", "like": "plain", "folder": str(folder)} for folder in studio.models.library.folders]
    found = own + [msgspec.to_builtins(tree) for tree in trees.kept.trees]
    if given.json:
        print_json({"folders": found})
        return 0
    for tree in found:
        print(f"  {tree['name'] or '-':<16} {tree['like']:<10} {tree['folder']}")
    report(trees.problems())
    return 0


def _add(studio: Studio, given: argparse.Namespace) -> int:
    tree = _trees(studio).add(Path(given.name[0]), given.like)
    if given.json:
        print_json(msgspec.to_builtins(tree))
        return 0
    found = [model for model in studio.models.list_models() if model.tree == tree.name]
    usable = sum(model.problem is None for model in found)
    print(f"{tree.folder} is used in place, laid out as {tree.like}: {usable} of {len(found)} models can be used.")
    if usable < len(found):
        print("`safelight models list --broken` says why the others cannot.")
    return 0


def _remove(studio: Studio, given: argparse.Namespace) -> int:
    tree = _trees(studio).remove(given.name[0])
    if given.json:
        print_json(msgspec.to_builtins(tree))
    else:
        print(f"{tree.folder} is no longer looked into. Its files are as they were.")
    return 0


def _download(studio: Studio, given: argparse.Namespace) -> int:
    url = given.name[0]
    order = Order(url=url, folder=given.folder, name=given.file_name, sha256=given.sha256)
    name = _fetch(studio, given, order)
    found = studio.models.describe(name) if "://" not in url else _listed(studio, name)
    if given.json:
        print_json(msgspec.to_builtins(found) if found is not None else {"name": name})
    elif found is not None:
        _line(found)
    return 0


def _listed(studio: Studio, name: str) -> ModelEntry | None:
    """What has come, also where it cannot be used."""
    return next((model for model in studio.models.list_models() if model.name == name), None)


def _fetch(studio: Studio, given: argparse.Namespace, order: Order) -> str:
    name = order.name or order.url.rpartition("/")[2]

    def progress(done: int, total: int) -> None:
        _bar(name, f"{done / 1e6:,.1f} of {total / 1e6:,.1f} MB" if total else f"{done / 1e6:,.1f} MB")

    try:
        return studio.models.manager.fetch(order, (given.host,) if given.host else (), progress)
    finally:
        _bar("", "")


def _convert(studio: Studio, given: argparse.Namespace) -> int:
    from safelight.models.converting import converted

    del studio
    made = converted(Path(given.name[0]))
    if given.json:
        print_json({"path": str(made)})
    else:
        print(made)
    return 0


def _send(studio: Studio, given: argparse.Namespace) -> int:
    from safelight.engine.cache.shared import Away, send_model
    from safelight.models.pickles import PICKLES

    found = studio.models.describe(given.name[0])
    if found.place not in ("folder", "file") or ":" in found.name:
        message = f"{found.name!r} does not lie in a folder of models under a name that others could have."
        hint = "The starter is everywhere, and models of the hub are fetched from there."
        raise ProblemError(Problem(code="wrong_model", message=message, hint=hint, value=found.name))
    try:
        head = send_model(require_shared(studio), found.name, Path(found.path), PICKLES)
    except (Away, OSError) as error:
        message = f"{found.name!r} could not be sent: {error}"
        raise ProblemError(Problem(code="shared_cache_away", message=message, hint="Try again later.")) from None
    size = sum(file.length for file in head.files)
    if given.json:
        print_json({"name": found.name, "files": len(head.files), "bytes": size})
    else:
        print(f"{found.name} is in the team's cache: {len(head.files)} files, {size / 1e6:,.1f} MB.")
    return 0


def _trees(studio: Studio) -> Trees:
    trees = studio.models.library.trees
    assert trees is not None  # that of a store has some
    return trees


def _bar(name: str, text: str) -> None:
    """One line on a terminal, drawn over; anywhere else it is quiet."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[2K  {name}  {text}" if text else "\r\x1b[2K")
        sys.stderr.flush()


_ACTIONS: Mapping[str, Callable[[Studio, argparse.Namespace], int]] = {
    "list": _list,
    "search": _list,
    "show": _show,
    "missing": _missing,
    "duplicates": _duplicates,
    "folders": _folders,
    "add": _add,
    "remove": _remove,
    "download": _download,
    "convert": _convert,
    "send": _send,
}
