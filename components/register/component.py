"""The registry: what was trained, from what, and how it was judged."""

from kfp.dsl import Dataset, Input, Model, Output

from components.shell import component


@component
def register(
    plan: str, triage: Input[Model], easy: Input[Model], medium: Input[Model], hard: Input[Model],
    start_triage: Input[Model], start_attending: Input[Model],
    evaluation: Input[Dataset], verdict: Input[Dataset], registration: Output[Dataset],
) -> None:  # fmt: skip
    """Register the challenger as one version, with its verdict; on a first run also the Start.

    Args:
        plan: The planned task as JSON: the deciding recipe sections, all versions, digests.
        triage: The challenger's triage doctor.
        easy: The attending after the first stage (for its curves).
        medium: The attending after the second stage (for its curves).
        hard: The challenger's attending doctor.
        start_triage: The triage doctor's Start.
        start_attending: The attending doctor's Start.
        evaluation: The predictions and figures.
        verdict: The gate's verdict.
        registration: The folder with registration.json.
    """
    from mmedagent.registry.step import register_step
    from mmedagent.workdir import run_step

    trained = {
        "triage-rl": triage.path,
        "attending-easy": easy.path,
        "attending-medium": medium.path,
        "attending-hard": hard.path,
    }
    start = (start_triage.path, start_attending.path)
    run_step(plan, {".": registration}, lambda step: register_step(
        step, trained, start, evaluation.path, verdict.path))  # fmt: skip
