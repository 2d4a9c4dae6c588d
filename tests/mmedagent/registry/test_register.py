import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmedagent.digests import digest_folder
from mmedagent.errors import BrokenEvidenceError
from mmedagent.registry import records, tracking
from mmedagent.registry.promote import promote
from mmedagent.registry.records import (
    data_of,
    database,
    find_version,
    judged_against,
    judgements,
    latest_challenger,
    resolve_champion,
    versions,
)
from mmedagent.registry.register import register
from mmedagent.registry.version import NONE
from mmedagent.registry.weights import fetch_pair
from mmedagent.storage.store import ObjectStore
from tests.mmedagent.service import Facts, judged, paper_models, settings


def test_a_first_run_registers_the_start_as_v0_and_the_challenger(
    home: Path, object_store: ObjectStore, tmp_path: Path
) -> None:
    trained = paper_models(tmp_path / "models")
    said = register(trained, settings(), Facts().make(), object_store, home, tmp_path / "out")
    (one, start), (two, challenger) = versions(home)
    assert (one, start.kind, two, challenger.kind) == (1, "start", 2, "challenger")
    assert said["version"] == challenger.version != start.version == said["opponent"]
    assert latest_challenger(home) == challenger
    assert resolve_champion(home) is None  # that is for whoever serves
    made_of = Facts().make().datasets["data"].removesuffix(".dir")
    assert data_of(home, start.version) == data_of(home, challenger.version) == made_of
    assert data_of(home, "0" * 64) == NONE
    written = json.loads((tmp_path / "out" / "registration.json").read_bytes())
    assert written["judgement"]["verdict"] == "pass" and written["number"] == 2

    triage, attending = fetch_pair(
        object_store, find_version(home, said["version"]), tmp_path / "c"
    )
    for back, source in ((triage, trained.triage), (attending, trained.attending)):
        (source / "curves.jsonl").unlink()  # tells of the training, decides no answer
        assert digest_folder(back) == digest_folder(source)


def test_registering_again_changes_nothing(
    home: Path, object_store: ObjectStore, tmp_path: Path
) -> None:
    trained = paper_models(tmp_path / "models")
    args = (trained, settings(), Facts().make(), object_store, home)
    first = register(*args, tmp_path / "one")
    second = register(*args, tmp_path / "two")
    assert first == second and digest_folder(tmp_path / "one") == digest_folder(tmp_path / "two")
    assert len(versions(home)) == 2 and len(judgements(home)) == 1


def test_mlflow_shows_parameters_curves_and_digests(
    home: Path, object_store: ObjectStore, tmp_path: Path
) -> None:
    trained = paper_models(tmp_path / "models")
    register(trained, settings(), Facts().make(), object_store, home, tmp_path / "out")
    run_id = json.loads((tmp_path / "out" / "registration.json").read_bytes())["mlflow_run"]
    with tracking.tracking(home) as client:
        run = client.get_run(run_id)
        curve = client.get_metric_history(run_id, "triage-rl/reward")
        by_alias = client.get_model_version_by_alias(records.MODEL, records.CHALLENGER)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"training.triage.steps": "2"}
    assert [(point.step, round(point.value, 3)) for point in curve] == [
        (1, 0.1),
        (2, 0.2),
        (3, 0.3),
    ]
    assert run.data.metrics["evaluation.challenger.accuracy"] == 0.75
    assert run.data.tags["dataset.data"] == "0" * 32 + ".dir"
    assert run.inputs.dataset_inputs[0].dataset.name == "data"
    # What MLflow says and what is read past it are the same.
    challenger = latest_challenger(home)
    assert challenger is not None and by_alias.tags["version"] == challenger.version
    assert json.loads(by_alias.tags["record"])["version"] == challenger.version
    assert by_alias.tags["verdict"] == "pass"


def test_a_judgement_that_was_cut_short_is_made_anew(
    home: Path, object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = paper_models(tmp_path / "models")
    args = (trained, settings(), Facts().make(), object_store, home, tmp_path / "out")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tracking, "_log_metrics", stop)  # half of the run is in the database
        with pytest.raises(KeyboardInterrupt):
            register(*args)
    assert judgements(home) == [] and not (tmp_path / "out").exists()
    assert judged_against(home, "planned-1") == NONE
    register(*args)
    assert len(judgements(home)) == 1 and len(versions(home)) == 2
    with tracking.tracking(home) as client:
        experiment = client.get_experiment_by_name(tracking.EXPERIMENT).experiment_id
        assert len(client.search_runs([experiment])) == 1


@pytest.mark.parametrize(
    "damage", ['{"verdict": "maybe"}', '{"schema": 1}', "[]", "not JSON", None]
)
def test_an_unreadable_verdict_is_never_taken_for_one(
    home: Path, object_store: ObjectStore, tmp_path: Path, damage: str | None
) -> None:
    trained = paper_models(tmp_path / "models")
    trained.verdict.unlink() if damage is None else trained.verdict.write_text(damage)
    with pytest.raises(BrokenEvidenceError, match="verdict.json"):
        register(trained, settings(), Facts().make(), object_store, home, tmp_path / "out")
    assert versions(home) == [] and not (tmp_path / "out").exists()


def test_damaged_curves_and_unknown_opponents_are_refused(
    home: Path, object_store: ObjectStore, tmp_path: Path
) -> None:
    trained = paper_models(tmp_path / "models")
    (trained.triage / "curves.jsonl").write_text("{")
    with pytest.raises(BrokenEvidenceError, match="holds no training curves"):
        register(trained, settings(), Facts().make(), object_store, home, tmp_path / "out")
    facts = Facts(against="f" * 64).make()
    with pytest.raises(BrokenEvidenceError, match="is not registered"):
        register(trained, settings(), facts, object_store, home, tmp_path / "out")


def test_what_decides_an_answer_decides_the_version(
    home: Path, object_store: ObjectStore, tmp_path: Path
) -> None:
    trained = paper_models(tmp_path / "models")
    asked = settings()
    slower = asked.model_copy(
        update={"panel": asked.panel.model_copy(update={"timeout_seconds": 99.0})}
    )
    wordier = asked.model_copy(update={"style": "full"})
    deferring = asked.model_copy(update={"deferral_threshold": 0.5})
    found = [
        register(trained, each, Facts().make(), object_store, home, tmp_path / "out")["version"]
        for each in (asked, slower, wordier, deferring)
    ]
    assert found[0] == found[1] and len(set(found)) == 3


class TestJudgedAgainst:
    """What a run is judged against is resolved when it is submitted."""

    def test_nothing_registered(self, tmp_path: Path) -> None:
        assert judged_against(tmp_path, "planned-1") == NONE

    def test_life_of_a_registry(
        self, home: Path, object_store: ObjectStore, tmp_path: Path
    ) -> None:
        def run(planned: str, seed: int, verdict: str) -> dict:
            against = judged_against(home, planned)
            trained = paper_models(tmp_path / f"{planned}-{against[:6]}-{verdict}", seed)
            return register(
                judged(trained, verdict),
                settings(),
                Facts(planned, against).make(),
                object_store,
                home,
                tmp_path / "out",
            )

        # The first run fails: v0 serves, and a rerun with nothing changed reuses the verdict.
        first = run("planned-1", 1, "fail")
        assert judged_against(home, "planned-1") == NONE
        promote(home, first["opponent"])
        assert judged_against(home, "planned-1") == NONE
        assert judged_against(home, "planned-2") == first["opponent"]

        # The second passes against v0 and becomes champion: its own rerun changes nothing...
        second = run("planned-2", 2, "pass")
        assert second["opponent"] == first["opponent"]
        assert judged_against(home, "planned-2") == first["opponent"]
        promote(home, second["version"])
        assert judged_against(home, "planned-2") == first["opponent"]
        # ... but the first's verdict was about a champion that is no more, and so is any new one.
        assert judged_against(home, "planned-1") == second["version"]
        assert judged_against(home, "planned-3") == second["version"]

        # The third fails against the second: both reruns find their verdicts.
        third = run("planned-3", 3, "underpowered")
        assert judged_against(home, "planned-3") == second["version"] == third["opponent"]
        assert judged_against(home, "planned-2") == first["opponent"]

    def test_it_is_fast_and_needs_no_mlflow(
        self, home: Path, object_store: ObjectStore, tmp_path: Path
    ) -> None:
        trained = paper_models(tmp_path / "models")
        register(trained, settings(), Facts().make(), object_store, home, tmp_path / "out")
        began = time.perf_counter()
        judged_against(home, "planned-2")
        assert time.perf_counter() - began < 0.5
        program = (
            "import sys, pathlib; from mmedagent.registry.records import judged_against;"
            "judged_against(pathlib.Path(sys.argv[1]), 'planned-1');"
            "heavy = {'mlflow', 'torch', 'boto3', 'pandas'} & set(sys.modules);"
            "assert not heavy, heavy"
        )
        subprocess.run([sys.executable, "-c", program, str(home)], check=True, timeout=60)


def test_the_alias_moves_only_to_what_is_registered(
    home: Path, object_store: ObjectStore, tmp_path: Path
) -> None:
    trained = paper_models(tmp_path / "models")
    said = register(trained, settings(), Facts().make(), object_store, home, tmp_path / "out")
    with pytest.raises(BrokenEvidenceError, match="cannot be champion"):
        promote(home, "f" * 64)
    assert promote(home, said["version"]) and not promote(home, said["version"])
    champion = resolve_champion(home)
    assert champion is not None and champion.version == said["version"]


def test_a_damaged_registry_is_named(home: Path, object_store: ObjectStore, tmp_path: Path) -> None:
    trained = paper_models(tmp_path / "models")
    register(trained, settings(), Facts().make(), object_store, home, tmp_path / "out")
    with sqlite3.connect(database(home)) as connection:
        connection.execute("UPDATE model_version_tags SET value = '{}' WHERE key = 'record'")
    with pytest.raises(BrokenEvidenceError, match="record of a version is damaged"):
        latest_challenger(home)
    database(home).write_bytes(b"not a database" * 100)
    with pytest.raises(BrokenEvidenceError, match="cannot read the registry"):
        latest_challenger(home)


def test_a_panel_with_other_weights_is_refused(
    home: Path, object_store: ObjectStore, tmp_path: Path
) -> None:
    trained = paper_models(tmp_path / "models")
    (trained.panel / "alder" / "model.safetensors").write_text("other")
    with pytest.raises(BrokenEvidenceError, match="alder"):
        register(trained, settings(), Facts().make(), object_store, home, tmp_path / "out")
    assert versions(home) == []
