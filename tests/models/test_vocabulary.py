"""CLIP's vocabulary out of the package: ids as those that the models were trained with."""

from __future__ import annotations

import pytest

from safelight.families._clip.vocabulary import clip_tokenizer, clip_vocabulary


def test_the_ids_are_those_of_the_reference() -> None:
    """Ids as OpenAI's own tokenizer gives them."""
    vocabulary, merges = clip_vocabulary()
    assert len(vocabulary) == 49408 and len(merges) == 48894
    assert (vocabulary["<|startoftext|>"], vocabulary["<|endoftext|>"]) == (49406, 49407)
    tokenizer = clip_tokenizer("<|endoftext|>")
    assert tokenizer("a diagram, a dog, a cat").input_ids == [49406, 320, 22697, 267, 320, 1929, 267, 320, 2368, 49407]
    assert tokenizer("A  photo of a Café").input_ids == [49406, 320, 1125, 539, 320, 15304, 49407]


@pytest.mark.parametrize(("pad", "number"), [("<|endoftext|>", 49407), ("!", 0)])
def test_the_rest_of_a_text_is_filled_as_its_encoder_knows_it(pad: str, number: int) -> None:
    ids = clip_tokenizer(pad)("cat", padding="max_length").input_ids
    assert ids == [49406, 2368, 49407] + [number] * 74
