"""What stops a training that can no longer come to anything, and says why.

A number that is none (in a reward, a loss or a gradient) and a policy whose rollouts no longer
differ in reward: GRPO learns from differences within a group alone, so without any there is no
gradient of the reward, and a run would only drift on its entropy bonus.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from mmedagent.atomic import write_text
from mmedagent.errors import MMedAgentError
from mmedagent.training.reward import ACCURACY_REWARD, FORMAT_REWARD

BAD_BATCH = "bad_batch.json"
"""In the work folder: which cases a step was made of that ended in no number."""


def stop_at_bad_number(
    what: str,
    value: float,
    mend: str,
    *,
    step: int,
    cases: Iterable[str],
    work: Path | None,
    title: str = "",
) -> NoReturn:
    """Keep the ids of the batch's cases in `work`, if there is one, and raise `MMedAgentError`.

    `step` counts from 1, `title` names the training. The file holds `schema`, `title`, `step`,
    `cause` and `case_ids` (each once, sorted), and nothing that a patient or a model said.
    """
    cause = f"{what} is {value}"
    where = f"{title}, step {step}" if title else f"step {step}"
    if work is None:
        raise MMedAgentError(f"{where}: {cause}; {mend}")
    ids = sorted(set(cases))
    record = {"schema": 1, "title": title, "step": step, "cause": cause, "case_ids": ids}
    write_text(work / BAD_BATCH, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    raise MMedAgentError(f"{where}: {cause}; its cases are listed in {work / BAD_BATCH}; {mend}")


def first_bad(values: Iterable[float]) -> float | None:
    """Return the first of `values` that is not finite, or None."""
    return next((value for value in values if not math.isfinite(value)), None)


def steps_without_variance(history: Sequence[Mapping[str, Any]]) -> int:
    """Count the last steps in a row in whose every group all rollouts earned the same reward.

    `history`: a trainer's log, which is part of its checkpoints, so that a resumed run counts on.
    Steps in which every rollout earned the whole reward end the count: there is nothing left to
    find, and no exploration that failed.
    """
    count = 0
    for entry in reversed(history):
        if "frac_reward_zero_std" not in entry:
            continue
        solved = entry.get("reward", 0.0) >= FORMAT_REWARD + ACCURACY_REWARD
        if entry["frac_reward_zero_std"] < 1 or solved:
            break
        count += 1
    return count


class StopWithoutVariance(TrainerCallback):
    """Ends a training in which no group has had a variance of rewards for `patience` steps.

    Raises `MMedAgentError` from the step that used the patience up. 0 never stops.
    """

    def __init__(self, stage: str, patience: int) -> None:
        self._stage = stage
        self._patience = patience

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Look at the step that was just logged, and at those before it."""
        count = steps_without_variance(state.log_history)
        if not self._patience or count < self._patience:
            return
        raise MMedAgentError(
            f"{self._stage}, step {state.global_step}: for {count} steps the rollouts of every "
            "prompt have all earned the same reward, so the policy cannot explore from here; "
            "raise the temperature, start from a Start whose sampled accuracy is nearer to a half "
            "(warm_start), or train on other cases; patience_without_variance=0 goes on anyway"
        )
