"""Cases, opinions and a curriculum on disk, as the DAG hands them to the attending's training."""

import pytest

from mmedagent.cases.case import Opinion
from mmedagent.cases.store import write_cases
from mmedagent.panel.table import Placement, tier_of, write_curriculum, write_opinions


def _opinions(case, right):
    """Three opinions of which the first `right` name the gold option."""
    wrong = next(letter for letter in case.view().letters if letter != case.letter)
    return tuple(
        Opinion(
            specialist=f"s{n}",
            role=case.specialty,
            letter=case.letter if n < right else wrong,
            reasoning="x",
            raw="x",
        )
        for n in range(3)
    )


def write_tables(folder, train, warm):
    """Write cases, opinions and curriculum to `folder`: a third of `train` in each tier."""
    write_cases(folder / "cases", "drawn", train + warm)
    said = {case.case_id: _opinions(case, (0, 1, 3)[n % 3]) for n, case in enumerate(train + warm)}
    (folder / "opinions").mkdir()
    write_opinions(folder / "opinions/opinions.parquet", said)
    placements = {
        case.case_id: Placement((0.0, 1 / 3, 1.0)[n % 3], tier_of((0.0, 1 / 3, 1.0)[n % 3]))
        for n, case in enumerate(train)
    }
    (folder / "curriculum").mkdir()
    write_curriculum(folder / "curriculum/curriculum.parquet", placements)
    return folder


@pytest.fixture
def tables(draw_cases, tmp_path):
    """Cases, opinions and curriculum on disk: a third of the training cases in each tier."""
    return write_tables(tmp_path, draw_cases(9, "train"), draw_cases(9, "warm_start"))
