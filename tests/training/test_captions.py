"""Captions that do not change under one's feet, and the images that they are about."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from safelight_nodes._training import captions
from training import everyday, fetch

SUBJECT = {"names": ["red apple", "apple"], "keywords": ["school"]}


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
    rare = everyday.rare_keywords({"a": ["fruit", "mac_os"], "b": ["fruit"], "c": ["fruit"], "d": ["fruit"]})
    assert rare["a"] == ["mac os"]


def test_a_image_with_captions_of_its_own_gets_one_of_them_as_it_stands():
    rng = np.random.default_rng(0)
    assert {captions.caption(rng, SUBJECT, -1, 3) for _ in range(50)} == {"red apple", "apple"}


def test_svg_images_render_on_a_clear_ground():
    resvg = pytest.importorskip("resvg_py", reason="resvg-py renders the flat and drawn images")
    from PIL import Image

    circle = '<circle cx="32" cy="32" r="20" fill="red"/>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64">{circle}</svg>'
    image = fetch._contain(Image.open(io.BytesIO(bytes(resvg.svg_to_bytes(svg_string=svg)))), fetch.SIZE)
    assert image.shape == (fetch.SIZE, fetch.SIZE, 4)
    assert image[64, 64].tolist() == [255, 0, 0, 255]
    assert image[0, 0, 3] == 0


def test_packages_are_pinned_and_their_licences_known():
    found = fetch.sources()
    assert {entry["licence"] for entry in found} == {"MIT", "Apache-2.0"}
    assert all(entry["version"].count(".") == 2 for entry in found)
    shipped = Path(fetch.__file__).parents[1] / "server" / "safelight" / "starter" / "licenses"
    assert {path.stem for path in shipped.iterdir()} >= {entry["licence"] for entry in found}
    json.dumps(found)


def test_the_schedule_of_a_new_model_ends_in_almost_pure_noise():
    diffusers = pytest.importorskip("diffusers")
    from safelight_nodes._training.denoiser import Settings, scheduler_settings

    settings = Settings(False, 1, 1, 1e-3, 0, "cosine", 0.9, "v_prediction", 5.0, 0.03, 8, 8, 1, 1, 8, 1, 0)
    made = diffusers.DDIMScheduler.from_config(scheduler_settings(settings))
    assert made.alphas_cumprod[-1].sqrt() < 0.005
