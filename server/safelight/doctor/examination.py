"""Every check, each by itself: one that fails is a finding, and the others go on."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import msgspec

from safelight.app import Budgets, Studio
from safelight.environment import Environment, told
from safelight.models.hardware import free_memory, numerics, thread_count, total_memory
from safelight.sdk.problem import Problem, ProblemError

from . import installed
from .private import host_of
from .report import ModelCount, Report, Storage, Torch, Video

_SCARCE = 2 << 30
_TORCH_SECONDS = 180
_NETWORK_SECONDS = 10
_SHOWN = 20
_ENCODERS = ("libx264", "libvpx-vp9", "aac", "libopus")


def examine(*, port: int = 8686, network: bool = False, environment: Environment | None = None) -> Report:
    """Looks at everything. Nothing is sent anywhere unless `network`, which asks the hub whether it is there."""
    given = environment or Environment.read()
    report = Report()
    studio = Studio.open(given.home)
    checks: list[Callable[[], None]] = [
        lambda: _machine(report, given),
        lambda: _libraries(report),
        lambda: _torch(report),
        lambda: _numerics(report, studio.home, given),
        lambda: _storage(report, studio),
        lambda: _database(report, studio.home),
        lambda: _packs(report, studio),
        lambda: _models(report, studio),
        lambda: _video(report),
        lambda: _port(report, studio.home, port),
    ]
    if network:
        checks.append(lambda: _network(report, given))
    try:
        for check in checks:
            try:
                check()
            except ProblemError as error:
                report.findings += error.problems
            except Exception as error:
                message = f"A check could not be made: {type(error).__name__}: {error}"
                hint = "Whatever it looked at is damaged, or this is a mistake of Safelight: please report it."
                report.findings.append(Problem(code="check_failed", message=message, hint=hint))
    finally:
        studio.close()
    # Tracebacks are for the log. Several checks may meet the same.
    made = [msgspec.structs.replace(one, details=None) for one in report.findings]
    report.findings = [one for number, one in enumerate(made) if one not in made[:number]]
    return report


def _machine(report: Report, given: Environment) -> None:
    report.safelight = installed.own_version()
    report.python = platform.python_version()
    report.platform = f"{platform.system()} {platform.machine()}"
    report.processors = os.cpu_count() or 1
    report.threads = thread_count(given)
    report.memory, report.free = total_memory(), free_memory()
    report.environment = told()


def _libraries(report: Report) -> None:
    report.libraries, problems = installed.libraries()
    report.extras = installed.extras()
    report.findings += problems


def _torch(report: Report) -> None:
    if not report.libraries.get("torch", "?"):
        return  # told already
    line = [sys.executable, "-P", "-m", f"{__package__}.devices"]  # not what lies in this folder
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        done = subprocess.run(
            line, capture_output=True, text=True, timeout=_TORCH_SECONDS, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        raise _torch_broken(f"it did not start within {_TORCH_SECONDS} seconds") from None
    try:
        report.torch = msgspec.json.decode(done.stdout.rpartition("\n")[2], type=Torch)
    except msgspec.DecodeError:
        said = [text for text in done.stderr.splitlines() if text.strip()]
        raise _torch_broken(said[-1] if said else f"it ended with {done.returncode}") from None
    for name, reason in report.torch.broken.items():
        message = f"The library {name} is installed, and cannot be imported: {reason}"
        hint = (
            f"Install it again, in a version that fits the others: pip install --force-reinstall {name.split('.')[0]}."
        )
        report.findings.append(Problem(code="library_broken", message=message, hint=hint, value=name))


def _torch_broken(why: str) -> ProblemError:
    message = f"torch cannot be started: {why}."
    hint = "Install it again, for this machine's device: https://pytorch.org/get-started/locally."
    return ProblemError(Problem(code="torch_broken", message=message, hint=hint))


def _numerics(report: Report, home: Path, given: Environment) -> None:
    if report.torch.devices:
        report.numerics = numerics(home, given).text


def _storage(report: Report, studio: Studio) -> None:
    home = studio.home
    place = next(folder for folder in (home, *home.parents) if folder.is_dir())
    free = shutil.disk_usage(place).free
    folders = tuple(str(folder) for folder in studio.models.library.folders)
    report.storage = Storage(folder=str(home), models=folders, free=free)
    try:
        nearest = next(one for one in (home, *home.parents) if one.exists())
        if not nearest.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{str(nearest)!r} is a file")
        tempfile.TemporaryFile(dir=place).close()  # where it is not there yet, it is to be made
    except OSError as error:
        message = f"The data folder {str(home)!r} cannot be written: {error.strerror or error}."
        hint = "Give yourself the right to, or set SAFELIGHT_HOME to a folder of your own."
        report.findings.append(Problem(code="cannot_write", message=message, hint=hint, value=str(home)))
        return
    used, limit = 0, Budgets().disk
    if (home / "cache").is_dir():
        info = studio.cache.info()
        used, limit = info.disk_bytes, info.disk_limit
        if info.trouble:
            message, hint = f"The cache is not written: {info.trouble}", "Make room, or give it another folder."
            report.findings.append(Problem(code="cannot_write", message=message, hint=hint))
    report.storage = msgspec.structs.replace(report.storage, cache=used, cache_limit=limit)
    gigabytes = f"{free / 1e9:.1f} GB"
    if free < _SCARCE:
        message = f"Only {gigabytes} are free where the data folder is."
        hint = "Make room: `safelight cache clear`, or set SAFELIGHT_HOME to a folder on another disk."
        report.findings.append(Problem(code="disk_low", message=message, hint=hint, value=free))
    elif used + free < limit:
        message = f"The cache may grow to {limit / 1e9:.1f} GB, and there is room for {(used + free) / 1e9:.1f} GB."
        hint = f"Start the server with a smaller budget: --disk {max(1, (used + free // 2) >> 20)}."
        report.findings.append(Problem(code="cache_too_large", message=message, hint=hint, value=limit))


def _database(report: Report, home: Path) -> None:
    path = home / "server.sqlite"
    if not path.is_file():
        return
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        message = f"The database {str(path)!r} cannot be read: {error}."
        hint = "Is it another user's? Give yourself the right to read it."
        report.findings.append(Problem(code="cannot_read", message=message, hint=hint, value=str(path)))
        return
    except sqlite3.Error as error:
        said = str(error)
    if said != "ok":
        message = f"The database {str(path)!r} is damaged: {said}."
        hint = "Stop the server, keep a copy of the file, and put a backup in its place."
        report.findings.append(Problem(code="database_damaged", message=message, hint=hint, value=str(path)))


def _packs(report: Report, studio: Studio) -> None:
    for pack in studio.catalogue.packs:
        report.packs[pack.name] = pack.version
        if pack.reason:
            message = f"The pack {pack.name!r} is incomplete: {pack.reason}"
            hint = pack.remedy or "`safelight pack check` says more."
            report.findings.append(Problem(code="pack_incomplete", message=message, hint=hint, value=pack.name))


def _models(report: Report, studio: Studio) -> None:
    found = studio.models.list_models()
    kinds: dict[str, int] = {}
    for model in (model for model in found if model.problem is None):
        kinds[model.kind or "other"] = kinds.get(model.kind or "other", 0) + 1
    broken = [(model.name, model.problem) for model in found if model.problem is not None]
    report.models = ModelCount(kinds=dict(sorted(kinds.items())), broken=len(broken))
    for name, problem in broken[:_SHOWN]:
        said = problem.message if name in problem.message else f"The model {name!r} cannot be used: {problem.message}"
        hint = problem.hint or f"Fetch it again, or remove its file: `safelight models show {name}` says where it is."
        report.findings.append(msgspec.structs.replace(problem, message=said, hint=hint, level="error"))
    if len(broken) > _SHOWN:
        message = f"{len(broken) - _SHOWN} further models cannot be used."
        hint = "`safelight models list --broken` names them all."
        report.findings.append(Problem(code="models_broken", message=message, hint=hint, value=len(broken)))
    trees = studio.models.library.trees
    report.findings += trees.problems() if trees is not None else []


def _video(report: Report) -> None:
    report.video = Video(ffmpeg=shutil.which("ffmpeg") is not None)
    try:
        av: Any = import_module("av")
    except ImportError:
        return  # an extra that is not there is told of as such
    codecs = av.codec.codecs_available
    there = tuple(name for name in _ENCODERS if name in codecs)
    report.video = msgspec.structs.replace(report.video, av=av.__version__, encoders=there)
    if "libx264" not in there and "libvpx-vp9" not in there:
        message = "PyAV is installed without what writes MP4 and WebM."
        hint = "Install it from its wheel: pip install --force-reinstall --only-binary av av."
        report.findings.append(Problem(code="codec_missing", message=message, hint=hint))


def _port(report: Report, home: Path, port: int) -> None:
    with socket.socket() as tried:
        tried.settimeout(2)
        taken = tried.connect_ex(("127.0.0.1", port)) == 0
    own: Any = {}
    with contextlib.suppress(OSError, ValueError):
        own = json.loads((home / "server.json").read_text(encoding="utf-8"))
    ours = isinstance(own, dict) and f":{port}" in str(own.get("url", ""))
    report.port = f"{port} {'free' if not taken else 'safelight' if ours else 'other'}"
    if taken and not ours:
        message = f"Another program has the port {port}, which the server listens on by default."
        hint = "Start the server with another one: safelight serve --port 8687."
        report.findings.append(Problem(code="port_in_use", message=message, hint=hint, value=port))


def _network(report: Report, given: Environment) -> None:
    if given.offline:
        report.network = "offline by HF_HUB_OFFLINE"
        return
    address = given.hub_address
    try:
        urlopen(Request(address, method="HEAD", headers={"User-Agent": "safelight"}), timeout=_NETWORK_SECONDS).close()
    except HTTPError:
        pass  # it answers
    except (OSError, ValueError) as error:
        report.network = "failed"
        message = f"The hub at {host_of(address)} cannot be reached: {getattr(error, 'reason', error)}."
        hint = "Look at the network, a proxy (HTTPS_PROXY) and certificates (SSL_CERT_FILE); models that are here work."
        report.findings.append(Problem(code="hub_unreachable", message=message, hint=hint, value=host_of(address)))
        return
    report.network = "reached"
