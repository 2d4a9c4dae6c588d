import math

import pytest
import torch

from mmedagent.training.loss import _used_rows, grpo_loss, select_rows


def _batch(rows=5, tokens=4, vocabulary=7, seed=0):
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, tokens, vocabulary, generator=draw, dtype=torch.float64)
    return {
        "logits": logits.requires_grad_(),
        "chosen": torch.randint(vocabulary, (rows, tokens), generator=draw),
        "old": -torch.rand(rows, tokens, generator=draw, dtype=torch.float64) * 3,
        "reference": -torch.rand(rows, tokens, generator=draw, dtype=torch.float64) * 3,
        "advantages": torch.randn(rows, generator=draw, dtype=torch.float64),
        "mask": torch.tensor([[1] * n + [0] * (tokens - n) for n in (4, 1, 3, 0, 2)]),
        "gamma": torch.tensor([0.0001, 0.005, 0.03, 0.03, 0.0], dtype=torch.float64),
        "beta": torch.tensor([0.001, 0.004, 0.01, 0.0, 0.5], dtype=torch.float64),
        "weight": torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0], dtype=torch.float64),
    }


def _ours(batch, clip=0.2):
    scores = torch.log_softmax(batch["logits"], -1)
    return grpo_loss(
        scores.gather(-1, batch["chosen"].unsqueeze(-1)).squeeze(-1),
        batch["old"],
        batch["reference"],
        -(scores.exp() * scores).sum(-1),
        batch["advantages"],
        batch["mask"],
        batch["gamma"],
        batch["beta"],
        batch["weight"],
        clip,
    )


def _by_hand(batch, clip=0.2):
    """The formula as METHOD writes it, with loops and no shared code."""
    total, rows = 0.0, 0.0
    for i in range(len(batch["logits"])):
        if batch["weight"][i] == 0:
            continue
        rows += 1
        length = int(batch["mask"][i].sum())
        objective = 0.0
        for t in range(length):
            p = torch.softmax(batch["logits"][i, t], 0)
            log_p = torch.log(p[batch["chosen"][i, t]])
            ratio = torch.exp(log_p - batch["old"][i, t])
            advantage = batch["advantages"][i]
            bounded = min(max(ratio.item(), 1 - clip), 1 + clip)
            outside = bounded != ratio.item()
            term = ratio * advantage
            if outside and bounded * advantage < term:
                term = (bounded * advantage).detach()
            kl = (batch["reference"][i, t].exp() / log_p.exp()) - 1
            kl = kl - (batch["reference"][i, t] - log_p)
            entropy = -(p * torch.log(p)).sum()
            objective = objective + term - batch["beta"][i] * kl + batch["gamma"][i] * entropy
        total = total + objective / max(1, length)
    return -total / rows


@pytest.mark.parametrize("seed", range(4))
def test_value_and_gradient_are_the_formulas(seed):
    ours, theirs = _batch(seed=seed), _batch(seed=seed)
    loss, expected = _ours(ours).value, _by_hand(theirs)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-10)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours["logits"].grad, theirs["logits"].grad)


def test_a_row_of_weight_zero_has_no_influence():
    batch = _batch()
    _ours(batch).value.backward()
    assert batch["logits"].grad[2].abs().sum() == 0
    assert batch["logits"].grad[1].abs().sum() > 0


def test_gamma_is_the_slope_in_the_entropy_of_its_own_rows():
    batch = _batch()
    base = _ours(batch).value.item()
    scores = torch.log_softmax(batch["logits"], -1)
    entropies = -(scores.exp() * scores).sum(-1)
    row_entropy = (entropies * batch["mask"]).sum(1)[1] / batch["mask"].sum(1)[1]
    batch["gamma"] = batch["gamma"] + torch.tensor([0, 0.5, 0, 0, 0], dtype=torch.float64)
    assert _ours(batch).value.item() == pytest.approx(base - 0.5 * row_entropy.item() / 4)


def test_kl_is_never_below_zero_and_zero_at_the_reference():
    batch = _batch()
    scores = torch.log_softmax(batch["logits"], -1)
    batch["reference"] = scores.gather(-1, batch["chosen"].unsqueeze(-1)).squeeze(-1).detach()
    assert _ours(batch).kl.item() == pytest.approx(0.0, abs=1e-12)
    assert _ours(_batch(seed=3)).kl.item() > 0


def test_entropy_of_an_even_distribution_is_its_logarithm():
    batch = _batch()
    batch["logits"] = torch.zeros(5, 4, 7, dtype=torch.float64)
    batch["mask"] = torch.ones(5, 4)
    assert _ours(batch).entropy.item() == pytest.approx(math.log(7))


def test_one_row_stands_in_when_no_group_had_variance():
    assert _used_rows(torch.tensor([0.0, 1.0, 0.0, 1.0])).tolist() == [1, 3]
    assert _used_rows(torch.zeros(4)).tolist() == [0]


def test_selecting_rows_takes_their_images_along():
    inputs = {
        "advantages": torch.arange(3.0),
        "prompt_ids": torch.arange(6).view(3, 2),
        "num_items_in_batch": torch.tensor(9),
        "image_grid_thw": torch.tensor([[1, 2, 2], [1, 2, 4], [1, 2, 2], [1, 4, 2]]),
        "pixel_values": torch.arange(24.0).view(24, 1),
        "num_images": [1, 2, 1],
    }
    chosen = select_rows(inputs, torch.tensor([1, 2]))
    assert chosen["prompt_ids"].tolist() == [[2, 3], [4, 5]]
    assert chosen["pixel_values"].flatten().tolist() == list(range(4, 24))
    assert chosen["image_grid_thw"].tolist() == [[1, 2, 4], [1, 2, 2], [1, 4, 2]]
    assert chosen["num_images"] == [2, 1] and chosen["num_items_in_batch"].item() == 9
    assert select_rows(inputs, torch.arange(3)) is inputs
