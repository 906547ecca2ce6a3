"""Runs a training workflow and kills its own process in the middle of it: `HOME WORKFLOW STEP INPUTS-AS-JSON`."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from safelight.app import Studio
from safelight.engine import NodeProgress, RunOptions


def main() -> None:
    import torch

    torch.set_num_threads(1)
    home, workflow, step, inputs = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
    studio = Studio.open(home)

    def emit(event: object) -> None:
        if isinstance(event, NodeProgress) and event.node == "learn" and event.step == step:
            os.kill(os.getpid(), signal.SIGKILL)

    document = studio.read(workflow).with_inputs(inputs)
    studio.run(document, output=home / "output", emit=emit, options=RunOptions(checkpoint_seconds=0))


main()
