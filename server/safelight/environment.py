"""What the environment says: read in one place, once, and passed on by name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_YES = ("1", "true", "yes", "on")
_NO = ("0", "false", "no", "off")
_SECRETS = ("SAFELIGHT_TOKEN", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_TOLD = (
    "HF_HOME",
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "HF_ENDPOINT",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "XDG_CACHE_HOME",
    "OMP_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "PYTORCH_CUDA_ALLOC_CONF",
    "CXX",
    "SSL_CERT_FILE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
)
"""Variables of others that change what happens here."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What the user has set; what is not given is the default here. See docs/server.md.

    Attributes:
        home: `SAFELIGHT_HOME`, the data folder; None is the platform's folder for user data.
        models: `SAFELIGHT_MODELS`, the folders of models, separated as in PATH; none is `models` in the data folder.
        device: `SAFELIGHT_DEVICE`; empty: measured.
        precision: `SAFELIGHT_PRECISION`; empty: measured.
        attention: `SAFELIGHT_ATTENTION`, which implementation of attention computes; empty: torch chooses.
        compiles: `SAFELIGHT_COMPILE`, whether the blocks of transformers are compiled.
        compiler: `CXX`, the C++ compiler that torch takes; empty: the platform's.
        memory: `SAFELIGHT_MEMORY`, how models are held where their recipe leaves it open; empty: auto.
        device_memory: `SAFELIGHT_DEVICE_MEMORY`, gigabytes that models may take on the device; empty: all of it.
        allow_pickle: `SAFELIGHT_ALLOW_PICKLE`, whether weights that are pickles are read.
        token: `SAFELIGHT_TOKEN`, that of a server; empty: none.
        shared_cache: `SAFELIGHT_SHARED_CACHE`, the bucket of a cache that a team shares; empty: none. See
            docs/shared_cache.md, also for those that follow.
        team_key: `SAFELIGHT_TEAM_KEY`, what its entries are signed with.
        team_key_file: `SAFELIGHT_TEAM_KEY_FILE`, where that stands; None: `team.key` in the data folder.
        shared_wait: `SAFELIGHT_SHARED_WAIT`, seconds to wait for it.
        shared_entry: `SAFELIGHT_SHARED_ENTRY`, MiB of the largest value.
        shared_upload: `SAFELIGHT_SHARED_UPLOAD`, MiB a second that are sent at most.
        shared_queue: `SAFELIGHT_SHARED_QUEUE`, how many results may wait to be sent.
        log: `SAFELIGHT_LOG`, the form of log lines: `text` or `json`.
        mark_origin: `SAFELIGHT_MARK_ORIGIN`, whether files that a model made say so for machines to read; they do.
        a1111_text: `SAFELIGHT_A1111_TEXT`, whether saved images carry their settings as A1111 writes them, too.
        hub: where huggingface_hub keeps its files, told by the variables that it reads itself.
        hub_address: `HF_ENDPOINT`, where the hub is.
        offline: `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE`: nothing is downloaded.
        traces: whether OpenTelemetry's exporter has a collector: `OTEL_EXPORTER_OTLP_ENDPOINT`, or that of traces
            alone. The exporter reads its variables itself.
        threads: `OMP_NUM_THREADS`, threads to compute with; None: as many as there are cores.
        visible_devices: `CUDA_VISIBLE_DEVICES`.
    """

    home: Path | None = None
    models: tuple[Path, ...] = ()
    device: str = ""
    precision: str = ""
    attention: str = ""
    compiles: bool = False
    compiler: str = ""
    memory: str = ""
    device_memory: str = ""
    allow_pickle: bool = False
    token: str = ""
    shared_cache: str = ""
    team_key: str = field(default="", repr=False)
    team_key_file: Path | None = None
    shared_wait: str = ""
    shared_entry: str = ""
    shared_upload: str = ""
    shared_queue: str = ""
    log: str = "text"
    mark_origin: bool = True
    a1111_text: bool = False
    hub: Path = field(default_factory=lambda: _hub({}))
    hub_address: str = "https://huggingface.co"
    offline: bool = False
    traces: bool = False
    threads: int | None = None
    visible_devices: str = ""

    @classmethod
    def read(cls, environ: Mapping[str, str] | None = None) -> Environment:
        """What is set, by default for this process. Raises ProblemError `bad_setting` for the home of nobody."""
        given = os.environ if environ is None else environ
        home, key_file = given.get("SAFELIGHT_HOME"), given.get("SAFELIGHT_TEAM_KEY_FILE")
        return cls(
            home=_path("SAFELIGHT_HOME", home).resolve() if home else None,
            models=tuple(
                _path("SAFELIGHT_MODELS", part) for part in given.get("SAFELIGHT_MODELS", "").split(os.pathsep) if part
            ),
            device=_wish(given.get("SAFELIGHT_DEVICE", "")),
            precision=_wish(given.get("SAFELIGHT_PRECISION", "")),
            attention=_wish(given.get("SAFELIGHT_ATTENTION", "")),
            compiles=given.get("SAFELIGHT_COMPILE", "").lower() in _YES,
            compiler=given.get("CXX", ""),
            memory=_wish(given.get("SAFELIGHT_MEMORY", "")),
            device_memory=given.get("SAFELIGHT_DEVICE_MEMORY", "").strip(),
            allow_pickle=given.get("SAFELIGHT_ALLOW_PICKLE", "").lower() in _YES,
            token=given.get("SAFELIGHT_TOKEN", ""),
            shared_cache=given.get("SAFELIGHT_SHARED_CACHE", "").strip(),
            team_key=given.get("SAFELIGHT_TEAM_KEY", ""),
            team_key_file=_path("SAFELIGHT_TEAM_KEY_FILE", key_file) if key_file else None,
            shared_wait=given.get("SAFELIGHT_SHARED_WAIT", "").strip(),
            shared_entry=given.get("SAFELIGHT_SHARED_ENTRY", "").strip(),
            shared_upload=given.get("SAFELIGHT_SHARED_UPLOAD", "").strip(),
            shared_queue=given.get("SAFELIGHT_SHARED_QUEUE", "").strip(),
            log=given.get("SAFELIGHT_LOG") or "text",
            mark_origin=given.get("SAFELIGHT_MARK_ORIGIN", "").lower() not in _NO,
            a1111_text=given.get("SAFELIGHT_A1111_TEXT", "").lower() in _YES,
            hub=_hub(given),
            hub_address=given.get("HF_ENDPOINT") or "https://huggingface.co",
            offline=any(given.get(name, "").lower() in _YES for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")),
            traces=_traces(given),
            threads=_count(given.get("OMP_NUM_THREADS", "")),
            visible_devices=given.get("CUDA_VISIBLE_DEVICES", ""),
        )


def told(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables that are set and change what happens, to be shown to others: of secrets, that they are set."""
    given = os.environ if environ is None else environ
    names = [
        name
        for name in sorted(given)
        if name.startswith(("SAFELIGHT_", "OTEL_")) or name.upper() in (*_TOLD, *_SECRETS)
    ]
    return {name: "(set)" if _is_secret(name) else given[name] for name in names if given[name]}


def _is_secret(name: str) -> bool:
    return name in _SECRETS or any(word in name for word in ("TOKEN", "SECRET", "PASSWORD", "KEY", "HEADERS"))


def _wish(text: str) -> str:
    text = text.strip().lower()
    return "" if text == "auto" else text


def _traces(given: Mapping[str, str]) -> bool:
    named = any(given.get(f"OTEL_EXPORTER_OTLP_{part}ENDPOINT") for part in ("", "TRACES_"))
    off = given.get("OTEL_SDK_DISABLED", "").lower() == "true" or given.get("OTEL_TRACES_EXPORTER", "") == "none"
    return named and not off


def _path(name: str, text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # nobody is called so
        from safelight.sdk.problem import Problem, ProblemError

        message = f"{name} is {text!r}, and there is no home folder of that user."
        hint = f"Write the whole path: {name}=/home/you/safelight."
        raise ProblemError(Problem(code="bad_setting", message=message, hint=hint, value=text)) from None


def _count(text: str) -> int | None:
    with contextlib.suppress(ValueError):
        return max(1, int(text))
    return None


def _hub(given: Mapping[str, str]) -> Path:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if given.get(name):
            return _as_is(given[name])
    home = given.get("HF_HOME")
    if home:
        return _as_is(home) / "hub"
    return _as_is(given.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface" / "hub"


def _as_is(text: str) -> Path:
    """A folder of others; left as it is where `~` has no meaning: the user of a container may have no home."""
    with contextlib.suppress(RuntimeError):
        return Path(text).expanduser()
    return Path(text)
