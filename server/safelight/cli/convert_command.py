"""`safelight convert`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from safelight.app import Studio
from safelight.graph import Document
from safelight.sdk.problem import Problem, ProblemError

from .answer import print_json
from .workflow import report


def execute(given: argparse.Namespace, rest: Sequence[str]) -> int:
    del rest
    with Studio.open() as studio:
        try:
            if given.list:
                return _listed(given, studio.kinds(given.workflow))
            reading = studio.reading(given.workflow, given.kind)
            if given.to != "safelight":
                return _written_for(given, studio, reading.document)
            text = reading.document.dumps()
            if given.output is not None:
                _write(given, text)
        except ProblemError as error:
            if given.json:
                print_json({"status": "invalid", "problems": list(error.problems)})
            else:
                report(error.problems)
            return 2
    told = reading.report
    if given.json:
        print_json({"status": "ok", "document": reading.document.data(), "report": told})
        return 0
    if told is not None:
        report(told.remarks)
        print(told.summary(), file=sys.stderr)
        for model in told.models:
            print(f"It takes {model.directory}/{model.name} from {model.url}", file=sys.stderr)
    if given.output is None:
        print(text, end="")
    return 0


def _listed(given: argparse.Namespace, kinds: Sequence[str]) -> int:
    """What a file can be opened as, a line each."""
    if given.json:
        print_json({"status": "ok", "kinds": list(kinds)})
    elif kinds:
        print("\n".join(kinds))
    else:
        print(f"{given.workflow} holds no workflow.", file=sys.stderr)
    return 0 if kinds else 2


def _written_for(given: argparse.Namespace, studio: Studio, document: Document) -> int:
    """A file of another program."""
    from safelight.interop.comfyui.export.opening import write_comfyui

    file, told = write_comfyui(document, studio.catalogue, given.to)
    text = json.dumps(file, ensure_ascii=False, indent=1)
    if given.output is not None:
        _write(given, text)
    if given.json:
        print_json({"status": "ok", "file": file, "report": told})
        return 0
    report(told.remarks)
    print(told.summary(), file=sys.stderr)
    if given.output is None:
        print(text)
    return 0


def _write(given: argparse.Namespace, text: str) -> None:
    try:
        given.output.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"{str(given.output)!r} cannot be written: {error.strerror}."
        raise ProblemError(Problem(code="cannot_write", message=message, hint="Name another file.")) from None
