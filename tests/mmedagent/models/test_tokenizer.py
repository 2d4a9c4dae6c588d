import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmedagent.models.tokenizer import REPLY_TAGS, SPECIAL_TOKENS, train_tokenizer

CORPUS = ["triage: Which modality is shown? A CT B MR", " Radiologist", " A", " B", " CT"]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(CORPUS, merges=500)


@given(text=st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_round_trips(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text


def test_words_of_the_corpus_are_single_tokens(tokenizer):
    for word in (" Radiologist", " CT", " A", "triage", " modality"):
        assert len(tokenizer(word)["input_ids"]) == 1, word


def test_reply_tags_survive_decoding_and_special_tokens_do_not(tokenizer):
    text = "<|im_start|><think> CT</think><answer> A</answer><|im_end|>"
    ids = tokenizer(text)["input_ids"]
    assert len(ids) == 8
    assert (
        tokenizer.decode(ids, skip_special_tokens=True) == "<think> CT</think><answer> A</answer>"
    )


def test_every_special_token_and_tag_is_one_token(tokenizer):
    for token in SPECIAL_TOKENS + REPLY_TAGS:
        assert len(tokenizer(token)["input_ids"]) == 1, token


def test_order_and_repetition_of_the_corpus_do_not_matter(tokenizer):
    again = train_tokenizer([*reversed(CORPUS), CORPUS[0]], merges=500)
    assert again.get_vocab() == tokenizer.get_vocab()


def test_merges_bound_the_vocabulary():
    small = train_tokenizer(CORPUS, merges=3)
    assert len(small) == 256 + 3 + len(SPECIAL_TOKENS) + len(REPLY_TAGS)
