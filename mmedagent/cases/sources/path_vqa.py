"""PathVQA: 32,795 questions about images of pathology textbooks and a library (He et al. 2020)."""

from collections import Counter
from collections.abc import Iterator

from mmedagent.cases.sources.contract import SourceCase
from mmedagent.cases.sources.hub import hub_cases
from mmedagent.cases.sources.layout import parquet_splits, unknown
from mmedagent.cases.sources.release import Release
from mmedagent.errors import BadDataError
from mmedagent.recipes.sets import SourceRecipe


class PathVqa:
    """Reads the hub's Parquet conversion; the original keeps its tables in pickles."""

    name = "path-vqa"
    title = "PathVQA"
    licence = "MIT (the conversion's card; images belong to the books' publishers and the library)"
    homepage = "https://github.com/UCSD-AI4H/PathVQA"

    def cases(
        self, release: Release, recipe: SourceRecipe, skipped: Counter[str]
    ) -> Iterator[SourceCase]:
        """Yield the cases; see `contract.Source`. A pickle is refused, never opened."""
        if parquet_splits(release):
            yield from hub_cases(release, "pathology", skipped, lambda cells, row: {}, ())
            return
        if pickles := [name for name in release.names() if name.endswith((".pkl", ".pickle"))]:
            raise BadDataError(
                f"{release.place(pickles[0])}: the original PathVQA keeps its questions in pickles,"
                " and opening one runs whatever its maker put in; fetch the Parquet conversion"
                " flaviagiammarino/path-vqa from the hub instead"
            )
        raise unknown(release, self.title, ["train-*.parquet"])


SOURCE = PathVqa()
