"""IP-Adapters in files: one way of naming for all of them, and what must be in one."""

from __future__ import annotations

import re

from safelight.families.files import Header

GROUPS = ("image_proj", "ip_adapter")
REDUX = ("redux_up", "redux_down")
"""The layers of Flux.1 Redux, which makes an image into words of a prompt."""
_XLABS = re.compile(r"double_blocks\.(\d+)\.processor\.ip_adapter_double_stream_([kv])_proj\.(weight|bias)")


def adapter_name(name: str) -> str:
    """What a tensor of an IP-Adapter is called here, and in diffusers: `image_proj...` or `ip_adapter.NUMBER...`.

    Those of Flux.1 are named otherwise by XLabs, and Redux has no groups.
    """
    found = _XLABS.fullmatch(name)
    if found:
        return f"ip_adapter.{found[1]}.to_{found[2]}_ip.{found[3]}"
    if name.startswith("ip_adapter_proj_model."):
        return name.replace("ip_adapter_proj_model", "image_proj", 1)
    return f"image_proj.{name}" if name.startswith(REDUX) else name


def adapter_header(header: Header) -> Header | None:
    """The header of an IP-Adapter under these names; None for a file that is none."""
    named = {adapter_name(name): entry for name, entry in header.tensors.items()}
    is_one = any(name.startswith("ip_adapter.") for name in named) or "image_proj.redux_up.weight" in named
    return Header(named, header.metadata, header.start) if is_one else None


def lacking(adapter: Header) -> list[str]:
    """The tensors that an IP-Adapter should have and does not: a pair for every attention that looks at its images."""
    names = adapter.tensors
    if "image_proj.redux_up.weight" in names:
        wanted = [f"image_proj.{layer}.{kind}" for layer in REDUX for kind in ("weight", "bias")]
        return [name for name in wanted if name not in names]
    layers = {int(number) for name in names if (number := name.removeprefix("ip_adapter.").split(".")[0]).isdigit()}
    # A transformer looks at them everywhere. A UNet does at every second of its attentions: 1, 3, 5, ...
    first, step = (0, 1) if "ip_adapter.0.to_v_ip.weight" in names else (1, 2)
    wanted = [
        f"ip_adapter.{layer}.{part}.weight"
        for layer in range(first, max(layers, default=first) + 1, step)
        for part in ("to_k_ip", "to_v_ip")
    ]
    projected = any(name.startswith("image_proj.") for name in names)
    return [name for name in wanted if name not in names] + ([] if projected else ["image_proj"])
