"""Denoising: one sampler of ours, before which stand the ControlNets and IP-Adapters that are given to it there."""

from __future__ import annotations

from ..comfyui.rules.base import Lead, Made, Part, Ref, Rule, Site, Unfit
from .values import file_in, image_into, method


def denoise(positive: str, negative: str, model: str, steps: str, guidance: str) -> Rule:
    """A sampler whose inputs have these names there."""

    def rule(site: Site) -> Made:
        noise = site.giver(site.wire("noise"))
        if noise is not None and noise.node.type != "noise":
            raise Unfit(f"Its noise comes from {noise.node.type}, which has no counterpart.")
        if site.live(site.wire("denoising_end")):
            raise Unfit("Its end comes by a link: put sampling.sample_part there.")
        begins = site.wire("denoising_start") if site.live(site.wire("denoising_start")) else None
        start, end = (float(site.typed(f"denoising_{name}", plain)) for name, plain in (("start", 0), ("end", 1)))
        own = noise is None and site.typed("seed") is not None and site.typed("add_noise", True) is True
        part, parts = Part("sampling.sample"), dict[str, Part]()
        parts[""] = part
        if end < 1 or (noise is None and not own):
            if begins is not None:
                raise Unfit("Its start comes by a link: put sampling.sample_part there.")
            part = parts[""] = _part_of(site, steps, start, end)
        elif begins is not None:
            parts["share"] = Part("values.calculate", {"a": 1.0, "operation": "subtract"}, {"b": Lead(begins)})
            part.inputs["denoise"] = Ref("share", "value")
        elif start > 0:
            site.put(part, "denoise", "denoising_start", lambda value: round(1 - float(value), 6))
        for port, name in (("model", model), ("positive", positive), ("negative", negative), ("steps", steps)):
            site.put(part, port, name)
        site.put(part, "guidance", guidance, _one_number)
        if noise is not None:
            noise.put(part, "seed", "seed")
            if noise.typed("use_cpu", True) is False:
                site.approximate("Its noise is drawn on the CPU here: the image is another one.")
        elif own:
            site.put(part, "seed", "seed")
        site.put(part, "guidance_rescale", "cfg_rescale_multiplier")
        if site.node.type == "denoise_latents":
            method(site, part)
        _latent(site, parts, noise)
        _controlled(site, parts)
        for name in ("t2i_adapter", "control_lora", "redux_conditioning", "fill_conditioning", "kontext_conditioning"):
            if site.live(site.wire(name)):
                site.approximate(f"{name} has no counterpart, and is left out.")
        return Made(parts, [Ref("", "latent"), None, None])

    return rule


def _part_of(site: Site, steps: str, start: float, end: float) -> Part:
    """Some of the steps, from noise that is left over, or up to noise that stays."""
    count = site.typed(steps)
    if site.wire(steps) is not None or not isinstance(count, int):
        raise Unfit("How many of its steps are made is not told by a number: put sampling.sample_part there.")
    values = {"start_step": round(start * count), "end_step": round(end * count)}
    return Part(
        "sampling.sample_part", {name: value for name, value in values.items() if value < count or name == "start_step"}
    )


def _one_number(value: object) -> float:
    if isinstance(value, list):
        raise Unfit("A guidance for each step has no counterpart: one number is taken.")
    return float(str(value))


def _latent(site: Site, parts: dict[str, Part], noise: Site | None) -> None:
    """What is denoised: a latent that comes in, else an empty one of the size of the noise; with its mask."""
    if site.live(site.wire("latents")):
        site.put(parts[""], "latent", "latents")
    else:
        sized = noise or site
        empty = parts["empty"] = Part("latent.empty")
        vae = site.nearest("vae")
        if vae is not None:
            empty.inputs["vae"] = Lead(vae)
        for name in ("width", "height"):
            sized.put(empty, name, name)
        parts[""].inputs["latent"] = Ref("empty", "latent")
    mask = site.giver(site.wire("denoise_mask"))
    if mask is None:
        return
    if mask.node.type != "create_denoise_mask":
        raise Unfit(f"Its mask comes from {mask.node.type}, which has no counterpart.")
    # Black is what is painted there, white here.
    parts["black"] = Part("image.to_mask")
    image_into(mask, parts, "black", "image", "mask")
    parts["white"] = Part("mask.invert", {}, {"mask": Ref("black", "mask")})
    before = parts[""].inputs["latent"]
    parts["masked"] = Part("latent.set_mask", {}, {"latent": before, "mask": Ref("white", "mask")})
    parts[""].inputs["latent"] = Ref("masked", "latent")


def collected(site: Site, name: str) -> list[Site]:
    """What gives an input something, one node or several that a node collects."""
    first = site.giver(site.wire(name))
    if first is None or first.node.type != "collect":
        return [first] if first is not None else []
    wires = (wire for key, wire in first.node.wires.items() if key.startswith("item"))
    return [found for wire in wires if (found := first.giver(wire)) is not None]


def _controlled(site: Site, parts: dict[str, Part]) -> None:
    for number, unit in enumerate(collected(site, "control"), 1):
        if unit.node.type != "controlnet":
            site.approximate(f"{unit.node.type} has no counterpart, and is left out.")
            continue
        network, key = f"controlnet_{number}", f"control_{number}"
        parts[network] = Part("models.load_controlnet")
        unit.put(parts[network], "controlnet", "control_model", file_in("controlnet"))
        part = parts[key] = Part("controlnet.apply", {}, {"controlnet": Ref(network, "model")})
        image_into(unit, parts, key, "image", "image")
        unit.put(part, "strength", "control_weight", _one_number)
        unit.put(part, "start", "begin_step_percent")
        unit.put(part, "end", "end_step_percent")
        mode = str(unit.typed("control_mode", "balanced"))
        if mode in ("more_control", "unbalanced"):
            part.values["guess"] = True
        elif mode != "balanced":
            site.approximate(f"The control mode {mode!r} of a ControlNet has no counterpart: it is balanced.")
        if str(unit.typed("resize_mode", "just_resize")) != "just_resize":
            site.approximate("The image of a ControlNet is stretched to the size here.")
        _before(parts, key, "positive")
        _before(parts, key, "negative")
    for number, unit in enumerate(collected(site, "ip_adapter"), 1):
        if unit.node.type != "ip_adapter":
            site.approximate(f"{unit.node.type} has no counterpart, and is left out.")
            continue
        loader, key = f"adapter_{number}", f"adapted_{number}"
        parts[loader] = Part("models.load_ip_adapter")
        unit.put(parts[loader], "adapter", "ip_adapter_model", file_in("ipadapter"))
        part = parts[key] = Part(
            "ip_adapter.apply", {}, {"adapter": Ref(loader, "adapter"), "encoder": Ref(loader, "encoder")}
        )
        image_into(unit, parts, key, "image", "image")
        unit.put(part, "scale", "weight", _one_number)
        unit.put(part, "start", "begin_step_percent")
        unit.put(part, "end", "end_step_percent")
        if str(unit.typed("method", "full")) != "full":
            site.approximate(f"{unit.typed('method')!r} of an IP-Adapter is set by blocks in ip_adapter.apply.")
        if unit.live(unit.wire("mask")):
            site.approximate("The mask of an IP-Adapter is left out: link it to ip_adapter.apply.")
        _before(parts, key, "positive")


def _before(parts: dict[str, Part], key: str, port: str) -> None:
    """Puts a part between a prompt and the sampler. An IP-Adapter changes the positive one alone."""
    came = parts[""].inputs.get(port)
    if came is None:
        return
    parts[key].inputs[port] = came
    output = "conditioning" if parts[key].type == "ip_adapter.apply" else port
    parts[""].inputs[port] = Ref(key, output)
