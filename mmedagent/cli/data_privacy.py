"""`mmedagent data deidentify` and `mmedagent data key`: DICOM copies that name nobody."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmedagent.cases.privacy.pseudonym import DEFAULT_KEY

_console = Console(highlight=False)


class Pixels(StrEnum):
    """What is done with text that is burned into pixels."""

    MASK = "mask"
    REFUSE = "refuse"
    KEEP = "keep"


def register(app: typer.Typer) -> None:
    """Add the commands to `mmedagent data`."""
    app.command()(deidentify)
    app.command()(key)


def deidentify(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A folder of DICOM files.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Write the copies here.")],
    key_file: Annotated[
        Path, typer.Option("--key", help="The pseudonym key; made by `mmedagent data key`.")
    ] = DEFAULT_KEY,
    pixels: Annotated[
        Pixels,
        typer.Option(help="Paint over burned-in text, leave such files out, or do not look."),
    ] = Pixels.MASK,
    skip_others: Annotated[
        bool, typer.Option("--skip-others", help="Leave out files that are no DICOM images.")
    ] = False,
) -> None:
    """Write de-identified copies of DICOM images, named by pseudonyms; the originals stay.

    PS3.15's Basic Application Level Confidentiality Profile; see `docs/privacy.md` for what it
    leaves to you. A stopped run goes on when the same command is given again.

    Examples:

        mmedagent data deidentify /mnt/pacs/export /mnt/study/images

        mmedagent data deidentify export images --pixels refuse --skip-others
    """
    from mmedagent.cases.privacy.folder import REPORT, deidentify_folder, lines_of
    from mmedagent.cases.privacy.pseudonym import Pseudonyms, load_key

    pseudonyms = Pseudonyms(load_key(key_file))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=_console) as bars:
        task = bars.add_task("de-identifying", total=None)
        copies = deidentify_folder(
            source,
            out,
            pseudonyms,
            pixels.value,
            skip_others,
            lambda done, total: bars.update(task, completed=done, total=total),
        )
    for line in lines_of(copies):
        _console.print(line, markup=False)
    _console.print(
        f"{copies.files} copies in {out}; {copies.refused} left out for burned-in text, "
        f"{copies.skipped} files were no DICOM; see {out / REPORT}",
        soft_wrap=True,
    )


def key(
    path: Annotated[Path, typer.Argument(help="Where the key is kept.")] = DEFAULT_KEY,
) -> None:
    """Make the secret key that pseudonyms are made with, readable by you alone.

    Keep a copy where the records are kept: without it nobody can give new cases of a known
    patient the same pseudonym; with it and the records, anybody can undo the pseudonyms.

    Examples:

        mmedagent data key
    """
    from mmedagent.cases.privacy.pseudonym import load_key

    existed = path.exists()
    load_key(path, create=True)
    _console.print(f"{path}: {'there is a key already' if existed else 'a new key, mode 0600'}")
