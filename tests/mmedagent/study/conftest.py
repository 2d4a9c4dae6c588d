"""A folder with a few drawn cases to measure."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mmedagent.cases.case import Case
from mmedagent.cases.store import write_cases

ROOT = Path(__file__).parents[3]


@pytest.fixture
def place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, draw_cases: Callable[..., list[Case]]
) -> Path:
    """A folder with cases of both measured pools; workers find the tests' modules."""
    monkeypatch.syspath_prepend(str(ROOT))
    cases = [*draw_cases(12, "validation"), *draw_cases(20, "test")]
    write_cases(tmp_path / "cases", "drawn", cases)
    return tmp_path
