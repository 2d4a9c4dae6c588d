"""The baselines by name: who decides on which opinions, at what cost, and what is asked again."""

import json
import re
from typing import get_args

import pytest

from mmedagent.consultation.doctor import Usage
from mmedagent.errors import UsageError
from mmedagent.evaluation.consultations import consult_all
from mmedagent.evaluation.evaluate import measure, publish
from mmedagent.evaluation.predictions import GREEDY, opinions_of
from mmedagent.evaluation.roles import merge_roles, random_roles
from mmedagent.evaluation.systems import Doctors, Model, System
from mmedagent.evaluation.variants import require_models
from mmedagent.recipes.evaluation import OF_A_RUN, OF_THEIR_OWN, Baseline, EvaluationRecipe
from tests.mmedagent.evidence import KnownDoctor, KnownPanel, known_model, known_system, make_cases

CASES = make_cases(24) + make_cases(8, "validation")
TEST = [case for case in CASES if case.pool == "test"]
NAMES = get_args(Baseline)
RECIPE = EvaluationRecipe(samples=1, batch_size=20, resamples=200, votes=4, baselines=NAMES)
VOTES = {"self_vote", "challenger_vote"}
ALONE = {"without_specialists", "supervised_without_opinions", "self_vote"}
OTHER_ROLES = {"random_specialty", "all_specialties", "gold_specialty"}
OTHER_TRIAGE = {"triage_classifier", "triage_supervised"}
AS_CHALLENGER = set(NAMES) - ALONE - OTHER_ROLES - OTHER_TRIAGE


class Follower:
    """An attending that says what the first specialist said, and `A` when it hears none."""

    def __init__(self, name):
        self.name = name
        self.usage = Usage()

    def reply(self, prompts, sampling):
        count = len(prompts)
        self.usage += Usage(count, 50 * count, 8 * count, 0.1 * count)
        replies = []
        for prompt in prompts:
            text = prompt.messages[0]["content"][1]["text"]
            heard = re.search(r"opinions: (.*)$", text)[1]
            letter = heard.split()[1] if heard != "-" else "A"
            reason = f"{self.name} at {sampling.temperature} heard {heard}"
            replies.append(f"<think> {reason}</think><answer> {letter}</answer>")
        return replies


def follower(name):
    return Model(f"follower {name}", lambda: Follower(name))


def system(name, triage):
    return System(known_model(CASES, f"{name} triage", triage, "triage"), follower(name))


SYSTEMS = {"start": system("start", 0.5), "challenger": system("challenger", 0.8)}
MODELS = {
    **{name: follower(name) for name in (OF_A_RUN | OF_THEIR_OWN) - OTHER_TRIAGE},
    **{name: known_model(CASES, name, 0.95, "triage") for name in OTHER_TRIAGE},
}


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("variants")
    rows = measure(CASES, SYSTEMS, KnownPanel(CASES), RECIPE, folder / "work", {}, MODELS)
    publish(rows, RECIPE, folder / "out")
    return rows, json.loads((folder / "out/metrics.json").read_text())["systems"], folder


def greedy(rows, name):
    found = [row for row in rows if row["system"] == name and row["sample"] == GREEDY]
    assert [row["case_id"] for row in found] == [case.case_id for case in TEST], name
    return found


def test_every_baseline_answers_every_case(evaluated):
    rows, systems, _ = evaluated
    assert set(NAMES) < set(systems)
    for name in NAMES:
        assert len(greedy(rows, name)) == len(TEST)
        samples = {row["sample"] for row in rows if row["system"] == name}
        assert samples == ({GREEDY} if name in VOTES else {GREEDY, 0})
        assert (systems[name]["sampled"] is None) == (name in VOTES)


def test_each_is_decided_by_its_own_attending(evaluated):
    rows, _, _ = evaluated
    for name in NAMES:
        expected = {"no_attending_rl": "start"}.get(name, "challenger")
        if name in MODELS and name not in OTHER_TRIAGE:
            expected = name
        temperature = "1.0" if name in VOTES else "0.0"
        for row in greedy(rows, name):
            assert row["reasoning"].startswith(f"{expected} at {temperature} heard"), name


def test_each_hears_the_opinions_it_should(evaluated):
    rows, _, _ = evaluated
    panel, questions = KnownPanel(CASES), [case.view() for case in TEST]
    own = {row["case_id"]: row["opinions"] for row in greedy(rows, "challenger")}
    drawn = random_roles(TEST, RECIPE.seed)
    merged = merge_roles(
        {role: panel.opinions(questions, [role] * len(TEST)) for role in RECIPE.all_roles}
    )
    for name in NAMES:
        for number, row in enumerate(greedy(rows, name)):
            said = opinions_of(row["opinions"])
            heard = " ".join(f"{n} {opinion.letter}" for n, opinion in enumerate(said, 1)) or "-"
            assert row["reasoning"].endswith(f"heard {heard}")
            if name in AS_CHALLENGER:
                assert row["opinions"] == own[row["case_id"]]
            elif name in ALONE:
                assert (said, row["role"], row["triage_correct"]) == ((), None, None)
            elif name == "all_specialties":
                assert said == merged[number]
            else:
                assert {opinion.role for opinion in said} == {row["role"]}
            if name == "random_specialty":
                assert row["role"] == drawn[number] and row["triage_correct"] is None
            if name == "gold_specialty":
                assert row["role"] == row["specialty"]


def test_a_decision_taken_up_is_that_of_a_whole_consultation(evaluated):
    rows, systems, _ = evaluated
    doctors = Doctors(SYSTEMS["challenger"].triage.load(), SYSTEMS["start"].attending.load())
    held = consult_all([case.view() for case in TEST], doctors, KnownPanel(CASES), RECIPE, "whole")
    taken_up = greedy(rows, "no_attending_rl")
    for said, cost, row in zip(held.said, held.costs, taken_up, strict=True):
        assert (said.letter, said.raw, said.triage_raw) == (
            row["letter"],
            row["raw"],
            row["triage_raw"],
        )
        assert said.specialty == row["chosen_specialty"]
        charged = json.loads(row["cost"])
        assert charged.keys() == cost.keys()
        assert all(charged[stage] == pytest.approx(cost[stage]) for stage in cost)
    assert systems["no_attending_rl"]["triage"] == systems["challenger"]["triage"]


def test_costs_are_counted_to_the_last_call(evaluated):
    _, systems, _ = evaluated
    triage, panel, attending = (40, 7, 0.25), (30, 5, 0.5), (50, 8, 0.1)
    calls = {
        "challenger": (1, 3, 1),
        "panel_majority": (1, 3, 0),
        "specialist:left": (1, 1, 0),
        "no_attending_rl": (1, 3, 1),
        "easy_only": (1, 3, 1),
        "challenger_vote": (1, 3, 4),
        "self_vote": (0, 0, 4),
        "without_specialists": (0, 0, 1),
        "random_specialty": (0, 3, 1),
        "all_specialties": (0, 21, 1),
        "triage_classifier": (1, 3, 1),
    }
    for name, counts in calls.items():
        prompt, written, _ = (
            sum(
                n * each[figure] for n, each in zip(counts, (triage, panel, attending), strict=True)
            )
            for figure in range(3)
        )
        assert systems[name]["cost"] == pytest.approx(
            {
                "specialist_calls": counts[1],
                "prompt_tokens": prompt,
                "completion_tokens": written,
                "seconds": 0.25 * counts[0] + 0.1 * counts[2],
                "specialist_seconds": 0.5 * counts[1],
            }
        ), name


def test_one_who_follows_the_panel_follows_it_when_it_is_wrong(evaluated):
    rows, systems, _ = evaluated
    for name in ("challenger", "challenger_vote", "random_specialty", "panel_majority"):
        trust = systems[name]["trust"]
        assert trust["heard"]
        assert trust["follows_wrong_consensus"]["value"] == 1
        assert trust["abandons_right_consensus"]["value"] == 0
    alone = systems["without_specialists"]["trust"]
    assert not alone["heard"]
    counted = said_so = 0
    for row, panel in zip(
        greedy(rows, "without_specialists"), greedy(rows, "challenger"), strict=True
    ):
        letters = {opinion.letter for opinion in opinions_of(panel["opinions"])}
        if len(letters) == 1 and letters != {row["gold_letter"]}:
            counted += 1
            said_so += {row["letter"]} == letters
    assert alone["follows_wrong_consensus"]["n"] == counted > 0
    assert alone["follows_wrong_consensus"]["value"] == said_so / counted
    assert systems["specialist:left"]["trust"] is None


def test_a_vote_says_how_far_its_ballots_agree(tmp_path):
    systems = {
        "start": known_system(CASES, "start", 0.5, 0.5),
        "challenger": known_system(CASES, "challenger", 0.9, 0.9),
    }
    recipe = RECIPE.model_copy(update={"baselines": ("self_vote",), "votes": 5, "samples": 0})
    rows = measure(CASES, systems, KnownPanel(CASES), recipe, tmp_path / "work", {})
    publish(rows, recipe, tmp_path / "out")
    figures = json.loads((tmp_path / "out/metrics.json").read_text())["systems"]
    agreement = figures["self_vote"]["agreement"]
    assert 0.2 <= agreement["wrong"] < agreement["mean"] < agreement["right"] <= 1
    assert figures["challenger"]["agreement"] is None
    assert {row["agreement"] for row in greedy(rows, "self_vote")} <= {0.2, 0.4, 0.6, 0.8, 1.0}


def test_only_what_changed_is_asked_again(evaluated, monkeypatch):
    rows, _, folder = evaluated
    asked = []
    reply = Follower.reply

    def noted(self, prompts, sampling):
        asked.append(self.name)
        return reply(self, prompts, sampling)

    monkeypatch.setattr(Follower, "reply", noted)
    silent = KnownPanel(CASES)

    def again(models=MODELS, **changed):
        asked.clear()
        recipe = RECIPE.model_copy(update=changed)
        return measure(CASES, SYSTEMS, silent, recipe, folder / "work", {}, models)

    fewer = again(baselines=NAMES[:3])
    assert [row for row in fewer if row["system"] in NAMES[:3]] == [
        row for row in rows if row["system"] in NAMES[:3]
    ]
    assert not asked and silent.asked == 0
    again(votes=3)
    assert asked == ["challenger"] * 6
    again({**MODELS, "easy_only": follower("another")})
    assert set(asked) == {"another"}
    again(all_roles=RECIPE.all_roles[:2])
    assert set(asked) == {"challenger"} and silent.asked == 2 * len(TEST)


def test_a_baseline_without_its_model_is_refused(tmp_path):
    with pytest.raises(UsageError, match="easy_only: give the model folder"):
        require_models(EvaluationRecipe(baselines=("self_vote", "easy_only")), {})
    with pytest.raises(UsageError, match="no baseline named easy_onyl"):
        require_models(EvaluationRecipe(baselines=()), {"easy_onyl": tmp_path})
    require_models(EvaluationRecipe(baselines=("self_vote",)), {"easy_only": tmp_path})


def test_who_does_not_count_is_reported_as_unknown_not_as_free(tmp_path):
    class Silent(KnownDoctor):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            del self.usage

        def reply(self, prompts, sampling):
            self.usage = Usage()
            replies = super().reply(prompts, sampling)
            del self.usage
            return replies

    attending = Model("silent", lambda: Silent(CASES, "silent", 0.5, "attending"))
    challenger = System(SYSTEMS["challenger"].triage, attending)
    recipe = EvaluationRecipe(samples=0, resamples=100, baselines=(), text_only=False)
    systems = {"start": SYSTEMS["start"], "challenger": challenger}
    rows = measure(CASES, systems, KnownPanel(CASES), recipe, tmp_path / "work", {})
    publish(rows, recipe, tmp_path / "out")
    cost = json.loads((tmp_path / "out/metrics.json").read_text())["systems"]["challenger"]["cost"]
    assert cost["specialist_calls"] == 3
    assert cost["prompt_tokens"] is None and cost["seconds"] is None
