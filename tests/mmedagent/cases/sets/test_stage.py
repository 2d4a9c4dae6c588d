"""A stage's own message and exit code come through DVC, and it depends on all that decides."""

from pathlib import Path

import pytest

from mmedagent.cases.sets.stage import CODE, MERGE_CODE, dependencies, reproduce
from mmedagent.errors import BadDataError, InterruptedWithCheckpoint, MMedAgentError, UsageError
from mmedagent.recipes.sets import DataSetRecipe, SourceRecipe
from tests.mmedagent.cases.sets.repository import ROOT, dvc

STAGE = """\
import json, os, sys, time
path = os.environ["MMEDAGENT_PROGRESS"]
open(path + ".new", "w").write(json.dumps({"done": 3, "total": 0, "text": "cutting"}))
os.replace(path + ".new", path)
time.sleep(0.5)
print("row 17, column question: a date", file=sys.stderr)
sys.exit(int(open("code").read()))
"""


@pytest.mark.slow
def test_a_failing_stage_speaks_for_itself(tmp_path: Path) -> None:
    dvc(tmp_path, "init", "--no-scm", "--quiet")
    (tmp_path / "stage.py").write_text(STAGE)
    (tmp_path / "dvc.yaml").write_text("stages:\n  odd:\n    cmd: python stage.py\n")
    told: list[tuple[int, int, str]] = []
    for code, kind in ((13, BadDataError), (2, UsageError), (75, InterruptedWithCheckpoint)):
        (tmp_path / "code").write_text(str(code))
        with pytest.raises(kind, match=f"exit {code}.: row 17, column question: a date$"):
            reproduce(tmp_path, "odd", lambda *state: told.append(state))
    assert (3, 0, "cutting") in told
    with pytest.raises(MMedAgentError, match="'even'"):
        reproduce(tmp_path, "even")


def test_a_stage_depends_on_release_mapping_reviews_and_code(tmp_path: Path) -> None:
    source = SourceRecipe(name="own", mapping="data/sets/ward.mapping.yaml")
    recipe = DataSetRecipe(name="ward", source=source, release="data/x", sha256="0" * 64)
    expected = ["data/x", "data/sets/ward.mapping.yaml", *CODE]
    assert dependencies(tmp_path, recipe, ()) == expected
    (tmp_path / "data/reviews").mkdir(parents=True)
    (tmp_path / "data/reviews/ward.yaml").write_text("")
    assert "data/reviews/ward.yaml" in dependencies(tmp_path, recipe, ())
    merged = recipe.model_copy(update={"source": SourceRecipe(name="sets")})
    assert {"data/a", "data/b", *MERGE_CODE} <= set(dependencies(tmp_path, merged, ("a", "b")))


def test_the_code_that_is_named_exists() -> None:
    assert not [path for path in (*CODE, *MERGE_CODE) if not (ROOT / path).exists()]
