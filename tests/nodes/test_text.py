from __future__ import annotations

import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import trivial_nodes
from node_bench import Kit
from safelight.diffusion.embeddings import Vocabulary
from safelight.diffusion.text_encoding import split
from safelight.graph import Document, check
from safelight.sdk import Area, Conditioning, Mask, ProblemError
from safelight.sdk.prompt_syntax import Piece, embeddings_in, parse, prompt_hints, weight_hint
from safelight.sdk.values import Prompt
from safelight_nodes import text

LONG = " ".join(["a red apple on the table and a blue sea"] * 12)


def pieces(prompt: str) -> list[tuple[str, float]]:
    return [(piece.text, round(piece.weight, 6)) for piece in parse(prompt)]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("", [("", 1.0)]),
        ("a red apple", [("a red apple", 1.0)]),
        ("a (red) apple", [("a ", 1.0), ("red", 1.1), (" apple", 1.0)]),
        ("a ((red)) apple", [("a ", 1.0), ("red", 1.21), (" apple", 1.0)]),
        ("a [red] apple", [("a ", 1.0), ("red", round(1 / 1.1, 6)), (" apple", 1.0)]),
        ("a (red:1.5) apple", [("a ", 1.0), ("red", 1.5), (" apple", 1.0)]),
        ("(red: 0.5 )", [("red", 0.5)]),
        ("(red:-1)", [("red", -1.0)]),
        ("(red:.5)", [("red", 0.5)]),
        ("(a (b:2) c:0.5)", [("a ", 0.5), ("b", 1.0), (" c", 0.5)]),
        ("(a (b:2):0.5)", [("a ", 0.5), ("b", 1.0)]),
        (r"a \(red\) apple", [("a (red) apple", 1.0)]),
        (r"(a \(b\):1.2)", [("a (b)", 1.2)]),
        (r"C:\dir\file", [(r"C:\dir\file", 1.0)]),
        ("a (red apple", [("a (red apple", 1.0)]),
        ("a red) apple", [("a red) apple", 1.0)]),
        ("a [red) apple]", [("a ", 1.0), ("red) apple", round(1 / 1.1, 6))]),
        ("ratio 16:9", [("ratio 16:9", 1.0)]),
        ("(16:9)", [("16", 9.0)]),
        ("()", [("", 1.0)]),
        (":)", [(":)", 1.0)]),
    ],
)
def test_weights(prompt: str, expected: list[tuple[str, float]]) -> None:
    assert pieces(prompt) == expected


def test_break_begins_a_chunk() -> None:
    assert parse("a BREAK b") == [Piece("a "), Piece(" b", starts_chunk=True)]
    assert parse("(a BREAK b:2)") == [Piece("a ", 2.0), Piece(" b", 2.0, starts_chunk=True)]
    assert parse("BREAKFAST and OUTBREAK") == [Piece("BREAKFAST and OUTBREAK")]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("embedding:cat", [Piece("", embedding="cat")]),
        ("a embedding:cat, red", [Piece("a "), Piece("", embedding="cat"), Piece(", red")]),
        ("embedding:cat-v1.5_neg.", [Piece("", embedding="cat-v1.5_neg"), Piece(".")]),
        ("embedding:cat.safetensors", [Piece("", embedding="cat.safetensors")]),
        ("(embedding:cat:1.2)", [Piece("", 1.2, embedding="cat")]),
        ("(embedding:cat)", [Piece("", 1.1, embedding="cat")]),
        ("(embedding:1234)", [Piece("", 1.1, embedding="1234")]),
        ("(a embedding:1234:0.5)", [Piece("a ", 0.5), Piece("", 0.5, embedding="1234")]),
        (r"embedding:cat\(old\)", [Piece("", embedding="cat(old)")]),
        (r"embedding:bad\ hands, a", [Piece("", embedding="bad hands"), Piece(", a")]),
        (r"embedding:style\cat", [Piece("", embedding="style/cat")]),
        ("embedding:a embedding:b", [Piece("", embedding="a"), Piece(" "), Piece("", embedding="b")]),
        ("embedding:猫，红", [Piece("", embedding="猫"), Piece("，红")]),
        ("a BREAK embedding:cat", [Piece("a "), Piece(" ", starts_chunk=True), Piece("", embedding="cat")]),
        ("embedding: cat", [Piece("embedding: cat")]),
        ("myembedding:cat", [Piece("myembedding:cat")]),
        ("embeddings", [Piece("embeddings")]),
    ],
)
def test_embeddings_stand_in_a_prompt(prompt: str, expected: list[Piece]) -> None:
    assert parse(prompt) == expected
    assert embeddings_in(prompt) == [piece.embedding for piece in expected if piece.embedding]


@given(st.text(alphabet="ab:.12()[]\\ BREAK", max_size=40))
def test_any_text_can_be_parsed(prompt: str) -> None:
    parse(prompt)


@given(st.text(alphabet=st.characters(exclude_characters="()[]\\", exclude_categories=("Cs",)), max_size=60))
def test_a_text_without_brackets_is_one_piece(prompt: str) -> None:
    if "BREAK" not in prompt and "embedding:" not in prompt:
        assert parse(prompt) == [Piece(prompt)]


@pytest.mark.parametrize("prompt", ["a red apple on the table", "", "Äpfel, 16:9 — 苹果!"])
@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_a_plain_prompt_is_encoded_as_the_pipeline_does(
    family: str, prompt: str, request: pytest.FixtureRequest
) -> None:
    kit: Kit = request.getfixturevalue(family)
    found = kit.pipeline.encode_prompt(prompt, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False)
    made = text.encode(kit.text, text=prompt, ctx=kit.context)
    (encoded,) = made.prompts
    assert made.family == family
    assert torch.equal(encoded.embeddings, found[0])
    if family == "sdxl":
        assert encoded.pooled is not None
        assert torch.equal(encoded.pooled, found[2])
    else:
        assert encoded.pooled is None


def test_clip_skip_reads_an_earlier_layer_through_the_last_norm(sd1: Kit) -> None:
    encoder, tokenizer = sd1.pipeline.text_encoder, sd1.pipeline.tokenizer
    ids = tokenizer("a red apple", padding="max_length", max_length=77, return_tensors="pt").input_ids
    with torch.no_grad():
        hidden = encoder(ids, output_hidden_states=True).hidden_states
        norm = getattr(encoder, "text_model", encoder).final_layer_norm
        for skip in (1, 2):
            made = text.encode(sd1.text, text="a red apple", clip_skip=skip, ctx=sd1.context).prompts[0]
            assert torch.equal(made.embeddings, norm(hidden[-1 - skip]))


def test_clip_skip_of_sdxl_counts_from_its_own_layer(sdxl: Kit) -> None:
    made = text.encode(sdxl.text, text="a red apple", clip_skip=1, ctx=sdxl.context).prompts[0]
    found = sdxl.pipeline.encode_prompt(
        "a red apple", device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False, clip_skip=1
    )
    assert torch.equal(made.embeddings, found[0])


def test_clip_skip_beyond_the_encoder_is_a_problem(sd1: Kit) -> None:
    with pytest.raises(ProblemError) as caught:
        text.encode(sd1.text, text="a", clip_skip=3, ctx=sd1.context)
    (problem,) = caught.value.problems
    assert (problem.code, problem.port) == ("clip_skip_too_large", "clip_skip")
    assert "3 layers" in problem.message


def test_a_long_prompt_is_encoded_in_chunks_and_none_of_it_is_lost(sd1: Kit) -> None:
    tokenizer = sd1.pipeline.tokenizer
    chunks = split(tokenizer, parse(LONG), Vocabulary({}))
    assert [token for chunk in chunks for token in chunk.tokens] == tokenizer(LONG, add_special_tokens=False).input_ids
    assert len(chunks) > 1
    assert all(len(chunk.tokens) <= 75 for chunk in chunks)
    for chunk in chunks:
        assert tokenizer.convert_ids_to_tokens(chunk.tokens[-1]).endswith("</w>"), "words are not torn apart"
    made = text.encode(sd1.text, text=LONG, ctx=sd1.context).prompts[0]
    assert made.embeddings.shape[1] == 77 * len(chunks)


def test_a_word_longer_than_a_chunk_is_still_encoded(sd1: Kit) -> None:
    word = "q" * 200
    chunks = split(sd1.pipeline.tokenizer, parse(word), Vocabulary({}))
    assert sum(len(chunk.tokens) for chunk in chunks) == 200


def test_each_chunk_is_encoded_by_itself(sd1: Kit) -> None:
    both = text.encode(sd1.text, text="a red apple BREAK the sea", ctx=sd1.context).prompts[0].embeddings
    first = text.encode(sd1.text, text="a red apple", ctx=sd1.context).prompts[0].embeddings
    second = text.encode(sd1.text, text="the sea", ctx=sd1.context).prompts[0].embeddings
    assert torch.allclose(both, torch.cat([first, second], dim=1), atol=1e-6)


def test_weights_move_embeddings_away_from_those_of_no_text(sd1: Kit) -> None:
    def of(prompt: str) -> torch.Tensor:
        return text.encode(sd1.text, text=prompt, ctx=sd1.context).prompts[0].embeddings

    plain, empty = of("a red apple"), of("")
    assert torch.allclose(of("a (red:1) apple"), plain, atol=1e-6)
    half = of("a (red:0.5) apple")
    assert torch.allclose(half[:, 2], (plain[:, 2] + empty[:, 2]) / 2, atol=1e-6)
    others = [place for place in range(77) if place != 2]
    assert torch.allclose(half[:, others], plain[:, others], atol=1e-6)
    assert torch.allclose(of("a (red:0) apple")[:, 2], empty[:, 2], atol=1e-6)


def test_combine_keeps_all_and_refuses_other_families(sd1: Kit, sdxl: Kit) -> None:
    one = text.encode(sd1.text, text="a", ctx=sd1.context)
    two = text.encode(sd1.text, text="b", ctx=sd1.context)
    assert text.combine(one, two).prompts == (*one.prompts, *two.prompts)
    with pytest.raises(ProblemError, match="sd1 and sdxl"):
        text.combine(one, text.encode(sdxl.text, text="a", ctx=sdxl.context))


def test_area_mask_range_and_size_are_noted(sd1: Kit) -> None:
    one = text.encode(sd1.text, text="a", ctx=sd1.context)
    assert text.set_area(one, x=0.5, width=0.5, height=1.0, strength=2.0).prompts[0].area == Area(0.5, 0.0, 0.5, 1.0)
    mask = Mask(torch.ones(1, 8, 8))
    assert text.set_mask(one, mask).prompts[0].mask is mask.coverage
    ranged = text.set_range(one, start=0.2, end=0.6).prompts[0]
    assert (ranged.start, ranged.end) == (0.2, 0.6)
    sized = text.set_size(one, width=100, height=50, crop_left=3, crop_top=4).prompts[0]
    assert sized.size == {"original": (50, 100), "crop": (4, 3)}
    assert one.prompts[0].area is None, "the input is left as it was"


def test_impossible_areas_and_ranges_are_problems(sd1: Kit) -> None:
    one = text.encode(sd1.text, text="a", ctx=sd1.context)
    with pytest.raises(ProblemError, match="120%"):
        text.set_area(one, x=0.7, width=0.5)
    with pytest.raises(ProblemError, match="empty"):
        text.set_range(one, start=0.5, end=0.5)


def test_an_escaped_colon_begins_no_number() -> None:
    assert pieces(r"(a\:1.2)") == [("a:1.2", 1.1)]
    assert pieces(r"(a\:1.2:0.5)") == [("a:1.2", 0.5)]
    assert pieces(r"(a\\:1.2)") == [("a\\", 1.2)]
    assert parse(r"a\:b") == [Piece("a:b")]


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [
        ("an apple <lora:shiny:0.8> on a table", "<lora:shiny:0.8>"),
        ("<LyCO:a:1>", "<LyCO:a:1>"),
        ("a {red|green} apple", "{red|green}"),
        ("a __colour__ apple", "__colour__"),
        ("[cat:dog:0.5]", "[cat:dog:0.5]"),
        ("[cat:8]", "[cat:8]"),
        ("[cat|dog]", "[cat|dog]"),
        ("a cat AND a dog :1.2", "AND"),
    ],
)
def test_syntax_of_other_programs_is_hinted(prompt: str, shown: str) -> None:
    ((message, hint),) = prompt_hints(prompt)
    assert shown in message and hint


@pytest.mark.parametrize(
    "prompt",
    [
        "(apple:1.2) [dark] embedding:x",
        r"\[cat:dog:0.5\]",
        "a < b > c",
        "{one}",
        "snake_case__name",
        "[a: b]",
        "3 | 4",
        "AND one BRAND AND",
        "",
    ],
)
def test_what_is_understood_is_not_hinted(prompt: str) -> None:
    assert prompt_hints(prompt) == []


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [
        ("a (cat:10)", "'cat' has a weight of 10,"),
        ("a (cat:-1), (dog:4)", "'cat' has a weight of -1,"),
        ("(((a:2):1.6))", "'a' has a weight of 3.52,"),
        ("(embedding:fur:3.5)", "'embedding:fur'"),
    ],
)
def test_a_weight_that_no_model_bears_is_told_of(prompt: str, shown: str) -> None:
    hint = weight_hint(prompt)
    assert hint is not None and shown in hint[0]
    document = Document.parse(
        {"format": "safelight/1", "nodes": {"p": {"type": "trivial_nodes.prompted", "values": {"text": prompt}}}}
    )
    checked = check(document, trivial_nodes.catalogue())
    assert [(p.code, p.level, p.port) for p in checked.problems] == [("weight_extreme", "warning", "text")]


@pytest.mark.parametrize("prompt", ["", "a (cat:3) and (dog:0)", "((((a))))", "at 10:30", "(at 10:30 or later)"])
def test_usual_weights_are_not_told_of(prompt: str) -> None:
    assert weight_hint(prompt) is None


def test_a_hint_is_a_warning_that_stops_nothing() -> None:
    document = Document.parse(
        {"format": "safelight/1", "nodes": {"p": {"type": "trivial_nodes.prompted", "values": {"text": "<lora:x:1>"}}}}
    )
    checked = check(document, trivial_nodes.catalogue())
    assert checked.ok and checked.graph is not None
    assert [(p.code, p.level, p.node, p.port) for p in checked.problems] == [("prompt_syntax", "warning", "p", "text")]


@pytest.mark.parametrize(
    "text",
    [
        "[a:" + "1" * 100_000, "[a:" * 30_000, "[" * 50_000, "(" * 20_000 + "Be" * 20_000 + ")" * 20_000,
        "(a:" + "1" * 50_000 + "x)", "(" * 30 + r"\(a" * 10_000 + ")" * 30, "_" * 100_000, "{a|" * 30_000,
        "(" + "B" * 50_000 + ":" + " " * 50_000 + ")", "<lora:" * 20_000,
    ],
    ids=range(10),
)  # fmt: skip
def test_no_prompt_takes_long_to_read(text: str) -> None:
    started = time.process_time()
    parse(text)
    prompt_hints(text)
    weight_hint(text)
    assert time.process_time() - started < 2


def test_brackets_too_deep_are_characters() -> None:
    assert "".join(piece.text for piece in parse("(" * 300 + "a" + ")" * 300)).count("(") == 270


def test_zeros_in_the_place_of_what_a_prompt_says() -> None:
    mask = torch.tensor([[True, False]])
    said = Prompt(
        {"embeddings": torch.randn(1, 2, 3), "pooled": torch.randn(1, 3), "mask": mask}, strength=0.5, end=0.6
    )
    made = text.zero_out(Conditioning((said,), family="toy")).prompts[0]
    assert not made.embeddings.any() and made.pooled is not None and not made.pooled.any()
    assert made.tensors["mask"] is mask and (made.strength, made.end) == (0.5, 0.6)


def test_prompts_put_behind_one_another_and_mixed(sd1: Kit, sdxl: Kit) -> None:
    one = text.encode(sd1.text, text="a red apple", ctx=sd1.context)
    long = text.encode(sd1.text, text="a, " * 60, ctx=sd1.context)
    both = text.concatenate(one, long).prompts[0].embeddings
    assert torch.equal(both, torch.cat([one.prompts[0].embeddings, long.prompts[0].embeddings], dim=1))
    mixed = text.average(one, long, amount=0.25).prompts[0].embeddings
    length = one.prompts[0].embeddings.shape[1]
    wanted = 0.75 * one.prompts[0].embeddings + 0.25 * long.prompts[0].embeddings[:, :length]
    assert mixed.shape == long.prompts[0].embeddings.shape
    assert torch.allclose(mixed[:, :length], wanted, atol=1e-6)
    assert torch.allclose(mixed[:, length:], 0.25 * long.prompts[0].embeddings[:, length:], atol=1e-6)
    first, second = (text.encode(sdxl.text, text=said, ctx=sdxl.context) for said in ("a", "b"))
    pooled = [one_.prompts[0].pooled for one_ in (first, second, text.average(first, second, amount=1.0))]
    assert torch.allclose(pooled[2], pooled[1], atol=1e-6)
    assert text.concatenate(first, second).prompts[0].pooled is pooled[0]
    with pytest.raises(ProblemError, match="sd1 and sdxl"):
        text.average(one, first)
    other = Conditioning((Prompt({"embeddings": torch.zeros(1, 2, 3), "mask": torch.ones(1, 2)}),), family="sd1")
    with pytest.raises(ProblemError, match="more than embeddings"):
        text.concatenate(one, other)
