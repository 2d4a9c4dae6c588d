"""`mmedagent compile`: the DAG with a recipe's plan as its default arguments, as KFP's IR YAML."""

import io
from pathlib import Path

import yaml

from mmedagent.atomic import write_text
from mmedagent.errors import UsageError
from pipelines.plan import Plan


def compile_pipeline(plan: Plan, output: Path) -> None:
    """Write the pipeline to `output`; equal plans give equal bytes.

    Raises:
        UsageError: `output` does not end in .yaml.
    """
    if output.suffix not in (".yaml", ".yml"):
        raise UsageError(f"--output {output}: the file's name must end in .yaml")
    write_text(output, pipeline_yaml(plan))


def pipeline_yaml(plan: Plan) -> str:
    """Return the pipeline's IR with `plan` as default arguments; `run` stays the submitter's.

    Raises:
        UsageError: KFP refuses the pipeline.
    """
    import tempfile

    from kfp import compiler

    from pipelines.retraining import retraining

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(
            retraining, str(path), pipeline_parameters={"run": "", **plan.arguments()}
        )
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    # Sorted, because KFP writes maps in the order that its protobuf happens to hold them.
    text = io.StringIO()
    yaml.safe_dump_all(documents, text, sort_keys=True, width=100)
    return text.getvalue()
