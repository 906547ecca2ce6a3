"""What an instance of a subgraph says when its body runs several times, turn by turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MOST = 1000
"""The greatest number of turns where the document names none."""
MOST_EVER = 100_000
"""The greatest number that a document may name."""
FIELDS = ("each", "times", "while", "carry", "index", "most")
"""What a file may say of a repetition. Other fields are kept, and warned of."""


@dataclass(frozen=True)
class Repeat:
    """How the body of an instance is repeated. Turns are counted from 0.

    `each` are inputs that take a list, of which each turn sees one element; `times` is the number of turns, or the
    name of an input of the instance that takes it; `proceed` (`while` in the file) is a bool output, and the turns go
    on while it is true. `carry` maps an input to the output whose value of the turn before it gets, `index` is an
    input that gets the number of the turn. More turns than `most` are an error, never left out silently.
    """

    each: tuple[str, ...] = ()
    times: int | str | None = None
    proceed: str = ""
    carry: dict[str, str] = field(default_factory=dict)
    index: str = ""
    most: int = MOST
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def apart(self) -> bool:
        """Whether no turn reads what another gave, so that the rest goes on where one fails."""
        return not self.carry and not self.proceed

    def data(self) -> dict[str, Any]:
        """The JSON object of the file."""
        data: dict[str, Any] = {}
        if self.each:
            data["each"] = list(self.each)
        if self.times is not None:
            data["times"] = self.times
        if self.proceed:
            data["while"] = self.proceed
        if self.carry:
            data["carry"] = self.carry
        if self.index:
            data["index"] = self.index
        if self.most != MOST:
            data["most"] = self.most
        return data | self.extra


def read_repeat(raw: dict[str, Any], wrong: Callable[[Any, str, str], None]) -> Repeat:
    """The repetition that a JSON object describes; `wrong` is told each field of the wrong shape, and what it wants."""

    def texts(name: str, found: Any) -> tuple[str, ...]:
        if isinstance(found, list) and all(isinstance(item, str) for item in found):
            return tuple(dict.fromkeys(found))
        wrong(found, name, 'a list of names, such as ["image"]')
        return ()

    def text(name: str) -> str:
        found = raw.get(name, "")
        if not isinstance(found, str):
            wrong(found, name, "a name")
        return found if isinstance(found, str) else ""

    times, most, carry = raw.get("times"), raw.get("most", MOST), raw.get("carry", {})
    if times is not None and (not isinstance(times, int | str) or isinstance(times, bool) or times == ""):
        wrong(times, "times", "a whole number, or the name of an input that takes one")
        times = None
    if not isinstance(most, int) or isinstance(most, bool):
        wrong(most, "most", "a whole number")
        most = MOST
    if not isinstance(carry, dict) or not all(isinstance(item, str) for item in carry.values()):
        wrong(carry, "carry", 'an object of names, such as {"latent": "latent_out"}')
        carry = {}
    return Repeat(
        each=texts("each", raw.get("each", [])),
        times=times,
        proceed=text("while"),
        carry=dict(carry),
        index=text("index"),
        most=most,
        extra={key: item for key, item in raw.items() if key not in FIELDS},
    )
