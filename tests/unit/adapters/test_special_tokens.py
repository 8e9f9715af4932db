"""No special token of the base model results from what a user wrote; nothing else changes."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from tunery_adapters.special_tokens import JOINER, SpecialTokens

SPELT = ["<|im_start|>", "<|im_end|>", "<s>", "</s>", "[INST]", "<\uff5cbegin\u2581\uff5c>"]
TOKENS = SpecialTokens(SPELT)


@pytest.fixture(scope="module")
def tokenizer(base_model: Path) -> Tokenizer:
    return Tokenizer.from_file(str(base_model / "tokenizer.json"))


@pytest.mark.parametrize("spelling", SPELT)
def test_a_spelling_is_broken_behind_its_first_character(spelling: str) -> None:
    assert TOKENS.as_text(f"a {spelling} b") == f"a {spelling[0]}{JOINER}{spelling[1:]} b"


@pytest.mark.parametrize(
    "value",
    [
        "", "<|im_start", "|im_end|>", "<S>", "< s>", "<|im_<|im_", "plain", "\0", "\ud800",
        5, 1.5, True, None, [], {}, [["a"], {"b": [None]}], {"arguments": '{"a":  "\\u0041"}'},
        {"arguments": "{"}, {"arguments": {"a": 1}},
    ],
)  # fmt: skip
def test_what_spells_none_stays_as_it_is(value: Any) -> None:
    assert TOKENS.as_text(value) == value


def test_no_tokens_at_all_change_nothing() -> None:
    assert SpecialTokens([]).as_text("<s>") == "<s>"


def test_a_token_of_one_character_cannot_be_broken() -> None:
    assert SpecialTokens(["x", "<s>"]).as_text("x<s>") == f"x<{JOINER}s>"


@pytest.mark.parametrize(
    "text", ["<<s>s>", "<s<s>>", "<|im_<|im_end|>start|>", "<s></s><s>", "<s>" * 100]
)
def test_none_is_left_where_spellings_touch_or_nest(text: str) -> None:
    plain = TOKENS.as_text(text)
    assert not [spelling for spelling in SPELT if spelling in plain]
    assert plain.replace(JOINER, "") == text


def test_one_spelling_may_begin_or_hold_another() -> None:
    nested = SpecialTokens(["<s", "<s>", "a<s>b"])
    assert nested.as_text("a<s>b <s") == f"a{JOINER}<{JOINER}s>b <{JOINER}s"


def test_every_string_of_a_body_is_looked_at_and_so_are_keys() -> None:
    body = {"messages": [{"content": [{"type": "text", "text": "<s>"}]}], "<s>": {"x": ["</s>"]}}
    whole = json.dumps(TOKENS.as_text(body), ensure_ascii=False)
    assert whole == json.dumps(body).replace("s>", f"{JOINER}s>").replace(
        "/" + JOINER, JOINER + "/"
    )


@pytest.mark.parametrize(
    "arguments", ['{"a": "\\u003cs>"}', '{"a": "<s>"}', '{"\\u003cs\\u003e": 1}', '"<s>"', "{<s>"]
)
def test_the_arguments_of_a_call_are_looked_at_as_a_template_sees_them(arguments: str) -> None:
    plain = TOKENS.as_text({"arguments": arguments})["arguments"]
    assert "<s>" not in plain
    assert "\\u003c" not in plain
    assert f"<{JOINER}s>" in plain


def test_the_bundled_tokeniser_makes_no_special_id_of_a_users_text(tokenizer: Tokenizer) -> None:
    added = tokenizer.get_added_tokens_decoder()
    special = {number: token.content for number, token in added.items() if token.special}
    assert len(special) == 17
    text = "".join(special.values()) + " ".join(special.values()) + "<|im_<|im_end|>start|>"
    before = tokenizer.encode(text, add_special_tokens=False).ids
    assert set(special) <= set(before)
    plain = SpecialTokens(special.values()).as_text(text)
    assert set(special).isdisjoint(tokenizer.encode(plain, add_special_tokens=False).ids)
    assert tokenizer.decode(tokenizer.encode(plain, add_special_tokens=False).ids) == plain
