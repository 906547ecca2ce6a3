"""`safelight check`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from safelight.sdk.problem import Problem, ProblemError

from .workflow import open_studio, print_help, print_json, read_workflow, report


def execute(given: argparse.Namespace, rest: Sequence[str]) -> int:
    with open_studio(given) as studio:
        try:
            if given.help or not given.workflow:
                print_help(studio, given)
                return 0 if given.help else 2
            document = read_workflow(studio, given, rest)
            problems: Sequence[Problem] = studio.check(document).problems
        except ProblemError as error:
            problems = error.problems
    if given.json:
        print_json({"status": "invalid" if problems else "ok", "problems": list(problems)})
    elif problems:
        report(problems)
        print(f"{len(problems)} problem{'s' if len(problems) != 1 else ''}.")
    else:
        print(f"{given.workflow}: no problems.")
    return 2 if problems else 0
