"""One model of each family in every form that people keep it in: with the network off, each makes the folder's image.

A file in fewer bits makes, bit for bit, the image of a folder whose weights were rounded so.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file, save_file

from families import written
from families.flow_kits import NEGATIVE, PROMPT
from families.test_written_files import aligned
from models.original_layout import unet_name, write_original
from node_bench import BenchContext, distance
from safelight.engine.cache.fingerprints import Fingerprints
from safelight.environment import Environment
from safelight.families import Families, load_families
from safelight.families._clip import towers
from safelight.families._lm import tiny as lm
from safelight.families._original.text import sort_of
from safelight.families._t5 import tiny as t5
from safelight.families._unet.family import UNetFamily
from safelight.families._unet.loading import default_scheduler
from safelight.families.flux import original as flux
from safelight.families.z_image import original as z_image
from safelight.families.z_image.family import TURBO_SHIFT
from safelight.models import ModelStore
from safelight.sdk import ProblemError
from safelight_nodes import latent, model_settings, models, sampling, text, vae

Weights = dict[str, torch.Tensor]
ALL = load_families()
UNETS = ("sd1", "sd2", "sdxl")
SORTS = {
    "sd1": {"clip_l": "text_encoder"},
    "sd2": {"clip_h": "text_encoder"},
    "sdxl": {"clip_l": "text_encoder", "clip_g": "text_encoder_2"},
    "sd3": {"clip_l": "text_encoder", "clip_g": "text_encoder_2", "t5": "text_encoder_3"},
    "flux": {"clip_l": "text_encoder", "t5": "text_encoder_2"},
    "z_image": {"qwen3": "text_encoder"},
}


@dataclass
class Home:
    """A folder of models with the miniature `mine`, and a store that reads it."""

    family: str
    root: Path
    store: ModelStore

    @property
    def mine(self) -> Path:
        return self.root / "models" / "mine"

    @property
    def denoiser_part(self) -> str:
        return "unet" if self.family in UNETS else "transformer"

    @property
    def ctx(self) -> BenchContext:
        return BenchContext(self.store)

    def image(self, loaded: Any) -> torch.Tensor:
        ctx, loaded = self.ctx, aligned(cast("Any", self), loaded)
        model = model_settings.set_prediction(loaded.model) if self.family == "sd2" else loaded.model
        positive, negative = (text.encode(loaded.text, text=said, ctx=ctx) for said in (PROMPT, NEGATIVE))
        start = latent.empty(loaded.vae, width=64, height=64, ctx=ctx)
        made = sampling.sample(
            model, positive, None if self.family == "flux" else negative, start, steps=3, guidance=4.0, seed=5,
            sampler="euler", ctx=ctx,
        )  # fmt: skip
        return vae.decode(loaded.vae, made, ctx=ctx).pixels

    def folder(self, name: str = "mine") -> Any:
        return models.load(model=name, precision="float32", ctx=self.ctx)

    def rounded(self, name: str, parts: tuple[str, ...], change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
        """The folder's model with the weights of these parts changed."""
        folder = self.root / "models" / name
        shutil.copytree(self.mine, folder)
        for part in parts:
            (file,) = (folder / part).glob("*.safetensors")
            changed = {key: change(one).contiguous() for key, one in load_file(file).items()}
            save_file(changed, file, {"format": "pt"})
        return self.folder(name)

    # The same model in the files that people keep.

    def whole(self, change: Callable[[Weights], Weights]) -> Any:
        file = self.root / "models" / "whole.safetensors"
        if self.family in UNETS:
            write_original(self.mine, file, self.family, layers=1)
        else:
            written.write_whole(ALL[self.family], self.mine, file)
        save_file(change(load_file(file)), file)
        assert self.store.describe(file.name).kind == "pipeline"
        return models.load(model=file.name, precision="float32", ctx=self.ctx)

    def denoiser(self) -> Weights:
        """By the names of the makers."""
        if self.family not in UNETS:
            return written.denoiser(ALL[self.family], self.mine)
        unet = load_file(self.mine / "unet" / "diffusion_pytorch_model.safetensors")
        attentive = {int(found[1]) for name in unet if (found := re.match(r"up_blocks\.(\d+)\.attentions", name))}
        return {unet_name(name, 1, attentive): one for name, one in unet.items()}

    def split(self, denoiser: str, encoders: dict[str, str]) -> Any:
        root = self.root / "models"
        for sort, part in SORTS[self.family].items():
            if sort not in encoders:
                encoders[sort] = f"text_encoders/{sort}.safetensors"
                written.save(load_file(self.mine / part / "model.safetensors"), root / encoders[sort], sort=sort)
        written.save(written.vae(self.mine), root / "vae" / "it.safetensors")
        names = dict(zip(("first", "second", "third"), encoders.values(), strict=False))
        given: dict[str, Any] = {"precision": "float32", "ctx": self.ctx}
        return models.Loaded(
            models.load_denoiser(model=denoiser, **given),
            models.load_text_encoders(**names, family=self.family, **given),
            models.load_vae(vae="vae/it.safetensors", **given),
        )


@pytest.fixture(scope="module", params=list(SORTS))
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    family, root = request.param, tmp_path_factory.mktemp(request.param)
    mine = ALL[family].tiny(root / "models" / "mine", 1)
    as_released(family, mine)
    with pytest.MonkeyPatch.context() as patch:
        families = small(patch, family, mine)
        environ = {"SAFELIGHT_DEVICE": "cpu", "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(root / "hub")}
        store = ModelStore(
            root, fingerprint=Fingerprints(None).digest, environment=Environment.read(environ), families=families
        )
        patch.setattr(socket.socket, "connect", lambda *_: pytest.fail("somebody asks the network"))
        yield Home(family, root, store)


def as_released(family: str, folder: Path) -> None:
    """Gives a miniature the schedule of the releases, which is what a file that says none gets."""
    file = folder / "scheduler" / "scheduler_config.json"
    if family in UNETS:
        file.write_text(json.dumps(default_scheduler("v_prediction" if family == "sd2" else "epsilon")))
    elif family == "z_image":
        file.write_text(json.dumps({**json.loads(file.read_text()), "shift": TURBO_SHIFT}))


def small(patch: pytest.MonkeyPatch, family: str, folder: Path) -> Families | None:
    """What no shape tells of a miniature, which is not what it is in the releases."""
    from transformers import CLIPTokenizer

    def config(part: str) -> dict[str, Any]:
        found = json.loads((folder / part / "config.json").read_text())
        return {key: value for key, value in found.items() if not key.startswith("_") and key != "architectures"}

    patch.setattr("safelight.models.layout.sort_of", lambda header: header.metadata.get("sort") or sort_of(header))
    patch.setattr(
        "safelight.families._clip.towers.clip_tokenizer",
        lambda pad: CLIPTokenizer.from_pretrained(folder / "tokenizer", pad_token=pad, model_max_length=77),
    )
    patch.setattr("safelight.families._original.vae.GROUPS", 4)
    patch.setitem(flux.AXES, 16, (4, 4, 8))
    patch.setitem(z_image.AXES, 16, (8, 4, 4))
    if family in UNETS:
        patch.setattr("safelight.families._unet.detect._is_checkpoint", lambda *_: True)
        full = ALL[family]
        assert isinstance(full, UNetFamily)
        made = replace(
            full,
            unet=config("unet"),
            vae_config={**full.vae_config, **config("vae")},
            towers=tuple(replace(tower, config=config(tower.part)) for tower in full.towers),
        )
        return Families({family: lambda: made})
    for release, part in zip((towers.CLIP_L, towers.CLIP_BIG_G), ("text_encoder", "text_encoder_2"), strict=True):
        for key, value in (config(part) if SORTS[family].get("clip_l") and (folder / part).is_dir() else {}).items():
            patch.setitem(cast("dict[str, Any]", release), key, value)
    if "qwen3" in SORTS[family]:
        theta = config("text_encoder")["rope_parameters"]["rope_theta"]
        patch.setattr("safelight.families._lm.encoder.QWEN3_THETA", theta)
        shutil.copytree(folder / "tokenizer", folder.parent / "tokenizer")
        shutil.copytree(folder / "tokenizer", folder.parent / "text_encoders" / "tokenizer")
    elif "t5" in SORTS[family]:
        beside = folder / SORTS[family]["t5"].replace("text_encoder", "tokenizer")
        shutil.copytree(beside, folder.parent / "tokenizer")
        shutil.copytree(beside, folder.parent / "text_encoders" / "tokenizer")
    return None


@pytest.fixture(scope="module")
def plain(home: Home) -> torch.Tensor:
    return home.image(home.folder())


def parts(home: Home) -> tuple[str, ...]:
    return (home.denoiser_part, *SORTS[home.family].values())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
def test_a_single_file_in_half_precision(home: Home, plain: torch.Tensor, dtype: torch.dtype) -> None:
    made = home.image(home.whole(lambda given: {name: one.to(dtype) for name, one in given.items()}))
    wanted = home.rounded(str(dtype), (*parts(home), "vae"), lambda one: one.to(dtype).float())
    assert torch.equal(made, home.image(wanted))
    assert 0 < distance(made, plain) < {torch.float16: 0.02, torch.bfloat16: 0.15}[dtype]


def test_a_single_file_in_eight_bits(home: Home, plain: torch.Tensor) -> None:
    dtype = torch.float8_e4m3fn

    def eight(given: Weights) -> Weights:
        rest = {name: one for name, one in given.items() if name.startswith(("first_stage_model.", "vae."))}
        return rest | written.eight_bits({name: given[name] for name in given.keys() - rest.keys()}, dtype, False)

    made = home.image(home.whole(eight))
    wanted = home.rounded("eight", parts(home), lambda one: one.to(dtype).float() if one.dim() == 2 else one)
    assert torch.equal(made, home.image(wanted))
    assert 0 < distance(made, plain) < 0.6


def test_split_files(home: Home, plain: torch.Tensor) -> None:
    written.save(home.denoiser(), home.root / "models" / "diffusion_models" / "it.safetensors")
    loaded = home.split("diffusion_models/it.safetensors", {})
    assert (loaded.model.family, loaded.text.family) == (home.family, home.family)
    assert torch.equal(home.image(loaded), plain)


def test_gguf(home: Home, plain: torch.Tensor) -> None:
    """The denoiser, and the text encoders that are kept so, with their tokenizers inside."""
    gguf = pytest.importorskip("gguf")
    root, encoders = home.root / "models", {}
    written.write_gguf(home.denoiser(), root / "diffusion_models" / "it.gguf", "Q8_0", home.family)
    large = {sort: part for sort, part in SORTS[home.family].items() if not sort.startswith("clip")}
    for sort, part in large.items():
        encoders[sort] = f"alone/{sort}.gguf"
        write_encoder(home.mine / part, root / encoders[sort], sort)
    made = home.image(home.split("diffusion_models/it.gguf", encoders))

    def eight(one: torch.Tensor) -> torch.Tensor:
        if one.dim() != 2 or one.shape[1] % 32:
            return one
        kind = gguf.GGMLQuantizationType.Q8_0
        return torch.from_numpy(gguf.quants.dequantize(gguf.quants.quantize(one.numpy(), kind), kind))

    wanted = home.rounded("gguf", (home.denoiser_part, *large.values()), eight)
    assert torch.equal(made, home.image(wanted))
    assert 0 < distance(made, plain) < 0.1


def write_encoder(folder: Path, file: Path, sort: str) -> None:
    """As llama.cpp converts a text encoder: names of its own, matrices in Q8_0, the tokenizer beside them."""
    import gguf
    import numpy

    qwen = sort == "qwen3"
    architecture = gguf.MODEL_ARCH.QWEN3 if qwen else gguf.MODEL_ARCH.T5ENCODER
    names = gguf.get_tensor_name_map(architecture, 8)
    file.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(file, gguf.MODEL_ARCH_NAMES[architecture])
    add_tokenizer(writer, qwen)
    kind = gguf.GGMLQuantizationType.Q8_0
    for name, tensor in load_file(folder / "model.safetensors").items():
        found = names.get_name(name, try_suffixes=(".weight",))
        if found is None:
            assert name == "encoder.embed_tokens.weight", name
            continue
        numbers = tensor.numpy().astype(numpy.float32)
        if tensor.dim() == 2 and tensor.shape[1] % 32 == 0:
            writer.add_tensor(found, gguf.quants.quantize(numbers, kind), raw_dtype=kind)
        else:
            writer.add_tensor(found, numbers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tokenizer(writer: Any, qwen: bool) -> None:
    if not qwen:
        pieces = t5._vocabulary()
        writer.add_tokenizer_model("t5")
        writer.add_token_list([piece for piece, _ in pieces])
        writer.add_token_scores([score for _, score in pieces])
        writer.add_token_types([3 if piece in ("<pad>", "</s>") else 1 for piece, _ in pieces])
        return
    found = lm.tokenizer()
    tokens = sorted(found.get_vocab(), key=found.get_vocab().__getitem__)
    merges = json.loads(found.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in found.all_special_tokens else 1 for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_chat_template(found.chat_template)


def message(field: int, value: bytes) -> bytes:
    size, length = len(value), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([field << 3 | 2]) + length + bytes([size]) + value


def pieces_file() -> torch.Tensor:
    """The miniature's tokenizer as a file of SentencePiece, in bytes, as ComfyUI keeps it among the weights."""
    import struct

    made = b""
    for piece, score in t5._vocabulary():
        made += message(1, message(1, piece.encode()) + bytes([2 << 3 | 5]) + struct.pack("<f", score) + b"\x18\x01")
    return torch.frombuffer(bytearray(made), dtype=torch.uint8)


@pytest.fixture
def wan(tmp_path: Path) -> Home:
    ALL["wan"].tiny(tmp_path / "models" / "mine", 1)
    environ = {"SAFELIGHT_DEVICE": "cpu", "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "hub")}
    store = ModelStore(tmp_path, fingerprint=Fingerprints(None).digest, environment=Environment.read(environ))
    return Home("wan", tmp_path, store)


@pytest.mark.parametrize("form", ["with its pieces", "with a folder beside it", "gguf"])
def test_the_text_encoder_of_wan(wan: Home, form: str) -> None:
    weights = load_file(wan.mine / "text_encoder" / "model.safetensors")
    name = "text_encoders/umt5.safetensors"
    file = wan.root / "models" / name
    if form == "gguf":
        pytest.importorskip("gguf")
        name = "text_encoders/umt5.gguf"
        file.parent.mkdir()
        write_encoder(wan.mine / "text_encoder", file.with_suffix(".gguf"), "umt5")
    elif form == "with its pieces":
        written.save({**weights, "spiece_model": pieces_file()}, file)
    else:
        written.save(weights, file)
        shutil.copytree(wan.mine / "tokenizer", file.parent / "umt5_tokenizer")
    given: dict[str, Any] = {"precision": "float32", "ctx": wan.ctx}
    alone = models.load_text_encoders(first=name, **given)
    assert alone.family == "wan"
    made, wanted = (
        text.encode(encoder, text="a red apple! (dark:1.2)", ctx=wan.ctx).prompts[0].embeddings
        for encoder in (alone, models.load(model="mine", **given).text)
    )
    assert distance(made, wanted) <= (0.1 if form == "gguf" else 0)
    assert made.abs().max() > 0.1


@pytest.mark.parametrize("family", ["wan", "z_image"])
@pytest.mark.parametrize("beside", [False, True], ids=["none", "of another model"])
def test_a_tokenizer_that_is_not_there_or_another_is_told(family: str, beside: bool, tmp_path: Path) -> None:
    ALL[family].tiny(tmp_path / "models" / "mine", 1)
    other = ALL["z_image" if family == "wan" else "wan"].tiny(tmp_path / "other", 1)
    weights = load_file(tmp_path / "models" / "mine" / "text_encoder" / "model.safetensors")
    written.save(weights, tmp_path / "models" / "it.safetensors")
    if beside:
        shutil.copytree(other / "tokenizer", tmp_path / "models" / "tokenizer")
    environ = {"SAFELIGHT_DEVICE": "cpu", "HF_HUB_CACHE": str(tmp_path / "hub")}
    store = ModelStore(tmp_path, fingerprint=Fingerprints(None).digest, environment=Environment.read(environ))
    ctx = BenchContext(store)
    encoder = models.load_text_encoders(first="it.safetensors", ctx=ctx)
    with pytest.raises(ProblemError) as caught, store.lease(encoder):
        pass
    (problem,) = caught.value.problems
    assert problem.code == "tokenizer_missing" and "it_tokenizer" in problem.hint
    assert ("of another model" in problem.message) == beside
