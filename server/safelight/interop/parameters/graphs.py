"""The graph that makes an image of such settings."""

from __future__ import annotations

import re
from typing import Any

from safelight.graph import Document, InputPort, Link, Node, OutputPort, Port
from safelight.protocol.imports import ImportReport
from safelight.sdk.problem import Problem

from .settings import Hires, Settings

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
        self._models()
        positive = self._prompt("prompt", said.prompt, "Prompt")
        negative = self._prompt("negative", said.negative, "Negative prompt", 240)
        latent, denoise = self._canvas()
        self._next()
        noise = self._noise(latent)
        sampled = self._sample("sample", positive, negative, latent, denoise, noise)
        if said.hires is not None:
            sampled = self._second_pass(said.hires, positive, negative, sampled)
        self._next()
        self._add("decode", "vae.decode", {}, vae=self._vae, latent=sampled)
        self._next()
        self._add("save", "image.save", {}, image=("decode", "image"))

    def document(self) -> Document:
        inputs = [
            ("prompt", "prompt.text", "What the image should show."),
            ("negative", "negative.text", "What it should not show."),
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
        scheduled = _SCHEDULED.search(text) is not None
        values: dict[str, Any] = {"text": text}
        if scheduled and self._said.steps:
            values["steps"] = self._said.steps
        if self._said.clip_skip:
            values["clip_skip"] = self._said.clip_skip
        kind = "text.encode_schedule" if scheduled else "text.encode"
        self._add(name, kind, values, title, down, encoder=self._text)
        if name == "prompt" and "<lora:" in text:
            del values["text"]
            self._links.append(Link(Port("loras", "prompt"), Port(name, "text")))
        return name, "conditioning"

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
        denoise: float,
        noise: tuple[str, str] | None = None,
    ) -> tuple[str, str]:
        said = self._said
        told: dict[str, Any] = {"steps": said.steps, "guidance": said.guidance, "seed": said.seed}
        told |= {"sampler": said.sampler, "scheduler": said.scheduler, "formulas": said.formulas}
        values = {key: value for key, value in told.items() if value not in (None, "", 0) or key == "seed"}
        values["seed"] = said.seed or 0
        if denoise < 1:
            values["denoise"] = denoise
        self._add(
            name, "sampling.sample", values, model=self._model, positive=positive, negative=negative, latent=latent
        )
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

    def _add(
        self, name: str, kind: str, values: dict[str, Any], title: str = "", down: int = 0, **inputs: tuple[str, str]
    ) -> None:
        self.nodes[name] = Node(kind, values=values, title=title)
        self._places[name] = {"x": 340 * self._column, "y": down}
        self._links += [Link(Port(*source), Port(name, port)) for port, source in inputs.items()]

    def _next(self) -> None:
        self._column += 1
