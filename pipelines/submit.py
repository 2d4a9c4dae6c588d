"""`mmedagent submit`: hand the compiled pipeline and its planned arguments to a KFP server."""

import tempfile
from pathlib import Path

from mmedagent.errors import MMedAgentError
from pipelines.compile import compile_pipeline
from pipelines.plan import Plan
from pipelines.retraining import NAME


class SubmitError(MMedAgentError):
    """The pipeline server cannot be reached, or refuses the run."""


def submit(plan: Plan, host: str, experiment: str, run_name: str) -> str:
    """Create a run on the KFP server at `host` and return its address.

    Raises:
        SubmitError: the server is unreachable or refuses.
    """
    import urllib3
    from kfp import Client
    from kfp_server_api.exceptions import ApiException  # type: ignore[import-untyped]

    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "pipeline.yaml"
        compile_pipeline(plan, package)
        try:
            client = Client(host=host)
            created = client.create_run_from_pipeline_package(
                str(package),
                arguments={"run": run_name, **plan.arguments()},
                run_name=f"{NAME}-{run_name}",
                experiment_name=experiment,
                enable_caching=True,
            )
        except ApiException as error:
            raise SubmitError(f"{host} refused the run: {error.status} {error.reason}") from None
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise SubmitError(
                f"no pipeline server answers at {host} ({type(error).__name__}: {error});"
                " is its port forwarded (kubectl port-forward svc/ml-pipeline-ui 8080:80)?"
            ) from None
    return f"{host.rstrip('/')}/#/runs/details/{created.run_id}"
