"""What is trained on: prompts with their cases and coefficients, and how often each is drawn."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from mmedagent.cases.case import Case
from mmedagent.consultation.doctor import Prompt
from mmedagent.digests import digest_bytes
from mmedagent.models.images import open_image
from mmedagent.recipes.training import GrpoRecipe

_TASKS = "tasks.jsonl"


@dataclass(frozen=True)
class Task:
    """One prompt to roll out: its case (for the reward) and its coefficients."""

    prompt: Prompt
    case: Case
    entropy: float
    """Gamma."""
    kl: float
    """Beta."""
    draws: float = 1.0
    """How often it is drawn in an epoch, on average."""


def prompt_order(draws: Sequence[float], recipe: GrpoRecipe, steps: int) -> list[int]:
    """Return which task each prompt of the whole training is: shuffled epochs, end to end.

    A task whose `draws` is 1.3 is in each epoch once, and in three of ten twice. The order is a
    function of the recipe's seed alone.
    """
    wanted = steps * recipe.prompts_per_step
    generator = torch.Generator().manual_seed(recipe.seed)
    often = torch.tensor(draws, dtype=torch.float64)
    order: list[int] = []
    while len(order) < wanted:
        epoch = torch.arange(len(draws))
        if bool((often != 1).any()):
            chance = torch.rand(len(draws), generator=generator, dtype=torch.float64)
            epoch = epoch.repeat_interleave((often + chance).floor().long())
        if recipe.shuffle:
            epoch = epoch[torch.randperm(len(epoch), generator=generator)]
        order += epoch.tolist()
    return order[:wanted]


def data_set(tasks: Sequence[Task], recipe: GrpoRecipe, steps: int) -> Dataset:
    """Return one row per prompt of the whole training."""
    order = prompt_order([task.draws for task in tasks], recipe, steps)
    return Dataset.from_dict({"row": order}).with_transform(_Rows(tasks))


class _Rows:
    """Turns the numbers of tasks into the columns that TRL and the rewards read."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks
        self._images = [[open_image(data) for data in task.prompt.images] for task in tasks]

    def __call__(self, batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        numbers = batch["row"]
        tasks = [self._tasks[number] for number in numbers]
        return {
            "row": numbers,
            "prompt": [task.prompt.messages for task in tasks],
            "images": [self._images[number] for number in numbers],
            "gamma": [task.entropy for task in tasks],
            "beta": [task.kl for task in tasks],
        }

    def __getstate__(self) -> dict[str, Any]:
        # `datasets` hashes a transform by pickling it, for a cache on disk that is not used here.
        return {}


def write_tasks(folder: Path, tasks: Sequence[Task]) -> None:
    """Write tasks into `folder` for other processes: one line each, images under their sha256."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for task in tasks:
        images = [_keep(folder, image) for image in task.prompt.images]
        shown = [_keep(folder, image) for image in task.case.images]
        case = task.case.model_dump(exclude={"images"}) | {"images": shown}
        numbers = {field.name: getattr(task, field.name) for field in fields(Task)[2:]}
        record = {"messages": task.prompt.messages, "images": images, "case": case, **numbers}
        lines.append(json.dumps(record))
    (folder / _TASKS).write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_tasks(folder: Path) -> list[Task]:
    """Return what `write_tasks` wrote."""
    with (folder / _TASKS).open(encoding="utf-8") as lines:
        return list(_read(folder, lines))


def _read(folder: Path, lines: Iterator[str]) -> Iterator[Task]:
    for line in lines:
        record = json.loads(line)
        images = tuple((folder / name).read_bytes() for name in record.pop("images"))
        case = record.pop("case")
        case["images"] = tuple((folder / name).read_bytes() for name in case["images"])
        prompt = Prompt(record.pop("messages"), images)
        yield Task(prompt, Case.model_validate(case), **record)


def _keep(folder: Path, image: bytes) -> str:
    name = digest_bytes(image)
    path = folder / name
    if not path.exists():
        path.write_bytes(image)
    return name
