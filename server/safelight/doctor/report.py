"""What is told of an installation."""

from __future__ import annotations

import msgspec

from safelight.sdk.problem import Problem


class ComputeDevice(msgspec.Struct, frozen=True, kw_only=True):
    """Something that torch computes on. `memory` and `free` in bytes, 0 where it has no memory of its own.

    `precisions` are the types in which a product of matrices came out right there, `holds` those that weights can be
    kept in.
    """

    name: str
    device: str
    kind: str
    memory: int = 0
    free: int = 0
    precisions: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()


class Torch(msgspec.Struct, frozen=True, kw_only=True):
    """What torch says of itself: `build` is what it was built for (`cpu`, `cuda 12.4`, `rocm 6.2`).

    `broken` are libraries that are installed and cannot be imported, with the last line of the reason.
    """

    build: str = ""
    threads: int = 0
    devices: tuple[ComputeDevice, ...] = ()
    broken: dict[str, str] = {}


class Extra(msgspec.Struct, frozen=True, kw_only=True):
    """An optional part, `pip install 'safelight[NAME]'`: the packages of it that are not there."""

    name: str
    there: bool
    missing: tuple[str, ...] = ()


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """The data folder and what it has room for, in bytes. `cache_limit` is the budget of the cache on disk."""

    folder: str
    models: tuple[str, ...]
    free: int = 0
    cache: int = 0
    cache_limit: int = 0


class ModelCount(msgspec.Struct, frozen=True, kw_only=True):
    """Models by kind, and how many files of models cannot be used."""

    kinds: dict[str, int] = {}
    broken: int = 0


class Video(msgspec.Struct, frozen=True, kw_only=True):
    """`av` is the version of PyAV, which has FFmpeg inside; `encoders` those of ours that it can write with.

    `ffmpeg` says whether the program itself is there, too; nothing needs it.
    """

    av: str = ""
    encoders: tuple[str, ...] = ()
    ffmpeg: bool = False


class Report(msgspec.Struct, kw_only=True):
    """An installation. `environment` are the variables that are set and mean something; secrets are only said to be.

    `port` says who has the port of the server: `free`, `safelight` or `other`; `network` what came of asking the hub:
    `not asked`, `reached` or `failed`.
    """

    safelight: str = ""
    python: str = ""
    platform: str = ""
    processors: int = 0
    threads: int = 0
    memory: int = 0
    free: int = 0
    environment: dict[str, str] = {}
    libraries: dict[str, str] = {}
    extras: list[Extra] = []
    torch: Torch = Torch()
    numerics: str = ""
    storage: Storage = Storage(folder="", models=())
    models: ModelCount = ModelCount()
    packs: dict[str, str] = {}
    video: Video = Video()
    port: str = ""
    network: str = "not asked"
    findings: list[Problem] = []
