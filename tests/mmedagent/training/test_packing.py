import pytest
import torch

from mmedagent.consultation.doctor import Prompt
from mmedagent.consultation.prompts import specialist_messages, triage_messages
from mmedagent.models.inputs import encode, with_completions
from mmedagent.models.load import load_model, load_processor
from mmedagent.models.speed import speed_up
from mmedagent.training.packing import can_pack, packed_logits


@pytest.fixture
def batch(tiny_base, draw_cases):
    """Rows in no order: prompts of two lengths, groups of unequal size, completions of several."""
    cases = draw_cases(3, "test")
    prompts = [Prompt(triage_messages(c.view(), "compact"), c.images) for c in cases]
    prompts.append(
        Prompt(specialist_messages(cases[0].view(), "Surgeon", "compact"), cases[0].images)
    )
    # The same words about another image, and the same image with other words, are other groups.
    prompts.append(Prompt(triage_messages(cases[0].view(), "compact"), cases[1].images))
    order = [0, 3, 1, 0, 2, 4, 3, 0, 1, 4, 2]
    processor = load_processor(tiny_base)
    inputs = encode(processor, [prompts[number] for number in order])
    draw = torch.Generator().manual_seed(0)
    completions = [
        torch.randint(300, (1 + row % 5,), generator=draw).tolist() for row in range(len(order))
    ]
    return with_completions(inputs, completions, processor.tokenizer.pad_token_id)


def _plain(model, joined, length):
    return model(**joined, logits_to_keep=length + 1).logits[:, :-1]


def _packed(model, joined, length):
    return packed_logits(
        model, model.model, joined["input_ids"], joined["attention_mask"], length,
        joined["pixel_values"], joined["image_grid_thw"], joined["mm_token_type_ids"],
    )  # fmt: skip


def test_logits_and_gradients_are_those_of_separate_rows(tiny_base, batch):
    joined, mask = batch
    results = []
    for way, model in (
        (_plain, load_model(tiny_base)),
        (_packed, load_model(tiny_base)),
        (_packed, speed_up(load_model(tiny_base))),
    ):
        logits = way(model, joined, mask.shape[1])
        (logits.log_softmax(-1) ** 2)[mask.bool()].mean().backward()
        results.append((logits.detach()[mask.bool()], model))
    (expected, plain), *others = results
    gradients = {name: parameter.grad for name, parameter in plain.named_parameters()}
    for logits, model in others:
        torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(parameter.grad, gradients[name], atol=1e-5, rtol=1e-3)


def test_what_a_rollout_says_does_not_reach_its_siblings(tiny_base, batch):
    joined, mask = batch
    model = load_model(tiny_base)
    with torch.no_grad():
        before = _packed(model, joined, mask.shape[1])
        joined["input_ids"][0, -mask.shape[1] :] = 7
        after = _packed(model, joined, mask.shape[1])
    assert torch.equal(before[1:], after[1:])
    assert not torch.equal(before[0], after[0]) or mask[0].sum() == 1


def test_only_rows_with_one_image_of_one_size_are_packed():
    even = torch.tensor([[1, 6, 6], [1, 6, 6]])
    assert can_pack([1, 1], even)
    assert not can_pack([2, 0], even)
    assert not can_pack(None, even) and not can_pack([1, 1], None)
    assert not can_pack([1, 1], torch.tensor([[1, 6, 6], [1, 6, 8]]))
