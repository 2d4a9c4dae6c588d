"""A merged set holds its members' cases as they are, and only the pinned members'."""

from pathlib import Path

import pytest

from mmedagent.cases.sets.members import members_file, pin_members
from mmedagent.cases.sets.merge import merge_sets
from mmedagent.cases.store import read_cases, write_cases
from mmedagent.digests import digest_file, digest_folder
from mmedagent.errors import BadDataError, UsageError
from mmedagent.recipes.sets import DataSetRecipe, SourceRecipe
from tests.mmedagent.cases.examples import data_set, example

NAMES = ("left", "right")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two sets; one in the older schema, one with what only the newer one holds."""
    left = [example(n, case_id=f"left/{n}") for n in range(3)]
    more = {"options": (), "answer": "x", "answer_type": "open", "attributes": {"sex": "f"}}
    right = [example(n, "test", case_id=f"right/{n}", **more) for n in range(2)]
    write_cases(tmp_path / "data/left", "left", left, 1)
    write_cases(tmp_path / "data/right", "right", [*right, example(9, case_id="right/9")])
    return tmp_path


def declared(root: Path, members: tuple[str, ...] = NAMES) -> DataSetRecipe:
    path = pin_members(root, "both", members)
    source = SourceRecipe(name="sets")
    digest = digest_file(root / path)
    return DataSetRecipe(name="both", source=source, release=path.as_posix(), sha256=digest)


def test_all_cases_are_there_as_they_were(root: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    report = merge_sets(declared(root), root, root / "out", lambda *facts: told.append(facts))
    merged = {case.case_id: case for case in read_cases(root / "out")}
    members = [case for name in NAMES for case in read_cases(root / "data" / name)]
    assert merged == {case.case_id: case for case in members} and len(members) == 6
    assert report["cases"] == 6 and report["pools"] == {"train": 4, "test": 2}
    assert report["members"]["right"]["cases"] == 3
    assert told[-1] == ("merging cases", 6, 6)


def test_the_members_order_changes_no_byte(root: Path) -> None:
    merge_sets(declared(root), root, root / "one")
    merge_sets(declared(root, ("right", "left")), root, root / "two")
    assert digest_folder(root / "one") == digest_folder(root / "two")


def test_another_version_of_a_member_is_refused(root: Path) -> None:
    recipe = declared(root)
    write_cases(root / "data/left", "left", [example(0, case_id="left/0")])
    with pytest.raises(BadDataError, match=r"both pins left at .* `mmedagent data merge both`"):
        merge_sets(recipe, root, root / "out")
    assert not (root / "out").exists()


def test_members_that_hold_the_same_case_are_refused(root: Path) -> None:
    write_cases(root / "data/right", "right", [example(0, case_id="left/0")])
    with pytest.raises(BadDataError, match="1 case ids occur in two members"):
        merge_sets(declared(root), root, root / "out")
    assert not (root / "out").exists()


def test_an_edited_members_file_is_not_the_declared_one(root: Path) -> None:
    recipe = declared(root)
    path = root / recipe.release
    path.write_text(path.read_text() + "# more\n")
    with pytest.raises(BadDataError, match="is not the declared release"):
        merge_sets(recipe, root, root / "out")


def test_members_must_be_there_and_differ(root: Path) -> None:
    with pytest.raises(UsageError, match="mmedagent data pull third"):
        pin_members(root, "both", ("left", "third"))
    for members in (("left", "left"), ("left", "both")):
        with pytest.raises(UsageError, match="merged from different sets"):
            pin_members(root, "both", members)
    (root / "data/sets/odd.yaml").parent.mkdir(parents=True, exist_ok=True)
    odd = declared(root).model_copy(update={"release": "data/left/manifest.json"})
    assert members_file(root, declared(root)).keys() == set(NAMES)
    (root / "list.yaml").write_text("- a\n")
    with pytest.raises(BadDataError, match="does not name the members"):
        members_file(root, odd.model_copy(update={"release": "list.yaml"}))


def test_cases_of_one_set_can_be_merged_with_the_starters(tmp_path: Path) -> None:
    write_cases(tmp_path / "data/left", "left", data_set(), 1)
    write_cases(tmp_path / "data/right", "right", [example(1, case_id="right/1")])
    merge_sets(declared(tmp_path), tmp_path, tmp_path / "out")
    assert len(read_cases(tmp_path / "out")) == 21
