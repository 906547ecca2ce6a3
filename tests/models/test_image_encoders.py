"""Image encoders as people keep them: folders, single files in two ways of naming, near their adapter or not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny_models
from models.recipes import ref
from safelight.engine.cache.fingerprints import Fingerprints
from safelight.environment import Environment
from safelight.families.files import TensorEntry
from safelight.models import ModelStore
from safelight.models.headers import Header
from safelight.models.image_encoders import Sight, said, sight_in, wanted_by
from safelight.models.trees import Trees
from safelight.sdk import ProblemError

PLAIN = {"SAFELIGHT_DEVICE": "cpu", "SAFELIGHT_PRECISION": "float32", "HF_HUB_OFFLINE": "1"}
SIDE = 32


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of a CLIP and of a SigLIP, whose heads are as many as those of the releases."""
    import transformers

    folder = tmp_path_factory.mktemp("encoders")
    shape: Any = {
        **{"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 16},
        **{"image_size": SIDE, "patch_size": 8},
    }
    torch.manual_seed(3)
    clip = transformers.CLIPVisionConfig(**shape, projection_dim=24, hidden_act="gelu")
    transformers.CLIPVisionModelWithProjection(clip).save_pretrained(folder / "clip")
    siglip = transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**shape))
    siglip.save_pretrained(folder / "siglip")
    text: Any = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
    both = transformers.CLIPConfig(text_config=text, vision_config=clip.to_dict(), projection_dim=24)
    whole = transformers.CLIPModel(both)
    whole.vision_model.load_state_dict(transformers.CLIPVisionModel.from_pretrained(folder / "clip").state_dict())
    weights = load_file(folder / "clip" / "model.safetensors")
    whole.visual_projection.weight.data = weights["visual_projection.weight"]
    whole.save_pretrained(folder / "both")
    return folder


def open_clip(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same under the names that open_clip has."""
    made: dict[str, torch.Tensor] = {"visual.proj": weights["visual_projection.weight"].T.contiguous()}
    top = {
        **{"embeddings.class_embedding": "class_embedding", "embeddings.patch_embedding.weight": "conv1.weight"},
        "embeddings.position_embedding.weight": "positional_embedding",
    }
    made |= {f"visual.{new}": weights[f"vision_model.{old}"] for old, new in top.items()}
    for kind in ("weight", "bias"):
        for old, new in (("pre_layrnorm", "ln_pre"), ("post_layernorm", "ln_post")):
            made[f"visual.{new}.{kind}"] = weights[f"vision_model.{old}.{kind}"]
        for number in range(2):
            old, new = f"vision_model.encoder.layers.{number}", f"visual.transformer.resblocks.{number}"
            made[f"{new}.attn.in_proj_{kind}"] = torch.cat(
                [weights[f"{old}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            )
            inside = {"self_attn.out_proj": "attn.out_proj", "layer_norm1": "ln_1", "layer_norm2": "ln_2"}
            for one, other in {**inside, "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}.items():
                made[f"{new}.{other}.{kind}"] = weights[f"{old}.{one}.{kind}"]
    return made


def stored(home: Path) -> ModelStore:
    return ModelStore(home, fingerprint=Fingerprints(None).digest, environment=Environment.read(PLAIN))


def seen(store: ModelStore, name: str) -> torch.Tensor:
    pixels = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    with store.lease(ref(store, "ImageEncoder", name)) as lease, torch.no_grad():
        found = lease.component.encoder(pixels.to(lease.dtype), output_hidden_states=True)
        return torch.cat([found.hidden_states[-2].flatten(), found[0].flatten()]).float()


@pytest.mark.parametrize("layout", ["transformers", "half", "prefixed", "open_clip", "both"])
def test_a_clip_in_one_file_sees_what_its_folder_sees(made: Path, layout: str, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    shutil.copytree(made / "clip", tmp_path / "models" / "folder")
    weights = load_file(made / "clip" / "model.safetensors")
    file = tmp_path / "models" / "one.safetensors"
    if layout == "half":
        weights = {name: tensor.half() for name, tensor in weights.items()}
    if layout == "prefixed":
        weights = {f"clip_vision_model.{name}": tensor for name, tensor in weights.items()}
    if layout == "both":
        weights = load_file(made / "both" / "model.safetensors")
    save_file(open_clip(weights) if layout == "open_clip" else weights, file)
    store = stored(tmp_path)
    assert {entry.name: entry.kind for entry in store.list_models() if entry.place != "starter"} == {
        "folder": "image_encoder",
        "one.safetensors": "image_encoder",
    }
    wanted, found = seen(store, "folder"), seen(store, "one.safetensors")
    assert found.shape == wanted.shape
    assert float((found - wanted).abs().max()) <= (5e-3 if layout == "half" else 1e-5)


def test_a_siglip_and_a_model_of_texts_and_images(made: Path, tmp_path: Path) -> None:
    for name in ("clip", "siglip", "both"):
        shutil.copytree(made / name, tmp_path / "models" / name)
    shutil.copy(made / "siglip" / "model.safetensors", tmp_path / "models" / "one.safetensors")
    weights = load_file(made / "siglip" / "model.safetensors")
    save_file({f"vision_model.{name}": t for name, t in weights.items()}, tmp_path / "models" / "two.safetensors")
    store = stored(tmp_path)
    wanted = seen(store, "siglip")
    for name in ("one.safetensors", "two.safetensors"):
        assert torch.equal(seen(store, name), wanted)
    assert torch.allclose(seen(store, "both"), seen(store, "clip"), atol=1e-6)
    assert store.find("both", "image_encoder").name == "both"


def test_the_siglip_of_the_releases_is_told_its_size() -> None:
    from safelight.models.image_encoders import Names, start_of

    shapes = {
        "vision_model.embeddings.patch_embedding.weight": (1152, 3, 14, 14),
        "vision_model.embeddings.position_embedding.weight": (729, 1152),
        "vision_model.encoder.layers.0.self_attn.q_proj.weight": (1152, 1152),
        "vision_model.encoder.layers.0.mlp.fc1.weight": (4304, 1152),
        "vision_model.head.probe": (1, 1, 1152),
    }
    there = header(shapes)
    start = start_of(there)
    assert start == "vision_model." and sight_in(there) == Sight(1152)
    assert Names(there, start).config()["image_size"] == 384


def header(shapes: dict[str, tuple[int, ...]]) -> Header:
    return Header({name: TensorEntry("F16", shape, (0, 0)) for name, shape in shapes.items()}, {}, 0)


@pytest.mark.parametrize(
    ("shapes", "wanted", "name"),
    [
        ({"proj.weight": (3072, 1024), "norm.weight": (768,)}, Sight(0, 1024), "ViT-H"),
        ({"proj.weight": (8192, 1280), "norm.weight": (2048,)}, Sight(0, 1280), "bigG"),
        ({"proj.weight": (65536, 768), "norm.weight": (4096,)}, Sight(0, 768), "ViT-L"),
        ({"proj_in.weight": (768, 1280), "latents": (1, 16, 768)}, Sight(1280), "ViT-H"),
        ({"proj.0.weight": (1280, 1280), "proj.3.weight": (768,)}, Sight(1280), "ViT-H"),
        (
            {"proj.0.weight": (1024, 512), "norm.weight": (768,), "perceiver_resampler.proj_in.weight": (768, 1280)},
            Sight(1280),
            "ViT-H",
        ),
        ({"proj_in.weight": (1280, 1152), "latents": (1, 64, 1280)}, Sight(1152), "SigLIP"),
        ({"proj.0.weight": (1024, 512), "proj.2.weight": (3072, 1024), "norm.weight": (768,)}, Sight(), ""),
    ],
)
def test_an_adapter_says_which_encoder_it_wants(shapes: Any, wanted: Sight, name: str) -> None:
    found = wanted_by(header({f"image_proj.{key}": shape for key, shape in shapes.items()}))
    assert found == wanted
    assert not name or name in said(found)


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A tree of ComfyUI with an IP-Adapter and without its image encoder, which lies beside the tree."""
    made = tiny_models.tiny_ip_adapter(tmp_path / "made")
    tree = tmp_path / "ComfyUI"
    for name in ("ipadapter", "clip_vision", "checkpoints"):
        (tree / "models" / name).mkdir(parents=True)
    shutil.copy(made / "ip_adapter.safetensors", tree / "models" / "ipadapter")
    Trees(tmp_path / "home").add(tree)
    return made / "image_encoder"


def test_an_encoder_is_found_in_clip_vision(adapter: Path, made: Path, tmp_path: Path) -> None:
    store = stored(tmp_path / "home")
    source = store.find("ipadapter/ip_adapter.safetensors", "ip_adapter")
    with pytest.raises(ProblemError) as caught:
        seen(store, source.name)
    (problem,) = caught.value.problems
    assert problem.code == "model_incomplete"
    assert "summary of 32 numbers" in problem.message and "clip_vision" in problem.hint
    places = tmp_path / "ComfyUI" / "models" / "clip_vision"
    shutil.copy(made / "clip" / "model.safetensors", places / "another.safetensors")
    (places / "SD1.5").mkdir()
    shutil.copy(adapter / "model.safetensors", places / "SD1.5" / "model.safetensors")
    store = stored(tmp_path / "home")
    assert store.find(source.name).fingerprint != source.fingerprint, "the encoder counts"
    layout = store.library.layout(store.find(source.name))
    assert layout.parts["image_encoder"].weights[0].parent.name == "SD1.5"
    assert seen(store, source.name).numel() > 0


@pytest.mark.parametrize("place", ["models/image_encoder", "models/clip_vision/vit"])
def test_an_encoder_is_found_in_our_own_folders(adapter: Path, place: str, tmp_path: Path) -> None:
    shutil.copytree(adapter, tmp_path / "home" / place)
    store = stored(tmp_path / "home")
    layout = store.library.layout(store.find("ipadapter/ip_adapter.safetensors"))
    assert layout.parts["image_encoder"].config == tmp_path / "home" / place / "config.json"
