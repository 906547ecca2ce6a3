"""A film of a minute through the nodes that work on it part by part: memory, seconds, and what a change costs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .table import Row

SECONDS, RATE, WIDTH, HEIGHT = 60, 24, 1280, 720
BAR = 500_000_000
DISK = 40 << 30
"""Bytes of the cache: every frame of the film before and after each node is kept, which is 20 GB."""
PROGRAM = """
import json, resource, sys, time
from pathlib import Path
from safelight.app import Budgets, Studio
studio = Studio.open(Path(sys.argv[1]), budgets=Budgets(memory=1 << 26, disk=int(sys.argv[2])))
import torch, av
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
start = peak()
document = studio.read("long_film").with_inputs(json.loads(sys.argv[3]))
began = time.perf_counter()
outcome = studio.run(document, output=Path(sys.argv[1]) / "output")
took = time.perf_counter() - began
assert outcome.result.problems == [], outcome.result.problems
ran = [name.rpartition("/")[2] for name, report in outcome.result.nodes.items() if report.status == "ran"]
kept = {name: ran.count(name) for name in sorted(set(ran))}
print(json.dumps({"seconds": took, "bytes": peak() - start, "ran": kept}))
"""


def film(file: Path) -> None:
    """A minute of 720p: a ramp that wanders, with grain that cannot be foretold."""
    import av
    import numpy

    noise = numpy.random.default_rng(0)
    grain = noise.integers(0, 24, (4, HEIGHT, WIDTH, 3), numpy.uint8)
    ramp = (numpy.add.outer(numpy.arange(HEIGHT), numpy.arange(WIDTH)) % 230).astype(numpy.uint8)
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"preset": "ultrafast"}
        for number in range(SECONDS * RATE):
            pixels = numpy.roll(ramp, number * 3, axis=1)[..., None] + grain[number % 4]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def rows() -> Iterator[Row]:
    import json

    what = f"{SECONDS} s of {HEIGHT}p through resize, sharpen and save"
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "input").mkdir()
        film(Path(name) / "input" / "film.mp4")
        given = {"film": "film.mp4", "height": HEIGHT}

        def run(**changed: object) -> dict[str, object]:
            line = [sys.executable, "-c", PROGRAM, name, str(DISK), json.dumps(given | changed)]
            done = subprocess.run(line, env=os.environ.copy(), capture_output=True, text=True, check=True)
            return json.loads(done.stdout.splitlines()[-1])

        first = run()
        above, took = int(str(first["bytes"])), float(str(first["seconds"]))
        yield Row(what, f"{above / 1e6:.0f} MB above start, {took:.0f} s", f"≤ {BAR / 1e6:.0f} MB", above <= BAR)
        again = run(quality=60)
        ran = again["ran"]
        assert isinstance(ran, dict)
        before = {key: count for key, count in ran.items() if key not in ("encode", "save", "each")}
        shown = f"{float(str(again['seconds'])):.0f} s, ran: {ran}"
        yield Row(f"{what}, with another quality", shown, "frames from the cache", not before)
