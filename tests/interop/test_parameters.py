"""Settings that other programs wrote into images become a graph that makes such an image."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from comfyui_sampling import Trained
from safelight.diffusion.k_diffusion.levels import levels_of
from safelight.diffusion.k_diffusion.schedules import sigmas_of
from safelight.graph import Document
from safelight.interop.parameters.a1111 import read_a1111
from safelight.interop.reading import read
from safelight.media.registry import built_in
from safelight.sdk.problem import ProblemError
from safelight_nodes.sampling import span
from settings_images import commented, made, png, values

PLAIN = (
    "a cat 🐱, (soft:1.2)\non two lines\nNegative prompt: dog, text\nSteps: 20, Sampler: DPM++ 2M Karras, "
    "CFG scale: 7.5, Seed: 4294967295, Size: 512x768, Model hash: abc, Model: photo_v5, RNG: CPU"
)
HIRES = (
    "a <lora:detail:0.7> tower\nNegative prompt: fog\nSteps: 30, Sampler: Euler a, Schedule type: Automatic, "
    "CFG scale: 6, Seed: 3, Size: 512x512, Model: xl, VAE: good.safetensors, Denoising strength: 0.4, Clip skip: 2, "
    "Hires upscale: 2, Hires steps: 12, Hires upscaler: 4x-UltraSharp, ADetailer model: face_yolov8n.pt, "
    'Lora hashes: "detail: 1f, other: 2e", Variation seed: 9, Variation seed strength: 0.2, Version: v1.10.1'
)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TXT"])
def test_a_plain_record(form: str) -> None:
    data = {"PNG": lambda: png(parameters=PLAIN), "TXT": PLAIN.encode}.get(form, lambda: commented(form, PLAIN))()
    document, remarks = made(data)
    assert [one[:24] for one in remarks] == ["A1111 weighs words by an"]
    assert values(document, "prompt") == {"text": "a cat 🐱, (soft:1.2)\non two lines"}
    assert values(document, "negative") == {"text": "dog, text"}
    assert values(document, "latent") == {"width": 512, "height": 768}
    assert values(document, "model") == {"model": "checkpoints/photo_v5.safetensors"}
    assert values(document, "sample") == {
        **{"steps": 20, "guidance": 7.5, "seed": 4294967295},
        **{"sampler": "dpmpp_2m", "scheduler": "karras", "formulas": "k-diffusion"},
    }


def test_all_that_a_record_says() -> None:
    document, remarks = made(png(parameters=HIRES))
    types = {name: node.type for name, node in document.nodes.items()}
    assert types["loras"] == "models.apply_prompt_loras" and types["mix"] == "noise.blend"
    assert types["vae"] == "models.load_vae" and values(document, "vae") == {"vae": "vae/good.safetensors"}
    assert values(document, "negative")["clip_skip"] == 1
    assert values(document, "variation") == {"seed": 9} and values(document, "mix") == {"amount": 0.2}
    assert values(document, "upscaler") == {"upscaler": "upscale_models/4x-UltraSharp"}
    assert values(document, "enlarged") == {"factor": 2.0}
    assert "denoise" not in values(document, "sample") and values(document, "again")["denoise"] == 0.4
    assert (values(document, "sample")["steps"], values(document, "again")["steps"]) == (30, 12)
    links = {(str(one.source), str(one.target)) for one in document.links}
    assert ("loras.prompt", "prompt.text") in links and ("mix.noise", "sample.noise") in links
    assert len(remarks) == 2 and "ADetailer" in remarks[0] and "RNG: GPU" in remarks[1]


def test_an_image_that_was_changed_asks_for_the_one_before() -> None:
    reading = read(png(parameters="a\nSteps: 5, Sampler: Euler, Seed: 1, Denoising strength: 0.6"), built_in())
    assert reading.document.nodes["image"].type == "image.load" and reading.report is not None
    assert "another image" in reading.report.remarks[1].message
    sampler = values(reading.document, "sample")
    assert sampler["steps"] == 4 and int(4 / sampler["denoise"]) == 5


@pytest.mark.parametrize(
    "text", ["a [cat:dog:0.4]\nSteps: 9, Sampler: Euler, Seed: 1", "a AND b\nSteps: 9, Sampler: Euler, Seed: 1"]
)
def test_prompts_that_change_are_read_as_such(text: str) -> None:
    document, _ = made(png(parameters=text))
    assert document.nodes["prompt"].type == "text.encode_schedule" and values(document, "prompt")["steps"] == 9


OBJECTS = {
    "InvokeAI": lambda: png(
        invokeai_metadata=json.dumps(
            {
                **{"positive_prompt": "a", "negative_prompt": "b", "width": 640, "height": 512, "seed": 7, "steps": 12},
                **{"cfg_scale": 5.5, "scheduler": "dpmpp_2m_k", "model": {"name": "mine", "base": "sdxl"}},
                "loras": [{"model": {"name": "it"}, "weight": 0.5}],
            }
        )
    ),
    "SwarmUI": lambda: png(
        parameters=json.dumps(
            {
                "sui_image_params": {
                    **{"prompt": "a", "negativeprompt": "b", "model": "mine", "seed": 7, "steps": 12, "cfgscale": 5.5},
                    **{"width": 640, "height": 512, "sampler": "dpmpp_2m", "scheduler": "karras"},
                    **{"loras": ["it"], "loraweights": ["0.5"]},
                }
            }
        ).replace('["0.5"]', '"0.5"')
    ),
    "NovelAI": lambda: png(
        Software="NovelAI",
        Comment=json.dumps(
            {
                **{"prompt": "a", "uc": "b", "steps": 12, "scale": 5.5, "seed": 7, "width": 640, "height": 512},
                **{"sampler": "k_dpmpp_2m", "noise_schedule": "karras"},
            }
        ),
    ),
}


@pytest.mark.parametrize("program", OBJECTS)
def test_programs_that_write_json(program: str) -> None:
    reading = read(OBJECTS[program](), built_in())
    document, report = reading
    assert report is not None and report.program == program
    assert (values(document, "prompt")["text"], values(document, "negative")["text"]) == ("a", "b")
    assert values(document, "latent") == {"width": 640, "height": 512}
    sampler = values(document, "sample")
    wanted = {"steps": 12, "guidance": 5.5, "seed": 7, "sampler": "dpmpp_2m", "scheduler": "karras"}
    assert sampler == wanted | ({"formulas": "k-diffusion"} if program == "SwarmUI" else {})
    if program != "NovelAI":
        assert values(document, "model") == {"model": "checkpoints/mine.safetensors"}
        assert values(document, "lora_1") == {"lora": "loras/it.safetensors", "weight": 0.5, "text_weight": 0.5}


@pytest.mark.parametrize(
    "text",
    [
        "Steps: 20, Sampler: Euler, Seed: 1",
        "a\nSteps: many, Sampler: Nobody, CFG scale: nan, Seed: -1, Size: 0x0, Clip skip: -5",
        "a\nSteps: 1e9, Seed: 99999999999999999999999999, Size: 99999x1, Denoising strength: 7, Hires upscale: -3",
        'a\nSteps: 3, Sampler: "Eu\\", Seed: 1, Model: "un"closed',
        "a\nNegative prompt:\nNegative prompt: b\nSteps: 2, Seed: 1, Variation seed strength: 5",
    ],
)
def test_what_is_odd_is_read_as_far_as_it_goes(text: str) -> None:
    document, report = read(png(parameters=text), built_in())
    assert Document.loads(document.dumps()) == document and report is not None


@pytest.mark.parametrize("text", ["", "a cat", "Steps of a dance: many\nand more", "{}", '{"sui_image_params": 3}'])
def test_what_is_none_is_not_taken_for_one(text: str) -> None:
    with pytest.raises(ProblemError) as caught:
        read(png(parameters=text), built_in())
    assert caught.value.problems[0].code == "no_workflow_inside"


def test_a_seed_that_is_too_large_is_told() -> None:
    document, remarks = made(png(parameters=f"a\nSteps: 3, Sampler: Euler, Seed: {2**65 - 1}"))
    assert values(document, "sample")["seed"] == 2**64 - 1 and "noise is another" in remarks[0]


@pytest.mark.parametrize(
    ("sampler", "schedule", "wanted"),
    [
        ("Euler", "Uniform", ("euler", "normal", "k-diffusion")),
        ("Euler a", "", ("euler_ancestral", "normal", "k-diffusion")),
        ("DPM++ 2M", "Automatic", ("dpmpp_2m", "karras", "k-diffusion")),
        ("DPM++ 2M", "", ("dpmpp_2m", "normal", "k-diffusion")),
        ("DPM++ 3M SDE", "Automatic", ("dpmpp_3m_sde", "exponential", "k-diffusion")),
        ("DPM++ 2S a Karras", "", ("dpmpp_2s_ancestral", "karras", "k-diffusion")),
        ("Heun", "SGM Uniform", ("heun", "sgm_uniform", "k-diffusion")),
        ("Euler", "Align Your Steps", ("euler", "", "")),
        ("DDIM", "Automatic", ("ddim", "", "")),
        ("UniPC", "Automatic", ("unipc", "", "")),
    ],
)
def test_samplers_mean_the_formulas_that_a1111_has(sampler: str, schedule: str, wanted: tuple[str, str, str]) -> None:
    said = read_a1111(f"a\nSteps: 9, Sampler: {sampler}, Schedule type: {schedule}, Seed: 1")
    assert (said.sampler, said.scheduler, said.formulas) == wanted


@pytest.mark.parametrize(
    ("told", "remark"),
    [
        ("Sampler: Euler, RNG: CPU", ""),
        ("Sampler: Euler, RNG: NV", "RNG: NV"),
        ("Sampler: Euler", "RNG: GPU"),
        ("Sampler: Euler a, RNG: CPU", "between its steps"),
        ("Sampler: Euler, Schedule type: Beta, RNG: CPU", "another formula"),
        ("Sampler: DDIM, RNG: CPU", ""),
    ],
)
def test_what_differs_still_is_told(told: str, remark: str) -> None:
    said = read_a1111(f"a\nSteps: 9, {told}, Seed: 1")
    assert [remark in one for one in said.remarks] == ([True] if remark else [])


def _evenly(steps: int) -> Tensor:
    """k-diffusion's own schedule, which A1111 calls Uniform: evenly over the timesteps, between logarithms."""
    table = Trained()
    return torch.stack([table.sigma(time) for time in torch.linspace(999, 0, steps)] + [torch.zeros(())])


def _karras(steps: int) -> Tensor:
    low, high = (float(Trained().sigmas[end]) ** (1 / 7) for end in (0, -1))
    return torch.tensor([(high + place / (steps - 1) * (low - high)) ** 7 for place in range(steps)] + [0.0])


@pytest.mark.parametrize(("schedule", "formula"), [("Uniform", _evenly), ("Karras", _karras)])
@pytest.mark.parametrize("denoise", [None, 0.1, 0.4, 0.6, 0.75, 0.99])
def test_the_levels_are_those_that_a1111_walks(
    schedule: str, formula: Callable[[int], Tensor], denoise: float | None
) -> None:
    """An image is changed along the last int(denoise steps) + 1 of the steps."""
    steps = 20
    changed = f", Denoising strength: {denoise}" if denoise else ""
    said = read_a1111(f"a\nSteps: {steps}, Sampler: Euler, Schedule type: {schedule}, Seed: 1{changed}")
    theirs = formula(steps)[-(int(denoise * steps) + 2) :] if denoise else formula(steps)
    first, total = span(said.steps, said.denoise, said.formulas)
    trained = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000}
    ours = sigmas_of(levels_of(trained), said.scheduler, total)[first:]
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs, rtol=2e-5, atol=1e-5)


def test_half_a_character_is_told() -> None:
    broken = json.dumps({"sui_image_params": {"prompt": "\ud83d"}})
    with pytest.raises(ProblemError) as caught:
        read(png(parameters=broken), built_in())
    assert caught.value.problems[0].code == "bad_value"
