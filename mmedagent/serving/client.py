"""Asking the model server over HTTP: one consultation, which version, a warm-up."""

import base64
import io
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from mmedagent.errors import BadDataError, ServingError

_PREDICT = "/v1/models/mmedagent:predict"


def ask(
    url: str,
    image: bytes,
    question: str,
    options: list[str],
    timeout: float = 120.0,
    votes: int = 1,
) -> dict[str, Any]:
    """Hold one consultation at the server `url` and return its answer (`serving.protocol`).

    With `votes` above 1 the decision is the majority of as many draws. Raises `BadDataError` with
    the server's reason when it refuses the question, `ServingError` when it does not answer, or
    answers something else.
    """
    body: dict[str, Any] = {
        "instances": [
            {
                "image": base64.b64encode(image).decode(),
                "question": question,
                "options": options,
            }
        ]
    }
    if votes != 1:
        body["parameters"] = {"votes": votes}
    try:
        # No proxy: a question with a patient's image goes to this address and nowhere else.
        with httpx.Client(timeout=timeout, trust_env=False) as client:
            reply = client.post(url + _PREDICT, json=body)
    except httpx.TimeoutException as error:
        raise ServingError(f"{url} did not answer within {timeout:.0f} s") from error
    except httpx.HTTPError as error:
        raise ServingError(
            f"{url} does not answer ({error}); `mmedagent serve --ensure` starts the server"
        ) from error
    if reply.status_code in (400, 413, 422):
        raise BadDataError(f"the server refused the question: {_reason(reply)}")
    if reply.status_code != 200:
        raise ServingError(f"{url} answered with status {reply.status_code}: {_reason(reply)}")
    try:
        answer: dict[str, Any] = reply.json()["predictions"][0]
        return answer
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ServingError(f"{url} answered something that is no consultation") from error


def served_version(url: str, timeout: float = 5.0) -> str | None:
    """Return the digest of the version that serves at `url`, or None when nothing answers."""
    try:
        with httpx.Client(timeout=timeout, trust_env=False) as client:
            reply = client.get(f"{url}/version")
        return str(reply.json()["version"]) if reply.status_code == 200 else None
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return None


def warm_up(url: str, timeout: float) -> str:
    """Hold one consultation about a grey image; return the version that answered."""
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), (128, 128, 128)).save(picture, "PNG")
    answered = ask(url, picture.getvalue(), "Which modality is this?", ["CT", "MR"], timeout)
    return str(answered["version"])


def read_image(path: Path) -> bytes:
    """Return a file's bytes; raises `BadDataError` when it cannot be read or is empty."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadDataError(f"cannot read the image {path}: {error.strerror}") from error
    if not data:
        raise BadDataError(f"the image {path} is empty")
    return data


def _reason(reply: httpx.Response) -> str:
    try:
        return str(reply.json()["error"])
    except (ValueError, KeyError, TypeError):
        return reply.text[:500]
