"""Weights between two that are alike: what each has learned is partly kept.

Where one was trained on from the other, weights between them are often better than either: they have most of what is
new, and of what was forgotten most as well. This is WiSE-FT (M. Wortsman et al., "Robust fine-tuning of zero-shot
models", 2022, https://arxiv.org/abs/2109.01903). Two models that share no history give noise.
"""

from __future__ import annotations

from dataclasses import replace

from safelight.sdk import Problem, ProblemError
from safelight_nodes.training_values import Weights


def mixed(first: Weights, second: Weights, share: float) -> Weights:
    """`share` (0..1) of the second and the rest of the first, number by number; the rest is as the second says.

    Raises:
        ProblemError: `wrong_weights`, for those of models that are not built alike, and for LoRAs.
    """
    import torch

    if "lora" in (first.kind, second.kind):
        message = "A LoRA has two factors a layer, and the means of factors are no mean of LoRAs."
        raise _refused(message, "Put both LoRAs on the model with models.apply_lora, each with a strength.")
    if first.kind != second.kind:
        raise _refused(
            f"Here are weights of {first.kind} and of {second.kind}.", "Mix weights of two models that are built alike."
        )
    known = {name: tensor.shape for name, tensor in first.tensors.items()}
    other = next((name for name, one in second.tensors.items() if known.get(name) != one.shape), None)
    if other or len(known) != len(second.tensors):
        lacking = other or next(name for name in known if name not in second.tensors)
        message = f"The two have not the same layers: {lacking} is not in both, or of another size."
        raise _refused(message, "Mix a model with one that was trained on from it.")
    tensors = {
        name: torch.lerp(first.tensors[name].float(), one.float(), share) if one.is_floating_point() else one
        for name, one in second.tensors.items()
    }
    return replace(second, tensors=tensors, about={**second.about, "mixed": share})


def _refused(message: str, hint: str) -> ProblemError:
    return ProblemError(Problem(code="wrong_weights", message=message, hint=hint, port="second"))
