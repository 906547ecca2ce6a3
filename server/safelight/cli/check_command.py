"""`safelight check`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from safelight.sdk.problem import Problem, ProblemError, errors

from .answer import print_json
from .workflow import open_studio, print_help, read_workflow, report


def execute(given: argparse.Namespace, rest: Sequence[str]) -> int:
    with open_studio(given) as studio:
        try:
            if given.help or not given.workflow:
                print_help(studio, given)
                return 0 if given.help else 2
            document, remarks = read_workflow(studio, given, rest)
            problems: Sequence[Problem] = [*remarks, *studio.check(document).problems]
        except ProblemError as error:
            problems = error.problems
    stopping = errors(problems)
    if given.json:
        print_json({"status": "invalid" if stopping else "ok", "problems": list(problems)})
    else:
        report(problems)
        warnings = len(problems) - len(stopping)
        print(f"{given.workflow}: {counted(len(stopping), 'problem')}, {counted(warnings, 'warning')}.")
    return 2 if stopping else 0


def counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'s' if count != 1 else ''}"
