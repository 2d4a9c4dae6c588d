import json
from pathlib import Path

import pytest

from mmedagent.cases.store import read_cases, write_cases
from mmedagent.errors import BadDataError
from mmedagent.panel.label import label
from mmedagent.panel.server import ServedPanel
from mmedagent.panel.table import read_opinions
from mmedagent.recipes.panel import PanelRecipe, SpecialistRecipe
from tests.mmedagent.panel.conftest import NAMES, case, cases_of_all_pools
from tests.mmedagent.panel.test_client import requests_served


def test_both_pools_are_labelled_in_their_gold_specialty_and_a_rerun_is_the_same(
    served: ServedPanel, tmp_path: Path
) -> None:
    write_cases(
        tmp_path / "cases",
        "drawn",
        [*cases_of_all_pools(4), case(500, "train", "Dermatologist")],
    )
    specialists = tuple(SpecialistRecipe(name=name, endpoint=served.url) for name in NAMES)
    # Untrained weights seldom name an option; that they are asked and kept is what counts here.
    recipe = PanelRecipe(specialists=specialists, most_without_opinion=1.0)
    store = tmp_path / "store"
    first = label(tmp_path / "cases", None, recipe, store, tmp_path / "one")
    assert (first["cases"], first["asked"], first["from_store"]) == (9, 27, 0)
    opinions = read_opinions(tmp_path / "one")
    labelled = read_cases(tmp_path / "cases", ["warm_start", "train"])
    assert list(opinions) == [c.case_id for c in labelled]
    for each in labelled:
        said = opinions[each.case_id]
        assert [o.specialist for o in said] == list(NAMES)
        assert {o.role for o in said} == {each.specialty}
    before = requests_served(served)
    again = label(tmp_path / "cases", None, recipe, store, tmp_path / "two")
    assert (again["asked"], again["from_store"]) == (0, 27)
    assert requests_served(served) == before
    for name in ("opinions.parquet", "label.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    counted = {
        n: sum(o.letter is None for s in opinions.values() for o in s if o.specialist == n)
        for n in NAMES
    }
    assert json.loads((tmp_path / "one" / "label.json").read_text())["no_opinion"] == counted


def test_an_empty_pool_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    write_cases(tmp_path / "cases", "drawn", [case(1, "train")])
    nobody = PanelRecipe(
        specialists=(SpecialistRecipe(name="x", endpoint="http://127.0.0.1:9/v1"),)
    )
    with pytest.raises(BadDataError, match="pool warm_start is empty"):
        label(tmp_path / "cases", None, nobody, tmp_path / "store", tmp_path / "out")
