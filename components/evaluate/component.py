"""Full consultations of every system on held-out cases."""

from kfp.dsl import Dataset, Input, Metrics, Model, Output

from components.shell import component


@component
def evaluate(
    plan: str, cases: Input[Dataset], triage: Input[Model], attending: Input[Model],
    start_triage: Input[Model], start_attending: Input[Model],
    easy: Input[Model], medium: Input[Model],
    evaluation: Output[Dataset], metrics: Output[Metrics],
) -> None:  # fmt: skip
    """Measure challenger, start, champion and baselines; the specialty is as triage chose.

    Args:
        plan: The planned task as JSON: recipe sections, panel and champion versions, digests.
        cases: The data folder.
        triage: The challenger's triage doctor.
        attending: The challenger's attending doctor.
        start_triage: The triage doctor's Start.
        start_attending: The attending doctor's Start.
        easy: The attending doctor after the easy stage, for the baseline `easy_only`.
        medium: The same after the medium stage, for the baseline `easy_and_medium`.
        evaluation: The folder with predictions.parquet and metrics.json.
        metrics: The figures.
    """
    from mmedagent.evaluation.step import evaluate_step
    from mmedagent.workdir import run_step

    run_step(plan, {".": evaluation, "metrics.json": metrics}, lambda step: evaluate_step(
        step, cases.path, (triage.path, attending.path), (start_triage.path, start_attending.path),
        {"easy_only": easy.path, "easy_and_medium": medium.path},
    ))  # fmt: skip
