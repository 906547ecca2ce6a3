"""What decides by the kind of device, in one table. Knows nothing of torch, so that it can be read anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

from .measured import Computed

Attention = Literal["math", "flash", "efficient", "cudnn"]


class DeviceKind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of device.

    Attributes:
        name: what it is called here; `rocm` is one that torch calls `cuda`.
        own: it has memory of its own, so that weights can wait in main memory and come block by block.
        streams: it copies while it computes, so that the next block can come during the one before.
        channels_last: its kernels of convolutions read half precision channel by channel.
        precisions: tried beside float32, the first before the others where they are as fast.
        gain: half precision must be this many times as fast as float32 to be chosen; below, its rounding buys nothing.
        attention: torch's implementations of attention that run there; torch chooses one where none is set.
        float8: it can hold numbers of 8 bits, so that weights may be kept in them.
        main: main memory, as torch names it.
        compiler: what torch compiles with there: `c++`, or a module of Python; empty where it does not.
    """

    name: str
    own: bool = False
    streams: bool = False
    channels_last: bool = False
    precisions: tuple[Computed, ...] = ("bfloat16",)
    gain: float = 1.0
    attention: tuple[Attention, ...] = ("math",)
    float8: bool = True
    main: str = "cpu"
    compiler: str = ""

    @property
    def images(self) -> Computed:
        """The precision of what makes images of images, where 8 bits of bfloat16 would show as bands."""
        return "float16" if "float16" in self.precisions else "float32"


KINDS: Mapping[str, DeviceKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            # CPUs have no fast float16.
            DeviceKind(name="cpu", gain=1.2, attention=("math", "flash"), compiler="c++"),
            # bfloat16 goes before float16, whose range the activations of some models leave.
            DeviceKind(
                name="cuda",
                own=True,
                streams=True,
                channels_last=True,
                precisions=("bfloat16", "float16"),
                attention=("math", "flash", "efficient", "cudnn"),
                compiler="triton",
            ),
            DeviceKind(
                name="rocm",
                own=True,
                streams=True,
                precisions=("bfloat16", "float16"),
                attention=("math", "flash", "efficient"),
                compiler="triton",
            ),
            # Its memory is main memory. bfloat16 runs by float32 instructions on older chips.
            DeviceKind(name="mps", precisions=("float16",), float8=False),
            DeviceKind(name="xpu", own=True, streams=True, attention=("math", "flash"), compiler="triton"),
        )
    }
)


DEVICE = r"cpu|mps|(cuda|xpu)(:\d+)?"
"""What a device is called, as a regular expression."""


def kind_of(device: str, hip: bool = False) -> DeviceKind:
    """The kind of a device as torch names it (`cuda:1`); `hip` is True where torch was built for ROCm.

    One that is not known is taken to have memory of its own, and nothing else.
    """
    name = device.partition(":")[0]
    return KINDS.get("rocm" if name == "cuda" and hip else name, DeviceKind(name=name, own=True))
