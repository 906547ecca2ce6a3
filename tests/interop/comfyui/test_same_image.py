"""A graph of ComfyUI, imported and run, makes the image of ComfyUI's formulas (`comfyui_sampling`) on miniatures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import diffusers as library
import pytest
import torch
from torch import Tensor

import tiny_models
from comfyui_sampling import Denoise, Flow, Table, Trained, ksampler_sigmas, noise, noised, sample, schedule
from safelight.app import Studio
from safelight.graph import OutputPort, Port
from safelight.interop.comfyui.opening import read_comfyui
from safelight.sdk import Image
from safelight.sdk.problem import errors

diffusers: Any = library
CLOSE = 1e-4
"""The bar: the largest difference of a pixel, in 0..1."""
SAMPLERS = ("euler", "euler_ancestral", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_sde", "ddim", "uni_pc", "lcm")
SCHEDULERS = ("normal", "karras", "exponential", "sgm_uniform", "simple", "ddim_uniform", "beta")
OTHERS = ("heun", "dpm_2", "dpm_2_ancestral", "lms", "dpmpp_2s_ancestral", "dpmpp_3m_sde", "ddpm", "uni_pc_bh2")
TEXT, SEED, STEPS, CFG = "a red apple", 11, 5, 4.0
SIZE = 64

Graph = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Miniatures are too small to be shared out among threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    diffusers.utils.logging.set_verbosity_error()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    home = tmp_path_factory.mktemp("home")
    models = home / "models" / "checkpoints"
    tiny_models.tiny_sd1(models / "sd1")
    for family in ("sd3", "flux"):
        tiny_models.FAMILIES[family].tiny(models / family, 3)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"SAFELIGHT_DEVICE": "cpu", "SAFELIGHT_PRECISION": "float32"}.items():
            patch.setenv(name, value)
        patch.delenv("SAFELIGHT_MODELS", raising=False)
        with Studio.open(home) as opened:
            yield opened


def graph(model: str, **said: Any) -> Graph:
    """Text to image, in the format of the API."""
    values = {"seed": SEED, "steps": STEPS, "cfg": CFG, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    return {
        "model": node("CheckpointLoaderSimple", ckpt_name=model),
        "positive": node("CLIPTextEncode", text=TEXT, clip=["model", 1]),
        "negative": node("CLIPTextEncode", text="", clip=["model", 1]),
        "latent": node("EmptyLatentImage", width=SIZE, height=SIZE, batch_size=1),
        "sample": node("KSampler", **{**values, **said}, **WIRED),
        "decode": node("VAEDecode", samples=["sample", 0], vae=["model", 2]),
    }


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


WIRED = {
    "model": ["model", 0],
    "positive": ["positive", 0],
    "negative": ["negative", 0],
    "latent_image": ["latent", 0],
}


def made(studio: Studio, given: Graph, folder: Path) -> Tensor:
    """The image (B, H, W, 3) of a graph."""
    document, report = read_comfyui(json.loads(json.dumps(given)))
    assert report.whole, report.summary()
    assert not report.remarks, [problem.message for problem in report.remarks]
    name = next(name for name, one in document.nodes.items() if one.type == "vae.decode")
    document = replace(document, outputs=(OutputPort("image", Port(name, "image")),))
    outcome = studio.run(document, output=folder)
    assert not errors(outcome.result.problems), outcome.result.problems
    image = outcome.result.values["image"]
    assert isinstance(image, Image)
    return image.pixels


@dataclass
class Plain:
    """A miniature by the classes of diffusers alone."""

    pipeline: Any
    table: Table
    denoise: Callable[..., Denoise]
    """From a strength of guidance, a prompt and a batch to the finished latent that the model sees."""
    channels: int

    def image(self, latent: Tensor) -> Tensor:
        vae = self.pipeline.vae
        pixels = vae.decode(latent / vae.config.scaling_factor + (vae.config.shift_factor or 0), return_dict=False)[0]
        return (pixels / 2 + 0.5).clamp(0, 1).movedim(1, -1)

    def of(
        self, sampler: str, sigmas: Sequence[float], latent: Tensor | None = None, batch: int = 1, **said: Any
    ) -> Tensor:
        given = torch.zeros(batch, self.channels, SIZE // 8, SIZE // 8) if latent is None else latent
        begun = noised(given, noise(SEED, given.shape), sigmas[0], self.table)
        return sample(sampler, self.denoise(batch=len(given), **said), begun, sigmas, SEED, self.table)


def sd1(folder: Path, prediction: str) -> Plain:
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    table = Trained()

    def denoise(prompt: Tensor | None = None, batch: int = 1) -> Denoise:
        said = [encoded(pipeline, "")[0], encoded(pipeline, TEXT)[0] if prompt is None else prompt]

        def run(x: Tensor, sigma: Tensor) -> Tensor:
            scaled = x / (1 + sigma**2).sqrt()
            given = [one.expand(batch, *one.shape[1:]) for one in said]
            no, yes = (pipeline.unet(scaled, table.time(sigma), one).sample for one in given)
            found = no + CFG * (yes - no)
            if prediction == "eps":
                return x - sigma * found
            return x / (1 + sigma**2) - found * sigma / (1 + sigma**2).sqrt()

        return run

    return Plain(pipeline, table, denoise, 4)


def encoded(pipeline: Any, text: str, layer: int = -1) -> tuple[Tensor, Tensor]:
    """A text as CLIP reads it, through its last norm; and an empty one."""
    reader = pipeline.tokenizer
    found = []
    for one in (text, ""):
        ids = reader(one, padding="max_length", max_length=77, return_tensors="pt").input_ids
        states = pipeline.text_encoder(ids, output_hidden_states=True).hidden_states
        encoder = pipeline.text_encoder
        found.append(getattr(encoder, "text_model", encoder).final_layer_norm(states[layer]))
    return found[0], found[1]


def sd3(folder: Path, shift: float) -> Plain:
    pipeline = diffusers.StableDiffusion3Pipeline.from_pretrained(folder)
    yes, no, pooled_yes, pooled_no = pipeline.encode_prompt(
        TEXT, TEXT, TEXT, negative_prompt="", negative_prompt_2="", negative_prompt_3="", max_sequence_length=256
    )

    def denoise(batch: int = 1) -> Denoise:
        def run(x: Tensor, sigma: Tensor) -> Tensor:
            flows = [
                pipeline.transformer(
                    hidden_states=x,
                    timestep=(sigma * 1000).expand(batch),
                    encoder_hidden_states=text.expand(batch, *text.shape[1:]),
                    pooled_projections=pooled.expand(batch, *pooled.shape[1:]),
                    return_dict=False,
                )[0]
                for text, pooled in ((no, pooled_no), (yes, pooled_yes))
            ]
            return x - sigma * (flows[0] + CFG * (flows[1] - flows[0]))

        return run

    return Plain(pipeline, Flow(shift, 1000), denoise, 16)


def flux(folder: Path, shift: float) -> Plain:
    pipeline = diffusers.FluxPipeline.from_pretrained(folder)
    text, pooled, places = pipeline.encode_prompt(TEXT, TEXT, max_sequence_length=512)

    def denoise(batch: int = 1) -> Denoise:
        cells = SIZE // 8
        at = pipeline._prepare_latent_image_ids(1, cells // 2, cells // 2, torch.device("cpu"), torch.float32)

        def run(x: Tensor, sigma: Tensor) -> Tensor:
            flow = pipeline.transformer(
                hidden_states=pipeline._pack_latents(x, len(x), x.shape[1], cells, cells),
                timestep=sigma.expand(len(x)),
                guidance=torch.full((len(x),), 3.5) if pipeline.transformer.config.guidance_embeds else None,
                pooled_projections=pooled.expand(len(x), -1),
                encoder_hidden_states=text.expand(len(x), -1, -1),
                txt_ids=places,
                img_ids=at,
                return_dict=False,
            )[0]
            return x - sigma * pipeline._unpack_latents(flow, SIZE, SIZE, 8)

        return run

    return Plain(pipeline, Flow(shift, 10_000), denoise, 16)


KINDS = ("eps", "v", "sd3", "flux")
SD3_SHIFT = 2.5
FLUX_SHIFT = math.exp(0.5 + (1.15 - 0.5) / (4096 - 256) * (768 * 512 / 256 - 256))
"""ModelSamplingFlux at 768 x 512: mu goes in a straight line from 0.5 for 256 tokens to 1.15 for 4096."""


def changed(kind: str, given: Graph) -> Graph:
    """The graph with what says how the model is sampled: another prediction, or another shift."""
    setting = {
        "v": node("ModelSamplingDiscrete", sampling="v_prediction", zsnr=False, model=["model", 0]),
        "sd3": node("ModelSamplingSD3", shift=SD3_SHIFT, model=["model", 0]),
        "flux": node("ModelSamplingFlux", max_shift=1.15, base_shift=0.5, width=768, height=512, model=["model", 0]),
    }.get(kind)
    if setting is not None:
        given["setting"] = setting
        for one in given.values():
            if one is not setting and one["inputs"].get("model") == ["model", 0]:
                one["inputs"]["model"] = ["setting", 0]
    if kind == "flux":
        given["guidance"] = node("FluxGuidance", guidance=3.5, conditioning=["positive", 0])
        given["sample"]["inputs"] |= {"cfg": 1.0, "positive": ["guidance", 0]}
    return given


def checkpoint(kind: str) -> str:
    return "sd1" if kind in ("eps", "v") else kind


@pytest.fixture(scope="module")
def plain(studio: Studio) -> Callable[[str], Plain]:
    held: dict[str, Plain] = {}
    where = studio.home / "models" / "checkpoints"

    def of(kind: str) -> Plain:
        if kind not in held:
            folder = where / checkpoint(kind)
            held[kind] = {
                "eps": lambda: sd1(folder, "eps"),
                "v": lambda: sd1(folder, "v"),
                "sd3": lambda: sd3(folder, SD3_SHIFT),
                "flux": lambda: flux(folder, FLUX_SHIFT),
            }[kind]()
            for part in ("text_encoder", "text_encoder_2", "text_encoder_3", "unet", "transformer", "vae"):
                if getattr(held[kind].pipeline, part, None) is not None:
                    getattr(held[kind].pipeline, part).eval()
        return held[kind]

    return of


def farthest(one: Tensor, other: Tensor) -> float:
    assert one.shape == other.shape
    return float((one - other).abs().max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sampler", SAMPLERS)
@torch.no_grad()
def test_every_scheduler(studio: Studio, plain: Any, tmp_path: Path, kind: str, sampler: str) -> None:
    model, found = plain(kind), {}
    for scheduler in SCHEDULERS:
        given = changed(kind, graph(checkpoint(kind), sampler_name=sampler, scheduler=scheduler))
        image = made(studio, given, tmp_path)
        wanted = model.image(model.of(sampler, ksampler_sigmas(sampler, scheduler, model.table, STEPS)))
        assert wanted.std() > 0.01, "the image shows something"
        found[scheduler] = farthest(image, wanted)
    assert max(found.values()) <= CLOSE, found


@pytest.mark.parametrize("sampler", OTHERS)
@torch.no_grad()
def test_other_samplers(studio: Studio, plain: Any, tmp_path: Path, sampler: str) -> None:
    model = plain("eps")
    image = made(studio, graph("sd1", sampler_name=sampler, scheduler="karras"), tmp_path)
    wanted = model.image(model.of(sampler, ksampler_sigmas(sampler, "karras", model.table, STEPS)))
    assert farthest(image, wanted) <= CLOSE


def encoding(given: Graph, size: tuple[int, int]) -> Tensor:
    """Puts an image in the place of the empty latent; gives it as it is, (1, H, W, 3)."""
    width, height = size
    given["image"] = node("EmptyImage", width=width, height=height, batch_size=1, color=0x3366CC)
    given["latent"] = node("VAEEncode", pixels=["image", 0], vae=["model", 2])
    return torch.tensor([0x33, 0x66, 0xCC]).expand(1, height, width, 3) / 255


@pytest.mark.parametrize("kind", ["eps", "sd3", "flux"])
@pytest.mark.parametrize(("sampler", "size"), [("euler", (64, 64)), ("dpmpp_2m_sde", (71, 64)), ("uni_pc", (64, 70))])
@torch.no_grad()
def test_an_image_to_start_from(
    studio: Studio, plain: Any, tmp_path: Path, kind: str, sampler: str, size: tuple[int, int]
) -> None:
    """Less denoise is the end of a longer schedule; the middle of an image is encoded, in whole cells, to the mean."""
    model = plain(kind)
    given = graph(checkpoint(kind), sampler_name=sampler, scheduler="karras", denoise=0.6)
    pixels = encoding(given, size)
    image = made(studio, changed(kind, given), tmp_path)
    vae = model.pipeline.vae
    left, top = (size[0] - SIZE) // 2, (size[1] - SIZE) // 2
    cut = pixels[:, top : top + SIZE, left : left + SIZE].movedim(-1, 1).contiguous()
    mean = vae.encode(cut * 2 - 1).latent_dist.mean
    latent = (mean - (vae.config.shift_factor or 0)) * vae.config.scaling_factor
    sigmas = ksampler_sigmas(sampler, "karras", model.table, STEPS, 0.6)
    assert len(sigmas) == STEPS + 1
    assert farthest(image, model.image(model.of(sampler, sigmas, latent))) <= CLOSE


@pytest.mark.parametrize("kind", ["eps", "flux"])
@torch.no_grad()
def test_a_batch_has_one_draw(studio: Studio, plain: Any, tmp_path: Path, kind: str) -> None:
    model = plain(kind)
    for sampler in ("euler_ancestral", "dpmpp_sde"):
        given = changed(kind, graph(checkpoint(kind), sampler_name=sampler, scheduler="simple"))
        given["latent"]["inputs"]["batch_size"] = 3
        image = made(studio, given, tmp_path)
        sigmas = ksampler_sigmas(sampler, "simple", model.table, STEPS)
        assert farthest(image, model.image(model.of(sampler, sigmas, batch=3))) <= CLOSE


@pytest.mark.parametrize("sampler", ["euler_ancestral", "dpmpp_2m"])
@torch.no_grad()
def test_two_halves(studio: Studio, plain: Any, tmp_path: Path, sampler: str) -> None:
    """KSamplerAdvanced twice: the second goes on with what noise the first has left; memory and noise begin again."""
    model = plain("eps")
    given = graph("sd1")
    said = {"steps": STEPS, "cfg": CFG, "sampler_name": sampler, "scheduler": "normal", "noise_seed": SEED}
    ways = (("enable", 0, 3, "enable"), ("disable", 3, 10000, "disable"))
    for name, (add, start, end, left) in zip(("first", "sample"), ways, strict=True):
        own = {"add_noise": add, "start_at_step": start, "end_at_step": end, "return_with_leftover_noise": left}
        given[name] = node("KSamplerAdvanced", **said, **own, **WIRED)
    given["sample"]["inputs"]["latent_image"] = ["first", 0]
    image = made(studio, given, tmp_path)
    sigmas = ksampler_sigmas(sampler, "normal", model.table, STEPS)
    half = model.of(sampler, sigmas[:4])
    whole = sample(sampler, model.denoise(), half, sigmas[3:], SEED, model.table)
    assert farthest(image, model.image(whole)) <= CLOSE


@torch.no_grad()
def test_an_end_without_noise(studio: Studio, plain: Any, tmp_path: Path) -> None:
    """A schedule that stops early, and is to leave no noise: its last step goes to 0."""
    model, given = plain("eps"), graph("sd1")
    said = {"steps": STEPS, "cfg": CFG, "sampler_name": "dpmpp_2m", "scheduler": "karras", "noise_seed": SEED}
    own = {"add_noise": "enable", "start_at_step": 0, "end_at_step": 3, "return_with_leftover_noise": "disable"}
    given["sample"] = node("KSamplerAdvanced", **said, **own, **WIRED)
    image = made(studio, given, tmp_path)
    sigmas = ksampler_sigmas("dpmpp_2m", "karras", model.table, STEPS)
    assert farthest(image, model.image(model.of("dpmpp_2m", [*sigmas[:3], 0.0]))) <= CLOSE


@pytest.mark.parametrize("kind", ["eps", "flux"])
@pytest.mark.parametrize(("sampler", "denoise"), [("dpmpp_2m", 1.0), ("uni_pc", 1.0), ("euler", 0.5)])
@torch.no_grad()
def test_a_sampler_of_pieces(
    studio: Studio, plain: Any, tmp_path: Path, kind: str, sampler: str, denoise: float
) -> None:
    """SamplerCustomAdvanced: here no sampler leaves out a level."""
    model, given = plain(kind), graph(checkpoint(kind))
    given["levels"] = node("BasicScheduler", scheduler="beta", steps=STEPS, denoise=denoise, model=["model", 0])
    given["choice"] = node("KSamplerSelect", sampler_name=sampler)
    given["noise"] = node("RandomNoise", noise_seed=SEED)
    given["guide"] = node("CFGGuider", cfg=CFG, **{key: WIRED[key] for key in ("model", "positive", "negative")})
    changed(kind, given)
    if kind == "flux":
        given["guide"] = node("BasicGuider", model=["setting", 0], conditioning=["guidance", 0])
    given["sample"] = node(
        "SamplerCustomAdvanced",
        **{"noise": ["noise", 0], "guider": ["guide", 0], "sampler": ["choice", 0]},
        **{"sigmas": ["levels", 0], "latent_image": ["latent", 0]},
    )
    image = made(studio, given, tmp_path)
    total = int(STEPS / denoise)
    sigmas = schedule("beta", model.table, total)
    sigmas = sigmas if denoise == 1 else sigmas[-(STEPS + 1) :]
    assert farthest(image, model.image(model.of(sampler, sigmas))) <= CLOSE


@torch.no_grad()
def test_levels_in_two_parts(studio: Studio, plain: Any, tmp_path: Path) -> None:
    """SplitSigmas, and a sampler for each part."""
    model, given = plain("eps"), graph("sd1")
    given["levels"] = node("BasicScheduler", scheduler="karras", steps=STEPS, denoise=1.0, model=["model", 0])
    given["parts"] = node("SplitSigmas", sigmas=["levels", 0], step=2)
    given["choice"] = node("KSamplerSelect", sampler_name="euler")
    sides = {key: WIRED[key] for key in ("model", "positive", "negative")}
    for name, add, slot, latent in (("first", True, 0, "latent"), ("sample", False, 1, "first")):
        given[name] = node(
            "SamplerCustom",
            **{"add_noise": add, "noise_seed": SEED, "cfg": CFG, **sides, "sampler": ["choice", 0]},
            **{"sigmas": ["parts", slot], "latent_image": [latent, 0]},
        )
    image = made(studio, given, tmp_path)
    wanted = model.image(model.of("euler", schedule("karras", model.table, STEPS)))
    assert farthest(image, wanted) <= CLOSE


@pytest.mark.parametrize("kind", ["eps", "sd3", "flux"])
@pytest.mark.parametrize("sampler", ["euler", "ddim", "dpmpp_sde", "uni_pc"])
@torch.no_grad()
def test_a_part_of_an_image(studio: Studio, plain: Any, tmp_path: Path, kind: str, sampler: str) -> None:
    """SetLatentNoiseMask: outside of the mask the model sees the image with the noise of the level, and takes it for
    finished. ddim draws that noise anew."""
    model = plain(kind)
    given = graph(checkpoint(kind), sampler_name=sampler, scheduler="karras", denoise=0.7)
    inner = encoding(given, (32, 32))
    sides = {"left": 16, "top": 8, "right": 16, "bottom": 24}
    given["padded"] = node("ImagePadForOutpaint", **sides, feathering=0, image=["image", 0])
    given["latent"]["inputs"]["pixels"] = ["padded", 0]
    given["masked"] = node("SetLatentNoiseMask", samples=["latent", 0], mask=["padded", 1])
    given["sample"]["inputs"]["latent_image"] = ["masked", 0]
    image = made(studio, changed(kind, given), tmp_path)
    mask = torch.ones(1, 1, SIZE // 8, SIZE // 8)
    mask[..., 1:5, 2:6] = 0
    pixels = torch.full((1, 3, SIZE, SIZE), 128 / 255)
    pixels[..., 8:40, 16:48] = inner.movedim(-1, 1)
    vae = model.pipeline.vae
    mean = vae.encode(pixels * 2 - 1).latent_dist.mean
    latent = (mean - (vae.config.shift_factor or 0)) * vae.config.scaling_factor
    around, run = noise(SEED + 1 if sampler == "ddim" else SEED, latent.shape), model.denoise()

    def inside(x: Tensor, sigma: Tensor) -> Tensor:
        outside = sigma * around + ((1 - sigma) * latent if model.table.flow else latent)
        return run(x * mask + outside * (1 - mask), sigma) * mask + latent * (1 - mask)

    sigmas = ksampler_sigmas(sampler, "karras", model.table, STEPS, 0.7)
    begun = noised(latent, noise(SEED, latent.shape), sigmas[0], model.table)
    assert farthest(image, model.image(sample(sampler, inside, begun, sigmas, SEED, model.table))) <= CLOSE


WEIGHED = "a (red:1.4) apple, ((on) the:0.6) [table] \\(old\\)"
"""Weights of ComfyUI: a number is the weight of what is in its brackets, whatever surrounds them; square brackets are
characters."""
PIECES = (("a ", 1), ("red", 1.4), (" apple, ", 1), ("on", 0.66), (" the", 0.6), (" [table] (old)", 1))


@torch.no_grad()
def test_weights_of_a_prompt(studio: Studio, plain: Any, tmp_path: Path) -> None:
    """Each token is moved from what the encoder gives at its place for an empty text, by its weight."""
    model, given = plain("eps"), graph("sd1")
    given["positive"]["inputs"]["text"] = WEIGHED
    image = made(studio, given, tmp_path)
    pipeline = model.pipeline
    reader, ids, weights = pipeline.tokenizer, [], []
    for text, weight in PIECES:
        tokens = reader(text, add_special_tokens=False).input_ids
        ids += tokens
        weights += [float(weight)] * len(tokens)
    rest = 77 - len(ids) - 2
    ids = [reader.bos_token_id, *ids, reader.eos_token_id, *[reader.pad_token_id] * rest]
    said = pipeline.text_encoder(torch.tensor([ids])).last_hidden_state
    _, empty = encoded(pipeline, "")
    factors = torch.tensor([1.0, *weights, 1.0, *[1.0] * rest])[None, :, None]
    prompt = empty + (said - empty) * factors
    sigmas = ksampler_sigmas("euler", "normal", model.table, STEPS)
    wanted = model.image(model.of("euler", sigmas, prompt=prompt))
    assert farthest(image, wanted) <= CLOSE
    unweighed = model.image(model.of("euler", sigmas))
    assert farthest(wanted, unweighed) > 100 * CLOSE


@torch.no_grad()
def test_a_layer_before_the_last(studio: Studio, plain: Any, tmp_path: Path) -> None:
    """CLIPSetLastLayer of -2: the layer before the last, through the last norm."""
    model, given = plain("eps"), graph("sd1")
    given["layer"] = node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=["model", 1])
    given["positive"]["inputs"]["clip"] = ["layer", 0]
    image = made(studio, given, tmp_path)
    prompt, _ = encoded(model.pipeline, TEXT, layer=-2)
    sigmas = ksampler_sigmas("euler", "normal", model.table, STEPS)
    wanted = model.image(model.of("euler", sigmas, prompt=prompt))
    assert farthest(image, wanted) <= CLOSE
