"""Official splits stand, and what is carved from train moves by subject alone."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mmedagent.cases.adding.pools import pool_of
from mmedagent.recipes.sets import PoolsRecipe

RECIPE = PoolsRecipe(validation=0.2, warm_start=0.1, panel=0.05)


@given(st.text(max_size=30), st.booleans())
def test_official_validation_and_test_are_never_touched(subject: str, has: bool) -> None:
    assert pool_of("test", subject, RECIPE, has) == "test"
    assert pool_of("validation", subject, RECIPE, has) == "validation"


def test_shares_are_what_the_recipe_says() -> None:
    pools = Counter(pool_of("train", f"subject-{n}", RECIPE, False) for n in range(20_000))
    shares = {pool: count / 20_000 for pool, count in pools.items()}
    expected = {"train": 0.65, "validation": 0.2, "warm_start": 0.1, "panel": 0.05}
    assert shares.keys() == expected.keys()
    assert all(abs(shares[pool] - share) < 0.01 for pool, share in expected.items())


def test_a_source_with_a_validation_split_gives_none_of_its_train_away_to_it() -> None:
    subjects = [f"subject-{n}" for n in range(2_000)]
    with_own = [pool_of("train", subject, RECIPE, True) for subject in subjects]
    without = [pool_of("train", subject, RECIPE, False) for subject in subjects]
    assert "validation" not in with_own
    moved = {(a, b) for a, b in zip(with_own, without, strict=True) if a != b}
    assert moved == {("train", "validation")}
