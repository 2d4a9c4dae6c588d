"""Writes the generated parts of `docs/pipeline.md`: the figure of the DAG and the table of tasks.

`python -m pipelines.figure` writes them; with `--check` it says whether they are up to date.
"""

import sys
from pathlib import Path

from mmedagent.atomic import write_text
from mmedagent.errors import ExitCode
from pipelines.dag import EXIT_TASK, TASKS

PAGE = Path(__file__).parents[1] / "docs" / "pipeline.md"


def figure() -> str:
    """Return the DAG as a mermaid flowchart: solid where data flows, dotted where order is all."""
    lines = ["```mermaid", "flowchart LR"]
    for task in TASKS:
        for name in _nearest(task.inputs):
            lines.append(f"  {name} --> {task.name}")
        for name in task.after:
            lines.append(f"  {name} -.-> {task.name}")
    lines += [f"  {TASKS[-1].name} -. whatever happened .-> {EXIT_TASK}", "```"]
    return "\n".join(lines)


def table() -> str:
    """Return what each task reads, as a table."""
    lines = ["| task | shell | reads | recipe sections | versions |", "|-|-|-|-|-|"]
    for task in TASKS:
        cells = (task.inputs, task.sections, task.versions)
        reads, sections, versions = (", ".join(cell) or "-" for cell in cells)
        shell = f"[{task.component}](../components/{task.component}/README.md)"
        lines.append(f"| `{task.name}` | {shell} | {reads} | {sections} | {versions} |")
    return "\n".join(lines)


def render(page: str) -> str:
    """Return `page` with its generated parts renewed, between their markers."""
    for name, text in (("figure", figure()), ("table", table())):
        start, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
        before, _, rest = page.partition(start)
        page = before + start + text + end + rest.partition(end)[2]
    return page


def _nearest(inputs: tuple[str, ...]) -> list[str]:
    """Leave out inputs that another input comes after: the arrow is implied by the path."""
    upstream: dict[str, set[str]] = {}
    for task in TASKS:
        direct = set(task.upstream)
        upstream[task.name] = direct | {far for near in direct for far in upstream[near]}
    implied = {far for name in inputs for far in upstream[name]}
    return [name for name in inputs if name not in implied]


def main() -> int:
    """Write the page, or with `--check` say whether it is what the DAG says."""
    page = PAGE.read_text(encoding="utf-8")
    if render(page) == page:
        return int(ExitCode.OK)
    if "--check" in sys.argv[1:]:
        print(f"{PAGE} is stale: run `python -m pipelines.figure`")
        return int(ExitCode.CRASH)
    write_text(PAGE, render(page))
    return int(ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
