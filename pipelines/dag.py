"""The DAG as a table: what each task reads and waits for.

`plan` digests by it, `retraining` wires KFP by it (a test holds them equal), and the figure and the
table in `docs/pipeline.md` come from it.
"""

from dataclasses import dataclass

from mmedagent.recipes.training import STAGES


@dataclass(frozen=True)
class Task:
    """One task of the DAG."""

    name: str
    component: str
    """The folder in `components/` whose shell it runs."""
    inputs: tuple[str, ...] = ()
    """The tasks whose outputs it reads: their plans decide its own."""
    after: tuple[str, ...] = ()
    """Tasks that must have succeeded before, though nothing of theirs is read."""
    sections: tuple[str, ...] = ()
    """The sections of the recipe that it reads, as paths."""
    versions: tuple[str, ...] = ()
    """What it fetches by itself: `data`, `base`, `panel`, `champion`, `challenger`, and `before`,
    the data version that the champion was made of."""

    @property
    def upstream(self) -> tuple[str, ...]:
        """All tasks that must be done before it."""
        return (*self.inputs, *self.after)

    @property
    def parameter(self) -> str:
        """The name of its pipeline parameter: the plan as JSON."""
        return self.name.replace("-", "_")


_ATTENDING_INPUTS = ("ingest", "label", "curriculum")
_DECIDING_SECTIONS = (
    "panel",
    "label",
    "curriculum",
    "warm_start.triage",
    "warm_start.attending",
    "training.triage",
    "training.attending",
    "evaluation",
    "gate",
)

TASKS: tuple[Task, ...] = (
    Task("ingest", "ingest", versions=("data",)),
    Task(
        "validate",
        "validate",
        inputs=("ingest",),
        sections=("validation",),
        versions=("before",),
    ),
    Task(
        "label",
        "label",
        inputs=("ingest",),
        after=("validate",),
        sections=("panel", "label"),
        versions=("panel",),
    ),
    Task("curriculum", "curriculum", inputs=("ingest", "label"), sections=("curriculum",)),
    Task(
        "warm-start-triage",
        "warm_start",
        inputs=("ingest",),
        after=("validate",),
        sections=("warm_start.triage",),
        versions=("base",),
    ),
    Task(
        "warm-start-attending",
        "warm_start",
        inputs=("ingest", "label"),
        sections=("warm_start.attending",),
        versions=("base",),
    ),
    Task(
        "triage-rl",
        "train_triage",
        inputs=("ingest", "warm-start-triage"),
        sections=("training.triage",),
    ),
    *(
        Task(
            f"attending-{stage}",
            "train_attending",
            inputs=tuple(dict.fromkeys((*_ATTENDING_INPUTS, before, "warm-start-attending"))),
            sections=("training.attending",),
        )
        for stage, before in zip(
            STAGES, ("warm-start-attending", "attending-easy", "attending-medium"), strict=True
        )
    ),
    Task(
        "evaluate",
        "evaluate",
        inputs=(
            "ingest",
            "triage-rl",
            "attending-easy",
            "attending-medium",
            "attending-hard",
            "warm-start-triage",
            "warm-start-attending",
        ),
        sections=("evaluation", "panel"),
        versions=("panel", "champion"),
    ),
    Task("gate", "gate", inputs=("evaluate",), sections=("gate",)),
    Task(
        "register",
        "register",
        inputs=(
            "triage-rl",
            "attending-easy",
            "attending-medium",
            "attending-hard",
            "warm-start-triage",
            "warm-start-attending",
            "evaluate",
            "gate",
        ),
        sections=_DECIDING_SECTIONS,
        versions=("data", "base", "panel", "champion", "challenger"),
    ),
    Task("deploy", "deploy", inputs=("gate", "register")),
)
"""In topological order; the exit handler `report` is not among them: it runs whatever happened."""

EXIT_TASK = "report"
BY_NAME = {task.name: task for task in TASKS}
TRAINED = ("triage-rl", "attending-hard")
"""The tasks that make the challenger."""
