"""Runs a workflow and kills its own process after a step of its sampler: `HOME WORKFLOW STEP`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from safelight.app import Studio
from safelight.engine import NodeProgress, RunOptions


def main() -> None:
    import torch

    torch.set_num_threads(1)
    home, workflow, step = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    studio = Studio.open(home)

    def emit(event: object) -> None:
        if isinstance(event, NodeProgress) and event.node == "sample" and event.step == step:
            os.kill(os.getpid(), signal.SIGKILL)

    studio.run(studio.read(workflow), output=home / "output", emit=emit, options=RunOptions(checkpoint_seconds=0))


main()
