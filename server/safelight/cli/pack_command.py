"""`safelight pack new` and `safelight pack check`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from safelight.sdk.problem import Problem, ProblemError, errors

from .answer import print_json
from .check_command import counted
from .pack_check import Found, check_pack
from .pack_new import make_pack
from .workflow import report


def execute(given: argparse.Namespace, rest: Sequence[str]) -> int:
    del rest
    try:
        return _new(given) if given.action == "new" else _check(given)
    except ProblemError as error:
        if given.json:
            print_json({"problems": list(error.problems)})
        else:
            report(error.problems)
        return 2


def _new(given: argparse.Namespace) -> int:
    if not given.name:
        raise ProblemError(
            Problem(code="bad_pack_name", message="A new pack needs a name.", hint="safelight pack new meshes")
        )
    folder = Path(given.folder or given.name)
    files = make_pack(given.name, folder, given.license)
    if given.json:
        print_json({"folder": str(folder.resolve()), "files": files})
        return 0
    print(f"The pack {given.name!r} is in {folder}. Try it:\n")
    for line in (
        f"cd {folder}",
        'pip install -e ".[test]" && pytest',
        "safelight pack check .",
        "safelight serve --dev",
    ):
        print(f"    {line}")
    return 0


def _check(given: argparse.Namespace) -> int:
    if given.folder:
        message = f"{given.folder!r} is one argument too many: a pack is named by its folder or by its name."
        raise ProblemError(Problem(code="bad_pack_name", message=message, hint="safelight pack check meshes"))
    packs = check_pack(given.name or ".", tests=not given.no_tests)
    problems = [problem for pack in packs for problem in pack.problems]
    faulty = errors(problems)
    if given.json:
        print_json({"status": "faulty" if faulty else "ok", "packs": packs})
    else:
        report(problems)
        for pack in packs:
            print(_summary(pack))
    return 1 if faulty else 0


def _summary(pack: Found) -> str:
    stopping = errors(pack.problems)
    warnings = len(pack.problems) - len(stopping)
    tested = f", {pack.tests}" if pack.tests else ""
    return (
        f"{pack.name}: {counted(len(pack.nodes), 'node')}{tested}, "
        f"{counted(len(stopping), 'problem')}, {counted(warnings, 'warning')}."
    )
