"""`mmedagent data init`: makes the mapping file of a hospital's own cases, with its owner."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmedagent.errors import UsageError

if TYPE_CHECKING:
    from mmedagent.cases.sources.own.interview import Interview

_console = Console(highlight=False)
_SETS = Path("data/sets")


def init(
    name: Annotated[str, typer.Argument(help="What the data set shall be called: chest-2026.")],
    path: Annotated[Path, typer.Argument(help="The folder or archive: images and one table.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Answer one question: question=frage, images.columns=[file]"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The mapping file; default data/sets/NAME.mapping.yaml.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask nothing: what --set does not say is refused.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the mapping file.")] = False,
) -> None:
    """Say, guided, which column of a table is what, and write it down as a mapping file.

    It shows the columns with counts and lengths, never their cells, proposes what names and
    contents suggest, and asks for each. Nothing is taken without an answer: with `--yes` whatever
    `--set` leaves open is refused. docs/own-cases.md explains every field.

    Examples:

        mmedagent data init chest-2026 /archive/chest

        mmedagent data init chest-2026 chest.zip --yes --set table.path=cases.csv
        --set table.format=csv --set table.encoding=utf-8 --set 'table.delimiter=","'
        --set images.columns=[file] --set question=question --set answer.column=answer
        --set answer.given_as=text --set answer_type.value=open --set question_type.value=finding
        --set modality.dicom_header=true --set subject=patient
        --set split.by_subject={train: 0.8, validation: 0.1, test: 0.1}
    """
    from mmedagent import atomic
    from mmedagent.cases.sources.own.drafting import assign, check, finished
    from mmedagent.cases.sources.own.interview import Interview
    from mmedagent.cases.sources.own.mapping import write_text
    from mmedagent.cases.sources.release import open_release
    from mmedagent.recipes.sets import LimitsRecipe

    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", name):
        raise UsageError(f"{name!r} is no name: lower-case letters, digits and dashes")
    target = out or _SETS / f"{name}.mapping.yaml"
    if target.exists() and not force:
        raise UsageError(f"{target} is there already: edit it, or give --force to replace it")
    values: dict[str, Any] = {}
    for assignment in set_ or []:
        assign(values, assignment)
    with open_release(path, LimitsRecipe()) as release:
        if not yes:
            _ask(Interview(release, values))
        mapping = finished(values)
        atomic.write_text(target, write_text(mapping))
        _console.print(f"wrote {target}", markup=False, soft_wrap=True)
        rows = check(mapping, release)
    _console.print(f"{rows} rows of {mapping.table.path} read well by it", markup=False)
    _next_steps(name, target, path)


def _ask(interview: "Interview") -> None:
    """Put the interview's questions until it has none left."""
    while (question := interview.next()) is not None:
        if question.columns:
            _show(question.columns)
        proposal = question.proposal
        hint = "" if question.needed else " (Enter for none)"
        try:
            answer = typer.prompt(
                f"{question.text}{hint}", default=proposal or ("" if not question.needed else None)
            )
        except typer.Abort:
            raise UsageError(
                f"stopped at {question.name}; nothing was written. Without a terminal give every"
                " field with --set, and --yes"
            ) from None
        if problem := interview.answer(question, str(answer).strip()):
            _console.print(problem, markup=False, style="red")


def _show(columns: list[Any]) -> None:
    table = Table(title="columns of the table (first 10 000 rows)", title_justify="left")
    table.add_column("column")
    for title in ("looks like", "filled", "different", "longest"):
        table.add_column(title, justify="right")
    for column in columns:
        facts = (column.kind, str(column.filled), column.distinct, str(column.longest))
        table.add_row(escape(column.name), *facts)
    _console.print(table)


def _next_steps(name: str, target: Path, path: Path) -> None:
    from mmedagent.cases.privacy.pseudonym import DEFAULT_KEY

    if not DEFAULT_KEY.exists():
        _console.print(
            f"next: `mmedagent data key` makes the key of the pseudonyms ({DEFAULT_KEY})",
            soft_wrap=True,
        )
    _console.print(
        f"next: mmedagent data add {name} --source own --mapping {target} {path}",
        markup=False,
        soft_wrap=True,
    )
