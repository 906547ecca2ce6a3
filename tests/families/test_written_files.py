"""Stable Diffusion 3 and Flux.1 in single files and in split ones give what their folders give."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file

from families import written
from families.flow_kits import NEGATIVE, PROMPT, FlowKit, flow_kit
from node_bench import codes, distance
from safelight.families import load_families
from safelight.families._clip import towers
from safelight.families._original.names import translated
from safelight.families.flux import original as flux
from safelight.sdk import ProblemError
from safelight_nodes import models, vae


@pytest.fixture(scope="module", params=["sd3", "flux"])
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlowKit]:
    """What no shape tells of a miniature, which is not what it is in the releases, is set here."""
    found = flow_kit(request.param, tmp_path_factory.mktemp(request.param))
    folder = found.root / "models" / "mine"
    with pytest.MonkeyPatch.context() as patch:
        small(patch, folder, request.param)
        root = found.root / "models"
        shutil.copytree(folder / ("tokenizer_3" if request.param == "sd3" else "tokenizer_2"), root / "tokenizer")
        shutil.copytree(root / "tokenizer", root / "text_encoders" / "tokenizer")
        yield found


def small(patch: pytest.MonkeyPatch, folder: Path, family: str) -> None:
    from transformers import CLIPTokenizer

    def config(part: str) -> dict[str, Any]:
        return json.loads((folder / part / "config.json").read_text())

    patch.setattr("safelight.families._original.vae.GROUPS", 4)
    patch.setitem(flux.AXES, 16, (4, 4, 8))
    patch.setattr(
        "safelight.families._clip.towers.clip_tokenizer",
        lambda pad: CLIPTokenizer.from_pretrained(folder / "tokenizer", pad_token=pad, model_max_length=77),
    )
    parts = [part for sort, part in written.PARTS[family].items() if sort != "t5xxl"]
    for release, part in zip((towers.CLIP_L, towers.CLIP_BIG_G), parts, strict=False):
        for key, value in config(part).items():
            if not key.startswith("_") and key != "architectures":
                patch.setitem(cast("dict[str, Any]", release), key, value)
    # Their towers have one width, which tells nothing: the test's files say what they are.
    patch.setattr("safelight.models.layout.sort_of", lambda header: header.metadata.get("sort", ""))


def aligned(kit: FlowKit, loaded: Any) -> Any:
    """The same model with its weights at places in memory of its own.

    Mapped ones lie wherever their file has them, and products of matrices that are not aligned round otherwise.
    """
    for ref in loaded:
        with kit.store.lease(ref) as lease:
            for module in lease.component.modules.values():
                for one in module.parameters():
                    one.data = one.data.clone()
    return loaded


def image(kit: FlowKit, loaded: Any) -> torch.Tensor:
    said, unsaid = (kit.said(words, encoder=loaded.text) for words in (PROMPT, NEGATIVE))
    made = kit.sampled(model=loaded.model, positive=said, negative=unsaid if kit.guided else None)
    return vae.decode(loaded.vae, made, ctx=kit.ctx).pixels.movedim(-1, 1)


@pytest.mark.parametrize("dtype", [None, torch.float16, torch.bfloat16], ids=["float32", "float16", "bfloat16"])
def test_a_whole_model_in_one_file(kit: FlowKit, dtype: Any) -> None:
    family = load_families()[kit.family]
    name = f"whole_{dtype}.safetensors"
    written.write_whole(family, kit.root / "models" / "mine", kit.root / "models" / name, dtype)
    entry = kit.store.describe(name)
    assert (entry.kind, entry.family) == ("pipeline", kit.family)
    wanted = image(kit, aligned(kit, kit.loaded()))
    got = image(kit, aligned(kit, models.load(model=name, precision="float32", ctx=kit.ctx)))
    if dtype is None:
        assert torch.equal(got, wanted)
    else:
        assert 0 < distance(got, wanted) < {torch.float16: 0.02, torch.bfloat16: 0.1}[dtype]


def split(kit: FlowKit) -> Any:
    """The model of files of their own: denoiser, text encoders, VAE."""
    root, mine, family = kit.root / "models", kit.root / "models" / "mine", load_families()[kit.family]
    written.save(written.denoiser(family, mine), root / "diffusion_models" / "it.safetensors")
    written.save(written.vae(mine), root / "vae" / "it.safetensors")
    names: list[str] = []
    for sort, tensors in written.encoders(kit.family, mine).items():
        names.append(f"text_encoders/{sort}.safetensors")
        written.save(tensors, root / names[-1], sort="t5" if sort == "t5xxl" else sort)
    model = models.load_denoiser(model="diffusion_models/it.safetensors", ctx=kit.ctx)
    first, second, third = (*names[::-1], "")[:3]
    text = models.load_text_encoders(first=first, second=second, third=third, ctx=kit.ctx)
    decoder = models.load_vae(vae="vae/it.safetensors", ctx=kit.ctx)
    return models.Loaded(model, text, decoder)


def test_split_files(kit: FlowKit) -> None:
    loaded = split(kit)
    assert (loaded.model.family, loaded.text.family, loaded.vae.family) == (kit.family, kit.family, "")
    assert torch.equal(image(kit, aligned(kit, loaded)), image(kit, aligned(kit, kit.loaded())))


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model.", "diffusion_model."])
@pytest.mark.parametrize("layout", ["makers", "diffusers"])
def test_a_denoiser_alone_with_any_prefix(kit: FlowKit, prefix: str, layout: str) -> None:
    mine = kit.root / "models" / "mine"
    tensors = written.denoiser(load_families()[kit.family], mine)
    if layout == "diffusers":
        tensors = load_file(mine / "transformer" / "diffusion_pytorch_model.safetensors")
    written.save({prefix + name: tensor for name, tensor in tensors.items()}, kit.root / "models" / "alone.safetensors")
    loaded = kit.loaded()
    with (
        kit.store.lease(models.load_denoiser(model="alone.safetensors", ctx=kit.ctx)) as got,
        kit.store.lease(loaded.model) as wanted,
    ):
        given, expected = (lease.component.modules["transformer"] for lease in (got, wanted))
        assert all(torch.equal(given.state_dict()[name], one) for name, one in expected.state_dict().items())
        same = ("num_attention_heads", "attention_head_dim", "in_channels", "out_channels", "patch_size")
        assert all(given.config[key] == (expected.config[key] or given.config[key]) for key in same)


def test_text_encoders_that_do_not_go_together(kit: FlowKit) -> None:
    split(kit)
    clip = "text_encoders/clip_l.safetensors"
    with pytest.raises(ProblemError) as caught:
        models.load_text_encoders(first=clip, family=kit.family, ctx=kit.ctx)
    assert codes(caught) == [("wrong_text_encoders", "first")]
    with pytest.raises(ProblemError) as caught:
        models.load_text_encoders(first=clip, second=clip, family="auto", ctx=kit.ctx)
    assert codes(caught) == [("wrong_text_encoders", "first")]


def test_a_t5_without_its_tokenizer_says_where_to_get_it(kit: FlowKit) -> None:
    split(kit)
    shutil.move(kit.root / "models" / "text_encoders" / "tokenizer", kit.root / "elsewhere")
    try:
        names = [f"text_encoders/{sort}.safetensors" for sort in written.PARTS[kit.family]]
        text = models.load_text_encoders(**dict(zip(("first", "second", "third"), names, strict=False)), ctx=kit.ctx)
        with pytest.raises(ProblemError) as caught, kit.store.lease(text):
            pass
        assert caught.value.problems[0].code == "tokenizer_missing"
    finally:
        shutil.move(kit.root / "elsewhere", kit.root / "models" / "text_encoders" / "tokenizer")


def test_the_table_of_names_is_that_of_diffusers(kit: FlowKit) -> None:
    from diffusers.loaders import single_file_utils as theirs

    family: Any = load_families()[kit.family]
    given = written.denoiser(family, kit.root / "models" / "mine")
    if kit.family == "sd3":
        wanted = theirs.convert_sd3_transformer_checkpoint_to_diffusers(dict(given))
    else:
        # It is written for the width of the release.
        code = inspect.getsource(theirs.convert_flux_transformer_checkpoint_to_diffusers)
        scope = dict(vars(theirs))
        exec(code.replace("inner_dim = 3072", "inner_dim = 32"), scope)
        wanted = scope["convert_flux_transformer_checkpoint_to_diffusers"](dict(given))
    got = translated(given, family.rules({name: tuple(one.shape) for name, one in given.items()}))
    assert got.keys() == wanted.keys()
    assert all(torch.equal(got[name], one) for name, one in wanted.items())


def weights(kit: FlowKit, name: str) -> dict[str, torch.Tensor]:
    with kit.store.lease(models.load_denoiser(model=name, precision="float32", ctx=kit.ctx)) as lease:
        return dict(lease.component.modules["transformer"].state_dict())


def farthest(got: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> float:
    """The largest difference of two sets of weights, in parts of the largest number of each."""
    assert got.keys() == wanted.keys()
    return max(float((got[name] - one).abs().max() / one.abs().max().clamp(1e-9)) for name, one in wanted.items())


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float8_e4m3fn, 2**-4), (torch.float8_e5m2, 2**-3)])
def test_a_denoiser_in_eight_bits(kit: FlowKit, dtype: torch.dtype, close: float, scaled: bool) -> None:
    tensors = written.denoiser(load_families()[kit.family], kit.root / "models" / "mine")
    root = kit.root / "models" / "diffusion_models"
    written.save(tensors, root / "plain.safetensors")
    written.save(written.eight_bits(tensors, dtype, scaled), root / "eight.safetensors")
    got, wanted = (weights(kit, f"diffusion_models/{name}.safetensors") for name in ("eight", "plain"))
    # Half a step of the type.
    assert 0 < farthest(got, wanted) <= close


@pytest.mark.parametrize(("kind", "close"), [("F16", 1e-3), ("Q8_0", 0.01), ("Q4_0", 0.15)])
def test_a_denoiser_in_gguf(kit: FlowKit, kind: str, close: float) -> None:
    pytest.importorskip("gguf")
    tensors = written.denoiser(load_families()[kit.family], kit.root / "models" / "mine")
    root = kit.root / "models" / "diffusion_models"
    written.save(tensors, root / "plain.safetensors")
    written.write_gguf(tensors, root / "small.gguf", kind, kit.family)
    entry = kit.store.describe("diffusion_models/small.gguf")
    assert (entry.kind, entry.family) == ("unet", kit.family)
    got, wanted = weights(kit, "diffusion_models/small.gguf"), weights(kit, "diffusion_models/plain.safetensors")
    assert 0 < farthest(got, wanted) < close


def test_a_cut_off_gguf_is_told(kit: FlowKit) -> None:
    pytest.importorskip("gguf")
    tensors = written.denoiser(load_families()[kit.family], kit.root / "models" / "mine")
    file = kit.root / "models" / "cut.gguf"
    written.write_gguf(tensors, file, "Q8_0", kit.family)
    whole = file.read_bytes()
    for length in (30, 400, len(whole) - 100):
        file.write_bytes(whole[:length])
        with pytest.raises(ProblemError) as caught:
            kit.store.find("cut.gguf")
        assert caught.value.problems[0].code == "weights_damaged"


def test_a_denoiser_that_is_loaded_as_a_whole_model_is_told_its_node(kit: FlowKit) -> None:
    tensors = written.denoiser(load_families()[kit.family], kit.root / "models" / "mine")
    written.save(tensors, kit.root / "models" / "bare.safetensors")
    with pytest.raises(ProblemError) as caught:
        models.load(model="bare.safetensors", ctx=kit.ctx)
    assert codes(caught) == [("wrong_model", "model")]
    assert "Load denoiser" in caught.value.problems[0].hint


def test_memory_is_made_for_the_part_that_is_loaded(kit: FlowKit) -> None:
    from safelight.models.weights import stored_bytes

    family, file = load_families()[kit.family], kit.root / "models" / "measured.safetensors"
    written.write_whole(family, kit.root / "models" / "mine", file)
    loaded = models.load(model="measured.safetensors", precision="float32", ctx=kit.ctx)
    for ref in loaded:
        with kit.store.lease(ref) as lease:
            # One table of tokens goes by two names.
            held = (one for module in lease.component.modules.values() for one in module.state_dict().values())
            sizes = {one.data_ptr(): one.numel() * 4 for one in held}
            assert stored_bytes([file], 4, family.prefixes(ref.kind)) == pytest.approx(sum(sizes.values()), rel=0.05)
