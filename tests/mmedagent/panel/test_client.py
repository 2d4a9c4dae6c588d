import json
import urllib.request
from pathlib import Path

import pytest

from mmedagent.consultation.doctor import Prompt, Sampling
from mmedagent.consultation.prompts import specialist_messages
from mmedagent.errors import BrokenEvidenceError, PanelError, UsageError
from mmedagent.models.generate import LocalDoctor
from mmedagent.panel.client import open_panel
from mmedagent.panel.server import ServedPanel
from mmedagent.recipes.panel import PanelRecipe, SpecialistRecipe
from tests.mmedagent.panel.conftest import NAMES, case


def requests_served(served: ServedPanel) -> int:
    stats = json.load(urllib.request.urlopen(served.url.removesuffix("/v1") + "/stats"))
    return sum(one["requests"] for one in stats.values())


def recipe_for(served: ServedPanel, **fields: object) -> PanelRecipe:
    specialists = [SpecialistRecipe(name=name, endpoint=served.url) for name in NAMES]
    return PanelRecipe(specialists=tuple(specialists), **fields)


def test_each_specialist_gives_one_opinion_and_a_rerun_asks_nothing(
    served: ServedPanel, tmp_path: Path
) -> None:
    questions = [case(n).view() for n in range(10)]
    roles = ["Radiologist", "Pathologist"] * 5
    before = requests_served(served)
    with open_panel(recipe_for(served), store=tmp_path) as panel:
        first = panel.opinions(questions, roles)
        assert panel.stats.asked == 30
        assert panel.stats.prompt_tokens > 30 * 4  # at least the image's tokens
        assert sum(panel.stats.no_opinion.values()) == sum(
            opinion.letter is None for said in first for opinion in said
        )
        asked = panel.usage
        assert (asked.replies, asked.prompt_tokens) == (30, panel.stats.prompt_tokens)
    assert requests_served(served) == before + 30
    assert [[o.specialist for o in said] for said in first] == [list(NAMES)] * 10
    assert [said[0].role for said in first] == roles
    with open_panel(recipe_for(served), store=tmp_path) as panel:
        assert panel.opinions(questions, roles) == first
        assert (panel.stats.asked, panel.stats.from_store) == (0, 30)
        assert panel.usage == asked, "what it took when it was asked"
    assert requests_served(served) == before + 30


def test_the_same_question_twice_in_one_call_is_asked_once(served: ServedPanel) -> None:
    before = requests_served(served)
    with open_panel(recipe_for(served)) as panel:
        twice = panel.opinions([case(1).view()] * 2, ["Surgeon"] * 2)
        assert panel.opinions([], []) == []
    assert twice[0] == twice[1]
    assert requests_served(served) == before + 3


def test_weights_on_disk_are_served_only_when_something_must_be_asked(
    panel_folder: Path, served: ServedPanel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = PanelRecipe()
    question = case(2).view()
    with open_panel(recipe, panel_folder, tmp_path) as panel:
        first = panel.opinions([question], ["Surgeon"])
    monkeypatch.setattr("mmedagent.panel.client.serve_panel", None)  # starting would raise now
    with open_panel(recipe, panel_folder, tmp_path) as panel:
        assert panel.opinions([question], ["Surgeon"]) == first


def test_batched_replies_over_the_socket_are_those_of_one_prompt_at_a_time(
    panel_folder: Path, served: ServedPanel
) -> None:
    questions = [case(n).view() for n in range(40)]
    with open_panel(recipe_for(served)) as panel:
        said = panel.opinions(questions, ["Oncologist"] * 40)
    doctor = LocalDoctor(panel_folder / "birch", batch_size=1)
    messages = [specialist_messages(question, "Oncologist", "compact") for question in questions]
    prompts = [Prompt(m, q.images) for m, q in zip(messages, questions, strict=True)]
    assert [each[1].raw for each in said] == doctor.reply(prompts, Sampling())
    assert len({each[1].raw for each in said}) > 1  # else the images and questions do not count


def test_every_image_of_a_case_reaches_the_specialist_in_its_order(
    panel_folder: Path, served: ServedPanel
) -> None:
    first, second = case(1).images[0], case(9).images[0]
    shown = [(first,), (first, second), (second, first)]
    questions = [case(1).view().model_copy(update={"images": images}) for images in shown]
    with open_panel(recipe_for(served)) as panel:
        said = panel.opinions(questions, ["Oncologist"] * 3)
    doctor = LocalDoctor(panel_folder / "birch", batch_size=1)
    messages = [specialist_messages(question, "Oncologist", "compact") for question in questions]
    assert [part["type"] for part in messages[1][0]["content"]] == ["image", "image", "text"]
    prompts = [Prompt(m, q.images) for m, q in zip(messages, questions, strict=True)]
    assert [each[1].raw for each in said] == doctor.reply(prompts, Sampling())
    # The order is part of what is asked: such a question is not answered from the store.
    assert questions[1].image_digest != questions[2].image_digest


def test_a_sampled_reply_depends_on_its_seed_and_not_on_its_company(served: ServedPanel) -> None:
    def sampled(numbers: list[int], seed: int) -> dict[int, str]:
        recipe = recipe_for(served, sampling=Sampling(temperature=1.0, seed=seed))
        with open_panel(recipe) as panel:
            said = panel.opinions([case(n).view() for n in numbers], ["Surgeon"] * len(numbers))
        return {n: each[0].raw for n, each in zip(numbers, said, strict=True)}

    alone, together, other = sampled([3], 5), sampled([1, 2, 3, 4], 5), sampled([3], 6)
    assert alone[3] == together[3] != other[3]


def test_a_pinned_fingerprint_must_be_reported(served: ServedPanel) -> None:
    def asking(pin: str) -> PanelRecipe:
        one = SpecialistRecipe(name="alder", endpoint=served.url, fingerprint=pin)
        return PanelRecipe(specialists=(one,))

    with open_panel(asking(served.digests["alder"])) as panel:
        assert panel.opinions([case(1).view()], ["Surgeon"])
    with (
        open_panel(asking("another")) as panel,
        pytest.raises(PanelError, match="alder .* 'another' is pinned"),
    ):
        panel.opinions([case(1).view()], ["Surgeon"])


def test_a_refusal_is_told_with_the_endpoint_s_own_words(served: ServedPanel) -> None:
    unknown = SpecialistRecipe(name="alder", endpoint=served.url, model="elm")
    with (
        open_panel(PanelRecipe(specialists=(unknown,))) as panel,
        pytest.raises(PanelError, match="HTTP 404.*no model elm here; there are alder, birch"),
    ):
        panel.opinions([case(1).view()], ["Surgeon"])


def test_a_key_that_is_not_set_is_named(
    served: ServedPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PANEL_KEY", raising=False)
    one = SpecialistRecipe(name="alder", endpoint=served.url, api_key_env="PANEL_KEY")
    with (
        open_panel(PanelRecipe(specialists=(one,))) as panel,
        pytest.raises(UsageError, match="PANEL_KEY"),
    ):
        panel.opinions([case(1).view()], ["Surgeon"])


def test_a_local_specialist_must_be_in_the_folder(panel_folder: Path) -> None:
    recipe = PanelRecipe(specialists=(SpecialistRecipe(name="elm"),))
    with (
        pytest.raises(UsageError, match="elm has no endpoint and is not in"),
        open_panel(recipe, panel_folder),
    ):
        pass
    with pytest.raises(UsageError, match="elm.*no panel folder"), open_panel(recipe):
        pass


def test_changed_weights_are_refused(panel_folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "panel"
    shutil.copytree(panel_folder, copy)
    weights = copy / "birch" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(BrokenEvidenceError, match="birch"), open_panel(PanelRecipe(), copy):
        pass
    missing = pytest.raises(BrokenEvidenceError, match="dvc repro panel")
    with missing, open_panel(PanelRecipe(), tmp_path):
        pass
