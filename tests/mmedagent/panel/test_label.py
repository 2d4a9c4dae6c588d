import json
from collections import Counter
from pathlib import Path

import pytest

from mmedagent.cases.case import Specialty
from mmedagent.cases.store import read_cases, write_cases
from mmedagent.errors import BadDataError
from mmedagent.panel.label import label, roles_asked
from mmedagent.panel.server import ServedPanel
from mmedagent.panel.table import read_opinions
from mmedagent.recipes.panel import LabelRecipe, PanelRecipe, SpecialistRecipe
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
    first = label(tmp_path / "cases", None, recipe, LabelRecipe(), store, tmp_path / "one")
    assert (first["cases"], first["asked"], first["from_store"]) == (9, 27, 0)
    opinions = read_opinions(tmp_path / "one")
    labelled = read_cases(tmp_path / "cases", ["warm_start", "train"])
    assert list(opinions) == [c.case_id for c in labelled]
    for each in labelled:
        said = opinions[each.case_id]
        assert [o.specialist for o in said] == list(NAMES)
        assert {o.role for o in said} == {each.specialty}
    before = requests_served(served)
    again = label(tmp_path / "cases", None, recipe, LabelRecipe(), store, tmp_path / "two")
    assert (again["asked"], again["from_store"]) == (0, 27)
    assert requests_served(served) == before
    for name in ("opinions.parquet", "label.json", "label-noise.json", "label-noise.html"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    hints = json.loads((tmp_path / "one" / "label-noise.json").read_text())
    assert hints["judged"] == 9 and hints["hints"] == first["against_gold"]
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
        label(tmp_path / "cases", None, nobody, LabelRecipe(), tmp_path / "store", tmp_path / "out")


def test_a_share_of_the_cases_is_labelled_off_role(served: ServedPanel, tmp_path: Path) -> None:
    others: tuple[Specialty, ...] = ("Dermatologist", "Pathologist")
    drawn = [case(900 + n, "train", others[n % 2]) for n in range(4)]
    write_cases(tmp_path / "cases", "drawn", [*cases_of_all_pools(6), *drawn])
    specialists = tuple(SpecialistRecipe(name=name, endpoint=served.url) for name in NAMES)
    recipe = PanelRecipe(specialists=specialists, most_without_opinion=1.0)
    labels = LabelRecipe(off_role_share=0.5)
    facts = label(tmp_path / "cases", None, recipe, labels, tmp_path / "store", tmp_path / "out")
    pool = read_cases(tmp_path / "cases", ["warm_start", "train"])
    said = read_opinions(tmp_path / "out")
    roles = [{opinion.role for opinion in said[each.case_id]} for each in pool]
    assert roles == [{role} for role in roles_asked(pool, labels)]
    off = sum(role != {each.specialty} for role, each in zip(roles, pool, strict=True))
    assert 0 < off == facts["off_role"] < len(pool)
    assert all(
        role == {each.specialty}
        for role, each in zip(roles, pool, strict=True)
        if each.pool == "warm_start"
    )


def test_off_roles_are_uniform_over_the_others_and_a_matter_of_case_and_seed_alone() -> None:
    names: tuple[Specialty, ...] = ("Radiologist", "Dermatologist", "Pathologist")
    pool = [case(n, "train", names[n % 3]) for n in range(900)]
    asked = roles_asked(pool, LabelRecipe(off_role_share=0.3))
    off = {c.case_id: role for c, role in zip(pool, asked, strict=True)}
    wrong = [c for c in pool if off[c.case_id] != c.specialty]
    assert 0.25 < len(wrong) / len(pool) < 0.35
    pairs = Counter((c.specialty, off[c.case_id]) for c in wrong)
    assert len(pairs) == 6 and min(pairs.values()) > 0.6 * len(wrong) / 6
    alone = roles_asked(pool[:3], LabelRecipe(off_role_share=0.3))
    assert alone == [off[c.case_id] for c in pool[:3]]
    more = roles_asked(pool, LabelRecipe(off_role_share=0.5))
    assert all(m == r for m, r, c in zip(more, asked, pool, strict=True) if r != c.specialty)
    assert roles_asked(pool, LabelRecipe(off_role_share=0.3, seed=1)) != asked
    assert roles_asked(pool, LabelRecipe()) == [c.specialty for c in pool]


def test_an_off_role_that_does_not_exist_is_refused() -> None:
    with pytest.raises(BadDataError, match="all 2 cases are the Radiologist's"):
        roles_asked([case(1), case(2)], LabelRecipe(off_role_share=0.1))
