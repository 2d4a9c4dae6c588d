"""What every adapter promises, held against a release that it reads."""

import pickle
import re
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import get_args

from mmedagent.cases.case import AnswerType
from mmedagent.cases.multiple_choice import offered
from mmedagent.cases.sources.contract import Source, SourceCase, Split
from mmedagent.cases.sources.release import Release, open_release
from mmedagent.recipes.sets import LimitsRecipe, SourceRecipe


def read(
    source: Source, path: Path, recipe: SourceRecipe | None = None
) -> tuple[list[SourceCase], Counter[str]]:
    """Return all cases of a release, its images read once, and what was left out."""
    recipe = recipe or SourceRecipe(name=source.name)
    skipped: Counter[str] = Counter()
    with open_release(path, LimitsRecipe()) as release:
        cases = list(source.cases(release, recipe, skipped))
        for case in cases:
            for image in case.images:
                image.read()
    return cases, skipped


def hold(source: Source, path: Path, recipe: SourceRecipe | None = None) -> None:
    """Assert what the contract says of the cases of a release that has no missing image."""
    recipe = recipe or SourceRecipe(name=source.name)
    first, second = Counter[str](), Counter[str]()
    with open_release(path, LimitsRecipe()) as release:
        cases = list(source.cases(release, recipe, first))
        assert cases, "no cases"
        keys = [case.key for case in cases]
        assert len(set(keys)) == len(keys), "keys are not unique"
        assert len({case.row for case in cases}) == len(cases), "rows are not told apart"
        for case in cases:
            _hold_case(case)
        again = list(source.cases(release, recipe, second))
        assert [_facts(case) for case in again] == [_facts(case) for case in cases], "it moves"
        assert first == second
        splits = {case.subject: case.split for case in cases}
        # The official split of VQA-RAD is by question: one picture has questions in both.
        apart = all(splits[case.subject] == case.split for case in cases)
        assert apart or source.name == "vqa-rad", "a subject in two splits"


def _hold_case(case: SourceCase) -> None:
    assert case.images and case.question.strip() and case.answer.strip() and case.subject
    assert case.split in get_args(Split) and case.answer_type in get_args(AnswerType)
    assert case.question_type == case.question_type.lower() != ""
    assert case.modality and case.attributes["language"]
    assert not case.options or case.options.count(case.answer) == 1
    assert not (case.options and case.answer_type == "open")
    if not offered(case.question, case.answer):
        words = re.findall(r"\w+", case.question.casefold())
        assert case.answer.casefold() not in words, "gold in the question"
    for image in case.images:
        data = image.read()
        assert data.startswith((b"\x89PNG", b"\xff\xd8"))
        copy = pickle.loads(pickle.dumps(image.read))  # as a worker process is handed it
        assert copy() == data
        assert len(pickle.dumps(image.read)) < len(data) + 2000


def _facts(case: SourceCase) -> dict[str, object]:
    facts = dict(vars(case))
    facts["images"] = [(image.place, image.read(), image.view) for image in case.images]
    return facts


def hold_lazy(cases: Iterator[SourceCase], release: Release, names: list[str]) -> None:
    """Assert that going through the cases opens none of the image files `names`."""
    opened: list[str] = []
    stream = release._stream

    def noted(name: str, place: str) -> object:
        opened.append(name)
        return stream(name, place)

    release._stream = noted  # type: ignore[method-assign, assignment]
    found = list(cases)
    assert found and not set(opened) & set(names)
    found[0].images[0].read()
    assert set(opened) & set(names)


def most_memory(cases: Iterator[SourceCase], after: int) -> int:
    """Return the most bytes held while the cases go by, the first `after` of them not counted."""
    list(islice(cases, after))
    tracemalloc.start()
    for _ in cases:
        pass
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most
