"""Prompts that change from step to step, and several in one: what they say when, and what that does to an image."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from node_bench import CLOSE, SEED, Kit, codes, distance
from safelight.diffusion.guidance import make_parts
from safelight.sdk import Conditioning, Latent, ProblemError, Shown
from safelight.sdk.prompt_schedule import Told, scheduled, weighed
from safelight.sdk.prompt_syntax import prompt_hints
from safelight_nodes import latent, sampling, text


def said(prompt: str, steps: int = 10) -> list[str]:
    """What a prompt says at each step."""
    told = scheduled(prompt, steps)
    return [
        next(one.text for one in told if not one.spans or any(a <= (step + 0.5) / steps < b for a, b in one.spans))
        for step in range(steps)
    ]


@pytest.mark.parametrize(
    ("prompt", "steps"),
    [
        ("a [cat:dog:0.4]", ["a cat"] * 4 + ["a dog"] * 6),
        ("a [cat:dog:3]", ["a cat"] * 3 + ["a dog"] * 7),
        ("a[ red:0.5] cat", ["a cat"] * 5 + ["a red cat"] * 5),
        ("a[ red::0.5] cat", ["a red cat"] * 5 + ["a cat"] * 5),
        ("[cat|dog]", ["cat", "dog"] * 5),
        ("[a|b|]", ["a", "b", "", "a", "b", "", "a", "b", "", "a"]),
        ("[[a|b]:c:0.3]", ["a", "b", "a"] + ["c"] * 7),
        ("[(a:1.2):b:0.5]", ["(a:1.2)"] * 5 + ["b"] * 5),
        ("a [b] (c:1.1) d: e | f", ["a [b] (c:1.1) d: e | f"] * 10),
        (r"\[a|b\]", [r"\[a|b\]"] * 10),
        ("[a|b", ["[a|b"] * 10),
        ("a] (b [c:1", ["a] (b [c:1"] * 10),
        ("[a:b:c:0.5]", ["[a:b:c:0.5]"] * 10),
        ("[a:b:20]", ["a"] * 10),
    ],
)
def test_what_a_prompt_says_at_each_step(prompt: str, steps: list[str]) -> None:
    assert said(prompt) == steps


def test_steps_in_a_row_are_one_part() -> None:
    assert scheduled("[a:b:0.5]", 10) == [Told("a", ((0.0, 0.5),)), Told("b", ((0.5, 1.0),))]
    assert scheduled("a cat", 10) == [Told("a cat")]


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("a cat AND a dog :0.5", [("a cat", 1.0), ("a dog", 0.5)]),
        ("a :1.2\nAND (b:1.1) :-.3", [("a", 1.2), ("(b:1.1)", -0.3)]),
        ("ratio 16:9", [("ratio 16:9", 1.0)]),
        ("BRAND ANDROID", [("BRAND ANDROID", 1.0)]),
    ],
)
def test_what_and_parts(prompt: str, parts: list[tuple[str, float]]) -> None:
    assert weighed(prompt) == parts


@pytest.mark.parametrize("prompt", ["[a|" * 20_000, "[" * 50_000 + "]" * 50_000, "(" * 50_000, "a AND " * 20_000])
def test_no_prompt_takes_long(prompt: str) -> None:
    started = time.process_time()
    weighed(prompt)
    scheduled(prompt, 3)
    assert time.process_time() - started < 2


def test_the_hint_is_given_where_it_is_not_read() -> None:
    for prompt in ("[a|b]", "[a:b:0.4]", "a AND b"):
        ((_, hint),) = prompt_hints(prompt)
        assert "text.encode_schedule" in hint and prompt_hints(prompt, scheduled=True) == []


def drawn(kit: Kit, positive: Conditioning, negative: Conditioning | None, **more: float) -> torch.Tensor:
    start = latent.empty(kit.vae, ctx=kit.context)
    asked = {"steps": 4, "guidance": 3.0, "sampler": "ddim", "seed": SEED, **more}
    return sampling.sample(kit.denoiser, positive, negative, start, **asked, ctx=kit.context).samples


def encoded(kit: Kit, prompt: str) -> Conditioning:
    return text.encode(kit.text, text=prompt, ctx=kit.context)


def composed(kit: Kit, prompt: str) -> Conditioning:
    return text.encode_schedule(kit.text, text=prompt, steps=4, ctx=kit.context)


def test_a_prompt_that_changes_is_two_with_their_ranges(sd1: Kit) -> None:
    negative = encoded(sd1, "dark")
    ranges = [text.set_range(encoded(sd1, "a cat"), end=0.5), text.set_range(encoded(sd1, "a sea"), start=0.5)]
    wanted = drawn(sd1, text.combine(*ranges), negative)
    assert torch.equal(drawn(sd1, composed(sd1, "a [cat:sea:0.5]"), negative), wanted)
    assert torch.equal(drawn(sd1, composed(sd1, "a cat"), negative), drawn(sd1, encoded(sd1, "a cat"), negative))
    turns = composed(sd1, "a [cat|sea]")
    assert len(turns.prompts) == 2
    assert distance(drawn(sd1, turns, negative), wanted) > CLOSE


def test_prompts_are_added_as_composable_diffusion_does(sd1: Kit) -> None:
    """One step, so that the predictions can be put together by hand: DDIM's result is linear in the prediction."""
    negative = encoded(sd1, "dark")
    more = {"steps": 1}
    none = drawn(sd1, negative, None, guidance=1.0, **more)
    cat, sea = (drawn(sd1, encoded(sd1, one), None, guidance=1.0, **more) for one in ("a cat", "the sea"))
    wanted = none + 3.0 * (1.5 * (cat - none) - 0.5 * (sea - none))
    made = drawn(sd1, composed(sd1, "a cat :1.5 AND the sea :-0.5"), negative, **more)
    assert distance(made, wanted) <= CLOSE * float(wanted.abs().max())
    assert distance(made, drawn(sd1, encoded(sd1, "a cat"), negative, **more)) > CLOSE * 100


def test_an_image_on_the_negative_side_alone_is_refused(sd1: Kit) -> None:
    positive, negative = encoded(sd1, "a cat"), encoded(sd1, "dark")
    one, other = (Shown("image", torch.full((1, 4, 8, 8), value)) for value in (0.0, 1.0))

    def parts(first: Shown | None, second: Shown | None) -> int:
        sides = replace(positive, shown=first), replace(negative, shown=second)
        request = SimpleNamespace(positive=sides[0], negative=sides[1], latent=Latent(torch.zeros(1, 4, 8, 8), "sd1"))
        request.guidance = 5.0
        return len(make_parts(request, "sd1", torch.device("cpu"), guided=True, zero=False))  # type: ignore[arg-type]

    for first in (None, other):
        with pytest.raises(ProblemError) as caught:
            parts(first, one)
        assert codes(caught) == [("shown_on_negative", "negative")]
    assert parts(one, one) == parts(one, None) == 2
