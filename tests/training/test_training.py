"""The starter model's training: what a checkpoint promises, and captions that do not change under one's feet."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.starter import data, state

from safelight_nodes._training import captions

torch = pytest.importorskip("torch")

SUBJECT = {"names": ["red apple", "apple"], "keywords": ["school"]}
SMALL = {
    "sample_size": 8, "in_channels": 16, "out_channels": 16,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "block_out_channels": (8, 16), "layers_per_block": 1, "attention_head_dim": 2, "norm_num_groups": 4,
    "cross_attention_dim": 256,
}  # fmt: skip


def _draws(seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [captions.caption(rng, SUBJECT, i % 3, int(rng.integers(23))) for i in range(200)]


def test_captions_are_a_function_of_the_seed():
    assert _draws(4) == _draws(4)
    assert _draws(4) != _draws(5)


def test_a_coloured_background_is_always_said_and_white_seldom():
    rng = np.random.default_rng(0)
    blue = captions.COLOURS.index("blue")
    assert all("blue" in captions.caption(rng, SUBJECT, 0, blue) for _ in range(100))
    said = sum("white" in captions.caption(rng, SUBJECT, 0, 0) for _ in range(400))
    assert 60 < said < 140


def test_explicit_captions_name_style_and_background():
    rng = np.random.default_rng(0)
    for style, words in enumerate(captions.STYLE_WORDS):
        for colour, names in enumerate(captions.PALETTE):
            text = captions.caption(rng, SUBJECT, style, colour, explicit=True).lower()
            assert any(word in text for word in words)
            assert any(name in text for name in names)


def test_colours_stay_near_their_name():
    rng = np.random.default_rng(0)
    for number, base in enumerate(captions.PALETTE.values()):
        same, rgb = captions.draw_colour(rng, number)
        assert same == number
        assert max(abs(a - b) for a, b in zip(rgb, base, strict=True)) <= 7


def test_shared_keywords_are_dropped():
    rare = captions.rare_keywords({"a": ["fruit", "mac_os"], "b": ["fruit"], "c": ["fruit"], "d": ["fruit"]})
    assert rare["a"] == ["mac os"]


def test_composite_keeps_opaque_and_fills_clear():
    picture = np.zeros((2, 2, 4), np.uint8)
    picture[0, 0] = (10, 20, 30, 255)
    result = data.composite(picture, (200, 100, 50))
    assert tuple(result[0, 0]) == (10, 20, 30)
    assert tuple(result[1, 1]) == (200, 100, 50)


def test_svg_pictures_render_on_a_clear_ground():
    resvg = pytest.importorskip("resvg_py", reason="resvg-py renders the flat and drawn pictures")
    import io

    from PIL import Image

    circle = '<circle cx="32" cy="32" r="20" fill="red"/>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64">{circle}</svg>'
    picture = data._contain(Image.open(io.BytesIO(bytes(resvg.svg_to_bytes(svg_string=svg)))))
    assert picture.shape == (data.SIZE, data.SIZE, 4)
    assert picture[64, 64].tolist() == [255, 0, 0, 255]
    assert picture[0, 0, 3] == 0


def _trainer():
    pytest.importorskip("diffusers")
    from training.starter.unet import Trainer, text_tower

    torch.manual_seed(0)
    return Trainer(SMALL, text_tower(64), rate=1e-3, seed=3)


def _steps(trainer, until: int):
    while trainer.step < until:
        rng = state.generator(9, trainer.step)
        latents = torch.from_numpy(rng.standard_normal((4, 16, 8, 8), dtype=np.float32))
        trainer.update(latents, torch.from_numpy(rng.integers(0, 64, (4, 32))), 1.0)


@pytest.mark.parametrize("freeze", [False, True])
def test_resumed_training_ends_in_the_same_weights(tmp_path: Path, freeze: bool):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        straight = _trainer()
        _steps(straight, 2)
        if freeze:
            straight.freeze_text()
        _steps(straight, 4)
        state.save(tmp_path / "a.pt", straight.state_dict())
        _steps(straight, 7)

        resumed = _trainer()
        resumed.load_state_dict(state.read(tmp_path / "a.pt"))
        if freeze:
            resumed.freeze_text()
        _steps(resumed, 7)
    finally:
        torch.set_num_threads(threads)
    for name, value in straight.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    for name, value in straight.average.shadow.items():
        assert torch.equal(value, resumed.average.shadow[name]), name


def test_training_changes_the_weights_and_freezing_holds_the_text_tower():
    trainer = _trainer()
    before = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    _steps(trainer, 1)
    moved = {k for k, v in trainer.model.state_dict().items() if not torch.equal(v, before[k])}
    assert any(k.startswith("unet.") for k in moved)
    assert any(k.startswith("text.") for k in moved)
    trainer.freeze_text()
    held = {k: v.clone() for k, v in trainer.text.state_dict().items()}
    _steps(trainer, 3)
    assert all(torch.equal(v, held[k]) for k, v in trainer.text.state_dict().items())


def test_a_torn_write_leaves_the_old_checkpoint(tmp_path: Path):
    path = tmp_path / "c.pt"
    state.save(path, {"step": 1})
    path.with_suffix(".partial").write_bytes(b"torn")
    assert state.read(path) == {"step": 1}


def test_standardised_latents_have_unit_deviation_and_the_same_pictures():
    diffusers = pytest.importorskip("diffusers")
    from training.starter.vae import standardise

    torch.manual_seed(0)
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, norm_num_groups=1,
    ).eval()  # fmt: skip
    x = torch.randn(4, 3, 16, 16)
    with torch.inference_mode():
        before = vae.encode(x).latent_dist
        picture = vae.decode(before.mode()).sample
        variance = before.var / before.mode().std((0, 2, 3))[:, None, None].square()
    standardise(vae, before.mode().clone())
    with torch.inference_mode():
        after = vae.encode(x).latent_dist
        assert torch.allclose(after.mode().mean((0, 2, 3)), torch.zeros(4), atol=1e-4)
        assert torch.allclose(after.mode().std((0, 2, 3)), torch.ones(4), atol=1e-4)
        assert torch.allclose(after.var, variance, rtol=1e-3)
        assert torch.allclose(vae.decode(after.mode()).sample, picture, atol=1e-4)


def test_the_schedule_ends_in_almost_pure_noise():
    pytest.importorskip("diffusers")
    from training.starter.unet import alphas_bar

    assert alphas_bar()[-1].sqrt() < 0.005
