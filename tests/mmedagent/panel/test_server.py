import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mmedagent.errors import PanelError
from mmedagent.panel.server import ServedPanel, serve_panel
from tests.mmedagent.panel.conftest import picture


def post(served: ServedPanel, body: dict[str, Any]) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{served.url}/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def asking(url: str, **fields: Any) -> dict[str, Any]:
    content = [
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "text", "text": "Radiologist: Which plane is this? A axial B coronal"},
    ]
    body = {"model": "alder", "messages": [{"role": "user", "content": content}], "max_tokens": 4}
    return body | {"temperature": 0} | fields


GOOD_URL = "data:image/png;base64," + base64.b64encode(picture(3)).decode()


def test_a_reply_has_what_the_protocol_promises(served: ServedPanel) -> None:
    status, body = post(served, asking(GOOD_URL))
    assert status == 200
    assert body["object"] == "chat.completion" and body["model"] == "alder"
    assert body["system_fingerprint"] == served.digests["alder"]
    assert isinstance(body["choices"][0]["message"]["content"], str)
    assert body["usage"]["completion_tokens"] <= 4 < body["usage"]["prompt_tokens"]
    models = json.load(urllib.request.urlopen(f"{served.url}/models"))
    assert [model["id"] for model in models["data"]] == ["alder", "birch", "cedar"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://example.org/x.png", "must be a data: URL"),
        ("file:///etc/passwd", "must be a data: URL"),
        ("data:image/png;base64,!!!", "base64 is broken"),
        ("data:image/png;base64," + base64.b64encode(b"not an image").decode(), "not an image"),
        ("data:image/png;base64," + base64.b64encode(picture(3)[:60]).decode(), "not an image"),
    ],
)
def test_an_image_that_cannot_be_read_is_refused_by_name(
    served: ServedPanel, url: str, said: str
) -> None:
    status, body = post(served, asking(url))
    assert status == 400
    assert said in body["error"]["message"]
    assert post(served, asking(GOOD_URL))[0] == 200  # the server goes on


def test_a_broken_image_costs_its_company_nothing(served: ServedPanel) -> None:
    broken = "data:image/png;base64," + base64.b64encode(picture(3)[:60]).decode()
    urls = [GOOD_URL] * 7 + [broken] + [GOOD_URL] * 8
    with ThreadPoolExecutor(len(urls)) as threads:
        answers = list(threads.map(lambda url: post(served, asking(url)), urls))
    assert [status for status, _ in answers] == [200] * 7 + [400] + [200] * 8
    texts = {a["choices"][0]["message"]["content"] for status, a in answers if status == 200}
    assert len(texts) == 1


@pytest.mark.parametrize(
    "field", [{"stream": True}, {"n": 2}, {"temperature": -1}, {"messages": []}]
)
def test_what_is_not_served_is_refused(served: ServedPanel, field: dict[str, Any]) -> None:
    status, body = post(served, asking(GOOD_URL, **field))
    assert status == 422
    assert next(iter(field)) in str(body)


def test_a_folder_without_a_panel_is_told_from_the_server_s_own_words(tmp_path: Path) -> None:
    with pytest.raises(PanelError, match="no panel.json there"), serve_panel(tmp_path):
        pass


def test_a_port_in_use_is_one_clear_message(served: ServedPanel, panel_folder: Path) -> None:
    port = served.url.rsplit(":", 1)[1].removesuffix("/v1")
    command = [sys.executable, "-m", "mmedagent.panel.host", str(panel_folder), "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (
        done.stderr.splitlines()[-1] == f"cannot listen on 127.0.0.1:{port}: Address already in use"
    )


PARENT = """
import sys, time
from pathlib import Path
from mmedagent.panel.server import serve_panel
with serve_panel(Path(sys.argv[1])) as served:
    print(served.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
def test_the_server_ends_when_its_parent_is_killed(panel_folder: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(panel_folder)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/stat").exists():
        if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            break  # dead, and waiting for init to notice
        assert time.monotonic() < deadline, "the server outlived its parent"
        time.sleep(0.05)
