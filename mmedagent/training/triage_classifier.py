"""Triage by plain supervision: a classifier of images, and the triage doctor itself fine-tuned.

What triage by reinforcement learning must be compared with: METHOD, section 'What reviewers and
readers found missing', item 4. Both learn from the pool of the reinforcement learning, thinned as
it thins it, and both take the triage doctor's place in a consultation.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mmedagent.cases.case import SPECIALTIES, Case
from mmedagent.cases.store import read_multiple_choice
from mmedagent.consultation.doctor import Prompt
from mmedagent.consultation.prompts import triage_messages
from mmedagent.errors import BadDataError
from mmedagent.models.classifier import SpecialtyNet, TriageClassifier
from mmedagent.models.load import load_model, load_processor
from mmedagent.models.save import save_model
from mmedagent.recipes.baselines import SupervisedTriageRecipe, TriageClassifierRecipe
from mmedagent.training.balance import thin
from mmedagent.training.completions import triage_completion
from mmedagent.training.fingerprint import data_digest
from mmedagent.training.loop import Fit, run_loop
from mmedagent.training.supervised import Example, fit


def train_triage_classifier(
    cases: Path, start: Path, recipe: TriageClassifierRecipe, out: Path, work: Path
) -> dict[str, Any]:
    """Teach a classifier on `start`'s vision tower the gold specialties; publish it in `out`.

    `start` is any model folder: the base, or the triage doctor's Start to begin where its
    reinforcement learning begins. Resumable through `work`: the same call after a kill gives the
    same weights. Returns facts for a record; raises `BadDataError` when the `train` pool is empty,
    and what `loop.run_loop` raises.
    """
    pool = _thinned(read_multiple_choice(cases, ["train"]), recipe.most_imbalance, recipe.seed)
    classifier, done = fit_classifier(pool, start, recipe, work)
    return {"digest": classifier.save(out), "cases": len(pool), **_facts(done)}


def fit_classifier(
    pool: Sequence[Case], start: Path, recipe: TriageClassifierRecipe, work: Path | None = None
) -> tuple[TriageClassifier, Fit]:
    """Return a classifier taught on `pool` as it is, in memory, and what its loop did."""
    if not pool:
        raise BadDataError("triage classifier: no cases to learn from")
    processor = load_processor(start)
    net = SpecialtyNet(load_model(start).model.visual)
    net.tower.requires_grad_(recipe.train_tower)
    classifier = TriageClassifier(net, processor.image_processor)
    gold = torch.tensor([SPECIALTIES.index(case.specialty) for case in pool])

    def loss_of(batch: Sequence[int]) -> torch.Tensor:
        logits = classifier.logits([pool[index].images[0] for index in batch])
        return torch.nn.functional.cross_entropy(logits, gold[list(batch)].to(logits.device))

    done = run_loop(
        net,
        loss_of,
        len(pool),
        recipe.fit,
        {"examples": data_digest([case.images, case.specialty] for case in pool)},
        seed=recipe.seed,
        work=work,
        title="triage classifier",
        case_ids=[case.case_id for case in pool],
    )
    return classifier, done


def train_supervised_triage(
    cases: Path, start: Path, recipe: SupervisedTriageRecipe, out: Path, work: Path
) -> dict[str, Any]:
    """Teach the triage doctor's Start the gold specialties as replies; publish it in `out`.

    Resumable through `work`, facts and errors as `train_triage_classifier`'s.
    """
    pool = _thinned(read_multiple_choice(cases, ["train"]), recipe.most_imbalance, recipe.seed)
    model, processor = load_model(start), load_processor(start)
    examples = [
        Example(
            Prompt(triage_messages(case.view(), recipe.style), case.images),
            triage_completion(case),
            case.case_id,
        )
        for case in pool
    ]
    done = fit(
        model,
        processor,
        examples,
        recipe.fit,
        seed=recipe.seed,
        work=work,
        title="supervised triage",
    )
    return {"digest": save_model(out, model, processor), "cases": len(pool), **_facts(done)}


def _thinned(pool: Sequence[Case], most_imbalance: float, seed: int) -> list[Case]:
    return thin(pool, lambda case: case.specialty, most_imbalance, seed)


def _facts(done: Fit) -> dict[str, Any]:
    return {"steps": done.steps, "loss": done.last_loss, "seconds": round(done.seconds, 3)}
