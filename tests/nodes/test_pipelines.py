"""Pipelines of diffusers that no family knows, run by their signature: equal to the pipelines themselves."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from node_bench import BenchContext, codes
from safelight.environment import Environment
from safelight.families._clip.tiny import seeded
from safelight.families._t5 import tiny as t5
from safelight.families._unet.tiny import vae
from safelight.models import ModelStore
from safelight.sdk import Cancelled, Image, ProblemError
from safelight_nodes import models, pipeline


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with an unconditional model of pixels, and a transformer led by T5."""
    import diffusers

    folder = tmp_path_factory.mktemp("home")
    with seeded(3):
        unet = diffusers.UNet2DModel(
            sample_size=16, in_channels=3, out_channels=3, block_out_channels=(8, 16), layers_per_block=1,
            norm_num_groups=4, down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"), attention_head_dim=4,
        )  # fmt: skip
        diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler()).save_pretrained(folder / "models" / "ddpm")
        transformer = diffusers.PixArtTransformer2DModel(
            num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8, num_layers=2,
            cross_attention_dim=16, sample_size=8, patch_size=2, caption_channels=32, norm_type="ada_norm_single",
            use_additional_conditions=False,
        )  # fmt: skip
        for parameter in transformer.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        diffusers.PixArtSigmaPipeline(
            tokenizer=t5.tokenizer(), text_encoder=t5.encoder(32), vae=vae(0.18215), transformer=transformer,
            scheduler=diffusers.DPMSolverMultistepScheduler(),
        ).save_pretrained(folder / "models" / "pixart")  # fmt: skip
    return folder


@pytest.fixture
def ctx(home: Path) -> BenchContext:
    given = {"HF_HUB_OFFLINE": "1", "SAFELIGHT_DEVICE": "cpu", "SAFELIGHT_PRECISION": "float32"}
    digest = {"fingerprint": lambda path: hashlib.sha256(path.read_bytes()).hexdigest()}
    return BenchContext(ModelStore(home, environment=Environment.read(given), **digest))


def noise(batch: int) -> Any:
    found = [torch.Generator().manual_seed(5 + place) for place in range(batch)]
    return found if batch > 1 else found[0]


@pytest.mark.parametrize("batch", [1, 3])
def test_an_unconditional_model(home: Path, ctx: BenchContext, batch: int) -> None:
    import diffusers

    made = pipeline.run(pipeline="ddpm", steps=4, batch=batch, seed=5, ctx=ctx)
    own = diffusers.DDPMPipeline.from_pretrained(home / "models" / "ddpm")
    own.set_progress_bar_config(disable=True)
    wanted = own(batch_size=batch, num_inference_steps=4, generator=noise(batch), output_type="np").images
    assert made.pixels.shape == (batch, 16, 16, 3) and torch.equal(made.pixels, torch.from_numpy(wanted))
    assert ctx.steps == [(step, 4) for step in (1, 2, 3, 4)]


WORDS = {"prompt": "a red apple", "negative": "dark", "steps": 3, "guidance": 3.0, "width": 64, "height": 64, "seed": 5}
EXTRA = {"clean_caption": False, "use_resolution_binning": False, "max_sequence_length": 20}


@pytest.mark.parametrize("batch", [1, 3])
def test_a_model_led_by_text(home: Path, ctx: BenchContext, batch: int) -> None:
    import diffusers

    ctx.previews = True
    made = pipeline.run(pipeline="pixart", **WORDS, batch=batch, arguments=json.dumps(EXTRA), ctx=ctx)
    own = diffusers.PixArtSigmaPipeline.from_pretrained(home / "models" / "pixart")
    own.set_progress_bar_config(disable=True)
    wanted = own(
        "a red apple", "dark", num_inference_steps=3, guidance_scale=3.0, width=64, height=64, generator=noise(batch),
        num_images_per_prompt=batch, output_type="np", **EXTRA,
    ).images  # fmt: skip
    assert torch.equal(made.pixels, torch.from_numpy(wanted))
    assert ctx.steps == [(step, 3) for step in (1, 2, 3)]
    # This one calls back behind its bar, so a step shows what the step before has made.
    assert [tuple(shown.pixels.shape) for shown in ctx.shown] == [(batch, 8, 8, 3)] * 2
    again = pipeline.run(pipeline="pixart", **WORDS, batch=batch, arguments=json.dumps(EXTRA), ctx=ctx)
    assert torch.equal(again.pixels, made.pixels), "nothing of a run is left in what is held in memory"
    other = pipeline.run(
        pipeline="pixart", **{**WORDS, "prompt": "sea"}, batch=batch, arguments=json.dumps(EXTRA), ctx=ctx
    )
    assert not torch.equal(other.pixels, made.pixels)


@pytest.mark.parametrize("name", ["ddpm", "pixart"])
def test_it_stops_after_the_step_at_hand(ctx: BenchContext, name: str) -> None:
    ctx.cancel_at = 3
    given = {**WORDS, "arguments": json.dumps(EXTRA)} if name == "pixart" else {"steps": 10}
    with pytest.raises(Cancelled):
        pipeline.run(pipeline=name, **given, ctx=ctx)
    assert len(ctx.steps) <= 2


def test_what_cannot_be_is_told(home: Path, ctx: BenchContext) -> None:
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
    shutil.copytree(home / "models" / "ddpm", folder)
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    shutil.copy(folder / "evil.py", folder / "unet" / "evil.py")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, **change}))
    with pytest.raises(ProblemError) as caught:
        pipeline.run(pipeline=folder.name, steps=2, ctx=ctx)
    assert codes(caught) == [("pipeline_unknown", "pipeline")]
    assert not (tmp_path / "ran").exists()
