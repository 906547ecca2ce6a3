from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from typing import Any

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Any:
    import diffusers

    torch.set_num_threads(1)
    diffusers.utils.logging.set_verbosity_error()
