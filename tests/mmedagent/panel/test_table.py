from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmedagent.cases.case import SPECIALTIES, Opinion
from mmedagent.errors import BadDataError
from mmedagent.panel.table import (
    Placement,
    read_curriculum,
    read_opinions,
    tier_of,
    write_curriculum,
    write_opinions,
)

opinions = st.builds(
    Opinion,
    specialist=st.sampled_from(["alder", "birch"]),
    role=st.sampled_from(SPECIALTIES),
    letter=st.none() | st.sampled_from("ABC"),
    reasoning=st.text(max_size=9),
    raw=st.text(max_size=9),
)


@given(st.dictionaries(st.text(min_size=1), st.lists(opinions, min_size=1, max_size=3).map(tuple)))
def test_opinions_round_trip_in_the_panel_s_order(
    tmp_path_factory: pytest.TempPathFactory, said: dict[str, tuple[Opinion, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("table")
    write_opinions(folder / "opinions.parquet", said)
    assert read_opinions(folder) == said
    assert read_opinions(folder / "opinions.parquet") == said


def test_placements_round_trip(tmp_path: Path) -> None:
    placements = {"a": Placement(1.0, "easy"), "b": Placement(2 / 3, "medium")}
    write_curriculum(tmp_path / "curriculum.parquet", placements)
    assert read_curriculum(tmp_path) == placements


@pytest.mark.parametrize(
    ("agreement", "tier"), [(1.0, "easy"), (2 / 3, "medium"), (1 / 3, "medium"), (0.0, "hard")]
)
def test_tiers_are_the_paper_s(agreement: float, tier: str) -> None:
    assert tier_of(agreement) == tier


def test_a_share_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        tier_of(1.5)


def test_bad_tables_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match="no such table"):
        read_opinions(tmp_path / "opinions.parquet")
    file = tmp_path / "opinions.parquet"
    file.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(BadDataError, match="not a readable Parquet file"):
        read_opinions(tmp_path)
    pq.write_table(pa.table({"case_id": ["a"], "role": ["Wizard"]}), file)
    with pytest.raises(BadDataError, match="lacks the columns specialist, letter"):
        read_opinions(tmp_path)
    row = {"specialist": "x", "role": "Wizard", "letter": "A", "reasoning": "", "raw": ""}
    pq.write_table(pa.Table.from_pylist([{"case_id": "a", **row}]), file)
    with pytest.raises(BadDataError, match="(?s)case .a..*role"):
        read_opinions(tmp_path)
    wrong = pa.table({"case_id": ["a"], "agreement": [1.0], "tier": ["hard"]})
    pq.write_table(wrong, tmp_path / "curriculum.parquet")
    with pytest.raises(BadDataError, match="'a' is called 'hard' at agreement 1.0"):
        read_curriculum(tmp_path)
