"""How often classes are told right."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from safelight.sdk import Image, Text, node

from .._refusal import refusal


class Confusion(NamedTuple):
    """How often each class was told, and for which."""

    accuracy: Annotated[float, "Share of all that are predicted right, in 0..1."]
    balanced: Annotated[float, "The mean share of all classes, however many there are of each."]
    image: Annotated[Image, "A row for each actual class, a column for each predicted one, with counts."]
    classes: Annotated[list[str], "The classes, in the order of their rows."]
    recalls: Annotated[list[float], "Share of each class that is predicted right, in 0..1; 1 for one that none is of."]


@node(
    version=1,
    title="Confusion matrix",
    tags=("confusion of classes", "accuracy", "balanced accuracy", "recall", "sensitivity", "specificity", "evaluate"),
)
def confusion(
    predicted: Annotated[list[str], "The class that a model gives each (reading.classify)."],
    actual: Annotated[list[str], "What each really is, in the same order."],
    *,
    title: Annotated[str, Text(), "What stands above."] = "",
) -> Confusion:
    """Compare predicted classes with the actual ones: accuracy, and which class is taken for which.

    Of two classes, with and without a finding, the shares of both are called sensitivity and specificity.
    """
    from .._confusion import accuracy, counted, drawn, recalls

    if not predicted:
        raise refusal(code="list_empty", message="There is no class.", hint="Connect some.", port="predicted")
    if len(predicted) != len(actual):
        message = f"There are {len(predicted)} that were predicted and {len(actual)} actual ones."
        raise refusal(code="length_mismatch", message=message, hint="Give one for each.", port="actual")
    classes = sorted({*predicted, *actual})
    place = {name: number for number, name in enumerate(classes)}
    matrix = counted([place[name] for name in actual], [place[name] for name in predicted], len(classes))
    shares = recalls(matrix)
    known = [share for share, count in zip(shares, matrix.sum(1).tolist(), strict=True) if count]
    balanced = sum(known) / len(known)
    return Confusion(accuracy(matrix), balanced, Image(drawn(matrix, classes, title)), classes, shares)
