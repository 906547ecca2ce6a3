"""Small values of each medium."""

from __future__ import annotations

import pytest
import torch

from safelight.sdk import Audio, Mesh, Video


@pytest.fixture
def sound() -> Audio:
    wave = torch.sin(torch.arange(11_025) / 9) * torch.linspace(0, 0.9, 11_025)
    return Audio(torch.stack([wave, -wave])[None], 22_050)


@pytest.fixture
def video(sound: Audio) -> Video:
    """Five frames of a ramp that wanders."""
    ramp = torch.arange(48).mul(5).to(torch.uint8)
    frames = torch.stack([ramp.roll(4 * number).expand(32, 48) for number in range(5)])
    return Video(frames[..., None].repeat(1, 1, 1, 3), 10.0, sound)


@pytest.fixture
def mesh() -> Mesh:
    """A pyramid with colours."""
    points = torch.tensor([[0, 1, 0], [1, 0, 1], [1, 0, -1], [-1, 0, -1], [-1, 0, 1]], dtype=torch.float32)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 1]])
    return Mesh(points, faces, (points + 1) / 2, points[:, :2].abs())
