import pytest
import torch

from mmedagent.consultation.doctor import Prompt
from mmedagent.consultation.prompts import specialist_messages, triage_messages
from mmedagent.models.inputs import encode
from mmedagent.models.load import load_model, load_processor
from mmedagent.models.speed import distinct_rows, speed_up


@pytest.fixture
def inputs(tiny_base, draw_cases):
    """Prompts of several lengths, each image several times, not side by side."""
    cases = draw_cases(4, "test")
    prompts = [Prompt(triage_messages(c.view(), "compact"), c.images) for c in cases]
    prompts += [
        Prompt(specialist_messages(c.view(), c.specialty, "compact"), c.images) for c in cases
    ]
    prompts.append(
        Prompt(
            [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "and"},
                                          {"type": "image"}]}],
            (cases[0].images[0], cases[3].images[0]),
        )
    )  # fmt: skip
    return encode(load_processor(tiny_base), prompts)


def test_logits_and_gradients_are_those_of_the_plain_model(tiny_base, inputs):
    results = []
    for model in (load_model(tiny_base), speed_up(load_model(tiny_base))):
        logits = model(**inputs).logits
        (logits.float().log_softmax(-1) ** 2)[inputs["attention_mask"].bool()].mean().backward()
        gradients = {name: p.grad for name, p in model.named_parameters()}
        results.append((logits.detach(), gradients))
    (plain, plain_gradients), (fast, fast_gradients) = results
    mask = inputs["attention_mask"].bool()
    torch.testing.assert_close(fast[mask], plain[mask], atol=1e-5, rtol=1e-5)
    for name, gradient in plain_gradients.items():
        torch.testing.assert_close(fast_gradients[name], gradient, atol=1e-5, rtol=1e-4)


def test_positions_are_exactly_those_of_transformers(tiny_base, inputs):
    plain, fast = load_model(tiny_base), speed_up(load_model(tiny_base))
    arguments = {
        "input_ids": inputs["input_ids"],
        "mm_token_type_ids": inputs["mm_token_type_ids"],
        "image_grid_thw": inputs["image_grid_thw"],
        "attention_mask": inputs["attention_mask"],
    }
    for ours, theirs in zip(
        fast.model.get_rope_index(**arguments), plain.model.get_rope_index(**arguments), strict=True
    ):
        assert torch.equal(ours, theirs)
    oblong = {**arguments, "image_grid_thw": torch.tensor([[1, 2, 18]] * 10)}
    for ours, theirs in zip(
        fast.model.get_rope_index(**oblong), plain.model.get_rope_index(**oblong), strict=True
    ):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_that_agree_only_where_sampled_stay_apart(dtype):
    rows = torch.zeros(4, 6400, dtype=dtype)
    rows[1, 1] = 1.0  # not among the sampled values
    rows[3, 1] = 1.0
    firsts, which = distinct_rows(rows)
    assert firsts.tolist() == [0, 1] and which.tolist() == [0, 1, 0, 1]
    assert torch.equal(rows, rows[firsts][which])
