import json
from pathlib import Path

import pytest

from mmedagent.errors import BrokenEvidenceError, ServingError
from mmedagent.registry import records
from mmedagent.registry.promote import promote
from mmedagent.registry.register import register
from mmedagent.serving.deploy import deploy
from mmedagent.serving.desired import read_desired, serving_folder
from mmedagent.serving.ensure import desired_version
from mmedagent.storage.store import ObjectStore
from tests.mmedagent.service import Facts, judged, paper_models, settings


class Place:
    """A home in which runs end with verdicts."""

    def __init__(self, home: Path, store: ObjectStore, models: Path) -> None:
        self.home, self.store, self.models = home, store, models
        self.runs = 0

    def run(self, verdict: str, seed: int) -> tuple[dict, dict]:
        """Register and deploy; return what both say."""
        self.runs += 1
        planned = f"planned-{seed}"
        facts = Facts(planned, records.judged_against(self.home, planned)).make()
        folder = self.models / f"run-{self.runs}"
        trained = judged(paper_models(folder, seed), verdict)
        said = register(trained, settings(), facts, self.store, self.home, folder / "reg")
        registration = folder / "reg" / "registration.json"
        return said, deploy(trained.verdict, registration, self.home, folder / "dep")

    @property
    def desired(self) -> str | None:
        found = read_desired(self.home)
        return found.version if found else None


@pytest.fixture
def place(home: Path, object_store: ObjectStore, tmp_path: Path) -> Place:
    return Place(home, object_store, tmp_path / "models")


@pytest.mark.parametrize("verdict", ["fail", "underpowered"])
def test_without_a_pass_the_start_is_served_first_and_then_nothing_changes(
    place: Place, verdict: str
) -> None:
    said, deployed = place.run(verdict, 1)
    assert place.desired == said["opponent"] == deployed["desired"]
    assert "nothing was served yet" in deployed["reason"]
    promote(place.home, said["opponent"])
    _, again = place.run(verdict, 2)
    assert place.desired == said["opponent"]
    assert again["desired"] is None and "what is served stays" in again["reason"]


def test_a_pass_is_served_and_a_later_fail_leaves_it_alone(place: Place) -> None:
    first, deployed = place.run("pass", 1)
    assert place.desired == first["version"] == deployed["desired"]
    # It passed, but no server has taken it up yet: a fail must not put v0 in its place.
    place.run("fail", 2)
    assert place.desired == first["version"]
    promote(place.home, first["version"])
    place.run("underpowered", 3)
    assert place.desired == first["version"]


def test_a_pass_against_a_champion_that_is_no_more_promotes_nothing(place: Place) -> None:
    first, _ = place.run("fail", 1)
    promote(place.home, first["opponent"])
    second, _ = place.run("pass", 2)
    promote(place.home, second["version"])
    # Two runs were submitted against v0; the other one passed and is champion by now.
    facts = Facts("planned-3", first["opponent"]).make()
    folder = place.models / "late"
    trained = judged(paper_models(folder, 3), "pass")
    register(trained, settings(), facts, place.store, place.home, folder / "reg")
    late = deploy(trained.verdict, folder / "reg/registration.json", place.home, folder / "dep")
    assert late["desired"] is None and "became champion" in late["reason"]
    assert place.desired == second["version"]


def test_a_verdict_of_another_run_is_refused(place: Place) -> None:
    place.run("fail", 1)
    registration = place.models / "run-1" / "reg" / "registration.json"
    other = judged(paper_models(place.models / "other", 9), "pass", "-forged")
    before = place.desired
    with pytest.raises(BrokenEvidenceError, match="of another verdict"):
        deploy(other.verdict, registration, place.home, place.models / "dep")
    other.verdict.write_text("{")
    with pytest.raises(BrokenEvidenceError):
        deploy(other.verdict, registration, place.home, place.models / "dep")
    registration.write_text(json.dumps({"judgement": {}}))
    with pytest.raises(BrokenEvidenceError, match="cannot read"):
        deploy(
            place.models / "run-1" / "verdict-fail.json",
            registration,
            place.home,
            place.models / "dep",
        )
    assert place.desired == before and not (place.models / "dep").exists()


def test_the_champion_is_served_when_the_desired_file_is_lost(place: Place) -> None:
    with pytest.raises(ServingError, match="nothing to serve yet.*mmedagent run"):
        desired_version(place.home)
    said, _ = place.run("pass", 1)
    promote(place.home, said["version"])
    path = serving_folder(place.home) / "desired.json"
    path.write_text("{")
    with pytest.raises(ServingError, match="is damaged"):
        desired_version(place.home)
    path.unlink()
    assert desired_version(place.home).version == said["version"] == place.desired
