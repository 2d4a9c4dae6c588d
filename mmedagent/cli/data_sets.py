"""`mmedagent data add`, `merge`, `list`, `show`, `diff` and `pull`: data sets as versions."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from mmedagent.cases.adding.progress import progress_bars
from mmedagent.cli.data_review import judge

if TYPE_CHECKING:
    from mmedagent.cases.sets.declare import Added

_console = Console(highlight=False)
SetName = Annotated[str, typer.Argument(help="The set's name: lower-case letters, digits, dashes.")]
JudgeOption = Annotated[
    bool, typer.Option(help="Judge the version afterwards: exit 13 when it is not fit.")
]
FieldsOption = Annotated[
    list[str] | None, typer.Option("--set", help="A field of the set: images.max_side=512")
]


def register(app: typer.Typer) -> None:
    """Add the commands to `mmedagent data`."""
    for command in (add, merge, list_, show, diff, pull):
        app.command(name=command.__name__.strip("_"))(command)


def add(
    name: SetName,
    path: Annotated[
        Path | None,
        typer.Argument(help="The release: a folder, an archive, a Parquet file. None rebuilds."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="vqa-rad, slake, path-vqa, omni-med-vqa, mmmu, or own."),
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="Own cases: the file that names the table's columns.")
    ] = None,
    language: Annotated[
        list[str] | None, typer.Option(help="SLAKE: en, zh; may be repeated.")
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(help="Refuse another release than the one with this digest.")
    ] = None,
    set_: FieldsOption = None,
    validate: JudgeOption = True,
) -> None:
    """Add a data set: declare it, pin its release, make its version as a DVC stage, judge it.

    Writes `data/sets/NAME.yaml`, `params.yaml` and `dvc.yaml`, for Git to keep, and `data/NAME`.
    After an error all stands as it was; after Ctrl-C the same command goes on where it was. An
    existing NAME is declared anew; without PATH its stage is run again as it is declared.

    Examples:

        mmedagent data add vqa-rad downloads/vqa-rad.zip --source vqa-rad

        mmedagent data add slake downloads/Slake1.0.zip --source slake --language en --language zh

        mmedagent data add ward-7 /export --source own --mapping data/sets/ward-7.mapping.yaml

        mmedagent data add vqa-rad
    """
    from mmedagent.cases.sets.declare import Request, add_set, rebuild_set
    from mmedagent.errors import UsageError
    from mmedagent.recipes.declarations import declaration_path, read_declaration

    root = Path.cwd()
    if path is None and source is None:
        declared = declaration_path(root, name)
        if mapping or language or sha256 or set_ or not declared.is_file():
            raise UsageError(
                f"name the release and its source: `mmedagent data add {name} PATH --source SOURCE`"
            )
        with progress_bars(transient=True) as watch:
            added = rebuild_set(root, read_declaration(declared), watch)
    else:
        if source is None:
            raise UsageError(f"say which source {path} is of: --source vqa-rad, slake, ..., own")
        wanted = Request(name, source, path, (), mapping, tuple(language or ()), set_ or (), sha256)
        with progress_bars(transient=True) as watch:
            added = add_set(root, wanted, watch)
    _show_added(added)
    if validate:
        judge(name)


def merge(
    name: SetName,
    members: Annotated[
        list[str] | None, typer.Argument(help="The sets to merge; none pins the same ones anew.")
    ] = None,
    validate: JudgeOption = True,
) -> None:
    """Make one data set of several: their cases as they are, each member pinned by its digest.

    Examples:

        mmedagent data merge train-union vqa-rad slake path-vqa

        mmedagent data merge train-union
    """
    from mmedagent.cases.sets.declare import Request, add_set
    from mmedagent.cases.sets.members import members_file
    from mmedagent.cases.sets.stage import MERGED
    from mmedagent.recipes.declarations import declaration_path, read_declaration

    root = Path.cwd()
    if not members and declaration_path(root, name).is_file():
        recipe = read_declaration(declaration_path(root, name))
        members = list(members_file(root, recipe)) if recipe.source.name == MERGED else []
    with progress_bars(transient=True) as watch:
        added = add_set(root, Request(name, MERGED, members=tuple(members or ())), watch)
    _show_added(added)
    if validate:
        judge(name)


def list_(
    json_: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the data sets: version, cases, images, whether they are here and up to date.

    Examples:

        mmedagent data list

        mmedagent data list --json
    """
    from dataclasses import asdict

    from mmedagent.cases.sets.listing import list_sets

    with _console.status("asking DVC"):
        listed = list_sets(Path.cwd())
    if json_:
        typer.echo(json.dumps([asdict(one) for one in listed], indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for heading, right in (
        ("set", False), ("source", False), ("version", False), ("cases", True), ("images", True),
        ("here", False), ("up to date", False),
    ):  # fmt: skip
        table.add_column(heading, justify="right" if right else "left")
    for one in listed:
        numbers = (f"{n:,}" if n is not None else "-" for n in (one.cases, one.images))
        version = one.md5[:8] if one.md5 else "-"
        table.add_row(one.name, one.source, version, *numbers, one.here, one.up_to_date)
    _console.print(table)


def show(
    name: Annotated[
        str, typer.Argument(help="A set's name, NAME@REVISION, a digest, or a version's folder.")
    ] = "starter",
) -> None:
    """Show what a data version holds: images, subjects and questions, by specialty and pool.

    Also its modalities, sources, answer types, and what its ingest left out and removed.

    Examples:

        mmedagent data show

        mmedagent data show vqa-rad@v1.0

        mmedagent data show data/starter
    """
    from mmedagent.cases.case import POOLS
    from mmedagent.cases.sets.census import census_of
    from mmedagent.cases.sets.listing import read_report
    from mmedagent.cases.sets.revisions import open_version

    folder = open_version(Path.cwd(), name)
    census = census_of(folder)
    pools = [pool for pool in POOLS if any((pool, s) in census.cells for s in census.specialties)]
    title = f"{name}: images / subjects / questions"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("specialty", no_wrap=True)
    for pool in pools:
        table.add_column(pool.replace("_", " "), justify="right", no_wrap=True)
    for specialty in census.specialties:
        cells = (census.cells.get((pool, specialty)) for pool in pools)
        table.add_row(
            specialty, *(f"{c.images}/{c.subjects}/{c.questions}" if c else "-" for c in cells)
        )
    _console.print(table)
    for what, counts in census.counts.items():
        listed = ", ".join(f"{word} {count:,}" for word, count in counts.most_common())
        _console.print(f"{what:<12}  {listed}", soft_wrap=True)
    _show_report(read_report(folder))


def diff(
    before: Annotated[str, typer.Argument(help="NAME, NAME@REVISION, a digest, or a folder.")],
    after: Annotated[str, typer.Argument(help="The same, for the version to compare with.")],
    out: Annotated[
        Path | None, typer.Option(help="Write the page with the plots here: diff.html")
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print JSON: all counts, the first 1,000 ids each.")
    ] = False,
    images: Annotated[
        bool, typer.Option(help="Compare the images' sizes, too, which reads their bytes.")
    ] = True,
) -> None:
    """Compare two data versions: which cases came, went or changed, and what moved.

    Cases are matched by id; no text of a case is printed. Exits 0 whether or not they differ.

    Examples:

        mmedagent data diff vqa-rad@HEAD~1 vqa-rad

        mmedagent data diff vqa-rad@v1.0 vqa-rad@v1.1 --out runs/diff.html

        mmedagent data diff data/starter /tmp/other --json
    """
    from mmedagent import atomic
    from mmedagent.cases.sets.comparison import compare
    from mmedagent.cases.sets.revisions import open_version
    from mmedagent.report.data_diff import diff_page, sentence

    root = Path.cwd()
    sides = [(label, open_version(root, label)) for label in (before, after)]
    with progress_bars(transient=True) as watch:
        compared = compare(sides[0], sides[1], images, watch).as_dict()
    if out is not None:
        atomic.write_text(out, diff_page(compared))
    if json_:
        typer.echo(json.dumps(compared, indent=2))
        return
    _console.print(sentence(compared), soft_wrap=True)
    _show_changes(compared)
    if out is not None:
        _console.print(f"page  {out}", soft_wrap=True)


def pull(
    name: Annotated[str, typer.Argument(help="NAME, NAME@REVISION, or a digest with --out.")],
    out: Annotated[
        Path | None, typer.Option(help="Fill this folder instead of the working tree's data/NAME.")
    ] = None,
    force: Annotated[
        bool, typer.Option(help="Replace a folder whose content is kept nowhere else.")
    ] = False,
) -> None:
    """Bring a version of a data set from the DVC remote, every file verified.

    NAME alone is the version that `dvc.lock` pins, as `dvc pull` brings it. A revision is a Git
    commit, branch or tag, or the version's md5 or manifest digest.

    Examples:

        mmedagent data pull vqa-rad

        mmedagent data pull vqa-rad@v1.0 --out /tmp/vqa-rad-1.0
    """
    from mmedagent.cases.sets.pull import pull_set
    from mmedagent.cases.sets.remote import ensure_remote

    root = Path.cwd()
    with _console.status("bringing it"):
        ensure_remote(root)
        pulled = pull_set(root, name, out, force)
    _console.print(
        f"{pulled.folder}: {pulled.cases:,} cases, version {pulled.md5}, manifest {pulled.digest},"
        f" from {pulled.origin}",
        soft_wrap=True,
    )
    if out is None and not pulled.pinned:
        _console.print(
            f"dvc.lock pins another version: a run refuses this one. `mmedagent data pull"
            f" {name.partition('@')[0]}` brings the pinned one back; to keep this one, check out"
            " the revision's dvc.lock, dvc.yaml, params.yaml and data/sets",
            soft_wrap=True,
        )


def _show_added(added: "Added") -> None:
    from mmedagent.cases.sets.census import census_of

    name, report = added.recipe.name, added.report
    folder = Path("data") / name
    census = census_of(folder)
    _console.print(
        f"{folder}: {census.cases:,} cases, {census.images:,} images, version {added.locked.md5},"
        f" manifest {added.manifest['digest']}",
        soft_wrap=True,
    )
    for what, counts in census.counts.items():
        listed = ", ".join(f"{word} {count:,}" for word, count in counts.most_common())
        _console.print(f"  {what:<12}  {listed}", soft_wrap=True)
    _show_report(report, "  ")
    files = f"dvc.yaml dvc.lock params.yaml data/sets/{name}*"
    _console.print(f"keep it:  git add {files} && git commit && dvc push {name}", soft_wrap=True)


def _show_report(report: dict[str, Any] | None, indent: str = "") -> None:
    if report is None:
        return
    if "members" in report:
        members = [f"{m} {facts['cases']:,}" for m, facts in report["members"].items()]
        _console.print(f"{indent}{'members':<12}  {', '.join(members)}", soft_wrap=True)
        return
    left = report.get("left_out", {})
    parts = [f"{what} {count:,}" for what, count in left.get("skipped", {}).items()]
    unmapped = left.get("unmapped_modalities", {})
    parts += [f"modality {word!r} has no specialty {count:,}" for word, count in unmapped.items()]
    parts += [f"refused for privacy {left['for_privacy']:,}"] if left.get("for_privacy") else []
    parts += [f"unreadable {len(left['unreadable']):,}"] if left.get("unreadable") else []
    _console.print(f"{indent}{'left out':<12}  {', '.join(parts) or 'nothing'}", soft_wrap=True)
    removed = report.get("privacy", {}).get("removed", {})
    found = [
        f"{kind} in {place} {count:,}"
        for place, kinds in removed.items()
        for kind, count in kinds.items()
    ]
    _console.print(f"{indent}{'removed':<12}  {', '.join(found) or 'nothing'}", soft_wrap=True)


def _show_changes(compared: dict[str, Any]) -> None:
    cases = compared["cases"]
    for kind in ("came", "went", "changed"):
        counts = ", ".join(
            f"{word.replace('_', ' ')} {count:,}" for word, count in cases[kind].items()
        )
        if counts:
            _console.print(f"  {kind:<8} {counts}", soft_wrap=True)
    for move in cases["moved"]:
        _console.print(f"  moved    {move['from']} to {move['to']} {move['cases']:,}")
    table = Table(box=None, pad_edge=False)
    for heading in ("distribution", "moved by (0 to 1)"):
        table.add_column(heading, justify="left" if heading == "distribution" else "right")
    for moved in compared["distributions"]:
        table.add_row(moved["name"], f"{moved['distance']:.3f}")
    _console.print(table)
