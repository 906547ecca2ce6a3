"""Has several processes do one work together, and serves them the context of the run."""

from __future__ import annotations

import os
import queue
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Listener
from typing import IO, TypeVar, cast

from safelight.environment import Environment
from safelight.models.hardware import thread_count
from safelight.sdk.context import Context
from safelight.sdk.problem import Problem, ProblemError
from safelight.sdk.team import Team

from .orders import ADDRESS, DEVICE, KEY, Asked, Ended, Line, Order, Place, receive, send

T = TypeVar("T")
_SERVED = ("progress", "wants_preview", "warn", "check_cancelled", "restore", "checkpoint_due", "checkpoint")
_LOOK_SECONDS = 0.2
_LEAVE_SECONDS = 40.0
"""torchrun gives its processes thirty to end."""
_SAID = 4000


def spread(work: Callable[[Context, Team], T], ctx: Context, count: int, place: Place) -> T:
    """See `sdk.Models.spread`; for more than one."""
    _require(count, place.here.device)
    key = secrets.token_bytes(32)
    with (
        tempfile.TemporaryFile() as log,
        Listener(authkey=key) as listener,
        _started(count, listener, key, place.here.device, log) as team,
        closing(_joined(listener, team, ctx, log)) as connection,
    ):
        try:
            send(connection, Order(work, place))
            while isinstance(message := receive(connection), Asked):
                send(connection, _answer(ctx, message))
        except (EOFError, OSError) as error:
            with suppress(subprocess.TimeoutExpired):
                team.wait(_LEAVE_SECONDS)  # until it has said why
            raise _failed(log) from error
        return cast("T", message.result())


def _answer(ctx: Context, asked: Asked) -> Ended:
    if asked.name not in _SERVED:
        return Ended(error=AttributeError(asked.name))
    try:
        return Ended(getattr(ctx, asked.name)(*asked.given))
    except Exception as error:
        return Ended(error=error)


@contextmanager
def _started(
    count: int, listener: Listener, key: bytes, device: str, log: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """torchrun, which starts the processes and ends all of them when one has failed."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        ADDRESS: str(listener.address),
        KEY: key.hex(),
        DEVICE: device.partition(":")[0],
        # torchrun would say one.
        "OMP_NUM_THREADS": str(max(1, thread_count(Environment.read()) // count)),
        "PYTHONSAFEPATH": "1",
        **_cards(count, device),
    }
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    command += ["-m", f"{__package__}.member"]
    # A Ctrl-C of the terminal is for the run, which then stops them after this step.
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=environment,
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _cards(count: int, device: str) -> dict[str, str]:
    """What has the processes see so many cards, that of the run first, and none of the others."""
    kind, _, number = device.partition(":")
    if kind != "cuda":
        return {}
    import torch
    from accelerate.utils import check_cuda_p2p_ib_support

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    seen = named.split(",") if named else [str(card) for card in range(torch.cuda.device_count())]
    own = seen.pop(int(number or 0))
    cards = {"CUDA_VISIBLE_DEVICES": ",".join([own, *seen][:count])}
    # accelerate refuses to begin otherwise on cards that cannot speak to each other directly.
    slow = {} if check_cuda_p2p_ib_support() else {"NCCL_P2P_DISABLE": "1", "NCCL_IB_DISABLE": "1"}
    return cards | slow


def _joined(listener: Listener, team: subprocess.Popen[bytes], ctx: Context, log: IO[bytes]) -> Line:
    """The connection to the first process, once it is there. Raises Cancelled and ProblemError before it is."""
    came: queue.Queue[Line] = queue.Queue()

    def wait() -> None:
        # It fails where the process goes while it says who it is, or where nobody waits any more.
        with suppress(OSError, EOFError, AuthenticationError):
            came.put(listener.accept())

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    try:
        while True:
            with suppress(queue.Empty):
                return came.get(timeout=_LOOK_SECONDS)
            ctx.check_cancelled()
            if team.poll() is not None:
                raise _failed(log)
    except BaseException:
        with suppress(OSError):  # nothing else wakes it; without a key nothing is waited for
            Client(listener.address).close()
        waiting.join(1)
        raise


def _require(count: int, device: str) -> None:
    import torch

    kind = device.partition(":")[0]
    if kind == "cpu":
        return  # they share its cores
    found = cast("int", getattr(torch, kind).device_count())
    if count > found:
        message = f"{count} graphics cards are asked for, and there {'is' if found == 1 else 'are'} {found}."
        hint = f"Set devices to {found} or less."
        raise ProblemError(Problem(code="too_few_devices", message=message, hint=hint, port="devices", value=count))


def _failed(log: IO[bytes]) -> ProblemError:
    log.seek(0, os.SEEK_END)
    log.seek(max(0, log.tell() - _SAID))
    said = log.read().decode(errors="replace")
    message = "One of the processes that train together has ended."
    hint = "Look at the details. Where memory ran out, a smaller batch or fewer devices may help."
    return ProblemError(Problem(code="team_failed", message=message, hint=hint, port="devices", details=said))
