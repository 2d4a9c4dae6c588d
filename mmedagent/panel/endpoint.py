"""One request to one OpenAI chat-completions endpoint: deadline, retries, and what can go wrong."""

import asyncio
import base64
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import openai

from mmedagent.errors import PanelError, UsageError
from mmedagent.panel.request import Identity, Request
from mmedagent.panel.store import StoredReply
from mmedagent.recipes.panel import SpecialistRecipe

logger = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS = 30.0
"""The longest wait before another attempt, whatever an endpoint's Retry-After asks for."""
_WORTH_ANOTHER_ATTEMPT = {408, 409, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Member:
    """A specialist of the recipe, with the weights digest when its weights are ours."""

    recipe: SpecialistRecipe
    weights: str | None = None

    @property
    def name(self) -> str:
        """The specialist's name."""
        return self.recipe.name

    @property
    def model(self) -> str:
        """The model's name at the endpoint."""
        return self.recipe.model or self.recipe.name

    @property
    def address(self) -> str:
        """Under what the store remembers the reported fingerprint."""
        return f"{self.recipe.endpoint} {self.model}"

    @property
    def expected(self) -> str | None:
        """The fingerprint that replies must bear, or None when any will do."""
        return self.weights or self.recipe.fingerprint

    def identity(self, fingerprint: str | None) -> Identity:
        """Return who answers, given the fingerprint that the endpoint reports."""
        if self.weights is not None:
            return Identity(weights=self.weights)
        return Identity(
            endpoint=self.recipe.endpoint,
            model=self.model,
            fingerprint=fingerprint,
            pin=self.recipe.fingerprint,
        )


class Endpoint:
    """One specialist's endpoint. Made, used and closed inside one event loop."""

    def __init__(self, member: Member, url: str, timeout_seconds: float, retries: int) -> None:
        """Prepare the connection to `url`; nothing is sent yet.

        Raises `UsageError` when the recipe names a key's variable that is not set.
        """
        self.member = member
        self.url = url
        self._timeout = timeout_seconds
        self._attempts = retries + 1
        loopback = urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}
        self._client = openai.AsyncOpenAI(
            base_url=url,
            api_key=_api_key(member.recipe),
            max_retries=0,
            timeout=timeout_seconds,
            # No proxy in front of loopback; and a redirect could send an image somewhere else.
            http_client=openai.DefaultAsyncHttpxClient(
                trust_env=not loopback, follow_redirects=False
            ),
        )

    async def ask(self, request: Request) -> StoredReply:
        """Send `request` and return the reply as it came.

        An attempt ends after the timeout, however slowly bytes drip in. Retried are failures that
        may pass: no connection, timeouts, and statuses such as 429 and 503.

        Raises `PanelError` when the endpoint is down, too slow, refuses, answers with something
        that is no chat completion, or reports another fingerprint than the one expected.
        """
        for attempt in range(1, self._attempts + 1):
            started = time.perf_counter()
            try:
                async with asyncio.timeout(self._timeout):
                    body = await self._send(request)
                return self._read(body, time.perf_counter() - started)
            except (TimeoutError, openai.APITimeoutError):
                problem = (
                    f"is too slow: no reply within {self._timeout:g} s; raise"
                    " panel.timeout_seconds, lower panel.concurrency, or give it more power"
                )
                pause = 0.0
            except openai.APIConnectionError as error:
                problem = (
                    f"is down: {error.__cause__ or error}; start it, or change the endpoint of"
                    " this specialist in panel.specialists"
                )
                pause = _backoff(attempt)
            except openai.APIStatusError as error:
                problem = f"refused: HTTP {error.status_code}: {_excerpt(error.response.text)}"
                if error.status_code not in _WORTH_ANOTHER_ATTEMPT:
                    raise self._error(problem, attempt) from None
                pause = _retry_after(error.response.headers) or _backoff(attempt)
            if attempt == self._attempts:
                raise self._error(problem, attempt) from None
            logger.info("specialist %s %s; trying again", self.member.name, problem)
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _send(self, request: Request) -> Any:
        sampling = request.sampling
        messages: Any = _wire_messages(request)
        response = await self._client.chat.completions.with_raw_response.create(
            model=self.member.model,
            messages=messages,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_new_tokens,
            seed=sampling.seed,
        )
        kind = response.headers.get("content-type", "none")
        if not kind.startswith("application/json"):
            raise self._nonsense(f"content type {kind}: {_excerpt(response.text)}")
        try:
            return json.loads(response.text)
        except ValueError:
            raise self._nonsense(f"not JSON: {_excerpt(response.text)}") from None

    def _read(self, body: Any, seconds: float) -> StoredReply:
        try:
            raw = body["choices"][0]["message"]["content"]
            fingerprint = body.get("system_fingerprint")
            usage = body.get("usage") or {}
            tokens = [int(usage.get(k) or 0) for k in ("prompt_tokens", "completion_tokens")]
            if not isinstance(raw, str | None) or not isinstance(fingerprint, str | None):
                raise TypeError("content and system_fingerprint must be text")
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            raise self._nonsense(f"no chat completion: {_excerpt(json.dumps(body))}") from None
        expected = self.member.expected
        if expected is not None and fingerprint != expected:
            raise self._error(
                f"is another model than expected: it reports the fingerprint {fingerprint!r}, and"
                f" {expected!r} is pinned"
            )
        return StoredReply(self.member.name, raw or "", fingerprint, tokens[0], tokens[1], seconds)

    def _nonsense(self, what: str) -> PanelError:
        return self._error(f"answers with something else than a chat completion: {what}")

    def _error(self, problem: str, attempts: int = 1) -> PanelError:
        tried = f" ({attempts} attempts)" if attempts > 1 else ""
        return PanelError(f"specialist {self.member.name} at {self.url} {problem}{tried}")


def data_url(image: bytes) -> str:
    """Return an encoded image (PNG or JPEG) as a data: URL."""
    kind = "jpeg" if image.startswith(b"\xff\xd8") else "png"
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


def _wire_messages(request: Request) -> list[dict[str, Any]]:
    """Return the conversation as the OpenAI protocol writes it, the images in their places."""
    images = iter(request.question.images)
    return [
        {**message, "content": [_wire_part(part, images) for part in message["content"]]}
        for message in request.messages
    ]


def _wire_part(part: dict[str, Any], images: Iterator[bytes]) -> dict[str, Any]:
    if part["type"] != "image":
        return part
    return {"type": "image_url", "image_url": {"url": data_url(next(images))}}


def _api_key(recipe: SpecialistRecipe) -> str:
    if recipe.api_key_env is None:
        return "none"
    key = os.environ.get(recipe.api_key_env)
    if not key:
        raise UsageError(
            f"specialist {recipe.name}: the environment variable {recipe.api_key_env} is to hold"
            " its API key and is not set"
        )
    return key


def _backoff(attempt: int) -> float:
    return min(0.25 * 2.0 ** (attempt - 1), LONGEST_PAUSE_SECONDS)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    try:
        return min(max(0.0, float(headers["retry-after"])), LONGEST_PAUSE_SECONDS)
    except (KeyError, ValueError):
        return None


def _excerpt(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 160 else line[:157] + "...")
