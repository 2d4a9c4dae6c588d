"""A real KServe server, a real panel server, a real pair of tiny models, over real sockets."""

import base64
import json
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from typer.testing import CliRunner

from mmedagent import background
from mmedagent.cli import consult as consult_command
from mmedagent.errors import BadDataError, ServingError
from mmedagent.recipes.serving import ServingRecipe
from mmedagent.recipes.storage import StorageConfig
from mmedagent.registry.records import resolve_champion
from mmedagent.registry.register import register
from mmedagent.serving import ensure
from mmedagent.serving.client import ask
from mmedagent.serving.deploy import deploy
from mmedagent.serving.desired import serving_folder
from mmedagent.serving.ensure import ServerRecord, ensure_server, running_server, stop_server
from mmedagent.storage.store import ObjectStore
from tests.mmedagent.service import Facts, picture, settings, tiny_models

pytestmark = pytest.mark.slow
RECIPE = ServingRecipe(image_bytes=200_000, image_pixels=100_000, batch=2)
OPTIONS = ["CT", "MR"]


@dataclass
class Served:
    home: Path
    server: ServerRecord
    version: str
    store: ObjectStore

    def post(self, path: str, body: object) -> httpx.Response:
        return httpx.post(self.server.url + path, json=body, timeout=60, trust_env=False)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.server.url + path, timeout=60, trust_env=False)


@pytest.fixture(scope="module")
def served(
    store_config: StorageConfig, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    config = store_config.model_copy(update={"bucket": "test-serving"})
    store = ObjectStore(config)
    store.ensure_bucket()
    before = dict(os.environ)
    os.environ.update(config.environment())
    trained = tiny_models(home / "models")
    said = register(trained, settings(), Facts().make(), store, home, home / "registration")
    deploy(trained.verdict, home / "registration/registration.json", home, home / "deployment")
    try:
        yield Served(home, ensure_server(home, RECIPE), said["version"], store)
    finally:
        stop_server(home)
        os.environ.clear()
        os.environ.update(before)


def instance(**changes: object) -> dict[str, object]:
    image = base64.b64encode(picture()).decode()
    return {"image": image, "question": "Which modality is this?", "options": OPTIONS, **changes}


def test_it_answers_v1_and_then_is_champion(served: Served) -> None:
    reply = served.post("/v1/models/mmedagent:predict", {"instances": [instance(), instance()]})
    assert reply.status_code == 200
    first, second = reply.json()["predictions"]
    assert first["version"] == served.version and len(first["opinions"]) == 3
    assert [said["specialist"] for said in first["opinions"]] == ["alder", "birch", "cedar"]
    assert set(first["seconds"]) == {"triage", "panel", "attending", "total"}
    assert "not a medical device" in first["notice"]
    assert {**first, "seconds": 0} == {**second, "seconds": 0}
    champion = resolve_champion(served.home)
    assert champion is not None and champion.version == served.version


def test_it_answers_v2_as_v1(served: Served) -> None:
    one = instance()
    texts = {"image": one["image"], "question": one["question"], "options": json.dumps(OPTIONS)}
    inputs = [
        {"name": name, "shape": [1], "datatype": "BYTES", "data": [text]}
        for name, text in texts.items()
    ]
    reply = served.post("/v2/models/mmedagent/infer", {"id": "seven", "inputs": inputs})
    assert reply.status_code == 200, reply.text
    (output,) = reply.json()["outputs"]
    v1 = served.post("/v1/models/mmedagent:predict", {"instances": [one]}).json()["predictions"][0]
    v2 = json.loads(output["data"][0])
    assert {**v1, "seconds": 0} == {**v2, "seconds": 0} and reply.json()["id"] == "seven"
    inputs[0]["data"] = ["@@@"]
    refused = served.post("/v2/models/mmedagent/infer", {"inputs": inputs})
    assert refused.status_code == 400 and "image: not base64" in refused.json()["error"]


def test_a_vote_carries_its_agreement_and_comes_out_the_same_again(served: Served) -> None:
    url = "/v1/models/mmedagent:predict"
    body = {"instances": [instance()], "parameters": {"votes": 5}}
    first, second = (served.post(url, body).json()["predictions"][0] for _ in range(2))
    assert {**first, "seconds": 0} == {**second, "seconds": 0}
    letter, ballots = first["decision"]["letter"], first["votes"]
    assert len(ballots) == 5
    assert first["agreement"] == (ballots.count(letter) / 5 if letter else 0)
    single = served.post(url, {"instances": [instance()]}).json()["predictions"][0]
    assert single["agreement"] is None and single["opinions"] == first["opinions"]
    texts = {"image": instance()["image"], "question": "Which modality is this?"}
    inputs = [
        {"name": name, "shape": [1], "datatype": "BYTES", "data": [text]}
        for name, text in {**texts, "options": json.dumps(OPTIONS)}.items()
    ]
    parameters = {"votes": 5, "binary_data_output": False}
    v2 = served.post("/v2/models/mmedagent/infer", {"inputs": inputs, "parameters": parameters})
    (output,) = v2.json()["outputs"]
    assert json.loads(output["data"][0])["votes"] == ballots
    refused = served.post(url, {**body, "parameters": {"votes": 1000}})
    assert refused.status_code == 400 and "1 to 16 are possible" in refused.json()["error"]


def test_probes_metadata_and_metrics(served: Served) -> None:
    assert served.get("/v2/health/ready").json() == {"ready": True}
    assert served.get("/v2/models/mmedagent/ready").json()["ready"] is True
    assert served.get("/v1/models/mmedagent").json()["ready"] is True
    inputs = served.get("/v2/models/mmedagent").json()["inputs"]
    assert [entry["name"] for entry in inputs] == ["image", "question", "options"]
    assert served.get("/version").json()["version"] == served.version
    assert 'request_predict_seconds_count{model_name="mmedagent"}' in served.get("/metrics").text


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"instances": [instance(image="@@@")]}, "instance 0: image: not base64"),
        ({"instances": [instance(options=[])]}, "options: 2 to 26 are wanted, got 0"),
        ({"instances": [instance(options=["CT", "CT"])]}, "options: repeated"),
        ({"instances": [instance()] * 3}, "1 to 2 questions"),
        ({"questions": []}, "the request must be"),
        ("text", "the request must be"),
    ],
)
def test_bad_requests_get_400_and_the_reason(served: Served, body: object, reason: str) -> None:
    reply = served.post("/v1/models/mmedagent:predict", body)
    assert reply.status_code == 400 and reason in reply.json()["error"]


def test_what_is_not_json_and_what_is_too_long_is_refused(served: Served) -> None:
    url = served.server.url + "/v1/models/mmedagent:predict"
    headers = {"content-type": "application/json"}
    broken = httpx.post(url, content=b"{", headers=headers, trust_env=False)
    assert broken.status_code == 400

    def endless() -> Iterator[bytes]:
        while True:
            yield b" " * 2**16

    for body in (b" " * 2**22, endless()):
        try:
            long = httpx.post(url, content=body, headers=headers, trust_env=False, timeout=60)
        except httpx.TransportError:
            continue  # the server hung up while we were still sending
        assert long.status_code == 413
    assert served.get("/version").status_code == 200


def test_only_loopback_listens(served: Served) -> None:
    process = psutil.Process(served.server.process.pid)
    for each in [process, *process.children(recursive=True)]:
        for connection in each.connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip == "127.0.0.1"


def test_the_command_line_asks_it(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import typer

    app = typer.Typer()
    app.command()(consult_command.consult)
    monkeypatch.setenv("MMEDAGENT_HOME", str(served.home))
    image = tmp_path / "image.png"
    image.write_bytes(picture())
    command = [str(image), "Which modality is this?", "--option", "CT", "--option", "MR"]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0, shown.output
    for part in ("Specialty", "alder", "Decision", "Latency", served.version[:12], "not a medical"):
        assert part in shown.output
    as_json = CliRunner().invoke(app, [*command, "--json"])
    assert json.loads(as_json.output)["version"] == served.version
    voted = CliRunner().invoke(app, [*command, "--votes", "4"])
    assert voted.exit_code == 0 and "of 4 drawn decisions" in voted.output
    image.write_bytes(picture()[:60])
    refused = CliRunner().invoke(app, command)
    assert isinstance(refused.exception, BadDataError)
    assert "no whole PNG or JPEG" in str(refused.exception)


def test_the_same_version_reuses_the_server(served: Served) -> None:
    assert ensure_server(served.home, RECIPE) == served.server


def test_a_port_in_use_is_named_and_the_server_stays(served: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServingError, match=f"port {port} .* in use by another program"):
            ensure_server(served.home, RECIPE, port=port)
    own = int(served.server.url.rsplit(":", 1)[1])
    with pytest.raises(ServingError, match="our own server"):
        ensure_server(served.home, RECIPE, port=own)
    assert running_server(served.home) == served.server


def test_a_new_version_that_cannot_load_leaves_the_old_one_serving(
    served: Served, tmp_path: Path
) -> None:
    broken = tiny_models(tmp_path / "models", seed=1)
    (broken.attending / "config.json").unlink()
    _deploy(served, broken, tmp_path, "planned-2")
    with pytest.raises(ServingError, match="ended while it started(.|\n)*no config.json"):
        ensure_server(served.home, RECIPE)
    assert ask(served.server.url, picture(), "Which?", OPTIONS)["version"] == served.version
    champion = resolve_champion(served.home)
    assert champion is not None and champion.version == served.version


def test_a_new_version_takes_over_and_the_old_server_ends(served: Served, tmp_path: Path) -> None:
    version = _deploy(served, tiny_models(tmp_path / "models", seed=2), tmp_path, "planned-3")
    new = ensure_server(served.home, RECIPE)
    assert new.version == version != served.version
    assert ask(new.url, picture(), "Which?", OPTIONS)["version"] == version
    assert not background.is_running(served.server.process)
    champion = resolve_champion(served.home)
    assert champion is not None and champion.version == version

    # The weights of what serves are whole in the cache, so the store may be down.
    shutil.rmtree(serving_folder(served.home) / "launches")
    (panel_process,) = psutil.Process(new.process.pid).children()
    panel_process.kill()
    with pytest.raises(ServingError, match="status 503"):
        ask(new.url, picture(), "Which?", OPTIONS)
    mended = ensure_server(served.home, RECIPE)
    assert mended.process != new.process and ensure._answers(mended)


def _deploy(served: Served, trained: object, folder: Path, planned: str) -> str:
    facts = Facts(planned, served.version).make()
    out = folder / "registration"
    said = register(trained, settings(), facts, served.store, served.home, out)  # type: ignore[arg-type]
    verdict = trained.verdict  # type: ignore[attr-defined]
    deployed = deploy(verdict, out / "registration.json", served.home, folder / "deployment")
    assert deployed["desired"] == said["version"]
    return str(said["version"])


def test_no_server_and_no_answer_are_named() -> None:
    with pytest.raises(ServingError, match="mmedagent serve --ensure"):
        ask(f"http://127.0.0.1:{background.free_ports(1)[0]}", picture(), "Which?", OPTIONS)
