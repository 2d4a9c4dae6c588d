"""The retraining DAG, written once: a laptop runs it and a cluster's compiler reads it.

Every task takes its plan, which decides its result and its cache key; see `mmedagent.stepplan`.
There is no condition in it: the gate's verdict is data, which deploy reads for itself (a KFP
condition that cannot be evaluated counts as False, and would pass for a verdict).
"""

from typing import Any

from kfp import dsl

from components.curriculum.component import curriculum as curriculum_step
from components.deploy.component import deploy as deploy_step
from components.evaluate.component import evaluate as evaluate_step
from components.gate.component import gate as gate_step
from components.ingest.component import ingest as ingest_step
from components.label.component import label as label_step
from components.register.component import register as register_step
from components.report.component import report as report_step
from components.train_attending.component import train_attending
from components.train_triage.component import train_triage
from components.validate.component import validate as validate_step
from components.warm_start.component import warm_start
from mmedagent.recipes.training import STAGES

NAME = "mmedagent-retraining"


def _named(name: str, task: Any) -> Any:
    """Give a task the name that records, logs and the report know it by."""
    return task.set_display_name(name)


def _train_triage(start_plan: str, plan: str, cases: Any, valid: Any) -> tuple[Any, Any]:
    """Add the triage doctor's tasks; return its Start and its trained model."""
    start = _named(
        "warm-start-triage",
        warm_start(plan=start_plan, agent="triage", cases=cases).after(valid),
    ).output
    trained = _named("triage-rl", train_triage(plan=plan, cases=cases, start=start)).output
    return start, trained


def _train_attending(
    start_plan: str, plans: dict[str, str], cases: Any, opinions: Any, curriculum: Any
) -> tuple[Any, dict[str, Any]]:
    """Add the attending's tasks, stage after stage; return its Start and each stage's model."""
    start = _named(
        "warm-start-attending",
        warm_start(plan=start_plan, agent="attending", cases=cases, opinions=opinions),
    ).output
    stages: dict[str, Any] = {}
    weights = start
    for stage, plan in plans.items():
        task = train_attending(
            plan=plan,
            stage=stage,
            cases=cases,
            opinions=opinions,
            curriculum=curriculum,
            weights=weights,
            start=start,
        )
        weights = stages[stage] = _named(f"attending-{stage}", task).output
    return start, stages


@dsl.pipeline(
    name=NAME,
    description="Retrain, judge, register and deploy the two doctors beside a frozen panel.",
)
def retraining(
    run: str,
    ingest: str,
    validate: str,
    label: str,
    curriculum: str,
    warm_start_triage: str,
    warm_start_attending: str,
    triage_rl: str,
    attending_easy: str,
    attending_medium: str,
    attending_hard: str,
    evaluate: str,
    gate: str,
    register: str,
    deploy: str,
) -> None:
    """Run all tasks, and the report whatever happened.

    Args:
        run: The run's folder, for the report.
        ingest: The plan of the task of that name, as all the others: `mmedagent.stepplan`.
        validate: Plan.
        label: Plan.
        curriculum: Plan.
        warm_start_triage: Plan.
        warm_start_attending: Plan.
        triage_rl: Plan.
        attending_easy: Plan.
        attending_medium: Plan.
        attending_hard: Plan.
        evaluate: Plan.
        gate: Plan.
        register: Plan.
        deploy: Plan.
    """
    last = report_step(run=run)
    last.set_caching_options(False)
    with dsl.ExitHandler(exit_task=last, name="retrain"):
        data = _named("ingest", ingest_step(plan=ingest)).output
        valid = _named("validate", validate_step(plan=validate, cases=data))
        said = _named("label", label_step(plan=label, cases=data).after(valid)).output
        tiers = _named(
            "curriculum", curriculum_step(plan=curriculum, cases=data, opinions=said)
        ).output

        start_triage, triage = _train_triage(warm_start_triage, triage_rl, data, valid)
        start_attending, stages = _train_attending(
            warm_start_attending,
            dict(zip(STAGES, (attending_easy, attending_medium, attending_hard), strict=True)),
            data,
            said,
            tiers,
        )

        evaluation = _named(
            "evaluate",
            evaluate_step(
                plan=evaluate,
                cases=data,
                triage=triage,
                attending=stages["hard"],
                start_triage=start_triage,
                start_attending=start_attending,
                easy=stages["easy"],
                medium=stages["medium"],
            ),
        ).outputs["evaluation"]
        verdict = _named("gate", gate_step(plan=gate, evaluation=evaluation)).outputs["verdict"]
        registration = _named(
            "register",
            register_step(
                plan=register,
                triage=triage,
                **stages,
                start_triage=start_triage,
                start_attending=start_attending,
                evaluation=evaluation,
                verdict=verdict,
            ),
        ).output
        _named("deploy", deploy_step(plan=deploy, verdict=verdict, registration=registration))
