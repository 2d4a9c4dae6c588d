"""The exit handler: the report, whatever happened."""

from kfp.dsl import PipelineTaskFinalStatus

from components.shell import component


@component
def report(run: str, status: PipelineTaskFinalStatus) -> None:
    """Write the run's report and summary from whatever exists of the run; never cached.

    Args:
        run: The run's folder.
        status: How the other tasks ended, as the pipeline engine saw it.
    """
    from pathlib import Path

    from mmedagent.report.write import write_report

    print(f"{status.pipeline_task_name} ended as {status.state}: {write_report(Path(run))}")
