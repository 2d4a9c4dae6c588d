"""A small pipeline with the real machinery: plans, work folders, records, exit handler."""

from kfp import dsl
from kfp.dsl import Dataset, Input, Output, PipelineTaskFinalStatus

from components.shell import component


@component
def make(plan: str, made: Output[Dataset]) -> None:
    from mmedagent.workdir import run_step
    from tests.pipelines.steps import work

    run_step(plan, {".": made}, work)


@component
def change(plan: str, before: Input[Dataset], after: Output[Dataset]) -> None:
    from mmedagent.workdir import run_step
    from tests.pipelines.steps import work

    run_step(plan, {".": after}, work)


@component
def last(run: str, status: PipelineTaskFinalStatus) -> None:
    from pathlib import Path

    (Path(run) / "report.html").write_text(status.state)


@dsl.pipeline(name="small")
def small(run: str, first: str, left: str, right: str, end: str) -> None:
    handler = last(run=run)
    handler.set_caching_options(False)
    with dsl.ExitHandler(exit_task=handler):
        one = make(plan=first).set_display_name("first")
        two = change(plan=left, before=one.output).set_display_name("left")
        change(plan=right, before=one.output).set_display_name("right")
        change(plan=end, before=two.output).set_display_name("end")
