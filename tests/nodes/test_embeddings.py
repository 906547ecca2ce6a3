"""Embeddings in prompts: as diffusers reads them, in every layout of files, and what is said of unfit ones."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import tiny_models
from node_bench import CLOSE, BenchContext
from safelight.diffusion.embeddings import Vocabulary
from safelight.diffusion.text_encoding import split
from safelight.engine.cache.fingerprints import Fingerprints
from safelight.environment import Environment
from safelight.models import ModelStore
from safelight.sdk import ModelRef, Problem, ProblemError
from safelight.sdk.prompt_syntax import parse
from safelight_nodes import models, text

WIDTH = tiny_models.TEXT_WIDTH
PLAIN = {"SAFELIGHT_DEVICE": "cpu", "SAFELIGHT_PRECISION": "float32", "HF_HUB_OFFLINE": "1"}


@dataclass
class Home:
    """A data folder with a tiny model, and a store on it. Embeddings are written as tests want them."""

    folder: Path
    ctx: BenchContext
    encoder: ModelRef[Any]

    @property
    def model(self) -> Path:
        return self.folder / "models" / "model"

    def put(self, name: str, vectors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None) -> Path:
        path = self.folder / "models" / "embeddings" / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({key: tensor.contiguous() for key, tensor in vectors.items()}, path, metadata)
        return path

    def encode(self, prompt: str, **more: Any) -> Any:
        return text.encode(self.encoder, text=prompt, ctx=self.ctx, **more).prompts[0]

    def problem(self, prompt: str) -> Problem:
        with pytest.raises(ProblemError) as caught:
            self.encode(prompt)
        (found,) = caught.value.problems
        return found


def _home(family: str, factory: pytest.TempPathFactory) -> Home:
    folder = factory.mktemp(family)
    getattr(tiny_models, f"tiny_{family}")(folder / "models" / "model")
    store = ModelStore(folder, fingerprint=Fingerprints(None).digest, environment=Environment.read(PLAIN))
    ctx = BenchContext(store)
    return Home(folder, ctx, models.load(model="model", ctx=ctx).text)


@pytest.fixture(scope="module")
def sd1_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return _home("sd1", tmp_path_factory)


@pytest.fixture(scope="module")
def sdxl_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return _home("sdxl", tmp_path_factory)


@pytest.fixture(params=["sd1", "sdxl"])
def home(request: pytest.FixtureRequest) -> Home:
    return request.getfixturevalue(f"{request.param}_home")


def vectors(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed))


def encoded_by_pipeline(pipeline: Any, prompt: str) -> torch.Tensor:
    return pipeline.encode_prompt(prompt, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False)[0]


@pytest.mark.parametrize("key", ["emb_params", "<any word>"])
@pytest.mark.parametrize("count", [1, 4])
def test_sd1_reads_an_embedding_as_diffusers_does(sd1_home: Home, key: str, count: int) -> None:
    from diffusers import StableDiffusionPipeline

    file = sd1_home.put("learned", {key: vectors(count) if count > 1 else vectors(1)[0]})
    pipeline = StableDiffusionPipeline.from_pretrained(sd1_home.model)
    pipeline.load_textual_inversion(str(file), token="<learned>")
    wanted = encoded_by_pipeline(pipeline, "a red <learned> on the table")
    made = sd1_home.encode("a red embedding:learned on the table").embeddings
    assert (made - wanted).abs().max() < CLOSE
    assert (made - sd1_home.encode("a red apple on the table").embeddings).abs().max() > 0.01


@pytest.mark.parametrize("keys", [("clip_l", "clip_g"), ("text_encoders_0", "text_encoders_1")])
def test_sdxl_reads_an_embedding_as_diffusers_does(sdxl_home: Home, keys: tuple[str, str]) -> None:
    from diffusers import StableDiffusionXLPipeline

    first, second = vectors(3, 1), vectors(3, 2)
    sdxl_home.put("both", {keys[0]: first, keys[1]: second})
    pipeline = StableDiffusionXLPipeline.from_pretrained(sdxl_home.model)
    for given, encoder, tokenizer in (
        (first, pipeline.text_encoder, pipeline.tokenizer),
        (second, pipeline.text_encoder_2, pipeline.tokenizer_2),
    ):
        pipeline.load_textual_inversion({"<both>": given}, token="<both>", text_encoder=encoder, tokenizer=tokenizer)
    wanted = encoded_by_pipeline(pipeline, "a <both> photo")
    assert (sdxl_home.encode("a embedding:both photo").embeddings - wanted).abs().max() < CLOSE


def test_vectors_of_words_encode_as_the_words_do(home: Home) -> None:
    """The pooled embeddings too: that an embedding stands in a text does not move where the text ends."""
    words: list[torch.Tensor] = []
    with home.ctx.models.lease(home.encoder) as lease:
        bundle = lease.component
        for tokenizer, encoder in zip(bundle.tokenizers, bundle.encoders, strict=True):
            ids = tokenizer("red apple", add_special_tokens=False).input_ids
            words.append(encoder.get_input_embeddings().weight[ids].detach().clone())
    keys = ("clip_l", "clip_g") if len(words) == 2 else ("emb_params",)
    home.put("red_apple", dict(zip(keys, words, strict=True)))
    for prompt in ("a {} on the table", "a ({}:1.4) BREAK the {}", "{}"):
        made = home.encode(prompt.format("embedding:red_apple", "embedding:red_apple"))
        wanted = home.encode(prompt.format("red apple", "red apple"))
        assert torch.equal(made.embeddings, wanted.embeddings)
        if wanted.pooled is not None:
            assert torch.equal(made.pooled, wanted.pooled)
    skipped = home.encode("embedding:red_apple", clip_skip=1).embeddings
    assert torch.equal(skipped, home.encode("red apple", clip_skip=1).embeddings)


def test_the_leased_encoder_is_left_as_it_is(sd1_home: Home) -> None:
    before = sd1_home.encode("a red apple").embeddings
    sd1_home.put("other", {"emb_params": vectors(2)})
    sd1_home.encode("a embedding:other apple")
    assert torch.equal(sd1_home.encode("a red apple").embeddings, before)


def test_a_weight_counts_for_every_vector(sd1_home: Home) -> None:
    sd1_home.put("pair", {"emb_params": vectors(2)})
    plain, empty = sd1_home.encode("a embedding:pair cat").embeddings, sd1_home.encode("").embeddings
    half = sd1_home.encode("a (embedding:pair:0.5) cat").embeddings
    assert torch.allclose(half[:, 2:4], (plain[:, 2:4] + empty[:, 2:4]) / 2, atol=1e-6)
    assert torch.allclose(half[:, 4:], plain[:, 4:], atol=1e-6)


def test_an_embedding_is_not_torn_between_chunks(sd1_home: Home) -> None:
    with sd1_home.ctx.models.lease(sd1_home.encoder) as lease:
        tokenizer = lease.component.tokenizers[0]
    words = Vocabulary({"one": vectors(2), "long": vectors(10)})
    chunks = split(tokenizer, parse("red " * 70 + "embedding:one embedding:long apple"), words)
    assert [len(chunk.tokens) for chunk in chunks] == [72, 11]
    assert chunks[0].tokens[-2:] == words.tokens("one")
    assert chunks[1].tokens[:10] == words.tokens("long")
    huge = split(tokenizer, parse("embedding:huge"), Vocabulary({"huge": vectors(100)}))
    assert [len(chunk.tokens) for chunk in huge] == [75, 25]


def test_names_may_have_folders_and_endings(sd1_home: Home) -> None:
    sd1_home.put("styles/ink (old)", {"emb_params": vectors(1)})
    sd1_home.put("styles/ink", {"emb_params": vectors(1)})
    wanted = sd1_home.encode("embedding:styles/ink").embeddings
    for name in ("styles/ink.safetensors", r"styles\ink"):
        assert torch.equal(sd1_home.encode(f"embedding:{name}").embeddings, wanted)


def test_half_precision_files_are_read(sd1_home: Home) -> None:
    given = vectors(2).half()
    sd1_home.put("half", {"emb_params": given})
    sd1_home.put("full", {"emb_params": given.float()})
    assert torch.equal(sd1_home.encode("embedding:half").embeddings, sd1_home.encode("embedding:full").embeddings)


def test_a_missing_embedding_is_told_with_what_is_near(sd1_home: Home) -> None:
    sd1_home.put("easynegative", {"emb_params": vectors(1)})
    found = sd1_home.problem("embedding:easynegativ")
    assert (found.code, found.port, found.value) == ("model_missing", "text", "easynegativ")
    assert str(sd1_home.folder / "models" / "embeddings") in found.message
    assert "Did you mean easynegative?" in found.hint


@pytest.mark.parametrize("name", ["../model", "~/x", "/etc/passwd", "a/../../x"])
def test_names_do_not_lead_out_of_the_folder(sd1_home: Home, name: str) -> None:
    assert sd1_home.problem(f"embedding:{name}").code in ("bad_path", "model_missing")


def test_an_embedding_of_another_family_is_told(sd1_home: Home, sdxl_home: Home) -> None:
    sd1_home.put("wide", {"emb_params": torch.randn(1, 1024)})
    found = sd1_home.problem("embedding:wide")
    assert (found.code, found.port) == ("embedding_unfit", "text")
    assert "made for sd2" in found.message and "1024 channels" in found.message and "sd1" in found.hint
    sd1_home.put("xl", {"clip_l": vectors(1), "clip_g": vectors(1)})
    assert "made for sdxl" in sd1_home.problem("embedding:xl").message
    sdxl_home.put("single", {"emb_params": torch.randn(1, 768)})
    assert "made for sd1" in sdxl_home.problem("embedding:single").message


def test_another_model_of_that_name_is_refused(sd1_home: Home) -> None:
    tiny_models.tiny_lora(sd1_home.folder / "models" / "embeddings" / "lora.safetensors", "sd1")
    found = sd1_home.problem("embedding:lora")
    assert found.code == "wrong_model" and "a LoRA" in found.message


@pytest.mark.parametrize(
    ("ending", "written"),
    [
        (".pt", lambda given: {"string_to_param": {"*": torch.nn.Parameter(given)}, "name": "old", "step": 500}),
        (".bin", lambda given: {"<old>": given}),
    ],
)
def test_a_pickle_is_refused_and_the_command_converts_it(
    sd1_home: Home, ending: str, written: Callable[[torch.Tensor], Any]
) -> None:
    given = vectors(2, 7)
    path = sd1_home.folder / "models" / "embeddings" / f"old_{ending[1:]}{ending}"
    path.parent.mkdir(exist_ok=True)
    torch.save(written(given), path)
    name = path.stem
    for shown in (name, path.name):
        assert sd1_home.problem(f"embedding:{shown}").code == "unsafe_weights"
    hint = sd1_home.problem(f"embedding:{name}").hint
    command = shlex.split(hint[hint.index("`") + 1 : hint.rindex("`")])
    assert command[0] == "safelight"
    subprocess.run([sys.executable, "-m", *command], check=True, cwd=path.parent)
    sd1_home.put("straight", {"emb_params": given})
    straight = sd1_home.encode("embedding:straight").embeddings
    assert torch.equal(sd1_home.encode(f"embedding:{name}").embeddings, straight)
