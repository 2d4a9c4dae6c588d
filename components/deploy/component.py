"""The last step: what should be served."""

from kfp.dsl import Dataset, Input, Output

from components.shell import component


@component
def deploy(
    plan: str, verdict: Input[Dataset], registration: Input[Dataset], deployment: Output[Dataset]
) -> None:
    """Write the desired serving version if, and only if, the verdict that it reads is pass.

    Args:
        plan: The planned task as JSON: digests of inputs and code.
        verdict: The gate's verdict.
        registration: What was registered.
        deployment: The folder with deploy.json.
    """
    from pathlib import Path

    from mmedagent.home import home_folder
    from mmedagent.serving.deploy import deploy
    from mmedagent.workdir import run_step

    run_step(plan, {".": deployment}, lambda step: deploy(
        Path(verdict.path) / "verdict.json", Path(registration.path) / "registration.json",
        home_folder(), step.out,
    ))  # fmt: skip
