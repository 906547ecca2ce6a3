"""What must be there before anything talks to a cluster: Ray, and its token. Told without importing Ray."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from safelight.sdk.problem import Problem, ProblemError

STORE_BYTES = 100 << 20
"""Of Ray's store of objects on a machine. Files pass through it in pieces of a few MiB, so it need not be the third of
the memory that Ray takes."""


def demand_ray() -> None:
    """Raises ProblemError `cluster_missing` where Ray is not installed."""
    if find_spec("ray") is None:
        hint = 'Install it on every machine of the cluster: pip install "safelight[cluster]".'
        raise ProblemError(Problem(code="cluster_missing", message="Ray is not installed.", hint=hint))


def knows_token(environ: Mapping[str, str], home: Path | None = None) -> bool:
    """Whether Ray finds a token, where it looks for one: `RAY_AUTH_TOKEN`, the file that `RAY_AUTH_TOKEN_PATH` names,
    `~/.ray/auth_token`."""
    if environ.get("RAY_AUTH_TOKEN", "").strip():
        return True
    named = environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named) if named else (home or Path.home()) / ".ray" / "auth_token"
    try:
        return bool(path.read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError):
        return False


def demand_token(environ: Mapping[str, str] | None = None, home: Path | None = None) -> None:
    """Whoever reaches a cluster's ports without a token runs what he likes on all of its machines.

    Raises:
        ProblemError: `cluster_open`, where Ray's token authentication is off or there is no token.
    """
    given = os.environ if environ is None else environ
    if given.get("RAY_AUTH_MODE", "").lower() != "token":
        raise ProblemError(is_open("Ray's token authentication is off (RAY_AUTH_MODE is not token)."))
    if not knows_token(given, home):
        raise ProblemError(is_open("Ray's token authentication is on, and there is no token."))


def is_open(message: str) -> Problem:
    """What is said of a cluster that lets anybody in."""
    hint = (
        "Set RAY_AUTH_MODE=token on every machine, before its `ray start`, and make a token with "
        "`ray get-auth-token --generate`; every machine needs the same (docs/cluster.md)."
    )
    return Problem(code="cluster_open", message=message, hint=hint)
