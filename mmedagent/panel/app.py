"""The laptop's panel as a web application: OpenAI's chat-completions protocol.

Every specialist of a panel folder is a `model` name. What the protocol's clients need for images
and text is answered, and the rest (streams, several choices, images behind URLs) refused by name.
"""

import asyncio
import base64
import binascii
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from mmedagent.consultation.doctor import Prompt, Sampling
from mmedagent.errors import BadDataError
from mmedagent.models.generate import LocalDoctor
from mmedagent.models.inputs import encode
from mmedagent.models.load import load_model, load_processor
from mmedagent.panel.batching import MicroBatcher
from mmedagent.panel.folder import PanelFolder, PanelMember

LARGEST_IMAGE_BYTES = 32 * 2**20


class ImageUrl(BaseModel):
    """Where an image is: only `data:` URLs are read, so that the server fetches nothing."""

    url: str


class Part(BaseModel):
    """A part of a message: text or an image."""

    type: Literal["text", "image_url"]
    text: str = ""
    image_url: ImageUrl | None = None


class Message(BaseModel):
    """One message of the conversation."""

    role: Literal["system", "user", "assistant"]
    content: str | list[Part]


class CompletionRequest(BaseModel):
    """The fields of OpenAI's chat-completions request that change what is answered."""

    model: str
    messages: list[Message] = Field(min_length=1)
    temperature: float = Field(default=1.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1, le=4096)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=4096)
    seed: int = 0
    n: Literal[1] = 1
    stream: Literal[False] = False

    def sampling(self) -> Sampling:
        """Return how the reply is drawn."""
        longest = self.max_completion_tokens or self.max_tokens or Sampling().max_new_tokens
        return Sampling(
            temperature=self.temperature, top_p=self.top_p, max_new_tokens=longest, seed=self.seed
        )

    def prompt(self) -> Prompt:
        """Return the conversation with its images taken out.

        Raises `BadDataError` for an image that is no `data:` URL.
        """
        images: list[bytes] = []
        messages = []
        for message in self.messages:
            content: list[dict[str, str]] = []
            parts = message.content
            if isinstance(parts, str):
                parts = [Part(type="text", text=parts)]
            for part in parts:
                if part.type == "text":
                    content.append({"type": "text", "text": part.text})
                else:
                    images.append(_image(part))
                    content.append({"type": "image"})
            messages.append({"role": message.role, "content": content})
        return Prompt(messages, tuple(images))


def _image(part: Part) -> bytes:
    url = part.image_url.url if part.image_url else ""
    head, comma, data = url.partition(",")
    if not (comma and head.startswith("data:image/") and head.endswith(";base64")):
        raise BadDataError("an image must be a data: URL, data:image/png;base64,...")
    if len(data) > LARGEST_IMAGE_BYTES * 4 // 3:
        raise BadDataError(f"an image may have {LARGEST_IMAGE_BYTES >> 20} MiB at most")
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise BadDataError(f"an image's base64 is broken: {error}") from None


@dataclass(frozen=True)
class Completion:
    """One reply and what it counts."""

    text: str
    prompt_tokens: int
    completion_tokens: int


class Specialist:
    """One specialist in memory: answers a batch of prompts, and counts tokens."""

    def __init__(self, folder: Path) -> None:
        """Load the model and the processor of `folder`."""
        self._processor = load_processor(folder)
        self._doctor = LocalDoctor.of(load_model(folder), self._processor)

    def __call__(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        """Return one completion a prompt."""
        texts = self._doctor.reply(prompts, sampling)
        asked = encode(self._processor, prompts)["attention_mask"].sum(dim=1).tolist()
        # Counted on the text, so at most as many as were asked for, the end-of-turn included.
        ids = self._processor.tokenizer(texts)["input_ids"]
        said = [min(len(tokens) + 1, sampling.max_new_tokens) for tokens in ids]
        return [Completion(*row) for row in zip(texts, asked, said, strict=True)]


@dataclass
class Served:
    """One specialist behind its queue."""

    member: PanelMember
    batcher: MicroBatcher[Completion]
    requests: int = 0

    async def complete(self, request: CompletionRequest) -> dict[str, Any]:
        """Return the response's JSON for one request."""
        self.requests += 1
        said = await self.batcher.reply(request.prompt(), request.sampling())
        return {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": self.member.name,
            "system_fingerprint": self.member.digest,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": said.text},
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": said.prompt_tokens,
                "completion_tokens": said.completion_tokens,
                "total_tokens": said.prompt_tokens + said.completion_tokens,
            },
        }


def build_app(panel: PanelFolder) -> FastAPI:
    """Load a panel's specialists and return the application that serves them.

    Raises `BrokenEvidenceError` when a specialist's folder holds no model.
    """
    # One thread for all: they share two cores with the client, and torch runs one thread each.
    executor = ThreadPoolExecutor(1)
    specialists: dict[str, Served] = {}
    for member in panel.members:
        batcher = MicroBatcher(Specialist(member.path), executor)
        specialists[member.name] = Served(member, batcher)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(s.batcher.work()) for s in specialists.values()]
            yield
            for worker in workers:
                worker.cancel()

    app = FastAPI(title="mmedagent panel", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_exception_handler(BadDataError, _bad_request)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        data = [{"id": name, "object": "model", "owned_by": "mmedagent"} for name in specialists]
        return {"object": "list", "data": data}

    @app.get("/stats")
    async def stats() -> dict[str, dict[str, int]]:
        return {
            name: {"requests": s.requests, "calls": s.batcher.calls}
            for name, s in specialists.items()
        }

    @app.post("/v1/chat/completions")
    async def complete(request: CompletionRequest) -> JSONResponse:
        if request.model not in specialists:
            known = ", ".join(specialists)
            raise HTTPException(404, f"no model {request.model} here; there are {known}")
        return JSONResponse(await specialists[request.model].complete(request))

    return app


async def _bad_request(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": {"message": str(error), "type": "bad_request"}}, 400)
