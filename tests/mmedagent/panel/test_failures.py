"""Endpoints that are down, slow, or answer nonsense: one clear message, nothing kept is lost."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from mmedagent.cases.case import Opinion
from mmedagent.cases.store import write_cases
from mmedagent.errors import PanelError
from mmedagent.panel.client import PanelStats, open_panel
from mmedagent.panel.label import label
from mmedagent.panel.store import OpinionStore
from mmedagent.recipes.panel import LabelRecipe, PanelRecipe, SpecialistRecipe
from tests.mmedagent.panel.conftest import case, cases_of_all_pools
from tests.mmedagent.panel.faulty import Reply, completion, endpoint

GOOD = completion("<think> it looks so</think><answer> A</answer>")


def recipe_for(url: str, timeout: float = 5.0, retries: int = 0, **fields: object) -> PanelRecipe:
    one = SpecialistRecipe(name="alder", endpoint=url)
    return PanelRecipe(specialists=(one,), timeout_seconds=timeout, retries=retries, **fields)


def ask(recipe: PanelRecipe, count: int = 1, store: Path | None = None) -> list[Opinion]:
    return ask_counting(recipe, count, store)[0]


def ask_counting(
    recipe: PanelRecipe, count: int = 1, store: Path | None = None
) -> tuple[list[Opinion], PanelStats]:
    questions = [case(n).view() for n in range(count)]
    with open_panel(recipe, store=store) as panel:
        said = panel.opinions(questions, ["Radiologist"] * count)
    return [each[0] for each in said], panel.stats


def test_an_endpoint_that_is_down() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(PanelError, match=rf"alder at http://127.0.0.1:{port}/v1 is down: .*2 att"):
        ask(recipe_for(f"http://127.0.0.1:{port}/v1", retries=1))


def test_an_endpoint_that_is_too_slow_costs_the_timeout_and_no_more() -> None:
    with endpoint(lambda _: GOOD, seconds=10) as faulty:
        started = time.monotonic()
        with pytest.raises(PanelError, match="too slow: no reply within 0.3 s.*2 attempts"):
            ask(recipe_for(faulty.url, timeout=0.3, retries=1), count=3)
        assert time.monotonic() - started < 3
        assert faulty.requests > 3  # it was tried again


def test_bytes_that_drip_in_do_not_extend_the_timeout() -> None:
    slow = pytest.raises(PanelError, match="too slow")
    with endpoint(lambda _: GOOD, drip=0.05) as faulty, slow:
        ask(recipe_for(faulty.url, timeout=0.5))


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ((200, "text/html", b"<h1>Log in</h1>"), "content type text/html: '<h1>Log in</h1>'"),
        ((200, "application/json", b"{oops"), "not JSON: '{oops'"),
        ((200, "application/json", b'{"choices": []}'), 'no chat completion: \'{"choices"'),
        ((200, "application/json", b'"hello"'), "no chat completion"),
        ((200, "application/json", b"[1]"), "no chat completion"),
        (completion(17), "no chat completion"),
        ((401, "application/json", b'{"error": "no such key"}'), "HTTP 401.*no such key"),
        ((302, "text/plain", b"elsewhere"), "HTTP 302"),
    ],
)
def test_nonsense_is_told_and_not_tried_again(reply: Reply, said: str) -> None:
    with endpoint(lambda _: reply) as faulty:
        with pytest.raises(PanelError, match=said.replace("[", r"\[")):
            ask(recipe_for(faulty.url, retries=3))
        assert faulty.requests == 1


def test_an_overloaded_endpoint_is_tried_again() -> None:
    def answer(number: int) -> Reply:
        return (503, "text/plain", b"busy") if number < 2 else GOOD

    with endpoint(answer) as faulty:
        assert ask(recipe_for(faulty.url, retries=2))[0].letter == "A"
        assert faulty.requests == 3


def test_a_reply_that_cannot_be_read_is_no_opinion_and_is_counted(tmp_path: Path) -> None:
    texts = ["I am not sure.", "<think>x</think><answer>Z</answer>", "", None]

    with endpoint(lambda n: completion(texts[n])) as faulty:
        recipe = recipe_for(faulty.url, concurrency=1)
        said, stats = ask_counting(recipe, 4, tmp_path)
        assert [opinion.letter for opinion in said] == [None] * 4
        assert stats.no_opinion == {"alder": 4}
        assert ask(recipe, 4, tmp_path) == said  # what it said is kept, however unreadable
        assert faulty.requests == 4


def test_what_was_answered_before_a_failure_is_not_asked_again(tmp_path: Path) -> None:
    broken = (500, "text/plain", b"out of memory")
    with endpoint(lambda n: GOOD if n < 5 else broken) as faulty:
        recipe = recipe_for(faulty.url, concurrency=1)
        with pytest.raises(PanelError, match="HTTP 500.*out of memory"):
            ask(recipe, 8, tmp_path)
        faulty.answer = lambda _: GOOD
        before = faulty.requests
        assert len(ask(recipe, 8, tmp_path)) == 8
        assert faulty.requests == before + 3


def test_what_was_answered_before_an_interrupt_is_not_asked_again(tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def answer(number: int) -> Reply:
        if number == 5:
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0.5)
        return GOOD

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with endpoint(answer) as faulty:
            recipe = recipe_for(faulty.url, concurrency=1)
            with pytest.raises(KeyboardInterrupt):
                ask(recipe, 8, tmp_path)
            assert len(OpinionStore(tmp_path)) == 5
            faulty.answer = lambda _: GOOD
            ask(recipe, 8, tmp_path)
            assert faulty.requests == 6 + 3
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_another_model_behind_the_same_url_is_asked_all_anew(tmp_path: Path) -> None:
    with endpoint(lambda _: completion("<answer>A</answer>", "old")) as faulty:
        recipe = recipe_for(faulty.url)
        assert {o.letter for o in ask(recipe, 4, tmp_path)} == {"A"}
        faulty.answer = lambda _: completion("<answer>B</answer>", "new")
        # Nothing new to ask: nobody can know yet.
        assert {o.letter for o in ask(recipe, 4, tmp_path)} == {"A"}
        # One new question shows the change; the four old ones are asked again with it.
        assert [o.letter for o in ask(recipe, 5, tmp_path)] == ["B"] * 5
        assert faulty.requests == 4 + 1 + 4


def test_a_fingerprint_that_changes_all_the_time_is_an_error() -> None:
    unstable = pytest.raises(PanelError, match="pin one")
    with endpoint(lambda n: completion("<answer>A</answer>", f"fp {n}")) as faulty, unstable:
        ask(recipe_for(faulty.url), 4)


def test_labelling_stops_when_most_replies_cannot_be_read(tmp_path: Path) -> None:
    write_cases(tmp_path / "cases", "drawn", cases_of_all_pools(4))
    store, out = tmp_path / "store", tmp_path / "out"
    unread = pytest.raises(PanelError, match="alder: 8 of 8 replies name no option")
    with endpoint(lambda _: completion("As a language model, I")) as faulty, unread:
        label(tmp_path / "cases", None, recipe_for(faulty.url), LabelRecipe(), store, out)
    assert not out.exists()
