"""Pipelines of diffusers that no family knows, run by their signature: equal to the pipelines themselves."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from families.resuming import goes_on, killable
from node_bench import BenchContext, codes, distance
from proofs import Proof
from safelight.environment import Environment
from safelight.models import ModelStore
from safelight.sdk import Cancelled, Image, ProblemError
from safelight_nodes import models, pipeline
from tiny_pipelines import KINDS, SOUND


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder; `there` puts a model into it."""
    return tmp_path_factory.mktemp("home")


def there(home: Path, name: str) -> Path:
    """The folder of a miniature, which is made when it is first wanted."""
    folder = home / "models" / name
    if not folder.exists():
        {**KINDS, **SOUND}[name].write(folder)
    return folder


def own(folder: Path) -> Any:
    """The pipeline of a folder, loaded by hand."""
    import diffusers

    made = diffusers.DiffusionPipeline.from_pretrained(folder)
    made.set_progress_bar_config(disable=True)
    return made


@pytest.fixture
def ctx(home: Path) -> BenchContext:
    given = {"HF_HUB_OFFLINE": "1", "SAFELIGHT_DEVICE": "cpu", "SAFELIGHT_PRECISION": "float32"}
    digest = {"fingerprint": lambda path: hashlib.sha256(path.read_bytes()).hexdigest()}
    return BenchContext(ModelStore(home, environment=Environment.read(given), **digest))


def noise(batch: int) -> Any:
    found = [torch.Generator().manual_seed(5 + place) for place in range(batch)]
    return found if batch > 1 else found[0]


def flat(found: Any) -> torch.Tensor:
    """Images or frames of a pipeline, (B, H, W, C)."""
    import numpy

    if isinstance(found, list):
        found = numpy.stack([numpy.asarray(one) for part in found for one in part])
    found = torch.from_numpy(numpy.asarray(found))
    return found.reshape(-1, *found.shape[-3:])


@pytest.mark.parametrize("name", KINDS)
def test_a_pipeline_makes_what_it_makes_by_itself(home: Path, ctx: BenchContext, name: str, proof: Proof) -> None:
    kind, folder, batch = KINDS[name], there(home, name), KINDS[name].batch
    ctx.previews = True

    def made(**change: Any) -> Image:
        given = {"steps": 3, "seed": 5, "batch": batch, **kind.node, "arguments": json.dumps(kind.arguments)}
        return pipeline.run(pipeline=name, **{**given, **change}, ctx=ctx)

    first = made()
    assert ctx.steps[-1] == (3, 3)
    hand = own(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        given = {"num_inference_steps": 3, "generator": noise(batch), "output_type": "np"} | (
            {kind.count: batch} if batch > 1 else {}
        )
        out = hand(**given, **kind.own, **kind.arguments)
    wanted = flat(out.frames if hasattr(out, "frames") else out.images)
    wanted = wanted.float() / 255 if wanted.dtype == torch.uint8 else wanted.float()
    proof.close(name, "whole, by pipeline.run", distance(first.pixels, wanted.clamp(0, 1)), batch, bar=0.0)
    assert first.pixels.std() > 0
    ctx.previews = False
    assert torch.equal(made().pixels, first.pixels), "nothing of a run is left in what is held in memory"
    assert not torch.equal(made(seed=6).pixels, first.pixels)
    ctx.cancel_at = ctx.calls + 2
    before = len(ctx.steps)
    with pytest.raises(Cancelled):
        made(steps=8)
    assert len(ctx.steps) - before <= 2


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m"])
def test_another_sampler_takes_the_place_of_the_pipelines_own(home: Path, ctx: BenchContext, sampler: str) -> None:
    from safelight.diffusion.samplers import SAMPLERS

    folder = there(home, "ddpm")
    made = pipeline.run(pipeline="ddpm", steps=4, seed=5, sampler=sampler, ctx=ctx)
    hand, row = own(folder), SAMPLERS[sampler]
    import diffusers

    hand.scheduler = getattr(diffusers, row.method).from_config(hand.scheduler.config, **row.options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        out = hand(num_inference_steps=4, generator=noise(1), output_type="np").images
    assert distance(made.pixels, flat(out).float().clamp(0, 1)) == 0
    plain = pipeline.run(pipeline="ddpm", steps=4, seed=5, ctx=ctx)
    assert not torch.equal(made.pixels, plain.pixels)


def test_a_sampler_that_does_not_fit_is_refused(home: Path, ctx: BenchContext) -> None:
    there(home, "sana")
    with pytest.raises(ProblemError) as caught:
        pipeline.run(pipeline="sana", prompt="a cat", steps=2, sampler="ddpm", ctx=ctx)
    assert codes(caught) == [("argument_not_taken", "sampler")]


@pytest.mark.in_turn
@killable
@pytest.mark.parametrize("name", KINDS)
def test_killed_it_begins_again(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof) -> None:
    kind = KINDS[name]
    values = {"pipeline": "mine", "steps": 5, "seed": 5, "batch": kind.batch, **kind.node}
    values["arguments"] = json.dumps(kind.arguments)
    document = {
        "format": "safelight/1",
        "nodes": {"sample": {"type": "pipeline.run", "values": values}},
        "links": [],
        "outputs": [{"name": "image", "from": "sample.image"}],
    }

    def make(models: Path) -> None:
        kind.write(models / "mine")

    assert goes_on(make, document, "*.png", tmp_path, monkeypatch, whole=True) >= kind.batch
    proof.begun_again(name, "whole, by pipeline.run")


WORDS = {"prompt": "a red apple", "negative": "dark", "steps": 3, "guidance": 3.0, "width": 64, "height": 64, "seed": 5}


def test_a_step_shows_what_is_there(home: Path, ctx: BenchContext) -> None:
    there(home, "pixart")
    ctx.previews = True
    extra = json.dumps(KINDS["pixart"].arguments)
    pipeline.run(pipeline="pixart", **WORDS, batch=3, arguments=extra, ctx=ctx)
    assert ctx.steps == [(step, 3) for step in (1, 2, 3)]
    # This one calls back behind its bar, so a step shows what the step before has made.
    assert [tuple(shown.pixels.shape) for shown in ctx.shown] == [(3, 8, 8, 3)] * 2


def test_sound(home: Path, ctx: BenchContext) -> None:
    """In the length that is wanted; the node for images says which one to take instead, and so does this one."""
    folder = there(home, "stable_audio")
    given = {"prompt": "a red apple", "negative": "dark", "guidance": 3.0, "steps": 3, "seed": 5, "batch": 2}
    made = pipeline.run_sound(pipeline="stable_audio", **given, seconds=3.0, ctx=ctx)
    hand = own(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        wanted = hand(
            "a red apple", negative_prompt="dark", guidance_scale=3.0, num_inference_steps=3, audio_end_in_s=3.0,
            generator=noise(2), num_waveforms_per_prompt=2, output_type="np",
        ).audios  # fmt: skip
    assert made.rate == 4 and made.samples.shape == (2, 2, 12) and made.fault() is None
    assert torch.equal(made.samples, torch.from_numpy(wanted).clamp(-1, 1)) and made.samples.std() > 0
    assert ctx.steps == [(step, 3) for step in (1, 2, 3)]
    assert pipeline.run_sound(pipeline="stable_audio", **given, ctx=ctx).samples.shape != made.samples.shape
    with pytest.raises(ProblemError, match=r"pipeline\.run_sound") as caught:
        pipeline.run(pipeline="stable_audio", prompt="a red apple", steps=2, ctx=ctx)
    assert codes(caught) == [("pipeline_failed", "pipeline")]
    there(home, "ddpm")
    with pytest.raises(ProblemError) as caught:
        pipeline.run_sound(pipeline="ddpm", steps=2, seconds=1.0, ctx=ctx)
    assert codes(caught) == [("argument_not_taken", "seconds")]
    with pytest.raises(ProblemError, match=r"the node pipeline\.run\b") as caught:
        pipeline.run_sound(pipeline="ddpm", steps=2, ctx=ctx)
    assert codes(caught) == [("pipeline_failed", "pipeline")]
    ctx.cancel_at, before = ctx.calls + 2, len(ctx.steps)
    with pytest.raises(Cancelled):
        pipeline.run_sound(pipeline="stable_audio", **{**given, "steps": 8}, ctx=ctx)
    assert len(ctx.steps) - before <= 2


def test_what_cannot_be_is_told(home: Path, ctx: BenchContext) -> None:
    there(home, "ddpm")

    def refused(**given: Any) -> list[tuple[str, str | None]]:
        with pytest.raises(ProblemError) as caught:
            pipeline.run(**{"pipeline": "ddpm", "steps": 2, **given}, ctx=ctx)
        return codes(caught)

    assert refused(prompt="a cat", guidance=2.0) == [
        ("argument_not_taken", "prompt"),
        ("argument_not_taken", "guidance"),
    ]
    assert refused(image=Image(torch.rand(1, 8, 8, 3))) == [("argument_not_taken", "image")]
    assert refused(arguments='{"eta": 1}') == [("argument_not_taken", "arguments")]
    for arguments in ("{", "[1]", '{"generator": 1}'):
        assert refused(arguments=arguments) == [("bad_arguments", "arguments")]
    assert refused(arguments='{"batch_size": "three"}') == [("pipeline_failed", "pipeline")]
    with pytest.raises(ProblemError, match=r"pipeline\.run") as caught:
        models.load(model="ddpm", ctx=ctx)
    assert codes(caught) == [("unsupported_family", "model")]


@pytest.mark.parametrize(
    "change",
    [
        {"_class_name": "EvilPipeline"},
        {"_class_name": ["evil", "DDPMPipeline"]},
        {"_class_name": "UNet2DModel"},
        {"unet": ["evil", "UNet2DModel"]},
        {"unet": ["os", "system"]},
        {"unet": ["transformers", "AutoModel"]},
        {"unet": ["transformers", "pipeline"]},
        {"un-et": ["evil", "UNet2DModel"]},
        {"unet": ["diffusers", "NoSuchModel"]},
    ],
)
def test_nothing_but_the_installed_classes_is_made(home: Path, ctx: BenchContext, change: Any, tmp_path: Path) -> None:
    import shutil

    folder = home / "models" / f"bad_{hashlib.sha256(json.dumps(change).encode()).hexdigest()[:8]}"
    shutil.copytree(there(home, "ddpm"), folder)
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    shutil.copy(folder / "evil.py", folder / "unet" / "evil.py")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, **change}))
    with pytest.raises(ProblemError) as caught:
        pipeline.run(pipeline=folder.name, steps=2, ctx=ctx)
    assert codes(caught) == [("pipeline_unknown", "pipeline")]
    assert not (tmp_path / "ran").exists()
