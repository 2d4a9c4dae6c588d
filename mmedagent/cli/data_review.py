"""`mmedagent data validate`, `review` and `label-noise`: judge a version, say what is meant so."""

import getpass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from mmedagent.errors import BadDataError, UsageError

_console = Console(highlight=False)
_OUT = Path("runs/validation")
_REVIEWS = Path("data/reviews")
_DataVersion = Annotated[str, typer.Argument(help="A data set (NAME or NAME@REVISION) or folder.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `mmedagent data`."""
    app.command()(validate)
    app.command()(review)
    app.command(name="label-noise")(label_noise)


def validate(
    version: _DataVersion = "data/starter",
    out: Annotated[Path, typer.Option(help="Write the Data Docs and findings here.")] = _OUT,
    recipe: Annotated[str, typer.Option(help="Take the section `validation` of it.")] = "laptop",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override a field: validation.min_side=56")
    ] = None,
    before: Annotated[
        str | None,
        typer.Option(help="The version before: NAME@REVISION, a folder, a distributions.json."),
    ] = None,
    reviews: Annotated[
        Path | None, typer.Option(help="Reviewed findings; default data/reviews/NAME.yaml.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Processes that decode images.", min=1)] = None,
) -> None:
    """Check a data version; exit 13 when it must not be trained on.

    A run that was stopped goes on where it was. `docs/validation.md` lists every check.

    Examples:

        mmedagent data validate

        mmedagent data validate data/starter --out /tmp/docs

        mmedagent data validate vqa-rad --before vqa-rad@HEAD~1
    """
    from mmedagent.cases.adding.progress import progress_bars
    from mmedagent.cases.sets.revisions import open_version
    from mmedagent.cases.store import read_manifest
    from mmedagent.cases.validation import validate as validate_cases
    from mmedagent.recipes.resolve import resolve

    section = resolve(recipe, set_ or []).validation
    folder = Path(version) if Path(version).is_dir() else open_version(Path.cwd(), version)
    earlier = None
    if before is not None:
        earlier = Path(before) if Path(before).exists() else open_version(Path.cwd(), before)
    if reviews is None:
        own = _REVIEWS / f"{read_manifest(folder)['name']}.yaml"
        reviews = own if own.is_file() else None
    with progress_bars() as tell:
        result = validate_cases(
            folder, section, out, before=earlier, reviews=reviews, tell=tell, workers=jobs
        )
    counted = result["findings"].values()
    warned, reviewed = (sum(kind[state] for kind in counted) for state in ("warn", "reviewed"))
    _console.print(
        f"{folder} is valid: {result['expectations']} expectations hold for {result['cases']} "
        f"cases; {warned} warnings, {reviewed} findings reviewed; see {out / 'index.html'}",
        soft_wrap=True,
    )
    for stale in result["stale_reviews"]:
        name = stale["finding"] or f"{stale['kind']} of {', '.join(stale['cases'][:3])}"
        _console.print(f"stale review, no such finding: {name}", soft_wrap=True)


def judge(name: str) -> None:
    """Validate a set that was just made, against the version that Git's HEAD pins, if another.

    Raises `BadDataError` when it must not be trained on: the version stays, for people to look at.
    """
    from mmedagent.cases.sets.revisions import fetched, find
    from mmedagent.errors import StorageError

    root = Path.cwd()
    before = None
    try:
        pinned = find(root, f"{name}@HEAD")
        if pinned.version != find(root, name).version:
            before = str(fetched(root, pinned))
    except UsageError:
        pass  # HEAD has no such set: this is its first version
    except StorageError as error:
        _console.print(f"drift is not judged, the version before cannot be had: {error}")
    validate(name, _OUT / name, "laptop", None, before, None, None)


def review(
    findings: Annotated[
        list[str] | None, typer.Argument(help="The findings' ids; without any they are listed.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why it is meant to be so.")] = None,
    who: Annotated[str | None, typer.Option(help="Who looked; default the login name.")] = None,
    all_of: Annotated[
        str | None, typer.Option(help="Every listed finding of this kind: same_image, ...")
    ] = None,
    validation: Annotated[
        Path, typer.Option(help="The validation's folder, or a label-noise.json.")
    ] = _OUT,
    reviews: Annotated[
        Path | None, typer.Option(help="The review file; default data/reviews/NAME.yaml.")
    ] = None,
    drop_stale: Annotated[
        bool, typer.Option("--drop-stale", help="Remove reviews that no finding has.")
    ] = False,
) -> None:
    """List what a validation has found, or mark findings as reviewed.

    Look at `findings.html` first. The file is put into the data version when it is next made
    (`dvc repro NAME`); from then on the finding no longer stops a run. Keep it in Git.

    Examples:

        mmedagent data review

        mmedagent data review 0f8b6a3e1c2d4b5a --reason "The official split has it on both sides."

        mmedagent data review --all-of same_image --reason "As released." --who "M. Example"
    """
    content = _read_findings(validation)
    path = reviews or _REVIEWS / f"{content['data_set']}.yaml"
    if not findings and all_of is None and not drop_stale:
        _list(content, path)
        return
    chosen = _chosen(content, findings or [], all_of)
    if chosen and not reason:
        raise UsageError("a review says why: add --reason")
    dropped = content.get("stale", []) if drop_stale else []
    _mark(content["data_set"], path, chosen, reason or "", who or getpass.getuser(), dropped)
    _console.print(
        f"{path}: {len(chosen)} findings marked, {len(dropped)} stale reviews removed",
        soft_wrap=True,
    )


def label_noise(
    version: _DataVersion,
    opinions: Annotated[Path, typer.Argument(help="opinions.parquet, or the folder that has it.")],
    out: Annotated[Path, typer.Option(help="Write the page here.")] = Path("runs/label-noise"),
) -> None:
    """List the cases of which the whole panel says something else than gold, with images.

    The step `label` of a run writes the same page beside its opinions.

    Examples:

        mmedagent data label-noise starter runs/latest/artifacts/label/opinions
    """
    from mmedagent.cases.findings.label_noise import PAGE
    from mmedagent.cases.findings.label_noise import label_noise as write
    from mmedagent.cases.sets.revisions import open_version
    from mmedagent.panel.table import read_opinions

    folder = Path(version) if Path(version).is_dir() else open_version(Path.cwd(), version)
    count = write(folder, read_opinions(opinions), out)
    _console.print(f"{count} cases to look at: {out / PAGE}", soft_wrap=True)


def _read_findings(validation: Path) -> dict[str, Any]:
    import json

    path = validation / "findings.json" if validation.is_dir() else validation
    if not path.is_file():
        raise UsageError(f"{path} is not there: run `mmedagent data validate` first")
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        if not isinstance(content["findings"], list) or not isinstance(content["data_set"], str):
            raise ValueError("no findings")
    except (ValueError, KeyError, TypeError) as error:
        raise BadDataError(f"{path} is no list of findings: {error}") from None
    return content


def _list(content: dict[str, Any], path: Path) -> None:
    table = Table(title=f"{content['data_set']}: findings", title_justify="left")
    for name in ("finding", "kind", "does", "what", "cases"):
        table.add_column(name, overflow="fold", no_wrap=name == "finding")
    for one in content["findings"]:
        does = "reviewed" if one["review"] else one["policy"]
        table.add_row(one["id"], one["kind"], does, one["says"], str(one["cases"]))
    _console.print(table)
    _console.print(f"reviews are kept in {path}", soft_wrap=True)


def _chosen(content: dict[str, Any], ids: list[str], kind: str | None) -> list[dict[str, Any]]:
    from mmedagent.cases.findings.kinds import KINDS

    if kind is not None and kind not in KINDS:
        raise UsageError(f"{kind!r} is no kind of finding; there are {', '.join(KINDS)}")
    by_id = {one["id"]: one for one in content["findings"]}
    if unknown := [each for each in ids if each not in by_id]:
        raise UsageError(
            f"no finding {', '.join(unknown)} in this validation; `mmedagent data review` lists"
            " them"
        )
    same = [one for one in content["findings"] if one["kind"] == kind and not one["review"]]
    return [*(by_id[each] for each in ids), *same]


def _mark(
    name: str,
    path: Path,
    chosen: list[dict[str, Any]],
    reason: str,
    who: str,
    dropped: list[dict[str, Any]],
) -> None:
    from mmedagent.cases.findings.reviews import (
        Review,
        ReviewFile,
        read_reviews,
        reviews_of,
        write_reviews,
    )

    # A new file begins with what already holds: the version's own reviews, or those shipped.
    kept = (
        read_reviews(path).reviews if path.is_file() else reviews_of(Path("data") / name, name).all
    )
    gone = {(one["finding"], one["kind"], tuple(one["cases"])) for one in dropped}
    ids = {one["id"] for one in chosen}
    held = [
        each
        for each in kept
        if each.finding not in ids and (each.finding, each.kind, each.cases) not in gone
    ]
    fresh = [
        Review(finding=one["id"], kind=one["kind"], who=who, when=date.today(), why=reason)
        for one in chosen
    ]
    write_reviews(path, ReviewFile(data_set=name, reviews=(*held, *fresh)))
