"""How high a policy stands: greedy and sampled accuracy on some cases."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from mmedagent.cases.case import Case
from mmedagent.consultation.doctor import Doctor, Prompt, Sampling
from mmedagent.consultation.parsing import parse_reply
from mmedagent.training.reward import Judge


class Height(BaseModel):
    """Shares of cases, 0 to 1. Greedy hides how diffuse a policy is: read both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measured_cases: int
    greedy_accuracy: float
    sampled_accuracy: float
    """One reply a case at temperature 1, as training samples."""
    sampled_format_rate: float


def measure(
    doctor: Doctor,
    prompts: Sequence[Prompt],
    cases: Sequence[Case],
    judge: Judge,
    *,
    max_new_tokens: int,
    seed: int = 0,
) -> Height:
    """Measure a doctor on `cases`; an empty list measures zero of zero."""
    greedy = doctor.reply(prompts, Sampling(max_new_tokens=max_new_tokens))
    sampling = Sampling(temperature=1.0, max_new_tokens=max_new_tokens, seed=seed)
    sampled = doctor.reply(prompts, sampling)

    def accuracy(replies: Sequence[str]) -> float:
        pairs = zip(replies, cases, strict=True)
        return _share([judge(parse_reply(reply).answer, case) for reply, case in pairs])

    return Height(
        measured_cases=len(cases),
        greedy_accuracy=accuracy(greedy),
        sampled_accuracy=accuracy(sampled),
        sampled_format_rate=_share([parse_reply(reply).well_formed for reply in sampled]),
    )


def _share(values: Sequence[bool]) -> float:
    return round(sum(values) / max(1, len(values)), 4)
