"""What a library changes about the order of threads is put back: an encoder must not freeze the machine."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest
import torch

from safelight.media.registry import built_in
from safelight.media.scheduling import same_scheduling
from safelight.sdk import Video

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has policies for threads")


def policies() -> set[int]:
    return {os.sched_getscheduler(int(task.name)) for task in Path("/proc/self/task").iterdir()}


def test_old_and_new_threads_are_as_before() -> None:
    done, changed = threading.Event(), threading.Event()

    def work() -> None:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        changed.set()
        done.wait(10)

    worker = threading.Thread(target=work)
    with same_scheduling():
        worker.start()
        changed.wait(10)
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        assert os.SCHED_BATCH in policies()
    assert policies() == {os.SCHED_OTHER}
    done.set()
    worker.join()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may take the first place")
@pytest.mark.parametrize("form", ["mp4", "av1", "webm"])
def test_an_encoder_takes_no_first_place(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    av = pytest.importorskip("av")
    seen: set[int] = set()
    encode = av.VideoFrame.from_ndarray

    def looking(*args: object, **options: object) -> object:
        seen.update(policies())
        return encode(*args, **options)

    monkeypatch.setattr(av, "VideoFrame", type("Looking", (), {"from_ndarray": staticmethod(looking)}))
    built_in().encode(Video(torch.zeros(3, 64, 64, 3), 8.0, None), form)
    assert seen == {os.SCHED_OTHER} and policies() == {os.SCHED_OTHER}
