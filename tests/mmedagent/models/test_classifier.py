from collections import Counter

import pytest
import torch
from safetensors.torch import load_file, save_file

from mmedagent.cases.case import SPECIALTIES
from mmedagent.consultation.consult import route
from mmedagent.consultation.doctor import Prompt, Sampling
from mmedagent.consultation.prompts import triage_messages
from mmedagent.errors import BrokenEvidenceError
from mmedagent.models.classifier import (
    CONFIG,
    WEIGHTS,
    SpecialtyNet,
    TriageClassifier,
    is_classifier,
)
from mmedagent.models.load import load_model, load_processor


@pytest.fixture
def classifier(tiny_base):
    net = SpecialtyNet(load_model(tiny_base).model.visual)
    with torch.no_grad():
        net.head.weight.normal_(generator=torch.Generator().manual_seed(0))
    return TriageClassifier(net, load_processor(tiny_base).image_processor)


@pytest.fixture
def prompts(draw_cases):
    cases = draw_cases(12, "test")
    return [Prompt(triage_messages(c.view(), "compact"), c.images) for c in cases]


def test_an_untaught_head_finds_all_specialties_equally_likely(tiny_base, draw_cases):
    net = SpecialtyNet(load_model(tiny_base).model.visual)
    fresh = TriageClassifier(net, load_processor(tiny_base).image_processor)
    logits = fresh.logits([case.images[0] for case in draw_cases(3, "test")])
    assert logits.shape == (3, 7) and not logits.any()


def test_the_tokens_are_the_base_s_own_pooled(classifier, tiny_base, draw_cases):
    images = [case.images[0] for case in draw_cases(2, "test")]
    base, processor = load_model(tiny_base), load_processor(tiny_base)
    from mmedagent.models.images import open_image

    made = processor.image_processor([open_image(i) for i in images], return_tensors="pt")
    features = base.model.get_image_features(made["pixel_values"], made["image_grid_thw"])
    pooled = torch.stack([tokens.mean(dim=0) for tokens in features.pooler_output])
    torch.testing.assert_close(classifier.logits(images), classifier.net.head(pooled))


def test_saved_and_loaded_it_replies_the_same(classifier, prompts, tmp_path):
    digest = classifier.save(tmp_path / "one")
    assert classifier.save(tmp_path / "two") == digest
    assert is_classifier(tmp_path / "one") and not is_classifier(tmp_path)
    loaded = TriageClassifier.load(tmp_path / "one", batch_size=5)
    for sampling in (Sampling(), Sampling(temperature=1.0, seed=3)):
        assert loaded.reply(prompts, sampling) == classifier.reply(prompts, sampling)
    assert loaded.usage.replies == 24
    assert loaded.usage.prompt_tokens == 24 * 9 and loaded.usage.completion_tokens == 0


def test_it_routes_as_a_triage_doctor_does(classifier, draw_cases):
    cases = draw_cases(12, "test")
    routings = route([c.view() for c in cases], classifier, Sampling(), "compact")
    chosen = classifier.logits([c.images[0] for c in cases]).argmax(dim=1)
    assert [r.specialty for r in routings] == [SPECIALTIES[index] for index in chosen]
    assert all(r.reasoning.startswith("probability 0.") or "1.00" in r.raw for r in routings)


def test_draws_follow_the_probabilities(classifier, draw_cases):
    case = draw_cases(1, "test")[0]
    with torch.no_grad():
        classifier.net.head.weight.mul_(0.1)
        shares = classifier.logits([case.images[0]]).softmax(dim=1)[0]
    prompt = Prompt(triage_messages(case.view(), "compact"), case.images)
    draws = route([case.view()] * 700, classifier, Sampling(temperature=1.0, seed=1), "compact")
    counts = Counter(draw.specialty for draw in draws)
    for specialty, share in zip(SPECIALTIES, shares.tolist(), strict=True):
        assert counts[specialty] / 700 == pytest.approx(share, abs=0.08)
    assert len(set(classifier.reply([prompt] * 3, Sampling()))) == 1


def test_a_damaged_or_foreign_folder_is_refused_by_name(classifier, tmp_path):
    folder = tmp_path / "model"
    classifier.save(folder)
    config = (folder / CONFIG).read_text()
    (folder / CONFIG).write_text(config.replace("Surgeon", "Barber"))
    with pytest.raises(BrokenEvidenceError, match="Barber"):
        TriageClassifier.load(folder)
    (folder / CONFIG).write_text(config)
    weights = load_file(folder / WEIGHTS)
    save_file({"head.bias": weights["head.bias"]}, folder / WEIGHTS)
    with pytest.raises(BrokenEvidenceError, match=WEIGHTS):
        TriageClassifier.load(folder)
    (folder / WEIGHTS).write_bytes(b"cut")
    with pytest.raises(BrokenEvidenceError, match="cannot load"):
        TriageClassifier.load(folder)
