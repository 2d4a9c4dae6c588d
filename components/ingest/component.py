"""The first step: the planned data version, whole and verified."""

from kfp.dsl import Dataset, Output

from components.shell import component


@component
def ingest(plan: str, cases: Output[Dataset]) -> None:
    """Fetch a data version from the DVC remote and verify every file of it.

    Args:
        plan: The planned task as JSON: the data version, digests of inputs and code.
        cases: The data folder: one Parquet folder a pool, and the manifest.
    """
    from mmedagent.cases.ingest import ingest
    from mmedagent.workdir import run_step

    run_step(
        plan,
        {".": cases},
        lambda step: ingest(step.store(), step.plan.versions["data"], step.out),
    )
