"""`safelight doctor`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from safelight.doctor.examination import examine
from safelight.doctor.private import Private
from safelight.doctor.report import Report

from .answer import print_json


def execute(given: argparse.Namespace, rest: Sequence[str]) -> int:
    del rest
    report = examine(port=given.port, network=given.network)
    data = Private().shown(msgspec.to_builtins(report))
    if given.json:
        print_json({"ok": not report.findings, **data})
    else:
        _print(msgspec.convert(data, Report))
    return 1 if report.findings else 0


def _print(report: Report) -> None:
    """All of it on standard output, so that it is copied as one."""
    for name, text in _rows(report):
        print(f"{name:<12} {text}")
    print()
    if not report.findings:
        print("Nothing is wrong.")
    for one in report.findings:
        print(f"{one.level}: {one.message} [{one.code}]")
        if one.hint:
            print(f"{' ' * len(one.level)}  {one.hint}")


def _rows(report: Report) -> Iterable[tuple[str, str]]:
    yield "Safelight", f"{report.safelight}, Python {report.python}, {report.platform}"
    yield "processor", f"{report.processors} cores, {report.threads} threads to compute with"
    yield "memory", f"{_size(report.memory)}, {_size(report.free)} free"
    for one in report.torch.devices:
        own = f", {_size(one.memory)}, {_size(one.free)} free" if one.memory else ""
        computes = f"computes in {', '.join(one.precisions)}; holds {', '.join(one.holds) or 'nothing smaller'}"
        yield "device", f"{one.device} ({one.name}{own}): {computes}"
    yield "torch", f"built for {report.torch.build or '?'}; models here: {report.numerics or '?'}"
    yield "libraries", ", ".join(f"{name} {there or 'missing'}" for name, there in report.libraries.items())
    for extra in report.extras:
        lacks = "there" if extra.there else f"not there: pip install 'safelight[{extra.name}]'"
        yield "extra", f"{extra.name}: {lacks}"
    yield "packs", ", ".join(f"{name} {there}".strip() for name, there in report.packs.items())
    store = report.storage
    yield "data", f"{store.folder}, {_size(store.free)} free"
    yield "cache", f"{_size(store.cache)} of at most {_size(store.cache_limit)}"
    kinds = ", ".join(f"{count} {kind}" for kind, count in report.models.kinds.items()) or "none"
    yield "models", f"{kinds}; {report.models.broken} cannot be used; in {', '.join(store.models)}"
    video = report.video
    program = "there" if video.ffmpeg else "not there (not needed)"
    yield "video", f"av {video.av or 'not there'} ({', '.join(video.encoders)}); the program ffmpeg is {program}"
    yield "port", report.port
    yield "network", report.network
    for name, value in report.environment.items():
        yield "set", f"{name}={value}"


def _size(count: Any) -> str:
    return f"{count / 1e9:,.1f} GB"
