"""The table in docs/scale.md is made of the resolved recipes."""

from pathlib import Path
from typing import Any

from mmedagent.recipes.named import RECIPES
from mmedagent.recipes.resolve import resolve

DOC = Path("docs/scale.md")
ROWS = (
    "model.path",
    "model.dtype",
    "data.image_size",
    "panel.specialists",
    "warm_start.attending.fit.steps",
    "training.attending.lora",
    "training.attending.freeze_vision",
    "training.attending.dtype",
    "training.attending.gradient_checkpointing",
    "training.attending.processes",
    "training.attending.deepspeed",
    "training.attending.vllm",
    "training.attending.prompts_per_step",
    "training.attending.generations",
    "training.attending.micro_batch",
    "training.attending.learning_rate",
    "training.attending.steps",
    "training.triage.steps",
    "training.attending.stages",
    "training.attending.drop_groups_without_variance",
    "training.attending.max_new_tokens",
    "training.attending.style",
)


def _table() -> list[str]:
    names = list(RECIPES)
    values = {name: resolve(name).model_dump(mode="json") for name in names}
    lines = ["| field | " + " | ".join(f"`{name}`" for name in names) + " |"]
    lines.append("|---" * (len(names) + 1) + "|")
    for path in ROWS:
        cells = [_cell(path, values[name]) for name in names]
        lines.append(f"| `{path}` | " + " | ".join(cells) + " |")
    return lines


def _cell(path: str, values: Any) -> str:
    for key in path.split("."):
        values = values[key]
    if path == "panel.specialists":
        return ", ".join(each["model"] or each["name"] for each in values)
    if path.endswith(".lora") and values:
        return f"rank {values['rank']}, alpha {values['alpha']:g}"
    if path.endswith(".deepspeed") and values:
        return f"ZeRO-{values['stage']}"
    if path.endswith(".vllm") and values:
        return values["mode"]
    if isinstance(values, dict):
        return " / ".join(str(value) for value in values.values())
    if isinstance(values, bool):
        return "yes" if values else "no"
    return "-" if values is None else f"{values:g}" if isinstance(values, float) else str(values)


def test_the_table_is_the_recipes() -> None:
    table = "\n".join(_table())
    assert table in DOC.read_text(), f"put this into {DOC}:\n{table}"
