from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmedagent.errors import UsageError
from mmedagent.study import memory
from mmedagent.study.memory import GIB, free_bytes, peak_bytes, read_size, workers_that_fit


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("6G", 6 * GIB),
        ("1500M", 1500 * 2**20),
        ("2.5", 2.5 * GIB),
        ("4GiB", 4 * GIB),
        ("8 gb", 8 * GIB),
    ],
)
def test_sizes(text: str, size: float) -> None:
    assert read_size(text) == int(size)


@pytest.mark.parametrize("text", ["", "much", "-1G", "0", "nan", "inf", "6X"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--memory"):
        read_size(text)


@given(st.integers(1, 64), st.integers(1, 1 << 40), st.integers(1, 1 << 36))
def test_workers_fit_the_budget_and_there_is_always_one(jobs: int, budget: int, peak: int) -> None:
    count = workers_that_fit(jobs, budget, peak)
    assert 1 <= count <= jobs
    assert count == 1 or count * peak <= budget
    assert count == jobs or (count + 1) * peak > budget


def test_the_peak_counts_what_was_given_back() -> None:
    before = peak_bytes()
    held = bytearray(150 * 2**20)
    held[::4096] = b"x" * len(held[::4096])
    del held
    assert peak_bytes() >= max(before, 150 * 2**20)
    assert 0 < free_bytes() < 1 << 60


@pytest.mark.parametrize(
    ("groups", "folder", "names"),
    [
        ("0::/job\n", "job", ("memory.max", "memory.current")),
        (
            "4:memory:/job\n0::/\n",
            "memory/job",
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ),
    ],
)
def test_a_control_groups_limit_counts(
    tmp_path: Path, groups: str, folder: str, names: tuple[str, str]
) -> None:
    own = tmp_path / "cgroup"
    own.write_text(groups)
    assert memory._group_headroom(tmp_path, own) == 1 << 60
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / names[0]).write_text("1000\n")
    (tmp_path / folder / names[1]).write_text("400\n")
    assert memory._group_headroom(tmp_path, own) == 600
    (tmp_path / folder / names[0]).write_text("max\n")
    assert memory._group_headroom(tmp_path, own) == 1 << 60
