"""The command line: `safelight run`, `sweep`, `check`, `plan`, `convert`, `nodes`, `cache`, `models`, `pack`, `doctor`,
`serve`, `worker`.

Exit codes: 0 done, 1 a node failed, 2 the workflow or the command is wrong, 130 cancelled. With `--json` standard
output is one JSON object; progress and everything else for people goes to standard error.
"""

from __future__ import annotations

import io
import os
import sys
import threading
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from . import arguments


def main(argv: Sequence[str] | None = None) -> int:
    """The `safelight` command. Returns the exit code."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # what libraries remark to programmers is no message to users
    parser = arguments.parser()
    given, rest = parser.parse_known_args(argv)
    if not getattr(given, "command", None):
        parser.print_help()
        return 0
    if rest and given.command not in ("run", "sweep", "check", "plan"):
        parser.error(f"unknown argument: {rest[0]}")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Names of files that are not UTF-8 go out as they came in.
            stream.reconfigure(errors="surrogateescape")
    try:
        # Each command's imports stand in its own module, so that --help stays instant.
        command = import_module(f"safelight.cli.{given.command}_command")
        if not getattr(given, "json", False):
            return _told(command, given, rest)
        from .answer import reserved

        with reserved():
            return _told(command, given, rest)
    except KeyboardInterrupt:  # before a run has begun, or after it; `run` cancels cleanly in between
        sys.stderr.write("\nInterrupted.\n")
        return 130
    except BrokenPipeError:  # the reader of a pipe has gone: `safelight nodes | head`
        sys.stderr.close()
        return 0


def _told(command: Any, given: Any, rest: Sequence[str]) -> int:
    """Runs a command. What is wrong with the environment that each of them reads is told as any other problem."""
    try:
        return command.execute(given, rest)
    except Exception as error:
        from safelight.sdk.problem import ProblemError

        if not isinstance(error, ProblemError):
            raise
        from .run_command import refused

        return refused(error.problems, getattr(given, "json", False))


def entry() -> None:
    """Ends the process with the exit code, whatever threads nodes have left behind."""
    code = main()
    if "--json" in sys.argv:
        sys.stdout.flush()
        os.dup2(2, 1)  # what is printed at the very end of the process is no answer either
    left = [thread for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon]
    if left:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
    sys.exit(code)
