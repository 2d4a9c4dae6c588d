"""The attending fine-tuned on gold answers: what reinforcement learning must be compared with.

METHOD, section 'What reviewers and readers found missing', item 4; its 'Published figures' say that
supervised training learns to trust bad advice.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmedagent.cases.case import Case, Opinion
from mmedagent.cases.store import read_multiple_choice
from mmedagent.consultation.doctor import Prompt
from mmedagent.consultation.prompts import attending_messages
from mmedagent.errors import BadDataError
from mmedagent.models.load import load_model, load_processor
from mmedagent.models.save import save_model
from mmedagent.panel.table import read_opinions
from mmedagent.recipes.baselines import SupervisedAttendingRecipe
from mmedagent.training.completions import option_completion
from mmedagent.training.permute import permute
from mmedagent.training.supervised import Example, fit


def train_supervised_attending(
    cases: Path,
    opinions: Path | None,
    start: Path,
    recipe: SupervisedAttendingRecipe,
    out: Path,
    work: Path,
) -> dict[str, Any]:
    """Teach the Start in `start` the gold answers of the `train` pool; publish it in `out`.

    `opinions` are those on the pool that reinforcement learning hears; not read when the recipe
    leaves them out. Resumable through `work`: the same call after a kill gives the same weights.

    Returns facts for a record. Raises `BadDataError` when the pool is empty or opinions lack, and
    what `supervised.fit` raises.
    """
    pool = read_multiple_choice(cases, ["train"])
    if recipe.opinions and opinions is None:
        raise BadDataError("supervised training with opinions needs the panel's opinions")
    said = read_opinions(opinions) if recipe.opinions and opinions else {}
    examples = attending_examples(pool, said, recipe)
    model, processor = load_model(start), load_processor(start)
    title = f"supervised attending, {'with' if recipe.opinions else 'without'} opinions"
    done = fit(model, processor, examples, recipe.fit, seed=recipe.seed, work=work, title=title)
    digest = save_model(out, model, processor)
    return {
        "digest": digest,
        "cases": len(pool),
        "opinions": recipe.opinions,
        "steps": done.steps,
        "loss": done.last_loss,
        "seconds": round(done.seconds, 3),
    }


def attending_examples(
    pool: Sequence[Case],
    opinions: Mapping[str, Sequence[Opinion]],
    recipe: SupervisedAttendingRecipe,
) -> list[Example]:
    """Return a prompt and its gold reply for each case; `opinions` by case id.

    Without opinions in the recipe the prompt is that of an attending who decides alone.
    Raises `BadDataError` when a case has no opinions that should have.
    """
    if recipe.opinions:
        missing = [case.case_id for case in pool if case.case_id not in opinions]
        if missing:
            raise BadDataError(
                f"{len(missing)} training cases have no opinions, the first {missing[0]!r}"
            )
    examples = []
    for case in pool:
        heard: Sequence[Opinion] = opinions[case.case_id] if recipe.opinions else ()
        if recipe.permute_options:
            case, heard = permute(case, heard, recipe.seed)
        prompt = Prompt(attending_messages(case.view(), heard, recipe.style), case.images)
        examples.append(Example(prompt, option_completion(case, case.letter), case.case_id))
    return examples
