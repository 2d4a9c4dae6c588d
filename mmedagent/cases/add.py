"""Adds a data set: from a release on disk to a data version, with what was done written beside it.

Three passes: the release's digest is verified, its tables are surveyed, and its questions are
converted in chunks by worker processes; then the chunks are put together. Memory does not grow
with the number of cases. `python -m mmedagent.cases.add NAME` is what a set's DVC stage runs.
"""

import argparse
import os
import shutil
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from mmedagent.cases.adding.assemble import assemble
from mmedagent.cases.adding.chunks import convert_chunks
from mmedagent.cases.adding.declaration import read_declaration, verify_release, work_key
from mmedagent.cases.adding.progress import Tell, progress_bars, silent
from mmedagent.cases.adding.report import Sums, bad_cases, left_out, report_of
from mmedagent.cases.adding.survey import Survey, survey
from mmedagent.cases.sources.registry import source as source_named
from mmedagent.cases.sources.release import Release, open_release
from mmedagent.cases.writer import VersionWriter
from mmedagent.digests import canonical_json
from mmedagent.errors import BadDataError, ExitCode, MMedAgentError
from mmedagent.interrupt import StopRequest, stop_requests
from mmedagent.recipes.sets import DataSetRecipe

INGEST = "ingest.json"
"""The extra file of a version that says what was done: counts, never content."""
REVIEWS = "reviewed.yaml"
"""The extra file with what a person has reviewed (`data/reviews/NAME.yaml` of the repository)."""
_FEW = 200
"""Cases for which starting worker processes takes longer than it saves."""


def add_cases(
    recipe: DataSetRecipe,
    root: Path,
    out: Path,
    work: Path,
    tell: Tell = silent,
    jobs: int | None = None,
) -> dict[str, Any]:
    """Make the data version `out` of a release and return the content of its `ingest.json`.

    Args:
        recipe: the set's declaration; its paths are relative to `root`.
        root: the repository.
        out: the version's folder, replaced when the new one is whole.
        work: where chunks are kept until then; a killed ingest goes on from them.
        tell: hears how far it is.
        jobs: worker processes; by default as many as there are cores.

    Raises:
        BadDataError: the release is not the declared one, or has questions that cannot be read:
            the first twenty are named.
        UsageError: the release is missing or none of the source's layouts.
        InterruptedWithCheckpoint: stopped by a signal; the same call goes on.
    """
    source = source_named(recipe.source.name)
    release_path = root / recipe.release
    verify_release(release_path, recipe.sha256, tell)
    place = work / work_key(recipe, root)
    for other in [path for path in work.glob("*") if path != place]:
        shutil.rmtree(other, ignore_errors=True)  # of a declaration or code that is no more
    shutil.rmtree(place / "release", ignore_errors=True)  # unpacked by one that was killed
    with (
        stop_requests() as stop,
        open_release(release_path, recipe.limits, place / "release") as release,
    ):
        found = survey(source, release, recipe, lambda done: tell("reading tables", done, None))
        workers = 1 if found.cases < _FEW else jobs or _cores()
        sums = _convert(recipe, release, found, place, workers, tell, stop)
        report = report_of(recipe, source, found, sums)
        if not sums.pools:
            raise BadDataError(f"{recipe.release}: no case is left: {left_out(report)}")
        reviews = root / "data" / "reviews" / f"{recipe.name}.yaml"
        with VersionWriter(out, recipe.name) as writer:
            writer.extra(INGEST, canonical_json(report))
            if reviews.is_file():
                writer.extra(REVIEWS, reviews.read_bytes())
            assemble(writer, place, sums, tell, stop)
    shutil.rmtree(place, ignore_errors=True)
    return report


def _convert(
    recipe: DataSetRecipe,
    release: Release,
    found: Survey,
    place: Path,
    workers: int,
    tell: Tell,
    stop: StopRequest,
) -> Sums:
    sums = Sums()
    questions = source_named(recipe.source.name).cases(release, recipe.source, Counter())
    converter = (recipe, found.vocabulary, found.splits["validation"] > 0)
    with closing(convert_chunks(questions, converter, place, workers, stop)) as chunks:
        for facts in chunks:
            sums.add(facts)
            tell("converting cases", sums.questions, found.cases)
            if len(sums.bad) > recipe.limits.max_bad_cases:
                raise bad_cases(recipe, sums)
    return sums


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def main() -> int:
    """Make the version that `params.yaml` declares: what `dvc repro NAME` calls."""
    parser = argparse.ArgumentParser(description="Make the data version of a declared data set.")
    parser.add_argument("name", help="a set that `mmedagent data add` has declared")
    parser.add_argument("--jobs", type=int, default=None, help="worker processes")
    arguments = parser.parse_args()
    try:
        recipe = read_declaration(arguments.name)
        with progress_bars() as tell:
            report = add_cases(
                recipe,
                Path.cwd(),
                Path("data") / recipe.name,
                Path("work") / "add" / recipe.name,
                tell,
                arguments.jobs,
            )
    except MMedAgentError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    print(f"{report['cases']} of {report['questions']} questions taken; {left_out(report)}")
    return int(ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
