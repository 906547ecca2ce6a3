"""LoRAs that widen the first convolution of a UNet: what is for its own channels, and what is for more."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from safelight.models.wider import cut_wider

OUT, OWN, WIDE, RANK = 6, 4, 9, 3
Names = tuple[str, str, str]
PEFT: Names = ("unet.conv_in", "lora_A.weight", "lora_B.weight")
KOHYA: Names = ("lora_unet_conv_in", "lora_down.weight", "lora_up.weight")


def modules(taken: int = OWN) -> dict[str, SimpleNamespace]:
    """A UNet whose latent has `OWN` channels, and whose first convolution takes so many."""
    config = SimpleNamespace(out_channels=OWN)
    return {"unet": SimpleNamespace(conv_in=torch.nn.Conv2d(taken, OUT, 3, padding=1), config=config)}


def lora(names: Names = PEFT, **more: torch.Tensor) -> dict[str, torch.Tensor]:
    stem, down, up = names
    generator = torch.Generator().manual_seed(2)
    tensors = {
        down: torch.randn(RANK, WIDE, 3, 3, generator=generator),
        up: torch.randn(OUT, RANK, 1, 1, generator=generator),
        "reshape_weight": torch.tensor([OUT, WIDE, 3, 3]),
        **more,
    }
    return {f"{stem}.{name}": tensor for name, tensor in tensors.items()} | {"unet.other.lora_A.weight": torch.ones(1)}


@pytest.mark.parametrize("names", [PEFT, KOHYA])
@pytest.mark.parametrize("alpha", [None, 1.5])
def test_the_two_parts_make_the_wide_convolution(names: Names, alpha: float | None) -> None:
    stem, down, up = (f"{names[0]}.{name}" if place else name for place, name in enumerate(names))
    whole = lora(names, **({} if alpha is None else {"alpha": torch.tensor(alpha)}))
    given = dict(whole)
    more = cut_wider(given, modules())
    assert more is not None and more.shape == (OUT, WIDE - OWN, 3, 3)
    assert f"{stem}.reshape_weight" not in given and "unet.other.lora_A.weight" in given
    assert given[down].shape == (RANK, OWN, 3, 3) and torch.equal(given[up], whole[up])
    scale = 1.0 if alpha is None else alpha / RANK
    x = torch.randn(1, WIDE, 8, 8, generator=torch.Generator().manual_seed(3))
    conv = torch.nn.functional.conv2d
    wanted = conv(conv(x, whole[down], padding=1), whole[up]) * scale
    own = conv(conv(x[:, :OWN], given[down], padding=1), given[up]) * scale
    assert torch.allclose(own + conv(x[:, OWN:], more, padding=1), wanted, atol=1e-5)


def test_what_widens_nothing_is_left_as_it_is() -> None:
    plain = {name: tensor for name, tensor in lora().items() if not name.endswith("reshape_weight")}
    given = dict(plain)
    assert cut_wider(given, modules()) is None and given.keys() == plain.keys()
    for taken, left in ((WIDE, lora()), (OWN, lora(lora_A=torch.ones(1)))):
        given = dict(left)
        if taken == OWN:
            del given["unet.conv_in.lora_B.weight"]
        assert cut_wider(given, modules(taken)) is None
        assert given["unet.conv_in.lora_A.weight"].shape[1] == WIDE, "an inpainting model takes all of it"
    deep = lora()
    assert cut_wider(deep, modules(OWN + 1)) is None, "a depth model sees depth, and no hole"
    text = lora()
    assert cut_wider(text, {"text_encoder": SimpleNamespace()}) is None
    assert "unet.conv_in.reshape_weight" not in text, "nothing reads a shape as a part of a LoRA"
