"""Videos cut, joined and resized; films read and written part by part."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from safelight.app import Studio
from safelight.graph import Document
from safelight.media.registry import built_in
from safelight.sdk import Audio, Image, ProblemError, Video
from safelight.testing import BenchContext, call
from safelight_nodes.video.edit import ends, facts, join, replace_frames, resize, set_rate, sheet, trim
from safelight_nodes.video.film import encode_part, load_sound, parts, read_part, save_parts

EXAMPLES = Path(__file__).parent / "examples"


def clip(frames: int = 12, height: int = 16, width: int = 24, fps: float = 12.0, rate: int = 8000) -> Video:
    """Each frame is of one grey, 10 lighter than the one before; the sound rises."""
    greys = (torch.arange(frames) * 10 + 20).to(torch.uint8)
    sound = torch.linspace(-1, 1, round(frames / fps * rate)).view(1, 1, -1)
    return Video(greys.view(-1, 1, 1, 1).expand(-1, height, width, 3).contiguous(), fps, Audio(sound, rate))


def greys(video: Video) -> list[int]:
    return video.frames[:, 0, 0, 0].tolist()


def test_a_part_is_cut_with_its_sound() -> None:
    whole = clip()
    part = call(trim, whole, start=0.25, end=0.75)
    assert torch.equal(part.frames, whole.frames[3:9])
    assert part.audio is not None and whole.audio is not None
    assert torch.equal(part.audio.samples, whole.audio.samples[..., 2000:6000])
    assert len(call(trim, whole, start=0.5)) == 6
    with pytest.raises(ProblemError) as caught:
        call(trim, whole, start=2.0)
    assert (caught.value.problems[0].code, caught.value.problems[0].port) == ("empty_range", "start")


def test_videos_of_other_sizes_rates_and_sounds_are_joined() -> None:
    first, second = clip(), Video(torch.rand(6, 8, 12, 4), 6.0)
    made = call(join, [second, first, first])
    assert (len(made), made.fps, made.frames.shape[1:]) == (18, 6.0, (8, 12, 4))
    assert made.audio is not None and made.audio.samples.shape == (1, 1, 24000)
    assert made.audio.samples[..., :8000].abs().max() == 0 and made.audio.samples[..., 8000:].abs().max() == 1
    assert call(join, [first, second]).frames.dtype == torch.uint8
    with pytest.raises(ProblemError):
        call(join, [])


def test_the_rate_changes_the_time_or_the_frames() -> None:
    whole = clip()
    assert greys(call(set_rate, whole, fps=6.0)) == greys(whole)[1::2]
    assert greys(call(set_rate, whole, fps=24.0)) == [grey for grey in greys(whole) for _ in range(2)]
    slow = call(set_rate, whole, fps=6.0, keep="frames")
    assert slow.seconds == 2 and slow.audio is None and torch.equal(slow.frames, whole.frames)


def test_size_facts_ends_and_a_sheet() -> None:
    whole = clip()
    small = call(resize, whole, height=8)
    assert small.frames.shape == (12, 8, 12, 3) and small.frames.dtype == torch.uint8 and greys(small) == greys(whole)
    assert call(resize, whole) is not None
    assert call(facts, whole) == (12, 12.0, 1.0, 24, 16)
    found = call(ends, whole)
    assert torch.equal(found.last.pixels, whole.images(11).pixels)
    assert torch.equal(found.first.pixels, whole.images(0, 1).pixels)
    changed = call(replace_frames, whole, [Image(1 - whole.images().pixels)])
    assert changed.audio is not None and len(changed) == 12
    shown = call(sheet, whole, count=4, columns=2, width=24, times=False).pixels
    assert shown.shape == (1, 2 * 20 + 4, 2 * 28 + 4, 3)
    assert [round(float(shown[0, y, x, 0] * 255)) for y in (12, 32) for x in (16, 44)] == [20, 60, 90, 130]


@pytest.mark.parametrize("form", ["mp4", "webm", "webp", "apng"])
def test_parts_are_the_frames_of_the_whole(form: str, tmp_path: Path) -> None:
    if form in ("mp4", "webm"):
        pytest.importorskip("av")
    (made,) = built_in().encode(clip(frames=31), form, quality=100)
    (tmp_path / f"a.{form}").write_bytes(made.data)
    whole = built_in().decode(tmp_path / f"a.{form}", "video", "")
    context = BenchContext(folder=tmp_path)
    found = call(parts, file=f"a.{form}", length=7, first=1, ctx=context)
    assert [part.count for part in found.parts] == [7, 7, 7, 7, 2] and found.frames == 30
    assert found.fps == pytest.approx(12, abs=0.01)
    backwards = [call(read_part, part, ctx=context) for part in reversed(found.parts)]
    assert torch.equal(torch.cat([one.frames for one in reversed(backwards)]), whole.frames[1:])
    film = context.media.film(tmp_path / f"a.{form}")
    onwards = [film.read(part.first, part.count).frames for part in (*found.parts, found.parts[2])]
    assert torch.equal(torch.cat(onwards[:-1]), whole.frames[1:]) and torch.equal(onwards[-1], onwards[2])
    with pytest.raises(ProblemError) as caught:
        call(parts, file=f"a.{form}", first=31, ctx=context)
    assert caught.value.problems[0].port == "first"
    if form == "webp":
        with pytest.raises(ProblemError) as caught:
            call(load_sound, file=f"a.{form}", ctx=context)
        assert caught.value.problems[0].code == "no_sound"


def test_a_film_that_was_put_in_the_place_of_another_is_not_read(tmp_path: Path) -> None:
    file, context = tmp_path / "a.gif", BenchContext(folder=tmp_path)
    file.write_bytes(built_in().encode(clip(frames=6), "gif")[0].data)
    part = call(parts, file="a.gif", ctx=context).parts[0]
    assert len(call(read_part, part, ctx=context)) == 4
    file.write_bytes(built_in().encode(clip(frames=7), "gif")[0].data)
    with pytest.raises(ProblemError) as caught:
        call(read_part, part, ctx=context)
    assert (caught.value.problems[0].code, caught.value.problems[0].port) == ("film_changed", "part")


def test_the_frames_of_a_film_are_listed_and_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many parts there are; a file that has changed is looked at again."""
    pytest.importorskip("av")
    from safelight.media import film as films

    opened: list[str] = []
    before = films.opened
    monkeypatch.setattr(films, "opened", lambda path, shown: opened.append(shown) or before(path, shown))
    file, media = tmp_path / "a.mp4", built_in()
    file.write_bytes(media.encode(clip(frames=24), "mp4")[0].data)
    for first in range(0, 24, 2):
        assert len(media.film(file).read(first, 2)) == 2
    assert len(opened) == 3, "to look at it, to list its frames, to decode them"
    first = media.film(file)
    file.write_bytes(media.encode(clip(frames=25), "mp4")[0].data)
    assert media.film(file) is not first and media.film(file).frames == 25


def test_parts_become_one_film_with_sound(tmp_path: Path) -> None:
    pytest.importorskip("av")
    context, whole = BenchContext(folder=tmp_path), clip(frames=20)
    pieces = [
        call(encode_part, Video(whole.frames[at : at + 6], 12.0), quality=100, ctx=context) for at in (0, 6, 12, 18)
    ]
    (file,) = call(save_parts, pieces, whole.audio, name="film", ctx=context)
    assert (file.frames, file.width, file.height) == (20, 24, 16)
    (tmp_path / "film.mp4").write_bytes(context.saved["film.mp4"])
    again = built_in().decode(tmp_path / "film.mp4", "video", "")
    assert len(again) == 20 and again.fps == 12.0
    assert (again.frames.float() - whole.frames.float()).abs().max() <= 3
    sound = call(load_sound, file="film.mp4", ctx=context)
    assert sound.samples.shape[-1] / sound.rate == pytest.approx(whole.seconds, abs=0.2)
    other = call(encode_part, clip(height=32), ctx=context)
    with pytest.raises(ProblemError) as caught:
        call(save_parts, [*pieces, other], ctx=context)
    assert caught.value.problems[0].code == "parts_differ" and "Part 5" in caught.value.problems[0].message


def test_a_change_of_the_last_node_runs_it_alone(tmp_path: Path) -> None:
    """A film through resize, an image node and save: the frames before come from the cache, those of each turn."""
    pytest.importorskip("av")
    studio = Studio.open(tmp_path)
    (tmp_path / "input").mkdir(exist_ok=True)
    (tmp_path / "input" / "clip.mp4").write_bytes(built_in().encode(clip(frames=12), "mp4")[0].data)
    data = json.loads((EXAMPLES / "video.parts.json").read_text(encoding="utf-8"))

    def ran(quality: int) -> list[str]:
        data["subgraphs"]["part"]["nodes"]["encode"]["values"] = {"quality": quality}
        result = studio.run(Document.parse(data), output=tmp_path / "output").result
        assert result.problems == []
        return sorted(name for name, report in result.nodes.items() if report.status == "ran" and name != "each")

    assert {name.rpartition("/")[2] for name in ran(90)} >= {"read", "resize", "sharpen", "encode", "save"}
    assert ran(50) == ["each/0/encode", "each/1/encode", "each/2/encode", "save"]


BIG = """
import json, resource, sys
from pathlib import Path
from safelight.app import Budgets, Studio
from safelight.graph import Document
import torch, av
studio = Studio.open(Path(sys.argv[1]), budgets=Budgets(memory=1 << 24, disk=4 << 30))
document = Document.loads(Path(sys.argv[2]).read_bytes())
studio.run(document, output=Path(sys.argv[1]) / "warm", targets=["encode_0"])
start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
(name, (made,)), = studio.run(document, output=Path(sys.argv[1]) / "output").outputs.items()
print(json.dumps([made["size"], (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) * 1024, made["path"]]))
"""


def test_a_film_is_larger_than_the_memory_that_saving_it_takes(tmp_path: Path) -> None:
    """Noise cannot be foretold, so the film is as large as it can be; what is in memory are a few frames."""
    nodes: dict[str, Any] = {"save": {"type": "video.save_parts"}, "grey": {"type": "image.solid"}}
    nodes["grey"]["values"] = {"width": 1280, "height": 720, "color": "#808080"}
    links = []
    for number in range(4):
        nodes[f"noise_{number}"] = {"type": "image.add_noise", "values": {"seed": number, "amount": 1.0}}
        nodes[f"video_{number}"] = {"type": "video.from_images"}
        nodes[f"encode_{number}"] = {"type": "video.encode_part", "values": {"quality": 100}}
        for source, target in (
            ("grey.image", f"noise_{number}.image"),
            (f"noise_{number}.image", f"video_{number}.images"),
            (f"video_{number}.video", f"encode_{number}.video"),
        ):
            links.append({"from": source, "to": target})
    links += 15 * [{"from": f"encode_{number}.encoded", "to": "save.parts"} for number in range(4)]
    outputs = [{"name": "film", "from": "save.files"}]
    document = tmp_path / "document.json"
    document.write_text(json.dumps({"format": "safelight/1", "nodes": nodes, "links": links, "outputs": outputs}))
    done = subprocess.run(
        [sys.executable, "-c", BIG, str(tmp_path / "home"), str(document)], capture_output=True, text=True, check=True
    )
    size, taken, path = json.loads(done.stdout.splitlines()[-1])
    assert size > 50_000_000
    assert taken < size
    media = built_in()
    assert Document.loads(media.extract(Path(path).read_bytes()) or "").nodes.keys() == nodes.keys()
    assert len(media.film(Path(path)).read(59, 1)) == 1
