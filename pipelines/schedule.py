"""Walks the body of a KFP DAG with independent tasks side by side.

KFP's own local orchestrator runs a DAG's tasks one after another, except inside ParallelFor. The
two doctors' training has no edge between them, so on two cores the run would take twice as long.
Same arguments, same results, same skipping after a failure as `run_enhanced_dag`, for the DAGs this
project has: no conditions and no loops.
"""

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from typing import Any

from mmedagent.errors import MMedAgentError

_TICK_SECONDS = 0.2


@dataclass(frozen=True)
class Body:
    """What KFP hands to the function that runs a nested DAG."""

    pipeline_resource_name: str
    dag_component_spec: Any
    executors: dict[str, Any]
    components: dict[str, Any]
    dag_arguments: dict[str, Any]
    pipeline_root: str
    runner: Any
    unique_pipeline_id: str
    fail_stack: list[str]
    parent_io_store: Any

    @property
    def tasks(self) -> dict[str, Any]:
        """The tasks' specs by KFP's name for them."""
        return dict(self.dag_component_spec.dag.tasks)


def walk_concurrently(
    body: Body, workers: int, stopped: Callable[[], bool], tick: Callable[[], None]
) -> tuple[dict[str, Any], Any]:
    """Run the body's tasks, at most `workers` at once, longest chain of successors first.

    Once `stopped()`, no further task starts; `tick()` is called several times a second. Returns
    KFP's pair of outputs and status.

    Raises:
        MMedAgentError: the DAG has a condition or a loop.
    """
    from kfp.local import status

    tasks = body.tasks
    _refuse_control_flow(tasks)
    store = _filled_store(body)
    rank = _chain_lengths(tasks)
    waiting = sorted(tasks, key=lambda name: (-rank[name], name))
    done: set[str] = set()
    running: dict[Future[Any], str] = {}
    with ThreadPoolExecutor(workers, thread_name_prefix="task") as pool:
        while running or (waiting and not stopped() and not body.fail_stack):
            for name in [n for n in waiting if set(tasks[n].dependent_tasks) <= done]:
                if len(running) < workers and not stopped() and not body.fail_stack:
                    waiting.remove(name)
                    running[pool.submit(_execute, body, store, name)] = name
            ended, _ = wait(running, timeout=_TICK_SECONDS, return_when=FIRST_COMPLETED)
            tick()
            for future in ended:
                name = running.pop(future)
                outputs, task_status = future.result()
                if task_status != status.Status.SUCCESS:
                    body.fail_stack.append(name)
                    continue
                done.add(name)
                for key, value in outputs.items():
                    store.put_task_output(name, key, value)
    if done != set(tasks):
        return {}, status.Status.FAILURE
    return _outputs(body, store), status.Status.SUCCESS


def _execute(body: Body, store: Any, name: str) -> Any:
    from kfp.local.orchestrator import task_executor

    return task_executor.execute_single_task(
        task_name=name,
        task_spec=body.tasks[name],
        pipeline_resource_name=body.pipeline_resource_name,
        components=body.components,
        executors=body.executors,
        io_store=store,
        pipeline_root=body.pipeline_root,
        runner=body.runner,
        unique_pipeline_id=body.unique_pipeline_id,
        fail_stack=body.fail_stack,
    )


def _filled_store(body: Body) -> Any:
    from kfp.local import io
    from kfp.local.orchestrator.orchestrator_utils import OrchestratorUtils

    arguments = OrchestratorUtils.join_user_inputs_and_defaults(
        dag_arguments=body.dag_arguments,
        dag_inputs_spec=body.dag_component_spec.input_definitions,
    )
    store = io.IOStore(parent=body.parent_io_store)
    for key, value in arguments.items():
        store.put_parent_input(key, value)
    return store


def _outputs(body: Body, store: Any) -> dict[str, Any]:
    from kfp.local.orchestrator.orchestrator_utils import OrchestratorUtils

    outputs: dict[str, Any] = OrchestratorUtils.get_dag_outputs(
        dag_outputs_spec=body.dag_component_spec.dag.outputs, io_store=store
    )
    return outputs


def _refuse_control_flow(tasks: dict[str, Any]) -> None:
    for name, spec in tasks.items():
        if spec.trigger_policy.condition or spec.WhichOneof("iterator"):
            raise MMedAgentError(f"task {name}: conditions and loops do not run on this machine")


def _chain_lengths(tasks: dict[str, Any]) -> dict[str, int]:
    """Return for each task how many tasks the longest chain from it to an end has."""
    successors: dict[str, list[str]] = {name: [] for name in tasks}
    for name, spec in tasks.items():
        for before in spec.dependent_tasks:
            successors[before].append(name)

    @cache
    def length(name: str) -> int:
        return 1 + max((length(after) for after in successors[name]), default=0)

    return {name: length(name) for name in tasks}
