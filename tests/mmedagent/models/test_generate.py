from collections import Counter

import pytest
import torch

from mmedagent.consultation.doctor import Prompt, Sampling
from mmedagent.consultation.parsing import parse_reply
from mmedagent.consultation.prompts import attending_messages, triage_messages
from mmedagent.models.generate import GumbelNoise, LocalDoctor
from mmedagent.models.load import load_model, load_processor


@pytest.fixture(scope="module")
def parts(tiny_start):
    return load_model(tiny_start), load_processor(tiny_start)


@pytest.fixture(scope="module")
def prompts(draw_cases):
    cases = draw_cases(12, "test")
    mixed = [Prompt(triage_messages(c.view(), "compact"), c.images) for c in cases[:8]]
    return mixed + [
        Prompt(attending_messages(c.view(), (), "compact"), c.images) for c in cases[8:]
    ]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_replies_do_not_depend_on_the_batch(parts, prompts, temperature):
    sampling = Sampling(temperature=temperature, max_new_tokens=10, seed=5)
    whole = LocalDoctor.of(*parts, batch_size=64).reply(prompts, sampling)
    assert LocalDoctor.of(*parts, batch_size=5).reply(prompts, sampling) == whole
    assert LocalDoctor.of(*parts, batch_size=1).reply(prompts, sampling) == whole


def test_a_greedy_reply_does_not_depend_on_its_neighbours(parts, prompts):
    doctor = LocalDoctor.of(*parts)
    whole = doctor.reply(prompts, Sampling(max_new_tokens=10))
    assert doctor.reply(prompts[::-1], Sampling(max_new_tokens=10)) == whole[::-1]


def test_the_start_replies_well_formed_with_tags_kept(parts, prompts):
    replies = LocalDoctor.of(*parts).reply(prompts[:8], Sampling(max_new_tokens=12))
    assert sum(parse_reply(reply).well_formed for reply in replies) >= 6
    assert "<|" not in "".join(replies)


def test_seeds_decide_sampled_replies(parts, prompts):
    doctor = LocalDoctor.of(*parts)
    one = doctor.reply(prompts, Sampling(temperature=1.5, max_new_tokens=10, seed=1))
    assert doctor.reply(prompts, Sampling(temperature=1.5, max_new_tokens=10, seed=1)) == one
    assert doctor.reply(prompts, Sampling(temperature=1.5, max_new_tokens=10, seed=2)) != one


def test_repeating_a_prompt_gives_independent_samples(parts, prompts):
    replies = LocalDoctor.of(*parts).reply(
        [prompts[0]] * 16, Sampling(temperature=2.0, max_new_tokens=6)
    )
    assert len(set(replies)) > 4


def test_the_callers_random_state_is_left(parts, prompts):
    before = torch.random.get_rng_state()
    LocalDoctor.of(*parts).reply(prompts[:2], Sampling(temperature=1.0, max_new_tokens=4))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_no_prompts_no_replies(parts):
    assert LocalDoctor.of(*parts).reply([], Sampling()) == []


def test_gumbel_noise_draws_from_the_softmax():
    scores = torch.tensor([1.0, 0.0, -1.0])
    noise = GumbelNoise(3, range(4000))
    drawn = Counter(noise(torch.empty(0), scores.repeat(4000, 1)).argmax(1).tolist())
    for token, share in enumerate(torch.softmax(scores, 0).tolist()):
        assert drawn[token] / 4000 == pytest.approx(share, abs=0.03)


def test_usage_counts_tokens_and_not_padding(parts, prompts):
    _, processor = parts
    whole, alone = LocalDoctor.of(*parts), LocalDoctor.of(*parts, batch_size=1)
    sampling = Sampling(max_new_tokens=10)
    replies = whole.reply(prompts, sampling)
    alone.reply(prompts, sampling)
    counted = (whole.usage.replies, whole.usage.prompt_tokens, whole.usage.completion_tokens)
    assert counted == (
        alone.usage.replies,
        alone.usage.prompt_tokens,
        alone.usage.completion_tokens,
    )
    assert whole.usage.replies == len(prompts) and whole.usage.seconds > 0
    written = sum(len(ids) for ids in processor.tokenizer(replies)["input_ids"])
    # A reply that ended before the limit has its end token beside what is written.
    assert written <= whole.usage.completion_tokens <= written + len(prompts)
    before = whole.usage
    whole.reply(prompts[:1], sampling)
    assert (whole.usage - before).replies == 1
