"""Events of ours as the messages that ComfyUI's websocket sends."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass, field
from typing import Any

import msgspec

from safelight.host.queue.prompts import Posted
from safelight.host.workers import Preview
from safelight.protocol.events import NodeFinished, NodeProgress, NodeStarted, RunStarted
from safelight.sdk.values import File

from .entries import classes, listed, of_file

Message = tuple[str, Any]
PREVIEWS = ("latent2rgb", "taesd", "auto")
"""What clients ask for who want to see how far the image has come."""
_SENT = "SaveImageWebsocket"
"""The class whose images go to the client as they are."""
_IMAGE, _IMAGE_WITH_METADATA = 1, 4
_KINDS = {"image/jpeg": 1, "image/png": 2}


@dataclass
class Told:
    """What a client was told of one of its prompts. `states` are progress by node, as ComfyUI sends it whole, `cached`
    the nodes that are still to be told as known from before, `begun` whether any have been."""

    posted: Posted
    kinds: dict[str, str]
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    node: str | None = None
    cached: list[str] = field(default_factory=list)
    begun: bool = False

    @classmethod
    def of(cls, posted: Posted) -> Told:
        return cls(posted, classes(posted))

    @property
    def id(self) -> str:
        return self.posted.id

    @property
    def wants_previews(self) -> bool:
        return self.posted.prompt.extra_data.get("preview_method") in PREVIEWS

    def owner(self, node: str) -> str | None:
        return self.posted.prompt.nodes.get(node)

    def follow(self, event: object) -> list[Message]:
        """The messages for an event of the run."""
        if isinstance(event, RunStarted):
            self.states.clear()
            self.cached.clear()
            self.node, self.begun = None, False
            return [("execution_start", {"prompt_id": self.id, "timestamp": _now()})]
        owner = self.owner(getattr(event, "node", ""))
        if owner is None:
            return []
        if isinstance(event, NodeStarted):
            return self._executing(owner)
        if isinstance(event, NodeProgress):
            self.mark(owner, running=True, step=event.step, total=event.total)
            step = {"value": event.step, "max": event.total, "prompt_id": self.id, "node": owner}
            return [("progress", step), self.progress_state()]
        if isinstance(event, NodeFinished):
            return self._finished(owner, event)
        return []

    def _executing(self, owner: str) -> list[Message]:
        """A node of theirs that became several of ours is told of once."""
        self.mark(owner, running=True)
        if self.node == owner:
            return []
        self.node = owner
        return [*self.known(), self.progress_state(), self.executing(owner)]

    def _finished(self, owner: str, event: NodeFinished) -> list[Message]:
        self.mark(owner, running=False)
        if event.cached:
            self.cached.append(owner)
        if not event.files:
            return []
        output = listed(map(of_file, event.files), self.kinds.get(owner, ""))
        about = {"node": owner, "display_node": owner, "output": output, "prompt_id": self.id}
        return [*self.known(), ("executed", about)]

    def known(self) -> list[Message]:
        """The nodes that were cached, together: clients look whether all that they wait for is among them. Told once,
        even if there are none, and again for those that come later."""
        if self.begun and not self.cached:
            return []
        nodes, self.cached, self.begun = list(dict.fromkeys(self.cached)), [], True
        return [("execution_cached", {"nodes": nodes, "prompt_id": self.id, "timestamp": _now()})]

    def sent_files(self, event: object) -> tuple[str, tuple[File, ...]]:
        """The images that go to the client as they are, and the node that sends them."""
        if isinstance(event, NodeFinished) and (owner := self.owner(event.node)) and self.kinds.get(owner) == _SENT:
            return owner, event.files
        return "", ()

    def executing(self, node: str | None) -> Message:
        about = {"node": node, "prompt_id": self.id}
        return "executing", about if node is None else {**about, "display_node": node}

    def progress_state(self) -> Message:
        return "progress_state", {"prompt_id": self.id, "nodes": {name: dict(one) for name, one in self.states.items()}}

    def mark(self, owner: str, *, running: bool, step: int = 0, total: int = 0) -> None:
        """Keeps where a node stands."""
        most = total or 1
        self.states[owner] = {
            "value": step if running else most,
            "max": most,
            "state": "running" if running else "finished",
            "prompt_id": self.id,
            **_whose(owner),
        }


def status(count: int, client: str | None = None) -> Message:
    about: dict[str, Any] = {"status": {"exec_info": {"queue_remaining": count}}}
    return "status", about if client is None else {**about, "sid": client}


def text(message: Message) -> bytes:
    kind, data = message
    return msgspec.json.encode({"type": kind, "data": data})


def image(data: bytes, media_type: str) -> bytes:
    """A binary frame: what follows, the image's format, and the image."""
    return struct.pack(">II", _IMAGE, _KINDS[media_type]) + data


def preview(shown: Preview, told: Told, *, with_metadata: bool) -> bytes:
    """A preview; clients that have said so get the node and the prompt with it."""
    owner = told.owner(shown.node) or ""
    if not with_metadata:
        return image(shown.data, shown.media_type)
    head = msgspec.json.encode({**_whose(owner), "prompt_id": told.id, "image_type": shown.media_type})
    return struct.pack(">II", _IMAGE_WITH_METADATA, len(head)) + head + shown.data


def _whose(owner: str) -> dict[str, Any]:
    """A node as messages name it; none here lies in another."""
    return {"node_id": owner, "display_node_id": owner, "parent_node_id": None, "real_node_id": owner}


def _now() -> int:
    return round(time.time() * 1000)
