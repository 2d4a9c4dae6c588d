from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmedagent.errors import UsageError
from mmedagent.study.agenda import Agenda, Task, choose_rows, parse_seeds, plan, quick_rows
from mmedagent.study.comparisons import CLAIMS, COMPARISONS, TOPICS
from mmedagent.study.context import Row
from mmedagent.study.estimate import Estimate
from mmedagent.study.measures import DERIVED
from mmedagent.study.rows import ROWS

A, B = (Row(name, "baseline", name, "rest") for name in "ab")


CELLS = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([A, B])),
    unique_by=lambda cell: (cell[0], cell[1].name),
)


@given(CELLS, st.data())
def test_cells_come_after_their_seeds_shared_work_and_each_once(
    wanted: list[tuple[int, Row]], data: st.DataObject
) -> None:
    """Whatever number of tasks runs at once, and in whatever order they end."""
    agenda = Agenda(Task(seed, row) for seed, row in wanted)
    running: list[Task] = []
    done: list[Task] = []
    while len(agenda) or running:
        task = agenda.next() if len(running) < 3 else None
        if task is not None:
            assert task.row is None or Task(task.seed) in done
            running.append(task)
            continue
        ended = running.pop(data.draw(st.integers(0, len(running) - 1)))
        done.append(ended)
        if ended.row is None:
            agenda.prepared(ended.seed)
    cells = [(task.seed, task.row) for task in done if task.row]
    assert Counter(str(cell) for cell in cells) == Counter(str(cell) for cell in wanted)
    assert len(done) == len(cells) + len({seed for seed, _ in wanted})


def test_an_early_stop_has_balanced_seeds() -> None:
    agenda = Agenda(plan([A, B], (2, 0, 1)))
    order = []
    while (task := agenda.next()) is not None:
        agenda.prepared(task.seed)
        order.append(task.name)
    assert order[:6] == [
        "shared/seed-0", "a/seed-0", "b/seed-0", "shared/seed-1", "a/seed-1", "b/seed-1",
    ]  # fmt: skip


def test_a_task_put_back_is_the_next_of_its_seed_unless_avoided() -> None:
    agenda = Agenda(plan([A, B], (0,)))
    shared = agenda.next()
    assert shared is not None and agenda.next() is None
    agenda.prepared(0)
    first = agenda.next()
    assert first is not None
    agenda.put_back(first)
    assert [task.name for task in agenda.waiting] == ["a/seed-0", "b/seed-0"]
    other = agenda.next(avoid={"a/seed-0"})
    assert other is not None and other.name == "b/seed-0"
    assert [task.name for task in agenda.give_up(0)] == ["a/seed-0"]


def test_seeds_and_rows_are_read_as_written() -> None:
    assert parse_seeds("0-2, 5,1") == (0, 1, 2, 5)
    assert [row.name for row in choose_rows([A, B], ["b", "a*"])] == ["a", "b"]
    assert choose_rows([A, B], []) == (A, B)
    assert choose_rows([A, B], ["panel_majority"]) == ()
    assert [task.name for task in plan((), (1, 2))] == ["shared/seed-1", "shared/seed-2"]


@pytest.mark.parametrize("text", ["", "x", "3-1", "1-", "-2", "1,,2"])
def test_what_names_no_seeds_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--seeds"):
        parse_seeds(text)


def test_an_unknown_row_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"'easy_to_hrad-by_tier'.*mean 'easy_to_hard-by_tier'"):
        choose_rows(ROWS, ["easy_to_hrad-by_tier"])


def test_rows_that_conclusions_need_have_five_seeds_others_three() -> None:
    tasks = plan(ROWS, None)
    counts = Counter(task.row.name for task in tasks if task.row)
    for row in ROWS:
        assert counts[row.name] >= (5 if row.seeds_needed == "conclusions" else 3)
    assert {task.seed for task in plan(ROWS, None, quick=True)} == {0, 1}


def test_the_quick_rows_are_few_and_of_every_group() -> None:
    few = quick_rows(ROWS)
    assert {row.group for row in few} == {row.group for row in ROWS}
    assert len(few) <= 10


def test_every_declared_comparison_and_claim_names_rows_that_exist() -> None:
    known = {row.name for row in ROWS} | set(DERIVED)
    names = [comparison.name for comparison in COMPARISONS]
    assert len(set(names)) == len(names)
    for comparison in COMPARISONS:
        assert {*comparison.left, *comparison.right} <= known, comparison.name
        assert comparison.topic in TOPICS
    for claim in CLAIMS:
        assert set(claim.comparisons) <= set(names)
        assert bool(claim.comparisons) != bool(claim.why_not)


def test_time_left_is_what_rows_took_before() -> None:
    estimate = Estimate()
    assert estimate.left([Task(0, A)], [], 1) is None
    estimate.saw(Task(0), 6.0)
    assert estimate.left([Task(0, A)], [], 1) is None
    estimate.saw(Task(0, A), 10.0)
    estimate.saw(Task(0, B), 30.0)
    estimate.saw(Task(1, B), 50.0)
    waiting = [Task(1), Task(1, A), Task(1, B), Task(1, Row("new", "paper", "", "rest"))]
    assert estimate.left(waiting, [], 1) == pytest.approx(6 + 10 + 40 + 30)
    assert estimate.left(waiting, [(Task(2, B), 15.0), (Task(2, A), 99.0)], 2) == pytest.approx(
        (86 + 25 + 0) / 2
    )
