"""The arguments of all commands, without importing what the commands need."""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_WORKFLOW = "a workflow file (*.json, also of ComfyUI), an image with one in it, or the name of a shipped workflow"


class _Parser(argparse.ArgumentParser):
    """Usage errors end with 2, as the contract of the command line says, and name the command that explains.

    Options are written in full: a shortened one might be the name of a workflow's input.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> Any:
        self.exit(2, f"{self.prog}: {message}\nSee `{self.prog} --help`.\n")


def parser() -> argparse.ArgumentParser:
    return _parsers()[0]


def help_of(command: str) -> str:
    return _parsers()[1][command].format_help()


def options_of(command: str) -> list[str]:
    """The long options of a command."""
    return [name for action in _parsers()[1][command]._actions for name in action.option_strings if name[:2] == "--"]


def _parsers() -> tuple[_Parser, dict[str, _Parser]]:
    top = _Parser(
        prog="safelight",
        description="Build, run and share workflows for diffusion models.",
        epilog="Try: safelight run text_to_image --prompt 'a red apple'",
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)

    run = commands.add_parser("run", help="run a workflow", add_help=False)
    add_workflow_arguments(run)
    run.add_argument("-o", "--output", metavar="DIR", type=Path, default=Path("output"), help="where files are written")
    run.add_argument("--to", metavar="NODE", action="append", help="run up to this node only (may be repeated)")
    run.add_argument("--force", metavar="NODE", action="append", default=[], help="run this node even if it is cached")
    run.add_argument("--download", action="store_true", help="fetch missing models from the hub")
    run.add_argument("--server", metavar="URL", help="run it there; files are fetched from it ($SAFELIGHT_TOKEN)")
    run.add_argument(
        "--device", metavar="NAME", default="", help="compute on this, as cuda:1 or cpu; with --server also a worker"
    )
    run.add_argument(
        "--checkpoint",
        metavar="SECONDS",
        type=_seconds,
        default=5.0,
        help="keep the state of long nodes at least so often, to go on from it; 0: at every step (5)",
    )
    run.add_argument("-q", "--quiet", action="store_true", help="no progress")

    _add_sweep(commands.add_parser("sweep", help="run a workflow many times, with other values", add_help=False))

    check = commands.add_parser("check", help="name every problem of a workflow at once", add_help=False)
    add_workflow_arguments(check)

    plan = commands.add_parser("plan", help="say what is cached and what would run", add_help=False)
    add_workflow_arguments(plan)
    plan.add_argument("--to", metavar="NODE", action="append", help="plan up to this node only (may be repeated)")

    convert = commands.add_parser("convert", help="turn a workflow of another program, or one in an image, into a file")
    convert.add_argument(
        "workflow", metavar="FILE", help="a workflow of ComfyUI (either format) or InvokeAI, or a file with one in it"
    )
    convert.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="where the workflow is written; else printed"
    )
    convert.add_argument(
        "--to",
        choices=["safelight", "comfyui", "comfyui-api"],
        default="safelight",
        help="for which program: Safelight, ComfyUI's editor, or its API",
    )
    convert.add_argument(
        "--as",
        dest="kind",
        metavar="KIND",
        help="which of several workflows in the file, as --list names them: comfyui, a1111, ...",
    )
    convert.add_argument("--list", action="store_true", help="name what the file can be opened as, the default first")
    convert.add_argument("--json", action="store_true", help="print the report as JSON")

    nodes = commands.add_parser("nodes", help="list the nodes, or explain one")
    nodes.add_argument("type", nargs="?", metavar="TYPE", help="the type of a node, such as sampling.sample")
    nodes.add_argument("--search", metavar="WORDS", help="those that match, by name, tag or help: --search 'k sampler'")
    nodes.add_argument("--json", action="store_true", help="print JSON")

    cache = commands.add_parser("cache", help="show or clear the cache; take care of the one that a team shares")
    cache.add_argument(
        "action",
        choices=["info", "clear", "key", "send", "collect"],
        metavar="ACTION",
        help="info; clear; key: make a key for a team's cache; send: send what waits to it; collect: take out of it "
        "what is old or too much",
    )
    _add_shared_cache(cache)
    cache.add_argument("--older-than", metavar="AGE", type=_age, help="collect: results older than 30d, 12h, 45min")
    cache.add_argument("--budget", metavar="SIZE", type=_size, help="collect: the oldest beyond 100GB, 500MB")
    cache.add_argument("--dry-run", action="store_true", help="collect: only say what would be taken out")
    cache.add_argument("--json", action="store_true", help="print JSON")

    _add_models(commands.add_parser("models", help="list, search and fetch models; use other programs' folders"))

    doctor = commands.add_parser("doctor", help="look at the installation, and tell what is wrong and how to mend it")
    doctor.add_argument("--network", action="store_true", help="ask the hub whether it is there; else nothing is sent")
    doctor.add_argument("--port", type=_port, default=8686, help="the port that the server is to have (8686)")
    doctor.add_argument("--json", action="store_true", help="print JSON")

    pack = commands.add_parser("pack", help="begin a pack of nodes, or check one")
    pack.add_argument("action", choices=["new", "check"])
    pack.add_argument("name", nargs="?", help="new: its name, such as line_art; check: its folder (.), or its name")
    pack.add_argument("folder", nargs="?", metavar="FOLDER", help="new: where it is made (a folder of its name)")
    pack.add_argument(
        "--license", choices=["Apache-2.0", "MIT", "none"], default="Apache-2.0", help="new: its licence (Apache-2.0)"
    )
    pack.add_argument("--no-tests", action="store_true", help="check: do not run its tests")
    pack.add_argument("--json", action="store_true", help="print JSON")

    _add_servers(commands.add_parser)
    return top, commands.choices


def add_workflow_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("workflow", metavar="WORKFLOW", nargs="?", help=_WORKFLOW)
    parser.add_argument(
        "--set",
        metavar="NODE.PORT=VALUE",
        action="append",
        default=[],
        help="type a value into a port (may be repeated)",
    )
    parser.add_argument("--input", metavar="DIR", type=Path, default=Path(), help="where images to load are looked for")
    _add_shared_cache(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("-h", "--help", action="store_true", help="show this help, with the inputs of the workflow")


def _add_sweep(sweep: argparse.ArgumentParser) -> None:
    add_workflow_arguments(sweep)
    sweep.add_argument("--rows", metavar="TABLE", type=Path, help="a run a row: .csv, .tsv, .json, .jsonl or .parquet")
    sweep.add_argument(
        "--vary", metavar="NAME=V1,V2", action="append", default=[], help="values of an input; every combination runs"
    )
    sweep.add_argument("-o", "--output", metavar="DIR", type=Path, default=Path("output"), help="where files are put")
    sweep.add_argument("--table", metavar="FILE", type=Path, help="where the table of results is written (in --output)")
    sweep.add_argument("--server", metavar="URL", help="run it there, in the queue ($SAFELIGHT_TOKEN)")
    sweep.add_argument("--batch", metavar="ID", default="", help="wait for a sweep that --server has accepted before")
    sweep.add_argument("--retry", action="store_true", help="with --batch: repeat what failed or was cancelled")
    sweep.add_argument("--fetch", action="store_true", help="with --server: fetch the files, too")
    sweep.add_argument("--device", metavar="NAME", default="", help="as for `run`")
    sweep.add_argument("--download", action="store_true", help="fetch missing models from the hub")
    sweep.add_argument("--checkpoint", metavar="SECONDS", type=_seconds, default=5.0, help="as for `run` (5)")
    sweep.add_argument("-q", "--quiet", action="store_true", help="no progress")


def _add_models(models: argparse.ArgumentParser) -> None:
    actions = (
        "list",
        "search",
        "show",
        "missing",
        "duplicates",
        "folders",
        "add",
        "remove",
        "download",
        "convert",
        "send",
        "info",
        "get",
    )
    models.add_argument(
        "action",
        choices=actions,
        metavar="ACTION",
        help="list; search WORDS; show NAME; missing WORKFLOW; duplicates; folders; add FOLDER; remove FOLDER; "
        "download ADDRESS (https, or org/name[/path][@revision] of the hub); convert FILE of pickled weights; "
        "send NAME to the cache of a team, for others to fetch when they lack it. "
        "`info` is `show`, `get` is `download`",
    )
    models.add_argument("name", nargs="*", help="a model, words, a workflow, a folder or an address")
    models.add_argument("--kind", metavar="KIND", default="", help="list, search: pipeline, lora, vae, controlnet, ...")
    models.add_argument("--family", metavar="FAMILY", default="", help="list, search: sd1, sdxl, flux, ...")
    models.add_argument("--broken", action="store_true", help="list, search: those that cannot be used, and why")
    models.add_argument("--hash", action="store_true", help="show: with SHA-256 and the short hashes of A1111")
    models.add_argument(
        "--like", metavar="PROGRAM", default="", help="add: laid out as comfyui, a1111, invokeai, plain"
    )
    models.add_argument("--folder", metavar="NAME", default="", help="download: the subfolder (by what it is)")
    models.add_argument("--name", metavar="FILE", dest="file_name", default="", help="download: the file's name")
    models.add_argument("--sha256", metavar="DIGEST", default="", help="download: what the file must be")
    models.add_argument(
        "--from", metavar="HOST", dest="host", default="", help="download: you agree to this host, once"
    )
    _add_shared_cache(models)
    models.add_argument("--get", action="store_true", help="missing: fetch those whose source is known")
    models.add_argument("--json", action="store_true", help="print JSON")


def _add_servers(add: Callable[..., argparse.ArgumentParser]) -> None:
    _add_serve(add("serve", help="start the server and its editor"))
    _add_worker(add("worker", help="compute for a server, as a machine of its Ray cluster"))


def _add_serve(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--host", metavar="ADDRESS", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=_port, default=8686, help="the port; 0 takes any free one (8686)")
    serve.add_argument(
        "--workers",
        metavar="N",
        type=_count,
        default=0,
        help="processes that run workflows (1, or one a device)",
    )
    serve.add_argument(
        "--device",
        metavar="NAME",
        action="append",
        default=[],
        help="what a worker computes on, as cuda:1 or cpu; workers are dealt over several (all graphics cards)",
    )
    serve.add_argument(
        "--pool",
        choices=["local", "ray"],
        default="local",
        help="where workflows run: on this machine, or on a Ray cluster (docs/cluster.md)",
    )
    serve.add_argument(
        "--address", metavar="ADDRESS", default="auto", help="with --pool ray: auto, local or HOST:PORT (auto)"
    )
    serve.add_argument(
        "--threads", metavar="N", type=_threads, default=0, help="processor threads of each (an equal share)"
    )
    serve.add_argument("--memory", metavar="MIB", type=_count, default=2048, help="results each keeps in memory (2048)")
    serve.add_argument("--disk", metavar="MIB", type=_count, default=20480, help="results kept on disk (20480)")
    _add_shared_cache(serve)
    serve.add_argument(
        "--input", metavar="DIR", type=Path, action="append", default=[], help="a further folder to read images from"
    )
    serve.add_argument("--token", help="what clients must know ($SAFELIGHT_TOKEN; made up for other addresses)")
    serve.add_argument("--allow-host", metavar="NAME", action="append", default=[], help="a name of this server")
    serve.add_argument("--allow-origin", metavar="URL", action="append", default=[], help="a site that may use the API")
    serve.add_argument("--root-path", metavar="PATH", default="", help="behind a proxy: the path it is below, /studio")
    serve.add_argument(
        "--trusted-proxy",
        metavar="ADDRESS",
        action="append",
        default=[],
        help="a proxy, or a range of them (10.0.0.0/8), whose X-Forwarded-* and Forwarded headers are believed",
    )
    serve.add_argument("--download", action="store_true", help="fetch missing models from the hub")
    serve.add_argument(
        "--comfyui-api", action="store_true", help="answer scripts that were written for ComfyUI, too (docs/comfyui.md)"
    )
    serve.add_argument("--dev", action="store_true", help="for authors of packs: import a pack again when it is edited")
    serve.add_argument("--open", action="store_true", help="open the editor in a browser")
    serve.add_argument("--log", choices=["text", "json"], default="text", help="the form of the log (text)")


def _add_shared_cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--shared-cache",
        metavar="URL",
        help="a cache that a team shares: s3://bucket/folder, gs://, az://, file:///folder ($SAFELIGHT_SHARED_CACHE)",
    )


def _add_worker(worker: argparse.ArgumentParser) -> None:
    worker.add_argument("--join", metavar="HOST:PORT", required=True, help="the head of the cluster (docs/cluster.md)")
    worker.add_argument(
        "--device",
        metavar="NAME",
        action="append",
        default=[],
        help="what to compute on, as cuda:1 or cpu; may be repeated (all graphics cards, or the processor)",
    )


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        number = float(text)
        if 0 <= number < math.inf:
            return number
    raise argparse.ArgumentTypeError("give a number of seconds, 0 or more")


def _count(text: str) -> int:
    return _whole(text, 1, sys.maxsize, "1 or more")


def _threads(text: str) -> int:
    return _whole(text, 0, sys.maxsize, "0 or more")


def _port(text: str) -> int:
    return _whole(text, 0, 65_535, "a port, 0 to 65535")


def _whole(text: str, least: int, most: int, what: str) -> int:
    with contextlib.suppress(ValueError):
        number = int(text)
        if least <= number <= most:
            return number
    raise argparse.ArgumentTypeError(f"give {what}")


def _age(text: str) -> float:
    return _measured(text, {"d": 86_400.0, "h": 3_600.0, "min": 60.0}, "an age such as 30d, 12h or 45min")


def _size(text: str) -> int:
    return int(_measured(text, {"TB": 1e12, "GB": 1e9, "MB": 1e6}, "a size such as 100GB or 500MB"))


def _measured(text: str, units: dict[str, float], what: str) -> float:
    for unit, factor in units.items():
        if text.lower().endswith(unit.lower()):
            with contextlib.suppress(ValueError):
                number = float(text[: -len(unit)]) * factor
                if 0 <= number < math.inf:
                    return number
    raise argparse.ArgumentTypeError(f"give {what}")


class _Version(argparse.Action):
    """Looks the version up only when it is asked for: reading package metadata takes longer than all the rest."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"safelight {version('safelight')}")  # `exit` would write it to standard error
        parser.exit(0)
