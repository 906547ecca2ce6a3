"""The graph that makes an image of such settings."""

from __future__ import annotations

import math
import re
from typing import Any

from safelight.graph import Document, InputPort, Link, Node, OutputPort, Port
from safelight.protocol.imports import ImportReport
from safelight.sdk.problem import Problem

from .settings import Faces, Hires, Settings, Unit
from .units import preprocessor

_SCHEDULED = re.compile(r"\[[^\]\[]*[:|][^\]\[]*\]|\sAND\s")


def graph_of(said: Settings) -> tuple[Document, ImportReport]:
    """The workflow that makes such an image."""
    made = _Graph(said)
    report = ImportReport(program=said.program, nodes=len(made.nodes), mapped=len(made.nodes))
    report.remarks = [Problem(code="imported_otherwise", message=text, level="warning") for text in said.remarks]
    return made.document(), report


class _Graph:
    """Puts nodes from the left to the right, and remembers who gives what."""

    def __init__(self, said: Settings) -> None:
        self._said = said
        self.nodes: dict[str, Node] = {}
        self._links: list[Link] = []
        self._places: dict[str, dict[str, int]] = {}
        self._column = 0
        self._words: dict[str, str] = {}
        self._models()
        positive = self._prompt("prompt", said.prompt, "Prompt")
        negative = self._prompt("negative", said.negative, "Negative prompt", 240)
        latent, denoise = self._canvas()
        for place, unit in enumerate(said.units):
            positive, negative = self._controlled(place + 1, unit, positive, negative)
        self._next()
        noise = self._noise(latent)
        switch = self._switch(denoise)
        sampled = self._sample("sample", positive, negative, latent, denoise, noise, end=switch)
        if switch:
            sampled = self._refined(switch, sampled)
        if said.hires is not None:
            sampled = self._second_pass(said.hires, positive, negative, sampled)
        self._next()
        self._add("decode", "vae.decode", {}, vae=self._vae, latent=sampled)
        self._next()
        image = ("decode", "image")
        if said.faces is not None:
            image = self._painted_again(said.faces, image)
        self._add("save", "image.save", {}, image=image)

    def document(self) -> Document:
        inputs = [
            ("prompt", self._words["prompt"], "What the image should show."),
            ("negative", self._words["negative"], "What it should not show."),
            ("seed", "sample.seed", "The start of the random noise: another seed, another image."),
        ]
        return Document(
            nodes=self.nodes,
            links=tuple(self._links),
            inputs=tuple(InputPort(name, Port(*to.split(".")), said) for name, to, said in inputs),
            outputs=(OutputPort("image", Port("save", "files")),),
            ui={"nodes": self._places},
        )

    def _models(self) -> None:
        said = self._said
        self._add("model", "models.load", {"model": said.model} if said.model else {})
        self._model, self._text, self._vae = ("model", "model"), ("model", "text"), ("model", "vae")
        if said.vae:
            self._add("vae", "models.load_vae", {"vae": said.vae}, down=260)
            self._vae = ("vae", "model")
        for number, (file, weight, text_weight) in enumerate(said.loras):
            name = f"lora_{number + 1}"
            self._next()
            values = {"lora": file, "weight": weight, "text_weight": text_weight}
            self._add(name, "models.apply_lora", values, model=self._model, text=self._text)
            self._model, self._text = (name, "model"), (name, "text")
        if "<lora:" in said.prompt:
            self._next()
            values = {"prompt": said.prompt}
            self._add("loras", "models.apply_prompt_loras", values, model=self._model, text=self._text)
            self._model, self._text = ("loras", "model"), ("loras", "text")
        self._next()

    def _prompt(self, name: str, text: str, title: str, down: int = 0) -> tuple[str, str]:
        values = self._encoded(name, text, title, down, self._text)
        source = ("loras", "prompt") if name == "prompt" and "<lora:" in text else None
        self._words[name] = f"{name}.text"
        if source is None and self._said.refiner is not None:
            # Two encoders read the same words, which are to be changed in one place.
            source = (f"{name}_words", "text")
            self._add(source[0], "values.text", {"value": text}, title, down + 1200)
            self._words[name] = f"{source[0]}.value"
        elif source is not None:
            self._words[name] = "loras.prompt"
        if source is not None:
            del values["text"]
            self._links.append(Link(Port(*source), Port(name, "text")))
        return name, "conditioning"

    def _encoded(
        self, name: str, said: str, title: str, down: int, encoder: tuple[str, str], **inputs: tuple[str, str]
    ) -> dict[str, Any]:
        scheduled = _SCHEDULED.search(said) is not None
        values: dict[str, Any] = {"text": said}
        if scheduled and self._said.steps:
            values["steps"] = self._said.steps
        if self._said.clip_skip:
            values["clip_skip"] = self._said.clip_skip
        self._add(
            name, "text.encode_schedule" if scheduled else "text.encode", values, title, down, encoder=encoder, **inputs
        )
        return values

    def _controlled(
        self, place: int, unit: Unit, positive: tuple[str, str], negative: tuple[str, str]
    ) -> tuple[tuple[str, str], tuple[str, str]]:
        """A ControlNet on both sides, with an image to be chosen."""
        network, hint, guided = f"controlnet_{place}", f"hint_{place}", f"guided_{place}"
        self._said.remarks.append(f"The image of a ControlNet is not in the file: choose it in the node {hint!r}.")
        self._next()
        self._add(network, "models.load_controlnet", {"controlnet": unit.model})
        self._add(hint, "image.load", {}, "", 200)
        source = (hint, "image")
        made = preprocessor(unit)
        if made is not None:
            self._next()
            self._add(f"preprocessed_{place}", made[0], made[1], "", 200, image=source)
            source = (f"preprocessed_{place}", "image")
        self._next()
        told: dict[str, Any] = {"strength": unit.weight, "start": unit.start, "end": unit.end, "guess": unit.guess}
        inputs = {"positive": positive, "negative": negative, "controlnet": (network, "model"), "image": source}
        self._add(guided, "controlnet.apply", told, **inputs)
        return (guided, "positive"), (guided, "negative")

    def _switch(self, denoise: float) -> int:
        """The step from which on the refiner goes on; 0 for none."""
        said = self._said
        if said.refiner is None:
            return 0
        why = "" if said.steps > 1 else "how many steps there are is not known"
        why = why or ("an image is changed" if denoise < 1 else "")
        if why:
            said.remarks.append(f"The refiner {said.refiner[0]} is left out: {why}.")
            return 0
        switch = max(1, math.ceil(said.steps * said.refiner[1] - 1e-6))
        return switch if switch < said.steps else 0

    def _refined(self, switch: int, latent: tuple[str, str]) -> tuple[str, str]:
        """The last steps by another model, which reads the prompts by its own encoders."""
        said = self._said
        assert said.refiner is not None
        self._next()
        self._add("refiner", "models.load", {"model": said.refiner[0]})
        self._next()
        for name, text, down in (("prompt", said.prompt, 0), ("negative", said.negative, 240)):
            words = {link.target.node: link.source for link in self._links if link.target.port == "text"}[name]
            title = f"{name.capitalize()} for the refiner"
            values = self._encoded(
                f"refiner_{name}", text, title, down, ("refiner", "text"), text=(words.node, words.port)
            )
            del values["text"]
        self._next()
        self._sample(
            "refine",
            ("refiner_prompt", "conditioning"),
            ("refiner_negative", "conditioning"),
            latent,
            start=switch,
            model=("refiner", "model"),
        )
        if said.hires is not None:
            said.remarks.append("The second, larger pass is made by the first model alone, without the refiner.")
        return "refine", "latent"

    def _canvas(self) -> tuple[tuple[str, str], float]:
        said = self._said
        if said.denoise >= 1 or said.hires is not None:
            size = {key: value for key, value in (("width", said.width), ("height", said.height)) if value}
            self._add("latent", "latent.empty", size, "", 480, vae=self._vae)
            return ("latent", "latent"), 1.0
        said.remarks.append("It was made of another image, which is not in the file: choose it in the node 'image'.")
        self._add("image", "image.load", {}, "", 480)
        self._add("latent", "vae.encode", {}, "", 760, vae=self._vae, image=("image", "image"))
        return ("latent", "latent"), said.denoise

    def _noise(self, latent: tuple[str, str]) -> tuple[str, str] | None:
        if self._said.variation is None:
            return None
        seed, strength = self._said.variation
        self._add("noise", "noise.make", {"seed": self._said.seed or 0}, latent=latent)
        self._add("variation", "noise.make", {"seed": seed}, "", 200, latent=latent)
        self._next()
        self._add("mix", "noise.blend", {"amount": strength}, first=("noise", "noise"), second=("variation", "noise"))
        self._next()
        return "mix", "noise"

    def _sample(
        self,
        name: str,
        positive: tuple[str, str],
        negative: tuple[str, str],
        latent: tuple[str, str],
        denoise: float = 1.0,
        noise: tuple[str, str] | None = None,
        *,
        start: int = 0,
        end: int = 0,
        model: tuple[str, str] | None = None,
    ) -> tuple[str, str]:
        said = self._said
        told: dict[str, Any] = {"steps": said.steps, "guidance": said.guidance, "seed": said.seed}
        told |= {"sampler": said.sampler, "scheduler": said.scheduler, "formulas": said.formulas}
        values = {key: value for key, value in told.items() if value not in (None, "", 0) or key == "seed"}
        values["seed"] = said.seed or 0
        if denoise < 1:
            values["denoise"] = denoise
        values |= {key: value for key, value in (("start_step", start), ("end_step", end)) if value}
        kind = "sampling.sample_part" if start or end else "sampling.sample"
        source = self._model if model is None else model
        self._add(name, kind, values, model=source, positive=positive, negative=negative, latent=latent)
        if noise is not None:
            self._links.append(Link(Port(*noise), Port(name, "noise")))
        return name, "latent"

    def _second_pass(
        self, hires: Hires, positive: tuple[str, str], negative: tuple[str, str], first: tuple[str, str]
    ) -> tuple[str, str]:
        self._next()
        if not hires.upscaler:
            self._add("larger", "latent.resize", {"scale": hires.scale}, latent=first)
            larger = ("larger", "latent")
        else:
            self._add("draft", "vae.decode", {}, vae=self._vae, latent=first)
            self._add("upscaler", "upscale.load", {"upscaler": hires.upscaler}, "", 200)
            self._next()
            source, network = ("draft", "image"), ("upscaler", "model")
            self._add("enlarged", "upscale.apply", {"factor": hires.scale}, image=source, upscaler=network)
            self._add("larger", "vae.encode", {}, "", 240, vae=self._vae, image=("enlarged", "image"))
            larger = ("larger", "latent")
        self._next()
        sampled = self._sample("again", positive, negative, larger, self._said.denoise)
        if hires.steps:
            self.nodes["again"].values["steps"] = hires.steps
        return sampled

    def _painted_again(self, faces: Faces, image: tuple[str, str]) -> tuple[str, str]:
        """Faces are found, cut out, sampled in a size of their own, and put back."""
        prompts = {"prompt": ("prompt", "conditioning"), "negative": ("negative", "conditioning")}
        for place, (name, text) in enumerate({"prompt": faces.prompt, "negative": faces.negative}.items()):
            if text:
                self._encoded(f"face_{name}", text, f"{name.capitalize()} of faces", 480 + 240 * place, self._text)
                prompts[name] = (f"face_{name}", "conditioning")
        self._add("faces", "faces.find", {}, image=image)
        self._next()
        cut = {"feather": faces.feather, "grow": faces.grow}
        cut |= {"width": faces.width or self._said.width, "height": faces.height or self._said.height}
        self._add("cut", "mask.crop", cut, image=image, mask=("faces", "mask"))
        self._next()
        self._add("face_encode", "vae.encode", {"fit": "crop"}, vae=self._vae, image=("cut", "image"))
        self._next()
        self._add("face_mask", "latent.set_mask", {}, latent=("face_encode", "latent"), mask=("cut", "mask"))
        self._next()
        sampled = self._sample("face", prompts["prompt"], prompts["negative"], ("face_mask", "latent"), faces.denoise)
        own = {"steps": faces.steps, "guidance": faces.guidance}
        self.nodes["face"].values.update({name: value for name, value in own.items() if value})
        self._next()
        self._add("face_decode", "vae.decode", {}, vae=self._vae, latent=sampled)
        self._next()
        cutout = ("cut", "cutout")
        self._add("stitch", "mask.stitch", {}, cutout=cutout, image=("face_decode", "image"))
        self._next()
        # Where there is no face, nothing is cut out and nothing is sampled.
        self._add("any_face", "values.compare", {"b": 0, "operation": "greater"}, "", 240, a=("faces", "number"))
        self._next()
        painted, condition = ("stitch", "image"), ("any_face", "value")
        self._add("painted", "choice.switch", {}, if_true=painted, if_false=image, condition=condition)
        self._next()
        return "painted", "value"

    def _add(
        self, name: str, kind: str, values: dict[str, Any], title: str = "", down: int = 0, **inputs: tuple[str, str]
    ) -> None:
        self.nodes[name] = Node(kind, values=values, title=title)
        self._places[name] = {"x": 340 * self._column, "y": down}
        self._links += [Link(Port(*source), Port(name, port)) for port, source in inputs.items()]

    def _next(self) -> None:
        self._column += 1
