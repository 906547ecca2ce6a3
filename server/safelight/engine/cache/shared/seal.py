"""What lies in the bucket beside the values: manifests, signed with the team's key.

A manifest is one line with the signature, and behind it JSON. The signature is HMAC-SHA256 (RFC 2104, FIPS 180-4) over
the format, the kind, the name that it is kept under, and every byte of the JSON, which holds the SHA-256 of each value:
so nothing that it tells can be changed, nor be put under another name.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from safelight.sdk.codec import hash_text

from ..refs import BLOB_MARK, Action

MANIFEST_BYTES = 64 << 20
"""Of the largest manifest that is read."""
FORMAT = "safelight-shared/1"
"""Changes with what is in the bucket, and with how values are laid out there. A part of every signature and path."""
ACTION, STATE, MODEL = "action", "state", "model"
_HEX = 64
_ID = re.compile(rf"(?:{BLOB_MARK})?[0-9a-f]{{40}}")


class Refused(Exception):
    """What lies in the bucket is not what a member of the team has put there."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A value in the bucket: as a row of the index (see `index.py`), with the SHA-256 of its payload.

    `inside` are the elements of a list, or the blobs that files in it name. `data` is a payload that is so small that
    it stands in the manifest itself.
    """

    id: str
    kind: int
    size: int
    length: int
    crc: int
    sha256: str
    seconds: float = 0.0
    inside: tuple[str, ...] = ()
    data: bytes | None = None


class Manifest(msgspec.Struct, frozen=True):
    """An action, and the values that it needs, as far as they are in the bucket."""

    action: Action
    entries: tuple[Entry, ...] = ()


class StateHead(msgspec.Struct, frozen=True):
    """What is said of a checkpoint; its bytes follow in the same object."""

    length: int
    sha256: str


class ModelFile(msgspec.Struct, frozen=True):
    """A file of a model: its path below a folder of models, and what it must be."""

    path: str
    length: int
    sha256: str


class ModelHead(msgspec.Struct, frozen=True):
    """The files of a model."""

    files: tuple[ModelFile, ...]


M = TypeVar("M", Manifest, StateHead, ModelHead)


def sealed(key: bytes, kind: str, name: str, told: Manifest | StateHead | ModelHead) -> bytes:
    """The manifest of this name, signed."""
    body = msgspec.json.encode(told)
    return _signature(key, kind, name, body) + b"\n" + body


def unsealed(key: bytes, kind: str, name: str, data: bytes, of: type[M]) -> M:
    """The manifest that was kept under this name.

    Raises:
        Refused: the signature is missing, is another team's or is for other bytes; or names what nobody may name.
    """
    signature, line, body = data[:_HEX], data[_HEX : _HEX + 1], data[_HEX + 1 :]
    if line != b"\n" or not hmac.compare_digest(signature, _signature(key, kind, name, body)):
        raise Refused("its signature is not that of this team, or is for another entry")
    try:
        found = msgspec.json.decode(body, type=of)
    except (msgspec.DecodeError, ValueError) as error:
        raise Refused(f"it cannot be read ({error})") from None
    if isinstance(found, Manifest) and not all(map(_is_id, _named(found))):
        raise Refused("it names entries by what is no digest")
    return found


def read_unsigned(data: bytes) -> Manifest | None:
    """What a manifest says, whoever has signed it: enough to leave alone what it names. None where it says nothing."""
    try:
        return msgspec.json.decode(data[_HEX + 1 :], type=Manifest)
    except (msgspec.DecodeError, ValueError):
        return None


def action_path(key: str) -> str:
    name = hash_text(key)
    return f"{FORMAT}/actions/{name[:2]}/{name}"


def state_path(key: str) -> str:
    name = hash_text(key)
    return f"{FORMAT}/states/{name[:2]}/{name}"


def value_path(entry: Entry) -> str:
    """Where a payload lies. Those of values open in any tool that reads safetensors or JSON.

    The digest of its bytes is a part: machines may write one value differently, and each manifest names its own.
    """
    kind = "blobs" if entry.id.startswith(BLOB_MARK) else "values"
    name = entry.id.removeprefix(BLOB_MARK)
    return f"{FORMAT}/{kind}/{name[:2]}/{name}-{entry.sha256[:16]}"


def sha256(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def _signature(key: bytes, kind: str, name: str, body: bytes) -> bytes:
    said = "\n".join((FORMAT, kind, name, "")).encode("utf-8", "surrogatepass")
    return hmac.new(key, said + body, hashlib.sha256).hexdigest().encode()


def _named(manifest: Manifest) -> Iterator[str]:
    yield from (ref.digest for ref in manifest.action.outputs.values())
    for entry in manifest.entries:
        yield entry.id
        yield from entry.inside


def _is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None
